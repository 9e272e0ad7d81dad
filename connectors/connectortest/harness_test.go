package connectortest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a T that collects failures.
type recorder struct {
	ctx      context.Context
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// record runs one check and gives what it complained of.
func record(t *testing.T, c check, h Harness, names *atomic.Int64) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(&suite{T: r, Harness: h, names: names})
	}()
	<-done
	cancel()
	for _, f := range r.cleanups {
		f()
	}
	return r.failures
}

// world is a harness around demo targets: one that works, and one for each of the other moods.
type world struct {
	t       *testing.T
	healthy *demo.Target
	roles   atomic.Int64
}

const canary = "hunter2-canary"

// harness speaks to demo targets through connectors that breakage has had its hands on.
func (w *world) harness(breakage func(connectors.Connector, *demo.Target) connectors.Connector) Harness {
	inMood := func(f demo.Faults) func(T) connectors.Connector {
		return func(T) connectors.Connector {
			target := demo.NewTarget(demo.TargetConfig{})
			target.SetFaults(f)
			return breakage(w.connector(target), target)
		}
	}
	liars := demo.NewTarget(demo.TargetConfig{})
	liars.SetFaults(demo.Faults{Lie: true})
	return Harness{
		New: func(T) connectors.Connector { return breakage(w.connector(w.healthy), w.healthy) },
		Role: func(T) access.Role {
			return access.Role{ID: "r", Connector: "demo", Target: map[string]any{"role": fmt.Sprintf("role%d", w.roles.Add(1))}}
		},
		Person: func(_ T, account string) access.Person {
			return access.Person{ID: access.PersonID("id-" + account), Accounts: map[string]string{"demo": account}}
		},
		Plant: func(_ T, p access.Person, r access.Role) {
			w.healthy.Plant(p.Account("demo"), r.Target["role"].(string))
		},
		Holds: func(_ T, p access.Person, r access.Role) bool {
			account, role := p.Account("demo"), r.Target["role"].(string)
			return w.healthy.Holds(account, role) || liars.Holds(account, role)
		},
		Open: func(_ T, p access.Person, r access.Role) Session {
			return w.healthy.Open(p.Account("demo"), r.Target["role"].(string))
		},
		Hang:    inMood(demo.Faults{Hang: true}),
		Refuse:  inMood(demo.Faults{Refuse: true}),
		Lie:     func(T) connectors.Connector { return breakage(w.connector(liars), liars) },
		Secrets: []string{canary},
		Cannot: map[Ability]string{
			UnknownPersons: "this table takes any name",
			UnknownRoles:   "this table takes any name",
		},
	}
}

func (w *world) connector(target *demo.Target) connectors.Connector {
	c, err := demo.New(demo.Config{Target: target})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func newWorld(t *testing.T) *world {
	return &world{t: t, healthy: demo.NewTarget(demo.TargetConfig{Latency: 2 * time.Millisecond})}
}

func TestHarnessMustBeWhole(t *testing.T) {
	t.Parallel()
	whole := newWorld(t).harness(unbroken)
	if got := whole.problems(); len(got) != 0 {
		t.Errorf("a whole harness has problems: %q", got)
	}
	for name, spoil := range map[string]func(*Harness){
		"a function is missing":         func(h *Harness) { h.Holds = nil },
		"a gap has no reason":           func(h *Harness) { h.Open = nil },
		"a reason is empty":             func(h *Harness) { h.Cannot = map[Ability]string{UnknownRoles: ""} },
		"what it declares it can do":    func(h *Harness) { h.Cannot = map[Ability]string{Lie: "no"} },
		"the hanging target is missing": func(h *Harness) { h.Hang = nil },
	} {
		h := whole
		spoil(&h)
		if len(h.problems()) == 0 {
			t.Errorf("%s, and nobody minds", name)
		}
	}
}
