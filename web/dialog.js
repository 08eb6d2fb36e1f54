// Dialogs, with the browser's own <dialog>: it traps focus, closes on Escape and gives focus back.
import { button, h, newId } from "./dom.js";

// open shows a dialog with a title and returns it. It is gone from the page once it is closed.
export function open(title, ...content) {
  const id = newId("title");
  const dialog = h("dialog", { "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), button(".plain", { "aria-label": "Close", onclick: () => dialog.close() }, "×")),
    ...content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// confirm asks before something that cannot be undone, and resolves to whether to do it. verb is the button's text.
export function confirm(title, text, verb) {
  return new Promise((resolve) => {
    const dialog = open(title, h("p", {}, text), h("footer", {},
      button("", { onclick: () => dialog.close() }, "Cancel"),
      button(".danger", { onclick: () => dialog.close("yes") }, verb)));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
  });
}
