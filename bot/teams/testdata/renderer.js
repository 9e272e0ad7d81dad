// Shows a card in the page with Microsoft's renderer, as Teams would in a theme, and gives what the renderer says is wrong
// with it. Mentions are made here: they are Teams' own.
(hosts) => {
	AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
		const safe = text.replaceAll("&", "&amp;");
		result.outputHtml = safe
			.replace(/<at>([^<>]*)<\/at>/g, '<span class="at">$1</span>')
			.replace(/\*\*([^*]+)\*\*/g, "<b>$1</b>");
		result.didProcess = true;
	};
	document.head.insertAdjacentHTML("beforeend", `<style>
		body { margin: 0; padding: 12px; font: 14px "Segoe UI", sans-serif; background: #f5f5f5; }
		body.dark { background: #1f1f1f; color-scheme: dark; }
		.ac-adaptiveCard { border: 1px solid #d1d1d1; border-radius: 4px; }
		.dark .ac-adaptiveCard { border-color: #424242; background: #2d2c2c !important; }
		.at { color: #6264a7; font-weight: 600; }
		.dark .at { color: #a6a7dc; }
		.ac-pushButton { border-radius: 4px; border: 1px solid #c7c7c7; background: #fff; padding: 5px 12px; font: 600 14px "Segoe UI", sans-serif; white-space: normal !important; }
		.ac-pushButton.style-positive { background: #5b5fc7; border-color: #5b5fc7; color: #fff; }
		.ac-pushButton.style-destructive { color: #c4314b; }
		.dark .ac-pushButton:not(.style-positive) { background: #3b3a39; border-color: #605e5c; color: #fff; }
		.dark .ac-pushButton.style-destructive { color: #f9526b !important; }
		.ac-input { box-sizing: border-box; padding: 6px; border: 1px solid #d1d1d1; border-radius: 4px; font: inherit; }
		textarea.ac-input { min-height: 80px; }
	</style>`);
	globalThis.show = (card, theme) => {
		const shown = new AdaptiveCards.AdaptiveCard();
		shown.hostConfig = new AdaptiveCards.HostConfig(hosts[theme]);
		const context = new AdaptiveCards.SerializationContext(AdaptiveCards.Versions.v1_5);
		shown.parse(card, context);
		const faults = [];
		for (let i = 0; i < context.eventCount; i++) faults.push(context.getEventAt(i).message);
		for (const event of shown.validateProperties().validationEvents) faults.push(event.message);
		document.body.className = theme;
		document.body.replaceChildren(shown.render());
		return faults;
	};
	return true;
}
