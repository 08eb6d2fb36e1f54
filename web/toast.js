// Short messages at the edge of the page: what was done, with a way back, and what went wrong.
import { Problem } from "./api.js";
import { button, h } from "./dom.js";

const place = document.getElementById("toasts");
let undo = null; // what u undoes

// say shows a message for a while. With back it has a button "Undo", which runs back once.
export function say(message, back) {
  const toast = h("div.toast", {}, h("span", {}, message));
  const close = () => {
    if (undo === run) undo = null;
    toast.remove();
  };
  const run = back && (() => {
    close();
    attempt(back);
  });
  if (run) toast.append(button(".link", { onclick: run }, "Undo"));
  toast.append(button(".plain", { "aria-label": "Dismiss", onclick: close }, "×"));
  undo = run ?? undo;
  show(toast, run ? 10_000 : 5_000, close);
}

// complain shows what went wrong, until it is dismissed or something else is.
export function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error); // ours to mend
  for (const old of place.querySelectorAll(".bad")) old.remove();
  const toast = h("div.toast.bad", { role: "alert" }, h("span", {}, error.message));
  toast.append(button(".plain", { "aria-label": "Dismiss", onclick: () => toast.remove() }, "×"));
  show(toast, 20_000, () => toast.remove());
}

function show(toast, time, close) {
  while (place.children.length > 2) place.firstElementChild.remove();
  place.append(toast);
  const wait = () => setTimeout(() => (toast.matches(":hover, :focus-within") ? wait() : close()), time);
  wait();
}

// undoLast runs what the newest message can undo.
export const undoLast = () => undo?.();

// attempt does something, and says what went wrong.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    complain(error);
    return undefined;
  }
}
