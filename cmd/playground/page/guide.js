// The next step, for whoever opens the playground for the first time.
import { byId, fill, h } from "/page/dom.js";
import { become, compose, visit } from "/page/main.js";
import { person, state } from "/page/state.js";
import { order } from "/aside/aside.js";

let hidden = localStorage.getItem("guide") === "hidden";
let shown = "";

/** guide shows what to do next, given what is open. */
export function guide(doc) {
  const step = hidden ? null : next(doc);
  const sign = JSON.stringify(step && [step.text, step.label, state.me.id]);
  if (sign === shown) return;
  shown = sign;
  byId("guide").hidden = !step;
  if (!step) return;
  fill(byId("guide"), h("p", {}, step.text),
    step.label && h("button", { type: "button", class: "button", dataset: { step: step.name }, onclick: step.act }, step.label),
    h("button", { type: "button", class: "close", "aria-label": "Hide these hints", onclick: hide }, "×"));
}

function hide() {
  hidden = true;
  localStorage.setItem("guide", "hidden");
  byId("guide").hidden = true;
}

const example = "/elevate prod-db-admin 30m INC-4711 replication has stopped, restarting it";

function next(doc) {
  const late = doc.requests.find((r) => r.state === "deactivating");
  if (late) return ending(doc, late);
  const active = doc.requests.find((r) => r.state === "active" || r.state === "activating");
  const pending = doc.requests.find((r) => r.state === "pending");
  if (pending) return deciding(pending);
  if (active) {
    return {
      name: "hurry", label: "Skip to next timer", act: () => order("skip"),
      text: `${name(active.person)} holds the role at the target: look at the right. Hurry the clock, and watch it end.`,
    };
  }
  if (doc.ended > 0) {
    return doc.digests > 0 ? {
      name: "more",
      text: "That was the whole story. Now break things: let the target hang or lie while access ends, deny a request, or ask for cluster-admin, which two people must approve.",
    } : {
      name: "digest", label: "Post the daily digest", act: () => order("digest").then(() => visit(state.channels[0].id)),
      text: "The access is gone, and the target was read back to prove it. The daily digest sums it all up.",
    };
  }
  return asking();
}

function asking() {
  if (state.me.id !== state.people[0].id) {
    const first = state.people[0];
    return { name: "first", label: `Become ${first.name}`, act: () => become(first.id), text: `${first.name} is the one who needs access first.` };
  }
  return {
    name: "ask", label: "Type it for me", act: () => compose(example),
    text: `You are ${state.me.name}, an engineer. Type /elevate below, choose a role, say for how long and why, and send it.`,
  };
}

function deciding(r) {
  if (r.deciders.includes(state.me.id)) {
    return { name: "approve", text: `${name(r.person)} is waiting for you. Read the request, then approve or deny it.` };
  }
  const other = person(r.deciders[0]);
  const own = r.person === state.me.id;
  return {
    name: "become", label: other && `Become ${other.name}`, act: () => become(other.id),
    text: own ? "Your request waits for an approver. Press Approve yourself, if you like: it will be refused."
      : `${name(r.person)} waits for somebody who may approve this.`,
  };
}

function ending(doc, r) {
  if (doc.target.mode === "well") return { name: "ending", text: `${name(r.person)}'s access is being taken away…` };
  return {
    name: "heal", label: "Let the target answer", act: () => order("fault", { mode: "well" }),
    text: `The target does not give ${name(r.person)}'s access back. Elevate tries for ever, and says so louder after a minute.`,
  };
}

const name = (id) => person(id)?.name ?? id;
