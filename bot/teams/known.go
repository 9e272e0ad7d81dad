package teams

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"elevate/workflows"
)

// knownFor is how long the place of a person or a channel is remembered after it was seen last to be another.
const knownFor = 10 * 365 * 24 * time.Hour

// acquaintances are the people and channels that the bot has met, and where they are found. The store keeps them for all
// replicas.
type acquaintances struct {
	store Store
	log   *slog.Logger
	cache sync.Map // key → acquaintance, as the store has it
}

// acquaintance is where a person or a channel is found.
type acquaintance struct {
	Service      string `json:"service"`
	User         string `json:"user,omitempty"`         // of a person: 29:…, which is the person for this bot alone
	Conversation string `json:"conversation,omitempty"` // of a person: their personal chat; empty where there is none
}

func personKey(account string) string  { return "teams:person:" + account }
func channelKey(channel string) string { return "teams:channel:" + channel }

// anywhere is the key of the service that was heard from last.
const anywhere = "teams:service"

// news is what an activity tells of places.
func (in incoming) news() map[string]acquaintance {
	out := map[string]acquaintance{anywhere: {Service: in.ServiceURL}}
	if account := in.account(); account != "" {
		a := acquaintance{Service: in.ServiceURL, User: in.From.ID}
		if in.personal() {
			a.Conversation = in.Conversation.ID
		}
		out[personKey(account)] = a
	}
	if channel := in.Data.Channel.ID; channel != "" {
		out[channelKey(channel)] = acquaintance{Service: in.ServiceURL}
	}
	return out
}

// over is what is known once a is heard of somebody of whom b was known.
func (a acquaintance) over(b acquaintance) acquaintance {
	a.User, a.Conversation = cmp.Or(a.User, b.User), cmp.Or(a.Conversation, b.Conversation)
	return a
}

// met tells whether an activity says nothing that is not known.
func (k *acquaintances) met(in incoming) bool {
	for key, a := range in.news() {
		if known, ok := k.cache.Load(key); !ok || a.over(known.(acquaintance)) != known {
			return false
		}
	}
	return true
}

// meet remembers what an activity says of places.
func (k *acquaintances) meet(ctx context.Context, in incoming) error {
	for key, a := range in.news() {
		before, err := k.recall(ctx, key)
		if err != nil {
			return err
		}
		if now := a.over(before); now != before {
			if err := k.keep(ctx, key, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// recall gives what is known; the zero acquaintance where nothing is.
func (k *acquaintances) recall(ctx context.Context, key string) (a acquaintance, err error) {
	if known, ok := k.cache.Load(key); ok {
		return known.(acquaintance), nil
	}
	value, err := k.store.Recall(ctx, key)
	if errors.Is(err, workflows.ErrForged) {
		k.log.Error("what is known of a place is not what Elevate wrote; it is learned anew", "key", key, "err", err)
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("look up where somebody is found: %w", err)
	}
	if value == nil {
		return a, nil
	}
	if err := json.Unmarshal(value, &a); err != nil {
		k.log.Error("what is known of a place is unreadable; it is learned anew", "key", key, "err", err)
		return acquaintance{}, nil
	}
	k.cache.Store(key, a)
	return a, nil
}

func (k *acquaintances) keep(ctx context.Context, key string, a acquaintance) error {
	value, err := json.Marshal(a)
	if err == nil {
		err = k.store.Put(ctx, key, value, knownFor)
	}
	if err != nil {
		k.cache.Delete(key)
		return fmt.Errorf("remember where somebody is found: %w", err)
	}
	k.cache.Store(key, a)
	return nil
}

// person is where somebody is found, by their object id.
func (k *acquaintances) person(ctx context.Context, account string) (acquaintance, error) {
	return k.recall(ctx, personKey(account))
}

// at remembers somebody's personal chat.
func (k *acquaintances) at(ctx context.Context, account string, a acquaintance) error {
	return k.keep(ctx, personKey(account), a)
}

// forget leaves somebody without a personal chat: they removed the app.
func (k *acquaintances) forget(ctx context.Context, account string) error {
	k.cache.Delete(personKey(account)) // another replica may know better
	a, err := k.person(ctx, account)
	if err != nil || a.Conversation == "" {
		return err
	}
	a.Conversation = ""
	return k.at(ctx, account, a)
}

// service is where a channel's conversations are, or those of anybody; empty where nothing was heard yet.
func (k *acquaintances) service(ctx context.Context, channel string) (string, error) {
	for _, key := range []string{channelKey(channel), anywhere} {
		a, err := k.recall(ctx, key)
		if err != nil || a.Service != "" {
			return a.Service, err
		}
	}
	return "", nil
}
