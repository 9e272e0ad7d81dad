// The left side: who one is, and where one can go.
import { avatar, byId, fill, h, icon } from "./dom.js";
import { calls, fresh, personalRoom, state } from "./state.js";
import { place } from "./time.js";

/** people draws the chooser; choose(id) is called for another person. */
export function people(choose) {
  const all = state.people.map((p) => {
    const me = p.id === state.me.id;
    const n = me ? 0 : calls(p.id);
    return h("button", {
      type: "button", role: "radio", class: "someone", "aria-checked": me, tabindex: me ? 0 : -1, dataset: { person: p.id },
      title: `Times are shown as in ${place(p.zone)}`, onclick: () => choose(p.id), onkeydown: arrows,
    },
    avatar(p),
    h("span", { class: "who" }, h("bdi", { class: "name" }, p.name), h("span", { class: "title" }, p.title)),
    badge(n, `${n} for them to see`));
  });
  keepFocus(byId("people"), () => fill(byId("people"), all));
}

function arrows(event) {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...byId("people").children];
  const next = all[(all.indexOf(event.currentTarget) + step + all.length) % all.length];
  next.focus();
  next.click();
}

/** places draws the rooms; visit(room) is called for one that is chosen, also for the open one. */
export function places(visit) {
  const mine = personalRoom(state.me.id);
  fill(byId("list"),
    entry("", "Home", "home", visit),
    state.channels.map((c) => entry(c.id, c.id, "channel", visit)),
    entry(mine, "Messages to you", "personal", visit));
}

function entry(room, name, kind, visit) {
  const open = room === state.room;
  const n = open || room === "" ? 0 : calls(state.me.id, room);
  const news = !open && room !== "" && fresh(room);
  return h("li", {}, h("a", {
    href: route(room), class: news ? "place fresh" : "place", "aria-current": open ? "page" : undefined, dataset: { room },
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab, where one can be somebody else
      event.preventDefault();
      visit(room);
    },
  }, icon(kind), h("span", {}, name), badge(n, `${n} for you`)));
}

function badge(n, label) {
  return n > 0 && h("span", { class: "badge" }, String(n), h("span", { class: "hidden" }, ` (${label})`));
}

/** route is the address of a room within the page. */
export function route(room) {
  if (room === "") return "#/home";
  return room.startsWith("@") ? "#/messages" : `#/channel/${encodeURIComponent(room)}`;
}

/** routed is the room that the page's address names; the first channel where it names none. */
export function routed() {
  if (location.hash === "#/home") return "";
  if (location.hash === "#/messages") return personalRoom(state.me.id);
  const named = decodeURIComponent(location.hash.replace(/^#\/channel\//, ""));
  return state.channels.some((c) => c.id === named) ? named : state.channels[0]?.id ?? "";
}

function keepFocus(root, draw) {
  const id = root.contains(document.activeElement) ? document.activeElement.dataset.person : undefined;
  draw();
  if (id) root.querySelector(`[data-person="${CSS.escape(id)}"]`)?.focus();
}
