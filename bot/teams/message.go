package teams

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"elevate/bot"
)

// maxWords is the longest text that is read of a message, in characters. Teams' messages have about 28 kilobytes.
const maxWords = 8000

// message takes words that somebody typed, or a button of a client that knows no Action.Execute. It is recorded before
// the Bot Framework is answered; what the person is told comes as a message of its own.
func (t *Teams) message(ctx context.Context, in incoming) {
	if in.From.ID == in.Recipient.ID || !in.addressed() {
		return
	}
	a := typed(in)
	if p, ok := readSubmit(in.Value); ok {
		a = pressed(in, p)
	} else if len(in.Value) > 0 && string(in.Value) != "null" && a.Words == "" {
		t.log.Debug("left alone", "what", "the submission of a card of somebody else's")
		return
	}
	if in.account() == "" {
		says := t.nobody(ctx, in)
		t.afterwards(func(ctx context.Context) error { return t.say(ctx, a.Spot.place, says) })
		return
	}
	a.Words = bot.Cut(a.Words, maxWords)
	if says, first := t.paced(ctx, in.account(), false, a.urgent()); says != "" {
		if first { // and not each time: answers are messages, and a flood of them is one too
			t.afterwards(func(ctx context.Context) error { return t.tell(ctx, a.Spot, outcome{Says: says}) })
		}
		return
	}
	t.meet(in)
	says := bot.Within(ctx, t.tasks, a.urgent(), t.cfg.AckWithin, func(ctx context.Context) string {
		_, says := t.record(ctx, a)
		return says
	}, func() string { return bot.SaysBusy }, func() string { return saysUnsure })
	if says != "" {
		t.afterwards(func(ctx context.Context) error { return t.tell(ctx, a.Spot, outcome{Says: says}) })
	}
}

// addressed tells whether somebody speaks to the bot. An app may be allowed to read everything in a channel.
func (in incoming) addressed() bool {
	if in.personal() || in.Recipient.Targeted || len(in.Value) > 0 {
		return true
	}
	return slices.ContainsFunc(in.Entities, func(e entity) bool { return e.Mentioned.ID == in.Recipient.ID })
}

// nobody is the sentence for somebody whom Teams does not name, who is put on record.
func (t *Teams) nobody(ctx context.Context, in incoming) string {
	t.cfg.TurnedAway(ctx, in.From.ID, "no_object_id")
	return saysNobody
}

// moved follows where the app is added and removed. Whoever adds it for themselves is shown their page.
func (t *Teams) moved(in incoming) {
	if in.account() != "" || !in.personal() {
		t.meet(in)
	}
	if in.Type != "installationUpdate" {
		return
	}
	removed := strings.HasPrefix(in.Action, "remove")
	switch {
	case !in.personal():
		t.log.Info("the app was added to or removed from a team or chat", "action", bot.Cut(in.Action, 30), "channel", bot.Cut(in.Data.Channel.ID, 200), "conversation", bot.Cut(in.Conversation.ID, 200))
	case in.account() == "":
	case removed:
		t.afterwards(func(ctx context.Context) error { return t.known.forget(ctx, in.account()) })
	case in.Action == "add": // and not each time that the app is brought up to date
		t.afterwards(func(ctx context.Context) error { return t.tell(ctx, in.spot(), t.homePage(ctx, in.spot())) })
	}
}

// meet remembers where people and channels are found, after the acknowledgement.
func (t *Teams) meet(in incoming) {
	if t.known.met(in) {
		return
	}
	t.afterwards(func(ctx context.Context) error { return t.known.meet(ctx, in) })
}

// afterwards runs what is done after the acknowledgement.
func (t *Teams) afterwards(f func(ctx context.Context) error) {
	started := t.tasks.After(func(ctx context.Context) {
		if err := f(ctx); err != nil {
			t.log.Warn("something was not shown to a person", "err", err)
		}
	})
	if !started {
		t.log.Warn("something was not shown to a person", "err", errors.New("too much is under way, or Elevate is stopping"))
	}
}

// tell gives a person an outcome as a message that nobody else sees: where they acted, if nobody else is there or the
// service has shown that it can hide it, or else in their personal chat.
func (t *Teams) tell(ctx context.Context, s spot, o outcome) error {
	if o.Quiet && s.Message != "" {
		return nil
	}
	out := o.activity()
	switch {
	case s.Personal:
		return t.patiently(ctx, func() error { _, err := t.send(ctx, s.place, out, false); return err })
	case s.Targeted:
		out.Recipient = &party{ID: s.User, Targeted: true}
		err := t.patiently(ctx, func() error { _, err := t.send(ctx, s.place, out, true); return err })
		if err == nil {
			return nil
		}
		t.log.Warn("an answer could not be shown where it was asked for; it goes to the personal chat", "account", s.Account, "err", err)
		out.Recipient = nil
	}
	err := t.patiently(ctx, func() error { return t.sendPersonal(ctx, s.Account, out) })
	if err != nil && errors.Is(err, errNoConversation) {
		return errors.Join(err, t.pointTo(ctx, s))
	}
	return err
}

// activity is an outcome as a message.
func (o outcome) activity() outgoing {
	if o.Card == nil {
		return sentence(o.Says)
	}
	return outgoing{Type: "message", Summary: o.Summary, Attachments: []attachment{{cardType, o.Card}}}
}

// sentence is a message of plain words.
func sentence(says string) outgoing {
	return outgoing{Type: "message", Text: says, TextFormat: "plain", Summary: says}
}

// say posts a sentence that everybody in a conversation sees.
func (t *Teams) say(ctx context.Context, at place, says string) error {
	_, err := t.send(ctx, at, sentence(says), false)
	return err
}

// pointTo tells somebody, where everybody sees it, that there is an answer which could not be given to them alone.
func (t *Teams) pointTo(ctx context.Context, s spot) error {
	return t.say(ctx, s.place, "The answer is for whoever asked alone, and Elevate cannot write to you personally yet: add its app for yourself (Apps, Elevate, Add), and ask again there.")
}

// The waits between tries to tell somebody something. What takes longer is left: the person has gone on.
const (
	tellTries = 3
	tellPause = 500 * time.Millisecond
)

// patiently tries again what a moment may cure.
func (t *Teams) patiently(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		var failed *bot.ChatError
		if err == nil || n == tellTries || !errors.As(sendError("tell", err), &failed) || failed.Final {
			return err
		}
		pause := time.NewTimer(max(failed.RetryAfter, tellPause<<n))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}
