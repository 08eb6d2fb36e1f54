// A long table of which only the rows on the screen exist: a million of them cost no more than fifty. All rows are of the
// same height, which the style sheet gives as --row. The page itself scrolls.
import { arrange, h } from "./dom.js";

const spare = 12; // rows beyond the edges of the screen

// Rows shows items; keyOf(item) tells them apart and make(item, index) makes the row, an element with a link in it.
// wanted() is called when the end comes near.
export class Rows {
  constructor({ columns, label, keyOf, make, wanted, signal }) {
    Object.assign(this, { keyOf, make, wanted, items: [] });
    this.inner = h("div", { role: "presentation" });
    this.outer = h("div.rows", { role: "rowgroup" }, this.inner);
    this.head = h("div.row.headings", { role: "row", "aria-rowindex": 1 }, columns.map((name) => h("span", { role: "columnheader" }, name)));
    this.node = h("div.table", { role: "table", "aria-label": label, "aria-rowcount": -1 }, h("div", { role: "rowgroup" }, this.head), this.outer);
    let due = false;
    const soon = () => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => { due = false; this.paint(); });
    };
    addEventListener("scroll", soon, { passive: true, signal });
    addEventListener("resize", soon, { passive: true, signal });
    new ResizeObserver(soon).observe(this.outer);
  }

  // set shows other items, from the start.
  set(items) {
    this.items = items;
    this.inner.replaceChildren();
    this.paint();
  }

  // append adds items at the end.
  append(items) {
    this.items.push(...items);
    this.paint();
  }

  // prepend adds items at the start. What is on the screen stays where it is, unless that is the start.
  prepend(items) {
    const shift = this.top() < 0 ? items.length * this.height() : 0;
    this.items.unshift(...items);
    this.paint();
    if (shift) scrollBy({ top: shift, behavior: "instant" });
    this.paint();
  }

  // replace puts another item in the place of one with the same key, or removes it where there is none.
  replace(key, item) {
    const at = this.items.findIndex((one) => this.keyOf(one) === key);
    if (at < 0) return;
    this.items.splice(at, 1, ...(item ? [item] : []));
    this.inner.querySelector(`[data-key="${CSS.escape(key)}"]`)?.remove();
    this.paint();
  }

  height() {
    return parseFloat(getComputedStyle(this.outer).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  top() {
    return this.outer.getBoundingClientRect().top;
  }

  paint() {
    if (!this.node.isConnected) return;
    const [height, top] = [this.height(), this.top()];
    const first = Math.max(0, Math.floor(-top / height) - spare);
    const end = Math.min(this.items.length, Math.ceil((innerHeight - top) / height) + spare);
    this.outer.style.setProperty("height", `${this.items.length * height}px`);
    this.inner.style.setProperty("transform", `translateY(${first * height}px)`);
    arrange(this.inner, this.items.slice(first, Math.max(first, end)), this.keyOf, (item) => {
      const row = this.make(item);
      row.setAttribute("role", "row");
      return row;
    });
    [...this.inner.children].forEach((row, i) => row.setAttribute("aria-rowindex", first + i + 2));
    if (end > this.items.length - 40) this.wanted();
  }

  // move puts the focus on the link of the next row, or of the one before.
  move(step) {
    if (!this.items.length) return;
    const key = document.activeElement?.closest(".row")?.dataset.key;
    const height = this.height();
    const at = key === undefined ? -1 : this.items.findIndex((one) => this.keyOf(one) === key);
    const first = Math.max(0, Math.ceil(-this.top() / height));
    const to = at < 0 ? Math.min(first, this.items.length - 1) : Math.min(this.items.length - 1, Math.max(0, at + step));
    const above = this.top() + to * height;
    if (above < 80) scrollBy({ top: above - 80, behavior: "instant" });
    else if (above + height > innerHeight - 80) scrollBy({ top: above + height - innerHeight + 80, behavior: "instant" });
    this.paint();
    this.inner.querySelector(`[data-key="${CSS.escape(this.keyOf(this.items[to]))}"] a`)?.focus({ preventScroll: true });
  }
}
