// Everybody's sessions.
import { h } from "../dom.js";
import { head } from "../lists.js";
import { sessionTable } from "../sessions.js";
import { attempt } from "../toast.js";

export async function open(view) {
  view.title("Sessions");
  const query = ({ search }) => ({ search });
  const list = sessionTable({ path: "api/belfry/sessions/", query: query(view.query), label: "Sessions", signal: view.signal, owners: true });
  view.root.append(head(view, "Sessions", { changed: (filter) => list.filter(query(filter)) }), h("section.card", {}, list.node));
  view.live(["session"], () => attempt(list.read));
  await list.read();
}
