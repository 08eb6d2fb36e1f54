// A field for an expression: its lines are numbered, and a complaint such as "line 3, column 5: …" leads to its place.
import { button, h } from "./dom.js";

// code answers what form.js wants of a field. It asks to be told of complaints.
export function code({ value = "", rows = 10, ...attributes }) {
  const area = h("textarea", { ...attributes, rows, spellcheck: "false", autocapitalize: "none", autocomplete: "off", wrap: "off", value });
  const numbers = h("div.numbers", { "aria-hidden": "true" });
  const places = h("p.places");
  let marked = 0;

  function number() {
    const n = area.value.split("\n").length;
    if (numbers.childElementCount !== n) numbers.replaceChildren(...Array.from({ length: n }, (_, i) => h("span", {}, i + 1)));
    [...numbers.children].forEach((one, i) => one.classList.toggle("wrong", i + 1 === marked));
    numbers.scrollTop = area.scrollTop;
  }

  // jump puts the cursor at a place, counted as the server does.
  function jump(line, column) {
    const lines = area.value.split("\n");
    const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
    area.focus();
    area.setSelectionRange(at, at);
    area.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(area).lineHeight));
  }

  area.addEventListener("input", number);
  area.addEventListener("scroll", () => { numbers.scrollTop = area.scrollTop; });
  number();
  return {
    node: h("div.editor", {}, h("div.lines", {}, numbers, area), places), control: area, read: () => area.value,
    complain(text) {
      const [, line, column] = /^line (\d+), column (\d+):/.exec(text) ?? [];
      // White space before an expression is not stored, and not counted.
      const before = /^\s*/.exec(area.value)[0];
      marked = line ? Number(line) + before.split("\n").length - 1 : 0;
      const at = Number(line) === 1 ? Number(column) + before.length - before.lastIndexOf("\n") - 1 : Number(column);
      places.replaceChildren(...(line ? [button(".link", { onclick: () => jump(marked, at) }, `Go to line ${marked}`)] : []));
      number();
      if (line) jump(marked, at);
    },
  };
}
