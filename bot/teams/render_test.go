package teams

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// TestEverythingTheBotSendsIsValid renders every card and form there is, for people who write as people do and for people
// who want to break something, and holds it against Microsoft's schema and what Teams is known to refuse.
func TestEverythingTheBotSendsIsValid(t *testing.T) {
	t.Parallel()
	everything(t, func(t *testing.T, tone bottest.Tone, all map[string]object) {
		for name, card := range all {
			check(t, name, card)
		}
	})
}

// plainly is what no client parses, as strictly as can be said without knowing how it is rendered.
var plainly = regexp.MustCompile(`^[^<>&*~\x60\[\]{}#|\\@+=^"$\n\t]*$`)

var (
	moments = regexp.MustCompile(`\{\{(?:DATE\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, SHORT|TIME\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\)\}\}`)
	strong  = regexp.MustCompile(`\*\*([\pL\pN](?:[^*]*[\pL\pN])?)\*\*`)
)

// TestNobodysWordsAreParsed looks at everything that clients parse: less the marks that we make, nothing is left in it
// that a client would make something of.
func TestNobodysWordsAreParsed(t *testing.T) {
	t.Parallel()
	everything(t, func(t *testing.T, tone bottest.Tone, all map[string]object) {
		seen := 0
		parsed := func(name, text string) {
			seen++
			rest := tag.ReplaceAllString(moments.ReplaceAllString(text, "T"), "T")
			rest = strong.ReplaceAllString(rest, "$1")
			if !plainly.MatchString(rest) || teamsfake.Markdown(rest) != rest || teamsfake.Dated(rest) != rest {
				t.Errorf("%s: parsed: %q", name, text)
			}
			if tone.Name == "hostile" && strings.Contains(text, "evil") {
				t.Errorf("%s: a person's words: %q", name, text)
			}
		}
		for name, card := range all {
			walk(card, func(o object) {
				switch o["type"] {
				case "TextBlock":
					parsed(name, o["text"].(string))
				case "TextRun":
					if text := o["text"].(string); teamsfake.Dated(text) != text {
						t.Errorf("%s: expanded: %q", name, text)
					}
				case "FactSet":
					t.Errorf("%s: a FactSet parses its values", name)
				case "Input.ChoiceSet":
					for _, c := range o["choices"].([]any) {
						if o["style"] == "expanded" {
							parsed(name, c.(object)["title"].(string))
						}
					}
				}
			})
		}
		if seen < 100 {
			t.Errorf("only %d texts that clients parse: this test looks at nothing", seen)
		}
	})
}

// boxed are the words in boxes, as they are shown.
func boxed(card object) []string {
	var out []string
	walk(card, func(o object) {
		if o["type"] == "Container" && o["style"] == "emphasis" {
			out = append(out, strings.TrimSuffix(teamsfake.Text(object{"body": o["items"]}), "\n"))
		}
	})
	return out
}

// TestJustificationIsShownToTheLetter finds the whole of it in a box.
func TestJustificationIsShownToTheLetter(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"one line", "two\nlines\n\nand  spaces", "{{DATE(2026-11-23T14:05:00Z, SHORT)}}{{TIME(2026-11-23T14:05:00Z)}} {{{{TIME(x)}} {{ }}",
		string([]rune(strings.Repeat(strings.ReplaceAll(bottest.Mischief, "\x00", "")+"\n", 20))[:2000]), strings.Repeat("🧯", 2000), strings.Repeat("<", 2000),
	} {
		card := decoded(t, everybody.card(t.Context(), bottest.RequestCard(text)))
		check(t, bot.Cut(text, 20), card)
		if got := boxed(card); !slices.Equal(got, []string{text}) {
			t.Errorf("in boxes is %q, want %q", got, text)
		}
	}
}

// TestDecisionStaysInReach renders a card that is far too long, below another: the buttons are still there, and a line
// that says that something is missing.
func TestDecisionStaysInReach(t *testing.T) {
	t.Parallel()
	card := bottest.RequestCard("because")
	for i := range 200 {
		card.Parts = append(card.Parts, bot.Item{Spans: []bot.Span{bot.Say(fmt.Sprintf("line %d %s", i, strings.Repeat("x", 200)))}})
	}
	card.Parts = append(card.Parts, bot.Buttons{Buttons: []bot.Button{{Action: bot.ActEnd, Request: bottest.Request, Label: "End now"}}})
	got := decoded(t, everybody.card(t.Context(), *bottest.Says("An answer."), card))
	check(t, "long card", got)
	if labels := teamsfake.Labels(got); !slices.Equal(labels, []string{"Approve", "Deny…", "Details", "End now"}) {
		t.Errorf("the buttons are %q", labels)
	}
	text := teamsfake.Text(got)
	if !strings.HasPrefix(text, "An answer.\n") || strings.Count(text, "Shortened:") != 1 || !strings.Contains(text, "line 20 ") {
		t.Errorf("shown is %q", text)
	}
}

// TestTooManyButtonsAreSaidToBeMissing and take nothing else along.
func TestTooManyButtonsAreSaidToBeMissing(t *testing.T) {
	t.Parallel()
	card := bot.Card{Title: "A title"}
	for range 200 {
		card.Parts = append(card.Parts, bot.Buttons{Buttons: bottest.RequestCard("").Parts[1].(bot.Buttons).Buttons})
	}
	got := decoded(t, everybody.card(t.Context(), card))
	check(t, "many buttons", got)
	if text := teamsfake.Text(got); !strings.HasPrefix(text, "A title\n") || !strings.Contains(text, "Shortened:") || len(teamsfake.Labels(got)) < 60 {
		t.Errorf("%d buttons below %q", len(teamsfake.Labels(got)), text)
	}
}

// TestWhatIsLeftOutCallsNobody mentions people where there is no more room: no entity is left without its mention.
func TestWhatIsLeftOutCallsNobody(t *testing.T) {
	t.Parallel()
	card := bot.Card{Parts: []bot.Part{bot.Text{Spans: []bot.Span{{Person: "ana", Name: "Ana", Mention: true}}}}}
	for range 10 {
		card.Parts = append(card.Parts, bot.Quote{Text: strings.Repeat("x", 4000)})
	}
	card.Parts = append(card.Parts, bot.Text{Spans: []bot.Span{{Person: "ben", Name: "Ben", Mention: true}}})
	got := decoded(t, everybody.card(t.Context(), card))
	check(t, "long card", got)
	if called := teamsfake.Mentions(got); !slices.Equal(called, []string{objectID("ana")}) {
		t.Errorf("called are %q, want Ana alone", called)
	}
}

func TestEmptyCardsAreValid(t *testing.T) {
	t.Parallel()
	for name, card := range map[string]bot.Card{
		"nothing":     {},
		"empty parts": {Parts: []bot.Part{bot.Text{}, bot.Quote{}, bot.Facts{}, bot.Buttons{}, bot.Item{}, bot.Heading{}, bot.Text{Small: true, Spans: []bot.Span{bot.Say("")}}, bot.Divider{}}},
		"empty words": {Title: " ", Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say(""), bot.Strong(""), bot.Mono("")}},
			bot.Facts{Rows: []bot.Fact{{}, {Label: "x"}, {Value: []bot.Span{bot.Strong("y")}}}},
			bot.Buttons{Buttons: []bot.Button{{Action: "x", Confirm: &bot.Confirm{}}}}}},
	} {
		got := decoded(t, everybody.card(t.Context(), card))
		check(t, name, got)
		if body := got["body"].([]any); len(body) == 0 {
			t.Errorf("%s: a card without a body", name)
		}
	}
	check(t, "empty form", decoded(t, everybody.form(t.Context(), bot.Form{Inputs: []bot.Input{{Name: "x"}, {Name: "y", Kind: bot.Choice}, {Name: "z", Kind: bot.Search}}}, filled{})))
}

// TestNothingIsGrantedByOneSlip finds the buttons that are asked about behind another one only.
func TestNothingIsGrantedByOneSlip(t *testing.T) {
	t.Parallel()
	card := decoded(t, everybody.card(t.Context(), bottest.RequestCard("because")))
	at := map[string]string{} // verb to the path of types
	var look func(v any, path string)
	look = func(v any, path string) {
		switch v := v.(type) {
		case []any:
			for _, each := range v {
				look(each, path)
			}
		case object:
			if kind, _ := v["type"].(string); kind != "" {
				path += "/" + kind
			}
			if verb, _ := v["verb"].(string); v["type"] == "Action.Execute" {
				at[verb] += path
			}
			for _, each := range v {
				look(each, path)
			}
		}
	}
	look(card["body"], "")
	if want := "/ActionSet/Action.ShowCard/AdaptiveCard/ActionSet/Action.Execute"; at["elevate.click.approve"] != want {
		t.Errorf("approving stands at %s, want %s", at["elevate.click.approve"], want)
	}
	if want := "/ActionSet/Action.Execute"; at["elevate.click.details"] != want {
		t.Errorf("details stand at %s, want %s", at["elevate.click.details"], want)
	}
	walk(card, func(o object) {
		if o["type"] == "Action.ShowCard" && !strings.Contains(teamsfake.Text(o["card"].(object)), "Grant it?\nAna gets prod-db-admin for an hour.") {
			t.Errorf("the question is %q", teamsfake.Text(o["card"].(object)))
		}
	})
}

func TestCardIsShownAnewToThosePeople(t *testing.T) {
	t.Parallel()
	card := everybody.card(t.Context(), bottest.RequestCard("because"))
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("29:%d", i))
	}
	for name, c := range map[string]struct{ users, want []string }{
		"some": {many[:2], []string{"29:0", "29:1"}},
		"many": {many, many[:60]},
		"none": {nil, []string{}}, // not everybody, which is what a list that is missing means
	} {
		got := decoded(t, refreshing(card, press{Kind: pressView, Request: bottest.Request, On: "request"}, c.users))
		check(t, name, got)
		raw, err := json.Marshal(got["refresh"].(object)["action"])
		if err != nil {
			t.Fatal(err)
		}
		var action struct {
			Verb string
			Data json.RawMessage
		}
		if err := json.Unmarshal(raw, &action); err != nil {
			t.Fatal(err)
		}
		if p, ok := readExecute(action.Verb, action.Data); !ok || !reflect.DeepEqual(p, press{Kind: pressView, Request: bottest.Request, On: "request"}) {
			t.Errorf("%s: asks for %+v, %t", name, p, ok)
		}
		var users []string
		for _, u := range got["refresh"].(object)["userIds"].([]any) {
			users = append(users, u.(string))
		}
		if !slices.Equal(users, c.want) {
			t.Errorf("%s: for %q", name, users)
		}
	}
	if _, changed := card["refresh"]; changed {
		t.Error("the card itself has changed")
	}
}

// TestHeadingsAreHeadings to screen readers, unless somebody's words in them would be parsed.
func TestHeadingsAreHeadings(t *testing.T) {
	t.Parallel()
	for words, kind := range map[string]string{"Access request 07kq4-m2xp9": "TextBlock", "Roles matching “*x*”": "RichTextBlock", bottest.Mischief: "RichTextBlock"} {
		card := decoded(t, everybody.card(t.Context(), bot.Card{Title: words, Parts: []bot.Part{bot.Heading{Text: words}}}))
		check(t, words, card)
		for n, size := range []string{"large", "medium"} {
			block := card["body"].([]any)[n].(object)
			look := block
			if kind == "RichTextBlock" {
				look = block["inlines"].([]any)[0].(object)
			}
			if block["type"] != kind || (block["style"] == "heading") != (kind == "TextBlock") || look["size"] != size || look["weight"] != "bolder" {
				t.Errorf("%q is %v", words, block)
			}
		}
	}
}

func TestNotificationSaysTheSummary(t *testing.T) {
	t.Parallel()
	if got := summary(bot.Card{Title: "A title", Summary: "Ana asks <b>for</b> it."}); got != "Ana asks <b>for</b> it." {
		t.Errorf("says %q", got)
	}
	if got := summary(bot.Card{Title: "A title"}); got != "A title" {
		t.Errorf("says %q", got)
	}
}

// TestMainCards shows how the cards that matter are made.
func TestMainCards(t *testing.T) {
	t.Parallel()
	c := cast(bottest.Tones()[0])
	all, forms := everySaid(t, c)
	r := renders(c)
	for file, name := range map[string]string{
		"request_pending": "pending submitted request", "request_active": "active active request", "details": "click details in active",
		"told_overdue": "deactivating overdue told/overdue/4/ana", "digest": "digest", "home": "home", "mine": "command mine", "help": "command help",
	} {
		card, ok := all[name]
		if !ok {
			t.Errorf("there is no card %q", name)
			continue
		}
		golden(t, file, r.card(t.Context(), card))
	}
	golden(t, "answer_on_top", r.card(t.Context(), *bottest.Says("Already approved."), all["pending submitted request"]))
	form := func(name string, in filled) object {
		f, ok := forms[name]
		if !ok {
			t.Fatalf("%q opens no form", name)
		}
		return r.form(t.Context(), f, in)
	}
	golden(t, "form_request", form("command ", filled{Nonce: "N0"}))
	golden(t, "form_request_errors", form("refresh request", filled{Nonce: "N0", Values: map[string]string{"justification": "because", "ticket": "4711"},
		Errors: map[string]string{"justification": "Write at least 10 characters.", "ticket": "Tickets look like INC-4711.", "": "Nothing was sent."}}))
	golden(t, "form_deny", form("click deny in pending", filled{Nonce: "N0", Back: toMessage}))
}

// FuzzRender puts any words anywhere: what comes of it is valid, and shown to the letter.
func FuzzRender(f *testing.F) {
	f.Add(bottest.Mischief, "label", true, false)
	f.Add("", " ", false, true)
	f.Add("\xff\xfe", strings.Repeat("א", 5000), true, true)
	f.Add("{{DATE(2026-11-23T14:05:00Z)}}", "a_b __c__ 1. d", true, true)
	cardSchema(f)
	at := time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, words, label string, bold, code bool) {
		span := bot.Span{Text: words, Bold: bold, Code: code}
		who := bot.Span{Person: "ana", Name: label, Mention: true}
		button := bot.Button{Action: bot.ActApprove, Request: bottest.Request, Label: label, Speak: words,
			Confirm: &bot.Confirm{Title: label, Text: words, Yes: label, No: words}}
		card := bot.Card{Title: label, Summary: words, Parts: []bot.Part{
			bot.Text{Spans: []bot.Span{span, bot.Say(label)}}, bot.Text{Small: true, Spans: []bot.Span{span, bot.When(at, bot.Clock), span}},
			bot.Text{Spans: []bot.Span{who, span}}, bot.Text{Spans: []bot.Span{{Person: access.PersonID(words), Name: label, Mention: true}, span}},
			bot.Facts{Rows: []bot.Fact{{Label: label, Value: []bot.Span{span}}, {Label: words}}}, bot.Quote{Text: words},
			bot.Item{Spans: []bot.Span{span}, Buttons: []bot.Button{button}}, bot.Heading{Text: label},
			bot.Item{Spans: []bot.Span{span}, Buttons: []bot.Button{button, button}}, bot.Buttons{Buttons: []bot.Button{button, button}},
		}}
		got := decoded(t, everybody.card(t.Context(), card))
		check(t, "card", got)
		if text := teamsfake.Text(got); len(words) < 500 && len(label) < 500 && !strings.Contains(text, string([]rune(words))) {
			t.Errorf("%q is not shown to the letter in %q", words, text)
		}
		words, label = bot.Cut(words, 500), bot.Cut(label, 500) // bot keeps to its limits
		form := bot.Form{Name: bot.FormRequest, Title: label, Submit: words, Intro: card.Parts[:4], Inputs: []bot.Input{
			{Name: "role", Kind: bot.Search, Label: label, Hint: words, Initial: &bot.Option{Value: words, Label: label}, Refresh: true},
			{Name: "duration", Kind: bot.Choice, Label: label, Options: []bot.Option{{Value: "1h", Label: words, Detail: label}}},
			{Name: "ticket", Kind: bot.Line, Label: words, Text: label, MaxLength: 10},
		}}
		check(t, "form", decoded(t, everybody.form(t.Context(), form, filled{Errors: map[string]string{"": words, "role": label}})))
	})
}
