// Times as people read them: how long ago, and exactly, in the browser's language and zone.

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const shortly = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const longAgo = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", month: "short", day: "numeric" });

const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

// ago says how long ago, or in how long, a moment is; of one that is more than a week away the date says more.
export function ago(moment, now = Date.now()) {
  const then = new Date(moment);
  const seconds = (then - now) / 1000;
  if (Math.abs(seconds) >= 7 * 86400) return (then.getFullYear() === new Date(now).getFullYear() ? date : longAgo).format(then);
  const unit = units.find(([, size]) => Math.abs(seconds) >= size);
  if (unit) return relative.format(Math.trunc(seconds / unit[1]), unit[0]);
  return Math.abs(seconds) < 45 ? "just now" : relative.format(Math.sign(seconds), "minute");
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
