package teams

import (
	"context"
	"encoding/json"

	"elevate/bot"
)

const (
	invokeAction = "adaptiveCard/action" // a button of a card, or its refresh
	invokeSearch = "application/search"  // somebody types into a search of a card
	// messageType is an answer that is a sentence.
	messageType = "application/vnd.microsoft.activity.message"
	// suggestions is how many results Teams shows of a search.
	suggestions = 15
)

// invoke answers what Teams waits for. The HTTP status is always 200; what became of it, the body says.
func (t *Teams) invoke(ctx context.Context, in incoming) json.RawMessage {
	switch in.Name {
	case invokeAction:
		return t.execute(ctx, in)
	case invokeSearch:
		return t.search(ctx, in)
	}
	t.log.Debug("left alone", "what", "invoke "+bot.Cut(in.Name, 60))
	return invokeError("NotSupported", saysForeign)
}

// execute answers a button: with a card in the place of its message, for whoever pressed it, or with a sentence.
func (t *Teams) execute(ctx context.Context, in incoming) json.RawMessage {
	var v struct {
		Action struct {
			Verb string          `json:"verb"`
			Data json.RawMessage `json:"data"`
		} `json:"action"`
	}
	_ = json.Unmarshal(in.Value, &v) // what is unreadable has no verb of ours
	p, ok := readExecute(v.Action.Verb, v.Action.Data)
	switch {
	case !ok:
		t.log.Debug("left alone", "what", "verb "+bot.Cut(v.Action.Verb, 60))
		return invokeError("NotOurs", saysForeign)
	case in.account() == "":
		return invokeError("NoAccount", t.nobody(ctx, in))
	}
	if says, _ := t.paced(ctx, in.account(), p.Kind == pressView, p.urgent()); says != "" {
		return invokeAnswer(messageType, says)
	}
	t.meet(in)
	o := bot.Within(ctx, t.tasks, p.urgent(), t.cfg.AckWithin,
		func(ctx context.Context) outcome { return t.press(ctx, pressed(in, p)) },
		func() outcome { return outcome{Says: bot.SaysBusy} },
		func() outcome {
			t.log.Warn("an answer took too long", "kind", in.kind())
			return outcome{Says: bot.SaysLate}
		})
	if o.Card != nil {
		return invokeAnswer(cardType, o.Card)
	}
	return invokeAnswer(messageType, o.Says)
}

// press does what a button says. What changes something is recorded first and done by the worker; its outcome is waited
// for as long as a person's answer may take, and told afterwards where that was too short.
func (t *Teams) press(ctx context.Context, a act) outcome {
	if a.Press.opens() {
		return t.perform(ctx, a)
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.AckWithin*9/10)
	defer cancel()
	came := t.waiting.begin(a.Key)
	defer t.waiting.end(a.Key, came)
	fresh, says := t.record(ctx, a)
	if says != "" {
		return outcome{Says: says}
	}
	if !fresh {
		if before, ok := t.recall(ctx, a.Key); ok {
			return before
		}
	}
	select {
	case o := <-came:
		return o
	case <-ctx.Done():
	}
	t.waiting.end(a.Key, came)
	select {
	case o := <-came: // in the last moment
		return o
	default:
		return outcome{Says: saysPending}
	}
}

// search lists what a search finds. It changes nothing, so it may be asked again and again.
func (t *Teams) search(ctx context.Context, in incoming) json.RawMessage {
	var v struct {
		Text    string `json:"queryText"`
		Dataset string `json:"dataset"`
	}
	_ = json.Unmarshal(in.Value, &v) // what is unreadable finds nothing
	type result struct {
		Title string `json:"title"`
		Value string `json:"value"`
	}
	found := []result{}
	if in.account() != "" && v.Dataset != "" && t.unhurried(ctx, in) {
		none := func() []bot.Option { return nil }
		for _, o := range bot.Within(ctx, t.tasks, false, t.cfg.AckWithin, func(ctx context.Context) []bot.Option {
			return t.cfg.Bot.Suggest(ctx, in.who(), v.Dataset, bot.Cut(v.Text, maxWords))
		}, none, none) {
			if len(found) < suggestions {
				found = append(found, result{optionTitle(o), o.Value})
			}
		}
	}
	return invokeAnswer("application/vnd.microsoft.search.searchResponse", object{"results": found})
}

// unhurried tells whether a search is not one too many.
func (t *Teams) unhurried(ctx context.Context, in incoming) bool {
	says, _ := t.paced(ctx, in.account(), true, false)
	return says == ""
}

func invokeAnswer(kind string, value any) json.RawMessage {
	return invokeBody(200, kind, value)
}

// invokeError refuses an invoke that nobody can answer.
func invokeError(code, says string) json.RawMessage {
	return invokeBody(400, "application/vnd.microsoft.error", object{"code": code, "message": says})
}

func invokeBody(status int, kind string, value any) json.RawMessage {
	body, err := json.Marshal(object{"statusCode": status, "type": kind, "value": value})
	if err != nil { // cannot happen: texts, and cards that this package made
		return json.RawMessage(`{"statusCode":500,"type":"application/vnd.microsoft.error","value":{"code":"Internal","message":""}}`)
	}
	return body
}
