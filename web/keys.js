// Keys that do something without a modifier, such as j, k, / and sequences like "g i". They rest while something is typed
// and while a dialog is open, and can be switched off in the settings.

const bindings = []; // { keys, help, run }, the newest last
let pressed = ""; // the beginning of a sequence
let timer = 0;

// enabled is kept in this browser, since it is about this keyboard.
export const enabled = () => localStorage.getItem("keys") !== "off";
export const enable = (on) => localStorage.setItem("keys", on ? "on" : "off");

// bind makes keys run something until signal aborts: bind("g i", "Open the inbox", run). A help text of "" keeps it off the list.
export function bind(keys, help, run, signal) {
  const binding = { keys, help, run };
  bindings.push(binding);
  signal?.addEventListener("abort", () => bindings.splice(bindings.indexOf(binding), 1));
}

// list is what can be pressed now: [keys, help].
export const list = () => bindings.filter((one) => one.help).map((one) => [one.keys, one.help]);

const typing = (node) => node.isContentEditable || ["TEXTAREA", "SELECT"].includes(node.tagName) ||
  (node.tagName === "INPUT" && !["checkbox", "radio", "button"].includes(node.type));

addEventListener("keydown", (event) => {
  if (event.target.type === "search" && ["Escape", "Enter"].includes(event.key)) event.target.blur(); // so that j and k work
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !enabled()) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  const sequence = pressed ? `${pressed} ${event.key}` : event.key;
  const find = (keys) => bindings.findLast((one) => one.keys === keys);
  const binding = find(sequence) ?? find(event.key);
  pressed = !binding && bindings.some((one) => one.keys.startsWith(`${event.key} `)) ? event.key : "";
  clearTimeout(timer);
  timer = setTimeout(() => { pressed = ""; }, 1500);
  if (!binding) return;
  event.preventDefault();
  binding.run(event);
});
