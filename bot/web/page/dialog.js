// The dialogs that ask once more, and those that only tell. Each is an element of its own: a late word about one that was
// closed is not heard by the next.
import { h } from "./dom.js";
import { card } from "./cards.js";

function show(...content) {
  const el = h("dialog", { class: "dialog question", id: "confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" }, content);
  el.addEventListener("close", () => el.remove());
  document.body.append(el);
  el.showModal();
  return el;
}

/** confirmed asks and resolves to whether the answer was yes. */
export function confirmed(c, style) {
  return new Promise((resolve) => {
    let yes = false;
    const el = show(
      h("h2", { id: "confirm-title" }, c.title),
      h("p", { id: "confirm-text" }, c.text),
      h("div", { class: "buttons end" },
        h("button", { type: "button", class: "button", onclick: () => el.close() }, c.no),
        h("button", {
          type: "button", class: `button ${style === "danger" ? "danger solid" : "primary"}`, dataset: { yes: "" },
          onclick: () => {
            yes = true;
            el.close();
          },
        }, c.yes)));
    el.addEventListener("close", () => resolve(yes));
    el.querySelector("[data-yes]").focus();
  });
}

/** tell shows a card that no room would hold: the answer to what was done on Home. */
export function tell(c, act) {
  const el = show(
    h("p", { class: "private", id: "confirm-title" }, "Only visible to you"),
    h("div", { id: "confirm-text" }, card(c, (button, element) => {
      el.close();
      act(button, element);
    })),
    h("div", { class: "buttons end" }, h("button", { type: "button", class: "button primary", onclick: () => el.close() }, "Close")));
}
