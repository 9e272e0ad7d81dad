package redis_test

import (
	"context"
	"crypto/rand"
	"flag"
	"strconv"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// replicated are servers of which one takes the place of another.
type replicated interface {
	URL() string
	// Master is that of a key.
	Master(key string) *storagetest.Node
	// KillMaster kills the master of a key, and returns when there is another.
	KillMaster(key string)
	// PauseMaster pauses the master of a key, and returns when there is another.
	PauseMaster(key string)
	// Mend lets go on what was killed or paused, and returns when it follows the master.
	Mend()
}

// behindSentinel has one master, of every key.
type behindSentinel struct{ *storagetest.Sentinel }

func (s behindSentinel) Master(string) *storagetest.Node { return s.Sentinel.Master() }

func (s behindSentinel) KillMaster(string) { s.Sentinel.KillMaster() }

func (s behindSentinel) PauseMaster(string) { s.Sentinel.PauseMaster() }

// eachKind runs a test behind Sentinel and on a cluster, side by side.
func eachKind(t *testing.T, run func(t *testing.T, servers replicated)) {
	t.Parallel()
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		run(t, behindSentinel{storagetest.StartSentinel(t)})
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		run(t, storagetest.StartCluster(t, 3, 1))
	})
}

var failovers = flag.Int("failovers", 1, "how many masters are killed, and how many paused, while grants are written")

// impatient has a writer learn soon that a replica is missing.
var impatient = redis.Wait{Replicas: 1, Timeout: 200 * time.Millisecond}

// What was acknowledged with a word of a replica is at the new master with its timers, whatever arrows were on their way
// when the old one was killed or stood still, and whatever it takes itself for when it comes back; and an arrow whose
// reply was lost is not taken twice.
func TestAcknowledgedGrantsSurviveFailovers(t *testing.T) {
	eachKind(t, func(t *testing.T, servers replicated) {
		s := open(t, redis.Config{URL: servers.URL(), Wait: impatient})
		ctx, stop := context.WithCancel(t.Context())
		w := startWriters(ctx, s)
		defer w.wait()
		defer stop()
		for round := range *failovers {
			key := "{" + strconv.Itoa(round%s.Shards()) + "}"
			for how, depose := range map[string]func(string){"killed": servers.KillMaster, "paused": servers.PauseMaster} {
				w.await(t, "every writer arms")
				depose(key)
				w.await(t, "every writer arms again")
				w.survived(t, s)
				w.report(t, round, how)
				servers.Mend()
			}
		}
		stop()
		w.wait()
		w.once(t, s)
	})
}

// What a runner holds on to goes on at the new master: claims, and the subscription to nudges.
func TestRunnersSurviveAFailover(t *testing.T) {
	eachKind(t, func(t *testing.T, servers replicated) {
		s := open(t, redis.Config{URL: servers.URL(), Wait: patiently})
		const channel = "elevate:nudge"
		ctx, cancel := context.WithCancel(t.Context())
		nudges := s.Nudges(ctx)
		hasty := open(t, redis.Config{URL: servers.URL()}) // waits for no replica, as one will be missing
		storagetest.Eventually(t, "a nudge", func() bool { return nudged(ctx, hasty, nudges) })
		kept, back := hold(t, s, servers, channel), hold(t, s, servers, channel)
		if err := s.Safe(t.Context()); err != nil { // a replica has all that was written before
			t.Fatal(err)
		}
		servers.KillMaster(channel)
		storagetest.Eventually(t, "a claim is renewed", func() bool { return s.Renew(ctx, kept, time.Hour) == nil })
		claimsGoOn(t, s, kept, back)
		drain(nudges)
		storagetest.Eventually(t, "a nudge from the new master", func() bool { return nudged(ctx, hasty, nudges) })
		cancel()
		for range nudges {
			continue // until it is closed
		}
	})
}

// activations is the lane that the tests of failovers claim from.
var activations = workflows.ActivateLane("pg")

// hold claims the activation of a request that lies with the master of a key.
func hold(t *testing.T, s *redis.Store, servers replicated, key string) workflows.Claim {
	t.Helper()
	r := fresh(s, rand.Text())
	for servers.Master(s.Base(r.ID)) != servers.Master(key) {
		r = fresh(s, rand.Text())
	}
	for _, tr := range life(r) {
		if err := s.Take(t.Context(), tr); err != nil {
			t.Fatal(err)
		}
	}
	claims := claimed(t, s)
	if len(claims) != 1 || claims[0].Request != r.ID {
		t.Fatalf("claimed %+v, want %s", claims, r.ID)
	}
	return claims[0]
}

// claimed claims what is due. A call may fail that still looks for the old master.
func claimed(t *testing.T, s *redis.Store) (claims []workflows.Claim) {
	t.Helper()
	storagetest.Eventually(t, "the store can be asked for claims", func() bool {
		var err error
		claims, _, err = s.Claim(t.Context(), activations, 100, time.Hour)
		return err == nil
	})
	return claims
}

// claimsGoOn judges claims from before a failover: they keep others away, one that is given back comes again with a
// higher fence, and one that was kept can be finished.
func claimsGoOn(t *testing.T, s *redis.Store, kept, back workflows.Claim) {
	t.Helper()
	for _, c := range claimed(t, s) {
		t.Errorf("%s was handed out while it was claimed", c.Request)
	}
	if err := s.Release(t.Context(), back); err != nil {
		t.Errorf("release: %v", err)
	}
	again := claimed(t, s)
	if len(again) != 1 || again[0].Request != back.Request || again[0].Fence <= back.Fence {
		t.Errorf("after the release: %+v, want %s with a fence above %d", again, back.Request, back.Fence)
	}
	tr := transition(access.Confirm, access.Activating, onward(kept.Record, access.Confirm))
	tr.Claim = &kept
	if err := s.Take(t.Context(), tr); err != nil {
		t.Errorf("confirm under a claim from before the failover: %v", err)
	}
}

// patiently waits for a replica on a machine that is busy with other tests.
var patiently = redis.Wait{Replicas: 1, Timeout: 10 * time.Second}

// nudged arms a request and tells whether a nudge has come, of that or an earlier one.
func nudged(ctx context.Context, s *redis.Store, nudges <-chan workflows.Lane) bool {
	for _, tr := range life(fresh(s, rand.Text())) {
		if s.Take(ctx, tr) != nil {
			return false
		}
	}
	if _, _, err := s.Claim(ctx, activations, 100, time.Hour); err != nil {
		return false // the next one will not be the earliest
	}
	for {
		select {
		case l, ok := <-nudges:
			if !ok || l == activations {
				return ok
			}
		default:
			return false
		}
	}
}

// drain forgets the nudges that have come.
func drain(nudges <-chan workflows.Lane) {
	for {
		select {
		case <-nudges:
		default:
			return
		}
	}
}
