// The mappings: expressions that make what webhooks send.
import { h, later } from "../dom.js";
import { paths } from "../notify.js";
import { to } from "../router.js";
import { table } from "../table.js";
import { attempt } from "../toast.js";

export async function open(view) {
  view.title("Mappings");
  const list = table({
    path: paths.mappings, label: "Mappings", signal: view.signal,
    empty: h("div.empty", {}, h("p", {}, "There is no mapping: webhooks send Belfry’s own form. A new transport that begins with a preset makes its mappings."), fresh()),
    columns: [
      ["Name", (one) => h("a.name", { href: to(["mappings", one.pk]) }, one.name)],
      ["Begins with", (one) => h("code", {}, one.expression.split("\n").find((line) => line.trim() && !line.trim().startsWith("#"))?.slice(0, 80) ?? "")],
    ],
  });
  view.root.append(h("div.title", {}, h("h1", {}, "Mappings"), fresh()), h("section.card", {}, list.node));
  view.live(["mapping"], later(300, () => { if (!view.signal.aborted) attempt(list.read); }));
  await list.read();
}

const fresh = () => h("a.tool.primary", { href: to(["mappings", "new"]) }, "New mapping");
