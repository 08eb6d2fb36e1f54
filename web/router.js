// Which view is shown, and with which filters: both stand in the URL's hash, as in #/events?action=login, so that they
// survive a reload and can be sent to somebody.

// here is what the hash says: the parts of the path and the filters.
export function here() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// to is the hash of a view: to(["events", pk], { search: "x" }). Empty filters are left out.
export function to(parts, query = {}) {
  const params = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  const text = params.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

// go opens a view as a link would.
export function go(parts, query) {
  location.hash = to(parts, query);
}

// keep writes the filters of the open view into the hash, without opening it again and without a step in the history.
export function keep(query) {
  history.replaceState(history.state, "", to(here().parts, query));
}

// place is the step in the history that one is at: coming back to it, and reloading, it is the same again.
export function place() {
  if (!history.state?.place) history.replaceState({ place: Math.random() }, "");
  return history.state.place;
}

// onChange calls fn whenever another view, or the same with other filters, is asked for.
export function onChange(fn) {
  addEventListener("hashchange", fn);
}
