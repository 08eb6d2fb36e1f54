// Everybody's tokens.
import { button, h } from "../dom.js";
import { head } from "../lists.js";
import { attempt } from "../toast.js";
import { newToken, tokenTable } from "../tokens.js";

export async function open(view) {
  view.title("Tokens");
  const query = ({ search, expiring }) => ({ search, expiring });
  const list = tokenTable({
    query: query(view.query), label: "Tokens", signal: view.signal, owners: true,
    empty: h("p.hint", {}, "There is no such token. A token lets a program act for a user."),
  });
  const choices = [["expiring", "Ends or not", [["", "All tokens"], ["true", "That end"], ["false", "That never end"]]]];
  const actions = button(".primary", { onclick: () => newToken(() => attempt(list.read), true) }, "New token");
  view.root.append(head(view, "Tokens", { choices, actions, changed: (filter) => list.filter(query(filter)) }), h("section.card", {}, list.node));
  view.live(["token"], () => attempt(list.read));
  await list.read();
}
