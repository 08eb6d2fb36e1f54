// Groups: rules notify them, and some make their members superusers.
import { get, post } from "../api.js";
import { open as openDialog } from "../dialog.js";
import { button, h } from "../dom.js";
import { form } from "../form.js";
import { head } from "../lists.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { attempt } from "../toast.js";

export const path = "api/v3/core/groups/";

const query = ({ search, superuser }) => ({ search, is_superuser: superuser, include_users: false });

export async function open(view) {
  view.title("Groups");
  const list = table({
    path, query: query(view.query), label: "Groups", signal: view.signal,
    empty: h("p.hint", {}, "There is no such group. A group brings together those whom a rule notifies."),
    columns: [
      ["Name", (one) => [h("a", { href: to(["groups", one.pk]) }, one.name), one.is_superuser && h("span.tag", {}, "superusers")]],
      ["Members", (one) => one.users.length],
      ["Parent", (one) => one.parent_name ?? "–"],
    ],
  });
  const choices = [["superuser", "Of superusers or not", [["", "All groups"], ["true", "Of superusers"], ["false", "Others"]]]];
  const actions = mayWrite() && button(".primary", { onclick: () => attempt(create) }, "New group");
  view.root.append(head(view, "Groups", { choices, actions, changed: (filter) => list.filter(query(filter)) }), h("section.card", {}, list.node));
  view.live(["group"], () => attempt(list.read));
  await list.read();
}

// fields are what a group's form asks for; those of others below it cannot be its parent.
export async function fields(group = { name: "", is_superuser: false, parent: null }) {
  const { results } = await get(path, { include_users: false, page_size: 1000 });
  return [
    { name: "name", label: "Name", value: group.name, autocomplete: "off" },
    { name: "parent", label: "Parent", type: "select", value: group.parent ?? "", hint: "Members of this group count as members of its parent.",
      options: [["", "none"], ...results.filter((one) => one.pk !== group.pk).map((one) => [one.pk, one.name])] },
    { name: "is_superuser", label: "Its members are superusers: they see and may change everything", type: "checkbox", value: group.is_superuser },
  ];
}

// body is a form's values as the API takes them.
export const body = (values) => ({ ...values, parent: values.parent || null });

async function create() {
  const dialog = openDialog("New group", form({
    fields: await fields(),
    submit: "Make group",
    send: (values) => post(path, body(values)),
    done: (made) => {
      dialog.close();
      go(["groups", made.pk]);
    },
  }));
}
