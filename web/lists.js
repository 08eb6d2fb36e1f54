// What views of lists have in common: a title, a search and choices that stand in the URL, and cards of facts.
import { h, later } from "./dom.js";
import { icon } from "./icons.js";
import { keep } from "./router.js";
import { attempt } from "./toast.js";

// card is a part of a view with a heading.
export const card = (title, ...content) => h("section.card", {}, h("h2", {}, title), ...content);

// facts is a list of names and values; those without a value are left out.
export const facts = (pairs) => h("dl.facts", {}, pairs.filter(([, value]) => value !== "" && value !== undefined && value !== null && value !== false)
  .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd.text", {}, value))));

// head is the title of a list with its search, its choices and its buttons. choices are [name, label, options]; the filter is
// the view's query, kept in the URL, and changed(filter) reads the list again.
export function head(view, title, { choices = [], changed, actions = [] }) {
  const filter = { ...view.query };
  const change = (name, value) => {
    filter[name] = value;
    keep(filter);
    attempt(() => changed(filter));
  };
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": `Search ${title.toLowerCase()}`, value: filter.search ?? "" });
  search.addEventListener("input", later(300, () => change("search", search.value.trim())));
  view.key("/", "Search", () => search.focus());
  const selects = choices.map(([name, label, options]) => {
    const select = h("select", { "aria-label": label, onchange: () => change(name, select.value) },
      options.map(([value, text]) => h("option", { value, selected: value === (filter[name] ?? "") }, text)));
    return select;
  });
  return h("div.head", {}, h("div.title", {}, h("h1", {}, title), actions), h("div.filters", {}, h("label.search", {}, icon("search"), search), selects));
}

// back leads to the list that one came from, as it was left, or else to the list at hash.
export function back(view, title, hash) {
  const same = view.from?.title === title;
  const goBack = (click) => {
    click.preventDefault();
    history.back();
  };
  return h("p.back", {}, h("a", same ? { href: view.from.hash, onclick: goBack } : { href: hash }, icon("back"), title));
}
