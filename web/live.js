// Hears from the server what changed. A hint names a kind of thing and perhaps which one; views read again what they show.
// One tab of the browser holds the stream and tells the others, since a browser allows few connections to one server.
// Whenever the stream begins anew everybody reads everything again: nothing is missed, and nothing has to be replayed.
// Tabs also tell each other of their own changes, so that they agree where no stream gets through.

const stream = "api/belfry/live";
const tabs = new BroadcastChannel("belfry");
const me = Math.random();
const everything = [{ kind: "*", id: "" }];
const listeners = new Set(); // fn(hints); hints of kind "*" mean everything
const watchers = new Set(); // fn(state)

let source = null; // the stream, in the tab that holds it
let silence = 0; // the timer that finds a dead stream
let holderSeen = 0; // when another tab last said that it holds the stream
let state = "connecting";
let started = false;

// listen calls fn with the hints that are of one of the kinds, until signal aborts. A hint is { kind, id }; one without an
// id is about all things of its kind.
export function listen(kinds, fn, signal) {
  const listener = (hints) => {
    const mine = hints.filter((hint) => hint.kind === "*" || kinds.includes(hint.kind));
    if (mine.length) fn(mine);
  };
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}

// watch calls fn with "live", "connecting" or "offline", now and at each change, until signal aborts.
export function watch(fn, signal) {
  watchers.add(fn);
  fn(state);
  signal?.addEventListener("abort", () => watchers.delete(fn));
}

// tell says to the other tabs what this one changed.
export const tell = (kind, id = "") => tabs.postMessage({ hints: [{ kind, id }] });

// start begins to listen, once somebody is signed in.
export function start() {
  if (started) return;
  started = true;
  elect();
}

// stop ends it, when nobody is signed in any more.
export function stop() {
  started = false;
  leave();
  turn("connecting");
}

// elect asks who holds the stream and takes it where nobody answers. Answers come fast even from a tab in the background,
// where timers are slow.
function elect() {
  const asked = Date.now();
  tabs.postMessage({ who: me });
  setTimeout(() => { if (started && !source && holderSeen < asked) hold(); }, 300 + Math.random() * 200);
}

function hold() {
  source = new EventSource(stream);
  source.addEventListener("hello", () => {
    alive();
    turn("live");
    pass(everything);
  });
  source.addEventListener("change", (event) => {
    alive();
    pass(JSON.parse(event.data));
  });
  source.addEventListener("beat", alive);
  source.addEventListener("bye", (event) => bye(JSON.parse(event.data).reason));
  source.onerror = () => {
    turn(navigator.onLine ? "connecting" : "offline");
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    pass(everything); // refused: if the session is over, whoever reads will know
    again(20_000);
  };
  alive();
  tabs.postMessage({ holder: me, state });
}

// alive notes that the stream spoke. One that is silent for long is dead, though nobody said so.
function alive() {
  clearTimeout(silence);
  silence = setTimeout(() => again(0), 45_000);
}

// bye is the server's last word. Whether the session is over is found out by reading everything again.
function bye(reason) {
  if (reason === "ended") pass(everything);
  again({ ended: 20_000, replaced: 60_000 }[reason] ?? 2_000);
}

// again gives up the stream and asks anew who holds one, after a while.
function again(wait) {
  turn(navigator.onLine ? "connecting" : "offline");
  drop();
  setTimeout(() => { if (started && !source) elect(); }, wait);
}

function drop() {
  clearTimeout(silence);
  source?.close();
  source = null;
}

// pass hands hints to this tab and to the others.
function pass(hints) {
  tabs.postMessage({ hints });
  hear(hints);
}

function hear(hints) {
  for (const listener of [...listeners]) listener(hints);
}

function turn(next) {
  if (source) tabs.postMessage({ holder: me, state: next });
  if (next === state) return;
  state = next;
  for (const watcher of watchers) watcher(state);
}

function leave() {
  if (!source) return;
  drop();
  tabs.postMessage({ gone: me });
}

tabs.onmessage = ({ data }) => {
  if (data.hints && started) hear(data.hints);
  if (data.who && source) tabs.postMessage({ holder: me, state });
  if (data.holder) {
    holderSeen = Date.now();
    if (source && data.holder < me) drop(); // two took it at once
    if (!source && started) turn(data.state);
  }
  if (data.gone && started && !source) elect();
};

addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => { if (event.persisted && started) elect(); });
document.addEventListener("visibilitychange", () => { if (started && !source && !document.hidden) elect(); });
setInterval(() => { if (started && !source) elect(); }, 20_000); // the tab that held it may have been frozen or killed
