// Forms of the bot as dialogs: inline errors, inputs that ask for the form anew, and search among very many.
import { byId, fill, h } from "./dom.js";
import { deed, get, post, Refused } from "./api.js";
import { part } from "./cards.js";
import { state } from "./state.js";

/** open shows a form. at is where it was asked for; done(answer) is called when it was accepted. */
export function open(form, at, done) {
  const el = byId("form");
  const current = { form, at, done, inputs: [] };
  draw(el, current);
  if (!el.open) el.showModal();
  (current.inputs.find((i) => !i.filled()) ?? current.inputs[0])?.focus();
}

function draw(el, current) {
  const { form } = current;
  current.inputs = form.inputs.map((input) => makeInput(input, () => refresh(el, current)));
  const general = h("p", { class: "error general", role: "alert" });
  const send = h("button", { type: "submit", class: `button ${form.name === "deny" ? "danger solid" : "primary"}` }, form.submit);
  fill(el, h("form", {
    novalidate: true, dataset: { form: form.name },
    onsubmit: (event) => {
      event.preventDefault();
      submit(el, current, send, general);
    },
  },
  h("header", {}, h("h2", { id: "form-title" }, form.title),
    h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => el.close() }, "×")),
  h("div", { class: "fields" },
    (form.intro ?? []).map((p) => part(p, () => {}, 3)), current.inputs.map((i) => i.element), general),
  h("footer", { class: "buttons end" },
    h("button", { type: "button", class: "button", onclick: () => el.close() }, "Cancel"), send)));
}

function body({ form, at, inputs }) {
  const values = Object.fromEntries(inputs.map((i) => [i.name, i.value()]));
  return { ...at, form: form.name, request: form.request ?? "", values };
}

async function submit(el, current, send, general) {
  send.disabled = true;
  general.textContent = "";
  try {
    const answer = await deed("/chat/submit", body(current));
    if (answer.errors && Object.keys(answer.errors).length > 0) {
      mark(current, answer.errors, general);
      return;
    }
    el.close();
    current.done(answer);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    general.textContent = err.message;
  } finally {
    send.disabled = false;
  }
}

// mark shows each error at its input, and the rest below; the first wrong input gets the focus.
function mark(current, errors, general) {
  const rest = { ...errors };
  for (const input of current.inputs) {
    input.fail(rest[input.name] ?? "");
    delete rest[input.name];
  }
  general.textContent = Object.values(rest).join(" ");
  current.inputs.find((i) => errors[i.name])?.focus();
}

// refresh asks for the form again: one answer decides what else is asked. What was typed meanwhile stays.
async function refresh(el, current) {
  const answer = await post("/chat/refresh", body(current)).catch(() => ({}));
  if (!answer.form || !el.open) return;
  const typed = Object.fromEntries(current.inputs.filter((i) => i.typed).map((i) => [i.name, i.value()]));
  const focused = document.activeElement?.closest("[data-input]")?.dataset.input;
  current.form = answer.form;
  for (const input of current.form.inputs) if (typed[input.name]) input.text = typed[input.name];
  draw(el, current);
  current.inputs.find((i) => i.name === focused)?.focus();
}

// makeInput gives {name, element, value(), filled(), focus(), fail(text), typed} for an input.
function makeInput(input, changed) {
  const id = `in-${input.name}`;
  const error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
  const hint = input.hint && h("p", { class: "field-hint", id: `${id}-hint` }, input.hint);
  const described = [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const kinds = { area, choice, search, code, line };
  const made = (kinds[input.kind] ?? line)(input, id, described, input.refresh ? changed : () => {});
  const label = made.group ? "legend" : "label";
  const element = h(made.group ? "fieldset" : "div", { class: `field field-${input.kind}`, dataset: { input: input.name } },
    h(label, { for: made.group ? undefined : id }, input.label, input.optional && h("span", { class: "optional" }, " (optional)")),
    made.elements, hint, error);
  return {
    name: input.name, element, value: made.value, typed: input.kind === "line" || input.kind === "area",
    filled: () => made.value() !== "",
    focus: made.focus,
    fail(text) {
      error.textContent = text;
      made.control.setAttribute("aria-invalid", String(text !== ""));
    },
  };
}

function line(input, id, described, changed) {
  const control = h("input", { id, type: "text", dir: "auto", autocomplete: "off", maxlength: input.max_length || undefined,
    "aria-describedby": described, "aria-required": !input.optional, onchange: changed });
  return text(control, input);
}

// code is a one-time code: phones offer digits for it, and no browser remembers it.
function code(input, id, described, changed) {
  const control = h("input", { id, type: "text", inputmode: "numeric", autocomplete: "one-time-code", spellcheck: "false",
    maxlength: input.max_length || undefined, "aria-describedby": described, "aria-required": !input.optional, onchange: changed });
  return text(control, input);
}

function area(input, id, described, changed) {
  const control = h("textarea", { id, rows: 3, dir: "auto", maxlength: input.max_length || undefined,
    "aria-describedby": described, "aria-required": !input.optional, onchange: changed });
  return text(control, input);
}

function text(control, input) {
  control.value = input.text ?? "";
  return { control, elements: [control], value: () => control.value, focus: () => control.focus() };
}

function choice(input, id, described, changed) {
  const boxes = (input.options ?? []).map((o, i) => h("label", { class: "pill" },
    h("input", { type: "radio", name: input.name, value: o.value, id: i === 0 ? id : undefined, "aria-describedby": described,
      checked: o.value === input.initial?.value, onchange: changed }),
    h("span", {}, o.label, o.detail && h("small", {}, ` ${o.detail}`))));
  const control = h("div", { class: "pills" }, boxes);
  return {
    group: true, control, elements: [control],
    value: () => control.querySelector("input:checked")?.value ?? "",
    focus: () => (control.querySelector("input:checked") ?? control.querySelector("input"))?.focus(),
  };
}

// search is a box to type in, with a list of what the server finds; only what was chosen from the list is a value.
function search(input, id, described, changed) {
  let chosen = input.initial ?? null;
  let at = -1;
  let asked = 0;
  const list = h("ul", { class: "found", id: `${id}-list`, role: "listbox", "aria-label": input.label, hidden: true });
  const control = h("input", { id, type: "text", dir: "auto", role: "combobox", autocomplete: "off", spellcheck: "false",
    placeholder: "Type to search", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
    "aria-describedby": described, "aria-required": !input.optional });
  control.value = chosen?.label ?? "";
  const shut = () => {
    list.hidden = true;
    at = -1;
    control.setAttribute("aria-expanded", "false");
    control.removeAttribute("aria-activedescendant");
  };
  const pick = (option) => {
    const other = option.value !== chosen?.value;
    chosen = option;
    control.value = option.label;
    shut();
    if (other) changed();
  };
  const go = (i) => {
    at = (i + list.children.length) % list.children.length;
    [...list.children].forEach((li, n) => li.setAttribute("aria-selected", String(n === at)));
    control.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const find = async () => {
    const mine = ++asked;
    const typed = chosen ? "" : control.value;
    const options = await get("/chat/suggest", { person: state.me.id, input: input.name, typed }).catch(() => []);
    if (mine !== asked || document.activeElement !== control) return;
    at = -1;
    fill(list, options.map((o, i) => h("li", {
      id: `${id}-${i}`, role: "option", "aria-selected": "false", dataset: { value: o.value },
      onpointerdown: (event) => {
        event.preventDefault();
        pick(o);
      },
    }, h("span", {}, o.label), o.detail && h("small", {}, o.detail))));
    if (options.length === 0) fill(list, h("li", { class: "none", id: `${id}-0`, role: "option", "aria-disabled": "true" }, "Nothing found"));
    list.options = options;
    list.hidden = false;
    control.setAttribute("aria-expanded", "true");
  };
  control.addEventListener("input", () => {
    chosen = null;
    find();
  });
  control.addEventListener("focus", () => control.select());
  control.addEventListener("click", () => list.hidden && find());
  control.addEventListener("blur", () => {
    shut();
    if (!chosen && control.value !== "" && list.options?.length === 1) pick(list.options[0]);
  });
  control.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) find();
      else if (list.options.length > 0) go(at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && !list.hidden && list.options?.length > 0) {
      event.preventDefault();
      pick(list.options[Math.max(at, 0)]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      shut();
    }
  });
  return { control, elements: [control, list], value: () => chosen?.value ?? "", focus: () => control.focus() };
}
