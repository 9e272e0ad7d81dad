package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"

	"elevate/bot"
	"elevate/workflows/access"
)

// maxSummary keeps the text of a message within chat.update's limit of 4,000 characters, also when every one of its
// characters is escaped.
const maxSummary = 750

// Post sends a card and returns its reference, "channel:ts".
func (s *Slack) Post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	ref, err := s.post(ctx, to, c)
	if err != nil {
		return "", sendError("post", err)
	}
	return ref, nil
}

func (s *Slack) post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	channel, options := to.Channel, s.message(ctx, c)
	switch {
	case to.Person != "":
		account, err := s.cfg.Directory.AccountOf(ctx, to.Person, Name)
		if errors.Is(err, access.ErrNotFound) {
			return "", fmt.Errorf("%w: %s", errNoAccount, to.Person)
		}
		if err != nil {
			return "", fmt.Errorf("directory: %w", err)
		}
		if channel, err = s.openDM(ctx, account); err != nil {
			return "", err
		}
	case to.Thread != "":
		in, ts, err := splitRef(to.Thread)
		if err != nil {
			return "", err
		}
		channel, options = in, append(options, slack.MsgOptionTS(ts))
	}
	return s.postMessage(ctx, channel, options...)
}

// postMessage posts and gives the reference of the message.
func (s *Slack) postMessage(ctx context.Context, channel string, options ...slack.MsgOption) (string, error) {
	options = append(options, slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	in, ts, err := s.api.PostMessageContext(ctx, channel, options...)
	if err == nil && (in == "" || ts == "") {
		err = errEmpty
	}
	s.health.called(err)
	if err != nil {
		return "", fmt.Errorf("chat.postMessage: %w", err)
	}
	return in + ":" + ts, nil
}

// Update replaces the card of an earlier message.
func (s *Slack) Update(ctx context.Context, ref string, c bot.Card) error {
	channel, ts, err := splitRef(ref)
	if err != nil {
		return sendError("update", err)
	}
	// Unlike chat.postMessage, chat.update parses names and links in the text unless told not to.
	options := append(s.message(ctx, c), slack.MsgOptionParse(false))
	_, updated, _, err := s.api.UpdateMessageContext(ctx, channel, ts, options...)
	if err == nil && updated == "" {
		err = errEmpty
	}
	s.health.called(err)
	if err != nil {
		return sendError("update", fmt.Errorf("chat.update: %w", err))
	}
	return nil
}

// message is a card as the arguments of a call.
func (s *Slack) message(ctx context.Context, c bot.Card) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(summary(c), false),
		slack.MsgOptionBlocks(s.render.message(ctx, c)...),
	}
}

// summary is the text of a message: what a notification shows, and all that a screen reader reads.
func summary(c bot.Card) string {
	text := c.Summary
	if text == "" {
		text = c.Title
	}
	return slackutilsx.EscapeMessage(bot.Cut(text, maxSummary))
}

// splitRef reads a reference that Post gave.
func splitRef(ref string) (channel, ts string, err error) {
	channel, ts, ok := strings.Cut(ref, ":")
	if !ok || channel == "" || ts == "" {
		return "", "", fmt.Errorf("%w: %q", errReference, ref)
	}
	return channel, ts, nil
}

// dms remembers the personal conversations that were opened; Slack never changes their ids.
type dms struct{ byAccount sync.Map }

func (s *Slack) openDM(ctx context.Context, account string) (string, error) {
	if id, ok := s.dms.byAccount.Load(account); ok {
		return id.(string), nil
	}
	c, _, _, err := s.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{account}})
	if err == nil && (c == nil || c.ID == "") {
		err = errEmpty
	}
	s.health.called(err)
	if err != nil {
		return "", fmt.Errorf("conversations.open: %w", err)
	}
	s.dms.byAccount.Store(account, c.ID)
	return c.ID, nil
}

// accountOf is a person's Slack account, or nothing.
func (s *Slack) accountOf(ctx context.Context, id access.PersonID) string {
	account, err := s.cfg.Directory.AccountOf(ctx, id, Name)
	if err != nil {
		return ""
	}
	return account
}
