package storagetest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func gateChecks() []check {
	return []check{
		{name: "AdmitCountsWithinTheWindow", run: admitCountsWithinTheWindow},
		{name: "AdmitLetsThroughAsManyAsMayBe", run: admitLetsThroughAsManyAsMayBe},
		{name: "AdmitHasNoEdgeToSlipThrough", run: admitHasNoEdgeToSlipThrough},
		{name: "PlacesAreTakenOnce", run: placesAreTakenOnce},
		{name: "PlacesAreNeverMoreThanThereAre", run: placesAreNeverMoreThanThereAre},
	}
}

func (e *env) admit(key string, limit int, window time.Duration) (time.Duration, bool) {
	e.Helper()
	wait, first, err := e.Admit(e.Context(), key, limit, window)
	e.ok(err, "admit")
	return wait, first
}

func admitCountsWithinTheWindow(e *env) {
	for i := range 3 {
		wait, _ := e.admit("ana", 3, time.Hour)
		want(e, fmt.Sprintf("wait of act %d", i+1), wait, 0)
	}
	wait, first := e.admit("ana", 3, time.Hour)
	if wait <= 0 || wait > time.Hour || !first {
		e.Errorf("the fourth act waits for %s, first %t", wait, first)
	}
	if _, first = e.admit("ana", 3, time.Hour); first {
		e.Errorf("the second refusal is called the first")
	}
	wait, _ = e.admit("ben", 3, time.Hour)
	want(e, "wait of another key", wait, 0)
	for range 4 { // the last is refused, unless the machine is slow
		e.admit("eva", 3, soon)
	}
	e.pass(2 * soon)
	wait, _ = e.admit("eva", 3, soon)
	want(e, "wait after the window", wait, 0)
}

func admitLetsThroughAsManyAsMayBe(e *env) {
	var through, firsts atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			wait, first, err := e.Admit(e.Context(), "k", 7, time.Hour)
			if err != nil {
				e.Errorf("admit: %v", err)
			}
			if wait == 0 {
				through.Add(1)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	want(e, "admitted of fifty at once", through.Load(), int64(7))
	want(e, "first refusals of fifty at once", firsts.Load(), int64(1))
}

// admitHasNoEdgeToSlipThrough: two bursts on either side of a full minute are still within one minute. A window that was
// over before the last act of it, because the machine had other things to do, shows nothing; a longer one is tried then.
func admitHasNoEdgeToSlipThrough(e *env) {
	for window := 4 * soon; ; window *= 2 {
		key := window.String()
		e.admit(key, 2, window)
		e.pass(window / 2)
		second := time.Now()
		e.admit(key, 2, window)
		e.pass(window/2 + soon)
		wait, _ := e.admit(key, 2, window)
		want(e, "wait after the first has left the window", wait, 0)
		wait, _ = e.admit(key, 2, window)
		if time.Since(second) >= window {
			continue
		}
		if wait <= 0 {
			e.Errorf("three acts within one window")
		}
		return
	}
}

func (e *env) reserve(who string) []string {
	e.Helper()
	held, err := e.Reserve(e.Context(), "ana", who, 2, time.Hour)
	e.ok(err, "reserve")
	return slices.Sorted(maps.Keys(held))
}

func placesAreTakenOnce(e *env) {
	for _, who := range []string{"a", "b", "a"} {
		want(e, "in the way of "+who, len(e.reserve(who)), 0)
	}
	want(e, "who has the places", fmt.Sprint(e.reserve("c")), "[a b]")
	e.ok(e.Vacate(e.Context(), "ana", "a", "nobody"), "vacate")
	want(e, "in the way after one left", len(e.reserve("c")), 0)
	want(e, "who has the places then", fmt.Sprint(e.reserve("a")), "[b c]")
	held, err := e.Reserve(e.Context(), "ben", "a", 2, time.Hour)
	e.ok(err, "reserve")
	want(e, "in the way under another key", len(held), 0)
}

func placesAreNeverMoreThanThereAre(e *env) {
	var had atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			held, err := e.Reserve(e.Context(), "ana", fmt.Sprint(i), 3, time.Hour)
			if err != nil {
				e.Errorf("reserve: %v", err)
			}
			if held == nil {
				had.Add(1)
			}
		})
	}
	wg.Wait()
	want(e, "places had by fifty at once", had.Load(), int64(3))
}
