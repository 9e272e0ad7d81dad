package bottest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"elevate/bot"
	"elevate/workflows/access"
)

// Request is the request that the buttons of the suite's cards speak of.
const Request access.RequestID = "07kq4-m2xp9"

// Talk stands in for the bot: it answers as a test says, or else repeats what it was asked, and remembers it.
type Talk struct {
	OnCommand func(words string) bot.Answer
	OnClick   func(c bot.Click) bot.Answer
	OnSubmit  func(s bot.Submission) bot.Answer
	OnRefresh func(s bot.Submission) bot.Answer
	OnSuggest func(input, typed string) []bot.Option
	OnView    func() (view *bot.Card, excuse string)
	// Hang makes everything wait until it is closed, deaf to every context, as the worst of bots would. Nil: nothing waits.
	Hang chan struct{}

	mu    sync.Mutex
	heard []string
}

func (t *Talk) hear(who bot.Who, format string, args ...any) {
	t.mu.Lock()
	t.heard = append(t.heard, who.Account+" "+fmt.Sprintf(format, args...))
	t.mu.Unlock()
	if t.Hang != nil {
		<-t.Hang
	}
}

// Heard is everything that it was asked, each beginning with the account that asked.
func (t *Talk) Heard() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.heard)
}

// count is how often it was asked something, whoever did.
func (t *Talk) count(what string) int {
	n := 0
	for _, h := range t.Heard() {
		if _, said, _ := cutWord(h); said == what {
			n++
		}
	}
	return n
}

func cutWord(s string) (word, rest string, ok bool) {
	for i, c := range s {
		if c == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Command repeats the words.
func (t *Talk) Command(_ context.Context, who bot.Who, words string) bot.Answer {
	t.hear(who, "typed %q", words)
	if t.OnCommand != nil {
		return t.OnCommand(words)
	}
	return bot.Answer{Card: Says("You typed " + words)}
}

// Click repeats the action.
func (t *Talk) Click(_ context.Context, who bot.Who, c bot.Click) bot.Answer {
	t.hear(who, "clicked %s %s on %s", c.Action, c.Request, c.Message)
	if t.OnClick != nil {
		return t.OnClick(c)
	}
	return bot.Answer{Card: Says("You clicked " + string(c.Action))}
}

// Submit repeats the form's name.
func (t *Talk) Submit(_ context.Context, who bot.Who, s bot.Submission) bot.Answer {
	t.hear(who, "submitted %s %s %v", s.Form, s.Request, s.Values)
	if t.OnSubmit != nil {
		return t.OnSubmit(s)
	}
	return bot.Answer{Card: Says("You sent " + string(s.Form))}
}

// Refresh answers nothing by itself.
func (t *Talk) Refresh(_ context.Context, who bot.Who, s bot.Submission) bot.Answer {
	t.hear(who, "refreshed %s %v", s.Form, s.Values)
	if t.OnRefresh != nil {
		return t.OnRefresh(s)
	}
	return bot.Answer{}
}

// Suggest finds nothing by itself.
func (t *Talk) Suggest(_ context.Context, who bot.Who, input, typed string) []bot.Option {
	t.hear(who, "searched %s for %q", input, typed)
	if t.OnSuggest != nil {
		return t.OnSuggest(input, typed)
	}
	return nil
}

// View is a message of the request that says whom it is shown to, where the test says nothing else.
func (t *Talk) View(_ context.Context, who bot.Who, id access.RequestID) (view *bot.Card, excuse string) {
	t.hear(who, "viewed %s", id)
	if t.OnView != nil {
		return t.OnView()
	}
	c := RequestCard("Shown to " + who.Account)
	c.Request = id
	return &c, ""
}

// Home greets the account and has a button of each weight.
func (t *Talk) Home(_ context.Context, who bot.Who) bot.Card {
	t.hear(who, "came home")
	return bot.Card{Name: "home", Title: "Elevate", Summary: "Home", Parts: []bot.Part{
		bot.Text{Spans: []bot.Span{bot.Say("Welcome, " + who.Account)}},
		bot.Buttons{Buttons: []bot.Button{
			{Action: bot.ActRequest, Label: "Request access", Style: bot.Primary},
			{Action: bot.ActEnd, Request: Request, Label: "End now", Style: bot.Danger},
			{Action: bot.ActDetails, Request: Request, Label: "Details"},
		}},
	}}
}

// Says is a card with one sentence.
func Says(text string) *bot.Card {
	return &bot.Card{Name: "says", Summary: text, Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say(text)}}}}
}

// RequestForm is a form with an input of each kind. The role decides what else is asked: with one, there is a ticket and
// a longer duration.
func RequestForm(role string) *bot.Form {
	f := &bot.Form{
		Name: bot.FormRequest, Title: "Request access", Submit: "Send request",
		Inputs: []bot.Input{
			{Name: "role", Kind: bot.Search, Label: "Role", Refresh: true},
			{Name: "duration", Kind: bot.Choice, Label: "For how long?", Options: []bot.Option{{Value: "30m", Label: "30 minutes"}, {Value: "1h", Label: "1 hour"}}},
			{Name: "justification", Kind: bot.Area, Label: "Why?", MinLength: 3, MaxLength: 2000},
		},
	}
	if role != "" {
		f.Inputs[0].Initial = &bot.Option{Value: role, Label: role}
		f.Inputs[1].Options = append(f.Inputs[1].Options, bot.Option{Value: "2h", Label: "2 hours"})
		f.Inputs = append(f.Inputs, bot.Input{Name: "ticket", Kind: bot.Line, Label: "Ticket"})
	}
	return f
}

// DenyForm is a form about the request.
func DenyForm() *bot.Form {
	return &bot.Form{
		Name: bot.FormDeny, Title: "Deny request", Submit: "Deny", Request: Request,
		Intro:  []bot.Part{bot.Quote{Text: "because of *this*"}},
		Inputs: []bot.Input{{Name: "reason", Kind: bot.Area, Label: "Why not?", MinLength: 1, MaxLength: 500}},
	}
}

// RequestCard is a message with what somebody wrote, and buttons that change something and that open something.
func RequestCard(text string) bot.Card {
	return bot.Card{Name: "request", Title: "Access request", Summary: "Ana asks for prod-db-admin.", Parts: []bot.Part{
		bot.Quote{Text: text},
		bot.Buttons{Buttons: []bot.Button{
			{Action: bot.ActApprove, Request: Request, Label: "Approve", Style: bot.Primary,
				Confirm: &bot.Confirm{Title: "Grant it?", Text: "Ana gets prod-db-admin for an hour.", Yes: "Grant access", No: "Go back"}},
			{Action: bot.ActDeny, Request: Request, Label: "Deny…", Style: bot.Danger},
			{Action: bot.ActDetails, Request: Request, Label: "Details"},
		}},
	}}
}
