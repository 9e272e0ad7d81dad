package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prefixes atomic.Int64

// prefix is a part of a shared server that no other test uses.
func prefix() string { return fmt.Sprintf("t%d:", prefixes.Add(1)) }

func open(t storagetest.TB, cfg redis.Config) *redis.Store {
	t.Helper()
	if cfg.Chats == nil {
		cfg.Chats = storagetest.Chats()
	}
	s, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

func onServer(r interface{ URL() string }, change func(*redis.Config)) storagetest.Options {
	return storagetest.Options{
		Open: func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
			cfg := redis.Config{URL: r.URL(), Prefix: prefix(), Now: clock.Now}
			change(&cfg)
			return open(t, cfg).Alone()
		},
		Pass:    func(_ *storagetest.Clock, d time.Duration) { time.Sleep(d) },
		NoHours: "a redis-server's clock cannot be moved; the in-process server's can, and runs the same scripts",
	}
}

func TestRedisKeepsThePromise(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	storagetest.Run(t, onServer(r, func(*redis.Config) {}))
}

func TestOneShardKeepsThePromise(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	storagetest.Run(t, onServer(r, func(c *redis.Config) { c.Shards = 1 }))
}

// Every script that a client may repeat runs twice, as after a lost reply, and nobody can tell.
func TestRepeatedScriptsKeepThePromise(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	o := onServer(r, func(*redis.Config) {})
	once := o.Open
	o.Open = func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
		s := once(t, clock).(*redis.Store)
		s.RunTwice()
		return s
	}
	storagetest.Run(t, o)
}

func TestRedisFollowsTheModel(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	storagetest.RunModel(t, onServer(r, func(c *redis.Config) { c.Shards = 2 }))
}
