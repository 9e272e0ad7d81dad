package redis_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// writer takes arrows on requests of its own until it is stopped, and remembers the last record that was acknowledged.
type writer struct {
	acknowledged map[access.RequestID]*access.Record
	tried        map[access.RequestID]*access.Record
}

func (w *writer) run(ctx context.Context, s *redis.Store, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		r := fresh(s, fmt.Sprintf("%s-%d", name, i))
		if !w.take(ctx, s, access.Submit, access.None, r) {
			return
		}
		next := accepted(r)
		if !w.take(ctx, s, access.Accept, access.Pending, next) {
			return
		}
		if !w.take(ctx, s, access.Arm, access.Approved, armed(next)) {
			return
		}
	}
}

func (w *writer) take(ctx context.Context, s *redis.Store, a access.Arrow, from access.State, r *access.Record) bool {
	w.tried[r.ID] = r
	if err := s.Take(ctx, transition(a, from, r)); err != nil {
		return false
	}
	w.acknowledged[r.ID] = r
	return true
}

// What was acknowledged is there after kill -9 of the server: the record, its timers, its events and its notes.
func TestAcknowledgedStateSurvivesAKill(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t, "--appendfsync", "always")
	for round := range 3 {
		pre := prefix()
		s := open(t, redis.Config{URL: server.URL(), Prefix: pre})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		writers := make([]*writer, 4)
		var wg sync.WaitGroup
		for i := range writers {
			writers[i] = &writer{acknowledged: map[access.RequestID]*access.Record{}, tried: map[access.RequestID]*access.Record{}}
			wg.Go(func() { writers[i].run(ctx, s, fmt.Sprintf("%d-%d", round, i)) })
		}
		storagetest.Eventually(t, "something is written", func() bool {
			st, err := s.Stats(ctx)
			return err == nil && st.Open > 50
		})
		server.Kill()
		wg.Wait()
		cancel()
		server.Start()
		verify(t, open(t, redis.Config{URL: server.URL(), Prefix: pre}), writers)
	}
}

func verify(t *testing.T, s *redis.Store, writers []*writer) {
	t.Helper()
	events, err := s.Undrained(t.Context(), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	count := map[access.RequestID]int64{}
	for _, e := range events {
		count[e.Request]++
	}
	acknowledged := 0
	for _, w := range writers {
		acknowledged += len(w.acknowledged)
		for id, want := range w.acknowledged {
			got, err := s.Get(t.Context(), id)
			if err != nil {
				t.Errorf("%s was acknowledged and is gone: %v", id, err)
				continue
			}
			if got.Version < want.Version || got.Version > w.tried[id].Version {
				t.Errorf("%s has version %d; acknowledged %d, tried %d", id, got.Version, want.Version, w.tried[id].Version)
			}
			if count[id] != got.Version {
				t.Errorf("%s has version %d and %d events", id, got.Version, count[id])
			}
			for timer := range got.Due() {
				lane := workflows.LaneOf(timer, "pg")
				score := s.Client().ZScore(t.Context(), s.Base(id)+"due:"+string(lane), string(timer)+"|"+string(id))
				if score.Err() != nil {
					t.Errorf("the timer %s of %s is gone: %v", timer, id, score.Err())
				}
			}
		}
	}
	if acknowledged == 0 {
		t.Error("nothing was acknowledged before the kill")
	}
}

// A client keeps working through a restart of the server: what fails in between is told, and nothing is done twice.
func TestClientOutlivesTheServer(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t)
	s := open(t, redis.Config{URL: server.URL()})
	r := approved(t, s)
	server.Kill()
	if err := s.Take(t.Context(), transition(access.Arm, access.Approved, armed(r))); err == nil {
		t.Error("an arrow was taken without a server")
	}
	if _, _, err := s.Claim(t.Context(), workflows.Clock, 1, time.Minute); err == nil {
		t.Error("a claim was given without a server")
	}
	server.Start()
	take(t, s, access.Arm, access.Approved, armed(r))
	got, err := s.Get(t.Context(), r.ID)
	if err != nil || got.State != access.Activating {
		t.Errorf("after the restart: %v, %v", got, err)
	}
}
