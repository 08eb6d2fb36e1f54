// Tokens: a table of them, and the making of one. The settings show one's own, the administrators' view everybody's.
import { get, post, Problem, remove } from "./api.js";
import { confirm, open as openDialog } from "./dialog.js";
import { button, h } from "./dom.js";
import { form } from "./form.js";
import { icon } from "./icons.js";
import { copy } from "./json.js";
import { mayRead, session } from "./session.js";
import { table } from "./table.js";
import { time } from "./time.js";
import { attempt, say } from "./toast.js";

const path = "api/v3/core/tokens/";
const day = 86400e3;

// What a token may do, in words.
const scopes = [
  ["inbox", "inbox", "See the notifications, and mark them as seen"],
  ["read", "read", "Look at everything that its user may see, and change nothing"],
  ["ingest", "ingest", "Post events"],
  ["admin", "admin", "Everything that its user may do"],
];

// tokenTable is the table of the tokens that query chooses; with owners it says whose they are.
export function tokenTable({ query, label, empty, signal, owners = false }) {
  const list = table({
    path, query, label, signal, empty,
    columns: [
      ["Name", (one) => [h("b", {}, one.identifier), one.description && h("small", {}, ` ${one.description}`)]],
      owners && ["User", (one) => one.user_obj.username],
      ["May", (one) => (one.scopes ?? []).join(", ")],
      ["Ends", (one) => (one.expiring ? time(one.expires) : "never")],
      ["", (one) => button("", { "aria-label": `Revoke the token ${one.identifier}`, title: "Revoke", onclick: () => attempt(() => revoke(one, list)) }, icon("trash"))],
    ].filter(Boolean),
  });
  return list;
}

async function revoke(one, list) {
  if (!await confirm(`Revoke the token “${one.identifier}”?`, "Whatever uses it stops working at once, and it cannot be brought back.", "Revoke")) return;
  await remove(`${path}${encodeURIComponent(one.identifier)}/`);
  say("The token was revoked.");
  await list.read();
}

// newToken asks for what a token needs, shows its key once it is made, and calls done.
export function newToken(done, owners = false) {
  const dialog = openDialog("New token", form({
    fields: [
      { name: "identifier", label: "Name", placeholder: "phone", autocomplete: "off", autofocus: true, hint: "Letters, digits, - and _" },
      owners && { name: "user", label: "User name", value: session.user.username, autocomplete: "off", hint: "Who acts with it." },
      { name: "description", label: "What it is for", autocomplete: "off", hint: "May be empty." },
      { name: "scopes", label: "What it may do", type: "choices", value: ["inbox"], options: scopes
        .filter(([scope]) => mayRead() || scope !== "ingest").map(([scope, name, text]) => [scope, h("span", {}, h("b", {}, name), h("small", {}, ` ${text}`))]) },
      { name: "life", label: "Ends", type: "select", value: "365", options: [["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"], ["", "Never"]] },
    ].filter(Boolean),
    submit: "Make token",
    send: async ({ identifier, description, user, scopes, life }) => {
      if (!scopes.length) throw new Problem(400, "", { scopes: ["A token that may do nothing is of no use: choose something."] });
      const ends = life ? { expiring: true, expires: new Date(Date.now() + life * day).toISOString() } : { expiring: false };
      return post(path, { identifier, description, scopes, intent: "api", ...ends, ...(owners && user !== session.user.username && { user: await pkOf(user) }) });
    },
    done: (made) => {
      dialog.close();
      reveal(made.key);
      done(made);
    },
  }));
}

// pkOf is the key of the user with a name.
export async function pkOf(username, field = "user") {
  const { results } = await get("api/v3/core/users/", { username, include_groups: false });
  if (!results.length) throw new Problem(400, "", { [field]: ["There is no user of this name."] });
  return results[0].pk;
}

// reveal shows a new key. It is the only time that anybody can see it.
function reveal(key) {
  const field = h("input.key", { type: "text", readonly: true, value: key, "aria-label": "The token" });
  openDialog("The new token", h("p", {}, "Copy it now: it is not shown again."), h("div.row-of", {}, field, button(".primary", { onclick: () => copy(key, field) }, icon("copy"), "Copy")));
}
