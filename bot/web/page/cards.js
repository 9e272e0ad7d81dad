// Cards of the bot as elements. What a click does is given by the caller.
import { h } from "./dom.js";
import { show } from "./time.js";
import { state } from "./state.js";

/** card renders a whole card; act(button) is called for a click that counts. */
export function card(c, act, { level = 3 } = {}) {
  return h("div", { class: `card card-${c.name}` },
    c.title && h(`h${level}`, { class: "card-title", dir: "auto" }, c.title),
    c.parts.map((p) => part(p, act, level + 1)));
}

export function part(p, act, level = 4) {
  switch (p.kind) {
    case "text": return h("p", { class: p.small ? "text small" : "text" }, spans(p.spans));
    case "facts": return h("dl", { class: "facts" },
      (p.rows ?? []).map((row) => h("div", {}, h("dt", {}, row.label), h("dd", {}, spans(row.value)))));
    case "quote": return h("blockquote", { class: "quote", dir: "auto" }, p.text);
    case "buttons": return h("div", { class: "buttons" }, (p.buttons ?? []).map((b) => button(b, act)));
    case "item": return h("div", { class: "item" }, h("p", { class: "text" }, spans(p.spans)),
      p.buttons && h("div", { class: "buttons" }, p.buttons.map((b) => button(b, act))));
    case "heading": return h(`h${Math.min(level, 6)}`, { class: "card-heading" }, p.text);
    default: return h("hr", {});
  }
}

function spans(list) {
  return (list ?? []).map(span);
}

function span(s) {
  if (s.time) {
    const zone = state.me?.zone;
    return h("time", { datetime: s.time, title: show(s.time, "full", zone) }, show(s.time, s.style, zone));
  }
  if (s.person) {
    const me = s.person === state.me?.id;
    if (s.mention) return h("span", { class: me ? "mention me" : "mention" }, `@${s.text}`);
    return h("bdi", { class: "person" }, s.text);
  }
  if (s.url) return h("a", { href: s.url, rel: "noopener noreferrer", target: "_blank" }, s.text);
  if (s.code) return h("code", {}, s.text);
  if (s.bold) return h("strong", {}, s.text);
  return document.createTextNode(s.text ?? "");
}

function button(b, act) {
  if (b.link) {
    return h("a", {
      class: `button ${b.style ?? ""}`, href: b.link, target: "_blank", rel: "noopener noreferrer",
      "aria-label": b.speak && b.speak !== b.label ? b.speak : undefined,
    }, b.label);
  }
  return h("button", {
    type: "button", class: `button ${b.style ?? ""}`, "aria-label": b.speak && b.speak !== b.label ? b.speak : undefined,
    dataset: { action: b.action, request: b.request ?? "" },
    onclick: (event) => act(b, event.currentTarget),
  }, b.label);
}
