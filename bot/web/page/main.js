// The page: who one is, which room is open, and what is done there.
import { avatar, byId, fill, h, icon, toast } from "./dom.js";
import { deed, get, Refused, stream } from "./api.js";
import { card } from "./cards.js";
import { composer, hint, write } from "./composer.js";
import { confirmed, tell } from "./dialog.js";
import { emit, on } from "./bus.js";
import { open } from "./forms.js";
import { anew, hold, log, toEnd } from "./log.js";
import { people, places, route, routed } from "./rooms.js";
import { calls, look, person, personalRoom, state } from "./state.js";

let stop = () => {};

async function start() {
  const { people: all, channels } = await get("/chat/start");
  state.people = all;
  state.channels = channels;
  state.me = person(sessionStorage.getItem("me")) ?? all[0];
  composer(send);
  hold();
  tabs();
  window.addEventListener("hashchange", enter);
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  await enter();
  emit("me", state.me);
  listen();
}

// listen follows the news of the person one is. A hidden page lets go: browsers allow few lines to one server.
function listen() {
  stop();
  stop = stream("/chat/stream", () => ({ person: state.me.id, since: state.rev }), hear, (up) => {
    emit("line", up);
    document.body.classList.toggle("offline", !up);
  });
}

function hear(name, document_) {
  if (name === "aside") emit("aside", document_);
  if (name !== "news") return;
  state.rev = document_.rev;
  state.calls = document_.calls;
  for (const m of document_.messages) state.messages.set(m.ref, m);
  draw();
  if (document_.messages.length > 0 && state.room === "") home();
  emit("news", document_);
}

function draw() {
  look();
  people(become);
  places(visit);
  tabs();
  if (state.room !== "") log(act, empty);
}

/** become chooses another person: everything is read anew with their eyes. */
export function become(id) {
  if (id === state.me.id) return;
  const inPersonal = state.room.startsWith("@");
  stop();
  state.me = person(id);
  sessionStorage.setItem("me", id);
  state.messages.clear();
  state.rev = 0;
  if (inPersonal) state.room = personalRoom(id);
  anew();
  emit("me", state.me);
  enter();
  listen();
}

/** visit opens a room. */
export function visit(room) {
  if (location.hash !== route(room)) history.pushState(null, "", route(room));
  enter();
  pane("chat");
}

/** compose puts a command into the box of a channel. */
export function compose(text) {
  if (state.room === "") visit(state.channels[0].id);
  pane("chat");
  write(text);
}

async function enter() {
  const before = state.room;
  state.room = routed();
  if (before !== state.room) hint("");
  const atHome = state.room === "";
  const channel = state.channels.find((c) => c.id === state.room);
  const name = atHome ? "Home" : channel ? channel.id : "Messages to you";
  fill(byId("room"), icon(atHome ? "home" : channel ? "channel" : "personal"), name);
  byId("topic").textContent = atHome ? `As ${state.me.name} sees it` : channel?.topic ?? `What Elevate tells ${state.me.name}, and nobody else`;
  byId("line").placeholder = channel ? `Write to #${name}, or type /elevate` : "Type /elevate, or just mine, roles, help";
  byId("line-label").textContent = `Message to ${name} as ${state.me.name}`;
  document.title = `${atHome ? "Home" : channel ? `#${name}` : "Messages"} · ${document.querySelector(".brand span").textContent}`;
  byId("log").hidden = atHome;
  byId("composer").hidden = atHome;
  byId("home").hidden = !atHome;
  anew();
  draw();
  emit("room", state.room);
  if (atHome) await home();
  else toEnd();
  if (before !== state.room) pane("chat");
}

let homes = 0;
async function home() {
  const mine = ++homes;
  const c = await get("/chat/home", { person: state.me.id }).catch(refused);
  if (c && mine === homes) fill(byId("home"), card(c, (button, el) => act(button, null, el), { level: 2 }));
}

function empty() {
  const channel = state.channels.find((c) => c.id === state.room);
  return h("div", { class: "empty" }, avatar(undefined, "large"),
    h("h2", {}, channel ? `This is #${channel.id}` : "Nothing for you yet"),
    h("p", {}, channel
      ? "Requests appear here, with buttons for those who may decide. Everybody sees what was asked, by whom, and what became of it."
      : "When your request is decided, when access begins and before it ends, Elevate tells you here."));
}

const where = (message = null) => ({ person: state.me.id, room: state.room, message: message?.ref ?? "" });

async function send(text) {
  try {
    const at = where();
    respond(await deed("/chat/say", { ...at, text }), at);
    toEnd();
    return true;
  } catch (err) {
    refused(err, hint);
    return false;
  }
}

// act does what a button says, after asking once more where the button wants that.
async function act(button, message, el) {
  if (button.confirm && !(await confirmed(button.confirm, button.style))) return;
  const at = where(message);
  el.disabled = true;
  try {
    respond(await deed("/chat/click", { ...at, action: button.action, request: button.request ?? "" }), at);
  } catch (err) {
    refused(err);
  } finally {
    el.disabled = false;
  }
}

// respond shows what the bot answers to this person alone. A card for a room comes with the news.
function respond(answer, at) {
  if (answer.form) open(answer.form, at, (next) => respond(next, at));
  else if (answer.card && at.room === "") tell(answer.card, (button, el) => act(button, null, el));
  if (at.room === "") home();
}

function refused(err, say = toast) {
  if (!(err instanceof Refused)) throw err;
  say(err.message);
}

// On a phone, one part of the page is shown at a time.
function tabs() {
  const n = state.me ? calls(state.me.id) : 0;
  const all = [["rooms", "Rooms", "menu"], ["chat", "Chat", "channel"], ["aside", "Target", "target"]];
  fill(byId("tabs"), all.filter(([name]) => byId(name)).map(([name, label, picture]) => h("button", {
    type: "button", "aria-pressed": document.body.dataset.pane === name, onclick: () => pane(name),
  }, icon(picture), label, name === "rooms" && n > 0 && h("span", { class: "badge" }, String(n)))));
}

function pane(name) {
  document.body.dataset.pane = name;
  tabs();
}

on("line", (up) => up || hint(""));
start().catch((err) => refused(err));
