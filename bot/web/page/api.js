// Requests to the server this page came from. Each carries the token of the server's start.

const token = document.querySelector('meta[name="elevate-token"]').content;

/** Refused is a "no" of the server, with a sentence to show. */
export class Refused extends Error {}

async function ask(path, options = {}, tries = 1) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { "X-Elevate-Token": token, ...options.headers } });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    if (tries > 1) return ask(path, options, tries - 1);
    throw new Refused("The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) restarted();
  throw new Refused(body.error ?? `The server answered ${response.status}.`);
}

export async function get(path, query = {}, signal = undefined) {
  const response = await ask(`${path}?${new URLSearchParams(query)}`, { signal });
  return response.json();
}

export async function post(path, body = {}) {
  const response = await ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  return response.json();
}

/** deed posts something that somebody does, and posts it again where no answer came: by its name it is done once. */
export async function deed(path, body) {
  const response = await ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, deed: crypto.randomUUID() }),
  }, 2);
  return response.json();
}

// A page from before the server's restart has nothing that is still true: load it again, once.
function restarted() {
  if (sessionStorage.getItem("reloaded") === token) return;
  sessionStorage.setItem("reloaded", token);
  location.reload();
}

/**
 * stream listens to Server-Sent Events until stop is called, and comes back by itself after a break. query gives the
 * parameters of each attempt; handle gets every event's name and document; connected is told whether the line is up.
 */
export function stream(path, query, handle, connected) {
  let controller = new AbortController();
  let stopped = false;
  const listen = async () => {
    for (let pause = 250; !stopped; pause = Math.min(pause * 2, 4000)) {
      try {
        controller = new AbortController();
        const response = await ask(`${path}?${new URLSearchParams(query())}`, { signal: controller.signal });
        connected(true);
        pause = 250;
        await events(response.body, handle);
      } catch (err) {
        if (!(err instanceof Refused) && err.name !== "AbortError" && !(err instanceof TypeError)) throw err; // not the line's fault
      }
      if (!stopped) {
        connected(false);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  };
  listen();
  return () => {
    stopped = true;
    controller.abort();
  };
}

async function events(body, handle) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n");
      try {
        handle(name.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
      } catch (err) {
        reportError(err); // one event that cannot be shown does not end the line
      }
    }
  }
}
