// Lists what people could not read or use: text with too little contrast, controls without a name, parts that stick out.
(() => {
  const faults = [];
  const scope = document.querySelector("dialog[open]") ?? document.body;

  const parse = (c) => {
    const n = c.match(/[\d.]+/g).map(Number);
    const scale = c.startsWith("color(") ? 255 : 1;
    return [n[0] * scale, n[1] * scale, n[2] * scale, n[3] ?? 1];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const background = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((under, c) => over(c, under), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const f = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  const told = new Set();
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    const style = getComputedStyle(el);
    if (text === "" || !el.checkVisibility({ visibilityProperty: true }) || el.closest(":disabled, .hidden, .skip, .avatar.bot")) continue;
    const under = background(el);
    const [a, b] = [light(over(parse(style.color), under)), light(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5) && !told.has(el.className + style.color)) {
      told.add(el.className + style.color);
      faults.push(`contrast ${ratio.toFixed(2)} of "${text.slice(0, 30)}" (${el.tagName}.${el.className})`);
    }
  }

  const name = (el) => (el.getAttribute("aria-label") || document.getElementById(el.getAttribute("aria-labelledby") ?? "")?.textContent ||
    [...(el.labels ?? [])].map((l) => l.textContent).join(" ") || el.textContent || "").trim();
  for (const el of scope.querySelectorAll("button, a[href], input, textarea, dialog[open], [role]")) {
    if (!el.checkVisibility() || ["presentation", "separator", "status", "alert", "note"].includes(el.getAttribute("role"))) continue;
    if (name(el) === "") faults.push(`no name for ${el.outerHTML.slice(0, 90)}`);
    for (const id of (el.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean)) {
      if (!document.getElementById(id)) faults.push(`describes itself by ${id}, which is not there: ${el.outerHTML.slice(0, 90)}`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`more than one element with the id ${id}`);

  for (const el of scope.querySelectorAll("*")) {
    if (!el.checkVisibility() || el.closest(".hidden, .skip, svg")) continue;
    const box = el.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) faults.push(`sticks out at the side: ${el.outerHTML.slice(0, 90)}`);
  }
  return faults;
})()
