// What stands beside the chat: the target as it really is, the timers, the evidence, and a clock that can be hurried.
import { avatar, byId, fill, h, toast } from "/page/dom.js";
import { post, Refused } from "/page/api.js";
import { on } from "/page/bus.js";
import { left, place, show } from "/page/time.js";
import { person, state } from "/page/state.js";
import { guide } from "/aside/guide.js";

let doc = null; // the server's last word
let heard = 0; // when it came, in the page's own time
const parts = {};

/** now is the playground's time, carried on from the server's last word. */
export function now() {
  return doc ? Date.parse(doc.clock.now) + (performance.now() - heard) * doc.clock.rate : Date.now();
}

/** order asks the playground for something. */
export async function order(what, body = {}) {
  try {
    return await post(`/aside/do/${what}`, body);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    toast(err.message);
    return null;
  }
}

function build() {
  const aside = byId("aside");
  parts.clock = h("section", { "aria-labelledby": "clock-title" });
  parts.target = h("section", { "aria-labelledby": "target-title" });
  parts.trail = h("section", { "aria-labelledby": "trail-title" });
  fill(aside, parts.clock, parts.target, parts.trail);
  buildClock();
  buildTarget();
  buildTrail();
  parts.digest = h("button", { type: "button", class: "button", id: "digest", onclick: () => order("digest") }, "Post digest now");
  byId("top-end").append(parts.digest);
}

// segments is a row of choices of which one holds.
function segments(name, label, choices, choose) {
  const el = h("div", { class: "segments", role: "radiogroup", "aria-label": label }, choices.map(([value, text, bad]) =>
    h("label", { class: bad ? "bad" : "" },
      h("input", { type: "radio", name, value, onchange: () => choose(value) }), h("span", {}, text))));
  el.choose = (value) => {
    const input = el.querySelector(`input[value="${CSS.escape(String(value))}"]`);
    if (input) input.checked = true;
  };
  return el;
}

function buildClock() {
  parts.time = h("div", { class: "clock-time", role: "timer", "aria-label": "Time in the playground", "aria-live": "off" });
  parts.place = h("div", { class: "clock-place" });
  parts.rate = segments("rate", "How fast time passes", [[1, "×1"], [10, "×10"], [60, "×60"]], (rate) => order("rate", { rate: Number(rate) }));
  parts.skip = h("button", { type: "button", class: "button", id: "skip", onclick: () => order("skip") }, "Skip to next timer");
  parts.timers = h("ul", { class: "due", "aria-label": "Timers, the next first" });
  fill(parts.clock,
    h("h2", { class: "hidden", id: "clock-title" }, "Clock and timers"),
    h("div", { class: "clock-face" }, parts.time, parts.place),
    h("div", { class: "clock-keys" }, parts.rate, parts.skip), parts.timers);
}

function buildTarget() {
  parts.lamp = h("span", { class: "lamp", "aria-hidden": "true" });
  parts.health = h("span", { class: "end" });
  parts.roles = h("div", { class: "roles" });
  parts.fault = segments("fault", "How the target behaves",
    [["well", "Answers"], ["off", "Is down", true], ["hang", "Hangs", true], ["lie", "Lies", true]], (mode) => order("fault", { mode }));
  parts.fault.classList.add("wide");
  fill(parts.target,
    h("h2", { id: "target-title" }, parts.lamp, "Target: who really holds what", parts.health),
    parts.roles, h("p", { class: "fault-label", id: "fault-label" }, "Make the target misbehave"), parts.fault);
}

function buildTrail() {
  parts.events = h("ol", { class: "trail" });
  parts.chain = h("span", {});
  fill(parts.trail, h("h2", { id: "trail-title" }, "Audit log"), parts.events,
    h("div", { class: "chain" }, parts.chain, h("button", { type: "button", class: "button", id: "verify", onclick: verify }, "Verify")));
}

async function verify() {
  const report = await order("verify");
  if (report) toast(report.text);
}

function draw() {
  if (!doc) return;
  parts.rate.choose(doc.clock.rate);
  parts.skip.disabled = doc.timers.length === 0;
  parts.fault.choose(doc.target.mode);
  const bad = doc.target.mode !== "well";
  parts.lamp.classList.toggle("bad", bad);
  parts.health.textContent = { well: "", off: "is down", hang: "hangs", lie: "lies" }[doc.target.mode];
  const held = doc.target.roles.filter((r) => r.holders.length > 0);
  const free = doc.target.roles.filter((r) => r.holders.length === 0);
  fill(parts.roles, held.map(role), free.length > 0 && h("div", { class: "role" },
    h("p", { class: "quiet", id: "free" }, h("strong", {}, "Nobody holds "), free.map((r) => r.title).join(", "))));
  grants = new Set(doc.target.roles.flatMap((r) => r.holders.map((x) => x.grant)));
  fill(parts.timers, doc.timers.length === 0
    ? h("li", { class: "quiet" }, "No timers. Each request sets its own.")
    : doc.timers.slice(0, 3).map((t) => h("li", { title: show(t.at, "full", state.me?.zone) },
      h("span", { class: "left", dataset: { until: t.at } }), h("span", { class: "what" }, t.what))));
  drawTrail();
  tick();
}

function role(r) {
  return h("div", { class: "role", dataset: { role: r.id } },
    h("div", { class: "role-name" }, r.title),
    r.holders.map(holder));
}

// The grants that were drawn before: only a new one moves in.
let grants = new Set();

function holder(x) {
  const who = person(x.person);
  const name = who?.name ?? x.account;
  if (!x.grant) {
    return h("div", { class: "holder", dataset: { account: x.account } }, avatar(who ?? { id: x.account, name }, "small"),
      h("div", { class: "who" }, h("bdi", {}, name), h("small", {}, "standing access, not from Elevate")));
  }
  if (!x.ends) return h("div", { class: "holder ours", dataset: { account: x.account, grant: x.grant } },
    avatar(who ?? { id: x.account, name }, "small"), h("div", { class: "who" }, h("bdi", {}, name), h("small", {}, "until this very moment")));
  const late = x.state === "deactivating";
  return h("div", { class: `holder ours ${late ? "late" : ""} ${grants.has(x.grant) ? "" : "new"}`, dataset: { account: x.account, grant: x.grant } },
    avatar(who ?? { id: x.account, name }, "small"),
    h("div", { class: "who" }, h("bdi", {}, name),
      h("small", {}, late ? `should be gone since ${show(x.ends, "clock", state.me?.zone)}` : `until ${show(x.ends, "clock", state.me?.zone)}`),
      h("div", { class: "bar" }, h("i", { dataset: { from: x.begins, to: x.ends } }))),
    h("span", { class: "left", dataset: late ? { since: x.ends } : { until: x.ends } }));
}

let newest = 0;
function drawTrail() {
  const events = doc.trail;
  const seen = newest;
  newest = Math.max(newest, ...events.map((e) => e.seq));
  fill(parts.events, events.length === 0 ? h("li", { class: "quiet" }, "Nothing has happened yet.") : events.map((e) =>
    h("li", { class: seen > 0 && e.seq > seen ? "new" : "" },
      h("time", { datetime: e.at, title: show(e.at, "full", state.me?.zone) }, show(e.at, "seconds", state.me?.zone)),
      h("span", { title: e.about }, h("bdi", {}, person(e.actor)?.name ?? "Elevate"), " ",
        h("span", { class: e.no ? "no" : "verb" }, e.verb), e.about && ` ${e.about}`))));
  parts.chain.textContent = doc.chain.lines === 0 ? "Hash-chained, as JSON lines"
    : `${doc.chain.lines} ${doc.chain.lines === 1 ? "line" : "lines"}, chained: …${doc.chain.hash}`;
}

// tick moves what depends on the time alone.
function tick() {
  if (!doc) return;
  const t = now();
  const zone = state.me?.zone;
  parts.time.textContent = show(t, "seconds", zone);
  parts.place.textContent = `${show(t, "day", zone)}, ${place(zone)}`;
  for (const el of byId("aside").querySelectorAll("[data-until]")) el.textContent = left(Date.parse(el.dataset.until) - t);
  for (const el of byId("aside").querySelectorAll("[data-since]")) el.textContent = `+${left(t - Date.parse(el.dataset.since))}`;
  for (const el of byId("aside").querySelectorAll("[data-from]")) {
    const from = Date.parse(el.dataset.from);
    const to = Date.parse(el.dataset.to);
    const part = Math.min(1, Math.max(0, (to - t) / Math.max(1, to - from)));
    el.style.setProperty("width", `${(part * 100).toFixed(1)}%`);
  }
}

build();
on("aside", (d) => {
  doc = d;
  heard = performance.now();
  draw();
  guide(doc);
});
on("room", (room) => {
  parts.digest.hidden = room !== state.channels[0]?.id;
});
on("me", () => {
  draw();
  if (doc) guide(doc);
});
setInterval(tick, 250);
