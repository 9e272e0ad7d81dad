package ops

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Build says which program is running, for elevate_build_info.
type Build struct {
	Version  string
	Revision string
}

// Metrics are the figures of one process, in a registry of their own. The methods are safe for concurrent use, and do
// nothing on a nil *Metrics, so that whoever is measured need not ask whether anybody looks.
type Metrics struct {
	registry  *prometheus.Registry
	lateness  prometheus.Histogram
	decisions *prometheus.CounterVec
	limited   *prometheus.CounterVec
	forged    *prometheus.CounterVec
	acks      *prometheus.HistogramVec
	calls     *prometheus.HistogramVec
	open      *prometheus.GaugeVec
	sweeps
}

// NewMetrics makes the figures, all at zero.
func NewMetrics(b Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "elevate_deactivation_lateness_seconds",
			Help: "How much later than due an access was confirmed gone at its target.",
			// From good (well under a second) to an outage of the target (hours).
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400},
		}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "elevate_decisions_total",
			Help: "Decisions on requests, by what they said and the way they came in.",
		}, []string{"verdict", "via"}),
		forged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "elevate_forged_total", Help: "What somebody else had changed in the store, and how: record, version, timers, factor, link, memory.",
		}, []string{"what"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "elevate_limited_total",
			Help: "Requests and clicks that came too often or too soon, by the limit and the way they came in.",
		}, []string{"limit", "via"}),
		acks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "elevate_chat_ack_seconds",
			Help: "Time until a chat's request was acknowledged. Slack and Teams give up after 3 seconds.",
			// A second is what we promise, three what the chats bear.
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 10},
		}, []string{"chat", "kind"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "elevate_connector_call_seconds",
			Help:    "Time of one call to a target, by connector, verb and result.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"connector", "verb", "result"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "elevate_connector_open",
			Help: "1 while calls to a connector are held back because it does not answer or asks for a rest.",
		}, []string{"connector", "direction"}),
	}
	m.sweeps = newSweeps()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "elevate_build_info",
		Help:        "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision},
	})
	info.Set(1)
	m.registry.MustRegister(m.lateness, m.decisions, m.limited, m.forged, m.acks, m.calls, m.open, info,
		m.sweeps.failures, m.sweeps.found, m.sweeps.missing, m.sweeps.prompted, m.sweeps.standing, m.sweeps.watching, m.sweeps.ages,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ObserveLateness records how late an ending was.
func (m *Metrics) ObserveLateness(d time.Duration) {
	if m != nil {
		m.lateness.Observe(d.Seconds())
	}
}

// CountDecision counts a decision: the verdict, and the way it came in (slack, teams, web, api, elevate).
func (m *Metrics) CountDecision(verdict, via string) {
	if m != nil {
		m.decisions.WithLabelValues(verdict, via).Inc()
	}
}

// CountForged counts what somebody else had changed in the store.
func (m *Metrics) CountForged(what string) { m.forged.WithLabelValues(what).Inc() }

// CountLimited counts what came too often or too soon: the limit, and the way it came in.
func (m *Metrics) CountLimited(limit, via string) {
	if m != nil {
		m.limited.WithLabelValues(limit, via).Inc()
	}
}

// ObserveAck records how long a chat waited for an acknowledgement of a kind of request (command, click, options …).
func (m *Metrics) ObserveAck(chat, kind string, d time.Duration) {
	if m != nil {
		m.acks.WithLabelValues(chat, kind).Observe(d.Seconds())
	}
}

// ObserveConnectorCall records one call to a target: the connector's name in the configuration, the verb, and the
// result ("ok", or the kind of error).
func (m *Metrics) ObserveConnectorCall(connector, verb, result string, d time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(connector, verb, result).Observe(d.Seconds())
	}
}

// ConnectorOpen records whether calls to a connector are held back, in a direction (activate, deactivate).
func (m *Metrics) ConnectorOpen(connector, direction string, open bool) {
	if m == nil {
		return
	}
	v := 0.0
	if open {
		v = 1
	}
	m.open.WithLabelValues(connector, direction).Set(v)
}

// Handler serves the figures in Prometheus' text form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
