// The box one writes in, with what can come next in a command.
import { byId, fill, h } from "./dom.js";
import { get } from "./api.js";
import { state } from "./state.js";

let options = [];
let answered = ""; // the text that the options continue
let looking = Promise.resolve();
let from = 0;
let at = -1;
let asked = 0;
let sending = false;

const line = () => byId("line");
const list = () => byId("choices");

/** composer wires the box; send(text) resolves to whether the text was taken. */
export function composer(send) {
  const el = line();
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    deliver(send);
  });
  el.addEventListener("input", () => {
    if (el.value.trim() === "" && el.value.includes("\n")) el.value = ""; // the line break of an Enter that has sent
    grow();
    at = -1;
    offer();
  });
  el.addEventListener("blur", shut);
  el.addEventListener("keydown", (event) => keys(event, send));
}

async function deliver(send) {
  const text = line().value.trim();
  if (text === "" || sending) return;
  shut();
  hint("");
  sending = true;
  if (await send(text)) {
    line().value = "";
    grow();
  }
  sending = false;
}

/** write puts a text into the box, ready to be sent. */
export function write(text) {
  line().value = text;
  grow();
  line().focus();
  line().setSelectionRange(text.length, text.length);
  offer();
}

export function hint(text) {
  byId("hint").textContent = text;
}

function grow() {
  const el = line();
  el.style.setProperty("height", "auto");
  el.style.setProperty("height", `${Math.min(el.scrollHeight, 160)}px`);
}

function keys(event, send) {
  if (event.isComposing) return;
  const shown = !list().hidden && options.length > 0;
  if (shown && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    go((at < 0 && event.key === "ArrowUp" ? 0 : at) + (event.key === "ArrowDown" ? 1 : -1));
  } else if (shown && event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    first();
  } else if (shown && event.key === "Escape") {
    event.preventDefault();
    shut();
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    if (shown && at >= 0 && answered === line().value) pick(options[at]);
    else deliver(send);
  }
}

// first takes the option marked, else the first. Who types faster than the server answers means what fits the text now.
async function first() {
  await looking;
  if (!list().hidden && answered === line().value) pick(options[Math.max(at, 0)]);
}

function offer() {
  looking = look();
}

// look asks the server what can come next.
async function look() {
  if (sending) return;
  const text = line().value;
  const mine = ++asked;
  if (!text.startsWith("/")) {
    shut();
    hint("");
    return;
  }
  const c = await get("/chat/complete", { person: state.me.id, text }).catch(() => ({ options: [] }));
  if (mine !== asked || document.activeElement !== line()) return;
  options = c.options;
  answered = text;
  from = c.from ?? 0;
  at = -1;
  hint(c.hint ?? "");
  if (options.length === 0) {
    shut();
    return;
  }
  fill(list(), options.map((o, i) => h("div", {
    id: `choice-${i}`, class: "choice", role: "option", "aria-selected": "false", dataset: { insert: o.insert.trim() },
    onpointerdown: (event) => {
      event.preventDefault();
      pick(o);
    },
  }, h("code", {}, o.label), h("span", {}, o.detail ?? ""))),
  h("p", { class: "keys", "aria-hidden": "true" }, h("kbd", {}, "Tab"), " takes the first, ", h("kbd", {}, "↑"), h("kbd", {}, "↓"), " choose"));
  list().hidden = false;
  line().setAttribute("aria-expanded", "true");
}

function go(i) {
  at = (i + options.length) % options.length;
  for (let n = 0; n < options.length; n++) list().children[n].setAttribute("aria-selected", String(n === at));
  line().setAttribute("aria-activedescendant", `choice-${at}`);
  list().children[at].scrollIntoView({ block: "nearest" });
}

function pick(option) {
  write(line().value.slice(0, from) + option.insert);
}

function shut() {
  asked++;
  at = -1;
  list().hidden = true;
  line().setAttribute("aria-expanded", "false");
  line().removeAttribute("aria-activedescendant");
}
