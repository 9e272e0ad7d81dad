package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move; at zero it is that of the bubble.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		return time.Now()
	}
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// people is a directory in memory.
type people struct {
	mu   sync.Mutex
	byID map[access.PersonID]access.Person
	down error
}

func (d *people) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.byID[id]
	if d.down != nil {
		return p, d.down
	}
	if !ok {
		return p, fmt.Errorf("person %s: %w", id, access.ErrNotFound)
	}
	return p, nil
}

func (d *people) ByAccount(ctx context.Context, _, account string) (access.Person, error) {
	return d.Person(ctx, access.PersonID(account))
}

func (d *people) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	return string(id), nil
}

func (d *people) People(context.Context) ([]access.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []access.Person
	for _, p := range d.byID {
		all = append(all, p)
	}
	return all, d.down
}

func (d *people) set(p access.Person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID[p.ID] = p
}

func (d *people) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = err
}

func role(id access.RoleID, connector string, labels ...string) access.Role {
	r := access.Role{ID: id, Title: "Role " + string(id), Connector: connector, Target: map[string]any{"role": string(id)}, Labels: map[string]string{}}
	for _, l := range labels {
		r.Labels[l] = "yes"
	}
	return r
}

// catalogue is what the tests' people may ask for: one, two and no approvals, and a second target.
func catalogue() ([]access.Role, []policy.Rule) {
	roles := []access.Role{role("db-admin", "db"), role("db-owner", "db", "two"), role("db-reader", "db", "auto"), role("web-admin", "web")}
	twin := role("db-admin-oncall", "db")
	twin.Target = map[string]any{"role": "db-admin"}
	return append(roles, twin), []policy.Rule{
		{Name: "two", Match: `has(role.labels.two)`, Eligible: `"sre" in person.groups`, Duration: policy.Duration{Max: 4 * time.Hour},
			Approve: []policy.Approval{{By: `"leads" in person.groups`}, {By: `"leads" in person.groups`, Count: 2, Within: time.Hour}}},
		{Name: "auto", Match: `has(role.labels.auto)`, Eligible: `true`, Duration: policy.Duration{Max: time.Hour}, AutoApprove: `"sre" in person.groups`,
			Approve: []policy.Approval{{By: `"leads" in person.groups`}}},
		{Name: "one", Match: `true`, Eligible: `"sre" in person.groups`, Duration: policy.Duration{Default: time.Hour, Max: 4 * time.Hour, MaxTotal: 6 * time.Hour},
			Justification: policy.Justification{MinLength: 10},
			Approve:       []policy.Approval{{By: `"leads" in person.groups || "sre" in person.groups`, Within: 30 * time.Minute}}},
	}
}

// world is a whole Elevate without chats: the real store's scripts, two demo targets, a clock that tests move.
type world struct {
	t       testing.TB
	clock   *clock
	people  *people
	store   *redis.Store
	db, web *demo.Target
	service *workflows.Service
	config  workflows.Config
	runner  workflows.RunnerConfig
}

func newWorld(t *testing.T, change ...func(*workflows.Config)) *world {
	t.Helper()
	return worldAt(t, &clock{now: noon}, change...)
}

func worldAt(t testing.TB, clock *clock, change ...func(*workflows.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: clock, people: &people{byID: map[access.PersonID]access.Person{}},
		runner: workflows.RunnerConfig{MaxSleep: 2 * time.Millisecond, Lease: time.Minute, Grace: time.Millisecond}}
	for id, groups := range map[access.PersonID][]string{"ana": {"sre"}, "ben": {"sre"}, "lea": {"leads"}, "leo": {"leads"}, "luz": {"leads"}, "eve": {}, "root": {"admins"}} {
		w.people.set(access.Person{ID: id, Name: string(id), Groups: groups})
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w.store, err = redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{"test"}, Shards: 4, Now: w.clock.Now, AllowUnsafe: true}))
	if err != nil {
		t.Fatal(err)
	}
	own := w.store
	t.Cleanup(func() { _ = own.Close() })
	w.db, w.web = demo.NewTarget(demo.TargetConfig{Now: w.clock.Now}), demo.NewTarget(demo.TargetConfig{Now: w.clock.Now})
	roles, rules := catalogue()
	set, problems := policy.Compile(rules, roles)
	if set == nil {
		t.Fatal(problems)
	}
	w.config = workflows.Config{
		Store: w.store, Directory: w.people, Policies: set, Roles: roles, Now: w.clock.Now,
		Connectors:    map[string]connectors.Connector{"db": w.connector(w.db), "web": w.connector(w.web)},
		Administrator: func(p access.Person) bool { return slices.Contains(p.Groups, "admins") },
	}
	for _, c := range change {
		c(&w.config)
	}
	if w.service, err = workflows.New(w.config); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) connector(target *demo.Target) connectors.Connector {
	c, err := demo.New(demo.Config{Target: target})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// run starts a runner, and stops it at the end of the test or when the function it gives is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- workflows.NewRunner(w.service, w.runner).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the runner stopped with %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func by(id access.PersonID) access.Actor {
	return access.Actor{Person: id, Via: "test", Account: string(id)}
}

// submit asks for a role in good words.
func (w *world) submit(who access.PersonID, role access.RoleID) *access.Record {
	w.t.Helper()
	rec, err := w.service.Submit(w.t.Context(), by(who), workflows.Ask{Role: role, Justification: "INC-4711 fix replication"})
	if err != nil {
		w.t.Fatalf("%s asks for %s: %v", who, role, err)
	}
	return rec
}

func (w *world) decide(who access.PersonID, id access.RequestID, v access.Verdict) error {
	_, err := w.service.Decide(w.t.Context(), by(who), id, workflows.Decision{Verdict: v, Reason: "because"})
	return err
}

func (w *world) approve(who access.PersonID, id access.RequestID) {
	w.t.Helper()
	if err := w.decide(who, id, access.Approve); err != nil {
		w.t.Fatalf("%s approves %s: %v", who, id, err)
	}
}

func (w *world) get(id access.RequestID) *access.Record {
	w.t.Helper()
	rec, err := w.store.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

// eventually waits until a condition holds; the test's own time-out is the only limit that matters.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute) // with the race detector, beside a hundred other tests
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("it never came to pass that %s", what)
		case <-tick.C:
		}
	}
}

// whileTimePasses waits for what takes several tries, of which each sets the time of the next when it is over.
func (w *world) whileTimePasses(what string, holds func() bool) {
	w.t.Helper()
	w.eventually(what, func() bool {
		w.clock.Advance(time.Second)
		return holds()
	})
}

func (w *world) reaches(id access.RequestID, s access.State) *access.Record {
	w.t.Helper()
	w.eventually(fmt.Sprintf("request %s is %s", id, s), func() bool { return w.get(id).State == s })
	return w.get(id)
}

// active brings a request for a role to active.
func (w *world) active(who access.PersonID, role access.RoleID) *access.Record {
	w.t.Helper()
	rec := w.submit(who, role)
	w.approve("lea", rec.ID)
	return w.reaches(rec.ID, access.Active)
}

// events are the undrained events of a request, or of all for "".
func (w *world) events(id access.RequestID) []audit.Event {
	w.t.Helper()
	all, err := w.store.Undrained(w.t.Context(), 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e audit.Event) bool { return id != "" && e.Request != id })
}

func kinds(events []audit.Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Kind)
	}
	return out
}

// refusedWith fails the test unless err is a refusal of that kind and code.
func refusedWith(t *testing.T, err error, kind error, code string) {
	t.Helper()
	var r *access.Refusal
	if !errors.As(err, &r) || !errors.Is(err, kind) || r.Code != code {
		t.Fatalf("got %v, want a refusal %s (%v)", err, code, kind)
	}
	if r.Text == "" {
		t.Errorf("the refusal %s says nothing to people", code)
	}
}

// refused tells whether an error is a refusal, in words for people.
func refused(err error) bool {
	var one *access.Refusal
	var many access.Problems
	return errors.As(err, &one) || errors.As(err, &many)
}
