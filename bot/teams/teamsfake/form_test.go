package teamsfake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// inform is a form of two inputs with two buttons.
func inform() object {
	return object{"type": "AdaptiveCard", "version": "1.5",
		"body": []any{
			object{"type": "Input.Text", "id": "in.why", "label": "Why?", "isRequired": true, "maxLength": 10.0, "regex": `^[\s\S]{3,}$`},
			object{"type": "Input.ChoiceSet", "id": "in.role", "label": "Role", "choices": []any{object{"title": "One", "value": "1"}},
				"choices.data": object{"type": "Data.Query", "dataset": "roles"}},
		},
		"actions": []any{
			object{"type": "Action.Execute", "title": "Send", "verb": "send.it", "data": object{"request": "r"},
				"fallback": object{"type": "Action.Submit", "title": "Send", "data": object{"verb": "send.it"}}},
			object{"type": "Action.Execute", "title": "Back", "verb": "back", "associatedInputs": "none"},
			object{"type": "Action.Submit", "title": "Old", "data": object{"old": true}},
		},
	}
}

// TestFormsKeepTheRulesOfTheClient: what is required, how long it may be, how it must look, what may be chosen.
func TestFormsKeepTheRulesOfTheClient(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	if ana.Form() != nil || ana.Fill("in.why", "x") == nil {
		t.Error("there is a form before there is one")
	}
	p.made("POST", activities(Access)+targeted, to(ana.ID, sayCard(inform())))
	if p.fake.As(ObjectID("ben")).Form() != nil {
		t.Error("Ben sees Ana's form")
	}
	for input, value := range map[string]string{"in.why": "much too long", "in.role": "2", "in.none": "x"} {
		if err := ana.Fill(input, value); err == nil {
			t.Errorf("%s takes %q", input, value)
		}
	}
	const done = `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"Done."}`
	p.answers(200, done)
	if ack := ana.Submit(ana.Form(), "send."); ack.Err == nil {
		t.Error("a form was sent without what is required")
	}
	for _, value := range []string{"x", "because"} { // too short at first
		if err := ana.Fill("in.why", value); err != nil {
			t.Fatal(err)
		}
		if ack := ana.Submit(ana.Form(), "send."); (ack.Err == nil) != (value == "because") {
			t.Errorf("with %q: %v", value, ack.Err)
		}
	}
	action := part(part(p.last(), "value"), "action")
	if data := part(action, "data"); data["request"] != "r" || data["in.why"] != "because" || data["in.role"] != nil || action["fallback"] != nil {
		t.Errorf("sent as %v", action)
	}
	f := ana.Form()
	p.ok(ana.Press(f.Message, "Back"))
	if data := part(part(part(p.last(), "value"), "action"), "data"); len(data) != 0 {
		t.Errorf("a button that takes no inputs along sends %v", data)
	}
	p.answers(200, "")
	p.ok(ana.PressOld(f.Message, "Send"))
	if value := part(p.last(), "value"); value["verb"] != "send.it" || value["in.why"] != "because" || value["request"] != nil {
		t.Errorf("an old client sends %v", value)
	}
	p.answersCard(plainCard())
	p.ok(ana.Submit(f, "send."))
	if ana.Form() != nil {
		t.Error("the form is still there")
	}
}

// TestSearchesAskAndShowWhatIsFound, fifteen at most.
func TestSearchesAskAndShowWhatIsFound(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	p.posted(inform())
	var results []string
	for n := range 20 {
		results = append(results, fmt.Sprintf(`{"title":"T%d","value":"v%d"}`, n, n))
	}
	good := `{"statusCode":200,"type":"application/vnd.microsoft.search.searchResponse","value":{"results":[` + strings.Join(results, ",") + `]}}`
	p.answers(200, good)
	found, err := ana.Search("in.role", "data")
	if err != nil || len(found) != 15 || found[14] != (Choice{"T14", "v14"}) {
		t.Errorf("found %v, %v", found, err)
	}
	a := p.last()
	value := part(a, "value")
	if a["name"] != "application/search" || value["queryText"] != "data" || value["dataset"] != "roles" || part(value, "queryOptions")["top"] != 15.0 {
		t.Errorf("asked as %v", a)
	}
	if ana.Fill("in.role", "v14") != nil || ana.Fill("in.role", "1") != nil || ana.Fill("in.role", "v15") == nil {
		t.Error("what was shown can be chosen, and nothing else")
	}
	for _, wrong := range []string{
		``, `{"type":"application/vnd.microsoft.search.searchResponse"}`, strings.Replace(good, "searchResponse", "x", 1),
		strings.Replace(good, `"T1"`, `""`, 1), strings.Replace(good, "200", "400", 1),
	} {
		p.answers(200, wrong)
		if _, err := ana.Search("in.role", "x"); err == nil || len(p.fake.Defects()) != 1 {
			t.Errorf("%.80s passes", wrong)
		}
	}
	if _, err := ana.Search("in.why", "x"); err == nil {
		t.Error("a text is searched")
	}
}

// TestPeoplePressWhatTheySee, and nothing else.
func TestPeoplePressWhatTheySee(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana, ben := p.fake.As(ObjectID("ana")), p.fake.As(ObjectID("ben"))
	p.made("POST", activities(Access)+targeted, to(ana.ID, sayCard(sampled())))
	m := ana.Told()[0]
	p.answers(200, `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"Done."}`)
	p.ok(ana.Press(m, "Approve"))
	action := part(part(p.last(), "value"), "action")
	if action["verb"] != "yes" || p.last()["replyToId"] != m.ID {
		t.Errorf("to approve sends %v", p.last())
	}
	p.fake.AddUser(User{ObjectID: ObjectID("eve"), Name: "eve", Installed: true})
	for what, ack := range map[string]Ack{
		"somebody else's":       ben.Press(m, "Approve"),
		"no button":             ana.Press(m, "None"),
		"an Action.Submit":      ana.Press(p.posted(inform()), "Old"),
		"another team's":        p.fake.As(ObjectID("eve")).Press(p.posted(inform()), "Back"),
		"words in another team": p.fake.As(ObjectID("eve")).Mention(Access, "hello"),
		"a fallback of nothing": ana.PressOld(m, "Approve"),
	} {
		if ack.Err == nil {
			t.Errorf("%s could be pressed", what)
		}
	}
}

// sampled is the sampler without what is wrong with it, and without what must be filled in.
func sampled() object {
	card := sampler()
	delete(card, "msteams")
	card["body"] = slices.DeleteFunc(card["body"].([]any), func(e any) bool {
		return strings.HasPrefix(text(e.(object), "type"), "Input.") || strings.Contains(text(e.(object), "text"), "<at>")
	})
	return card
}
