package teams

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
)

// toMessage leads back to the message of the suite's request.
var toMessage = press{Kind: pressView, Request: bottest.Request, On: "request"}

// asForm is a form as Teams gets it.
func asForm(t *testing.T, f bot.Form, in filled) object {
	t.Helper()
	card := decoded(t, everybody.form(t.Context(), f, in))
	check(t, "form", card)
	return card
}

// asking is a form with one input.
func asking(in bot.Input) bot.Form {
	return bot.Form{Name: bot.FormDeny, Title: "A form", Submit: "Send", Inputs: []bot.Input{in}}
}

func TestInputsAreAsBotAsksThem(t *testing.T) {
	t.Parallel()
	hour, day := bot.Option{Value: "1h", Label: "1 hour"}, bot.Option{Value: "24h", Label: "1 day", Detail: "at most"}
	needed := object{"isRequired": true, "errorMessage": "This is needed."}
	long := object{"isRequired": true, "errorMessage": "Write at least 10 characters.", "regex": `^[\s\S]{10,}$`}
	shown := []any{object{"title": "1 hour", "value": "1h"}, object{"title": "1 day (at most)", "value": "24h"}}
	for name, c := range map[string]struct {
		in   bot.Input
		f    filled
		want []object
	}{
		"line":          {bot.Input{Label: "Ticket"}, filled{}, []object{needed, {"type": "Input.Text", "label": "Ticket", "maxLength": 3000.0, "isMultiline": false}}},
		"area":          {bot.Input{Kind: bot.Area, Label: "Why?", MaxLength: 500, MinLength: 1}, filled{}, []object{needed, {"type": "Input.Text", "label": "Why?", "maxLength": 500.0, "isMultiline": true}}},
		"begun":         {bot.Input{Label: "Why?", Text: "because"}, filled{}, []object{needed, {"type": "Input.Text", "label": "Why?", "maxLength": 3000.0, "isMultiline": false, "value": "because"}}},
		"filled in":     {bot.Input{Label: "Why?", Text: "because"}, filled{Values: map[string]string{"x": "so"}}, []object{needed, {"type": "Input.Text", "label": "Why?", "maxLength": 3000.0, "isMultiline": false, "value": "so"}}},
		"emptied":       {bot.Input{Label: "Why?", Text: "because"}, filled{Values: map[string]string{"x": ""}}, []object{needed, {"type": "Input.Text", "label": "Why?", "maxLength": 3000.0, "isMultiline": false}}},
		"too long":      {bot.Input{Label: "Why?", MaxLength: 4, Text: "because"}, filled{}, []object{needed, {"type": "Input.Text", "label": "Why?", "maxLength": 4.0, "isMultiline": false, "value": "bec…"}}},
		"at least":      {bot.Input{Label: "Why?", MinLength: 10}, filled{}, []object{long, {"type": "Input.Text", "label": "Why?", "maxLength": 3000.0, "isMultiline": false}}},
		"optional":      {bot.Input{Label: "Ticket", Optional: true, MinLength: 10}, filled{}, []object{{"type": "Input.Text", "label": "Ticket (optional)", "maxLength": 3000.0, "isMultiline": false}}},
		"choice":        {bot.Input{Kind: bot.Choice, Label: "How long?", Options: []bot.Option{hour, day}}, filled{}, []object{needed, {"type": "Input.ChoiceSet", "label": "How long?", "style": "expanded", "wrap": true, "placeholder": "Choose", "choices": shown}}},
		"choice begun":  {bot.Input{Kind: bot.Choice, Label: "How long?", Options: []bot.Option{hour, day}, Initial: &day}, filled{}, []object{needed, {"type": "Input.ChoiceSet", "label": "How long?", "style": "expanded", "wrap": true, "placeholder": "Choose", "choices": shown, "value": "24h"}}},
		"choice filled": {bot.Input{Kind: bot.Choice, Label: "How long?", Options: []bot.Option{hour, day}, Initial: &day}, filled{Values: map[string]string{"x": "1h"}}, []object{needed, {"type": "Input.ChoiceSet", "label": "How long?", "style": "expanded", "wrap": true, "placeholder": "Choose", "choices": shown, "value": "1h"}}},
		"choice gone":   {bot.Input{Kind: bot.Choice, Label: "How long?", Options: []bot.Option{hour, day}}, filled{Values: map[string]string{"x": "2h"}}, []object{needed, {"type": "Input.ChoiceSet", "label": "How long?", "style": "expanded", "wrap": true, "placeholder": "Choose", "choices": shown}}},
		"search": {bot.Input{Kind: bot.Search, Label: "Role", Initial: &day}, filled{Found: []bot.Option{hour, day}}, []object{needed, {"type": "Input.ChoiceSet", "label": "Role", "style": "filtered", "placeholder": "Type to search",
			"choices.data": object{"type": "Data.Query", "dataset": "x"}, "choices": []any{shown[1], shown[0]}, "value": "24h"}}},
		"search filled": {bot.Input{Kind: bot.Search, Label: "Role", Initial: &day}, filled{Values: map[string]string{"x": "1h"}, Found: []bot.Option{hour}}, []object{needed, {"type": "Input.ChoiceSet", "label": "Role", "style": "filtered", "placeholder": "Type to search",
			"choices.data": object{"type": "Data.Query", "dataset": "x"}, "choices": []any{shown[0], shown[1]}, "value": "1h"}}},
		"search typed": {bot.Input{Kind: bot.Search, Label: "Role"}, filled{Values: map[string]string{"x": "db"}}, []object{needed, {"type": "Input.ChoiceSet", "label": "Role", "style": "filtered", "placeholder": "Type to search",
			"choices.data": object{"type": "Data.Query", "dataset": "x"}, "choices": []any{object{"title": "db", "value": "db"}}, "value": "db"}}},
	} {
		c.in.Name = "x"
		want := object{"id": "in.x", "spacing": "medium"}
		for _, each := range c.want {
			maps.Copy(want, each)
		}
		if got := asForm(t, asking(c.in), c.f)["body"].([]any)[1]; !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s: is %v, want %v", name, got, want)
		}
	}
}

// TestFewOptionsAreShownAtOnce unless a client could take something in them for markdown.
func TestFewOptionsAreShownAtOnce(t *testing.T) {
	t.Parallel()
	five := []bot.Option{{Value: "1", Label: "one"}, {Value: "2", Label: "two"}, {Value: "3", Label: "three"}, {Value: "4", Label: "four"}, {Value: "5", Label: "five"}}
	for style, options := range map[string][]bot.Option{
		"expanded": five, "compact": append(five[:5:5], bot.Option{Value: "6", Label: "six"}),
	} {
		if got := asForm(t, asking(bot.Input{Name: "x", Kind: bot.Choice, Label: "x", Options: options}), filled{})["body"].([]any)[1].(object)["style"]; got != style {
			t.Errorf("%d options are %v, want %s", len(options), got, style)
		}
	}
	five[2].Detail = "*three*"
	if got := asForm(t, asking(bot.Input{Name: "x", Kind: bot.Choice, Label: "x", Options: five}), filled{})["body"].([]any)[1].(object)["style"]; got != "compact" {
		t.Errorf("options that would be parsed are %v", got)
	}
}

// TestManyOptionsLeaveRoom for the rest of the form: the chosen one is among those that are left.
func TestManyOptionsLeaveRoom(t *testing.T) {
	t.Parallel()
	var many []bot.Option
	for i := range 100 {
		many = append(many, bot.Option{Value: fmt.Sprint("role_", i), Label: strings.Repeat("<", 75), Detail: strings.Repeat("&", 75)})
	}
	f := asking(bot.Input{Name: "role", Kind: bot.Search, Label: "Role"})
	f.Intro = []bot.Part{bot.Quote{Text: strings.Repeat("<", 600)}}
	card := asForm(t, f, filled{Values: map[string]string{"role": "role_99"}, Found: many})
	in := teamsfake.Inputs(card)[0]
	if n := len(in.Choices); n < 5 || n > 50 || in.Choices[0].Value != "role_99" || in.Value != "role_99" {
		t.Errorf("%d choices, %s chosen, first %v", n, in.Value, in.Choices[0].Value)
	}
	if strings.Contains(teamsfake.Text(card), "Shortened") {
		t.Error("the introduction is cut off")
	}
}

// TestFormThatAsksAgainRequiresNoMore than what it asks about: clients would not let anybody press the button else.
func TestFormThatAsksAgainRequiresNoMore(t *testing.T) {
	t.Parallel()
	f := *bottest.RequestForm("")
	f.Inputs[2].MinLength = 10
	card := asForm(t, f, filled{Nonce: "N0"})
	for _, in := range teamsfake.Inputs(card) {
		if want := in.ID == "in.role"; in.Required != want || in.Regex != "" {
			t.Errorf("%s is required: %t, %q", in.ID, in.Required, in.Regex)
		}
	}
	body := card["body"].([]any)
	button := body[2].(object)["actions"].([]any)[0].(object)
	if body[1].(object)["id"] != "in.role" || button["title"] != "Update the form for this role" || button["verb"] != "elevate.change.request" || button["associatedInputs"] != nil {
		t.Errorf("the button below the role is %v", button)
	}
	f.Inputs[0].Label = "Role?"
	button = asForm(t, f, filled{})["body"].([]any)[2].(object)["actions"].([]any)[0].(object)
	if button["title"] != "Update the form" {
		t.Errorf("the button says %v", button["title"])
	}
}

// TestErrorsStandAtTheirInputs and those of no input on top.
func TestErrorsStandAtTheirInputs(t *testing.T) {
	t.Parallel()
	card := asForm(t, *bottest.RequestForm("db"), filled{Errors: map[string]string{
		"ticket": "Tickets look like *INC-4711*.", "role": "You may not request this.", "": "Nothing was sent.", "for": "Nobody is called so.",
	}})
	want := map[string]string{"in.role": "You may not request this.", "in.duration": "", "in.justification": "", "in.ticket": "Tickets look like *INC-4711*."}
	for _, in := range teamsfake.Inputs(card) {
		if in.Error != want[in.ID] {
			t.Errorf("at %s stands %q, want %q", in.ID, in.Error, want[in.ID])
		}
	}
	if got := teamsfake.Text(card); !strings.HasPrefix(got, "Request access\nNothing was sent.\nNobody is called so.\nRole\n") {
		t.Errorf("the form begins %q", got)
	}
}

// TestFormIsSentWithItsRequest and leads back to it.
func TestFormIsSentWithItsRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		form bot.Form
		in   filled
		want []press
	}{
		"alone":           {*bottest.DenyForm(), filled{Nonce: "N0"}, []press{{Kind: pressSend, Form: bot.FormDeny, Request: bottest.Request, Nonce: "N0", Values: map[string]string{}}}},
		"in a message":    {*bottest.DenyForm(), filled{Nonce: "N0", Back: toMessage}, []press{{Kind: pressSend, Form: bot.FormDeny, Request: bottest.Request, Nonce: "N0", On: "request", Values: map[string]string{}}, {Kind: pressView, Request: bottest.Request, On: "request"}}},
		"in a page":       {asking(bot.Input{Name: "x"}), filled{Nonce: "N0", Back: press{Kind: pressHome, On: "home"}}, []press{{Kind: pressSend, Form: bot.FormDeny, Nonce: "N0", On: "home", Values: map[string]string{}}, {Kind: pressHome, On: "home"}}},
		"that asks again": {*bottest.RequestForm(""), filled{Nonce: "N0"}, []press{{Kind: pressChange, Form: bot.FormRequest, Nonce: "N0", Values: map[string]string{}}, {Kind: pressSend, Form: bot.FormRequest, Nonce: "N0", Values: map[string]string{}}}},
	} {
		got := presses(t, name, asForm(t, c.form, c.in))
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: asks for %+v, want %+v", name, got, c.want)
		}
	}
	back := asForm(t, *bottest.DenyForm(), filled{Back: toMessage})["body"].([]any)
	actions := back[len(back)-1].(object)["actions"].([]any)
	if len(actions) != 2 || actions[0].(object)["associatedInputs"] != nil || actions[1].(object)["associatedInputs"] != "none" || actions[1].(object)["title"] != "Go back" {
		t.Errorf("the way back asks for the inputs: %v", actions)
	}
}

// presses are what the buttons of a card say, in order, those that are asked about included; what stands for them in old
// clients says the same.
func presses(t *testing.T, name string, card object) []press {
	t.Helper()
	var out []press
	var look func(body any)
	look = func(body any) {
		for _, e := range body.([]any) {
			actions, _ := e.(object)["actions"].([]any)
			for _, a := range actions {
				action := a.(object)
				if action["type"] == "Action.ShowCard" {
					look(action["card"].(object)["body"])
					continue
				}
				p, ok := readExecute(action["verb"].(string), raw(t, action["data"]))
				fallback := action["fallback"].(object)
				old, oldOK := readSubmit(raw(t, fallback["data"]))
				switch {
				case action["type"] != "Action.Execute" || fallback["type"] != "Action.Submit":
					t.Errorf("%s: %v falls back to %v", name, action["type"], fallback["type"])
				case !ok || !oldOK || !reflect.DeepEqual(p, old):
					t.Errorf("%s: %q says %+v, %t, and %+v, %t in old clients", name, action["title"], p, ok, old, oldOK)
				case action["title"] != fallback["title"] || action["style"] != fallback["style"] || action["associatedInputs"] != fallback["associatedInputs"]:
					t.Errorf("%s: %v looks like %v in old clients", name, action, fallback)
				}
				out = append(out, p)
			}
		}
	}
	look(card["body"])
	return out
}

func raw(t *testing.T, v any) json.RawMessage {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEveryButtonIsReadAsItWasMade for everything that the bot sends.
func TestEveryButtonIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	c := cast(bottest.Tones()[0])
	all, forms := everySaid(t, c)
	for name, card := range all {
		var want []press
		for _, p := range card.Parts {
			var buttons []bot.Button
			switch p := p.(type) {
			case bot.Buttons:
				buttons = p.Buttons
			case bot.Item:
				buttons = p.Buttons
			}
			for _, b := range buttons {
				want = append(want, press{Kind: pressClick, Action: b.Action, Request: b.Request, On: card.Name})
			}
		}
		if got := presses(t, name, decoded(t, everybody.card(t.Context(), card))); !slices.EqualFunc(got, want, func(a, b press) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: the buttons say %+v, want %+v", name, got, want)
		}
	}
	for name, f := range forms {
		got := presses(t, name, decoded(t, everybody.form(t.Context(), f, filled{Nonce: "N0"})))
		if p := got[len(got)-1]; p.Kind != pressSend || p.Form != f.Name || p.Request != f.Request {
			t.Errorf("%s: sends %+v", name, p)
		}
	}
}
