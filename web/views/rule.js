// One rule with all that belongs to it: whom it tells, its conditions (bindings and their policies), and a dry run.
import { all, get, patch, post, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, put } from "../dom.js";
import { form } from "../form.js";
import { icon } from "../icons.js";
import { actionLabel, count, severities, sentence as words } from "../labels.js";
import { back, card, dangerous, missing, modeLabel, paths, warn } from "../notify.js";
import { read as proposed } from "../prefill.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { time } from "../time.js";
import { attempt, say } from "../toast.js";

export async function open(view) {
  const [pk] = view.args;
  const proposal = proposed(view.query);
  const [rule, groups, transports] = await Promise.all([
    pk === "new" ? { name: proposal.name, severity: "notice", transports: [], group: null, destination_event_user: false }
      : get(`${paths.rules}${encodeURIComponent(pk)}/`, {}, view.signal).catch((error) => { if (error.status !== 404) throw error; }),
    all(paths.groups, { include_users: false }, view.signal), all(paths.transports, {}, view.signal)]);
  if (!rule) return missing(view, "rules", "Rules");
  view.title(rule.name || "New rule");
  const fresh = pk === "new";
  const heading = h("h1.text", {}, fresh ? "New rule" : rule.name);
  const status = h("div");
  const conditions = !fresh && new Conditions(view, rule, groups, () => attempt(showStatus));
  async function showStatus() {
    const now = (await get("api/belfry/rules/status/", {}, view.signal)).find((one) => one.rule === rule.pk);
    put(status, warn(now?.warnings ?? []), h("p.hint", {}, now?.last_matched ? ["Last matched ", time(now.last_matched), "."] : "It has not matched yet."));
  }
  const saved = (answer) => {
    if (fresh) {
      location.replace(to(["rules", answer.pk], proposal.matcher ?? { condition: "new" }));
      return;
    }
    Object.assign(rule, answer);
    heading.textContent = rule.name;
    view.title(rule.name);
    say("The rule was saved.");
    attempt(showStatus);
  };
  put(view.root, back(view, "rules", "Rules"), h("header.title", {}, heading), status,
    card("Whom it tells, and how", mayWrite() ? settings(rule, groups, transports, fresh, saved) : h("p", {}, `Severity: ${rule.severity}`)),
    conditions && conditions.node, conditions && mayWrite() && [dryRun(rule), h("p", {}, dangerous("Delete the rule", () => attempt(() => discard(rule, conditions))))]);
  if (fresh) return undefined;
  view.live(["binding", "policy", "rule"], () => conditions.refresh());
  await Promise.all([showStatus(), conditions.read()]);
  if (mayWrite() && (proposal.matcher || view.query.condition) && !conditions.bindings.length) conditions.edit(null, proposal.matcher ?? {});
  return undefined;
}

async function discard(rule, conditions) {
  if (!await confirm(`Delete the rule “${rule.name}”?`, "Its conditions go with it; policies stay. What it has told people stays too.", "Delete")) return;
  conditions.gone = true; // the hint that it is may come first: there is nothing left to read then
  try {
    await remove(`${paths.rules}${rule.pk}/`);
  } catch (error) {
    conditions.gone = false;
    throw error;
  }
  say("The rule was deleted.");
  go(["rules"]);
}

const none = ["", "–"];

function settings(rule, groups, transports, fresh, done) {
  return form({
    fields: [
      { name: "name", label: "Name", value: rule.name, autocomplete: "off" },
      { name: "severity", label: "Severity", type: "select", value: rule.severity, options: severities },
      { name: "group", label: "Group", type: "select", value: rule.group ?? "", options: [none, ...groups.map((one) => [one.pk, one.name])], hint: "Its active members are told." },
      { name: "destination_event_user", label: "Tell the user of the event as well", type: "checkbox", value: rule.destination_event_user },
      { name: "transports", label: "Transports", type: "choices", value: rule.transports, hint: "Without any, the inbox alone shows it.",
        options: transports.map((one) => [one.pk, `${one.name} (${modeLabel(one.mode)}${one.disabled_at ? ", disabled" : ""})`]) },
    ],
    submit: fresh ? "Make the rule" : "Save the rule",
    send: (values) => (fresh ? post(paths.rules, body(values)) : patch(`${paths.rules}${rule.pk}/`, body(values))),
    done,
  });
}

const body = (values) => ({ ...values, group: values.group || null });

// The kinds of conditions.
const kinds = [["matcher", "Fields of the event"], ["expression", "An expression"], ["policy", "A policy that is there already"], ["group", "The event’s user is in a group"], ["user", "The event’s user is somebody"]];

// kindOf says what a binding binds.
function kindOf(binding) {
  if (binding?.group) return "group";
  if (binding?.user) return "user";
  return binding?.policy_obj?.component.includes("expression") ? "expression" : "matcher";
}

// Conditions are a rule's bindings, each edited where it stands.
class Conditions {
  constructor(view, rule, groups, changed) {
    Object.assign(this, { view, rule, groups, changed, bindings: [], policies: new Map() });
    this.list = h("ol.conditions");
    this.place = h("div");
    this.add = button("", { onclick: () => attempt(() => this.edit(null, {})) }, "Add a condition");
    this.node = card("When it fires", this.list, this.place, mayWrite() && h("p", {}, this.add));
  }

  // refresh reads again what others have changed, unless something is being edited here or the rule is gone.
  refresh() {
    if (!this.editing && !this.gone) attempt(() => this.read());
  }

  async read() {
    const { signal } = this.view;
    const bindings = await all(paths.bindings, { target: this.rule.pk, ordering: "order" }, signal);
    const path = (one) => (kindOf(one) === "expression" ? mayWrite() && paths.expressions : paths.matchers);
    const bound = bindings.filter((one) => one.policy && path(one));
    const policies = await Promise.all(bound.map((one) => get(`${path(one)}${one.policy}/`, {}, signal)));
    this.bindings = bindings;
    this.policies = new Map(policies.map((one) => [one.pk, one]));
    if (!this.editing) this.draw(); // an editor may have been opened meanwhile
  }

  draw() {
    this.editing = false;
    this.add.hidden = false;
    this.place.replaceChildren();
    const focused = this.list.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    put(this.list, this.bindings.map((one) => this.row(one)));
    if (focused) this.list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    if (!this.bindings.length) put(this.place, h("p.hint", {}, "It has no condition yet, so that it never fires."));
  }

  row(binding) {
    const [title, text] = this.about(binding);
    const notes = [!binding.enabled && "disabled", binding.negate && "turned round", binding.failure_result && "passes where it fails", `order ${binding.order}`].filter(Boolean).join(" · ");
    const row = h("li", { class: binding.enabled ? "" : "off" }, h("div.text", {}, h("strong", {}, title), text && h("p", {}, text), h("small", {}, notes)));
    if (mayWrite()) {
      row.append(h("span.acts", {}, button("", { "aria-label": `Edit ${title}`, onclick: () => attempt(() => this.edit(binding, {})) }, "Edit"),
        button(".plain", { "aria-label": `Delete ${title}`, title: "Delete", onclick: () => attempt(() => this.discard(binding, title)) }, icon("trash"))));
    }
    return row;
  }

  // about says a binding in words: what it binds, and what that asks for.
  about(binding) {
    if (binding.group) return [`The event’s user is in the group ${binding.group_obj?.name}`, ""];
    if (binding.user) return [`The event’s user is ${binding.user_obj?.username}`, ""];
    const policy = this.policies.get(binding.policy);
    const name = binding.policy_obj?.name ?? "";
    if (kindOf(binding) === "expression") return [name, policy ? h("code.source", {}, policy.expression) : "An expression."];
    const asks = [["action", "Action", actionLabel], ["app", "App"], ["model", "Model"], ["client_ip", "Address"]]
      .filter(([key]) => policy?.[key]).map(([key, label, say = String]) => `${label} is ${say(policy[key])}`);
    return [name, asks.join(" and ") || "Every event passes."];
  }

  async discard(binding, title) {
    const alone = binding.policy && binding.policy_obj.bound_to <= 1;
    if (alone) {
      if (!await confirm(`Delete the condition “${title}”?`, "Its policy is bound to nothing else and is deleted with it.", "Delete")) return;
      await remove(`${paths.policies}${binding.policy}/`);
    } else await remove(`${paths.bindings}${binding.pk}/`);
    const { policy, group, user, target, negate, enabled, order, timeout, failure_result } = binding;
    say("The condition was deleted.", alone ? undefined : async () => {
      await post(paths.bindings, { policy, group, user, target, negate, enabled, order, timeout, failure_result });
      await this.after();
    });
    await this.after();
    this.add.focus();
  }

  async after() {
    this.editing = false;
    await this.read();
    this.changed();
  }

  // edit shows the editor of a binding in its place, or of a new one below the others. matcher is what a new one begins with.
  async edit(binding, matcher) {
    const { signal } = this.view;
    this.editing = true;
    const [users, policies, choices] = await Promise.all([all(paths.users, {}, signal), all(paths.policies, {}, signal), choicesOf()])
      .catch((error) => { this.editing = false; throw error; });
    this.draw();
    this.editing = true;
    this.add.hidden = true;
    const node = h("div.inline", { role: "group", "aria-label": binding ? "Condition" : "New condition" }, this.editor(binding, matcher, { users, policies, ...choices }));
    if (binding) this.rowOf(binding)?.replaceChildren(node);
    else put(this.place, node);
    node.querySelector("select:enabled, input:enabled").focus();
  }

  rowOf(binding) {
    return this.list.children[this.bindings.findIndex((one) => one.pk === binding.pk)];
  }

  editor(binding, matcher, known) {
    const policy = this.policies.get(binding?.policy) ?? matcher;
    const kind = kindOf(binding);
    const is = (...names) => (values) => names.includes(values.kind);
    const others = policy.bound_to > 1 ? ` It is bound in ${count(policy.bound_to, "place")}: a change counts for all of them.` : "";
    const made = {}; // the policy that was made before something else failed
    return form({
      fields: [
        { name: "kind", label: "What has to be so", type: "select", value: kind, options: kinds, disabled: Boolean(binding) },
        { name: "name", label: "Name of the policy", value: policy.name ?? this.freeName(known.policies), when: is("matcher", "expression"), hint: `Every policy has a name of its own.${others}`, autocomplete: "off" },
        { name: "action", label: "Action", type: "suggest", value: policy.action ?? "", options: known.actions.map((one) => [one, actionLabel(one)]), placeholder: "any", when: is("matcher"), hint: "One of the list, or custom_ with a name of your own." },
        { name: "app", label: "App", type: "suggest", value: policy.app ?? "", options: known.apps.map((one) => [one, ""]), placeholder: "any", when: is("matcher") },
        { name: "model", label: "Model", type: "suggest", value: policy.model ?? "", options: known.models.map((one) => [one, words(one.split(".")[1])]), placeholder: "any", when: is("matcher") },
        { name: "client_ip", label: "Address", value: policy.client_ip ?? "", placeholder: "any", when: is("matcher"), autocomplete: "off" },
        { name: "expression", label: "Expression", type: "code", rows: 8, value: policy.expression ?? 'event = request.context["event"]\nreturn "disk" in event.context.get("message", "")', when: is("expression"), hint: "Returns True for the events that pass." },
        { name: "policy", label: "Policy", type: "select", value: "", options: [none, ...known.policies.map((one) => [one.pk, `${one.name} (${one.verbose_name})`])], when: is("policy") },
        { name: "group", label: "Group", type: "select", value: binding?.group ?? "", options: [none, ...this.groups.map((one) => [one.pk, one.name])], when: is("group") },
        { name: "user", label: "User", type: "select", value: binding?.user ?? "", options: [none, ...known.users.map((one) => [one.pk, one.username])], when: is("user") },
        { name: "order", label: "Order", type: "number", value: binding?.order ?? Math.max(-10, ...this.bindings.map((one) => one.order)) + 10, hint: "The lowest is asked first." },
        { name: "enabled", label: "Enabled", type: "checkbox", value: binding?.enabled ?? true },
        { name: "negate", label: "Turn it round: passes where it is not so", type: "checkbox", value: binding?.negate ?? false },
        { name: "failure_result", label: "If it fails, take it as passed", type: "checkbox", value: binding?.failure_result ?? false, when: is("expression", "policy") },
      ],
      submit: binding ? "Save the condition" : "Add the condition",
      aside: button("", { onclick: () => this.cancel(binding) }, "Cancel"),
      send: (values) => this.save(binding, { ...values, kind: binding ? kind : values.kind }, made),
      done: async () => {
        say("The condition was saved.");
        await attempt(() => this.after());
        this.add.focus();
      },
    });
  }

  cancel(binding) {
    this.draw();
    (binding && this.rowOf(binding)?.querySelector("button") || this.add).focus();
  }

  // freeName proposes a name that no policy has.
  freeName(policies) {
    const taken = new Set(policies.map((one) => one.name));
    for (let n = 1; ; n++) {
      const name = n === 1 ? this.rule.name : `${this.rule.name} ${n}`;
      if (!taken.has(name)) return name;
    }
  }

  // save writes the policy, where the condition has one of its own, and then the binding.
  async save(binding, values, made) {
    const { kind, order, enabled, negate, failure_result } = values;
    const fields = { target: this.rule.pk, order: Number(order), enabled, negate, failure_result, policy: null, group: null, user: null };
    if (kind === "matcher" || kind === "expression") fields.policy = await this.savePolicy(binding?.policy, values, made);
    else fields[kind] = (kind === "user" ? Number(values.user) : values[kind]) || null;
    return binding ? patch(`${paths.bindings}${binding.pk}/`, fields) : post(paths.bindings, fields);
  }

  async savePolicy(pk, values, made) {
    const { kind, name, expression } = values;
    const pick = (key) => values[key].trim() || null;
    const fields = kind === "expression" ? { name, expression } : { name, action: pick("action"), app: pick("app"), model: pick("model"), client_ip: pick("client_ip") };
    const path = kind === "expression" ? paths.expressions : paths.matchers;
    const known = pk ?? made[kind];
    const saved = await (known ? patch(`${path}${known}/`, fields) : post(path, fields));
    made[kind] = saved.pk;
    return saved.pk;
  }
}

let choices;

// choicesOf reads what a matcher can ask for, once.
async function choicesOf() {
  if (!choices) {
    const { schemas } = (await get("api/v3/schema/", { format: "json" })).components;
    choices = { actions: schemas.EventActions.anyOf[0].enum, apps: schemas.AppEnum.enum, models: schemas.ModelEnum.enum };
  }
  return choices;
}

// dryRun shows what the rule, as it is saved, would make of the last events.
function dryRun(rule) {
  const last = h("select", { "aria-label": "How many events" }, [20, 100, 1000].map((n) => h("option", { value: n, selected: n === 100 }, `the last ${n} events`)));
  const place = h("div", { role: "status" });
  const run = button("", { onclick: () => attempt(async () => {
    run.disabled = true;
    try {
      put(place, results(await post(`api/belfry/rules/${rule.pk}/dry_run/`, { last: Number(last.value) })));
    } finally {
      run.disabled = false;
    }
  }) }, "Try it");
  return card("Dry run", h("p.hint", {}, "What the rule, as it is saved, would make of events that are in the log. Nothing is sent."), h("p.filters", {}, run, last), place);
}

function results(run) {
  const said = `${count(run.matched_count, "event")} of ${run.event_count} would match.${run.complete ? "" : " There was no time to look at more."}`;
  const columns = ["Event", "App", "Time", "Would tell"];
  const row = (one) => [[h("a", { href: to(["events", one.event]) }, actionLabel(one.action)), h("p.text", {}, one.summary)], one.app, time(one.created), one.nobody || told(one.transports)];
  return [h("p", {}, said), run.results.length > 0 && h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Events that would match" }, h("table.cards", { "aria-label": "Dry run" },
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, run.results.map((one) => h("tr", {}, row(one).map((cell, i) => h("td.text", { "data-label": columns[i] }, h("div", {}, cell))))))))];
}

// told says who would be told by what.
const told = (transports) => transports.map((one) => h("p", {}, `${people(one)} by ${one.transport_name || "the inbox"}`, one.note && h("small", {}, ` ${one.note}`)));

function people(way) {
  const names = way.recipients.filter((one) => one.notified).map((one) => one.username);
  const more = way.notified_count - names.length;
  if (!names.length) return way.recipients[0]?.reason || "nobody";
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
