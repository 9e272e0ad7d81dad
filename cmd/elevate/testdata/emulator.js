async (person, place, thread) => {
  const until = async (look) => {
    for (let i = 0; i < 200; i++) {
      const found = look();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 25));
    }
    throw new Error("the emulator's page does not show " + look);
  };
  const choose = (select, value) => {
    Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set.call(select, value);
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };

  choose(await until(() => [...document.querySelectorAll(".actas select")].find((s) => [...s.options].some((o) => o.value === person))), person);
  const bare = place.replace("#", "");
  const found = await until(() => [...document.querySelectorAll(".sidebar-item")].find((b) => b.innerText.replace(/^[#🏠\s]+/u, "").trim() === bare));
  found.click();
  await until(() => document.querySelector(".msg, .home, [class*=message]"));
  if (thread) [...document.querySelectorAll(".thread-summary")].at(-1)?.click();
  await new Promise((done) => setTimeout(done, 300));

  const escape = (s) => s.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const time = (unix, format) => {
    const at = new Date(unix * 1000);
    const clock = at.toLocaleTimeString("en-GB", format.includes("secs") ? {} : { hour: "2-digit", minute: "2-digit" });
    return format.includes("{date") ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + ", " + clock : clock;
  };
  const rich = (e) => {
    const inner = (e.elements ?? []).map(rich).join("");
    let html = inner;
    if (e.type === "text") html = escape(e.text);
    if (e.type === "user") html = `<span class="mention">@${escape(e.user_id)}</span>`;
    if (e.type === "date") html = time(e.timestamp, e.format);
    if (e.type === "rich_text_quote") html = `<blockquote class="mrkdwn-quote" style="white-space: pre-wrap">${inner}</blockquote>`;
    if (e.type === "rich_text_section") html = `<div>${inner}</div>`;
    if (e.style?.bold) html = `<strong>${html}</strong>`;
    if (e.style?.code) html = `<code>${html}</code>`;
    return html;
  };
  const props = (node) => {
    let fiber = node[Object.keys(node).find((k) => k.startsWith("__reactFiber"))];
    while (fiber && !fiber.memoizedProps?.block) fiber = fiber.return;
    return fiber?.memoizedProps.block;
  };
  for (const node of document.querySelectorAll(".bk-unknown")) {
    const block = props(node);
    if (block?.type === "rich_text") node.outerHTML = `<div class="bk-text">${rich(block)}</div>`;
  }
  for (const node of document.querySelectorAll(".bk-input")) {
    const element = props(node)?.element;
    if (element?.type !== "external_select") continue;
    const shown = document.createElement("input");
    shown.className = "bk-plain-input";
    shown.value = element.initial_option?.text.text ?? "";
    shown.placeholder = element.placeholder?.text ?? "";
    node.querySelector("label").after(shown);
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let t = texts.nextNode(); t; t = texts.nextNode()) {
    t.data = t.data.replace(/<!date\^(\d+)\^([^|]*)\|[^>]*>/g, (_, unix, format) => time(Number(unix), format)).replaceAll("&amp;", "&");
  }
  return true;
}
