package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
)

// TestTheSameInvokeFourTimesHasOneEffect: clients send again what they think was lost.
func TestTheSameInvokeFourTimesHasOneEffect(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	ben := k.person(bottest.Ben)
	first := ben.Press(m, "Approve")
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	for range 3 {
		if again := k.fake.Redeliver(); again.Err != nil || string(again.Body) != string(first.Body) {
			t.Errorf("answered %s %v, want the first answer again", again.Body, again.Err)
		}
	}
	if heard := k.bot.Heard(); strings.Count(strings.Join(heard, "\n"), "clicked approve") != 1 {
		t.Errorf("the bot heard %q", heard)
	}
}

// TestACrashDoesNothingTwiceThatAddsUp: another process finds what was begun by one that is gone.
func TestACrashDoesNothingTwiceThatAddsUp(t *testing.T) {
	t.Parallel()
	k := setup(t)
	again := func(a act) {
		t.Helper()
		payload, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.teams.handle(t.Context(), payload); err != nil {
			t.Error(err)
		}
	}
	at := spot{place: place{Service: k.fake.URL, Conversation: k.fake.Chat(account(bottest.Ana))}, Account: account(bottest.Ana), User: teamsfake.MRI(account(bottest.Ana)), Personal: true}
	k.person(bottest.Ana).Say("help")
	k.told(t, bottest.Ana, "You typed help")
	cut := act{Key: "teams:act:cut", Words: "extend 07kq4-m2xp9 1h", Spot: at}
	if k.teams.begun(t.Context(), cut.Key) {
		t.Fatal("begun before it began")
	}
	again(cut)
	k.told(t, bottest.Ana, "was interrupted at this")
	whole := act{Key: "teams:act:whole", Words: "extend 07kq4-m2xp9 2h", Spot: at}
	again(whole)
	again(whole) // the inbox did not hear that it was done
	approve := act{Key: "teams:act:click", Press: &press{Kind: pressClick, Action: bot.ActApprove, Request: bottest.Request}, Spot: at}
	again(approve)
	k.told(t, bottest.Ana, "You typed extend 07kq4-m2xp9 2h")
	heard := strings.Join(k.bot.Heard(), "\n")
	for what, want := range map[string]int{"extend 07kq4-m2xp9 1h": 0, "extend 07kq4-m2xp9 2h": 1, "clicked approve": 1} {
		if n := strings.Count(heard, what); n != want {
			t.Errorf("%s was done %d times, want %d", what, n, want)
		}
	}
}

// TestAMessageThatCannotBeReadIsNotDeniedToBe: what the person may not see, and what nobody can see now, are told apart.
func TestAMessageThatCannotBeReadIsNotDeniedToBe(t *testing.T) {
	t.Parallel()
	k := setup(t)
	at := spot{Account: account(bottest.Ana)}
	view := act{Press: &press{Kind: pressView, Request: bottest.Request, On: "request"}, Spot: at}
	done := act{Press: &press{Kind: pressClick, Action: bot.ActApprove, Request: bottest.Request, On: "request"}, Spot: at}
	k.bot.OnClick = func(bot.Click) bot.Answer { return bot.Answer{} }
	for excuse, want := range map[string]string{"": saysGone, bot.SaysStore: bot.SaysStore} {
		k.bot.OnView = func() (*bot.Card, string) { return nil, excuse }
		if o := k.teams.perform(t.Context(), view); o.Card != nil || o.Says != want {
			t.Errorf("with the excuse %q the answer is %+v, want %q", excuse, o, want)
		}
		if o := k.teams.perform(t.Context(), done); o.Says != "Done." {
			t.Errorf("what was done is answered %+v", o)
		}
	}
}

// TestAFormIsSpentOnceItIsAccepted: whatever comes of the same form later, gets the answer that it got.
func TestAFormIsSpentOnceItIsAccepted(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Form: bottest.DenyForm()} }
	ana := k.person(bottest.Ana)
	ana.Say("")
	k.fake.Await(t, "the form", func() bool { return ana.Form() != nil })
	form := ana.Form()
	send := func(reason string) {
		t.Helper()
		for i := range form.Inputs {
			form.Values[form.Inputs[i].ID] = reason
		}
		if ack := ana.Submit(form, verbPrefix+string(pressSend)); ack.Err != nil || !strings.Contains(string(ack.Body), "You sent deny") {
			t.Errorf("%s: answered %s %v", reason, ack.Body, ack.Err)
		}
	}
	send("not now")
	send("not now")
	send("for another reason")
	if n := strings.Count(strings.Join(k.bot.Heard(), "\n"), "submitted deny"); n != 1 {
		t.Errorf("%d forms were accepted", n)
	}
}

// TestAnOldClientsButtonIsDoneToo: it knows no Action.Execute, and sends a message.
func TestAnOldClientsButtonIsDoneToo(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	for _, label := range []string{"Approve", "Details"} {
		if ack := k.person(bottest.Ben).PressOld(m, label); ack.Err != nil {
			t.Fatal(ack.Err)
		}
		k.told(t, bottest.Ben, "You clicked "+strings.ToLower(label))
	}
	if heard := strings.Join(k.bot.Heard(), "\n"); strings.Count(heard, "clicked approve "+string(bottest.Request)) != 1 {
		t.Errorf("the bot heard %s", heard)
	}
}

// TestAnAnswerThatComesTooLateIsToldAfterwards: the click counts, and the person hears of it.
func TestAnAnswerThatComesTooLateIsToldAfterwards(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) { cfg.AckWithin = 100 * time.Millisecond })
	m := k.posted(t)
	k.bot.Hang = make(chan struct{})
	ben := k.person(bottest.Ben)
	if ack := ben.Press(m, "Approve"); ack.Err != nil || !strings.Contains(string(ack.Body), "still at it") && !strings.Contains(string(ack.Body), "in time") {
		t.Errorf("answered %s %v", ack.Body, ack.Err)
	}
	close(k.bot.Hang)
	k.told(t, bottest.Ben, "You clicked approve")
	if k.says(teamsfake.Access, "You clicked approve") {
		t.Error("everybody is told")
	}
}

// TestGoingBackShowsTheMessage that something was put in the place of.
func TestGoingBackShowsTheMessage(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	ben := k.person(bottest.Ben)
	k.bot.OnClick = func(c bot.Click) bot.Answer {
		if c.Action == bot.ActDetails {
			return bot.Answer{Card: &bot.Card{Name: "details", Title: "All of it", Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say("Everything.")}}}}}
		}
		return bot.Answer{Form: bottest.DenyForm()}
	}
	for _, label := range []string{"Details", "Deny…"} {
		if ack := ben.Press(m, label); ack.Err != nil {
			t.Fatal(ack.Err)
		}
		in := ben.Sees(teamsfake.Access)[0]
		if ack := ben.Press(in, "Go back"); ack.Err != nil {
			t.Fatalf("%s: %v", label, ack.Err)
		}
		if text := teamsfake.Text(ben.Sees(teamsfake.Access)[0].Card); !strings.Contains(text, "Shown to ") {
			t.Errorf("after %s Ben sees %s", label, text)
		}
	}
	if text := teamsfake.Text(k.fake.Messages(teamsfake.Access)[0].Card); !strings.Contains(text, "because") {
		t.Errorf("everybody sees %s", text)
	}
}

// TestAFloodOfOneAccountIsNotTaken: what goes beyond its pace is neither recorded nor done; others are answered.
func TestAFloodOfOneAccountIsNotTaken(t *testing.T) {
	t.Parallel()
	var turned atomic.Int64
	k := setup(t, func(cfg *Config) {
		cfg.Pace = bot.NewPace(5, time.Minute)
		cfg.TurnedAway = func(context.Context, string, string) { turned.Add(1) }
	})
	m := k.posted(t)
	ana, ben := k.person(bottest.Ana), k.person(bottest.Ben)
	for i := range 50 {
		ack := ana.Press(m, "Approve")
		if tooMany := strings.Contains(string(ack.Body), "more than 5 things within 1 minute"); ack.Err != nil || tooMany != (i >= 5) {
			t.Fatalf("press %d is answered %s, %v", i+1, ack.Body, ack.Err)
		}
	}
	for range 5 { // deciding has acts of its own
		ana.Say("mine")
	}
	ana.Say("prod-db-admin 1h more of it")
	if ack := ben.Press(m, "Approve"); ack.Err != nil || strings.Contains(string(ack.Body), "more than") {
		t.Errorf("somebody else is answered %s, %v", ack.Body, ack.Err)
	}
	k.stop()
	heard := strings.Join(k.bot.Heard(), "\n")
	if turned.Load() != 2 || strings.Count(heard, "clicked approve") != 6 || strings.Contains(heard, "more of it") {
		t.Errorf("%d on record; the bot heard %s", turned.Load(), heard)
	}
}

// TestRequestsDoNotKeepEndingsWaiting: every worker of requests hangs, and an ending is done.
func TestRequestsDoNotKeepEndingsWaiting(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) { cfg.AckWithin = 200 * time.Millisecond })
	never := make(chan struct{})
	var hanging atomic.Int64
	k.bot.OnCommand = func(words string) bot.Answer {
		if strings.HasPrefix(words, "prod-db-admin") {
			hanging.Add(1)
			<-never
		}
		return bot.Answer{Card: &bot.Card{Name: "done", Summary: "Done: " + words, Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say("Done: " + words)}}}}}
	}
	defer close(never)
	ana := k.person(bottest.Ana)
	for i := range 30 {
		ana.Say(fmt.Sprintf("prod-db-admin 1h flood %d", i))
	}
	k.fake.Await(t, "all workers of requests hang", func() bool { return hanging.Load() >= 8 })
	k.person(bottest.Ben).Say("end 07kq4-m2xp9")
	k.told(t, bottest.Ben, "Done: end 07kq4-m2xp9")
}
