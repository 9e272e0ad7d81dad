package connectortest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// ear counts what a watch tells.
type ear struct {
	mu   sync.Mutex
	told map[string]int // by the role's target
	news chan struct{}
}

func (e *ear) hear(r access.Role) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told[fmt.Sprint(r.Target)]++
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *ear) times(r access.Role) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.told[fmt.Sprint(r.Target)]
}

// listen begins a watch that tells of every role at its beginning. The function ends it, and looks how it does that.
func (s *suite) listen(w connectors.Watcher, roles ...access.Role) (*ear, func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	s.Cleanup(cancel)
	e := &ear{told: map[string]int{}, news: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- w.Watch(ctx, roles, e.hear) }()
	for _, r := range roles {
		s.wantTold(e, "what came before it", r, 0, func() {})
	}
	return e, func() {
		s.Helper()
		cancel()
		s.wantError("Watch whose context has ended", s.within("Watch", func() error { return <-ended }), connectors.Unavailable)
	}
}

// wantTold waits until a role has been told of more often than before, and tries its change again each second: a target
// need not say when it begins to tell.
func (s *suite) wantTold(e *ear, of string, r access.Role, before int, change func()) {
	s.Helper()
	again, late := time.NewTicker(time.Second), time.After(hearing)
	defer again.Stop()
	for change(); e.times(r) <= before; {
		select {
		case <-e.news:
		case <-again.C:
			change()
		case <-late:
			s.Fatalf("a watch does not tell of %s", of)
		}
	}
}

func watchTells(s *suite) {
	c := s.New(s.T)
	w, watches := c.(connectors.Watcher)
	if !watches {
		return // the sweep looks at every target
	}
	r := s.Role(s.T)
	e, stop := s.listen(w, s.Role(s.T), r)
	s.wantTold(e, "access that others give", r, e.times(r), func() { s.Plant(s.T, s.person(), r) })
	s.wantTold(e, "a grant", r, e.times(r), func() { s.give(c, s.person(), r) })
	stop()
}
