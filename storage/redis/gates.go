package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Admit counts an act under a key, unless limit of them were counted within the window.
func (s *Store) Admit(ctx context.Context, key string, limit int, window time.Duration) (wait time.Duration, first bool, err error) {
	at := s.keys.of(key) + "gate:" + key
	ask := call{script: "admit", keys: []string{at, at + ":told"}, args: []any{rand.Text(), max(1, limit), millis(window)}}
	f, err := s.words(ctx, ask)
	if err != nil {
		return 0, false, err
	}
	switch {
	case f[0] == "admitted" && len(f) == 1:
		return 0, false, nil
	case (f[0] == "first" || f[0] == "again") && len(f) == 2:
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("redis: admit: %w", err)
		}
		return time.Duration(n) * time.Millisecond, f[0] == "first", nil
	}
	return 0, false, fmt.Errorf("redis: %w", unknown(ask, f[0]))
}

// Reserve takes one of limit places under a key, and gives who has them and since when where none is left.
func (s *Store) Reserve(ctx context.Context, key, who string, limit int, keep time.Duration) (held map[string]time.Time, err error) {
	ask := call{script: "reserve", keys: []string{s.places(key)}, args: []any{who, max(1, limit), millis(keep)}}
	f, err := s.words(ctx, ask)
	if err != nil {
		return nil, err
	}
	switch {
	case f[0] == "reserved" && len(f) == 1:
		return nil, nil
	case f[0] == "full" && len(f)%2 == 1:
		held = make(map[string]time.Time, len(f)/2)
		for i := 1; i < len(f); i += 2 {
			since, err := strconv.ParseInt(f[i+1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("redis: reserve: %w", err)
			}
			held[f[i]] = time.UnixMilli(since)
		}
		return held, nil
	}
	return nil, fmt.Errorf("redis: %w", unknown(ask, f[0]))
}

// Present notes that somebody is there, under the clock of the server, and gives all whose last word is no older than keep.
// Vacate takes a word back.
func (s *Store) Present(ctx context.Context, key, who string, keep time.Duration) ([]string, error) {
	return s.words(ctx, call{script: "present", keys: []string{s.places(key)}, args: []any{who, millis(keep)}})
}

// Vacate gives places back; one that is free already is no error.
func (s *Store) Vacate(ctx context.Context, key string, who ...string) error {
	if len(who) == 0 {
		return nil
	}
	ask := call{script: "vacate", keys: []string{s.places(key)}}
	for _, w := range who {
		ask.args = append(ask.args, w)
	}
	if err := s.done(ctx, ask); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (s *Store) places(key string) string { return s.keys.of(key) + "places:" + key }

// words sends one call that answers with at least one word.
func (s *Store) words(ctx context.Context, c call) ([]string, error) {
	reply, err := s.run(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	f, err := texts(reply)
	if err != nil || len(f) == 0 {
		return nil, fmt.Errorf("redis: %s: %w", c.script, errors.Join(err, errors.New("no words")))
	}
	return f, nil
}
