package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"elevate/workflows"
)

// keptSpent is how long it is remembered that a value was spent: longer than anything that is spent lives.
const keptSpent = 24 * time.Hour

// Redeem gives the value that Put stored under a key, to the first who asks; nil to all others.
func (s *Store) Redeem(ctx context.Context, key string) ([]byte, error) {
	at := s.memory(key)
	ask := call{script: "redeem", keys: []string{at, at + ":spent"}, args: []any{rand.Text(), millis(keptSpent)}}
	f, err := s.two(ctx, ask)
	if err != nil {
		return nil, err
	}
	switch f[0] {
	case "ok":
		return s.readBytes(markMemory, key, f[1])
	case "none":
		return nil, nil
	}
	return nil, fmt.Errorf("redis: %w", unknown(ask, f[0]))
}

// Offer keeps a value under a name for whoever says the word, in place of what was offered before; tries is how often
// somebody may say a wrong one.
func (s *Store) Offer(ctx context.Context, name, word string, value []byte, tries int, ttl time.Duration) error {
	ends := strconv.FormatInt(s.cfg.Now().Add(ttl).UnixMilli(), 10)
	text := s.markBytes(markOffer, name+" "+hashed(name, word), append([]byte(ends+" "), value...))
	err := s.done(ctx, call{script: "offer", keys: []string{s.offer(name)}, args: []any{rand.Text(), hashed(name, word), text, tries, millis(ttl)}})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Guess gives the value offered under a name to the first who says its word. workflows.ErrWrongWord where it is another
// word, ErrNoTries where nobody may try any more, ErrNoOffer where nothing is offered, or not any more.
func (s *Store) Guess(ctx context.Context, name, word string) ([]byte, error) {
	ask := call{script: "guess", keys: []string{s.offer(name)}, args: []any{rand.Text(), hashed(name, word)}}
	f, err := s.two(ctx, ask)
	if err != nil {
		return nil, err
	}
	switch f[0] {
	case "right":
		return s.offered(name, word, f[1])
	case "wrong":
		return nil, fmt.Errorf("redis: %w", workflows.ErrWrongWord)
	case "locked":
		return nil, fmt.Errorf("redis: %w", workflows.ErrNoTries)
	case "none":
		return nil, fmt.Errorf("redis: %w", workflows.ErrNoOffer)
	}
	return nil, fmt.Errorf("redis: %w", unknown(ask, f[0]))
}

// offered reads what was offered for a word. Its end is marked with it: whoever can write to the server could put it back later.
func (s *Store) offered(name, word, stored string) ([]byte, error) {
	text, err := s.readBytes(markOffer, name+" "+hashed(name, word), stored)
	if err != nil {
		return nil, err
	}
	ends, value, _ := strings.Cut(string(text), " ")
	until, err := strconv.ParseInt(ends, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("redis: the end of an offer: %w", err)
	}
	if s.cfg.Now().UnixMilli() > until+slack.Milliseconds() {
		return nil, fmt.Errorf("redis: %w", workflows.ErrNoOffer)
	}
	return []byte(value), nil
}

func (s *Store) offer(name string) string { return s.keys.of(name) + "offer:" + name }

// hashed keeps the word itself out of the store.
func hashed(name, word string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + word))
	return hex.EncodeToString(sum[:])
}

// two sends a call that answers with a word and a text.
func (s *Store) two(ctx context.Context, c call) ([]string, error) {
	reply, err := s.run(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	f, err := texts(reply)
	if err == nil && len(f) != 2 {
		err = errors.New("not a word and a text")
	}
	if err != nil {
		return nil, fmt.Errorf("redis: %s: %w", c.script, err)
	}
	return f, nil
}
