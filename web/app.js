// The page's frame: who is signed in, the navigation, and which view fills the rest.
//
// A view is a module with open(view), which fills view.root; it may be async. view has
//   root     the element to fill, empty
//   args     the parts of the path after the view's name
//   query    the filters in the hash; router.keep changes them
//   from     { title, hash } of the view before, if there was one
//   place    the step in the history: the same again for those who come back to it
//   signal   aborted when the view is left; hand it to whatever goes on by itself
//   title    sets the title: title("Events")
//   key      binds a key while the view is shown: key("e", "Mark as seen", fn)
//   live     calls back when things of these kinds change: live(["event"], fn)
// A new view is a line in views, below.
import { onSignedOut, Problem } from "./api.js";
import { button, h, put } from "./dom.js";
import { icon } from "./icons.js";
import { bind, list as keyList } from "./keys.js";
import * as live from "./live.js";
import { go, here, onChange, place, to } from "./router.js";
import { forget, load, mayRead, mayWrite, session, signOut } from "./session.js";
import { attempt, undoLast } from "./toast.js";
import { open as openDialog } from "./dialog.js";
import * as unseen from "./unseen.js";

// Every view: its path, title and icon (none: not in the navigation), under which heading it stands there, who may see it,
// the letter that follows g, and where its module is.
const views = [
  { path: "inbox", title: "Inbox", icon: "inbox", may: () => true, letter: "i", load: () => import("./views/inbox.js") },
  { path: "events", title: "Events", icon: "events", may: mayRead, letter: "e", load: () => import("./views/events.js") },
  { path: "events/:pk", may: mayRead, load: () => import("./views/event.js") },
  { path: "rules", title: "Rules", icon: "rule", group: "Notify", may: mayRead, letter: "r", load: () => import("./views/rules.js") },
  { path: "rules/:pk", may: mayRead, load: () => import("./views/rule.js") },
  { path: "transports", title: "Transports", icon: "transport", group: "Notify", may: mayRead, letter: "t", load: () => import("./views/transports.js") },
  { path: "transports/:pk", may: mayRead, load: () => import("./views/transport.js") },
  { path: "mappings", title: "Mappings", icon: "mapping", group: "Notify", may: mayWrite, letter: "m", load: () => import("./views/mappings.js") },
  { path: "mappings/:pk", may: mayWrite, load: () => import("./views/mapping.js") },
  { path: "deliveries", title: "Deliveries", icon: "delivery", group: "Notify", may: mayRead, letter: "d", load: () => import("./views/deliveries.js") },
  { path: "deliveries/:pk", may: mayWrite, load: () => import("./views/delivery.js") },
  { path: "users", title: "Users", icon: "user", group: "People", may: mayRead, letter: "u", load: () => import("./views/users.js") },
  { path: "users/:pk", may: mayRead, load: () => import("./views/user.js") },
  { path: "groups", title: "Groups", icon: "group", group: "People", may: mayRead, letter: "g", load: () => import("./views/groups.js") },
  { path: "groups/:pk", may: mayRead, load: () => import("./views/group.js") },
  { path: "tokens", title: "Tokens", icon: "token", group: "People", may: mayWrite, letter: "k", load: () => import("./views/tokens.js") },
  { path: "sessions", title: "Sessions", icon: "session", group: "People", may: mayWrite, letter: "o", load: () => import("./views/sessions.js") },
  { path: "system", title: "System", icon: "system", group: "Belfry", may: mayRead, letter: "y", load: () => import("./views/system.js") },
  { path: "settings", title: "Settings", icon: "settings", group: "You", may: () => true, letter: "s", load: () => import("./views/settings.js") },
];

const app = document.getElementById("app");
let main = null; // where views are shown; null while nobody is signed in
let leave = new AbortController(); // ends the open view
let out = new AbortController(); // ends what runs while somebody is signed in
let moved = false; // whether a view was opened before: then the focus goes along
let asking = false; // whether the dialog for signing in again is open
let shown = null; // { title, hash } of the open view

const find = (parts) => views.find((view) => {
  const names = view.path.split("/");
  return names.length === parts.length && names.every((name, i) => name.startsWith(":") || name === parts[i]);
});

async function show() {
  if (!main) return;
  const { parts, query } = here();
  const found = find(parts);
  leave.abort();
  const current = leave = new AbortController();
  const root = h("div.view");
  main.replaceChildren(root);
  mark(parts[0]);
  unseen.name(found?.title ?? "");
  scrollTo(0, 0);
  if (!found || !found.may()) {
    root.append(nothing(found ? "This is for administrators." : "There is no such page."));
    return;
  }
  const { signal } = current;
  const from = shown;
  shown = { title: found.title ?? "", hash: location.hash };
  const view = {
    root, query, signal, from,
    args: parts.slice(1),
    place: place(),
    title: unseen.name,
    key: (keys, help, run) => bind(keys, help, run, signal),
    live: (kinds, fn) => live.listen(kinds, fn, signal),
  };
  try {
    const module = await found.load();
    if (!signal.aborted) await module.open(view);
  } catch (error) {
    if (!signal.aborted) failed(root, error);
  }
  if (moved && !signal.aborted && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  moved = true;
}

// failed shows in place of a view why it cannot be shown.
function failed(root, error) {
  if (!(error instanceof Problem)) console.error(error); // ours to mend
  const text = error instanceof Problem ? error.message : "This page could not be shown.";
  put(root, h("div.empty", { role: "alert" }, h("p", {}, text), button("", { onclick: show }, "Try again")));
}

const nothing = (text) => h("div.empty", {}, h("p", {}, text), h("p", {}, h("a", { href: to(["inbox"]) }, "Go to the inbox")));

// mark shows in the navigation where one is.
function mark(path) {
  for (const link of app.querySelectorAll("nav a")) {
    if (link.hash.slice(2).split("/")[0] === path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// frame builds the navigation around the views.
function frame() {
  const shown = views.filter((view) => view.title && view.may());
  main = h("main", { id: "main", tabindex: "-1" });
  const skip = h("a.skip", { href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, "Skip to the content");
  app.replaceChildren(skip, h("header.side", {}, logo(), h("nav", { "aria-label": "Main" }, groups(shown)), foot()), main, bar(shown));
  for (const badge of app.querySelectorAll(".badge")) unseen.watch((n) => paintBadge(badge, n), out.signal);
}

function logo() {
  const state = h("span.state");
  live.watch((now) => {
    const [word, hint] = {
      live: ["Live", "What happens appears by itself."],
      connecting: ["Connecting …", "Belfry is being asked for news."],
      offline: ["Offline", "You are offline. What is shown may be old."],
    }[now];
    state.dataset.state = now;
    state.textContent = word;
    state.title = hint;
  }, out.signal);
  return h("div.logo", {}, h("a", { href: to(["inbox"]) }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), "Belfry"), state);
}

function groups(shown) {
  const names = [...new Set(shown.map((view) => view.group ?? ""))];
  return names.map((name) => h("div.group", {},
    name && h("h2", {}, name),
    shown.filter((view) => (view.group ?? "") === name).map(linkTo)));
}

const linkTo = (view) => h("a", { href: to([view.path]) }, icon(view.icon), h("span", {}, view.title),
  view.path === "inbox" && h("span.badge", { hidden: true }));

function paintBadge(badge, n) {
  badge.hidden = n === 0;
  badge.replaceChildren(unseen.short(n), h("span.offscreen", {}, " unseen"));
}

// foot says who is signed in.
function foot() {
  const { user } = session;
  return h("div.foot", {}, h("span.who", { title: user.email || user.username }, user.name || user.username),
    button(".link", { onclick: () => attempt(endSession) }, "Sign out"));
}

async function endSession() {
  live.stop(); // its last word comes before the answer, and reading everything again would be refused
  try {
    await signOut();
  } catch (error) {
    live.start();
    throw error;
  }
  live.tell("*");
  welcome();
}

// bar is the navigation of small screens: what is used most, and the rest behind a button.
function bar(shown) {
  const first = shown.length > 4 ? shown.slice(0, 3) : shown;
  const more = () => {
    const dialog = openDialog("Menu", h("nav.menu", { "aria-label": "All pages" }, groups(shown)), foot());
    dialog.addEventListener("click", (event) => { if (event.target.closest("a, .foot button")) dialog.close(); });
  };
  return h("nav.bar", { "aria-label": "Main, small" }, first.map(linkTo), button("", { onclick: more }, icon("more"), h("span", {}, "More")));
}

// renew ends what ran for whoever was signed in, and shows the page to whoever is now.
function renew() {
  out.abort();
  out = new AbortController();
  begin();
}

// welcome shows the sign-in.
async function welcome() {
  out.abort();
  out = new AbortController();
  leave.abort();
  live.stop();
  forget();
  main = null;
  unseen.name("Sign in");
  const { open } = await import("./views/signin.js");
  open({ root: app, done: begin });
}

// ask signs in again in a dialog when the session is over, so that what was typed is not lost.
async function ask() {
  if (!main || asking) return;
  asking = true;
  live.stop();
  const { panel } = await import("./views/signin.js");
  const who = () => JSON.stringify([session.user.pk, session.user.is_superuser, session.scopes]);
  const before = who();
  const dialog = openDialog("Sign in again", h("p", {}, "Your session has ended. What you have typed is still there."), panel(() => dialog.close("in")));
  dialog.addEventListener("close", () => {
    asking = false;
    if (dialog.returnValue !== "in") welcome();
    else if (who() === before) live.start(); // which reads every view again
    else renew();
  });
}

// begin shows the page to whoever has signed in.
function begin() {
  moved = false;
  shown = null;
  if (!here().parts.length) history.replaceState(null, "", to(["inbox"]));
  frame();
  live.start();
  unseen.start(out.signal);
  return show();
}

function help() {
  const keys = (text) => text.split(" ").flatMap((key, i) => [i > 0 && " then ", h("kbd", {}, key)]);
  openDialog("Keys", h("dl.keys", {}, keyList().map(([shortcut, text]) => h("div", {}, h("dt", {}, keys(shortcut)), h("dd", {}, text)))),
    h("p.hint", {}, "Keys can be switched off in the settings."));
}

for (const view of views.filter((one) => one.letter)) {
  bind(`g ${view.letter}`, `Go to ${view.title.toLowerCase()}`, () => { if (main && view.may()) go([view.path]); });
}
bind("?", "Show the keys", () => { if (main) help(); });
bind("u", "Undo the last change", undoLast);

// begun shows the page, or the sign-in, or that the server does not answer.
async function begun() {
  try {
    await load();
  } catch (error) {
    app.replaceChildren(h("div.lone", {}, h("h1", {}, "Belfry"), h("p", { role: "alert" }, error.message), button(".primary", { onclick: begun }, "Try again")));
    return;
  }
  await (session.user ? begin() : welcome());
}

onChange(show);
onSignedOut(ask);
begun();
