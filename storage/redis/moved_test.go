package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

// TestEndingsComeInTimeThoughTheServersClockIsMovedBack moves it by an hour while the store watches.
func TestEndingsComeInTimeThoughTheServersClockIsMovedBack(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	server.SetTime(time.Now())
	s := open(t, redis.Config{URL: "redis://" + server.Addr(), Prefix: prefix()})
	due := func() []workflows.Claim {
		claims, _, err := s.Claim(t.Context(), workflows.DeactivateLane("pg"), 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return claims
	}
	due() // the clocks are compared for the first time
	server.SetTime(time.Now().Add(-time.Hour))
	if err := ending(t.Context(), s, "ana"); err != nil {
		t.Fatal(err)
	}
	if len(due()) > 0 {
		t.Fatal("the server's clock does not count at all: the test shows nothing")
	}
	storagetest.Eventually(t, "the ending is handed out", func() bool { return len(due()) == 1 })
}
