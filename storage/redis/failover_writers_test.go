package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

const (
	// crowd is how many writers there are.
	crowd = 4
	// pace is how long a writer rests between two requests, so that there are not more of them than can be judged.
	pace = 5 * time.Millisecond
	// again is how soon something is tried again.
	again = 5 * time.Millisecond
)

// life is how a request gets from its submission to where the target is to be called.
func life(r *access.Record) []workflows.Transition {
	next := accepted(r)
	return []workflows.Transition{
		transition(access.Submit, access.None, r),
		transition(access.Accept, access.Pending, next),
		transition(access.Arm, access.Approved, armed(next)),
	}
}

// writers take arrows until they are stopped, through whatever befalls the store, and remember what was acknowledged.
type writers struct {
	store *redis.Store
	all   sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[access.RequestID]int64 // the version
	arms         [crowd]int                 // how often each had an arm acknowledged
	takes        [crowd]spell
	claims       spell
	claimed      int // how often something could be claimed
	unclear      int // arrows that were found taken though nobody acknowledged them
	short        int // arms that no replica had in time
	gone         int // requests that were lost before they were armed
}

// spell is the longest time in which something did not succeed.
type spell struct {
	since   time.Time
	longest time.Duration
}

func (s *spell) success() {
	now := time.Now()
	if !s.since.IsZero() {
		s.longest = max(s.longest, now.Sub(s.since))
	}
	s.since = now
}

func startWriters(ctx context.Context, s *redis.Store) *writers {
	w := &writers{store: s, acknowledged: map[access.RequestID]int64{}}
	for i := range crowd {
		w.all.Go(func() { w.write(ctx, i) })
	}
	w.all.Go(func() { w.activate(ctx) })
	return w
}

func (w *writers) wait() { w.all.Wait() }

// write takes requests through their lives.
func (w *writers) write(ctx context.Context, i int) {
	for n := 0; rest(ctx, pace); n++ {
		for _, tr := range life(fresh(w.store, fmt.Sprintf("%d-%d", i, n))) {
			if !w.take(ctx, i, tr) {
				break
			}
		}
	}
}

// rest tells whether there is more to do after a while.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// take tries until it is clear what became of an arrow, and tells whether the next one can follow.
func (w *writers) take(ctx context.Context, i int, tr workflows.Transition) bool {
	for {
		err := w.store.Take(ctx, tr)
		switch {
		case err == nil:
			w.acknowledge(i, tr)
			return true
		case errors.Is(err, redis.ErrNotDurable):
			w.count(&w.short)
			return false
		case errors.Is(err, workflows.ErrStale), errors.Is(err, workflows.ErrTaken):
			got, err := w.store.Get(ctx, tr.Record.ID)
			switch {
			case err == nil && got.Version >= tr.Record.Version:
				w.count(&w.unclear)
				return true
			case err == nil, errors.Is(err, access.ErrNotFound):
				w.count(&w.gone)
				return false
			}
		}
		if !rest(ctx, again) {
			return false
		}
	}
}

func (w *writers) count(what *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*what++
}

func (w *writers) acknowledge(i int, tr workflows.Transition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acknowledged[tr.Record.ID] = tr.Record.Version
	w.takes[i].success()
	if tr.Arrow == access.Arm {
		w.arms[i]++
	}
}

// activate claims what is armed and confirms it, as a runner does. What fails comes again.
func (w *writers) activate(ctx context.Context) {
	for rest(ctx, pace) {
		claims, _, err := w.store.Claim(ctx, workflows.ActivateLane("pg"), 50, 2*time.Second)
		if err != nil {
			continue
		}
		w.mu.Lock()
		w.claims.success()
		w.claimed++
		w.mu.Unlock()
		for _, c := range claims {
			tr := transition(access.Confirm, access.Activating, onward(c.Record, access.Confirm))
			tr.Claim = &c
			_ = w.store.Take(ctx, tr) // the claim runs out, and it comes again
		}
	}
}

// await waits until every writer has had some more arms acknowledged, and more was claimed.
func (w *writers) await(t *testing.T, what string) {
	t.Helper()
	const more = 25
	w.mu.Lock()
	arms, claimed := w.arms, w.claimed
	w.mu.Unlock()
	storagetest.Eventually(t, what, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, n := range w.arms {
			if n < arms[i]+more {
				return false
			}
		}
		return w.claimed > claimed
	})
}

// versions is a copy of what was acknowledged so far.
func (w *writers) versions() map[access.RequestID]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.acknowledged)
}

// survived judges what was acknowledged: an armed request is there with every timer of its state. One that was not
// armed may be lost, as no replica was asked about it.
func (w *writers) survived(t *testing.T, s *redis.Store) {
	t.Helper()
	const isArmed = 3
	arms, lost := 0, 0
	for id, version := range w.versions() {
		got, err := find(t, s, id)
		switch {
		case version < isArmed && (errors.Is(err, access.ErrNotFound) || (err == nil && got.Version < version)):
			lost++
			continue
		case err != nil:
			t.Errorf("%s was acknowledged with version %d and is gone: %v", id, version, err)
			continue
		case got.Version < version:
			t.Errorf("%s was acknowledged with version %d and has %d", id, version, got.Version)
		}
		if version >= isArmed {
			arms++
			timersOf(t, s, got)
		}
	}
	t.Logf("%d acknowledged arms are there; of what was acknowledged without a replica's word, %d are lost", arms, lost)
	if arms == 0 {
		t.Error("nothing was armed before the kill")
	}
}

// find loads a record. A call may still meet a connection to the old master that was under way.
func find(t *testing.T, s *redis.Store, id access.RequestID) (r *access.Record, err error) {
	t.Helper()
	storagetest.Eventually(t, "a record is loaded", func() bool {
		r, err = s.Get(t.Context(), id)
		return err == nil || errors.Is(err, access.ErrNotFound)
	})
	return r, err
}

// timersOf complains where a timer that a record must have is not in its lane.
func timersOf(t *testing.T, s *redis.Store, r *access.Record) {
	t.Helper()
	for timer := range r.Due() {
		lane := workflows.LaneOf(timer, "pg")
		err := s.Client().ZScore(t.Context(), s.Base(r.ID)+"due:"+string(lane), string(timer)+"|"+string(r.ID)).Err()
		if err == nil {
			continue
		}
		// It may have been taken between the two looks.
		if now, getErr := s.Get(t.Context(), r.ID); getErr == nil && now.Version == r.Version {
			t.Errorf("the timer %s of %s is gone: %v", timer, r.ID, err)
		}
	}
}

// report tells for how long the store did not work in a round, and begins to measure anew.
func (w *writers) report(t *testing.T, round int, how string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	longest := make([]time.Duration, crowd)
	for i := range w.takes {
		longest[i], w.takes[i] = w.takes[i].longest.Round(time.Millisecond), spell{}
	}
	t.Logf("round %d, the master %s: the writers could not write for %v, and nothing could be claimed for %s", round, how, longest, w.claims.longest)
	w.claims = spell{}
}

// once judges that no arrow was taken twice: every version of every request that is there has one event. What a writer had
// asked for when it was stopped may still be done meanwhile.
func (w *writers) once(t *testing.T, s *redis.Store) {
	t.Helper()
	storagetest.Eventually(t, "every version has one event", func() bool {
		events, err := s.Undrained(t.Context(), 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[access.RequestID]int64{}
		for _, e := range events {
			seen[e.Request]++
		}
		for id := range w.versions() {
			got, err := find(t, s, id)
			if err != nil {
				got = &access.Record{} // it was lost whole
			}
			if seen[id] != got.Version {
				t.Logf("%s has version %d and %d events", id, got.Version, seen[id])
				return false
			}
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d requests; %d replies were lost, %d arms came to no replica in time, %d requests were lost before they were armed",
		len(w.acknowledged), w.unclear, w.short, w.gone)
}
