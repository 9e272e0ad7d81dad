package teams

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
)

// scribe is a store that remembers what it was given to keep.
type scribe struct {
	Store
	mu   sync.Mutex
	kept strings.Builder
}

func (s *scribe) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	s.kept.Write(value)
	s.mu.Unlock()
	return s.Store.Put(ctx, key, value, ttl)
}

// TestWhatIsShownOnceIsNotKept: a link that works once is in the answer, and not in the store, where answers to acts that
// Teams delivers again are kept.
func TestWhatIsShownOnceIsNotKept(t *testing.T) {
	t.Parallel()
	const address = "https://elevate.example.com/link/CANARY"
	store := &scribe{}
	k := setup(t, func(cfg *Config) {
		store.Store = newShelf(t, cfg.Now)
		cfg.Store = store
	})
	k.bot.OnCommand = func(string) bot.Answer {
		return bot.Answer{Card: &bot.Card{Name: "link", Title: "A link", Summary: "A link for you.", Once: true,
			Parts: []bot.Part{bot.Text{Spans: []bot.Span{bot.Say("Open "), bot.Link("your page", address), bot.Say(".")}}}}}
	}
	k.person(bottest.Ana).Say("link")
	k.told(t, bottest.Ana, "your page")
	messages := k.fake.Messages(k.fake.Chat(account(bottest.Ana)))
	card, err := json.Marshal(messages[len(messages)-1].Card)
	if err != nil || !strings.Contains(string(card), `"selectAction":{"type":"Action.OpenUrl","url":"`+address+`"}`) {
		t.Errorf("shown is %s, %v", card, err)
	}
	k.stop()
	store.mu.Lock()
	defer store.mu.Unlock()
	if kept := store.kept.String(); !strings.Contains(kept, bot.SaysOnce) || strings.Contains(kept, "CANARY") {
		t.Errorf("the store has %s", kept)
	}
}
