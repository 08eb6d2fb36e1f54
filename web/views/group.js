// One group: its name and rights, and its members.
import { get, patch, post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, later, newId, put } from "../dom.js";
import { form } from "../form.js";
import { back, card } from "../lists.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { pkOf } from "../tokens.js";
import { attempt, say } from "../toast.js";
import { body, fields, path } from "./groups.js";
import { marks, path as users } from "./users.js";

export async function open(view) {
  const own = `${path}${encodeURIComponent(view.args[0])}/`;
  const top = () => back(view, "Groups", to(["groups"]));
  const missing = () => put(view.root, top(), h("div.empty", {}, h("p", {}, "There is no such group.")));
  let group, gone = false;
  try {
    group = await get(own, { include_users: false }, view.signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    missing();
    return;
  }
  const title = h("h1.text");
  const tag = h("span.tag", {}, "superusers");
  const named = () => {
    view.title(group.name);
    title.textContent = group.name;
    tag.hidden = !group.is_superuser;
  };

  const change = async (what, pk) => {
    await post(`${own}${what}/`, { pk });
    await list.read();
  };

  const list = table({
    path: users, query: { groups_by_pk: group.pk, include_groups: false }, label: "Members", signal: view.signal,
    empty: h("p.hint", {}, "Nobody is in this group."),
    columns: [
      ["User name", (one) => [h("a", { href: to(["users", String(one.pk)]) }, one.username), marks(one)]],
      ["Name", (one) => one.name || "–"],
      ["", (one) => mayWrite() && button("", { "aria-label": `Remove ${one.username}`, onclick: () => attempt(() => take(one)) }, "Remove")],
    ],
  });

  const take = async (user) => {
    await change("remove_user", user.pk);
    say(`${user.username} is a member no more.`, () => change("add_user", user.pk));
  };

  const discard = async () => {
    if (!await confirm(`Delete the group “${group.name}”?`, "Its members stay. Rules that notify it notify nobody from then on.", "Delete")) return;
    gone = true; // the hint that it is may come first: no user is asked for by it then
    try {
      await remove(own);
    } catch (error) {
      gone = false;
      throw error;
    }
    say("The group was deleted.");
    go(["groups"]);
  };

  const edit = async () => form({
    fields: await fields(group),
    send: (values) => patch(own, body(values)),
    done: (next) => {
      group = next;
      named();
      say("Saved.");
    },
    aside: button("", { onclick: () => attempt(discard) }, "Delete the group"),
  });

  named();
  put(view.root, top(), h("header.title.narrow", {}, title, tag),
    card("Members", list.node, mayWrite() && adder((pk) => change("add_user", pk))), mayWrite() && card("Group", await edit()));
  const again = () => list.read().catch((error) => {
    if (error.status !== 400) throw error;
    missing(); // somebody else has deleted it: no user is asked for by it any more
  });
  view.live(["group", "user"], () => { if (!gone) attempt(again); });
  await list.read();
}

// adder is a field that proposes users while a name is typed, and adds one.
function adder(add) {
  const names = h("datalist", { id: newId("names") });
  const field = form({
    fields: [{ name: "username", label: "Add a member", placeholder: "User name", list: names.id, autocomplete: "off", autocapitalize: "none" }],
    submit: "Add",
    send: async ({ username }) => add(await pkOf(username.trim(), "username")),
    done: (_, node) => node.reset(),
  });
  field.addEventListener("input", later(250, (event) => attempt(async () => {
    const { results } = await get(users, { search: event.target.value, page_size: 10, include_groups: false });
    put(names, results.map((user) => h("option", { value: user.username }, user.name)));
  })));
  return [field, names];
}
