// How many notifications are unseen: in the title, the icon of the tab and the navigation, in whichever view one is. A new
// one is read out to those who listen.
import { get, Problem } from "./api.js";
import { listen } from "./live.js";
import { session } from "./session.js";
import { severityLabel } from "./labels.js";
import { cut } from "./facts.js";

const path = "api/v3/events/notifications/";
const watchers = new Set();
let unseen = 0;
let newest = null; // when the newest one that was seen here was made
let title = "";
let running = false;

// watch calls fn with the number, now and at each change, until signal aborts.
export function watch(fn, signal) {
  watchers.add(fn);
  fn(unseen);
  signal?.addEventListener("abort", () => watchers.delete(fn));
}

// name sets the view's part of the title.
export function name(text) {
  title = text;
  paint();
}

// start counts, and keeps counting until signal aborts.
export function start(signal) {
  newest = null;
  listen(["notification"], read, signal);
  signal.addEventListener("abort", () => turn(0));
  return read();
}

async function read() {
  if (running) {
    running = "again";
    return;
  }
  running = true;
  try {
    const answer = await get(path, { seen: false, user: session.user.pk, ordering: "-created", page_size: 1 });
    announce(answer.results[0]);
    turn(answer.pagination.count);
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // offline or signed out shows elsewhere, and the next hint reads again
  }
  const again = running === "again";
  running = false;
  if (again && session.user) read();
}

function announce(first) {
  const created = first?.created ?? "";
  if (newest !== null && created > newest) {
    document.getElementById("announce").textContent = `New notification, ${severityLabel(first.severity)}: ${cut(first.body, 300)}`;
  }
  if (newest === null || created > newest) newest = created;
}

function turn(n) {
  unseen = n;
  for (const watcher of watchers) watcher(n);
  paint();
}

function paint() {
  document.title = `${unseen ? `(${short(unseen)}) ` : ""}${title ? `${title} · ` : ""}Belfry`;
  document.getElementById("favicon").href = unseen ? badge(short(unseen)) : "icon.svg";
}

// short is a number for small places.
export const short = (n) => (n > 999 ? "999+" : String(n));

// badge draws the icon with a number on it.
function badge(text) {
  const size = text.length > 2 ? 11 : 14;
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#c2571f" d="M14 3a2 2 0 0 0-2 2v1.3C8 7.2 5.5 10.6 5.5 15v6l-3 4h23l-3-4v-6c0-4.4-2.5-7.8-6.5-8.700V5a2 2 0 0 0-2-2zm-3.5 24a3.5 3.5 0 0 0 7 0z"/>`
    + `<circle cx="22" cy="10" r="10" fill="#b3261e"/><text x="22" y="${10 + size * 0.36}" font-family="sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${text}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}
