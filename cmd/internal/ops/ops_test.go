package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/workflows/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func fixed() time.Time { return noon }

// serve makes a Server with sound defaults, changed by the caller.
func serve(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{
		Metrics:    NewMetrics(Build{Version: "v1.2.3", Revision: "abc"}),
		Backlog:    func(context.Context) (Backlog, error) { return Backlog{}, nil },
		StoreClass: "durable (fsync)",
		Now:        fixed,
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t *testing.T, s *Server, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	broken := errors.New("dial tcp 10.1.2.3:6379: refused")
	sound := func() error { return nil }
	ill := func() error { return broken }
	backlog := func(b Backlog, err error) func(*Config) {
		return func(c *Config) { c.Backlog = func(context.Context) (Backlog, error) { return b, err } }
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		code   int
		want   string
	}{
		{"all is well", nil, 200,
			`{"status":"ready","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":0,"behind_seconds":0},"overdue_grants":0}`},
		{"the store is away", backlog(Backlog{}, broken), 503,
			`{"status":"not ready","store":{"ok":false,"detail":"The store cannot be reached.","class":"durable (fsync)"},` +
				`"timers":{"ok":false,"detail":"Not known while the store cannot be reached.","due":0,"behind_seconds":0},"overdue_grants":null}`},
		{"timers wait, not for long", backlog(Backlog{Due: 3, Behind: time.Minute}, nil), 200,
			`{"status":"ready","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":3,"behind_seconds":60},"overdue_grants":0}`},
		{"timers are behind", backlog(Backlog{Due: 3, Behind: 61 * time.Second}, nil), 503,
			`{"status":"not ready","store":{"ok":true,"class":"durable (fsync)"},` +
				`"timers":{"ok":false,"detail":"Due timers are not being worked.","due":3,"behind_seconds":61},"overdue_grants":0}`},
		{"an overdue grant is told and takes nothing out of service", backlog(Backlog{Overdue: 2, OverdueFor: 90 * time.Second}, nil), 200,
			`{"status":"ready","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":0,"behind_seconds":0},"overdue_grants":2,"oldest_overdue_seconds":90}`},
		{"the audit files are stuck", func(c *Config) { c.Audit = ill }, 200,
			`{"status":"degraded","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":0,"behind_seconds":0},` +
				`"audit":{"ok":false,"detail":"The audit log does not go on; nothing new is activated. The log of Elevate says why."},"overdue_grants":0}`},
		{"the audit log is being read", func(c *Config) { c.Audit = func() error { return audit.ErrReading } }, 200,
			`{"status":"degraded","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":0,"behind_seconds":0},` +
				`"audit":{"ok":false,"detail":"The audit log is still being read, as at every start; nothing new is activated before."},"overdue_grants":0}`},
		{"one chat is away", func(c *Config) {
			c.Audit, c.Chats = sound, map[string]func() error{"slack": ill, "teams": sound}
		}, 200,
			`{"status":"degraded","store":{"ok":true,"class":"durable (fsync)"},"timers":{"ok":true,"due":0,"behind_seconds":0},"audit":{"ok":true},` +
				`"chats":{"slack":{"ok":false,"detail":"The chat cannot be reached; messages wait."},"teams":{"ok":true}},"overdue_grants":0}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := get(t, serve(t, tt.change), "/readyz")
			if w.Code != tt.code || strings.TrimSpace(w.Body.String()) != tt.want {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, tt.code, tt.want)
			}
		})
	}
}

func TestReadinessLogsEachChangeOnceWithItsCause(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	now, err := noon, errors.New("dial tcp 10.1.2.3:6379: refused")
	s := serve(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		c.Now = func() time.Time { return now }
		c.Backlog = func(context.Context) (Backlog, error) { return Backlog{}, err }
	})
	for range 3 {
		if body := get(t, s, "/readyz").Body.String(); strings.Contains(body, "10.1.2.3") {
			t.Fatalf("the answer shows an address: %s", body)
		}
	}
	now, err = now.Add(freshFor), nil
	get(t, s, "/readyz")
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "10.1.2.3") || !strings.Contains(lines[1], "status=ready") {
		t.Errorf("log is %q, want the fall with its cause and the recovery, once each", lines)
	}
}

func TestManyProbesReadTheStoreOncePerSecond(t *testing.T) {
	t.Parallel()
	reads, now := 0, noon
	s := serve(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Backlog = func(context.Context) (Backlog, error) { reads++; return Backlog{}, nil }
	})
	for range 100 {
		get(t, s, "/readyz")
	}
	get(t, s, "/metrics")
	now = now.Add(freshFor)
	get(t, s, "/readyz")
	if reads != 2 {
		t.Errorf("the store was read %d times, want 2", reads)
	}
}

func TestProbeThatHangsUpDoesNotSpoilTheReading(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Backlog = func(ctx context.Context) (Backlog, error) { return Backlog{}, ctx.Err() }
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusOK {
		t.Errorf("got %d, want 200: %s", w.Code, w.Body)
	}
}

func TestHealthzLivesWithoutAStore(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Backlog = func(context.Context) (Backlog, error) { return Backlog{}, errors.New("down") }
	})
	if w := get(t, s, "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

func TestMetricsCarryTheNamesOfTheContract(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Backlog = func(context.Context) (Backlog, error) { return Backlog{Due: 4, Overdue: 2}, nil }
	})
	m := s.cfg.Metrics
	m.ObserveLateness(1500 * time.Millisecond)
	m.CountDecision("approve", "slack")
	m.ObserveAck("slack", "click", 40*time.Millisecond)
	m.ObserveConnectorCall("pg-prod", "activate", "ok", 30*time.Millisecond)
	m.ConnectorOpen("pg-prod", "activate", false)
	m.ConnectorOpen("pg-prod", "deactivate", true)

	w := get(t, s, "/metrics")
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	for _, line := range []string{
		`elevate_deactivation_lateness_seconds_sum 1.5`,
		`elevate_deactivation_lateness_seconds_bucket{le="1"} 0`,
		`elevate_deactivation_lateness_seconds_bucket{le="2"} 1`,
		`elevate_overdue_grants 2`,
		`elevate_timers_due 4`,
		`elevate_decisions_total{verdict="approve",via="slack"} 1`,
		`elevate_chat_ack_seconds_bucket{chat="slack",kind="click",le="0.05"} 1`,
		`elevate_connector_call_seconds_count{connector="pg-prod",result="ok",verb="activate"} 1`,
		`elevate_connector_open{connector="pg-prod",direction="activate"} 0`,
		`elevate_connector_open{connector="pg-prod",direction="deactivate"} 1`,
		`elevate_build_info{revision="abc",version="v1.2.3"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	if !strings.Contains(w.Body.String(), "go_goroutines ") {
		t.Error("/metrics lacks the Go collector")
	}
}

func TestMetricsStayWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Backlog = func(context.Context) (Backlog, error) { return Backlog{}, errors.New("down") }
	})
	w := get(t, s, "/metrics")
	if w.Code != 200 || strings.Contains(w.Body.String(), "elevate_timers_due") {
		t.Errorf("got %d; want 200 without a made-up backlog", w.Code)
	}
}

func TestNilMetricsMeasureNothing(t *testing.T) {
	t.Parallel()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("a nil *Metrics panics: %v", p)
		}
	}()
	var m *Metrics
	m.ObserveLateness(time.Second)
	m.CountDecision("deny", "api")
	m.ObserveAck("slack", "click", time.Second)
	m.ObserveConnectorCall("demo", "activate", "ok", time.Second)
	m.ConnectorOpen("demo", "activate", true)
	m.SweepBegins("demo", noon)
	m.Swept("demo", noon)
	m.SweepFailed("demo")
	m.SweepFound("demo", true)
	m.SweepMissed("demo")
	m.Standing("demo", "vpn", 1)
	m.SweepPrompted("demo")
	m.Watching("demo", true)
	m.SweptElsewhere("demo")
}

func TestNewWantsWhatItCannotDoWithout(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("New took an empty Config")
	}
	cfg := Config{Metrics: NewMetrics(Build{}), Backlog: func(context.Context) (Backlog, error) { return Backlog{}, nil }}
	if _, err := New(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err == nil {
		t.Error("New took the Metrics of another Server")
	}
}

func TestReadyzIsJSON(t *testing.T) {
	t.Parallel()
	w := get(t, serve(t, nil), "/readyz")
	var doc Readiness
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Status != Ready {
		t.Errorf("got %v, %+v", err, doc)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type is %q", ct)
	}
}
