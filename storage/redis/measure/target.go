package measure

import (
	"context"
	"sync"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// target answers at once and keeps when it was called.
type target struct {
	mu    sync.Mutex
	lates []time.Duration
	calls int
}

var _ connectors.Connector = (*target)(nil)

func newTarget(n int) *target { return &target{lates: make([]time.Duration, 0, n)} }

func (t *target) Activate(context.Context, access.Grant) (access.Receipt, error) {
	return access.Receipt{Ref: "bench"}, nil
}

// Deactivate takes down by how much it is called after the grant's end.
func (t *target) Deactivate(_ context.Context, g access.Grant, _ access.Receipt) (access.Removal, error) {
	late := time.Since(g.End)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	t.lates = append(t.lates, late)
	return access.Removal{Was: access.Removed}, nil
}

func (t *target) Holders(context.Context, access.Role) ([]connectors.Holder, error) { return nil, nil }

func (t *target) Check(context.Context) error { return nil }

// seen gives what was taken down, and how often the target was called.
func (t *target) seen() (lates []time.Duration, calls int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lates, t.calls
}

// endings counts endings that are written down. It is the Metrics of a service.
type endings struct {
	mu    sync.Mutex
	want  int
	lates []time.Duration
	all   chan struct{} // closed when as many as wanted are confirmed
}

func newEndings(n int) *endings {
	return &endings{want: n, lates: make([]time.Duration, 0, n), all: make(chan struct{})}
}

func (*endings) ObserveConnectorCall(string, string, string, time.Duration) {}

func (*endings) CountDecision(string, string) {}

func (*endings) CountLimited(string, string) {}

func (*endings) ConnectorOpen(string, string, bool) {}

func (e *endings) ObserveLateness(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lates = append(e.lates, d)
	if len(e.lates) == e.want {
		close(e.all)
	}
}

func (e *endings) confirmed() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lates
}
