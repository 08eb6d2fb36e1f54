// One's own affairs: password, sessions, tokens, and how this browser behaves.
import { post } from "../api.js";
import { button, h } from "../dom.js";
import { form } from "../form.js";
import { enable, enabled } from "../keys.js";
import { card, facts } from "../lists.js";
import { load, mayOwn, session } from "../session.js";
import { sessionTable } from "../sessions.js";
import { attempt, say } from "../toast.js";
import { newToken, tokenTable } from "../tokens.js";

export async function open(view) {
  view.title("Settings");
  const { user } = session;
  view.root.append(h("div.title.narrow", {}, h("h1", {}, "Settings")),
    card("You", facts([["User name", user.username], ["Name", user.name], ["E-mail", user.email], ["Groups", user.groups.map((group) => group.name).join(", ")],
      ["Rights", rights(user)]])));
  if (!mayOwn()) {
    view.root.append(card("This browser", keys()), h("p.hint", {}, "Password, sessions and tokens are shown to those who sign in with their password, or with a token of the scope admin."));
    return;
  }
  const { signal } = view;
  const lists = {
    session: sessionTable({ path: "api/belfry/me/sessions/", label: "Your sessions", signal }),
    token: tokenTable({ query: { user__username: user.username }, label: "Your tokens", signal, empty: h("p.hint", {}, "You have no tokens. A token lets a program act for you.") }),
  };
  view.root.append(card("Password", password()), card("Sessions", lists.session.node),
    card("Tokens", lists.token.node, h("p", {}, button("", { onclick: () => newToken(() => attempt(lists.token.read)) }, "New token"))), card("This browser", keys()));
  view.live(["session", "token"], (hints) => {
    for (const [kind, list] of Object.entries(lists)) if (hints.some((hint) => [kind, "*"].includes(hint.kind))) attempt(list.read);
  });
  await Promise.all(Object.values(lists).map((list) => attempt(list.read)));
}

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

function keys() {
  const box = h("input", { type: "checkbox", checked: enabled(), onchange: () => enable(box.checked) });
  return h("label.check", {}, box, "Keys without a modifier, such as j, k and e (press ? to see them)");
}
