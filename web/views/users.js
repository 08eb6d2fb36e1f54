// Everybody who has an account.
import { post } from "../api.js";
import { open as openDialog } from "../dialog.js";
import { button, h } from "../dom.js";
import { form } from "../form.js";
import { head } from "../lists.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { time } from "../time.js";
import { attempt } from "../toast.js";

export const path = "api/v3/core/users/";

// query is the filter of the URL in the API's words.
const query = ({ search, active, superuser }) => ({ search, is_active: active, is_superuser: superuser, include_groups: false });

export async function open(view) {
  view.title("Users");
  const list = table({
    path, query: query(view.query), label: "Users", signal: view.signal,
    empty: h("p.hint", {}, "Nobody is like this. Change the search, or make a new user."),
    columns: [
      ["User name", (one) => [h("a", { href: to(["users", String(one.pk)]) }, one.username), marks(one)]],
      ["Name", (one) => one.name || "–"],
      ["E-mail", (one) => one.email || "–"],
      ["Signed in", (one) => (one.last_login ? time(one.last_login) : "never")],
    ],
  });
  const choices = [
    ["active", "Active or not", [["", "Active and not"], ["true", "Active"], ["false", "Deactivated"]]],
    ["superuser", "Superuser or not", [["", "Everybody"], ["true", "Superusers"], ["false", "No superusers"]]],
  ];
  const actions = mayWrite() && button(".primary", { onclick: create }, "New user");
  view.root.append(head(view, "Users", { choices, actions, changed: (filter) => list.filter(query(filter)) }), h("section.card", {}, list.node));
  view.live(["user"], () => attempt(list.read));
  await list.read();
}

// marks are the tags behind a user's name.
export const marks = (user) => [user.is_superuser && h("span.tag", {}, "superuser"), !user.is_active && h("span.tag", {}, "deactivated")];

// fields are what a person's form asks for.
export const fields = (user = {}) => [
  { name: "username", label: "User name", value: user.username ?? "", autocomplete: "off", autocapitalize: "none", spellcheck: "false" },
  { name: "name", label: "Name", value: user.name ?? "", autocomplete: "off" },
  { name: "email", label: "E-mail", type: "email", value: user.email ?? "", autocomplete: "off", hint: "Where transports of the mode e-mail write to." },
];

function create() {
  const dialog = openDialog("New user", h("p.hint", {}, "A new user has no password and is in no group; both are set next."), form({
    fields: fields(),
    submit: "Make user",
    send: (values) => post(path, values),
    done: (made) => {
      dialog.close();
      go(["users", String(made.pk)]);
    },
  }));
}
