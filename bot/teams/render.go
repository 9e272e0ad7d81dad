package teams

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"elevate/bot"
	"elevate/workflows/access"
)

const (
	// maxRowButtons is how many actions Teams shows of a row. A phone cuts off those beyond rowLength characters, of which a
	// button takes buttonFrame beside its label.
	maxRowButtons = 6
	rowLength     = 36
	buttonFrame   = 4
	// maxRefreshing is for how many people a client asks for a card anew by itself.
	maxRefreshing = 60
)

// renderer makes Adaptive Cards of cards and forms. Words that a person may have written go where Teams parses nothing,
// or where nothing in them can be parsed: see line.
type renderer struct {
	// account is a person's Teams account, their object id in the tenant; empty where there is none.
	account func(ctx context.Context, id access.PersonID) string
}

// card is cards as one, below each other. What does not fit is left out, with a line that says so; rows of buttons always
// fit, so that a long story never hides the decision.
func (r renderer) card(ctx context.Context, cards ...bot.Card) object {
	s := r.sheet()
	var rows [][]object
	for _, c := range cards {
		for _, p := range c.Parts {
			if b, ok := p.(bot.Buttons); ok {
				row := buttons(b.Buttons, c.Name)
				if !s.reserve(row) {
					row = nil
				}
				rows = append(rows, row)
			}
		}
	}
	for n, c := range cards {
		s.divide = n > 0
		s.add(title(c.Title))
		for _, p := range c.Parts {
			switch p := p.(type) {
			case bot.Divider:
				s.divide = true
			case bot.Buttons:
				s.shortened = s.shortened || rows[0] == nil && len(p.Buttons) > 0
				s.addReserved(rows[0])
				rows = rows[1:]
			default:
				blocks := s.part(ctx, p, c.Name)
				if len(cards) > 1 && n == 0 && c.Title == "" {
					blocks = framed(answers[c.Name], blocks)
				}
				s.add(blocks)
			}
		}
	}
	return s.finish()
}

// answers are the styles of boxes for answers that stand above something else, by the card's name.
var answers = map[string]string{"refused": "warning", "stale": "warning", bot.CardUnsure: "warning", "done": "good"}

// framed puts blocks into a box.
func framed(style string, blocks []object) []object {
	if len(blocks) == 0 {
		return nil
	}
	return []object{{"type": "Container", "style": cmp.Or(style, "emphasis"), "items": blocks}}
}

// summary is what a notification shows of a card.
func summary(c bot.Card) string {
	if c.Summary == "" {
		return c.Title
	}
	return c.Summary
}

// refreshing is a card that the clients of some people ask for anew whenever they show it; the others can by hand. It is
// a convenience: what anybody may see and do is decided when they ask.
func refreshing(card object, p press, users []string) object {
	users = slices.Clone(users[:min(len(users), maxRefreshing)])
	if users == nil {
		users = []string{} // none at all would mean everybody
	}
	out := maps.Clone(card)
	out["refresh"] = object{
		"action":  object{"type": "Action.Execute", "title": "Refresh", "verb": p.verb(), "data": p.data()},
		"userIds": users,
	}
	return out
}

// part is one piece of a card as blocks; on is the card's name.
func (s *sheet) part(ctx context.Context, p bot.Part, on string) []object {
	switch p := p.(type) {
	case bot.Text:
		return s.line(ctx, p.Spans, look{small: p.Small})
	case bot.Facts:
		return s.facts(ctx, p)
	case bot.Quote:
		return quote(p.Text)
	case bot.Heading:
		s.divide = true
		return heading(p.Text, look{medium: true, bold: true})
	case bot.Item:
		return append(spaced("medium", s.line(ctx, p.Spans, look{})), spaced("small", buttons(p.Buttons, on))...)
	}
	return nil
}

func title(text string) []object { return heading(text, look{large: true, bold: true}) }

// heading is a heading to screen readers too, where its words are harmless.
func heading(text string, l look) []object {
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case harmless(text):
		block := markdown(text, l)
		block["style"] = "heading"
		return []object{block}
	}
	return rich(l, bot.Say(text))
}

// spaced puts the first of some blocks at a distance from what is above it.
func spaced(distance string, blocks []object) []object {
	if len(blocks) > 0 {
		blocks[0]["spacing"] = distance
	}
	return blocks
}

// quote is somebody's words in a box, from the right where they are written so.
func quote(text string) []object {
	lines := rich(look{}, bot.Say(text))
	if len(lines) > 0 && fromRight(text) {
		lines = []object{{"type": "ColumnSet", "columns": []object{{"type": "Column", "width": "stretch", "rtl": true, "items": lines}}}}
	}
	return spaced("small", framed("emphasis", lines))
}

// fromRight tells whether a text begins in a script that is written from the right.
func fromRight(text string) bool {
	for _, r := range text {
		if unicode.IsLetter(r) {
			return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
		}
	}
	return false
}

// facts are labels with their values beside them. A FactSet would parse the values.
func (s *sheet) facts(ctx context.Context, f bot.Facts) []object {
	var rows []object
	for _, fact := range f.Rows {
		label, value := rich(look{bold: true}, bot.Say(fact.Label)), s.line(ctx, fact.Value, look{})
		if len(label)+len(value) == 0 {
			continue
		}
		rows = append(rows, object{"type": "ColumnSet", "spacing": "small", "columns": []object{column(2, label), column(5, value)}})
	}
	return spaced("default", rows)
}

func column(width int, items []object) object {
	if items == nil {
		items = []object{}
	}
	return object{"type": "Column", "width": width, "items": items}
}

// buttons are rows of buttons; on is the name of the card that they stand on.
func buttons(all []bot.Button, on string) []object {
	var actions []object
	for _, b := range all {
		actions = append(actions, button(b, on))
	}
	return actionSets(actions...)
}

func actionSets(actions ...object) []object {
	var sets []object
	for len(actions) > 0 {
		n, left := 0, rowLength
		for n < min(len(actions), maxRowButtons) {
			title, _ := actions[n]["title"].(string)
			if left -= buttonFrame + utf8.RuneCountInString(title); n > 0 && left < 0 {
				break
			}
			n++
		}
		sets = append(sets, object{"type": "ActionSet", "actions": actions[:n]})
		if len(sets) > 1 {
			spaced("small", sets[len(sets)-1:])
		}
		actions = actions[n:]
	}
	return sets
}

// button is one of a row. One that is asked about unfolds the question with the button that means yes; pressing it again
// folds it away, which means no.
func button(b bot.Button, on string) object {
	if !b.Link.IsZero() {
		return styled(object{"type": "Action.OpenUrl", "title": label(b.Label), "url": b.Link.Reveal()}, b)
	}
	p := press{Kind: pressClick, Action: b.Action, Request: b.Request, On: on}
	if b.Confirm == nil {
		return styled(p.execute(label(b.Label)), b)
	}
	question := append(rich(look{bold: true}, bot.Say(b.Confirm.Title)), rich(look{}, bot.Say(b.Confirm.Text))...)
	yes := p.execute(label(b.Confirm.Yes))
	return styled(object{
		"type": "Action.ShowCard", "title": label(b.Label),
		"card": object{"type": "AdaptiveCard", "body": append(question, actionSets(styled(yes, bot.Button{Style: b.Style}))...)},
	}, b)
}

// label is what stands on a button. Teams shows none without.
func label(text string) string {
	if strings.TrimSpace(text) == "" {
		return "–"
	}
	return text
}

// styled gives an action, and what stands for it in clients that do not know it, the weight of a button and what screen
// readers say of it.
func styled(action object, b bot.Button) object {
	style := map[bot.Style]string{bot.Primary: "positive", bot.Danger: "destructive"}[b.Style]
	if style != "" {
		action["style"] = style
	}
	if b.Speak != "" {
		action["tooltip"] = b.Speak
	}
	if fallback, ok := action["fallback"].(object); ok && style != "" {
		fallback["style"] = style
	}
	return action
}
