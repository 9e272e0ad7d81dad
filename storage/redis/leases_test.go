package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// TestLeasesAreAsLongForReplicasWhoseClocksAreApart has one replica hold what there is to do, and another, whose clock is
// twenty seconds before or behind, ask for it: it comes when the lease is over (by the own clock too, where that is behind),
// and neither earlier nor much later.
func TestLeasesAreAsLongForReplicasWhoseClocksAreApart(t *testing.T) {
	t.Parallel()
	// Patience is less than apart, so that a lease which runs by the wrong clock shows.
	const lease, apart, patience = time.Second, 20 * time.Second, 15 * time.Second
	for server, url := range map[string]string{"Redis": storagetest.StartRedis(t).URL(), "in process": "redis://" + miniredis.RunT(t).Addr()} {
		for holder, behind := range map[string][2]time.Duration{"the holder is behind": {apart, 0}, "the other is behind": {0, apart}} {
			for queue, ask := range queues() {
				t.Run(server+"/"+holder+"/"+queue, func(t *testing.T) {
					t.Parallel()
					replica := func(prefix string, behind time.Duration) *redis.Store {
						return open(t, redis.Config{URL: url, Prefix: prefix, Shards: 1, Now: func() time.Time { return time.Now().Add(-behind) }})
					}
					at := prefix()
					first, second := replica(at, behind[0]), replica(at, behind[1])
					early := replica(at, time.Minute) // so that all is due for both
					for range 2 {                     // on one right: one is called for at a time
						take(t, early, access.Adopt, access.None, longOverdue(early))
					}
					if _, err := early.Deliver(t.Context(), workflows.Delivery{Chat: "slack", Key: "k"}); err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					if ask(t, first, lease) == 0 {
						t.Fatal("the first replica got nothing")
					}
					storagetest.Eventually(t, "the lease is over", func() bool { return ask(t, second, time.Minute) > 0 })
					if took := time.Since(began); took < lease-10*time.Millisecond || took > lease+behind[1]+patience {
						t.Errorf("the other got it after %s, and the lease is %s", took, lease)
					}
				})
			}
		}
	}
}

// longOverdue is a deactivation that should have been done a minute ago.
func longOverdue(s *redis.Store) *access.Record {
	r := fresh(s, "ana")
	r.State, r.NextTry, r.EndingAt = access.Deactivating, time.Now().Add(-time.Minute), time.Now().Add(-time.Minute)
	r.OverdueAt = r.NextTry
	return r
}

// queues are what replicas work side by side: each gives how many it claims.
func queues() map[string]func(t *testing.T, s *redis.Store, lease time.Duration) int {
	claim := func(l workflows.Lane) func(*testing.T, *redis.Store, time.Duration) int {
		return func(t *testing.T, s *redis.Store, lease time.Duration) int {
			claims, _, err := s.Claim(t.Context(), l, 10, lease)
			return counted(t, len(claims), err)
		}
	}
	return map[string]func(*testing.T, *redis.Store, time.Duration) int{
		"deactivations": claim(workflows.DeactivateLane("pg")),
		"clock":         claim(workflows.Clock),
		"outbox": func(t *testing.T, s *redis.Store, lease time.Duration) int {
			errands, _, err := s.ClaimErrands(t.Context(), "slack", 10, lease)
			return counted(t, len(errands), err)
		},
		"inbox": func(t *testing.T, s *redis.Store, lease time.Duration) int {
			deliveries, _, err := s.ClaimDeliveries(t.Context(), "slack", 10, lease)
			return counted(t, len(deliveries), err)
		},
	}
}

func counted(t *testing.T, n int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
