// The deliveries: what was sent to whom, what waits, and what failed, to be sent again one by one or all that match.
import { all, get, post, search } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, later, put } from "../dom.js";
import { icon } from "../icons.js";
import { count } from "../labels.js";
import { paths, stateTag, states } from "../notify.js";
import { go, keep, to } from "../router.js";
import { mayWrite } from "../session.js";
import { table } from "../table.js";
import { time } from "../time.js";
import { attempt, say } from "../toast.js";

const spans = { "": ["Any time", 0], "1h": ["Last hour", 3600e3], "24h": ["Last 24 hours", 86400e3], "7d": ["Last 7 days", 7 * 86400e3] };

// What can be sent again, where no state is chosen: what has failed.
const again = ["dead", "cancelled", "delivered", "pending"];

export async function open(view) {
  view.title("Deliveries");
  let filter = view.query;
  const [transports, rules, users] = await Promise.all([paths.transports, paths.rules, paths.users].map((path) => all(path, {}, view.signal)));
  const query = () => {
    const { since, ...rest } = filter;
    const span = Object.hasOwn(spans, since ?? "") ? spans[since ?? ""][1] : 0;
    const known = Object.fromEntries(["state", "transport", "rule", "recipient", "event", "search"].map((name) => [name, rest[name]]));
    return { ...known, created__gte: span ? new Date(Date.now() - span).toISOString() : "" };
  };
  const empty = h("div.empty");
  const list = table({
    path: paths.deliveries, query: query(), label: "Deliveries", signal: view.signal, empty, size: 50,
    columns: [
      ["State", (one) => stateTag(one)],
      ["What", (one) => [mayWrite() ? h("a.name", { href: to(["deliveries", one.pk]) }, one.summary || "–") : one.summary, one.reason && one.state !== "delivered" && h("small.text", {}, one.reason)]],
      ["By", (one) => [one.transport_name, h("small", {}, one.rule_name || "a test")]],
      ["To", (one) => one.recipient_username],
      ["Attempts", (one) => [String(one.attempt_count), one.next_attempt_at && h("small", {}, "next ", time(one.next_attempt_at))]],
      ["Since", (one) => time(one.created)],
      ["", (one) => mayWrite() && one.state === "dead" && button("", { "aria-label": `Send again: ${one.summary}`, onclick: () => attempt(() => retry(one, list)) }, "Send again")],
    ],
  });
  const change = (next) => {
    filter = { ...filter, ...next };
    keep(filter);
    paintEmpty();
    paintAgain();
    attempt(() => list.filter(query()));
  };
  const paintEmpty = () => put(empty, ...(Object.values(filter).some(Boolean)
    ? [h("p", {}, "No delivery matches."), button("", { onclick: () => go(["deliveries"]) }, "Show all deliveries")]
    : [icon("delivery"), h("p", {}, "Nothing was sent yet. A rule with a transport other than the inbox sends, and so does the test of a transport."), h("p", {}, h("a", { href: to(["transports"]) }, "Go to the transports"))]));
  const select = (name, label, options) => {
    const node = h("select", { onchange: () => change({ [name]: node.value }) }, options.map(([value, text]) => h("option", { value }, text)));
    node.value = filter[name] ?? "";
    return h("label", {}, label, node);
  };
  const any = ["", "any"];
  const field = h("input", { type: "search", placeholder: "Search names and texts", "aria-label": "Search deliveries", value: filter.search ?? "" });
  field.addEventListener("input", later(300, () => change({ search: field.value.trim() })));
  const retryAll = button("", { onclick: () => attempt(() => sendAll(filter, query(), list)) });
  const paintAgain = () => {
    retryAll.hidden = !mayWrite() || !again.includes(filter.state || "dead");
    put(retryAll, icon("undo"), filter.state && filter.state !== "dead" ? "Send all that match again" : "Send all failed again");
  };
  paintEmpty();
  paintAgain();
  view.root.append(h("div.head", {}, h("div.title", {}, h("h1", {}, "Deliveries"), h("label.search", {}, icon("search"), field), retryAll),
    h("div.filters.fold.open", {}, select("state", "State", [any, ...Object.entries(states).map(([value, [word]]) => [value, word])]),
      select("transport", "Transport", [any, ...transports.map((one) => [one.pk, one.name])]), select("rule", "Rule", [any, ...rules.map((one) => [one.pk, one.name])]),
      select("recipient", "Recipient", [any, ...users.map((one) => [one.pk, one.username])]), select("since", "Time", Object.entries(spans).map(([value, [label]]) => [value, label]))),
    filter.event && h("p.hint", {}, "Of one ", h("a", { href: to(["events", filter.event]) }, "event"), " only. ", button(".link", { onclick: () => go(["deliveries"], { ...filter, event: "" }) }, "Show those of all events"))),
  h("section.card", {}, list.node));
  view.key("/", "Search", () => field.focus());
  let due = 0;
  view.live(["delivery"], () => { // a busy outbox must not keep the page busy
    due ||= setTimeout(() => { due = 0; if (!view.signal.aborted) attempt(list.read); }, 700);
  });
  await list.read();
}

async function retry(delivery, list) {
  await post(`${paths.deliveries}${delivery.pk}/retry/`);
  say("It is sent again.");
  await list.read();
}

// sendAll says how many there are before it sends them.
async function sendAll(filter, query, list) {
  const chosen = { ...query, state: filter.state || "dead" };
  const { pagination } = await get(paths.deliveries, { ...chosen, page_size: 1 });
  if (!pagination.count) return say("There is nothing to send again.");
  if (!await confirm("Send again?", `${count(pagination.count, "delivery matches", "deliveries match")} what is chosen here. Each is sent once more; tests of transports are left out.`, "Send again")) return undefined;
  const { retried, skipped } = await post(`${paths.deliveries}retry/${search(chosen)}`);
  say(`${count(retried, "delivery is", "deliveries are")} sent again.${skipped ? ` ${skipped} cannot be: their transport or recipient is gone, or an attempt is under way.` : ""}`);
  return list.read();
}
