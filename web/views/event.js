// One event: what it is, what is special about its kind, what was changed, and all of it as it is stored.
import { get } from "../api.js";
import { open as openDialog } from "../dialog.js";
import { button, h, outside, put } from "../dom.js";
import { explanation } from "../explain.js";
import { actor, at, brand, cut, gist, list, place, words } from "../facts.js";
import { icon } from "../icons.js";
import { block, inline } from "../json.js";
import { actionLabel, actionTone, sentence } from "../labels.js";
import { card, facts } from "../lists.js";
import { fromEvent } from "../prefill.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { exact, time } from "../time.js";
import { attempt } from "../toast.js";

export async function open(view) {
  const [pk] = view.args;
  view.title("Event");
  view.key("Backspace", "Back", () => history.back());
  let event;
  try {
    event = await get(`api/v3/events/events/${encodeURIComponent(pk)}/`, {}, view.signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    view.root.append(back(view.from), h("div.empty", {}, h("p", {}, "There is no such event. It may have been deleted, or its time may have run out.")));
    return;
  }
  const why = h("div", {});
  const explain = async () => {
    const answer = await get(`api/belfry/events/${event.pk}/explain/`, {}, view.signal);
    put(why, h("section.card", { tabindex: -1 }, h("h2", {}, "Who is notified, and why"), explanation(answer)));
    why.firstChild.focus({ preventScroll: true });
    why.scrollIntoView({ block: "nearest" });
  };
  const draw = () => {
    view.title(actionLabel(event.action));
    put(view.root, back(view.from), heading(event), tools(event, () => attempt(explain)), why, card("About", about(event)), special(event), change(event), http(event), rest(event), raw(event));
  };
  draw();
  view.live(["event"], async (hints) => {
    if (!hints.some((hint) => hint.id === event.pk)) return;
    event = await get(`api/v3/events/events/${event.pk}/`, {}, view.signal).catch(() => event);
    draw();
  });
}

// back leads to the list that one came from, as it was left; to the log where one came from elsewhere.
function back(from) {
  const goBack = (click) => {
    click.preventDefault();
    history.back();
  };
  return h("p.back", {}, h("a", from?.title ? { href: from.hash, onclick: goBack } : { href: to(["events"]) }, icon("back"), from?.title || "Events"));
}

function heading(event) {
  const text = gist(event);
  return h("header.title", {}, h("h1", { class: actionTone(event.action) }, actionLabel(event.action)), text && h("p.lead.text", {}, text));
}

// tools are what can be done about an event: see others like it, learn who was notified and why, and make a rule of it.
function tools(event, explain) {
  const { name } = actor(event);
  const like = (label, query) => h("a.tool", { href: to(["events"], query) }, icon("search"), label);
  return h("p.tools", {},
    like("Same action", { action: event.action }),
    like("Same app", { app: event.app }),
    name && words(event.user, "username") && like("Same user", { user: name }),
    event.client_ip && like("Same address", { address: event.client_ip }),
    mayWrite() && [
      button(".tool", { onclick: explain }, icon("bell"), "Explain"),
      button(".tool", { onclick: () => beginRule(event) }, icon("rule"), "Make a rule of this"),
    ]);
}

// beginRule asks what of the event a rule is to look for, and goes on in the editor.
function beginRule(event) {
  const { choices, name } = fromEvent(event);
  const boxes = choices.map(({ key, label, value, text }) => {
    const box = h("input", { type: "checkbox", name: key, value, checked: key === "action" });
    return { box, node: h("label.check.text", {}, box, h("span", {}, `${label}: `, h("b", {}, cut(text, 200)))) };
  });
  const dialog = openDialog("Make a rule of this", h("form", {
    onsubmit: (submitted) => {
      submitted.preventDefault();
      dialog.close();
      go(["rules", "new"], { name, ...Object.fromEntries(boxes.filter(({ box }) => box.checked).map(({ box }) => [box.name, box.value])) });
    },
  }, h("fieldset.field", {}, h("legend", {}, "The rule matches events with the same"), boxes.map((one) => one.node)),
  h("p.hint", {}, "Who is notified, and by what, is chosen next. Nothing is saved yet."), h("footer", {}, h("button.primary", {}, "Go on"))));
}

function about(event) {
  const { name, note } = actor(event);
  return facts([
    ["Action", [actionLabel(event.action), " ", h("code", {}, event.action)]],
    ["App", event.app],
    ["User", name ? [name, note && h("small", {}, ` ${note}`)] : "–"],
    ["Time", [exact(event.created), h("small", {}, " (", time(event.created), ")")]],
    ["Address", event.client_ip ? [event.client_ip, place(event) && h("small", {}, ` ${place(event)}`)] : "–"],
    ["Brand", brand(event) || "–"],
    ["Kept until", exact(event.expires)],
    ["ID", h("code", {}, event.pk)],
  ]);
}

// modelFacts describes an object that a context holds.
const modelFacts = (value) => facts([
  ["UID", words(value, "pk")], ["Name", words(value, "name")], ["App", words(value, "app")], ["Model name", words(value, "model_name")],
]);

const text = (value) => h("p.text.long", {}, cut(inline(value), 20_000));
const pre = (value, label) => block(typeof value === "string" ? value : value ?? null, label);
const messageOf = (event) => at(event.context, "message") ?? at(event.context, "error");
const exception = (event, title = "Exception") => messageOf(event) !== undefined && card(title, pre(messageOf(event), title));
const withModel = (title, ...keys) => (event) => at(event.context, ...keys) !== undefined && card(title, modelFacts(at(event.context, ...keys)));
const asked = (event) => at(event.context, "request") !== undefined && card("Request", modelFacts(at(event.context, "request", "obj")), at(event.context, "request", "context") !== undefined && pre(at(event.context, "request", "context"), "Context of the request"));

// kinds are the parts that only events of one action have.
const kinds = {
  model_created: [withModel("Created", "model")],
  model_updated: [withModel("Changed", "model")],
  model_deleted: [withModel("Deleted", "model")],
  authorize_application: [withModel("Authorized application", "authorized_application"), (event) => card("How", facts([
    ["Using flow", words(event.context, "flow")], ["Scopes", words(event.context, "scopes")]]))],
  email_sent: [(event) => card("E-mail", facts([
    ["Message", words(event.context, "message")], ["Subject", words(event.context, "subject")],
    ["From", words(event.context, "from_email")], ["To", list(at(event.context, "to_email"))]]),
  at(event.context, "body") !== undefined && pre(at(event.context, "body"), "Body"))],
  secret_view: [withModel("Secret", "secret")],
  secret_rotate: [withModel("Secret", "secret")],
  source_linked: [withModel("Source", "source")],
  impersonation_started: [(event) => card("Impersonated", facts([["User", words(event.context, "to", "username")], ["E-mail", words(event.context, "to", "email")]]))],
  system_exception: [exception],
  system_task_exception: [exception],
  property_mapping_exception: [exception, (event) => at(event.context, "expression") !== undefined && card("Expression", pre(at(event.context, "expression"), "Expression"))],
  policy_exception: [withModel("Binding", "binding"), asked, exception],
  policy_execution: [withModel("Binding", "binding"), asked, (event) => card("Result", facts([
    ["Passing", inline(at(event.context, "result", "passing"))], ["Messages", list(at(event.context, "result", "messages"))]]))],
  configuration_error: [(event) => messageOf(event) !== undefined && card("Message", text(messageOf(event)))],
  configuration_warning: [(event) => messageOf(event) !== undefined && card("Message", text(messageOf(event)))],
  suspicious_request: [(event) => messageOf(event) !== undefined && card("Message", text(messageOf(event)))],
  update_available: [newVersion],
  login: [withModel("Using source", "using_source")],
  login_failed: [(event) => card("Attempt", text(`Attempted to log in as ${words(event.context, "username") || "somebody without a name"}.`), withModel("Stage", "stage")(event))],
  logout: [(event) => isEmpty(event.context) && card("Logout", h("p.hint", {}, "No additional data available."))],
};

function newVersion(event) {
  const version = words(event.context, "new_version");
  const release = /^\d[\w.-]*$/.test(version) && outside(`https://github.com/goauthentik/authentik/releases/tag/version%2F${version}`, "What is new in it");
  return card("New version available", facts([["Version", version], ["Release", release]]), messageOf(event) !== undefined && text(messageOf(event)));
}

const isEmpty = (value) => value !== null && typeof value === "object" && Object.keys(value).length === 0;

// special is what the event's own kind shows; one of another kind shows its message.
function special(event) {
  const parts = Object.hasOwn(kinds, event.action) ? kinds[event.action] : [(event) => messageOf(event) !== undefined && card("Message", text(messageOf(event)))];
  return parts.map((part) => part(event));
}

// change is the table of what a change changed, for any event that says so.
function change(event) {
  const diff = at(event.context, "diff");
  if (diff === null || typeof diff !== "object" || isEmpty(diff)) return null;
  const cell = (name, value) => h(`td.text.${name}`, {}, value === undefined || value === null ? h("span.none", {}, "nothing") : cut(inline(value), 5_000));
  return card("What changed", h("div.scroll", { tabindex: 0, role: "region", "aria-label": "What changed" }, h("table.diff", {},
    h("thead", {}, h("tr", {}, ["Field", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, Object.entries(diff).slice(0, 500).map(([field, values]) => h("tr", {},
      h("th.text", { scope: "row", title: field }, cut(sentence(field), 200)), cell("before", at(values, "previous_value")), cell("after", at(values, "new_value"))))))));
}

function http(event) {
  const request = at(event.context, "http_request");
  if (request === null || typeof request !== "object") return null;
  const args = at(request, "args");
  return card("Request", facts([
    ["What", [words(request, "method") && h("b", {}, `${words(request, "method")} `), words(request, "path")]],
    ["Arguments", args !== undefined && !isEmpty(args) && inline(args)],
    ["Browser", words(request, "user_agent")], ["Request ID", words(request, "request_id")]]));
}

function rest(event) {
  return h("div.pair", {},
    !isEmpty(event.context) && card("Context", block(event.context, "Context")),
    !isEmpty(event.user) && card("User", block(event.user, "User")));
}

const raw = (event) => h("details.card", {}, h("summary", {}, "Raw event"), block(event, "Raw event"));
