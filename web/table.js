// A table of a collection of the API, page by page: for what there are dozens of. The log, of which there are millions, has
// rows.js. On small screens every row is a card, its values named by their columns.
import { get } from "./api.js";
import { button, h, put } from "./dom.js";
import { icon } from "./icons.js";
import { attempt } from "./toast.js";

// table shows what path answers. columns are [title, cell(row)], the title of a column of buttons is "". empty is shown where
// there is nothing. The answer has node, read() to read the page again, and filter(query) to show others from the first page.
export function table({ path, query = {}, columns, label, empty, size = 20, signal }) {
  const node = h("div.paged", { "aria-busy": "true" });
  let page = 1;

  async function read() {
    const answer = await get(path, { ...query, page_size: size, page }, signal).catch((error) => {
      if (error.status !== 404 || page === 1) throw error;
      page = 1; // what was on this page is gone
      return get(path, { ...query, page_size: size, page }, signal);
    });
    node.removeAttribute("aria-busy");
    put(node, answer.results.length ? rows(answer.results) : empty, pager(answer.pagination));
  }

  const cell = ([title, fill], row) => h("td.text", { role: "cell", "data-label": title }, h("div", {}, fill(row)));

  function rows(results) {
    return h("table.cards", { role: "table", "aria-label": label },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(([title]) => h("th", { role: "columnheader", scope: "col" }, title || h("span.offscreen", {}, "Actions"))))),
      h("tbody", { role: "rowgroup" }, results.map((row) => h("tr", { role: "row" }, columns.map((column) => cell(column, row))))));
  }

  function pager({ next, previous, count, start_index: first, end_index: last }) {
    if (!next && !previous) return null;
    const turn = (to, label) => button("", { disabled: !to, onclick: () => { page = to; attempt(read); } }, label);
    return h("p.pager", {}, turn(previous, [icon("back"), "Before"]), h("span", { role: "status" }, `${first}–${last} of ${count}`), turn(next, ["After", icon("next")]));
  }

  return {
    node, read,
    filter(next) {
      query = next;
      page = 1;
      return read();
    },
  };
}
