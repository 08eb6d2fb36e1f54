// Forms that keep what was typed: fields are described once, and what the server complains of stands under its field.
import { Problem } from "./api.js";
import { code } from "./code.js";
import { h, newId } from "./dom.js";

// form makes a form. fields are { name, label, type, hint, value, options, required, … }: type is that of an <input>, or
// "textarea", "code", "select" (with options [value, label]), "suggest" (text, with options to choose from), "checkbox",
// "choices" (several check boxes, with options); whatever else a field has becomes an attribute. when(values) says whether it
// is shown now. send(values) does the work and may throw a Problem; done(answer) follows. The form has complain(problem), and
// values() for what is typed.
export function form({ fields, submit = "Save", send, done = () => {}, aside = [] }) {
  const all = fields.map(fieldOf);
  const wrong = h("p.problem", { role: "alert" });
  const action = h("button.primary", {}, submit);
  const node = h("form", { novalidate: true }, wrong, all.map((one) => one.node), h("footer", {}, action, aside));
  node.values = () => Object.fromEntries(all.map((one) => [one.name, one.read()]));
  node.complain = (problem) => show(all, wrong, problem?.fields ?? {}, problem?.message);
  const arrange = () => {
    const values = node.values();
    for (const one of all) one.node.hidden = one.when ? !one.when(values) : false;
  };
  node.addEventListener("input", arrange);
  arrange();
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (action.disabled) return;
    action.disabled = true;
    try {
      node.complain();
      const answer = await send(node.values());
      done(answer, node);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      node.complain(error);
    } finally {
      action.disabled = false;
    }
  });
  return node;
}

// show puts complaints under their fields, and those about no field shown here on top.
function show(all, problem, fields, message = "") {
  const shown = new Set();
  for (const one of all) {
    if (one.node.hidden) continue;
    const own = Object.entries(fields).filter(([name]) => name === one.name || name.startsWith(`${one.name}.`));
    own.forEach(([name]) => shown.add(name));
    one.complain(own.flatMap(([, sentences]) => sentences).join(" "));
  }
  const others = Object.entries(fields).filter(([name]) => !shown.has(name));
  problem.textContent = others.length
    ? others.map(([name, sentences]) => (name === "non_field_errors" ? "" : `${name}: `) + sentences.join(" ")).join(" ")
    : shown.size ? "" : message;
  (all.find((one) => one.bad())?.control)?.focus();
}

// fieldOf makes one field: its element, how to read it, and how to complain.
function fieldOf({ name, label, hint, type = "text", when, ...rest }) {
  const id = newId("field");
  const made = (makers[type] ?? input)({ id, type, ...rest });
  const wrong = h("p.problem", { id: `${id}-wrong` });
  const describe = [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" ");
  made.control.setAttribute("aria-describedby", describe);
  const about = [hint && h("p.hint", { id: `${id}-hint` }, hint), wrong];
  const node = type === "choices"
    ? h("fieldset.field", {}, h("legend", {}, label), made.node, about)
    : type === "checkbox"
      ? h("div.field", {}, h("label.check", { for: id }, made.node, label), about)
      : h("div.field", {}, h("label", { for: id }, label), made.node, about);
  return {
    name, node, when, control: made.control, read: made.read,
    bad: () => wrong.textContent !== "",
    complain(text) {
      wrong.textContent = text;
      made.control.setAttribute("aria-invalid", text ? "true" : "false");
      made.complain?.(text);
    },
  };
}

function input({ value = "", ...attributes }) {
  const node = h("input", { ...attributes, value });
  return { node, control: node, read: () => node.value };
}

const makers = {
  textarea({ value = "", type, ...attributes }) {
    const node = h("textarea", { rows: 6, spellcheck: "false", ...attributes, value });
    return { node, control: node, read: () => node.value };
  },
  code: ({ type, ...rest }) => code(rest),
  suggest({ value = "", options, type, ...attributes }) {
    const list = newId("list");
    const node = h("input", { type: "text", spellcheck: "false", autocapitalize: "none", autocomplete: "off", ...attributes, list, value });
    return { node: [node, h("datalist", { id: list }, options.map(([key, label]) => h("option", { value: key }, label)))], control: node, read: () => node.value };
  },
  select({ value = "", options, type, ...attributes }) {
    const node = h("select", attributes, options.map(([key, label]) => h("option", { value: key }, label)));
    node.value = value;
    return { node, control: node, read: () => node.value };
  },
  checkbox({ value = false, ...attributes }) {
    const node = h("input", { ...attributes, checked: value });
    return { node, control: node, read: () => node.checked };
  },
  choices({ value = [], options, id }) {
    const boxes = options.map(([key, label]) => {
      const box = h("input", { type: "checkbox", value: key, checked: value.includes(key) });
      return { box, node: h("label.check", {}, box, label) };
    });
    const node = h("div.choices", { id }, boxes.map((one) => one.node));
    return { node, control: boxes[0]?.box ?? node, read: () => boxes.filter((one) => one.box.checked).map((one) => one.box.value) };
  },
};
