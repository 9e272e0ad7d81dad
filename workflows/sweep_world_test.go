package workflows_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// watched counts what a sweeper tells the operators.
type watched struct {
	mu       sync.Mutex
	rounds   map[string]int
	failed   map[string]int
	found    map[bool]int // by whether it was found before
	missed   int
	standing map[access.RoleID]int
	prompted int
	watching map[string]bool
}

func newWatched() *watched {
	return &watched{rounds: map[string]int{}, failed: map[string]int{}, found: map[bool]int{}, standing: map[access.RoleID]int{}, watching: map[string]bool{}}
}

func (m *watched) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *watched) Swept(connector string, _ time.Time) { m.locked(func() { m.rounds[connector]++ }) }
func (m *watched) SweepFailed(connector string)        { m.locked(func() { m.failed[connector]++ }) }
func (m *watched) SweepFound(_ string, again bool)     { m.locked(func() { m.found[again]++ }) }
func (m *watched) SweepMissed(string)                  { m.locked(func() { m.missed++ }) }
func (m *watched) SweepBegins(string, time.Time)       {}
func (m *watched) SweptElsewhere(string)               {}
func (m *watched) SweepPrompted(string)                { m.locked(func() { m.prompted++ }) }
func (m *watched) Watching(connector string, hears bool) {
	m.locked(func() { m.watching[connector] = hears })
}
func (m *watched) Standing(_ string, role access.RoleID, n int) {
	m.locked(func() { m.standing[role] = n })
}

func (m *watched) swept(connector string) (n int) {
	m.locked(func() { n = m.rounds[connector] })
	return n
}

func (m *watched) unanswered(connector string) (n int) {
	m.locked(func() { n = m.failed[connector] })
	return n
}

// sweeper starts a replica's sweeper, every five minutes of the world's clock.
func (w *world) sweeper(holder string, change ...func(*workflows.SweeperConfig)) (m *watched, stop func()) {
	w.t.Helper()
	m = newWatched()
	cfg := workflows.SweeperConfig{Holder: holder, Lease: time.Minute, Pause: time.Microsecond, Grace: time.Microsecond, MaxSleep: time.Millisecond,
		Chats: []string{"test"}, Metrics: m}
	for _, c := range change {
		c(&cfg)
	}
	s, err := workflows.NewSweeper(w.service, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the sweeper stopped with %v", err)
		}
	})
	w.t.Cleanup(stop)
	return m, stop
}

// sweepsAgain lets the clock run until a connector has been swept twice more: whatever was true before was looked at. It
// runs slowly enough that a machine that keeps the sweeper waiting for a second does not run to the end of grants.
func (w *world) sweepsAgain(m *watched, connector string) {
	w.t.Helper()
	want := m.swept(connector) + 2
	w.eventually("the connector "+connector+" is swept", func() bool {
		w.clock.Advance(2 * time.Second)
		return m.swept(connector) >= want
	})
}

// stray puts access at a target as a grant would, and forgets the grant.
func (w *world) stray(target *demo.Target, account, name string) {
	w.t.Helper()
	_, err := w.connector(target).Activate(w.t.Context(), access.Grant{ID: "00000-00001", Person: access.Person{ID: access.PersonID(account)},
		Role: access.Role{ID: "gone", Connector: "db", Target: map[string]any{"role": name}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// found are the records that sweeps made.
func (w *world) found() []*access.Record {
	w.t.Helper()
	all, _, err := w.store.List(w.t.Context(), workflows.Query{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r *access.Record) bool { return !r.Found() })
}

// asked counts questions, and can hang on them.
type asked struct {
	connectors.Connector
	hang  bool
	after func()

	mu        sync.Mutex
	by        map[string]int // questions by target
	now, most int            // questions at once
}

func (a *asked) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	a.mu.Lock()
	a.by[role.Target["role"].(string)]++
	a.now++
	a.most = max(a.most, a.now)
	hang := a.hang
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.now--
		a.mu.Unlock()
	}()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	holders, err := a.Connector.Holders(ctx, role)
	if a.after != nil {
		a.after()
	}
	return holders, err
}

// idleAfter tells whether at least so many questions were asked, and all of them answered.
func (a *asked) idleAfter(questions int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.by {
		questions -= n
	}
	return questions <= 0 && a.now == 0
}

// liar confirms its first removals and does not make them.
type liar struct {
	connectors.Connector
	mu   sync.Mutex
	lies int
}

func (l *liar) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lies--; l.lies >= 0 {
		return access.Removal{Was: access.Removed}, nil
	}
	return l.Connector.Deactivate(ctx, g, r)
}

// late is a target whose server carries an activation out when its caller has long given it up.
type late struct {
	connectors.Connector
	mu   sync.Mutex
	todo []func()
}

func (l *late) Activate(_ context.Context, g access.Grant) (access.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.todo = append(l.todo, func() { _, _ = l.Connector.Activate(context.Background(), g) }) // nobody hears the answer
	return access.Receipt{}, &connectors.Error{Kind: connectors.Unavailable, Op: "call", Err: context.DeadlineExceeded}
}

func (l *late) carryOut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, do := range l.todo {
		do()
	}
	l.todo = nil
}
