// The parts of the page tell each other what happened: "me" (another person was chosen), "room", "news" (the chat
// changed), "aside" (a document for what stands beside the chat), "line" (whether the server is heard).

const listeners = new Map();
const last = new Map();

/** on calls fn at every event of that name, and at once with the last one where there was one. */
export function on(name, fn) {
  listeners.set(name, [...(listeners.get(name) ?? []), fn]);
  if (last.has(name)) fn(last.get(name));
}

export function emit(name, value) {
  last.set(name, value);
  for (const fn of listeners.get(name) ?? []) fn(value);
}
