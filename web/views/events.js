// The log: a chart of the volume, filters that stand in the URL, and a table that goes as far back as one scrolls.
import { get, Problem } from "../api.js";
import { chart } from "../chart.js";
import { button, h, later, put } from "../dom.js";
import { actor, brand, cut, gist, place } from "../facts.js";
import { feed } from "../feed.js";
import { icon } from "../icons.js";
import { actionLabel, actionTone, count, knownActions } from "../labels.js";
import { go, keep, to } from "../router.js";
import { Rows } from "../rows.js";
import { time } from "../time.js";
import { complain } from "../toast.js";

const path = "api/v3/events/events/";
const day = 86400e3;
const longest = 60; // days that the server counts for a chart
const spans = { "": ["Any time", 0], "1h": ["Last hour", day / 24], "24h": ["Last 24 hours", day], "7d": ["Last 7 days", 7 * day], "30d": ["Last 30 days", 30 * day] };

// Filters that are typed: name in the URL, label, placeholder, name in the API.
const typed = [["app", "App", "any", "app"], ["user", "User", "any", "username"], ["address", "Address", "any", "client_ip"], ["brand", "Brand", "any", "brand_name"]];

let kept = null; // what was shown when the view was left: the way back leads to the same place

export async function open(view) {
  view.title("Events");
  const log = new Log(view);
  view.root.append(log.head(), log.volume, log.status, log.rows.node, log.foot);
  view.key("/", "Search", () => log.search.focus());
  view.key("j", "Next event", () => log.rows.move(1));
  view.key("k", "Previous event", () => log.rows.move(-1));
  view.live(["event"], (hints) => log.hear(hints));
  view.signal.addEventListener("abort", () => log.keep());
  if (!log.restore()) await log.begin();
}

class Log {
  constructor(view) {
    this.view = view;
    this.filter = view.query;
    this.hints = [];
    this.volume = h("section.volume", { "aria-label": "Event volume" });
    this.summary = h("span", { role: "status" });
    this.pill = button(".pill", { hidden: true, onclick: () => this.toTop() });
    this.clear = button(".link", { hidden: true, onclick: () => go(["events"]) }, "Clear the filters");
    this.status = h("p.status", {}, this.summary, this.clear, this.pill);
    this.foot = h("p.end", { role: "status" });
    this.rows = new Rows({
      columns: ["Action", "What", "User", "Address", "Brand", "Time"], label: "Events", keyOf: (event) => event.pk, make: row,
      wanted: () => this.more(), signal: view.signal,
    });
  }

  head() {
    this.search = h("input", { type: "search", placeholder: "Search all fields", "aria-label": "Search events", value: this.filter.search ?? "" });
    this.search.addEventListener("input", later(300, () => this.change({ search: this.search.value.trim() })));
    const toggle = button(".toggle", { "aria-expanded": "false", onclick: () => toggle.setAttribute("aria-expanded", String(more.classList.toggle("open"))) }, icon("filter"), "Filters");
    const more = this.more_ = h("div.filters.fold", {}, this.actions(), typed.map((one) => this.typed(...one)), this.span());
    const used = Object.keys(this.filter).filter((key) => key !== "search" && this.filter[key]).length;
    if (used) toggle.append(h("b", {}, ` ${used}`));
    return h("div.head", {}, h("div.title", {}, h("h1", {}, "Events"), h("label.search", {}, icon("search"), this.search), toggle), more);
  }

  actions() {
    const chosen = this.filter.action ?? "";
    const all = knownActions.some(([value]) => value === chosen) || !chosen ? knownActions : [[chosen, actionLabel(chosen)], ...knownActions];
    this.action = h("select", { onchange: () => this.change({ action: this.action.value }) }, h("option", { value: "" }, "any"),
      all.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
    return h("label", {}, "Action", this.action);
  }

  typed(name, label, placeholder) {
    const input = h("input", { type: "text", placeholder, value: this.filter[name] ?? "", spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
    input.addEventListener("input", later(400, () => this.change({ [name]: input.value.trim() })));
    return h("label", {}, label, input);
  }

  // span is the choice of the time: one of the usual stretches, or from and to.
  span() {
    const { since = "", from, to: until } = this.filter;
    const own = Boolean(from || until);
    const select = h("select", { onchange: () => choose(select.value) },
      Object.entries(spans).map(([value, [label]]) => h("option", { value, selected: !own && value === since }, label)),
      h("option", { value: "own", selected: own }, "From … to …"));
    const field = (name, label) => {
      const input = h("input", { type: "datetime-local", value: local(this.filter[name]), "aria-label": label });
      input.addEventListener("change", () => this.change({ since: "", [name]: input.value ? new Date(input.value).toISOString() : "" }));
      return input;
    };
    const fields = h("span.between", { hidden: !own }, field("from", "From"), field("to", "To"));
    const choose = (value) => {
      fields.hidden = value !== "own";
      if (value === "own") fields.querySelector("input").focus();
      else this.change({ since: value, from: "", to: "" });
    };
    return [h("label", {}, "Time", select), fields];
  }

  change(filter) {
    this.filter = { ...this.filter, ...filter };
    keep(this.filter);
    this.begin();
  }

  // query is the filter in the API's words, as of now.
  query() {
    const { search, action, since, from, to: until } = this.filter;
    const start = Object.hasOwn(spans, since ?? "") && spans[since ?? ""][1];
    const query = { search, actions: action, created__gte: start ? new Date(Date.now() - start).toISOString() : from, created__lt: until };
    for (const [name, , , field] of typed) query[field] = this.filter[name];
    return query;
  }

  // begin reads the table and the chart anew. What goes wrong is said below the table.
  begin() {
    this.beginning = this.read().catch((error) => this.failed(error, () => this.begin()));
    return this.beginning;
  }

  failed(error, again) {
    if (!(error instanceof Problem)) throw error;
    put(this.foot, h("span", { role: "alert" }, error.message), " ", button("", { onclick: again }, "Try again"));
  }

  async read() {
    const query = this.query();
    const feedOf = this.feed = feed(path, query, undefined);
    this.loading = false;
    this.pill.hidden = true;
    this.news = 0;
    this.rows.node.setAttribute("aria-busy", "true");
    if (!this.rows.items.length) this.foot.textContent = "Reading …";
    this.drawVolume(query, feedOf);
    const first = await this.feed.more();
    if (feedOf !== this.feed) return; // another filter was chosen meanwhile
    this.rows.node.removeAttribute("aria-busy");
    this.rows.set(first.map(slim));
    if (this.rows.top() < 0) scrollTo(0, 0);
    this.say();
  }

  async more() {
    const { feed } = this;
    if (!feed || this.loading || feed.done || !feed.known.size) return;
    this.loading = true;
    try {
      const next = await feed.more();
      if (feed !== this.feed) return;
      this.rows.append(next.map(slim));
      this.say();
    } catch (error) {
      if (feed === this.feed) this.failed(error, () => this.more());
      return;
    } finally {
      this.loading = false;
    }
    this.rows.paint();
  }

  say() {
    const { total, atLeast, done } = this.feed;
    const shown = this.rows.items.length;
    this.summary.textContent = shown ? `${atLeast && !done ? "More than " : ""}${count(done ? shown : total, "event")}` : "";
    if (shown) this.foot.textContent = done ? "That is all." : "Reading …";
    else this.foot.replaceChildren(this.empty());
    this.clear.hidden = !shown || !Object.values(this.filter).some(Boolean);
    this.rows.node.hidden = shown === 0;
  }

  empty() {
    if (Object.values(this.filter).some(Boolean)) {
      return h("span.empty", {}, h("span", {}, "No event matches. "), button("", { onclick: () => go(["events"]) }, "Show all events"));
    }
    return h("span.empty", {}, icon("events"), h("span", {}, "Nothing has happened yet. Post a first event:"),
      h("code", {}, `curl -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"action":"configuration_error","app":"backup","context":{"message":"The disk is 91 % full"}}' ${new URL("api/v3/events/events/", location.href.split("#")[0])}`));
  }

  // hear collects hints and acts on them at most every second: a busy log must not keep the page busy.
  hear(hints) {
    if (!this.hints.length) setTimeout(() => this.catchUp().catch(complain), this.quiet ? 100 : 1000);
    this.hints.push(...hints);
    this.quiet = false;
  }

  async catchUp() {
    const hints = this.hints.splice(0);
    await this.beginning; // or what comes meanwhile would be missed
    const { feed } = this;
    if (this.view.signal.aborted) return;
    if (!feed.known.size && !feed.done) return this.begin(); // it failed before
    for (const id of [...new Set(hints.map((hint) => hint.id))].filter((id) => feed.known.has(id)).slice(0, 20)) await this.reread(id);
    const came = this.filter.to ? [] : await feed.news();
    if (feed !== this.feed) return;
    if (came === null && this.atTop()) return this.begin();
    if (came === null || came.length) this.arrived(came);
    return undefined;
  }

  async reread(pk) {
    try {
      this.rows.replace(pk, slim(await get(`${path}${pk}/`)));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.rows.replace(pk, null);
    }
  }

  atTop() {
    return this.rows.top() > 0;
  }

  // arrived shows what came; those who have scrolled see that there is something, and nothing moves.
  arrived(came) {
    const above = !this.atTop();
    if (came) this.rows.prepend(came.map((event) => ({ ...slim(event), isNew: true })));
    this.say();
    if (Date.now() - this.drawn > 30_000) this.drawVolume(this.query(), this.feed);
    if (!above) return;
    this.news += came?.length ?? Infinity;
    this.pill.textContent = Number.isFinite(this.news) ? `↑ ${this.news} new` : "↑ Many new";
    this.pill.hidden = false;
    addEventListener("scroll", () => { if (this.atTop()) this.pill.hidden = true; }, { passive: true, signal: this.view.signal });
  }

  toTop() {
    this.pill.hidden = true;
    scrollTo(0, 0);
    if (!Number.isFinite(this.news)) this.begin();
    this.news = 0;
  }

  // drawVolume shows the chart of the same filter; it may take longer than the table, and fails by itself.
  async drawVolume(query, feed) {
    this.drawn = Date.now();
    const now = Date.now();
    const end = Math.min(Date.parse(query.created__lt ?? "") || now, now);
    const from = Math.max(Date.parse(query.created__gte ?? "") || end - 30 * day, now - longest * day);
    if (from >= end) {
      this.volume.replaceChildren(h("p.hint", {}, `No chart: it reaches back ${longest} days.`));
      return;
    }
    const days = Math.min(longest, Math.max(1, Math.ceil((now - from) / day)));
    this.volume.classList.add("loading");
    try {
      const counts = await get(`${path}volume/`, { ...query, history_days: days }, this.view.signal);
      if (feed !== this.feed) return; // another filter was chosen meanwhile
      this.volume.replaceChildren(chart(counts, from, end, {
        pickTime: (start, end) => go(["events"], { ...this.filter, since: "", from: new Date(start).toISOString(), to: new Date(end).toISOString() }),
        pickAction: (action) => go(["events"], { ...this.filter, action }),
      }));
    } catch (error) {
      if (error.name !== "AbortError" && feed === this.feed) this.volume.replaceChildren(h("p.hint", {}, `No chart: ${error.message}`));
    }
    this.volume.classList.remove("loading");
  }

  keep() {
    if (!this.feed?.known.size) return;
    kept = { place: this.view.place, filter: JSON.stringify(this.filter), items: this.rows.items, feed: this.feed, scroll: this.scrolled, volume: this.volume.firstElementChild, drawn: this.drawn };
  }

  // restore shows what was left a while ago with the same filter, then what came since.
  restore() {
    addEventListener("scroll", () => { this.scrolled = scrollY; }, { passive: true, signal: this.view.signal });
    if (kept?.place !== this.view.place || kept.filter !== JSON.stringify(this.filter) || Date.now() - kept.drawn > 600e3) return false;
    this.feed = kept.feed;
    this.drawn = kept.drawn;
    this.news = 0;
    if (kept.volume) this.volume.append(kept.volume);
    this.rows.set(kept.items);
    this.say();
    const { scroll = 0 } = kept;
    scrollTo(0, scroll);
    this.rows.paint();
    this.hear([]);
    return true;
  }
}

// slim is what a row needs of an event: contexts may be large, and rows are many.
function slim(event) {
  return {
    pk: event.pk, action: event.action, app: cut(event.app, 120), gist: gist(event), actor: actor(event), created: event.created,
    client_ip: event.client_ip, place: place(event), brand: brand(event),
  };
}

function row(event) {
  const { name, note } = event.actor;
  const cell = (name, ...children) => h(`span.${name}`, { role: "cell" }, children);
  return h("div.row", { class: event.isNew ? "new" : "" },
    cell("action", h("a", { href: to(["events", event.pk]), class: actionTone(event.action) }, actionLabel(event.action)), h("small", {}, event.app)),
    cell("gist", event.gist),
    cell("user", name ? cut(name, 80) : "–", note && h("small", {}, cut(note, 80))),
    cell("address", event.client_ip ?? "–", event.place && h("small", {}, cut(event.place, 80))),
    cell("brand", cut(event.brand || "–", 60)),
    cell("when", time(event.created)));
}

// local is a moment as a field for date and time takes it.
function local(moment) {
  const date = new Date(moment ?? "");
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
}
