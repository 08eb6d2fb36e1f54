// Builds elements. All text is set as text nodes: what is in an event or a name is never read as markup,
// and nothing here takes markup at all.

// h makes an element: h("button.quiet", { type: "button", onclick: go }, "Go"). The first argument is a tag name with
// classes. Properties that begin with "on" are listeners; true is an attribute without a value; false, null and undefined
// are left out; style takes an object of CSS properties. Children are nodes, texts, lists of them, or nothing.
export function h(name, properties, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElement(tag), classes, properties, children);
}

// svg is h for the elements of a drawing.
export function svg(name, properties, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), classes, properties, children);
}

function fill(node, classes, properties, children) {
  if (classes.length) node.classList.add(...classes);
  for (const [key, value] of Object.entries(properties ?? {})) set(node, key, value);
  node.append(...real(children));
  return node;
}

// put replaces the children of an element by those that h takes.
export const put = (node, ...children) => node.replaceChildren(...real(children));

const real = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

function set(node, key, value) {
  if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
  else if (key === "style") for (const [name, text] of Object.entries(value)) node.style.setProperty(name, text);
  else if (key === "class") node.classList.add(...value.split(" ").filter(Boolean));
  else if (key === "value" || key === "checked" || key === "selected" || key === "indeterminate") node[key] = value;
  else if (value === true) node.setAttribute(key, "");
  else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
}

let last = 0;

// newId is an id that no other element has.
export const newId = (prefix = "x") => `${prefix}-${++last}`;

// button is a button that does something here, as opposed to one that sends a form.
export const button = (name, properties, ...children) => h(`button${name}`, { type: "button", ...properties }, ...children);

// outside is a link to an address that somebody wrote: only the web's own schemes and paths of this server count.
export function outside(address, ...children) {
  return isWeb(address) ? h("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, ...children) : h("span", {}, ...children);
}

function isWeb(address) {
  try {
    return ["http:", "https:"].includes(new URL(address, location.href).protocol);
  } catch {
    return false;
  }
}

// arrange makes the children of a list those of items, in their order. An element that is there already is kept, and moved
// only where it has to be, so that focus and what is being read stay. make(item) makes the element of a new item.
export function arrange(list, items, keyOf, make) {
  const wanted = new Set(items.map(keyOf));
  for (const child of [...list.children]) if (!wanted.has(child.dataset.key)) child.remove(); // first, so that those behind it stand right
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = old.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else list.insertBefore(child, at);
  }
}

// later runs fn once, ms after the last call.
export function later(ms, fn) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}
