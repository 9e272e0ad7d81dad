package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"elevate/workflows/audit"
)

// Config is what a Server reports on.
type Config struct {
	Metrics *Metrics // required
	// Backlog reads the waiting work from the store; its error means that the store cannot be reached. Required.
	Backlog func(context.Context) (Backlog, error)
	// StoreClass says how safe the store is, in words: "durable (fsync)", "EPHEMERAL" …
	StoreClass string
	// MaxBehind is for how long a due timer may wait before the process is not ready. Zero: one minute.
	MaxBehind time.Duration
	// Audit tells why evidence is not reaching its files, or nil. Nil: not reported.
	Audit func() error
	// Chats tell, by name, why a chat cannot be reached, or nil.
	Chats  map[string]func() error
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// Server answers /healthz, /readyz and /metrics.
type Server struct {
	cfg   Config
	gauge *gauge

	mu  sync.Mutex
	was Status
}

// New makes a Server and adds the backlog to the metrics. One Metrics serves one Server.
func New(cfg Config) (*Server, error) {
	if cfg.Metrics == nil || cfg.Backlog == nil {
		return nil, errors.New("ops: Metrics and Backlog are required")
	}
	if cfg.MaxBehind == 0 {
		cfg.MaxBehind = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &gauge{read: cfg.Backlog, now: cfg.Now}
	if err := cfg.Metrics.registry.Register(g); err != nil {
		return nil, fmt.Errorf("ops: register the backlog: %w", err)
	}
	return &Server{cfg: cfg, gauge: g, was: Ready}, nil
}

// Handler serves the three paths. It asks for no token: what it tells names no person, role or address.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // a prober that hung up needs no answer
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.cfg.Metrics.Handler())
	return mux
}

// Status sums a Readiness up.
type Status string

// The statuses.
const (
	Ready    Status = "ready"
	Degraded Status = "degraded"  // something people will notice is broken; taking the process out would not help
	NotReady Status = "not ready" // it cannot do its work
)

// Readiness is the document at /readyz.
type Readiness struct {
	Status Status           `json:"status"`
	Store  StoreHealth      `json:"store"`
	Timers TimersHealth     `json:"timers"`
	Audit  *Check           `json:"audit,omitempty"`
	Chats  map[string]Check `json:"chats,omitempty"`
	// Overdue counts the grants whose end is overdue; null while the store cannot be reached. They take nothing out of
	// service: it is the target that does not answer.
	Overdue *int64 `json:"overdue_grants"`
	// OldestOverdueSeconds is for how long the oldest of them has been due.
	OldestOverdueSeconds float64 `json:"oldest_overdue_seconds,omitempty"`
}

// Check is the health of one part; Detail says what is wrong, without the names that the log has.
type Check struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// StoreHealth tells of the store.
type StoreHealth struct {
	Check
	Class string `json:"class,omitempty"`
}

// TimersHealth tells of the timers.
type TimersHealth struct {
	Check
	Due           int64   `json:"due"`
	BehindSeconds float64 `json:"behind_seconds"`
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	doc, causes := s.check(r.Context())
	s.report(doc.Status, causes)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if doc.Status == NotReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(doc) // a prober that hung up needs no answer
}

// check looks at every part. Store and timers decide over readiness; a chat or the audit files being broken stops
// neither clicks nor endings, so the process stays in service and says so.
func (s *Server) check(ctx context.Context) (Readiness, error) {
	var causes []error
	note := func(part string, err error, detail string) Check {
		if err == nil {
			return Check{OK: true}
		}
		causes = append(causes, fmt.Errorf("%s: %w", part, err))
		return Check{Detail: detail}
	}

	b, err := s.gauge.backlog(ctx)
	var doc Readiness
	if err == nil {
		doc.Overdue, doc.OldestOverdueSeconds = &b.Overdue, b.OverdueFor.Seconds()
	}
	doc.Store = StoreHealth{Check: note("store", err, "The store cannot be reached."), Class: s.cfg.StoreClass}
	doc.Timers = s.timers(b, err, note)
	healthy := true
	if s.cfg.Audit != nil {
		err, detail := s.cfg.Audit(), "The audit log does not go on; nothing new is activated. The log of Elevate says why."
		if errors.Is(err, audit.ErrReading) {
			detail = "The audit log is still being read, as at every start; nothing new is activated before."
		}
		c := note("audit", err, detail)
		doc.Audit, healthy = &c, c.OK
	}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Chats)) {
		if doc.Chats == nil {
			doc.Chats = map[string]Check{}
		}
		c := note("chat "+name, s.cfg.Chats[name](), "The chat cannot be reached; messages wait.")
		doc.Chats[name], healthy = c, healthy && c.OK
	}
	switch {
	case !doc.Store.OK || !doc.Timers.OK:
		doc.Status = NotReady
	case !healthy:
		doc.Status = Degraded
	default:
		doc.Status = Ready
	}
	return doc, errors.Join(causes...)
}

func (s *Server) timers(b Backlog, err error, note func(string, error, string) Check) TimersHealth {
	if err != nil {
		return TimersHealth{Check: Check{Detail: "Not known while the store cannot be reached."}}
	}
	h := TimersHealth{Check: Check{OK: true}, Due: b.Due, BehindSeconds: b.Behind.Seconds()}
	if b.Behind > s.cfg.MaxBehind {
		h.Check = note("timers", fmt.Errorf("the oldest has been due for %s", b.Behind.Round(time.Second)),
			"Due timers are not being worked.")
	}
	return h
}

// report logs a change of status once, with the causes that /readyz does not show.
func (s *Server) report(now Status, causes error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now == s.was {
		return
	}
	s.was = now
	if causes == nil {
		s.cfg.Logger.Info("readiness changed", "status", string(now))
		return
	}
	s.cfg.Logger.Warn("readiness changed", "status", string(now), "err", causes)
}
