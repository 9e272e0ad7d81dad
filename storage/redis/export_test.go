package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows/access"
)

// Client lets tests send commands beside the store, and watch its own.
func (s *Store) Client() goredis.UniversalClient { return s.client }

// Claims is the client whose calls are never repeated.
func (s *Store) Claims() goredis.UniversalClient { return s.claims }

// RunTwice makes every script that may be repeated after a lost reply run twice, with the second reply given.
func (s *Store) RunTwice() { s.client.AddHook(twice{}) }

// Alone makes the caller's clock count alone, for leases too, so that a test can move all the time there is.
func (s *Store) Alone() *Store {
	s.clocks.alone = true
	return s
}

// Scripts are all scripts.
func (s *Store) Scripts() scripts { return s.scripts }

type twice struct{}

func (twice) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (twice) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if name := cmd.Name(); name == "evalsha" || name == "eval" {
			_ = next(ctx, cmd) // its reply is lost
			cmd.SetErr(nil)
		}
		return next(ctx, cmd)
	}
}

func (twice) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		_ = next(ctx, cmds) // their replies are lost
		for _, cmd := range cmds {
			cmd.SetErr(nil)
		}
		return next(ctx, cmds)
	}
}

// Base begins the keys beside a request.
func (s *Store) Base(id access.RequestID) string { return s.keys.of(string(id)) }
