// What the Playground's page shows of the chosen conversation, as a person reads it.
globalThis.shown = {
  // cards are those of its messages, from the top. A notice is what the page tells below a card to whoever clicked on it.
  cards: () =>
    [...document.querySelectorAll(".ac-preview-panel")].map((panel) => ({
      panel,
      says: panel.innerText,
      notice: panel.nextElementSibling?.innerText.trim() ?? "",
    })),

  // card is the first one that says all of the words, itself or in its notice.
  card: (words) => shown.cards().find((c) => words.every((w) => (c.says + "\n" + c.notice).includes(w))),

  // button is the one with this label on that card.
  button: (words, label) => [...(shown.card(words)?.panel.querySelectorAll("button") ?? [])].find((b) => b.innerText.trim() === label),

  // input is the one with this label on that card.
  input: (words, label) => {
    const of = [...(shown.card(words)?.panel.querySelectorAll("label[for]") ?? [])].find((l) => l.innerText.replace(/\s*\*?\s*$/, "") === label);
    return of && document.getElementById(of.htmlFor);
  },

  // posts are the messages of a channel that stand by themselves, from the newest: who wrote them, and how many cards
  // there are, the answers' included.
  posts: () =>
    [...document.querySelectorAll(".fui-Card:has(.fui-CardFooter [role=textbox])")].map((post) => ({
      by: post.querySelector(".fui-CardHeader .fui-Text").innerText,
      cards: post.querySelectorAll(".ac-preview-panel").length,
    })),
};
true;
