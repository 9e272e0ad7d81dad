package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
)

// mostForgeries bounds how often a value that is not ours is replaced while somebody puts another in its place.
const mostForgeries = 10

// Once stores a value where there is none, and gives what is stored. What is there and not ours is told of and gives way:
// whoever can write to the server could have deleted it as well.
func (s *Store) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	ask := call{script: "once", keys: []string{s.memory(key)}, args: []any{rand.Text(), s.markBytes(markMemory, key, value), millis(ttl)}}
	for tries := 1; ; tries++ {
		f, err := s.two(ctx, ask)
		if err != nil {
			return nil, false, err
		}
		word, kept := f[0], f[1]
		if word != "first" && word != "kept" {
			return nil, false, fmt.Errorf("redis: %w", unknown(ask, word))
		}
		stored, err := s.readBytes(markMemory, key, kept)
		switch {
		case errors.Is(err, workflows.ErrForged) && tries < mostForgeries:
			s.spoiled(key)
			ask.args = append(ask.args[:3:3], kept)
			continue
		case err == nil && s.cfg.Marks != nil && len(stored) == len(kept): // believed without a mark, which it gets
			err = s.client.SetArgs(ctx, s.memory(key), rand.Text()+" "+string(s.markBytes(markMemory, key, stored)), goredis.SetArgs{KeepTTL: true}).Err()
		}
		return stored, word == "first", err
	}
}

// Recall gives the value under a key: none where what is there is not ours, of which is told.
func (s *Store) Recall(ctx context.Context, key string) ([]byte, error) {
	stored, err := s.client.Get(ctx, s.memory(key)).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("redis: recall: %w", err)
	}
	_, value, _ := strings.Cut(stored, " ") // behind the token of the attempt that stored it
	text, err := s.readBytes(markMemory, key, value)
	if errors.Is(err, workflows.ErrForged) {
		s.spoiled(key)
		return nil, nil
	}
	return text, err
}

func (s *Store) spoiled(key string) {
	s.cfg.Log.Error("what Elevate remembered was not written by it, or not under a key of secrets.keys; it counts for nothing", "key", s.memory(key))
	s.cfg.Spoiled()
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
	return s.either(ctx, call{script: "hold", keys: []string{s.lease(name)}, args: []any{holder, millis(lease), millis(max(lease, longestLease))}}, "held")
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
