// One user: who that is, the groups, the password, and the way out.
import { get, patch, post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, put } from "../dom.js";
import { form } from "../form.js";
import { back, card, facts } from "../lists.js";
import { go, to } from "../router.js";
import { mayWrite, session } from "../session.js";
import { exact, time } from "../time.js";
import { attempt, say } from "../toast.js";
import { fields, marks, path } from "./users.js";

export async function open(view) {
  const own = `${path}${encodeURIComponent(view.args[0])}/`;
  let user;
  try {
    user = await get(own, {}, view.signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    view.root.append(back(view, "Users", to(["users"])), h("div.empty", {}, h("p", {}, "There is no such user.")));
    return;
  }
  const groups = mayWrite() ? (await get("api/v3/core/groups/", { include_users: false, page_size: 1000 }, view.signal)).results : [];
  const draw = (next) => {
    user = next;
    view.title(user.username);
    put(view.root, back(view, "Users", to(["users"])),
      h("header.title.narrow", {}, h("h1.text", {}, user.name || user.username), marks(user)),
      card("About", about()),
      mayWrite() && [card("Account", account()), card("Groups", memberships()), card("Password", password()), card("Leaving", leaving())]);
  };

  const about = () => facts([
    ["User name", user.username], ["E-mail", user.email], ["Signed in", user.last_login ? time(user.last_login) : "never"], ["Joined", exact(user.date_joined)],
    ["Groups", user.groups_obj?.length ? user.groups_obj.map((group, i) => [i > 0 && ", ", h("a", { href: to(["groups", group.pk]) }, group.name)]) : "none"],
    ["Log", h("a", { href: to(["events"], { user: user.username }) }, "What they did")],
  ]);

  const account = () => form({
    fields: fields(user),
    send: (values) => patch(own, values),
    done: (next) => {
      say("Saved.");
      draw(next);
    },
  });

  const memberships = () => (groups.length ? form({
    fields: [{ name: "groups", label: "Member of", type: "choices", value: user.groups, options: groups.map((group) => [group.pk, [group.name, group.is_superuser && h("span.tag", {}, "superusers")]]) }],
    send: (values) => patch(own, values),
    done: (next) => {
      say("Saved.");
      draw(next);
    },
  }) : h("p", {}, h("a", { href: to(["groups"]) }, "There is no group yet.")));

  const password = () => (user.pk === session.user.pk ? h("p", {}, h("a", { href: to(["settings"]) }, "Your own password is in your settings.")) : form({
    fields: [{ name: "password", label: "New password", type: "password", autocomplete: "new-password", hint: "At least 10 characters. The user’s sessions end." }],
    submit: "Set password",
    send: (values) => post(`${own}set_password/`, values),
    done: (_, node) => {
      node.reset();
      say("The password was set.");
    },
  }));

  const activate = async (is_active) => {
    draw(await patch(own, { is_active }));
    say(is_active ? "The user is active again." : "The user is deactivated.", () => activate(!is_active));
  };

  const discard = async () => {
    if (!await confirm(`Delete ${user.username}?`, "Their inbox, tokens and sessions are deleted with them. What they did stays in the log.", "Delete")) return;
    await remove(own);
    say("The user was deleted.");
    go(["users"]);
  };

  const leaving = () => [
    h("p.hint", {}, "Who is deactivated can neither sign in nor use a token, and gets nothing. That can be undone; deleting cannot."),
    h("p.tools", {},
      button("", { onclick: () => attempt(() => activate(!user.is_active)) }, user.is_active ? "Deactivate" : "Activate"),
      button(".danger", { onclick: () => attempt(discard) }, "Delete")),
  ];
  draw(user);
}
