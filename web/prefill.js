// What a new rule is begun with, in the hash of its editor: #/rules/new?action=…&app=…&client_ip=…&model=…&name=…
// The event's page writes it and the editor reads it.
import { at, words } from "./facts.js";
import { actionLabel } from "./labels.js";

// The fields of an event matcher that an event can fill, and what they are called.
const labels = new Map([["action", "Action"], ["app", "App"], ["model", "Model"], ["client_ip", "Address"]]);

// fromEvent answers what a matcher could ask for to match events like this one: { key, label, value, text } each, text in
// words for a person; and name, a proposal for the rule's name. What the event does not say is left out.
export function fromEvent(event) {
  const [app, model] = [words(event.context, "model", "app"), words(event.context, "model", "model_name")];
  const values = { action: event.action, app: matchable(event.app), model: app && model && matchable(`${app}.${model}`), client_ip: event.client_ip };
  const choices = [...labels].filter(([key]) => typeof values[key] === "string" && values[key])
    .map(([key, label]) => ({ key, label, value: values[key], text: key === "action" ? actionLabel(values[key]) : values[key] }));
  return { choices, name: actionLabel(event.action) };
}

// matchable is an app or a model that a matcher may name: those of authentik. An expression can ask for any other.
const matchable = (name) => (/^authentik[._]/.test(name) ? name : "");

// read answers what a hash proposes: { name, matcher }, with matcher { action, app, model, client_ip } as far as given,
// or null when it proposes none.
export function read(query) {
  const matcher = Object.fromEntries([...labels.keys()].filter((key) => at(query, key)).map((key) => [key, query[key]]));
  return { name: words(query, "name"), matcher: Object.keys(matcher).length ? matcher : null };
}
