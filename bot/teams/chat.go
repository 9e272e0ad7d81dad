package teams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"elevate/bot"
	"elevate/workflows/access"
)

// Post sends a card and returns its reference: service, conversation and activity.
func (t *Teams) Post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	ref, err := t.post(ctx, to, c)
	if err != nil {
		return "", sendError("post", err)
	}
	return ref, nil
}

func (t *Teams) post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	out := t.activity(ctx, c)
	switch {
	case to.Person != "":
		account, err := t.cfg.Directory.AccountOf(ctx, to.Person, Name)
		if errors.Is(err, access.ErrNotFound) {
			return "", fmt.Errorf("%w: %s", errNoAccount, to.Person)
		}
		if err != nil {
			return "", fmt.Errorf("directory: %w", err)
		}
		return t.postPersonal(ctx, strings.ToLower(account), out)
	case to.Thread != "":
		at, root, err := readReference(to.Thread)
		if err != nil {
			return "", err
		}
		id, err := t.connector.reply(ctx, at, root, out)
		t.health.called(err)
		if err != nil {
			return "", err
		}
		return reference(at, id), nil
	}
	return t.postChannel(ctx, to.Channel, out)
}

// postChannel begins a conversation in a channel of a team, or speaks in a group chat, which is one conversation.
func (t *Teams) postChannel(ctx context.Context, channel string, out outgoing) (string, error) {
	service, err := t.service(ctx, channel)
	if err != nil {
		return "", err
	}
	if !strings.Contains(channel, "@thread.tacv2") && !strings.Contains(channel, "@thread.skype") {
		at := place{Service: service, Conversation: channel}
		id, err := t.send(ctx, at, out, false)
		if err != nil {
			return "", err
		}
		return reference(at, id), nil
	}
	conversation, id, err := t.connector.create(ctx, service, newConversation{
		Group: true, Bot: t.self(), Tenant: t.cfg.TenantID, Activity: &out,
		ChannelData: object{"channel": object{"id": channel}, "tenant": object{"id": t.cfg.TenantID}},
	})
	t.health.called(err)
	if err != nil {
		return "", err
	}
	return reference(place{Service: service, Conversation: conversation}, id), nil
}

// service is where the conversations of a channel are, or of anybody where the channel is not known.
func (t *Teams) service(ctx context.Context, channel string) (string, error) {
	known, err := t.known.service(ctx, channel)
	if err != nil {
		return "", err
	}
	if known == "" && len(t.cfg.ServiceURLs) > 0 {
		known = t.cfg.ServiceURLs[0]
	}
	return cmp.Or(known, t.cloud.ServiceURL), nil
}

func (t *Teams) postPersonal(ctx context.Context, account string, out outgoing) (string, error) {
	at, err := t.personal(ctx, account)
	if err != nil {
		return "", err
	}
	id, err := t.send(ctx, at, out, false)
	if gone(err) { // the person removed the app, and we did not hear of it
		return "", errors.Join(fmt.Errorf("%w: %w", errNoConversation, err), t.known.forget(ctx, account))
	}
	if err != nil {
		return "", err
	}
	return reference(at, id), nil
}

func (t *Teams) sendPersonal(ctx context.Context, account string, out outgoing) error {
	_, err := t.postPersonal(ctx, account, out)
	return err
}

// personal is somebody's personal chat with the bot. Where none is known one is begun, which Teams allows where the
// person has the app, or is in a team that has it.
func (t *Teams) personal(ctx context.Context, account string) (place, error) {
	a, err := t.known.person(ctx, account)
	if err != nil || a.Conversation != "" {
		return place{Service: a.Service, Conversation: a.Conversation}, err
	}
	if a.Service == "" {
		if a.Service, err = t.service(ctx, ""); err != nil {
			return place{}, err
		}
	}
	a.Conversation, _, err = t.connector.create(ctx, a.Service, newConversation{
		Bot: t.self(), Members: []party{{ID: cmp.Or(a.User, account)}}, Tenant: t.cfg.TenantID,
		ChannelData: object{"tenant": object{"id": t.cfg.TenantID}},
	})
	t.health.called(err)
	if gone(err) {
		return place{}, fmt.Errorf("%w: %w", errNoConversation, err)
	}
	if err != nil {
		return place{}, err
	}
	if err := t.known.at(ctx, account, a); err != nil {
		t.log.Warn("a personal chat is begun again the next time", "account", account, "err", err)
	}
	return place{Service: a.Service, Conversation: a.Conversation}, nil
}

// send posts to a conversation, and notes how the service is.
func (t *Teams) send(ctx context.Context, at place, out outgoing, targeted bool) (string, error) {
	id, err := t.connector.send(ctx, at, out, targeted)
	t.health.called(err)
	return id, err
}

// Update replaces the card of an earlier message.
func (t *Teams) Update(ctx context.Context, ref string, c bot.Card) error {
	at, id, err := readReference(ref)
	if err == nil {
		err = t.connector.update(ctx, at, id, t.activity(ctx, c))
		t.health.called(err)
	}
	if err != nil {
		return sendError("update", err)
	}
	return nil
}

// activity is a card as a message. A request's message asks Teams to show some people their own version of it.
func (t *Teams) activity(ctx context.Context, c bot.Card) outgoing {
	card := t.render.card(ctx, c)
	if users := t.users(ctx, c.Viewers); c.Request != "" && len(users) > 0 {
		card = refreshing(card, press{Kind: pressView, Request: c.Request, On: c.Name}, users)
	}
	return outgoing{Type: "message", Summary: summary(c), Attachments: []attachment{{cardType, card}}}
}

// users are the ids by which Teams knows people to the bot, of those whom it has met.
func (t *Teams) users(ctx context.Context, people []access.PersonID) []string {
	var out []string
	for _, p := range people {
		account := t.accountOf(ctx, p)
		if account == "" {
			continue
		}
		a, err := t.known.person(ctx, account)
		if err != nil {
			t.log.Warn("a message is shown alike to everybody", "err", err)
			return nil
		}
		if a.User != "" {
			out = append(out, a.User)
		}
	}
	return out
}

// reference is what Post gives of a message; readReference reads it. None of the three has a space in it.
func reference(at place, id string) string {
	return at.Service + " " + at.Conversation + " " + id
}

func readReference(ref string) (at place, id string, err error) {
	parts := strings.Split(ref, " ")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return place{}, "", fmt.Errorf("%w: %q", errReference, ref)
	}
	return place{Service: parts[0], Conversation: parts[1]}, parts[2], nil
}
