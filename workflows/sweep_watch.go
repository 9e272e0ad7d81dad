package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// prompts are the targets of a connector that are to be looked at out of their turn. There is one for a target at most,
// however often it tells of changes.
type prompts struct {
	apart time.Duration // the least time between two looks at a target

	mu     sync.Mutex
	due    map[string]time.Time // by the target's key
	looked map[string]time.Time
	wake   chan struct{}
}

func newPrompts(apart time.Duration) *prompts {
	return &prompts{apart: apart, due: map[string]time.Time{}, looked: map[string]time.Time{}, wake: make(chan struct{}, 1)}
}

// tell has a target be looked at, then or as soon as it may be.
func (p *prompts) tell(target string, then time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	then = later(then, p.looked[target].Add(p.apart))
	if at, there := p.due[target]; there && !then.Before(at) {
		return
	}
	p.due[target] = then
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// take gives the targets that are due, and when the next one is; zero: none.
func (p *prompts) take(now time.Time) (due map[string]bool, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due = map[string]bool{}
	for target, at := range p.due {
		switch {
		case !at.After(now):
			due[target], p.looked[target] = true, now
			delete(p.due, target)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// heed listens to a target that tells of changes, and looks at what it tells of, until ctx ends.
func (w *Sweeper) heed(ctx context.Context, connector string, log *slog.Logger) {
	watcher, tells := w.s.cfg.Connectors[connector].(connectors.Watcher)
	if !tells {
		return
	}
	p := newPrompts(w.cfg.Apart)
	var listening sync.WaitGroup
	listening.Go(func() { w.listen(ctx, connector, watcher, p, log) })
	w.answer(ctx, connector, p, log)
	listening.Wait()
}

// listen listens again and again, because connections end.
func (w *Sweeper) listen(ctx context.Context, connector string, watcher connectors.Watcher, p *prompts, log *slog.Logger) {
	for tries := 1; ; tries++ {
		began := time.Now()
		err := w.listenOnce(ctx, connector, watcher, p)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, connectors.ErrNeverTells):
			log.Info("a target tells of no changes; they are found by its regular sweep", "err", err)
			return
		case time.Since(began) > backoffCap: // it had been well
			tries = 1
		}
		level := slog.LevelDebug
		if tries == 1 {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "a target cannot be listened to any more; changes are found by its regular sweep until that works again", "err", err)
		if pause(ctx, min(backoff(tries, err), backoffCap)) != nil {
			return
		}
	}
}

func (w *Sweeper) listenOnce(ctx context.Context, connector string, watcher connectors.Watcher, p *prompts) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("listening panicked: %v", v)
		}
		if !errors.Is(err, connectors.ErrNeverTells) {
			w.cfg.Metrics.Watching(connector, false)
		}
	}()
	roles, known := make([]access.Role, 0, len(w.targets[connector])), map[string]bool{}
	for _, t := range w.targets[connector] {
		roles = append(roles, t.role)
		known[t.key] = true
	}
	hears := sync.OnceFunc(func() { w.cfg.Metrics.Watching(connector, true) })
	return watcher.Watch(ctx, roles, func(r access.Role) {
		hears()
		if key := targetKey(r); known[key] {
			p.tell(key, w.s.now().Add(w.cfg.Settle))
		}
	})
}

// answer looks at the targets that are due, until ctx ends.
func (w *Sweeper) answer(ctx context.Context, connector string, p *prompts, log *slog.Logger) {
	for {
		due, next := p.take(w.s.now())
		if len(due) > 0 {
			for target, again := range w.prompted(ctx, connector, due, log) {
				p.tell(target, again)
			}
			continue
		}
		nap := w.cfg.MaxSleep
		if !next.IsZero() {
			nap = min(nap, max(next.Sub(w.s.now()), time.Millisecond))
		}
		timer := time.NewTimer(nap)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// unansweredAgain is how long after a look that got no answer it is tried again.
const unansweredAgain = time.Minute

// prompted compares some targets with the grants, as a regular sweep does. It says which of them gave no answer, or do not
// list a grant that is too fresh to be missed, and when to look at those again.
func (w *Sweeper) prompted(ctx context.Context, connector string, due map[string]bool, log *slog.Logger) map[string]time.Time {
	r, again := newRound(connector, log), map[string]time.Time{}
	for _, t := range w.targets[connector] {
		if !due[t.key] {
			continue
		}
		w.cfg.Metrics.SweepPrompted(connector)
		w.guard(ctx, r, t, func() error { return w.look(ctx, r, t) })
		if _, answered := r.asked[t.key]; !answered {
			again[t.key] = w.s.now().Add(unansweredAgain)
			continue
		}
		for _, role := range t.roles {
			w.lookForMissing(ctx, r, role)
		}
	}
	w.takeAway(ctx, r)
	if r.err != nil && ctx.Err() == nil {
		r.tellFailure()
	}
	for target := range r.fresh {
		again[target] = r.asked[target].Add(listedWithin)
	}
	return again
}
