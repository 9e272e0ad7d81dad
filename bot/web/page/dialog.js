// The dialogs that ask once more, and those that only tell.
import { byId, fill, h } from "./dom.js";
import { card } from "./cards.js";

/** confirmed asks and resolves to whether the answer was yes. */
export function confirmed(c, style) {
  const el = byId("confirm");
  return new Promise((resolve) => {
    let yes = false;
    fill(el,
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
    el.addEventListener("close", () => resolve(yes), { once: true });
    el.showModal();
    el.querySelector("[data-yes]").focus();
  });
}

/** tell shows a card that no room would hold: the answer to what was done on Home. */
export function tell(c, act) {
  const el = byId("confirm");
  fill(el,
    h("p", { class: "private", id: "confirm-title" }, "Only visible to you"),
    h("div", { id: "confirm-text" }, card(c, (button, element) => {
      el.close();
      act(button, element);
    })),
    h("div", { class: "buttons end" }, h("button", { type: "button", class: "button primary", onclick: () => el.close() }, "Close")));
  el.showModal();
}
