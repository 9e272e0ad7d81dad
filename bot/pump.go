package bot

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// pump claims work from a queue and keeps a bounded number of workers at it. It sleeps until the next work is due, at
// most poll, and is nudged when some arrives.
type pump struct {
	workers int
	poll    time.Duration
	now     func() time.Time
	log     *slog.Logger
	nudged  chan struct{}
}

func newPump(workers int, poll time.Duration, now func() time.Time, log *slog.Logger) *pump {
	return &pump{workers: workers, poll: poll, now: now, log: log, nudged: make(chan struct{}, 1)}
}

// nudge makes the pump look at the queue now. It never blocks.
func (p *pump) nudge() {
	select {
	case p.nudged <- struct{}{}:
	default: // it is going to look anyway
	}
}

// claim takes up to limit jobs from the queue. Next is when the earliest of the others is due; zero: none.
type claim func(ctx context.Context, limit int) (jobs []func(), next time.Time, err error)

// run works jobs until ctx ends, and returns when the last one has.
func (p *pump) run(ctx context.Context, take claim) {
	slots := make(chan struct{}, p.workers)
	var busy sync.WaitGroup
	defer busy.Wait()
	failing := false
	for {
		free := acquire(ctx, slots)
		if free == 0 {
			return
		}
		jobs, next, err := take(ctx, free)
		if err != nil && !failing && ctx.Err() == nil {
			p.log.Error("the queue could not be read; it is read again until it can be", "err", err)
		}
		failing = err != nil
		for range free - len(jobs) {
			<-slots
		}
		for _, job := range jobs {
			busy.Go(func() {
				defer p.nudge() // what it was part of may have more
				defer func() { <-slots }()
				defer p.survive()
				job()
			})
		}
		if len(jobs) < free {
			p.sleep(ctx, next, failing)
		}
	}
}

// acquire waits for a free slot and takes all that are free; 0 when ctx ended.
func acquire(ctx context.Context, slots chan struct{}) int {
	if ctx.Err() != nil {
		return 0
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; ; n++ {
		select {
		case slots <- struct{}{}:
		default:
			return n
		}
	}
}

// survive keeps one job that panics from ending the others. Its lease brings it back.
func (p *pump) survive() {
	if r := recover(); r != nil {
		p.log.Error("work on a queue panicked; it comes due again", "panic", fmt.Sprint(r))
	}
}

// sleep waits for the next due time, for a nudge, or for poll; a queue that fails is not asked again before that.
func (p *pump) sleep(ctx context.Context, next time.Time, failing bool) {
	d := p.poll
	if !next.IsZero() {
		d = min(d, max(next.Sub(p.now()), time.Millisecond))
	}
	nudged := p.nudged
	if failing {
		d, nudged = p.poll, nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-nudged:
	case <-ctx.Done():
	}
}

// The backoff of what failed: from first, doubling, to most.
const (
	backoffFirst = time.Second
	backoffMost  = 5 * time.Minute
)

// backoff is the wait after the n-th failure in a row, n from 0, with a fifth of jitter so that what failed together is
// not tried together.
func backoff(n int) time.Duration {
	d := backoffMost
	if n < 9 {
		d = min(d, backoffFirst<<max(n, 0))
	}
	return jittered(d)
}

// jittered is at least d and at most a fifth more.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) //nolint:gosec // keeps no secret
}
