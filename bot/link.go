package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Linking lets people show whose chat account is whose. Its errors are refusals where something can be done about them.
type Linking interface {
	// Invites tells whether people can link accounts themselves: there is somewhere to sign in.
	Invites() bool
	// Invite gives the address of a page for one account alone, and for how long it is good.
	Invite(ctx context.Context, who Who) (url string, lasts time.Duration, err error)
	// Finish links an account to whoever was shown the word that is typed there.
	Finish(ctx context.Context, who Who, word string) (access.Person, error)
	// Confirm vouches for the suspended link of somebody, for administrators.
	Confirm(ctx context.Context, by access.Actor, person access.PersonID) (access.Link, error)
	// Remove takes the links of somebody away: one's own, or for administrators anyone's.
	Remove(ctx context.Context, by access.Actor, person access.PersonID) ([]access.Link, error)
}

// linking tells whether people can link their accounts themselves.
func (b *Bot) linking() bool { return b.cfg.Linking != nil && b.cfg.Linking.Invites() }

// ChatName is what people call a chat.
func ChatName(chat string) string {
	if name := places[chat]; name != "" {
		return name
	}
	return chat
}

// link answers /elevate link, which people type whom the directory does not know yet.
func (b *Bot) link(ctx context.Context, who Who, text string) Answer {
	if b.cfg.Linking == nil {
		return b.private("missing", "Linking accounts is not set up in this Elevate. ", Mono(calling(who.Chat)+" help"), " lists what is.")
	}
	first, rest := word(text)
	switch simple(first) {
	case "":
		return b.invite(ctx, who)
	case "confirm", "remove":
		p, sorry := b.person(ctx, who)
		if sorry != nil {
			return Answer{Card: sorry}
		}
		return b.changeLink(ctx, who, p, simple(first), simple(rest))
	}
	p, err := b.cfg.Linking.Finish(ctx, who, text)
	switch {
	case errors.Is(err, access.ErrNotFound):
		b.cfg.TurnedAway(ctx, access.Actor{Via: who.Chat, Account: who.Account, Address: who.Address}, "unknown_identity")
		return b.private("refused", "You signed in, but the directory does not say any more who you are. Ask whoever looks after Elevate here.")
	case err != nil:
		var refused *access.Refusal
		if errors.As(err, &refused) {
			b.cfg.TurnedAway(ctx, access.Actor{Via: who.Chat, Account: who.Account, Address: who.Address}, refused.Code)
		}
		return b.sorry(err, who, "link")
	}
	return b.private("done", "This account is ", Strong(clip(oneLine(p.DisplayName()), maxName)), "'s now: what is asked for and approved here counts as theirs. ", Mono(calling(who.Chat)), " opens the form.")
}

// invite shows somebody the way to the page that is theirs alone.
func (b *Bot) invite(ctx context.Context, who Who) Answer {
	url, lasts, err := b.cfg.Linking.Invite(ctx, who)
	if err != nil {
		return b.sorry(err, who, "link")
	}
	return Answer{Card: ptr(fit(Card{
		Name: "link", Once: true, Title: "Link this account to you", Summary: "Sign in to show whose account this is.",
		Parts: []Part{
			Text{Spans: say("Open ", Link("the page for your "+ChatName(who.Chat)+" account", url), " and sign in. It then shows a word, to type here.")},
			Text{Small: true, Spans: say("The link is for you alone. It lasts ", howLong(lasts), " and works once.")},
		},
	}))}
}

// changeLink is what administrators do with the links of others, and people with their own.
func (b *Bot) changeLink(ctx context.Context, who Who, p access.Person, verb, person string) Answer {
	of := access.PersonID(person)
	if verb == "confirm" {
		if of == "" {
			return b.private("refused", "Whose? Write ", Mono(calling(who.Chat)+" link confirm PERSON"), ", with the id that Elevate told you.")
		}
		l, err := b.cfg.Linking.Confirm(ctx, who.actor(p), of)
		if err != nil {
			return b.sorry(err, who, "link confirm")
		}
		return b.private("done", "The ", ChatName(l.Chat), " account ", Mono(l.Account), " counts as ", Strong(string(l.Person)), "'s again. They are told.")
	}
	if of == "" {
		of = p.ID
	}
	removed, err := b.cfg.Linking.Remove(ctx, who.actor(p), of)
	if err != nil {
		return b.sorry(err, who, "link remove")
	}
	var gone []string
	for _, l := range removed {
		gone = append(gone, ChatName(l.Chat)+" account "+l.Account)
	}
	return b.private("done", "Removed: ", strings.Join(gone, ", "), ". Nothing that is done there counts as ", Strong(string(of)), "'s any more.")
}

// planLink lists the messages about what became of a link: to the person, wherever else they can be reached, and to the
// administrators where somebody must look.
func (b *Bot) planLink(ctx context.Context, chat string, n workflows.Note) ([]Message, error) {
	var body workflows.LinkChange
	if err := json.Unmarshal(n.Body, &body); err != nil {
		return nil, fmt.Errorf("read the note about a link: %w", err)
	}
	// The topic of an alarm is the same each time that it is raised: each of its notes has messages of its own.
	name := fmt.Sprintf("link/%s/%d/", body.Kind, n.At.UnixMilli())
	var messages []Message
	if c, ok := b.linkCard(ctx, n, body); ok {
		messages = append(messages, Message{Name: name + string(body.Link.Person), To: Address{Person: body.Link.Person}, Card: c})
	}
	c, ok := b.linkCardOfOthers(ctx, body)
	if !ok {
		return messages, nil
	}
	administrators, err := b.administrators(ctx, chat)
	if err != nil {
		return nil, err
	}
	for _, p := range administrators {
		if p.ID != body.Link.Person {
			messages = append(messages, Message{Name: name + string(p.ID), To: Address{Person: p.ID}, Card: c})
		}
	}
	return messages, nil
}

// linkCard tells a person what became of a link of theirs; false for what is no news.
func (b *Bot) linkCard(ctx context.Context, n workflows.Note, body workflows.LinkChange) (Card, bool) {
	l := body.Link
	account := say("The ", ChatName(l.Chat), " account ", Mono(clip(oneLine(l.Account), maxName)))
	tell := func(title string, spans ...any) (Card, bool) {
		line := say(spans...)
		return fit(Card{Name: "told-" + body.Kind, Title: title, Summary: plainly(line, b.cfg.Location), Parts: []Part{
			Text{Spans: line}, Text{Small: true, Spans: say("If this was not you, tell an administrator at once.")},
		}}), true
	}
	switch body.Kind {
	case audit.Linked:
		if l.Kind == access.LinkEmail {
			return tell("An account counts as yours", account, " counts as yours now, because ", ChatName(l.Chat), " confirmed your e-mail address for it.")
		}
		return tell("An account is linked to you", account, " is linked to you now: you signed in, and typed the word there.")
	case audit.LinkSuspended:
		return tell("An account counts as yours no more", account, " counts as yours no more, because ", l.Why, ". Type ", Mono("/elevate link"), " there, or ask an administrator.")
	case workflows.LinkDoubted:
		if l.Person == "" {
			return Card{}, false
		}
		return tell("Somebody changed a link of yours", "🚨 ", Strong("Not Elevate"), " changed in its store what says that the ", ChatName(l.Chat), " account ", Mono(clip(oneLine(l.Account), maxName)),
			" is yours. That does not count. The administrators are told.")
	case audit.LinkConfirmed:
		return tell("An account counts as yours again", account, " counts as yours again: ", Span{Person: l.Confirmed, Name: b.name(ctx, l.Confirmed)}, " confirmed it.")
	case audit.Unlinked:
		return tell("An account was unlinked", account, " is linked to you no more: ", Span{Person: n.Actor.Person, Name: b.name(ctx, n.Actor.Person)}, " removed that.")
	}
	return Card{}, false
}

// linkCardOfOthers tells an administrator what became of somebody's link; false for what is the person's own affair.
func (b *Bot) linkCardOfOthers(ctx context.Context, body workflows.LinkChange) (Card, bool) {
	l := body.Link
	alarm := func(title string, spans ...any) (Card, bool) {
		line := say(spans...)
		return fit(Card{Name: "told-" + body.Kind, Title: title, Summary: plainly(line, b.cfg.Location), Parts: []Part{Text{Spans: line}}}), true
	}
	switch {
	case body.Kind == audit.LinkSuspended && l.Kind == access.LinkEmail:
		return b.suspendedCard(ctx, body), true
	case body.Kind == workflows.LinkDoubted:
		return alarm("A link was changed in the store", "🚨 ", Strong("Not Elevate"), " changed in its store whose the ", ChatName(l.Chat), " account ", Mono(clip(oneLine(l.Account), maxName)),
			" is. That does not count. ", Strong("Find out who can write to Redis."))
	case body.Kind == workflows.LinksLost:
		return alarm("Links are gone", "🚨 The store has ", Strong("lost links"), " of chat accounts that nobody took away. Find out what became of Redis. What is known in full is put back; others count again when their people sign in with ",
			Mono("/elevate link"), ".")
	}
	return Card{}, false
}

// suspendedCard asks an administrator to look at a link.
func (b *Bot) suspendedCard(ctx context.Context, body workflows.LinkChange) Card {
	l := body.Link
	who := Span{Person: l.Person, Name: b.name(ctx, l.Person)}
	return fit(Card{
		Name: "link-suspended", Title: "A link of " + b.name(ctx, l.Person) + " is suspended",
		Summary: "The " + ChatName(l.Chat) + " account of " + b.name(ctx, l.Person) + " counts for nothing until somebody looks.",
		Parts: []Part{
			Text{Spans: say("The ", ChatName(l.Chat), " account ", Mono(clip(oneLine(l.Account), maxName)), " counted as ", who, "'s because of its e-mail address. It counts for nothing now, because ", l.Why, ".")},
			Text{Spans: say("Ask ", who, " in person, not in that account. If it is theirs, type ", Mono("/elevate link confirm "+string(l.Person)),
				"; if not, ", Mono("/elevate link remove "+string(l.Person)), ".")},
		},
	})
}
