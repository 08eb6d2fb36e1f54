// One mapping: its expression, with what is wrong shown at its line, and what it makes of an event before it is saved.
import { get, patch, post, Problem, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, put } from "../dom.js";
import { cut, gist } from "../facts.js";
import { form } from "../form.js";
import { block } from "../json.js";
import { actionLabel } from "../labels.js";
import { back, card, dangerous, missing, paths } from "../notify.js";
import { go, to } from "../router.js";
import { brief } from "../time.js";
import { attempt, complain, say } from "../toast.js";

const example = 'return {\n    "text": notification.body,\n    "severity": notification.severity,\n    "action": notification.event.action if notification.event else None,\n}';

export async function open(view) {
  const [pk] = view.args;
  const fresh = pk === "new";
  const [mapping, events] = await Promise.all([
    fresh ? { name: "", expression: example } : get(`${paths.mappings}${encodeURIComponent(pk)}/`, {}, view.signal).catch((error) => { if (error.status !== 404) throw error; }),
    get(paths.events, { ordering: "-created", page_size: 50 }, view.signal)]);
  if (!mapping) return missing(view, "mappings", "Mappings");
  view.title(mapping.name || "New mapping");
  const heading = h("h1.text", {}, fresh ? "New mapping" : mapping.name);
  const editor = form({
    fields: [
      { name: "name", label: "Name", value: mapping.name, autocomplete: "off" },
      { name: "expression", label: "Expression", type: "code", rows: 14, value: mapping.expression, hint: "Python, as authentik has it: notification, notification.event, and request.user, who is told. What it returns is sent as JSON." },
    ],
    submit: fresh ? "Make the mapping" : "Save the mapping",
    send: (values) => (fresh ? post(paths.mappings, values) : patch(`${paths.mappings}${mapping.pk}/`, values)),
    done: (saved) => {
      say(fresh ? "The mapping was made. A transport can use it now." : "The mapping was saved.");
      if (fresh) location.replace(to(["mappings", saved.pk]));
      heading.textContent = saved.name;
    },
  });
  editor.classList.add("wide");
  put(view.root, back(view, "mappings", "Mappings"), h("header.title", {}, heading), card("Expression", editor), preview(editor, events.results),
    !fresh && h("p", {}, dangerous("Delete the mapping", () => attempt(() => discard(mapping)))));
  return undefined;
}

async function discard(mapping) {
  const users = await get(`${paths.mappings}${mapping.pk}/used_by/`);
  const text = users.length ? `It is used by ${users.map((one) => one.name).join(", ")}, which then send Belfry’s own form.` : "No transport uses it.";
  if (!await confirm(`Delete the mapping “${mapping.name}”?`, text, "Delete")) return;
  await remove(`${paths.mappings}${mapping.pk}/`);
  say("The mapping was deleted.");
  go(["mappings"]);
}

// preview runs what stands in the editor on an event.
function preview(editor, events) {
  if (!events.length) return card("Preview", h("p.hint", {}, "There is no event yet to try it on."));
  const choice = h("select", { "aria-label": "Event" }, events.map((one) => h("option", { value: one.pk }, cut(`${brief(one.created)} · ${actionLabel(one.action)} · ${gist(one)}`, 90))));
  const place = h("div", { role: "status" });
  const run = button("", { onclick: async () => {
    run.disabled = true;
    editor.complain();
    try {
      const made = await post("api/belfry/mappings/preview/", { expression: editor.values().expression, event: choice.value });
      put(place, block(made.result, "What it makes"), made.messages.length > 0 && h("p.text", {}, `Messages: ${made.messages.join(" · ")}`));
    } catch (error) {
      put(place, h("p.hint", {}, "It makes nothing yet: see what is wrong above."));
      if (error instanceof Problem && error.fields.expression) editor.complain(error);
      else complain(error);
    } finally {
      run.disabled = false;
    }
  } }, "Preview");
  return card("Preview", h("p.hint", {}, "What the expression above makes of an event, saved or not. Nothing is sent."), h("p.filters", {}, run, choice), place);
}
