// The rules: who is told of what, when each last matched, and those that never can.
import { all, get } from "../api.js";
import { h, later } from "../dom.js";
import { paths, severityTag, warn } from "../notify.js";
import { to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { time } from "../time.js";
import { attempt } from "../toast.js";

export async function open(view) {
  view.title("Rules");
  let status = new Map();
  let names = new Map();
  const list = table({
    path: paths.rules, label: "Rules", signal: view.signal,
    empty: h("div.empty", {}, h("p", {}, "There is no rule yet, so that nobody is told of anything."), newRule()),
    columns: [
      ["Name", (rule) => [h("a.name", { href: to(["rules", rule.pk]) }, rule.name), warn(status.get(rule.pk)?.warnings ?? [])]],
      ["Severity", (rule) => severityTag(rule.severity)],
      ["Tells", (rule) => [rule.group_obj?.name, rule.destination_event_user && "the event’s user"].filter(Boolean).join(", ") || "nobody"],
      ["By", (rule) => rule.transports.map((pk) => names.get(pk) ?? "?").join(", ") || "the inbox"],
      ["Last matched", (rule) => (status.get(rule.pk)?.last_matched ? time(status.get(rule.pk).last_matched) : "not yet")],
    ],
  });
  const read = async () => {
    const [fared, transports] = await Promise.all([get("api/belfry/rules/status/", {}, view.signal), all(paths.transports, {}, view.signal)]);
    status = new Map(fared.map((one) => [one.rule, one]));
    names = new Map(transports.map((one) => [one.pk, one.name]));
    await list.read();
  };
  view.root.append(h("div.title", {}, h("h1", {}, "Rules"), newRule()),
    h("p.hint", {}, "A rule tells people of the events that its conditions let pass. One condition that passes is enough."), h("section.card", {}, list.node));
  view.live(["rule", "binding", "policy", "transport", "group", "user", "delivery", "notification"], later(500, () => { if (!view.signal.aborted) attempt(read); }));
  await read();
}

const newRule = () => mayWrite() && h("a.tool.primary", { href: to(["rules", "new"]) }, "New rule");
