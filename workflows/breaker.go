package workflows

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"elevate/connectors"
)

// The figures of a breaker. The probes stay close enough together for a target that has come back to be noticed well
// within a minute.
const (
	breakAfter  = 5                // calls without an answer in a row
	probeFirst  = time.Second      // from the opening to the first probe
	probeLast   = 10 * time.Second // between probes, at most
	longestRest = time.Minute      // that a target may ask for
)

// breaker keeps a lane from sending everything it has at a target that gives no answer, or that asks for a rest. While
// it is open nothing is claimed but one timer at a time, in growing distances: whatever waits is not charged with tries
// that were bound to fail, and goes at full speed as soon as the target answers.
type breaker struct {
	log   *slog.Logger
	shown func(open bool) // puts it on the operators' board

	mu       sync.Mutex
	silent   int // calls without an answer in a row
	open     bool
	until    time.Time     // of the next probe
	distance time.Duration // from a probe that failed to the next
	probing  bool
	tried    bool // the target was called since the probe was admitted
}

// held tells whether calls are held back.
func (b *breaker) held() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// admit tells how many of the free workers may claim a timer, and where none may, when to ask again (zero: when the
// probe under way is over). What is admitted while the breaker is open is a probe, which is to be given back.
func (b *breaker) admit(now time.Time, free int) (n int, probe bool, again time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return free, false, time.Time{}
	case b.probing:
		return 0, false, time.Time{}
	case now.Before(b.until):
		return 0, false, b.until
	}
	b.probing, b.tried = true, false
	return 1, true, time.Time{}
}

// probed gives a probe back. One that got no answer puts the next one further off; one for which there was nothing to call
// the target for does not.
func (b *breaker) probed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if !b.open || !b.tried || b.until.After(now) {
		return
	}
	b.until = now.Add(b.distance)
	b.distance = min(2*b.distance, probeLast)
}

// heard takes note of how a call to the target went. Any answer closes the breaker, a "no" too: it is open for targets
// that say nothing, and for as long as one asks to be left alone.
func (b *breaker) heard(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried = true
	switch kind := connectors.KindOf(err); {
	case err != nil && kind == connectors.Throttled:
		b.rest(now, err)
	case err != nil && kind == connectors.Unavailable:
		b.silent++
		if b.silent >= breakAfter && !b.open {
			b.trip(now.Add(probeFirst), "the target does not answer; it is tried once in a while until it does", err)
		}
	default:
		b.silent = 0
		b.reset()
	}
}

// rest keeps the lane from the target for as long as it asked for.
func (b *breaker) rest(now time.Time, err error) {
	b.silent = 0
	wait := probeFirst
	var e *connectors.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		wait = min(e.RetryAfter, longestRest)
	}
	until := now.Add(wait)
	if !b.open {
		b.trip(until, "the target asks to be left alone for a while", err)
	}
	if until.After(b.until) {
		b.until = until
	}
}

func (b *breaker) trip(until time.Time, why string, err error) {
	b.open, b.until, b.distance = true, until, 2*probeFirst
	b.log.Warn(why, "until", until, "err", err)
	b.shown(true)
}

func (b *breaker) reset() {
	if !b.open {
		return
	}
	b.open = false
	b.log.Info("the target answers again; what waited goes on")
	b.shown(false)
}
