package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// All links lie on one shard: a person and an account are compared in one script.
func (s *Store) linksKey() string    { return s.keys.of("links") + "links" }
func (s *Store) tokensKey() string   { return s.keys.of("links") + "tokens" }
func (s *Store) accountsKey() string { return s.keys.of("links") + "accounts" }

// keepToken leaves the token of a link as it is.
const keepToken = "="

func linkField(chat, account string) string { return chat + " " + account }

func personField(l *access.Link) string {
	if l == nil || l.Person == "" {
		return ""
	}
	return string(l.Person) + " " + l.Chat
}

// Link gives the link of a chat account; nil where there is none, or where it was taken away.
func (s *Store) Link(ctx context.Context, chat, account string) (*access.Link, error) {
	l, err := s.KeptLink(ctx, chat, account)
	if l != nil && l.Person == "" {
		return nil, err
	}
	return l, err
}

// KeptLink gives what is kept of a chat account: its link, or the version at which that was taken away.
func (s *Store) KeptLink(ctx context.Context, chat, account string) (*access.Link, error) {
	doc, err := s.client.HGet(ctx, s.linksKey(), linkField(chat, account)).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redis: link: %w", err)
	}
	return s.readLink(chat, account, doc)
}

// LinkOf gives the link of a person in a chat; nil where there is none.
func (s *Store) LinkOf(ctx context.Context, person access.PersonID, chat string) (*access.Link, error) {
	account, err := s.client.HGet(ctx, s.accountsKey(), personField(&access.Link{Person: person, Chat: chat})).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redis: account of a person: %w", err)
	}
	l, err := s.Link(ctx, chat, account)
	if l != nil && l.Person != person { // it was changed between the two questions
		return nil, err
	}
	return l, err
}

// Links gives every link that is ours. What cannot be read is an error: it might be a link that was suspended.
func (s *Store) Links(ctx context.Context) ([]access.Link, error) {
	kept, err := s.keptLinks(ctx)
	return slices.DeleteFunc(kept, func(l access.Link) bool { return l.Person == "" }), err
}

// keptLinks gives the links, and what is kept of those that were taken away.
func (s *Store) keptLinks(ctx context.Context) ([]access.Link, error) {
	all, err := s.client.HGetAll(ctx, s.linksKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: links: %w", err)
	}
	links := make([]access.Link, 0, len(all))
	for field, doc := range all {
		chat, account, _ := strings.Cut(field, " ")
		l, err := s.readLink(chat, account, doc)
		if errors.Is(err, workflows.ErrForged) { // counts for nothing, and for nobody else
			s.cfg.Log.ErrorContext(ctx, "a link of a chat account is not what Elevate wrote; it is left out. Find out who can write to Redis", "chat", chat, "account", account)
			continue
		}
		if err != nil {
			return nil, err
		}
		links = append(links, *l)
	}
	return links, nil
}

// readLink reads a link, and refuses one that speaks of another account than it is kept under.
func (s *Store) readLink(chat, account, stored string) (*access.Link, error) {
	var l access.Link
	doc, err := s.readDoc(markLink, stored)
	if err == nil {
		err = json.Unmarshal(doc, &l)
	}
	if err == nil && (l.Chat != chat || l.Account != account) {
		err = errors.New("it is another account's")
	}
	if err != nil {
		return nil, fmt.Errorf("redis: link of %s account %q: %w", chat, account, err)
	}
	return &l, nil
}

// Remark marks anew, with the key that marks now, the links that older keys have marked.
func (s *Store) Remark(ctx context.Context) error {
	links, err := s.keptLinks(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		stored, err := s.storedLink(ctx, l.Chat, l.Account, &l)
		if err != nil && !errors.Is(err, workflows.ErrStale) {
			return err
		}
		doc, err := json.Marshal(&l)
		if err != nil {
			return fmt.Errorf("redis: encode the link of %s: %w", l.Person, err)
		}
		if stored == "" || stored == string(s.markDoc(markLink, doc)) {
			continue
		}
		ask := call{script: "remark", keys: []string{s.linksKey()}, args: []any{linkField(l.Chat, l.Account), stored, s.markDoc(markLink, doc)}}
		if _, err := s.either(ctx, ask, "moved"); err != nil {
			return err
		}
	}
	return nil
}

// storedLink gives a link as it is stored, for it to be replaced; "" for none. ErrStale where it is another by now. Where
// there is to be none, one that was taken away is.
func (s *Store) storedLink(ctx context.Context, chat, account string, l *access.Link) (string, error) {
	stored, err := s.client.HGet(ctx, s.linksKey(), linkField(chat, account)).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("redis: link: %w", err)
	}
	have, _ := s.readLink(chat, account, stored) // nil where it is gone or is none of ours
	if l == nil {
		if have != nil && have.Person == "" {
			return stored, nil
		}
		return "", nil
	}
	same, _ := json.Marshal(have) // of what was read from JSON
	want, err := json.Marshal(l)
	if err != nil || !bytes.Equal(same, want) {
		return "", errors.Join(err, fmt.Errorf("redis: link of %s account %q: %w", chat, account, workflows.ErrStale))
	}
	return stored, nil
}

// Relink replaces the link of an account and puts the event on record with it; before and after are nil for none, and after
// without a person keeps the version at which a link was taken away. ErrStale where it is not as before any more, ErrTaken
// where the person has another account in the chat.
func (s *Store) Relink(ctx context.Context, before, after *access.Link, e audit.Event) error {
	at := after
	if at == nil {
		at = before
	}
	was, err := s.storedLink(ctx, at.Chat, at.Account, before)
	if err != nil {
		return err
	}
	return s.relink(ctx, at, was, before, after, e)
}

// ReplaceLink puts a link in the place of whatever lies there for an account, with its event. What the provider is asked by
// stays as it lies where the link needs one and brings none: whoever puts it back cannot know the one that was given last.
func (s *Store) ReplaceLink(ctx context.Context, after *access.Link, e audit.Event) error {
	was, err := s.client.HGet(ctx, s.linksKey(), linkField(after.Chat, after.Account)).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return fmt.Errorf("redis: link: %w", err)
	}
	return s.relink(ctx, after, was, nil, after, e)
}

// relink replaces what is stored for an account.
func (s *Store) relink(ctx context.Context, at *access.Link, was string, before, after *access.Link, e audit.Event) error {
	event, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("redis: encode an event: %w", err)
	}
	is := []byte(nil)
	if after != nil {
		doc, err := json.Marshal(after)
		if err != nil {
			return fmt.Errorf("redis: encode the link of %s: %w", after.Person, err)
		}
		is = s.markDoc(markLink, doc)
	}
	token := []byte(nil)
	if before == nil && after != nil && after.Identity != nil && after.Identity.Offline && after.Suspended.IsZero() {
		token = []byte(keepToken)
	}
	if after != nil && after.Token != nil {
		if token, err = s.markToken(after.Token); err != nil {
			return err
		}
	}
	base := s.keys.of("links")
	ask := call{script: "relink", keys: []string{s.linksKey(), s.accountsKey(), base + "events", base + "try:" + rand.Text(), s.tokensKey()}, args: []any{
		linkField(at.Chat, at.Account), was, is, at.Account, personField(before), personField(after), s.markDoc(markEvent, event), millis(keptAttempts), token,
	}}
	word, err := s.word(ctx, ask)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	switch word {
	case "ok":
		return nil
	case "moved":
		return fmt.Errorf("redis: link of %s account %q: %w", at.Chat, at.Account, workflows.ErrStale)
	case "taken":
		return fmt.Errorf("redis: link of %s in %s: %w", at.Person, at.Chat, workflows.ErrTaken)
	}
	return fmt.Errorf("redis: %w", unknown(ask, word))
}
