package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"elevate/bot"
	"elevate/workflows/access"
)

// checkBlocks has Slack itself validate a page with everything that this package can render. The tests know Slack's
// limits from what it publishes; this asks the Slack that will be served.
func (s checker) checkBlocks(ctx context.Context, r *bot.Report, account string) {
	render := renderer{account: func(context.Context, access.PersonID) string { return account }}
	page, form := specimen(time.Now().Add(time.Hour))
	for _, each := range []struct {
		what, argument string
		value          any
	}{
		{"messages", "message", map[string]any{"text": page.Summary, "blocks": render.message(ctx, page)}},
		{"forms", "view", render.form(ctx, form)},
		{"the Home page", "view", render.home(ctx, page)},
	} {
		wrong, err := s.validate(ctx, each.argument, each.value)
		if err != nil {
			r.Remark("Slack did not say whether it takes Elevate's messages: %v", err)
			return
		}
		if wrong != "" {
			r.Problem("Slack does not take %s as Elevate writes them; please report this as a defect of Elevate: %s", each.what, wrong)
		}
	}
}

// validate calls blocks.validate, which slack-go does not know. It gives what Slack does not like.
func (s checker) validate(ctx context.Context, argument string, value any) (wrong string, err error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	body := strings.NewReader(url.Values{argument: {string(raw)}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.APIURL+"blocks.validate", body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+s.cfg.BotToken.Reveal())
	answer, err := s.http.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return "", nil // a server in Slack's place that does not have the method
	}
	var said struct {
		OK     bool              `json:"ok"`
		Error  string            `json:"error"`
		Errors []json.RawMessage `json:"errors"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&said); err != nil {
		return "", fmt.Errorf("blocks.validate: %s: %w", answer.Status, err)
	}
	switch {
	case said.OK, said.Error == "unknown_method":
		return "", nil
	case strings.HasPrefix(said.Error, "invalid_") && len(said.Errors) > 0:
		return fmt.Sprintf("%s %s", said.Error, said.Errors), nil
	case said.Error == "":
		return "", errEmpty
	}
	return "", errors.New("blocks.validate: " + said.Error)
}

// specimen is a card with every part, and a form with every kind of input.
func specimen(at time.Time) (bot.Card, bot.Form) {
	someone := bot.Span{Person: "someone", Name: "Someone", Mention: true}
	button := bot.Button{Action: bot.ActApprove, Request: "00000-00000", Label: "Approve", Style: bot.Primary, Speak: "Approve the request",
		Confirm: &bot.Confirm{Title: "Grant it?", Text: "Someone gets a role for an hour.", Yes: "Grant access", No: "Go back"}}
	deny := bot.Button{Action: bot.ActDeny, Request: "00000-00000", Label: "Deny…", Style: bot.Danger}
	role := bot.Option{Value: "role", Label: "A role", Detail: "What it is for"}
	intro := []bot.Part{
		bot.Text{Spans: []bot.Span{someone, bot.Say(" asks for "), bot.Strong("a role"), bot.Say(" until "), bot.When(at, bot.DateTime)}},
		bot.Quote{Text: "*because* <!here> & :tada:"},
		bot.Facts{Rows: []bot.Fact{{Label: "Ticket", Value: []bot.Span{bot.Mono("INC-1")}}, {Label: "Decide by", Value: []bot.Span{bot.When(at, bot.Clock)}}}},
	}
	page := bot.Card{Name: "specimen", Title: "Access request", Summary: "Someone asks for a role.", Parts: append(intro[:3:3],
		bot.Heading{Text: "A list"}, bot.Item{Spans: []bot.Span{bot.Say("a line")}, Buttons: []bot.Button{button}}, bot.Divider{},
		bot.Buttons{Buttons: []bot.Button{button, deny}}, bot.Text{Small: true, Spans: []bot.Span{bot.Say("fine print, "), bot.When(at, bot.Date)}},
		bot.Text{Small: true, Spans: []bot.Span{bot.Say("fine print")}},
	)}
	return page, bot.Form{Name: bot.FormRequest, Title: "Request access", Submit: "Send request", Intro: intro, Inputs: []bot.Input{
		{Name: "role", Kind: bot.Search, Label: "Role", Initial: &role, Refresh: true},
		{Name: "duration", Kind: bot.Choice, Label: "For how long?", Options: []bot.Option{role}, Initial: &role},
		{Name: "justification", Kind: bot.Area, Label: "Why?", Hint: "Kept in the audit log.", MinLength: 10, MaxLength: 2000},
		{Name: "ticket", Kind: bot.Line, Label: "Ticket", Optional: true},
	}}
}
