// Why an event has notified whom: what today's rules make of it, and what was made of it when it was written.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { count, sentence, severityLabel } from "./labels.js";
import { facts } from "./lists.js";
import { to } from "./router.js";

const modes = { local: "inbox", email: "e-mail", webhook: "webhook", webhook_slack: "Slack or Discord" };

// explanation shows the answer of events/{uuid}/explain/.
export function explanation(x) {
  const [matched, others] = [x.rules.filter((rule) => rule.matched), x.rules.filter((rule) => !rule.matched)];
  return [
    made(x),
    x.reason ? h("p", {}, x.reason) : h("p", {}, summary(x, matched)),
    !x.complete && h("p.problem", {}, "There was no time to ask all rules: some are missing here."),
    matched.map((rule) => one(rule, true)),
    others.length > 0 && h("details.others", { open: !matched.length }, h("summary", {}, `${count(others.length, "rule")} that ${others.length === 1 ? "does" : "do"} not match`), others.map((rule) => one(rule, false))),
  ];
}

function summary(x, matched) {
  if (!x.rules.length) return ["There are no rules, so nobody is notified of anything. ", h("a", { href: to(["rules", "new"]) }, "Make a rule"), "."];
  return matched.length ? `Of today’s ${count(x.rules.length, "rule")}, ${matched.length === 1 ? "one matches" : `${matched.length} match`}.` : "None of today’s rules matches.";
}

// made is what was made of the event at the time, by the rules of that time.
function made(x) {
  if (x.waiting) return h("p", {}, "The rules have yet to run for this event.");
  if (!x.notification_count && !x.delivery_count) return h("p", {}, "Nobody was notified of it.");
  const more = (all, shown) => (all > shown.length ? ` and ${all - shown.length} more` : "");
  return facts([
    ["In inboxes", x.notification_count > 0 && [x.notifications.map((one) => `${one.username} (${one.seen ? "seen" : "not seen"})`).join(", "), more(x.notification_count, x.notifications)]],
    ["Sent out", x.delivery_count > 0 && [h("ul", {}, x.deliveries.map((one) => h("li.text", {},
      h("a", { href: to(["deliveries", one.pk]) }, `${one.transport_name} to ${one.recipient_username}`), `: ${one.state}`, one.reason && `, ${one.reason}`))), more(x.delivery_count, x.deliveries)]],
  ]);
}

// one is a rule: whether it matches, by what, and who is told by what.
function one(rule, matched) {
  return h("section.verdict", {},
    h("h3", {}, icon(matched ? "check" : "close"), h("a", { href: to(["rules", rule.rule]) }, rule.rule_name),
      h("span.tag", {}, matched ? "matches" : "does not match"), h("small", {}, severityLabel(rule.severity))),
    rule.reason && h("p.text", {}, rule.reason),
    rule.bindings.length > 0 && h("ol.reasons", {}, rule.bindings.map((binding) => h("li.text", {}, reason(binding, rule.decided_by === binding.binding)))),
    rule.nobody && h("p.text", {}, rule.nobody),
    !rule.nobody && rule.transports.length > 0 && h("ul.reasons", {}, rule.transports.map((way) => h("li.text", {}, told(way, matched)))));
}

// reason says in words what a binding decided and why.
function reason(binding, decided) {
  const name = [h("b", {}, binding.subject), " "];
  if (!binding.enabled) return [name, "is switched off and was not asked."];
  const said = binding.error ? ["failed: ", binding.error, ` It counts as ${binding.failure_result ? "passed" : "not passed"}`] : [binding.passing ? "passes" : "does not pass"];
  return [name, said, binding.negate && `, turned round by the binding: ${binding.result ? "it counts as passed" : "it does not count"}`, ".",
    decided && " This decided.", binding.messages.map((message) => [" ", sentence(message)])];
}

// told says who gets it by a transport, and who does not and why.
function told(way, matched) {
  const yes = way.recipients.filter((one) => one.notified).map((one) => one.username);
  const no = way.recipients.filter((one) => !one.notified);
  const more = way.notified_count - yes.length;
  const verb = matched ? "notifies" : "would notify";
  return [h("b", {}, way.transport_name || "Inbox"), h("small", {}, ` ${modes[way.mode] ?? way.mode}`), ` ${verb} `, yes.length ? yes.join(", ") : "nobody", more > 0 && ` and ${more} more`, ".",
    no.map((one) => ` Not ${one.username}: ${one.reason}`), way.note && ` ${way.note}`];
}
