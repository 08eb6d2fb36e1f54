// One's own affairs: password, sessions, tokens, and how this browser behaves.
import { post, remove } from "../api.js";
import { confirm, open as openDialog } from "../dialog.js";
import { button, h } from "../dom.js";
import { cut } from "../facts.js";
import { form } from "../form.js";
import { icon } from "../icons.js";
import { copy } from "../json.js";
import { enable, enabled } from "../keys.js";
import { load, mayOwn, session } from "../session.js";
import { table } from "../table.js";
import { time } from "../time.js";
import { attempt, say } from "../toast.js";

const sessions = "api/belfry/me/sessions/";
const tokens = "api/v3/core/tokens/";

export async function open(view) {
  view.title("Settings");
  const { user } = session;
  view.root.append(h("div.title.narrow", {}, h("h1", {}, "Settings")),
    card("You", h("dl.facts", {}, [["User name", user.username], ["Name", user.name], ["E-mail", user.email], ["Groups", user.groups.map((group) => group.name).join(", ")],
      ["Rights", rights(user)]].filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd.text", {}, value))))));
  if (!mayOwn()) {
    view.root.append(card("This browser", keys()), h("p.hint", {}, "Password, sessions and tokens are shown to those who sign in with their password, or with a token of the scope admin."));
    return;
  }
  const lists = { session: sessionTable(view.signal), token: tokenTable(view.signal) };
  view.root.append(card("Password", password()), card("Sessions", lists.session.node),
    card("Tokens", lists.token.node, h("p", {}, button("", { onclick: () => newToken(lists.token) }, "New token"))), card("This browser", keys()));
  view.live(["session", "token"], (hints) => {
    for (const [kind, list] of Object.entries(lists)) if (hints.some((hint) => [kind, "*"].includes(hint.kind))) attempt(list.read);
  });
  await Promise.all(Object.values(lists).map((list) => attempt(list.read)));
}

const card = (title, ...content) => h("section.card", {}, h("h2", {}, title), ...content);

function rights(user) {
  const may = { admin: user.is_superuser ? "everything" : "your inbox and your own settings", read: "look at everything", inbox: "your inbox", ingest: "post events" };
  return sentence(session.scopes.map((scope) => (scope === "read" && !user.is_superuser ? "look at your inbox" : may[scope] ?? scope)).join(", "));
}

const sentence = (text) => text && text[0].toUpperCase() + text.slice(1);

function password() {
  const place = h("div", {});
  const draw = () => place.replaceChildren(form({
    fields: [
      session.has_password && { name: "old_password", label: "Password now", type: "password", autocomplete: "current-password" },
      { name: "password", label: "New password", type: "password", autocomplete: "new-password", hint: "At least 10 characters. All your other sessions end." },
    ].filter(Boolean),
    submit: session.has_password ? "Change password" : "Set password",
    send: (values) => post("api/belfry/me/password/", values),
    done: async () => {
      say("The password was changed.");
      await attempt(load);
      draw();
    },
    aside: h("input.offscreen", { type: "text", autocomplete: "username", value: session.user.username, readonly: true, tabindex: -1, "aria-hidden": "true" }),
  }));
  draw();
  return [!session.has_password && h("p.hint", {}, "You have no password yet: with one you need no token to sign in."), place];
}

function sessionTable(signal) {
  const list = table({
    path: sessions, label: "Your sessions", signal,
    columns: [
      ["Browser", (one) => [h("b", {}, browser(one.user_agent)), one.current && h("span.tag", {}, "this one")]],
      ["Address", (one) => one.client_ip ?? "unknown"],
      ["Opened", (one) => (one.method === "token" ? "by token" : "by password")],
      ["Used", (one) => time(one.last_used)],
      ["Ends", (one) => time(one.expires)],
      ["", (one) => !one.current && button("", { onclick: () => attempt(() => endSession(one, list)) }, "End")],
    ],
  });
  return list;
}

// browser is what a user agent is, as far as a glance can tell.
function browser(agent) {
  const found = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1];
  const name = found([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = found([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]]);
  return name ? `${name}${system ? ` on ${system}` : ""}` : cut(agent || "Unknown browser", 80);
}

async function endSession(one, list) {
  await remove(`${sessions}${one.pk}/`);
  say("The session has ended.");
  await list.read();
}

function tokenTable(signal) {
  const list = table({
    path: tokens, query: { user__username: session.user.username, ordering: "identifier" }, label: "Your tokens", signal,
    empty: h("p.hint", {}, "You have no tokens. A token lets a program act for you."),
    columns: [
      ["Name", (one) => h("b", {}, one.identifier)],
      ["May", (one) => (one.scopes ?? []).join(", ")],
      ["Ends", (one) => (one.expiring ? time(one.expires) : "never")],
      ["", (one) => button("", { "aria-label": `Delete the token ${one.identifier}`, onclick: () => attempt(() => discard(one, list)) }, icon("trash"))],
    ],
  });
  return list;
}

async function discard(one, list) {
  if (!await confirm(`Delete the token “${one.identifier}”?`, "Whatever uses it stops working at once.", "Delete")) return;
  await remove(`${tokens}${encodeURIComponent(one.identifier)}/`);
  say("The token was deleted.");
  await list.read();
}

function newToken(list) {
  const dialog = openDialog("New token", form({
    fields: [
      { name: "identifier", label: "Name", placeholder: "phone", autocomplete: "off" },
      { name: "scopes", label: "What it may do", type: "choices", value: ["inbox"], options: [
        ["inbox", "Your inbox"], ["read", "Look at everything that you may see"], ["ingest", "Post events"], ["admin", "All that you may"]] },
    ],
    submit: "Make token",
    send: (values) => post(tokens, { ...values, intent: "api" }),
    done: (made) => {
      dialog.close();
      reveal(made.key);
      attempt(list.read);
    },
  }));
}

// reveal shows a new key. It is the only time that anybody can see it.
export function reveal(key) {
  const field = h("input.key", { type: "text", readonly: true, value: key, "aria-label": "The token" });
  openDialog("The new token", h("p", {}, "Copy it now: it is not shown again."), h("div.row-of", {}, field, button(".primary", { onclick: () => copy(key, field) }, icon("copy"), "Copy")));
}

function keys() {
  const box = h("input", { type: "checkbox", checked: enabled(), onchange: () => enable(box.checked) });
  return h("label.check", {}, box, "Keys without a modifier, such as j, k and e (press ? to see them)");
}
