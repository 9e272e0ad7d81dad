package slack

import (
	"errors"
	"strings"
	"testing"

	"elevate/bot"
	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
)

// oneTime answers everything with a link that works once.
func oneTime(address string) func(string) bot.Answer {
	return func(string) bot.Answer {
		return bot.Answer{Card: &bot.Card{Name: "link", Summary: "A link for you.", Once: true,
			Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say("Open "), bot.Link("your page", address)}}}}}
	}
}

// TestWhatIsShownOnceIsNotKept: a link that works once is in the answer, and not in the store, where answers to acts that
// Slack delivers again are kept.
func TestWhatIsShownOnceIsNotKept(t *testing.T) {
	t.Parallel()
	const address = "https://elevate.example.com/link/CANARY"
	k := setup(t)
	k.bot.OnCommand = oneTime(address)
	payload := k.fake.As("U0ANA").Command("C0ACCESS", "link")
	first, again := k.fake.Send("command", payload), k.fake.Send("command", payload)
	if !strings.Contains(string(first.Body), `"type":"link","url":"`+address+`","text":"your page"`) {
		t.Errorf("answered %s", first.Body)
	}
	if strings.Contains(string(again.Body), "CANARY") || !strings.Contains(string(again.Body), bot.SaysOnce) {
		t.Errorf("answered again %s", again.Body)
	}
	if n := strings.Count(strings.Join(k.bot.Heard(), "\n"), "typed"); n != 1 {
		t.Errorf("the bot heard it %d times", n)
	}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	for key, value := range k.store.keys {
		if strings.Contains(string(value), "CANARY") {
			t.Errorf("%s has %s", key, value)
		}
	}
}

// TestPeopleAreAsSlackSaysTheyAre: what the directory is told of accounts and user groups.
func TestPeopleAreAsSlackSaysTheyAre(t *testing.T) {
	t.Parallel()
	fake := slackfake.New(t)
	fake.Scopes = append(fake.Scopes, "users:read.email", "usergroups:read")
	fake.AddUser(slackfake.User{ID: "U0DAN", RealName: "Dan Osei", Email: "dan@example.com"})
	fake.AddUser(slackfake.User{ID: "U0EVE", RealName: "Eve", Email: "eve@example.com", Unconfirmed: true})
	fake.SetUsergroup("S0ONE", "U0DAN", "U0EVE")
	fake.SetUsergroup("S0TWO")
	p, err := NewPeople(Config{
		BotToken: access.NewSecret(slackfake.BotToken), AppToken: access.NewSecret(slackfake.AppToken), TeamID: slackfake.Team, APIURL: fake.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seen, err := p.Profile(t.Context(), "U0DAN")
	if err != nil || seen.Account != "U0DAN" || seen.Name != "Dan Osei" || seen.Email != "dan@example.com" || !seen.Confirmed {
		t.Errorf("%+v, %v", seen, err)
	}
	if seen, err = p.ByEmail(t.Context(), "EVE@example.com"); err != nil || seen.Account != "U0EVE" || seen.Confirmed {
		t.Errorf("%+v, %v", seen, err)
	}
	groups, err := p.Usergroups(t.Context())
	if err != nil || len(groups) != 2 || len(groups["S0ONE"]) != 2 || len(groups["S0TWO"]) != 0 {
		t.Errorf("%v, %v", groups, err)
	}
	for what, ask := range map[string]func() error{
		"nobody's account": func() error { _, err := p.Profile(t.Context(), "U0NOBODY"); return err },
		"nobody's address": func() error { _, err := p.ByEmail(t.Context(), "nobody@example.com"); return err },
	} {
		if err := ask(); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, f := range []slackfake.Fault{{Status: 500}, {Body: "{}"}, {Body: "null"}, {Error: "missing_scope"}, {Status: 429, RetryAfter: "1"}, {Reset: true}} {
		for method, ask := range map[string]func() error{
			"users.info":          func() error { _, err := p.Profile(t.Context(), "U0DAN"); return err },
			"users.lookupByEmail": func() error { _, err := p.ByEmail(t.Context(), "dan@example.com"); return err },
			"usergroups.list": func() error {
				got, err := p.Usergroups(t.Context())
				if err == nil && len(got) > 0 {
					t.Errorf("groups out of %+v: %v", f, got)
				}
				if f.Body != "" { // an empty answer makes nobody a member
					return errEmpty
				}
				return err
			},
		} {
			fake.Misbehave(method, f)
			if err := ask(); err == nil || errors.Is(err, access.ErrNotFound) {
				t.Errorf("%s, %+v: %v", method, f, err)
			}
		}
	}
}
