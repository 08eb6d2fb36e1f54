// The transports: the ways by which people are told, and which of them stand still.
import { h, later } from "../dom.js";
import { modeLabel, paths, tag } from "../notify.js";
import { to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { time } from "../time.js";
import { attempt } from "../toast.js";
import { enableButton } from "./transport.js";

export async function open(view) {
  view.title("Transports");
  const list = table({
    path: paths.transports, label: "Transports", signal: view.signal,
    empty: h("div.empty", {}, h("p", {}, "There is no transport: rules without one put what happens into the inbox alone."), fresh()),
    columns: [
      ["Name", (one) => h("a.name", { href: to(["transports", one.pk]) }, one.name)],
      ["Sends", (one) => [modeLabel(one.mode), one.has_secret && h("span.tag", {}, "signed"), one.send_once && h("span.tag", {}, "once")]],
      ["State", (one) => state(one)],
      ["Deliveries", (one) => one.mode !== "local" && h("a", { href: to(["deliveries"], { transport: one.pk }) }, "Show")],
      ["", (one) => one.disabled_at && mayWrite() && enableButton(one, list.read)],
    ],
  });
  view.root.append(h("div.title", {}, h("h1", {}, "Transports"), fresh()), h("section.card", {}, list.node));
  view.live(["transport"], later(300, () => { if (!view.signal.aborted) attempt(list.read); }));
  await list.read();
}

const fresh = () => mayWrite() && h("a.tool.primary", { href: to(["transports", "new"]) }, "New transport");

// state says whether a transport sends, and why not.
export const state = (one) => (one.disabled_at
  ? [tag("Disabled", "warning", "warning"), h("small", {}, one.disabled_reason, " ", time(one.disabled_at))]
  : tag("Enabled", "check", "good"));
