// What the views of rules, transports, mappings and deliveries share: words for what the API names, and pieces of a page.
import { button, h } from "./dom.js";
import { icon } from "./icons.js";
import { block } from "./json.js";
import { severityLabel } from "./labels.js";
import { to } from "./router.js";
import { exact, time } from "./time.js";

export const paths = {
  rules: "api/v3/events/rules/", transports: "api/v3/events/transports/", mappings: "api/v3/propertymappings/notification/",
  bindings: "api/v3/policies/bindings/", policies: "api/v3/policies/all/", matchers: "api/v3/policies/event_matcher/",
  expressions: "api/v3/policies/expression/", deliveries: "api/belfry/deliveries/", events: "api/v3/events/events/",
  users: "api/v3/core/users/", groups: "api/v3/core/groups/",
};

export const modes = [["local", "Inbox"], ["webhook", "Webhook"], ["webhook_slack", "Slack or Discord"], ["email", "E-mail"]];
export const modeLabel = (mode) => new Map(modes).get(mode) ?? mode;

// states of deliveries: their word, icon and tone.
export const states = { pending: ["Waiting", "clock", "notice"], sending: ["Sending", "transport", "notice"], delivered: ["Delivered", "check", "good"],
  dead: ["Failed", "alert", "alert"], cancelled: ["Cancelled", "cross", "quiet"] };

// stateTag says by word, icon and colour how a delivery is.
export function stateTag(delivery) {
  const [word, drawing, tone] = Object.hasOwn(states, delivery.state) ? states[delivery.state] : [delivery.state, "delivery", "quiet"];
  return tag(delivery.parked ? "Parked" : word, drawing, delivery.parked ? "warning" : tone);
}

export const tag = (word, drawing, tone) => h("span.severity", { class: tone }, icon(drawing), word);
export const severityTag = (severity) => tag(severityLabel(severity), ["alert", "warning"].includes(severity) ? severity : "notice", severity);

export const card = (title, ...content) => h("section.card", {}, h("h2", {}, title), ...content);
export const warn = (sentences) => sentences.length > 0 && h("ul.warnings", {}, sentences.map((one) => h("li", {}, icon("warning"), one)));
export const facts = (pairs) => h("dl.facts", {}, pairs.filter(([, value]) => ![undefined, null, false, ""].includes(value))
  .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd.text", {}, value))));

// back leads to the list that things of this kind are in, as it was left where one came from there.
export function back(view, path, title) {
  const came = view.from?.hash.split("?")[0] === to([path]);
  return h("p.back", {}, h("a", { href: came ? view.from.hash : to([path]) }, icon("back"), title));
}

// missing is shown in place of something that is not there any more.
export const missing = (view, path, title) => view.root.replaceChildren(back(view, path, title), h("div.empty", {}, h("p", {}, "There is no such thing. It may have been deleted.")));

export const dangerous = (label, run) => button("", { onclick: run }, icon("trash"), label);

// sent is what a delivery sent and what came of it, attempt by attempt, the newest first.
export function sent(delivery) {
  const attempts = [...delivery.attempts].reverse();
  return [
    delivery.body && card(delivery.mode === "email" ? "What is sent: the mail" : "What is sent: the body", block(pretty(delivery.body), "Body")),
    attempts.map((one) => card(`Attempt ${one.number}`,
      h("p.outcome", {}, tag(one.error ? "Failed" : "Taken", one.error ? "alert" : "check", one.error ? "alert" : "good"),
        h("span.text", {}, [one.status > 0 && `Answer ${one.status}.`, one.error && `${sentence(one.error)}`].filter(Boolean).join(" ")),
        h("small", {}, time(one.started), ` · took ${one.duration < 1 ? `${Math.round(one.duration * 1000)} ms` : `${one.duration.toFixed(1)} s`}`)),
      h("div.pair", {}, Object.keys(one.headers ?? {}).length > 0 && h("div", {}, h("h2", {}, "Headers sent"), block(headers(one.headers), `Headers of attempt ${one.number}`)),
        one.answer && h("div", {}, h("h2", {}, "What was answered"), block(pretty(one.answer), `Answer to attempt ${one.number}`))))),
  ];
}

const headers = (sent) => Object.entries(sent).map(([name, value]) => `${name}: ${value === null ? "(hidden)" : [value].flat().join(", ")}`).join("\n");

// sentence is an error as it begins a sentence.
export const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// when says when something was, exactly and how long ago.
export const when = (moment) => moment && [exact(moment), h("small", {}, " (", time(moment), ")")];
