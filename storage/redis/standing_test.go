package redis_test

import (
	"errors"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

// A lease that nobody could have taken keeps nobody from taking it.
func TestALeaseWithoutAnEndIsNobodys(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	if held, err := g.Hold(t.Context(), "sweep", "a", time.Minute); err != nil || !held {
		t.Fatal(held, err)
	}
	if held, err := g.Hold(t.Context(), "sweep", "b", time.Minute); err != nil || held {
		t.Fatalf("held by two: %v, %v", held, err)
	}
	for name, ttl := range map[string]time.Duration{"for ever": 0, "for an hour": time.Hour} {
		if err := g.Client().Set(t.Context(), key(t, g.Store, "hold:sweep"), "nobody", ttl).Err(); err != nil {
			t.Fatal(err)
		}
		if held, err := g.Hold(t.Context(), "sweep", "b", time.Minute); err != nil || !held {
			t.Errorf("%s: held %v, %v", name, held, err)
		}
	}
}

// A word counts for as long as it was offered, whatever somebody writes back.
func TestAnOfferThatIsWrittenBackIsOver(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(c *redis.Config) { c.Now = func() time.Time { return now } })
	if err := g.Offer(t.Context(), "link:ana", "word", []byte("a value"), 3, 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	k := key(t, g.Store, "offer:link:ana")
	saved := g.Client().HGetAll(t.Context(), k).Val()
	if value, err := g.Guess(t.Context(), "link:ana", "word"); err != nil || string(value) != "a value" {
		t.Fatalf("%q, %v", value, err)
	}
	now = now.Add(12 * time.Minute)
	if err := errors.Join(g.Client().Del(t.Context(), k).Err(), g.Client().HSet(t.Context(), k, saved).Err()); err != nil {
		t.Fatal(err)
	}
	if value, err := g.Guess(t.Context(), "link:ana", "word"); !errors.Is(err, workflows.ErrNoOffer) {
		t.Errorf("%q, %v", value, err)
	}
}
