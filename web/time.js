// Times as people read them: how long ago, and exactly, in the browser's language and zone.

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const shortly = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", month: "short", day: "numeric" });

const units = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];

// ago says how long ago, or in how long, a moment is.
export function ago(moment, now = Date.now()) {
  const seconds = (new Date(moment) - now) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return unit === "second" ? (Math.abs(seconds) < 45 ? "just now" : relative.format(Math.sign(seconds), "minute")) : relative.format(Math.trunc(seconds / size), unit);
}

export const exact = (moment) => exactly.format(new Date(moment));
export const brief = (moment) => shortly.format(new Date(moment));
export const dayOf = (moment) => day.format(new Date(moment));

// time is an element that says how long ago a moment was and keeps saying it; the exact time is its tooltip. A moment that
// is no time is shown as it is.
export function time(moment) {
  const node = document.createElement("time");
  if (Number.isNaN(Date.parse(moment))) {
    node.textContent = moment ?? "–";
    return node;
  }
  node.dateTime = moment;
  node.title = exact(moment);
  node.className = "ago";
  node.textContent = ago(moment);
  return node;
}

setInterval(() => {
  const now = Date.now();
  for (const node of document.querySelectorAll("time.ago")) {
    const text = ago(node.dateTime, now);
    if (node.textContent !== text) node.textContent = text;
  }
}, 20_000);
