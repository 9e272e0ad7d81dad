package storagetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func manyWorkersShareTheWork(e *env) {
	const requests, workers = 60, 8
	for i := range requests {
		e.in(access.Approved, of(access.PersonID(fmt.Sprintf("p%d", i))))
	}
	var mu sync.Mutex
	got := map[access.RequestID]int{}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				claims, _, err := e.Claim(e.Context(), workflows.Clock, 5, lease)
				if err != nil {
					e.Errorf("claim: %v", err)
				}
				if len(claims) == 0 {
					return
				}
				mu.Lock()
				for _, c := range claims {
					got[c.Request]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	want(e, "timers worked", len(got), requests)
	for id, n := range got {
		if n != 1 {
			e.Errorf("%s was handed out %d times", id, n)
		}
	}
}

// nudgeTellsOfAnEarlierTimer tries until a nudge comes: one may be lost while the subscription begins.
func nudgeTellsOfAnEarlierTimer(e *env) {
	ctx, cancel := context.WithTimeout(e.Context(), 10*time.Second)
	defer cancel()
	nudges := e.Nudges(ctx)
	for tries := 0; ; tries++ {
		e.clearTimers()
		e.in(access.Activating)
		select {
		case l, open := <-nudges:
			switch {
			case !open:
				e.Fatalf("no nudge for a timer that is the earliest, after %d tries", tries)
			case l != workflows.ActivateLane("pg"):
				continue
			}
			cancel()
			for range nudges {
				continue // until it is closed
			}
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// nudgesBeginWithAnyLane: what became due before the subscription stood is looked for at once.
func nudgesBeginWithAnyLane(e *env) {
	ctx, cancel := context.WithTimeout(e.Context(), 10*time.Second)
	defer cancel()
	l, open := <-e.Nudges(ctx)
	if !open || l != workflows.AnyLane {
		e.Errorf("the first nudge is %q (%v), want one of any lane", l, open)
	}
}
