package redis

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// measuredEvery is how often the servers' clocks are compared with ours.
	measuredEvery = time.Second
	// stepped is how far apart clocks that agreed must come to be for one of them to have been moved.
	stepped = 5 * time.Second
)

// clocks knows which clocks to believe. Timers are due by the earlier of the server's clock and ours, so that nothing
// comes early unless both are ahead; but a clock that is moved back while we watch must not make endings late. So ours is
// the last time on which the server's clock and the wall clock agreed, carried on by the machine's steady clock, which
// nobody moves; and what they agree on may go ahead, but never back.
//
// That both go ahead is believed, though it may be a mistake that ends everything early: a machine that slept, one that
// was held by its host, and one whose time was set right soon after it started all look the same. A steady clock that
// counts sleep (CLOCK_BOOTTIME) would tell the first alone, and to doubt the others would make endings late.
type clocks struct {
	wall   func() time.Time
	steady func() time.Duration // nil: the wall clock alone is believed

	mu       sync.Mutex
	start    time.Time // when steady was zero
	agreed   bool      // the server's clock and the wall clock were close once
	alone    bool      // the server's clock was moved, or both were moved back: ours is believed alone
	measured time.Time
}

func newClocks(now func() time.Time) *clocks {
	if now != nil {
		return &clocks{wall: now}
	}
	start := time.Now()
	return &clocks{wall: time.Now, start: start.Round(0), steady: func() time.Duration { return time.Since(start) }}
}

// ours is the time we believe it is.
func (c *clocks) ours() time.Time {
	if c.steady == nil {
		return c.wall()
	}
	return c.start.Add(c.steady())
}

// behind is how far the wall clock, from which the ends of new grants are made, was moved back from the time we believe.
func (c *clocks) behind() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ours().Sub(c.wall().Round(0))
}

// caller is the argument of scripts that read the time: ours in Unix milliseconds, and a mark where it counts alone.
func (c *clocks) caller() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := strconv.FormatInt(early(c.ours()), 10)
	if c.alone {
		return "=" + at
	}
	return at
}

// due tells once per measuredEvery that the clocks should be compared.
func (c *clocks) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steady == nil || time.Since(c.measured) < measuredEvery {
		return false
	}
	c.measured = time.Now()
	return true
}

// compare takes what the server's clock is ahead of the wall clock, and tells whether ours counts alone, and whether that
// has changed.
func (c *clocks) compare(ahead time.Duration) (alone, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall().Round(0)
	gone := wall.Add(ahead).Sub(c.ours()) // how far the server's clock went on beside the steady one
	was := c.alone
	switch {
	case !c.agreed, ahead.Abs() <= stepped && gone >= -stepped:
		// Small steps are followed, also back, as the steady clock may not run true; and before the first agreement there is
		// nothing to hold on to.
		c.start = wall.Add(-c.steady())
		c.agreed, c.alone = ahead.Abs() <= stepped, false
	default: // where the server's alone goes on as before, it is the wall clock that was moved
		c.alone = gone.Abs() > stepped
	}
	return c.alone, c.alone != was
}

// watchClocks compares the clocks now and then.
func (s *Store) watchClocks(ctx context.Context) {
	if !s.clocks.due() {
		return
	}
	nodes, err := s.masters(ctx)
	var worst time.Duration
	for _, node := range nodes {
		ahead, nodeErr := s.apart(ctx, node)
		err = errors.Join(err, nodeErr)
		if ahead.Abs() > worst.Abs() {
			worst = ahead
		}
	}
	if err != nil {
		return // the claim that follows says so
	}
	switch alone, changed := s.clocks.compare(worst); {
	case changed && alone:
		s.cfg.Log.ErrorContext(ctx, "a clock was moved while we ran; until it is right again our own, carried on from before, counts alone",
			"server_ahead", worst.Round(time.Millisecond), "wall_behind", s.clocks.behind().Round(time.Millisecond))
	case changed:
		s.cfg.Log.InfoContext(ctx, "the clocks agree again")
	}
}
