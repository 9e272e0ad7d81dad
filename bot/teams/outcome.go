package teams

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"

	"elevate/bot"
	"elevate/workflows/access"
)

// outcome is what a person sees of what they did: a card, or a sentence.
type outcome struct {
	Card    object `json:"card,omitempty"`
	Summary string `json:"summary,omitempty"` // what a notification says, where the card is sent as a message
	Says    string `json:"says,omitempty"`
	// Quiet is of use in the place of the message that was pressed only: whoever looks there sees the same without it.
	Quiet bool `json:"quiet,omitempty"`
	// Once is a card that is not kept, see bot.Card.
	Once bool `json:"-"`
}

// kept is what is kept of an outcome, for a second delivery of the same act.
func (o outcome) kept() outcome {
	if o.Once {
		return outcome{Says: bot.SaysOnce}
	}
	return o
}

const (
	saysPending = "Elevate has it and is still at it. You are told when it is done."
	saysUnsure  = "Elevate could not record this in time. If nothing changes here within a minute, try again."
	saysCutOff  = "Elevate was interrupted at this. It may have been done all the same: look with /elevate mine before you try again."
	saysNobody  = "Teams does not tell Elevate who you are, as with guests of a meeting, so nothing was done. Sign in with your own account."
	saysForeign = "This button is none of Elevate's, or of another version of it. Use /elevate mine to find the request."
	saysGone    = "This request cannot be shown here. Use /elevate mine to see yours."
)

// shown is an answer as the person sees it where they acted.
func (t *Teams) shown(ctx context.Context, a act, answer bot.Answer) outcome {
	switch {
	case len(answer.Errors) > 0:
		return t.formAgain(ctx, a, answer.Errors)
	case answer.Form != nil && a.Press != nil && a.Press.Kind == pressChange: // clients forget what is in a card that is replaced
		return t.form(ctx, a, *answer.Form, filled{Values: a.Press.Values})
	case answer.Form != nil:
		return t.form(ctx, a, *answer.Form, filled{})
	case answer.Card != nil:
		return t.card(ctx, a, *answer.Card)
	}
	if o, _ := t.viewed(ctx, a); o.Card != nil {
		return o
	}
	return outcome{Quiet: true, Says: "Done."}
}

// card shows an answer: on top of the message that it is about, as the person sees that now, or in its place.
func (t *Teams) card(ctx context.Context, a act, c bot.Card) outcome {
	cards := []bot.Card{c}
	switch {
	case a.Press == nil:
	case c.Name == "details" && a.Press.Request != "" && a.Press.On != "":
		cards = append(cards, backRow(a.Press.Request))
	case a.onMessage():
		view, _ := t.cfg.Bot.View(ctx, a.Spot.who(), a.Press.Request)
		if view == nil { // the message that everybody sees stays as it is
			return outcome{Says: summary(c)}
		}
		cards = append(cards, *view)
	case a.Press.On == "home":
		cards = append(cards, t.cfg.Bot.Home(ctx, a.Spot.who()))
	}
	return outcome{Card: t.render.card(ctx, cards...), Summary: summary(c), Once: c.Once}
}

// back leads from what takes the place of something to that: a request's message, as the person sees it, or their page.
func (a act) back() press {
	switch {
	case a.Press == nil:
	case a.Press.On == "home":
		return press{Kind: pressHome, On: "home"}
	case a.Press.Request != "" && a.Press.On != "":
		return press{Kind: pressView, Request: a.Press.Request, On: "request"}
	}
	return press{}
}

// backRow is a row with the way back to a request's message.
func backRow(id access.RequestID) bot.Card {
	return bot.Card{Name: "details", Parts: []bot.Part{
		bot.Buttons{Buttons: []bot.Button{{Action: bot.ActView, Request: id, Label: "Go back", Speak: "Go back to the request"}}},
	}}
}

// viewed is the request's message as the person sees it; without a card where they may not, or where the excuse says why it
// could not be had.
func (t *Teams) viewed(ctx context.Context, a act) (o outcome, excuse string) {
	if a.Press == nil || a.Press.Request == "" {
		return outcome{}, ""
	}
	view, excuse := t.cfg.Bot.View(ctx, a.Spot.who(), a.Press.Request)
	if view == nil {
		return outcome{}, excuse
	}
	return outcome{Card: t.render.card(ctx, *view), Summary: summary(*view), Quiet: true}, ""
}

// homePage is the person's own page, which Teams asks for again whenever they look at it.
func (t *Teams) homePage(ctx context.Context, s spot) outcome {
	c := t.cfg.Bot.Home(ctx, s.who())
	return outcome{Card: refreshing(t.render.card(ctx, c), press{Kind: pressHome}, []string{s.User}), Summary: summary(c), Quiet: s.Message != ""}
}

// form shows a form, with a way back where it takes the place of something.
func (t *Teams) form(ctx context.Context, a act, f bot.Form, s filled) outcome {
	s.Nonce, s.Back, s.Values = rand.Text(), a.back(), maps.Clone(s.Values)
	for _, in := range f.Inputs {
		switch in.Kind {
		case bot.Search:
			s.Found = t.cfg.Bot.Suggest(ctx, a.Spot.who(), in.Name, "")
			s.Found = s.Found[:min(len(s.Found), suggestions)]
		case bot.Choice: // what cannot be chosen any more leaves the choice that bot makes
			if !slices.ContainsFunc(in.Options, func(o bot.Option) bool { return o.Value == s.Values[in.Name] }) {
				delete(s.Values, in.Name)
			}
		}
	}
	return outcome{Card: t.render.form(ctx, f, s), Summary: cmp.Or(f.Title, "Elevate asks")}
}

// formAgain keeps a form open with what is wrong in it. What it asks for may be more than before: the role decides that.
func (t *Teams) formAgain(ctx context.Context, a act, wrong map[string]string) outcome {
	who, p := a.Spot.who(), a.Press
	var again bot.Answer
	switch p.Form {
	case bot.FormDeny:
		again = t.cfg.Bot.Click(ctx, who, bot.Click{Action: bot.ActDeny, Request: p.Request})
	case bot.FormExtend:
		again = t.cfg.Bot.Click(ctx, who, bot.Click{Action: bot.ActExtend, Request: p.Request})
	default:
		again = t.cfg.Bot.Refresh(ctx, who, p.submission())
	}
	if again.Card != nil && again.Card.Name == bot.CardUnsure {
		again.Form = bot.Bare(p.submission())
	}
	switch {
	case again.Form != nil:
		return t.form(ctx, a, *again.Form, filled{Values: p.Values, Errors: wrong})
	case again.Card != nil:
		return t.card(ctx, a, *again.Card)
	}
	var says string
	for _, text := range wrong {
		says = text
	}
	return outcome{Says: says}
}
