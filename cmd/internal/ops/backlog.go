package ops

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backlog is the work that waits in the store.
type Backlog struct {
	// Due counts the timers that are due and not finished.
	Due int64
	// Behind is for how long the oldest of them has been due; zero: none is.
	Behind time.Duration
	// Overdue counts the grants whose deactivation is not confirmed in time.
	Overdue int64
	// OverdueFor is for how long the oldest of them has been due.
	OverdueFor time.Duration
}

// freshFor is how long a reading of the backlog serves: anybody may ask /readyz, and the store shall not pay for it.
const freshFor = time.Second

// gauge reads the backlog, at most once in freshFor however many ask.
type gauge struct {
	read func(context.Context) (Backlog, error)
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	last Backlog
	err  error
}

// readTime bounds one reading; a probe that waits longer has its answer.
const readTime = 2 * time.Second

func (g *gauge) backlog(ctx context.Context) (Backlog, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.at.IsZero() || now.Sub(g.at) >= freshFor {
		// One caller's hanging up must not become the answer of the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
		defer cancel()
		g.last, g.err = g.read(ctx)
		g.at = now
	}
	return g.last, g.err
}

// Describe and Collect make the backlog two metrics, read when Prometheus asks. Without an answer of the store they
// are absent rather than wrong.
func (g *gauge) Describe(ch chan<- *prometheus.Desc) {
	ch <- timersDue
	ch <- overdueGrants
}

func (g *gauge) Collect(ch chan<- prometheus.Metric) {
	b, err := g.backlog(context.Background())
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(timersDue, prometheus.GaugeValue, float64(b.Due))
	ch <- prometheus.MustNewConstMetric(overdueGrants, prometheus.GaugeValue, float64(b.Overdue))
}

var (
	timersDue = prometheus.NewDesc("elevate_timers_due",
		"Timers that are due and not finished.", nil, nil)
	overdueGrants = prometheus.NewDesc("elevate_overdue_grants",
		"Grants whose deactivation is not confirmed in time.", nil, nil)
)
