package bot

import (
	"context"
	"encoding/json"
	"fmt"

	"elevate/workflows"
	"elevate/workflows/factor"
)

// TellFactor gives what factor.Config.Tell takes: it queues a note for the chats, in order per person.
func TellFactor(store Enqueuer, chats []string) func(ctx context.Context, n factor.Notice) error {
	return func(ctx context.Context, n factor.Notice) error {
		body, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("write a note about a second factor: %w", err)
		}
		key := fmt.Sprintf("%s/%s/%d", n.Event, n.ID, n.At.UnixMilli())
		_, err = store.Enqueue(ctx, chats, "factor/"+string(n.Person), key, workflows.Note{Kind: workflows.NoteFactor, At: n.At, Actor: n.By, Body: body})
		return err
	}
}

func readNotice(n workflows.Note) (factor.Notice, error) {
	var out factor.Notice
	if err := json.Unmarshal(n.Body, &out); err != nil {
		return out, fmt.Errorf("read a note about a second factor: %w", err)
	}
	return out, nil
}

// notYours is what somebody does whose factor was touched by another.
const notYours = "If that was not you, tell an administrator now."

// ownFactorCard tells somebody what happened to their own factor.
func (b *Bot) ownFactorCard(ctx context.Context, n factor.Notice) (Card, bool) {
	by := Span{Person: n.By.Person, Name: b.name(ctx, n.By.Person)}
	switch n.Event {
	case factor.EventLocked:
		return b.factorCard("Your second factor is locked", "🚨 ", Strong("Several wrong codes"), " were typed for you", via(n.By), ". Your second factor takes none until ",
			When(n.Until, Clock), ". "+notYours), true
	case factor.EventDisabled:
		return b.factorCard("Your second factor is switched off", "🚨 ", Strong("Too many wrong codes in a row"), " were typed for you", via(n.By),
			". It counts no more until two administrators reset it: each types ", Mono("/elevate mfa reset "+string(n.Person)), ". "+notYours), true
	case factor.EventKeyCloned:
		return b.factorCard("Your security key is switched off", "🚨 ", Strong("It counted backwards"), ", as a copy of it would, when it was used for you", via(n.By),
			". Nothing was done by that. Tell an administrator now. Another key of yours can remove it; without one, two administrators reset what you have: each types ", Mono("/elevate mfa reset "+string(n.Person)), "."), true
	case factor.EventNamed:
		if n.Again {
			return b.factorCard("Another second factor waits for you", "🚨 ", Strong("Another second factor"), " was set up for you", via(n.By), ", in the place of one that waited for an administrator already. ",
				"If that was you, they ask you for the word that your page showed. "+notYours), true
		}
		return b.factorCard("A second factor waits for an administrator", "A second factor was set up for you", via(n.By), ". It counts when an administrator has spoken to you. "+notYours), true
	case factor.EventSet:
		if n.Key != "" {
			return b.factorCard("Your security key counts", "A security key was set up for you, and counts from now on. "+notYours), true
		}
		return b.factorCard("Your second factor counts", "A second factor was set up for you, and counts from now on. "+notYours), true
	case factor.EventRemoved:
		if n.Key != "" {
			return b.factorCard("A security key of yours is gone", "Your security key ", Mono(n.Key), " was taken away", via(n.By), ". "+notYours), true
		}
		return b.factorCard("Your second factor is gone", "It was taken away", via(n.By), ". "+notYours), true
	case factor.EventAsked:
		return b.factorCard("Your second factor may be reset", by, " asks for your second factor to be taken away. If you have not lost it, say so now, to them and to another administrator."), true
	case factor.EventDoubted:
		if n.Enrolment {
			return b.factorCard("Somebody changed what you had begun", "🚨 What you were setting up, or confirming with your key, was ", Strong("changed in Elevate's store"),
				", and not by Elevate. It counts for nothing: begin anew. The administrators are told."), true
		}
		if n.Waits {
			return b.factorCard("Your second factor is switched off", "🚨 Somebody other than Elevate has ", Strong("changed it in the store"), ". It counts no more until two administrators reset it: each types ",
				Mono("/elevate mfa reset "+string(n.Person)), "."), true
		}
		return b.factorCard("Somebody changed your second factor", "🚨 It was ", Strong("changed in Elevate's store"), ", and not by Elevate. What was there before counts. The administrators are told."), true
	case factor.EventReset:
		if n.By.Via == factor.CommandLine {
			return b.factorCard("Your second factor was reset", "It was taken away on the command line, where Elevate runs. Set up another with ", Mono("/elevate mfa"), ". ",
				"If you did not ask for that, tell an administrator now."), true
		}
		return b.factorCard("Your second factor was reset", "Two administrators took it away; ", by, " was the second. Set up another with ", Mono("/elevate mfa"), ". "+notYours), true
	}
	return Card{}, false
}

// otherFactorCard tells an administrator what happened to somebody's factor; false for what is the person's own affair.
func (b *Bot) otherFactorCard(ctx context.Context, n factor.Notice) (Card, bool) {
	whose := Span{Person: n.Person, Name: b.name(ctx, n.Person)}
	by := Span{Person: n.By.Person, Name: b.name(ctx, n.By.Person)}
	switch n.Event {
	case factor.EventLocked:
		return b.factorCard("A second factor is locked", "🚨 ", Strong("Several wrong codes"), " were typed for ", whose, via(n.By), ". Please ask them, by another way than their chat account, whether it was they."), true
	case factor.EventDisabled:
		return b.factorCard("A second factor is switched off", "🚨 ", Strong("Too many wrong codes in a row"), " were typed for ", whose, via(n.By),
			". Speak to them; two administrators can reset it with ", Mono("/elevate mfa reset "+string(n.Person)), "."), true
	case factor.EventKeyCloned:
		return b.factorCard("A security key is switched off", "🚨 ", Strong("It counted backwards"), ", as a copy of it would, when it was used for ", whose, via(n.By),
			". Nothing was done by that. Speak to them: somebody may have a copy of their key."), true
	case factor.EventNamed:
		if n.Again {
			return b.factorCard("Another second factor waits for you", "🚨 ", whose, " has set up ", Strong("another second factor"), ", in the place of the one that you were told of. Somebody in their chat account could have done that. ",
				"Speak to them again, face to face or on a call, and ask for the word that their page showed; then type ", Mono("/elevate mfa confirm "+string(n.Person)+" WORD"), "."), true
		}
		return b.factorCard("A second factor waits for you", whose, " has set up a second factor. Speak to them, face to face or on a call; then type ",
			Mono("/elevate mfa confirm "+string(n.Person)), ". It counts when one administrator has done so."), true
	case factor.EventAsked:
		return b.factorCard("A second factor is to be reset", by, " asks to take away the second factor of ", whose, ", who is said to have lost it. Speak to them; then type ",
			Mono("/elevate mfa reset "+string(n.Person)), " within an hour, as the second of two."), true
	case factor.EventDoubted:
		what := "the second factor of "
		if n.Enrolment {
			what = "the making of a second factor, or what waits for a key, of "
		}
		spans := []any{"🚨 Somebody other than Elevate has changed " + what, whose, " in the store. ", Strong("Find out who can write to Redis."), " "}
		if n.Waits {
			spans = append(spans, "It is switched off. When that is found out, two administrators reset it with ", Mono("/elevate mfa reset "+string(n.Person)), ".")
		} else {
			spans = append(spans, "What was changed does not count.")
		}
		return b.factorCard("A second factor was changed", spans...), true
	case factor.EventLost:
		return b.factorCard("Second factors are gone", "🚨 The store has ", Strong("lost second factors"), " that nobody took away. Find out what became of Redis. Whoever had one is told when they need it, and sets up another with ",
			Mono("/elevate mfa"), "; speak to them, and confirm it."), true
	case factor.EventReset:
		if n.By.Via == factor.CommandLine {
			return b.factorCard("A second factor was reset", "That of ", whose, " is gone: it was taken away on the command line, where Elevate runs. ", Strong("Does none of you know of it?"),
				" Then find out who can get at the machine and Elevate's keys."), true
		}
		return b.factorCard("A second factor was reset", "That of ", whose, " is gone; ", by, " asked as the second administrator."), true
	}
	return Card{}, false
}

func (b *Bot) factorCard(title string, spans ...any) Card {
	line := say(spans...)
	return fit(Card{Name: "told-factor", Title: title, Summary: plainly(line, b.cfg.Location), Parts: []Part{Text{Spans: line}}})
}
