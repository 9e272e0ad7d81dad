// Elements are made here and nowhere else. Every text becomes a text node: nothing that people wrote is ever markup.

/** h makes an element: properties by name ("on" + event for listeners, "class", "dataset"), then its children. */
export function h(tag, props = {}, ...kids) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || (value === false && !key.startsWith("aria-"))) continue;
    if (key === "class") el.className = value;
    else if (key === "dataset") Object.assign(el.dataset, value);
    else if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (value === true && !key.startsWith("aria-")) el.setAttribute(key, "");
    else el.setAttribute(key, String(value));
  }
  el.append(...kids.flat().filter((k) => k !== null && k !== undefined && k !== false));
  return el;
}

/** icon is a picture from the style sheet, invisible to screen readers. */
export function icon(name) {
  return h("span", { class: `icon ${name}-icon`, "aria-hidden": "true" });
}

/** fill replaces all children of an element. */
export function fill(el, ...kids) {
  el.replaceChildren(...kids.flat().filter((k) => k !== null && k !== undefined && k !== false));
}

export const byId = (id) => document.getElementById(id);

/** avatar shows a person's initials on a colour of their own; the bot has its mark. */
export function avatar(person, size = "") {
  if (!person) return h("span", { class: `avatar bot ${size}`, "aria-hidden": "true" });
  const initials = person.name.split(/\s+/).filter(Boolean).map((w) => [...w][0]).slice(0, 2).join("");
  return h("span", { class: `avatar ${size}`, "aria-hidden": "true", dataset: { hue: hueOf(person.id) } }, initials);
}

// The style sheet knows eight hues; neighbours in the list of people get different ones.
const hues = new Map();
function hueOf(id) {
  if (!hues.has(id)) hues.set(id, hues.size % 8);
  return hues.get(id);
}

/** toast tells something in passing. */
export function toast(text) {
  const el = h("p", { class: "toast" }, text);
  byId("toasts").append(el);
  setTimeout(() => el.remove(), 7000);
}
