// What the page knows. The server is the authority; this is its last word.

export const state = {
  people: [],
  channels: [],
  me: null, // the person one is
  room: "", // the channel or personal room that is open; "" is Home
  rev: 0,
  messages: new Map(), // by reference
  calls: {}, // by person and room: how often they were called
};

export const personalRoom = (id) => `@${id}`;

export const person = (id) => state.people.find((p) => p.id === id);

// What was seen, kept for the tab: calls by person and room, and the newest message by person and channel.
const seen = JSON.parse(sessionStorage.getItem("seen") ?? "{}");

const number = (ref) => Number(ref.slice(1));

/** look marks the open room as seen. */
export function look() {
  const mine = (seen[state.me.id] ??= {});
  if (state.room === "") return;
  mine[state.room] = { calls: state.calls[state.me.id]?.[state.room] ?? 0, last: newest(state.room) };
  sessionStorage.setItem("seen", JSON.stringify(seen));
}

function newest(room) {
  let last = 0;
  for (const m of state.messages.values()) if (m.room === room) last = Math.max(last, number(m.ref));
  return last;
}

/** calls counts what a person was called for and has not looked at, in one room or in all. */
export function calls(id, room = undefined) {
  let n = 0;
  for (const [r, count] of Object.entries(state.calls[id] ?? {})) {
    if (room === undefined || r === room) n += Math.max(0, count - (seen[id]?.[r]?.calls ?? 0));
  }
  return n;
}

/** fresh tells whether a room has messages that the person one is has not seen. */
export function fresh(room) {
  return newest(room) > (seen[state.me.id]?.[room]?.last ?? 0);
}

/** roots are the open room's messages, each with its replies, oldest first. */
export function roots() {
  const all = [...state.messages.values()].filter((m) => m.room === state.room).sort((a, b) => number(a.ref) - number(b.ref));
  const replies = new Map();
  for (const m of all) if (m.thread) replies.set(m.thread, [...(replies.get(m.thread) ?? []), m]);
  return all.filter((m) => !m.thread).map((m) => ({ message: m, replies: replies.get(m.ref) ?? [] }));
}
