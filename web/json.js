// Shows JSON: a value in a line, or a whole document that can be copied.
import { button, h } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./toast.js";

const most = 50_000; // characters that are shown at once

// block is a document with a button that copies it.
export function block(value, label) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const long = text.length > most;
  const pre = h("pre", { tabindex: 0, role: "region", "aria-label": label }, long ? `${text.slice(0, most)}\n… ${text.length - most} more characters; copying takes them all.` : text);
  return h("div.code", {}, pre, button(".plain.copy", { title: "Copy", "aria-label": `Copy: ${label}`, onclick: () => copy(text, pre) }, icon("copy")));
}

// inline is a value on a line: text as it is, everything else as JSON.
export function inline(value) {
  if (typeof value === "string") return value === "" ? "“”" : value;
  return value === undefined ? "–" : JSON.stringify(value);
}

// copy copies text. Without a secure context a browser does not let it: then what is shown is selected instead.
export async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    if (shown instanceof HTMLInputElement) shown.select();
    else getSelection().selectAllChildren(shown);
    say("Selected. Press Ctrl+C, or ⌘C, to copy.");
  }
}
