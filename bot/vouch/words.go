package vouch

import (
	"context"
	"strings"
	"time"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// asks are the words for each act: what is asked, and what the button says.
var asks = map[string]struct{ title, button string }{
	string(access.Approve): {"Approve this request?", "Approve with your key"},
	string(access.Submit):  {"Send this request?", "Send with your key"},
	string(access.Extend):  {"Extend this access?", "Extend with your key"},
	"replace":              {"Set up another second factor?", "Go on with your key"},
	"remove":               {"Remove this second factor?", "Remove with your key"},
	"confirm":              {"Confirm this second factor?", "Confirm with your key"},
	"reset":                {"Reset this second factor?", "Reset with your key"},
}

// shown is the page that asks for the key.
func (p *Page) shown(ctx context.Context, w factor.Waiting) page.Page {
	words, known := asks[w.Act.Verb]
	if !known {
		words.title, words.button = "Confirm this?", "Confirm with your key"
	}
	way := "with Elevate's command line or API"
	if w.By.Via != "api" {
		way = "in " + bot.ChatName(w.By.Via)
	}
	shown := page.Page{
		Title: words.title, Lead: "Your key signs exactly this, " + w.Person.DisplayName() + ", and nothing else.", Facts: p.facts(ctx, w),
		Form: &page.Form{Submit: words.button, Key: &page.Key{Options: w.Options}},
		Foot: "You began this " + way + " less than ten minutes ago. If you did not, close this page and tell an administrator: somebody may use your account.",
	}
	if w.Act.Verb == "confirm" || w.Act.Verb == "reset" {
		shown.Text = []string{"Speak to them first, face to face or on a call: somebody else may use their chat account."}
	}
	return shown
}

// facts are what the act is about.
func (p *Page) facts(ctx context.Context, w factor.Waiting) []page.Fact {
	if w.Record == nil {
		whose := w.By.Person
		if id, _, other := strings.Cut(w.Act.Subject, " "); other {
			whose = access.PersonID(id)
		}
		facts := []page.Fact{{Label: "Whose", Value: p.name(ctx, whose)}}
		if w.What != "" {
			facts = append(facts, page.Fact{Label: "Which", Value: w.What})
		}
		return facts
	}
	r := w.Record
	var facts []page.Fact
	add := func(label, value string) {
		if value != "" {
			facts = append(facts, page.Fact{Label: label, Value: value})
		}
	}
	add("Request", string(r.ID))
	add("Asked by", p.name(ctx, r.Requester))
	if r.Person != r.Requester {
		add("For", p.name(ctx, r.Person))
	}
	title := r.Role.DisplayTitle()
	if title != string(r.Role.ID) {
		title += " (" + string(r.Role.ID) + ")"
	}
	add("Role", title)
	if len(r.Parts) == 0 {
		add("Target", r.Role.Connector+", account "+r.Account)
	}
	for _, m := range r.Parts {
		add("Gives", string(m.Role.ID)+" at "+m.Role.Connector+", account "+m.Account)
	}
	if end, err := time.Parse(time.RFC3339, after(w.Act.Subject, " to ")); err == nil && w.Act.Verb == string(access.Extend) {
		add("Ends", bot.DateTime.UTC(r.EndsAt))
		add("New end", bot.DateTime.UTC(end))
	} else {
		add("For how long", bot.HowLong(r.Duration))
	}
	if !r.Start.IsZero() {
		add("Begins", bot.DateTime.UTC(r.Start))
	}
	add("Why", r.Justification)
	add("Ticket", r.Ticket)
	add("Policy", r.Policy)
	return facts
}

func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

// name is what the directory calls somebody, and their id.
func (p *Page) name(ctx context.Context, id access.PersonID) string {
	who, err := p.cfg.Person(ctx, id)
	if err != nil || who.Name == "" {
		return string(id)
	}
	return who.Name + " (" + string(id) + ")"
}
