package ops

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"elevate/workflows/access"
)

// sweeps are the figures of the comparison of targets with grants. Only the replica that sweeps a connector has its age
// and its standing access.
type sweeps struct {
	failures, found, missing, prompted *prometheus.CounterVec
	standing, watching                 *prometheus.GaugeVec
	ages                               *ages
}

func newSweeps() sweeps {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return sweeps{
		failures: counter("elevate_sweep_errors_total", "Questions to a target who holds a role that were not answered.", "connector"),
		found: counter("elevate_sweep_found_total",
			"Access of ours without a live grant that was found and is taken away; again where it had been reported gone.", "connector", "again"),
		missing:  counter("elevate_sweep_missing_total", "Live grants whose access the target does not list.", "connector"),
		prompted: counter("elevate_sweep_prompted_total", "Looks at a target because it told of a change.", "connector"),
		watching: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "elevate_sweep_watching",
			Help: "Whether the target is heard when something changes there: 1, or 0 while it cannot be. Absent for targets that do not tell.",
		}, []string{"connector"}),
		standing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "elevate_standing_access",
			Help: "Holders of a role by nothing that Elevate gave.",
		}, []string{"connector", "role"}),
		ages: &ages{now: time.Now, swept: map[string]time.Time{}},
	}
}

// ages tell how long ago each connector was swept whole.
type ages struct {
	now   func() time.Time
	mu    sync.Mutex
	swept map[string]time.Time
}

var sweepAge = prometheus.NewDesc("elevate_sweep_age_seconds",
	"Time since every target of a connector answered who holds its roles, at the replica that asks.", []string{"connector"}, nil)

// Describe and Collect make the ages a metric that is right whenever Prometheus asks.
func (a *ages) Describe(ch chan<- *prometheus.Desc) { ch <- sweepAge }

func (a *ages) Collect(ch chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for connector, at := range a.swept {
		ch <- prometheus.MustNewConstMetric(sweepAge, prometheus.GaugeValue, max(0, a.now().Sub(at).Seconds()), connector)
	}
}

// SweepBegins starts the age of a connector that this replica sweeps from now on: it grows also where no sweep succeeds.
func (m *Metrics) SweepBegins(connector string, at time.Time) { m.Swept(connector, at) }

// Swept records that every target of the connector has answered.
func (m *Metrics) Swept(connector string, at time.Time) {
	if m == nil {
		return
	}
	m.ages.mu.Lock()
	defer m.ages.mu.Unlock()
	m.ages.swept[connector] = at
}

// SweepFailed counts a question that was not answered.
func (m *Metrics) SweepFailed(connector string) {
	if m != nil {
		m.failures.WithLabelValues(connector).Inc()
	}
}

// SweepFound counts access that was found and is taken away.
func (m *Metrics) SweepFound(connector string, again bool) {
	if m != nil {
		m.found.WithLabelValues(connector, strconv.FormatBool(again)).Inc()
	}
}

// SweepMissed counts a live grant whose access the target does not list.
func (m *Metrics) SweepMissed(connector string) {
	if m != nil {
		m.missing.WithLabelValues(connector).Inc()
	}
}

// Standing records how many hold a role by nothing that Elevate gave.
func (m *Metrics) Standing(connector string, role access.RoleID, holders int) {
	if m != nil {
		m.standing.WithLabelValues(connector, string(role)).Set(float64(holders))
	}
}

// SweepPrompted counts a look at a target because it told of a change.
func (m *Metrics) SweepPrompted(connector string) {
	if m != nil {
		m.prompted.WithLabelValues(connector).Inc()
	}
}

// Watching records whether a connector hears of changes.
func (m *Metrics) Watching(connector string, hears bool) {
	if m == nil {
		return
	}
	value := 0.0
	if hears {
		value = 1
	}
	m.watching.WithLabelValues(connector).Set(value)
}

// SweptElsewhere takes back the figures that another replica gives from now on.
func (m *Metrics) SweptElsewhere(connector string) {
	if m == nil {
		return
	}
	m.standing.DeletePartialMatch(prometheus.Labels{"connector": connector})
	m.watching.DeleteLabelValues(connector)
	m.ages.mu.Lock()
	defer m.ages.mu.Unlock()
	delete(m.ages.swept, connector)
}
