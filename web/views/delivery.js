// One delivery: how it stands, what is sent, and every attempt with its headers and the answer.
import { get, post } from "../api.js";
import { button, h, put } from "../dom.js";
import { icon } from "../icons.js";
import { back, card, facts, missing, modeLabel, paths, sent, sentence, severityTag, stateTag, when } from "../notify.js";
import { to } from "../router.js";
import { attempt, say } from "../toast.js";

export async function open(view) {
  const path = `${paths.deliveries}${encodeURIComponent(view.args[0])}/`;
  let delivery = await get(path, {}, view.signal).catch((error) => { if (error.status !== 404) throw error; });
  if (!delivery) return missing(view, "deliveries", "Deliveries");
  view.title("Delivery");
  const act = (what, done) => attempt(async () => {
    delivery = await post(`${path}${what}/`);
    say(done);
    draw();
    acts.querySelector("button")?.focus();
  });
  const acts = h("p.tools");
  const [about, content] = [h("div"), h("div.stack")];
  const draw = () => {
    put(about, card("How it stands", summary(delivery)));
    put(acts, ["dead", "cancelled", "delivered"].includes(delivery.state) && button("", { onclick: () => act("retry", "It is sent again.") }, icon("undo"), "Send again"),
      delivery.state === "pending" && [button("", { onclick: () => act("retry", "It is sent at once.") }, icon("transport"), "Send now"), button("", { onclick: () => act("cancel", "It was cancelled.") }, icon("cross"), "Cancel")]);
    put(content, sent(delivery));
  };
  draw();
  put(view.root, back(view, "deliveries", "Deliveries"), h("header.title", {}, h("h1", {}, "Delivery"), h("p.lead.text", {}, delivery.summary)), acts, about, content);
  view.live(["delivery"], async (hints) => {
    if (!hints.some((hint) => !hint.id || hint.id === delivery.pk)) return;
    const now = await get(path, {}, view.signal).catch(() => delivery);
    if (view.signal.aborted || now.state === delivery.state && now.attempt_count === delivery.attempt_count && now.next_attempt_at === delivery.next_attempt_at && now.parked === delivery.parked) return;
    delivery = now;
    draw();
  });
  return undefined;
}

const summary = (one) => facts([
  ["State", stateTag(one)], ["Why", one.state !== "delivered" && sentence(one.reason)], ["Attempts", String(one.attempt_count)],
  ["Next attempt", one.next_attempt_at ? when(one.next_attempt_at) : one.parked ? "once its transport is enabled" : one.state === "pending" && "at once"],
  ["Transport", [h("a", { href: to(["transports", one.transport]) }, one.transport_name), ` (${modeLabel(one.mode)})`]],
  ["To", one.recipient_username], ["Rule", one.rule ? h("a", { href: to(["rules", one.rule]) }, one.rule_name) : "none: a test"],
  ["Event", h("a", { href: to(["events", one.event]) }, "Show")], ["Severity", severityTag(one.severity)],
  ["Made", when(one.created)], ["Settled", when(one.settled_at)], ["ID", h("code", {}, one.pk)],
]);
