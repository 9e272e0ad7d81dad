package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

func TestWordsAreAnsweredInTheAcknowledgement(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		ack := k.fake.As("U0ANA").Type("C0ACCESS", "roles <prod> & co")
		if got, want := ack.Text(), "You typed roles &lt;prod&gt; &amp; co"; got != want {
			t.Errorf("the answer is %q, want %q", got, want)
		}
		if ack.JSON()["response_type"] != "ephemeral" {
			t.Error("the answer is not private")
		}
		if got := k.bot.Heard(); len(got) != 1 || got[0] != `U0ANA typed "roles <prod> & co"` {
			t.Errorf("the bot heard %q", got)
		}
	})
}

// TestHintsNameTheCommandAsItIsCalledHere, and leave people's words as they wrote them.
func TestHintsNameTheCommandAsItIsCalledHere(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) { cfg.Command = "/jit" })
	type parts = []bot.Part
	say, mono := bot.Say, bot.Mono
	for name, p := range map[string]parts{
		"rich text": {bot.Text{Spans: []bot.Span{say("Type "), mono("/elevate mine"), say(".")}}},
		"small":     {bot.Text{Small: true, Spans: []bot.Span{say("Type "), mono("/elevate mine"), say(".")}}},
		"alone":     {bot.Text{Spans: []bot.Span{mono("/elevate"), say(" opens the form.")}}},
	} {
		blocks, err := json.Marshal(k.slack.render.message(t.Context(), bot.Card{Parts: p}))
		if err != nil || !strings.Contains(string(blocks), "/jit") || strings.Contains(string(blocks), "/elevate") {
			t.Errorf("%s: %s, %v", name, blocks, err)
		}
	}
	blocks, err := json.Marshal(k.slack.render.message(t.Context(), bot.Card{Parts: parts{
		bot.Quote{Text: "as /elevate says"}, bot.Text{Spans: []bot.Span{say("/elevate"), mono("/elevated")}},
	}}))
	if err != nil || strings.Contains(string(blocks), "/jit") {
		t.Errorf("people's words: %s, %v", blocks, err)
	}
	ana := k.fake.As("U0ANA")
	k.bot.OnSubmit = func(bot.Submission) bot.Answer {
		return bot.Answer{Errors: map[string]string{"role": "Use /elevate mine to see yours."}}
	}
	payload := ana.Command("C0ACCESS", "")
	payload["command"] = "/jit"
	k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
	ok(t, k.fake.Send("command", payload))
	k.fake.Await(t, "the form", func() bool { return k.fake.Dialog("U0ANA") != nil })
	fill(t, ana, "role", "prod-db-admin")
	fill(t, ana, "duration", "1h")
	fill(t, ana, "justification", "restart the workers")
	if ack := submit(t, ana); !strings.Contains(string(ack.Body), "Use /jit mine to see yours.") {
		t.Errorf("a form is answered %s", ack.Body)
	}
}

func TestFormOpensAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
		ana := k.fake.As("U0ANA")
		ok(t, ana.Type("C0ACCESS", ""))
		k.fake.Await(t, "the form", func() bool { return k.fake.Dialog("U0ANA") != nil })
		if got := k.fake.Dialog("U0ANA").Title(); got != "Request access" {
			t.Errorf("the form is titled %q", got)
		}
	})
}

func TestFormThatDoesNotOpenIsExplained(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]slackfake.Fault{
		"expired":  {Error: "expired_trigger_id"},
		"broken":   {Status: 500},
		"proxy":    {Body: "{}"},
		"not ok":   {Body: `{"ok":false}`},
		"cut":      {Reset: true},
		"too many": {Status: 429, RetryAfter: "30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
			k.fake.Misbehave("views.open", fault)
			ok(t, k.fake.As("U0ANA").Type("C0ACCESS", ""))
			k.fake.Await(t, "an explanation", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
			if got := k.fake.Whispers("C0ACCESS")[0]; got.Text != saysNoForm || got.To != "U0ANA" {
				t.Errorf("told %q to %s", got.Text, got.To)
			}
		})
	}
}

func TestFormConversation(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
		k.bot.OnRefresh = func(s bot.Submission) bot.Answer { return bot.Answer{Form: bottest.RequestForm(s.Values["role"])} }
		k.bot.OnSuggest = func(input, typed string) []bot.Option {
			return []bot.Option{{Value: "prod-db-admin", Label: "Production database admin", Detail: typed}}
		}
		wrong := true
		k.bot.OnSubmit = func(s bot.Submission) bot.Answer {
			if wrong {
				wrong = false
				return bot.Answer{Errors: map[string]string{"ticket": "Tickets look like INC-4711.", "start": "That is in the past."}}
			}
			return bot.Answer{Card: bottest.Says("Sent.")}
		}
		ana := k.fake.As("U0ANA")
		ok(t, ana.Type("C0ACCESS", ""))
		k.fake.Await(t, "the form", func() bool { return k.fake.Dialog("U0ANA") != nil })

		found, err := ana.Suggest("role", "prod")
		if err != nil || !slices.Equal(found, []string{"prod-db-admin"}) {
			t.Fatalf("found %v, %v", found, err)
		}
		fill(t, ana, "justification", "restart the workers")
		fill(t, ana, "role", "prod-db-admin")
		k.fake.Await(t, "the ticket's input", func() bool {
			ack, _ := ana.Fill("ticket", "INC")
			return ack.Status == http.StatusOK
		})
		if got := k.fake.Dialog("U0ANA").State["justification"]; got != "restart the workers" {
			t.Errorf("the justification was lost in the refresh: %q", got)
		}
		fill(t, ana, "duration", "2h")
		submit(t, ana)
		dialog := k.fake.Dialog("U0ANA")
		if dialog == nil || dialog.Errors["input.ticket"] != "Tickets look like INC-4711." || len(dialog.Errors) != 2 {
			t.Fatalf("shown errors: %+v", dialog)
		}
		fill(t, ana, "ticket", "INC-4711")
		submit(t, ana)
		if got := k.fake.Dialog("U0ANA"); got == nil || slackfake.Button(got.Blocks(), "x") != nil || !strings.Contains(fmt.Sprint(got.Blocks()), "Sent.") {
			t.Errorf("the answer is not shown in the form's place: %+v", got)
		}
		heard := k.bot.Heard()
		want := "U0ANA submitted request  map[duration:2h justification:restart the workers role:prod-db-admin ticket:INC-4711]"
		if !slices.Contains(heard, want) {
			t.Errorf("the bot heard %q, want %q in it", heard, want)
		}
	})
}

func fill(t *testing.T, p *slackfake.Person, input, value string) {
	t.Helper()
	ack, err := p.Fill(input, value)
	if err != nil {
		t.Fatal(err)
	}
	ok(t, ack)
}

func submit(t *testing.T, p *slackfake.Person) slackfake.Ack {
	t.Helper()
	ack, err := p.Submit()
	if err != nil || ack.Err != nil || ack.Status != http.StatusOK {
		t.Fatalf("submitted: %d %s, %v, %v", ack.Status, ack.Body, ack.Err, err)
	}
	return ack
}

// opened gives somebody a filled-in form.
func (k *kit) opened(t *testing.T, user string) *slackfake.Person {
	t.Helper()
	k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
	p := k.fake.As(user)
	ok(t, p.Type("C0ACCESS", ""))
	k.fake.Await(t, "the form", func() bool { return k.fake.Dialog(user) != nil })
	fill(t, p, "role", "prod-db-admin")
	fill(t, p, "duration", "1h")
	fill(t, p, "justification", "restart the workers")
	return p
}

func (k *kit) countHeard(prefix string) int {
	n := 0
	for _, h := range k.bot.Heard() {
		if strings.HasPrefix(h, prefix) {
			n++
		}
	}
	return n
}

func TestFormSentTwiceIsDoneOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		ana := k.opened(t, "U0ANA")
		first, err := ana.Submission()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ana.Submission() // the person presses the button once more: another trigger
		if err != nil {
			t.Fatal(err)
		}
		var answers []string
		for _, payload := range []map[string]any{first, first, again} {
			ack := k.fake.Send("view_submission", payload)
			if ack.Status != http.StatusOK {
				t.Fatalf("answered %d", ack.Status)
			}
			answers = append(answers, string(ack.Body))
		}
		if n := k.countHeard("U0ANA submitted"); n != 1 {
			t.Errorf("the bot got the form %d times", n)
		}
		if answers[0] != answers[1] || answers[0] != answers[2] || !strings.Contains(answers[0], "You sent request") {
			t.Errorf("the answers differ: %q", answers)
		}
	})
}

// TestAFormThatTookTooLongIsNotDoneAgain: an extension adds up, and whoever was told that it took too long presses again.
func TestAFormThatTookTooLongIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) { cfg.AckWithin = time.Second })
	ana := k.opened(t, "U0ANA")
	told := make(chan struct{})
	k.bot.OnSubmit = func(bot.Submission) bot.Answer {
		<-told
		return bot.Answer{Card: bottest.Says("Extended")}
	}
	if ack := submit(t, ana); !strings.Contains(string(ack.Body), bot.SaysLate) {
		t.Fatalf("answered %s", ack.Body)
	}
	close(told)
	k.fake.Await(t, "the form to be done", func() bool { return len(k.fake.Calls("views.publish")) > 0 })
	k.fake.Await(t, "the answer when it is pressed again", func() bool { return strings.Contains(string(submit(t, ana).Body), "Extended") })
	if n := k.countHeard("U0ANA submitted"); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// TestFormInTheSameDialogIsAnother: the answer to a form stands in its place, with a button that opens the next form
// there.
func TestFormInTheSameDialogIsAnother(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		k.bot.OnSubmit = func(bot.Submission) bot.Answer {
			card := bottest.Says("Sent.")
			card.Parts = append(card.Parts, bot.Buttons{Buttons: []bot.Button{{Action: bot.ActAgain, Request: bottest.Request, Label: "Request again…"}}})
			return bot.Answer{Card: card}
		}
		k.bot.OnClick = func(bot.Click) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
		ana := k.opened(t, "U0ANA")
		submit(t, ana)
		dialog := k.fake.Dialog("U0ANA")
		ok(t, k.fake.Send("block_actions", ana.PressView(dialog, "Request again…")))
		k.fake.Await(t, "the next form", func() bool { return k.fake.Dialog("U0ANA").Hash != dialog.Hash })
		if k.fake.Dialog("U0ANA").ID != dialog.ID {
			t.Fatal("the form is in another dialog: this test shows nothing")
		}
		fill(t, ana, "role", "prod-db-admin")
		fill(t, ana, "duration", "1h")
		fill(t, ana, "justification", "once more")
		submit(t, ana)
		if n := k.countHeard("U0ANA submitted"); n != 2 {
			t.Errorf("the bot got %d forms", n)
		}
	})
}

func TestClickIsRecordedThenDoneThenAnsweredPrivately(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		m := k.posted(t)
		ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, "Approve")))
		k.fake.Await(t, "the private answer", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
		if got := k.fake.Whispers("C0ACCESS")[0]; got.Text != "You clicked approve" || got.To != "U0BEN" {
			t.Errorf("told %q to %s", got.Text, got.To)
		}
		want := fmt.Sprintf("U0BEN clicked approve %s on C0ACCESS:%s", bottest.Request, m.TS)
		if got := k.bot.Heard(); len(got) != 1 || got[0] != want {
			t.Errorf("the bot heard %q, want %q", got, want)
		}
	})
}

func TestClickDeliveredOftenIsDoneOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		payload := k.fake.As("U0BEN").Press(k.posted(t), "Approve")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if ack := k.fake.Send("block_actions", payload); ack.Status != http.StatusOK {
					t.Errorf("answered %d %v", ack.Status, ack.Err)
				}
			})
		}
		all.Wait()
		k.fake.Await(t, "the private answer", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
		k.stop()
		if n := k.countHeard("U0BEN clicked approve"); n != 1 {
			t.Errorf("the bot got the click %d times", n)
		}
	})
}

func TestTwoClicksAreTwo(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	for range 2 {
		ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, "Approve")))
	}
	k.fake.Await(t, "two answers", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 2 })
}

// TestReplayedRequestHasNoSecondEffect sends the same signed request a thousand times, at once and much later.
func TestReplayedRequestHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, body := slackfake.Body("command", k.fake.As("U0ANA").Command("C0ACCESS", "prod-db-admin 1h because"))
	at := k.clock.now()
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	send := func() slackfake.Ack {
		return slackfake.Do(client, slackfake.Sign(k.url+"/slack/commands", body, slackfake.SigningSecret, at))
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				if ack := send(); ack.Status != http.StatusOK {
					t.Errorf("answered %d %v", ack.Status, ack.Err)
				}
			}
		})
	}
	all.Wait()
	k.clock.advance(4*time.Minute + 59*time.Second)
	if got := send().Text(); got != "You typed prod-db-admin 1h because" {
		t.Errorf("the late replay is answered %q, want the first answer", got)
	}
	k.clock.advance(2 * time.Second)
	if got := send().Status; got != http.StatusUnauthorized {
		t.Errorf("a request of more than five minutes ago is answered %d", got)
	}
	if n := len(k.bot.Heard()); n != 1 {
		t.Errorf("the bot was asked %d times", n)
	}
}

func TestButtonsThatOpenSomething(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		k.bot.OnClick = func(c bot.Click) bot.Answer {
			if c.Action == bot.ActDeny {
				return bot.Answer{Form: bottest.DenyForm()}
			}
			return bot.Answer{Card: bottest.Says("All about it")}
		}
		ben := k.fake.As("U0BEN")
		m := k.posted(t)
		ok(t, k.fake.Send("block_actions", ben.Press(m, "Deny…")))
		k.fake.Await(t, "the form", func() bool { return k.fake.Dialog("U0BEN") != nil })
		if _, err := ben.Submit(); err == nil {
			t.Error("the form can be sent off without a reason")
		}
		fill(t, ben, "reason", "not now")
		submit(t, ben)
		ben.Close()
		if want := fmt.Sprintf("U0BEN submitted deny %s map[reason:not now]", bottest.Request); !slices.Contains(k.bot.Heard(), want) {
			t.Errorf("the bot heard %q, want %q in it", k.bot.Heard(), want)
		}
		ok(t, k.fake.Send("block_actions", ben.Press(m, "Details")))
		k.fake.Await(t, "the details", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
	})
}

func TestHome(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		ana := k.fake.As("U0ANA")
		ok(t, ana.OpenHome())
		k.fake.Await(t, "the page", func() bool { return k.fake.Home("U0ANA") != nil })
		before := k.fake.Home("U0ANA")

		ok(t, k.fake.Send("block_actions", ana.PressView(before, "End now")))
		k.fake.Await(t, "the answer in a dialog", func() bool { return k.fake.Dialog("U0ANA") != nil })
		k.fake.Await(t, "the page anew", func() bool { return k.fake.Home("U0ANA").Hash != before.Hash })
		ana.Close()

		// A dialog can be opened for three seconds after the click. Later the answer comes as a personal message.
		k.bot.Hang = make(chan struct{})
		ok(t, k.fake.Send("block_actions", ana.PressView(k.fake.Home("U0ANA"), "End now")))
		k.fake.Await(t, "the click", func() bool { return k.countHeard("U0ANA clicked end") == 2 || poke(k) })
		k.clock.advance(time.Minute)
		close(k.bot.Hang)
		k.fake.Await(t, "a personal message", func() bool { return len(k.fake.Messages(k.fake.DM("U0ANA"))) == 1 })
	})
}

// poke makes the fake look again at what it waits for: the talk does not tell it when it is asked.
func poke(k *kit) bool {
	_, _ = k.slack.api.AuthTestContext(context.Background())
	return false
}

func TestShortcutOpensTheForm(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		k.bot.OnClick = func(bot.Click) bot.Answer { return bot.Answer{Form: bottest.RequestForm("")} }
		ok(t, k.fake.As("U0ANA").Shortcut("elevate_request"))
		k.fake.Await(t, "the form", func() bool { return k.fake.Dialog("U0ANA") != nil })
		ok(t, k.fake.As("U0BEN").Shortcut("somebody_elses"))
	})
}

// TestStrangersAreRefused walks everybody who may not speak to Elevate through every way of speaking to it.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"U0GUEST": saysGuest, "U0ONE": saysGuest, "U0GONE": saysGone, "U0ALIEN": saysForeign, "U0UNKNOWN": saysForeign,
		slackfake.BotUser: saysApp,
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			var turned sync.Map
			k := setup(t, func(c *Config) {
				c.TurnedAway = func(_ context.Context, account, code string) { turned.Store(account, code) }
			})
			m := k.posted(t)
			p := k.fake.As(user)
			if got := p.Type("C0ACCESS", "mine").Text(); got != want {
				t.Errorf("a command is answered %q, want %q", got, want)
			}
			if code, _ := turned.Load(user); code != refusalCodes[want] {
				t.Errorf("turned away on record as %v, want %s", code, refusalCodes[want])
			}
			whispers := len(k.fake.Whispers("C0ACCESS"))
			for i, name := range []string{"Approve", "Details"} {
				ok(t, k.fake.Send("block_actions", p.Press(m, name)))
				k.fake.Await(t, "a refusal", func() bool { return len(k.fake.Whispers("C0ACCESS")) == whispers+i+1 })
			}
			for _, w := range k.fake.Whispers("C0ACCESS") {
				if w.Text != want || w.To != user {
					t.Errorf("told %q to %s", w.Text, w.To)
				}
			}
			ok(t, p.OpenHome())
			form := k.slack.render.form(context.Background(), *bottest.RequestForm(""))
			view := asView(t, form)
			for _, kind := range []string{"view_submission", "block_suggestion"} {
				team := slackfake.Team
				if user == "U0ALIEN" {
					team = "T999"
				}
				ack := k.fake.Send(kind, map[string]any{
					"type": kind, "user": map[string]any{"id": user, "team_id": team}, "team": map[string]any{"id": team},
					"view": view, "action_id": "role", "value": "prod", "trigger_id": "1",
				})
				if kind == "block_suggestion" && string(ack.Body) != `{"options":[]}` {
					t.Errorf("a search is answered %s", ack.Body)
				}
				if kind == "view_submission" && !strings.Contains(string(ack.Body), want) {
					t.Errorf("a form is answered %s, want %q in it", ack.Body, want)
				}
			}
			k.stop()
			if got := k.bot.Heard(); len(got) != 0 {
				t.Errorf("the bot heard %q", got)
			}
		})
	}
}

// asView is a dialog as Slack sends it back, with something filled in.
func asView(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	out["id"], out["hash"] = "V1", "h1"
	out["state"] = map[string]any{"values": map[string]any{
		"input.role": map[string]any{"role": map[string]any{"type": "external_select", "selected_option": map[string]any{"value": "prod-db-admin"}}},
	}}
	return out
}

func TestUnreachableSlackMeansNo(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]slackfake.Fault{
		"500": {Times: -1, Status: 500}, "429": {Times: -1, Status: 429, RetryAfter: "30"}, "empty": {Times: -1, Body: "{}"},
		"not ok": {Times: -1, Body: `{"ok":false}`}, "cut": {Times: -1, Reset: true}, "hung": {Times: -1, Hang: true},
		"someone else": {Times: -1, Body: `{"ok":true,"user":{"id":"U0BEN","team_id":"T111"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(cfg *Config) {
				if fault.Hang {
					cfg.AckWithin, cfg.Timeout = time.Second, time.Second
				}
			})
			k.fake.Misbehave("users.info", fault)
			ok(t, k.fake.As("U0ANA").Type("C0ACCESS", "mine"))
			k.fake.Await(t, "word that it was not done", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
			if got := k.fake.Whispers("C0ACCESS")[0].Text; got != saysUnreachable {
				t.Errorf("told %q, want %q", got, saysUnreachable)
			}
			if got := k.bot.Heard(); len(got) != 0 {
				t.Errorf("the bot heard %q", got)
			}
		})
	}
}

// TestATypedLineOutlivesASlowSlack: it is done, and answered beside the acknowledgement, once Slack says who typed it.
func TestATypedLineOutlivesASlowSlack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"slow", "failing once"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t, func(cfg *Config) { cfg.AckWithin = time.Second })
			answer := make(chan struct{})
			switch ask := k.slack.accounts.ask; name {
			case "slow":
				k.slack.accounts.ask = func(ctx context.Context, user string) (*slack.User, error) {
					<-answer
					return ask(ctx, user)
				}
			default:
				k.fake.Misbehave("users.info", slackfake.Fault{Status: 500})
			}
			ok(t, k.fake.As("U0ANA").Type("C0ACCESS", "prod-db-admin 1h fix replication"))
			close(answer)
			k.fake.Await(t, "the answer", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })
			if got := k.fake.Whispers("C0ACCESS")[0].Text; got != "You typed prod-db-admin 1h fix replication" {
				t.Errorf("told %q", got)
			}
		})
	}
}

func TestAccountIsAskedForOnceAMinute(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ana := k.fake.As("U0ANA")
	for range 5 {
		ana.Type("C0ACCESS", "mine")
	}
	if n := len(k.fake.Calls("users.info")); n != 1 {
		t.Errorf("asked %d times", n)
	}
	k.fake.AddUser(slackfake.User{ID: "U0ANA", Restricted: true})
	k.clock.advance(time.Minute + time.Second)
	if got := ana.Type("C0ACCESS", "mine").Text(); got != saysGuest {
		t.Errorf("someone who became a guest is answered %q after a minute", got)
	}
}

func TestStoreThatFailsMeansNothingIsDone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		m := k.posted(t)
		ana := k.opened(t, "U0ANA")
		k.store.breakDown(errors.New("connection refused"), nil)
		if got := ana.Type("C0ACCESS", "mine").Text(); got != bot.SaysStore {
			t.Errorf("a command is answered %q", got)
		}
		if ack := submit(t, ana); !strings.Contains(string(ack.Body), bot.SaysStore) {
			t.Errorf("a form is answered %s", ack.Body)
		}
		for _, label := range []string{"Approve", "Deny…", "Details"} {
			before := len(k.fake.Whispers("C0ACCESS"))
			ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, label)))
			k.fake.Await(t, label+": word that it was not done", func() bool { return len(k.fake.Whispers("C0ACCESS")) == before+1 })
			if got := k.fake.Whispers("C0ACCESS")[before].Text; got != bot.SaysStore {
				t.Errorf("%s: told %q", label, got)
			}
		}
		if n := k.countHeard("U0BEN"); n != 0 {
			t.Error("the click was done all the same")
		}
	})
}

func TestStoreThatAnswersTooLateMayHaveTheClick(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k *kit) {
		m := k.posted(t)
		k.store.breakDown(fmt.Errorf("redis: deliver: %w", os.ErrDeadlineExceeded), nil) // of the connection, not of the context
		before := len(k.fake.Whispers("C0ACCESS"))
		ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, "Approve")))
		k.fake.Await(t, "word that it may not be recorded", func() bool { return len(k.fake.Whispers("C0ACCESS")) == before+1 })
		if got := k.fake.Whispers("C0ACCESS")[before].Text; got != saysUnsure {
			t.Errorf("told %q", got)
		}
	})
}

func TestAnswerFindsAWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults []string
		way    string
	}{
		"beside":        {nil, "chat.postEphemeral"},
		"response url":  {[]string{"chat.postEphemeral"}, "hooks"},
		"personally":    {[]string{"chat.postEphemeral", "hooks"}, "chat.postMessage"},
		"nothing works": {[]string{"chat.postEphemeral", "hooks", "conversations.open"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			m := k.posted(t)
			for _, method := range test.faults {
				k.fake.Misbehave(method, slackfake.Fault{Times: -1, Status: 500})
			}
			ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, "Approve")))
			if test.way == "" {
				k.fake.Await(t, "the last way", func() bool { return len(k.fake.Calls("conversations.open")) == 1 })
				k.stop()
				if k.log.count("did not reach the person") != 1 {
					t.Error("nothing is logged")
				}
				return
			}
			k.fake.Await(t, "the answer", func() bool {
				all := k.fake.Calls(test.way)
				return len(all) > 0 && strings.Contains(fmt.Sprint(all[len(all)-1].Args), "You clicked approve")
			})
		})
	}
}

func TestAnswerWhereTheAppIsNot(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.AddChannel(slackfake.Channel{ID: "C0OTHER", Out: true, Private: true})
	k.bot.OnCommand = func(string) bot.Answer { c := bottest.RequestCard("mine"); return bot.Answer{Card: &c} }
	ana := k.fake.As("U0ANA")
	ana.Type("C0OTHER", "mine")
	mine := k.fake.Whispers("C0OTHER")
	if len(mine) != 1 {
		t.Fatal("no private answer")
	}
	ok(t, k.fake.Send("block_actions", ana.Press(mine[0], "Approve")))
	k.fake.Await(t, "the answer", func() bool { return len(k.fake.Whispers("C0OTHER")) == 2 })
	if n := len(k.fake.Calls("chat.postEphemeral")); n != 0 {
		t.Errorf("tried to post where the app is not, %d times", n)
	}
	if got := k.bot.Heard(); !slices.Contains(got, fmt.Sprintf("U0ANA clicked approve %s on ", bottest.Request)) {
		t.Errorf("the bot heard %q; a private answer has no reference", got)
	}
}

// TestAFloodOfOneAccountIsNotTaken: what goes beyond its pace is neither recorded nor done, and told and put on record
// once; others are answered.
func TestAFloodOfOneAccountIsNotTaken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	turned := map[string]int{}
	k := setup(t, func(c *Config) {
		c.Pace = bot.NewPace(5, time.Minute)
		c.TurnedAway = func(_ context.Context, account, code string) {
			mu.Lock()
			defer mu.Unlock()
			turned[account+" "+code]++
		}
	})
	ana, m := k.fake.As("U0ANA"), slackfake.Message{Channel: "C0ACCESS", TS: "1.1", Blocks: list(t, k.slack.render.message(t.Context(), bottest.RequestCard("because")))}
	for range 5 {
		k.fake.Send("block_actions", ana.Press(m, "Approve"))
	}
	for range 50 {
		if ack := k.fake.Send("block_actions", ana.Press(m, "Approve")); ack.Err != nil || ack.Status != http.StatusOK {
			t.Fatalf("answered %d %v", ack.Status, ack.Err)
		}
	}
	for range 5 { // deciding has acts of its own
		if ack := ana.Type("C0ACCESS", "mine"); !strings.Contains(string(ack.Body), "You typed mine") {
			t.Errorf("a command is answered: %s", ack.Body)
		}
	}
	if ack := ana.Type("C0ACCESS", "mine"); !strings.Contains(ack.Text(), "more than 5 things within 1 minute") {
		t.Errorf("one command too many is answered: %s", ack.Body)
	}
	if ack := k.fake.As("U0BEN").Type("C0ACCESS", "mine"); !strings.Contains(string(ack.Body), "You typed mine") {
		t.Errorf("somebody else is answered: %s", ack.Body)
	}
	k.fake.Await(t, "one sentence for fifty clicks, and one for the command", func() bool {
		n := 0
		for _, w := range k.fake.Whispers("C0ACCESS") {
			if strings.Contains(w.Text, "more than 5 things") {
				n++
			}
		}
		return n == 2
	})
	k.stop()
	mu.Lock()
	defer mu.Unlock()
	if len(turned) != 1 || turned["U0ANA too_many_acts"] != 2 {
		t.Errorf("on record: %v", turned)
	}
	if n := strings.Count(strings.Join(k.bot.Heard(), "\n"), "clicked approve"); n != 5 {
		t.Errorf("%d clicks were done", n)
	}
}
