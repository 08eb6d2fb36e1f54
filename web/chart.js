// A chart of how many events there were, by time, stacked by action. The same figures can be read as a table.
import { h, later, svg } from "./dom.js";
import { actionLabel, count } from "./labels.js";
import { brief, dayOf } from "./time.js";

const hour = 3600e3;
const series = 6; // actions with a colour of their own; the rest is one more
const usual = { login: 0, login_failed: 1, authorize_application: 2, model_updated: 3, user_write: 3, configuration_error: 4, email_sent: 4, logout: 5 };
const height = 112;
const foot = 18; // below the bars, for the days
const side = 40; // left of them, for the numbers

// chart draws counts, a list of { time, action, count } in bins of six hours, from the moment from to the moment end. pickTime(from, to)
// and pickAction(action) are called when a bar or an entry of the legend is chosen.
export function chart(counts, from, end, { pickTime, pickAction }) {
  const data = arrangeBins(counts, from, end);
  const place = h("div.plot", {});
  const draw = () => place.replaceChildren(drawing(data, Math.max(280, place.clientWidth), pickTime));
  new ResizeObserver(later(50, draw)).observe(place);
  requestAnimationFrame(draw);
  const table = h("details.figures", { ontoggle: () => { if (table.open && table.children.length === 1) table.append(figures(data)); } },
    h("summary", {}, "As a table"));
  return h("figure.chart", {}, place, h("figcaption", {}, legend(data, pickAction), table));
}

// arrangeBins sorts counts into bars. Long times get a bar a day, which begins at midnight here; short ones a bar for six hours.
function arrangeBins(counts, from, end) {
  const totals = new Map();
  for (const { action, count } of counts) totals.set(action, (totals.get(action) ?? 0) + count);
  const ranked = [...totals].sort((a, b) => b[1] - a[1]);
  const names = ranked.slice(0, series).map(([action]) => action);
  const colours = coloursOf(names);
  const rest = ranked.slice(series).reduce((sum, [, n]) => sum + n, 0);
  const daily = end - from > 15 * 24 * hour;
  const bars = [];
  for (let start = floor(from, daily); start < end; start = next(start, daily)) {
    bars.push({ start, end: next(start, daily), total: 0, parts: new Array(series + 1).fill(0) });
  }
  for (const one of counts) {
    const moment = Date.parse(one.time);
    const bar = bars.findLast((bar) => bar.start <= moment);
    if (!bar) continue;
    const at = names.indexOf(one.action);
    bar.parts[at < 0 ? series : at] += one.count;
    bar.total += one.count;
  }
  return { bars, names, colours, totals, rest, daily, total: bars.reduce((sum, bar) => sum + bar.total, 0) };
}

// coloursOf gives each action a colour: the one that it always has, where no other has taken it, so that a filter changes little.
function coloursOf(names) {
  const colours = new Array(series);
  colours[series] = series; // that of the rest
  const free = new Set(Array(series).keys());
  const take = (i, colour) => {
    colours[i] = colour;
    free.delete(colour);
  };
  names.forEach((name, i) => { if (Object.hasOwn(usual, name) && free.has(usual[name])) take(i, usual[name]); });
  names.forEach((name, i) => { if (colours[i] === undefined) take(i, free.values().next().value); });
  return colours;
}

function floor(moment, daily) {
  return daily ? new Date(moment).setHours(0, 0, 0, 0) : Math.floor(moment / (6 * hour)) * 6 * hour;
}

function next(start, daily) {
  if (!daily) return start + 6 * hour;
  const date = new Date(start);
  return date.setDate(date.getDate() + 1); // a day is not always 24 hours
}

const label = (data, i) => (i < data.names.length ? actionLabel(data.names[i]) : "Others");
const when = (data, bar) => (data.daily ? dayOf(bar.start) : brief(bar.start));

// partsOf are the indices of what a bar, or the whole chart, has any of.
const partsOf = (parts) => parts.map((n, i) => [n, i]).filter(([n]) => n > 0);

function drawing(data, width, pickTime) {
  const top = ceiling(Math.max(1, ...data.bars.map((bar) => bar.total)));
  const y = (n) => 6 + (height - 6) * (1 - n / top);
  const step = (width - side) / data.bars.length;
  const gap = step > 6 ? 2 : step > 3 ? 1 : 0;
  const grid = [0, top / 2, top].map((n) => [
    svg("line.grid", { x1: side, x2: width, y1: y(n), y2: y(n) }),
    svg("text", { x: side - 6, y: y(n) + 4, "text-anchor": "end" }, compact.format(n))]);
  const bars = data.bars.map((bar, i) => drawBar(data, bar, side + i * step, step, gap, y, pickTime));
  return svg("svg", { viewBox: `0 0 ${width} ${height + foot}`, width, height: height + foot, role: "img", "aria-label": inWords(data) },
    grid, bars, days(data, step, width));
}

const compact = new Intl.NumberFormat(undefined, { notation: "compact" });

// ceiling is a round number that is not below n and has a round half.
function ceiling(n) {
  const size = 10 ** Math.floor(Math.log10(n));
  return Math.max(2, [1, 2, 4, 6, 10].map((factor) => factor * size).find((round) => round >= n));
}

function drawBar(data, bar, x, step, gap, y, pickTime) {
  let below = 0;
  const rects = partsOf(bar.parts).map(([n, i]) => {
    const rect = svg(`rect.c${data.colours[i]}`, { x: x + gap / 2, width: Math.max(1, step - gap), y: y(below + n), height: y(below) - y(below + n) });
    below += n;
    return rect;
  });
  const lines = partsOf(bar.parts).sort((a, b) => b[0] - a[0]).map(([n, i]) => `\n${label(data, i)}: ${n}`);
  const hit = svg("rect.hit", { x, width: step, y: 0, height, onclick: () => pickTime(bar.start, bar.end) },
    svg("title", {}, `${when(data, bar)}: ${count(bar.total, "event")}${lines.join("")}`));
  return svg("g.stack", {}, rects, hit);
}

// days writes as many dates below the bars as there is room for, at the bars that begin one.
function days(data, step, width) {
  const texts = [];
  let free = side;
  data.bars.forEach((bar, i) => {
    const x = side + i * step;
    if (!data.daily && i > 0 && new Date(bar.start).getDate() === new Date(data.bars[i - 1].start).getDate()) return;
    if (x < free || x + 64 > width) return;
    texts.push(svg("text", { x, y: height + 14 }, dayOf(bar.start)));
    free = x + 96;
  });
  return texts;
}

function inWords(data) {
  const most = data.names.slice(0, 3).map((name) => `${actionLabel(name)} ${data.totals.get(name)}`).join(", ");
  return `Volume of events: ${count(data.total, "event")}${most ? `; most of them ${most}` : ""}.`;
}

function legend(data, pickAction) {
  const entry = (i, n) => [h(`i.swatch.c${data.colours[i]}`, { "aria-hidden": "true" }), `${label(data, i)} `, h("b", {}, compact.format(n))];
  const since = `${data.daily ? "Per day" : "Per 6 hours"} since ${dayOf(data.bars[0].start)}`;
  return h("ul.legend", { "aria-label": "Actions" },
    h("li.hint", {}, since),
    data.names.map((name, i) => h("li", {}, h("button", { type: "button", title: "Show these only", onclick: () => pickAction(name) }, entry(i, data.totals.get(name))))),
    data.rest > 0 && h("li", {}, h("span", {}, entry(series, data.rest))));
}

function figures(data) {
  const columns = [...data.names.keys(), ...(data.rest > 0 ? [series] : [])];
  return h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Volume of events as a table" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "From"), h("th", { scope: "col" }, "All"), columns.map((i) => h("th", { scope: "col" }, label(data, i))))),
    h("tbody", {}, data.bars.toReversed().filter((bar) => bar.total > 0).map((bar) => h("tr", {},
      h("th", { scope: "row" }, when(data, bar)), h("td", {}, bar.total), columns.map((i) => h("td", {}, bar.parts[i] || "")))))));
}
