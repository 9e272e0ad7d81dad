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
// comes early unless both are ahead; but a clock that is moved back while we watch must not make endings late. Ours is
// judged by the machine's steady clock, which nobody moves, and the server's by ours where the two agreed before.
type clocks struct {
	wall   func() time.Time
	steady func() time.Duration // since the start; nil: the wall clock alone is believed

	mu       sync.Mutex
	start    time.Time
	useWall  bool // the wall clock is nearer to the server's than start and steady together
	agreed   bool // the server's clock and ours were close once
	alone    bool // the server's clock was moved: ours is believed alone
	measured time.Time
}

func newClocks(now func() time.Time) *clocks {
	if now != nil {
		return &clocks{wall: now}
	}
	start := time.Now()
	return &clocks{wall: time.Now, start: start, steady: func() time.Duration { return time.Since(start) }}
}

// ours is the time we believe it is.
func (c *clocks) ours() time.Time {
	if c.steady == nil || c.useWall {
		return c.wall()
	}
	return c.start.Add(c.steady()).Round(0)
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

// compare takes what the server's clock is ahead of our wall clock, and tells whether whom we believe has changed.
func (c *clocks) compare(ahead time.Duration) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall()
	fromSteady := wall.Add(ahead).Sub(c.start.Add(c.steady()).Round(0))
	c.useWall = ahead.Abs() <= fromSteady.Abs()
	apart := min(ahead.Abs(), fromSteady.Abs())
	was := c.alone
	switch {
	case apart <= stepped:
		c.agreed, c.alone = true, false
	case c.agreed:
		c.alone, c.useWall = true, false
	}
	return c.alone != was
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
	if s.clocks.compare(worst) {
		s.cfg.Log.ErrorContext(ctx, "a server's clock was moved while we ran; until it is right again our own counts alone", "ahead", worst.Round(time.Millisecond))
	}
}
