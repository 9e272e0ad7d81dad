// The conversation: messages with their threads, redrawn only where something changed.
import { avatar, byId, h, icon } from "./dom.js";
import { card } from "./cards.js";
import { person, roots, state } from "./state.js";
import { show } from "./time.js";

const drawn = new Map(); // by key: what was drawn, and the element
const unfolded = new Set(); // messages whose whole thread is shown
const folded = 4; // replies that are shown of a longer thread

/** log draws the open room; act(button, message, element) is called for a click that counts. */
export function log(act, empty) {
  const root = byId("log");
  const scroll = byId("scroll");
  const end = atEnd(scroll);
  const wanted = [];
  let day = "";
  for (const { message, replies } of roots()) {
    const today = show(message.at, "day", state.me.zone);
    if (today !== day) wanted.push({ key: `day ${today}`, sign: today, make: () => divider(today) });
    day = today;
    wanted.push({
      key: message.ref, sign: JSON.stringify([state.me.id, message.rev, replies.map((r) => r.rev), unfolded.has(message.ref)]),
      make: () => article(message, replies, act),
    });
  }
  if (wanted.length === 0) wanted.push({ key: "empty", sign: state.room + state.me.id, make: () => empty() });
  const grew = reconcile(root, wanted);
  if (grew && end) scroll.scrollTop = scroll.scrollHeight;
}

/** anew forgets what was drawn: another room, or another reader. */
export function anew() {
  drawn.clear();
  byId("log").replaceChildren();
}

const atEnd = (el) => el.scrollHeight - el.scrollTop - el.clientHeight < 80;

/** hold keeps the end in sight when the window, or what stands below, changes its height. */
export function hold() {
  const scroll = byId("scroll");
  let end = true;
  scroll.addEventListener("scroll", () => {
    end = atEnd(scroll);
  }, { passive: true });
  new ResizeObserver(() => end && toEnd()).observe(scroll);
}

export function toEnd() {
  byId("scroll").scrollTop = byId("scroll").scrollHeight;
}

// reconcile makes root's children those wanted, keeping every element whose sign is the same.
function reconcile(root, wanted) {
  const keep = new Set(wanted.map((w) => w.key));
  for (const [key, { el }] of drawn) {
    if (!keep.has(key)) {
      el.remove();
      drawn.delete(key);
    }
  }
  let changed = false;
  wanted.forEach(({ key, sign, make }, i) => {
    const old = drawn.get(key);
    if (old?.sign !== sign) {
      const el = make();
      if (old) {
        const focused = old.el.contains(document.activeElement);
        old.el.replaceWith(el);
        el.classList.add("changed");
        if (focused) el.focus({ preventScroll: true });
      }
      drawn.set(key, { sign, el });
      changed = true;
    }
    const { el } = drawn.get(key);
    if (root.children[i] !== el) root.insertBefore(el, root.children[i] ?? null);
  });
  return changed;
}

function divider(text) {
  return h("div", { class: "day", role: "separator" }, h("span", {}, text));
}

function article(m, replies, act) {
  const hidden = unfolded.has(m.ref) ? 0 : Math.max(0, replies.length - folded);
  return h("article", {
    class: m.only ? "message only" : "message", tabindex: -1, dataset: { ref: m.ref, card: m.card?.name ?? "" },
    "aria-label": `${author(m)}, ${show(m.at, "clock", state.me.zone)}`,
  },
  avatar(person(m.from)),
  h("div", { class: "body" },
    byline(m), content(m, act),
    replies.length > 0 && h("div", { class: "thread", role: "group", "aria-label": "Replies" },
      hidden > 0 && h("button", { type: "button", class: "unfold", onclick: () => unfold(m, replies, act) },
        `Show ${hidden} earlier ${hidden === 1 ? "reply" : "replies"}`),
      replies.slice(hidden).map((r) => reply(r, act)))));
}

function unfold(m, replies, act) {
  unfolded.add(m.ref);
  const el = article(m, replies, act);
  drawn.get(m.ref).el.replaceWith(el);
  drawn.get(m.ref).el = el;
  el.focus({ preventScroll: true });
}

function reply(m, act) {
  return h("div", { class: m.only ? "reply only" : "reply", dataset: { ref: m.ref, card: m.card?.name ?? "" } },
    avatar(person(m.from), "small"), h("div", { class: "body" }, byline(m), content(m, act)));
}

function author(m) {
  return m.from === "elevate" ? "Elevate" : person(m.from)?.name ?? m.from;
}

function byline(m) {
  const zone = state.me.zone;
  return h("header", { class: "byline" },
    h("bdi", { class: "author" }, author(m)),
    m.from === "elevate" && h("span", { class: "tag" }, "App"),
    h("time", { datetime: m.at, title: show(m.at, "full", zone) }, show(m.at, "clock", zone)),
    m.only && h("span", { class: "private" }, icon("eye"), "Only visible to you"));
}

function content(m, act) {
  if (m.card) return card(m.card, (button, el) => act(button, m, el));
  const [first, ...rest] = m.text.split(/(?<=^\/elevate)(?=\s|$)/);
  if (first === "/elevate") return h("p", { class: "words", dir: "auto" }, h("code", {}, first), rest.join(""));
  return h("p", { class: "words", dir: "auto" }, m.text);
}
