package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Once stores a value where there is none, and gives what is stored.
func (s *Store) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	ask := call{script: "once", keys: []string{s.memory(key)}, args: []any{rand.Text(), s.markBytes(markMemory, key, value), millis(ttl)}}
	reply, err := s.run(ctx, ask)
	if err != nil {
		return nil, false, fmt.Errorf("redis: %w", err)
	}
	f, err := texts(reply)
	if err != nil || len(f) != 2 {
		return nil, false, fmt.Errorf("redis: once: %w", errors.Join(err, errors.New("not a word and a value")))
	}
	switch f[0] {
	case "first", "kept":
		stored, err := s.readBytes(markMemory, key, f[1])
		if err == nil && s.cfg.Marks != nil && len(stored) == len(f[1]) { // believed without a mark, which it gets
			err = s.client.SetArgs(ctx, s.memory(key), rand.Text()+" "+string(s.markBytes(markMemory, key, stored)), goredis.SetArgs{KeepTTL: true}).Err()
		}
		return stored, f[0] == "first", err
	}
	return nil, false, fmt.Errorf("redis: %w", unknown(ask, f[0]))
}

// Recall gives the value under a key.
func (s *Store) Recall(ctx context.Context, key string) ([]byte, error) {
	stored, err := s.client.Get(ctx, s.memory(key)).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("redis: recall: %w", err)
	}
	_, value, _ := strings.Cut(stored, " ") // behind the token of the attempt that stored it
	return s.readBytes(markMemory, key, value)
}

// Put replaces the value under a key.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	err := s.done(ctx, call{script: "remember", keys: []string{s.memory(key)}, args: []any{rand.Text(), s.markBytes(markMemory, key, value), millis(ttl)}})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Hold takes or renews a named lease.
func (s *Store) Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	return s.either(ctx, call{script: "hold", keys: []string{s.lease(name)}, args: []any{holder, millis(lease)}}, "held")
}

// Drop gives a named lease up.
func (s *Store) Drop(ctx context.Context, name, holder string) error {
	if err := s.done(ctx, call{script: "drop", keys: []string{s.lease(name)}, args: []any{holder}}); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (s *Store) memory(key string) string { return s.keys.of(key) + "m:" + key }

func (s *Store) lease(name string) string { return s.keys.of(name) + "hold:" + name }
