package workflows_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

func TestAnEndingIsRetriedUntilTheTargetHasDoneIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	w.db.SetFaults(demo.Faults{UnavailableUntil: noon.Add(3 * time.Hour)})
	w.clock.Advance(time.Hour)
	w.eventually("it is overdue, and has been tried often", func() bool {
		w.clock.Advance(5 * time.Second)
		r := w.get(rec.ID)
		return r.Overdue && r.Attempts > 20
	})
	if got := w.get(rec.ID); got.State != access.Deactivating || got.LastError == "" {
		t.Fatalf("while the target is down: %s, last error %q", got.State, got.LastError)
	}
	w.db.SetFaults(demo.Faults{})
	w.whileTimePasses("it has ended", func() bool { return w.get(rec.ID).State == access.Ended })
	rec = w.get(rec.ID)
	if w.db.Holds("ana", "db-admin") || rec.Overdue || rec.Lateness() <= 0 {
		t.Errorf("held %v, overdue %v, late %s", w.db.Holds("ana", "db-admin"), rec.Overdue, rec.Lateness())
	}
}

func TestATargetThatLiesIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	w.db.SetFaults(demo.Faults{Lie: true})
	w.clock.Advance(time.Hour)
	w.eventually("the lie was found", func() bool { return w.get(rec.ID).Attempts > 0 })
	w.db.SetFaults(demo.Faults{})
	w.whileTimePasses("it has ended", func() bool { return w.get(rec.ID).State == access.Ended })
	if w.db.Holds("ana", "db-admin") {
		t.Error("ended on the target's word alone")
	}
}

func TestAnActivationThatTheTargetRefusesFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refusing := &scripted{connector: w.connector(w.db), activate: func(context.Context) error {
		return &connectors.Error{Kind: connectors.Denied, Op: "grant", Err: errors.New("not allowed to grant that")}
	}}
	w.with("db", refusing)
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	rec = w.reaches(rec.ID, access.Failed)
	if refusing.deactivations() != 1 {
		t.Errorf("read back %d times before it was called failed", refusing.deactivations())
	}
	if rec.Reason == "" || rec.Receipt != nil {
		t.Errorf("failed because %q, with receipt %v", rec.Reason, rec.Receipt)
	}
}

// "Not found" may be the answer of a broken route as well as of a target that has no such person: only a target that was
// read proves that nothing was given.
func TestARefusedActivationThatCannotBeReadBackIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := &connectors.Error{Kind: connectors.NotFound, Op: "call", Err: errors.New("no such page")}
	lost := &scripted{connector: w.connector(w.db), activate: func(context.Context) error { return gone }, deactivate: gone}
	w.with("db", lost)
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Deactivating)
	lost.heal()
	w.whileTimePasses("it is read back in the end", func() bool { return w.get(rec.ID).State == access.Ended })
}

func TestAnActivationThatCannotHappenInTimeIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.SetFaults(demo.Faults{UnavailableUntil: noon.Add(24 * time.Hour)})
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.eventually("it is given up", func() bool {
		w.clock.Advance(5 * time.Second)
		return w.get(rec.ID).State == access.Deactivating
	})
	w.db.SetFaults(demo.Faults{})
	w.whileTimePasses("it has ended", func() bool { return w.get(rec.ID).State == access.Ended })
}

func TestWhatWasThereBeforeStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.Plant("ana", "db-admin")
	w.run()
	rec := w.active("ana", "db-admin")
	if rec.Receipt == nil || !rec.Receipt.Already {
		t.Fatalf("standing access was not seen: %+v", rec.Receipt)
	}
	w.clock.Advance(time.Hour)
	rec = w.reaches(rec.ID, access.Ended)
	if !w.db.Holds("ana", "db-admin") || rec.Removal.Was != access.Standing {
		t.Errorf("standing access: held %v, removal %+v", w.db.Holds("ana", "db-admin"), rec.Removal)
	}
}

// Two grants of one right, through two catalogue entries: the first end keeps it, the last takes it away.
func TestOverlappingGrantsKeepTheRightUntilTheLastEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	first := w.active("ana", "db-admin")
	w.clock.Advance(30 * time.Minute)
	second := w.active("ana", "db-admin-oncall")
	if second.Receipt.Already {
		t.Fatal("what the first grant gave counts as standing access for the second: it would never be taken away")
	}
	w.clock.Advance(30 * time.Minute)
	first = w.reaches(first.ID, access.Ended)
	if !w.db.Holds("ana", "db-admin") || first.Removal.Was != access.Shared {
		t.Fatalf("after the first end: held %v, removal %+v", w.db.Holds("ana", "db-admin"), first.Removal)
	}
	w.clock.Advance(30 * time.Minute)
	second = w.reaches(second.ID, access.Ended)
	if w.db.Holds("ana", "db-admin") || second.Removal.Was != access.Removed {
		t.Errorf("after the last end: held %v, removal %+v", w.db.Holds("ana", "db-admin"), second.Removal)
	}
}

func TestATargetThatHangsDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runner.PerConnector = 2
	w.run()
	var hung []access.RequestID
	for _, who := range []access.PersonID{"cai", "dan", "edo", "fay", "ana"} {
		w.people.set(access.Person{ID: who, Groups: []string{"sre"}})
		hung = append(hung, w.active(who, "db-admin").ID)
	}
	other := w.active("ana", "web-admin")
	w.db.SetFaults(demo.Faults{Hang: true})
	w.clock.Advance(time.Hour)
	w.reaches(other.ID, access.Ended)
	for _, id := range hung {
		if got := w.get(id).State; got != access.Active {
			t.Errorf("request %s is %s although its target says nothing", id, got)
		}
	}
	w.clock.Advance(time.Minute)
	for _, id := range hung { // also those that no worker was free for
		w.reaches(id, access.Deactivating)
		w.eventually("it is overdue", func() bool { return w.get(id).Overdue })
	}
	w.db.SetFaults(demo.Faults{})
}

func TestWithoutSafeStateOrEvidenceNothingIsGivenAndAllIsTaken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var broken error
	w := newWorld(t, func(c *workflows.Config) {
		c.AuditHealthy = func() error {
			mu.Lock()
			defer mu.Unlock()
			return broken
		}
	})
	w.runner.Lease = 20 * time.Second
	w.run()
	before := w.active("ana", "db-admin")
	mu.Lock()
	broken = errors.New("the disk is full")
	mu.Unlock()
	rec := w.submit("ben", "db-admin")
	w.approve("lea", rec.ID)
	w.clock.Advance(15 * time.Minute)
	if _, err := w.service.End(t.Context(), by("ana"), before.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.reaches(before.ID, access.Ended)
	if got := w.get(rec.ID).State; got != access.Approved || w.db.Holds("ben", "db-admin") {
		t.Fatalf("without evidence it is %s, held %v", got, w.db.Holds("ben", "db-admin"))
	}
	mu.Lock()
	broken = nil
	mu.Unlock()
	w.clock.Advance(20 * time.Second)
	w.reaches(rec.ID, access.Active)
}

func TestAGrantWhoseEndIsPastIsNotGivenAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counting := &scripted{connector: w.connector(w.db), activate: func(context.Context) error {
		return &connectors.Error{Kind: connectors.Unavailable, Op: "call", RetryAfter: 10 * time.Minute}
	}}
	w.with("db", counting)
	stop := w.run()
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Duration: time.Minute, Justification: "a short look at it"})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.eventually("it was tried once", func() bool { return w.get(rec.ID).Attempts == 1 })
	stop()
	w.clock.Advance(time.Hour)
	w.run()
	rec = w.reaches(rec.ID, access.Ended)
	if n := counting.activations(); n != 1 || !rec.ActivatedAt.IsZero() {
		t.Errorf("%d activations, active from %s", n, rec.ActivatedAt)
	}
}

func TestEndingsOfAConnectorThatIsGoneAreToldOfAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.run()
	rec := w.active("ana", "db-admin")
	stop()
	all := w.config
	w.config.Connectors = map[string]connectors.Connector{"web": all.Connectors["web"]}
	w.config.Roles = slices.DeleteFunc(slices.Clone(all.Roles), func(r access.Role) bool { return r.Connector != "web" })
	stop = w.sibling()
	w.clock.Advance(time.Hour)
	if got := w.get(rec.ID).State; got != access.Active {
		t.Fatalf("at its end it is %s", got)
	}
	w.clock.Advance(time.Minute)
	w.reaches(rec.ID, access.Deactivating)
	w.eventually("people are told", func() bool { return w.get(rec.ID).Overdue })
	if got := w.get(rec.ID).LastError; !strings.Contains(got, `"db" is not configured`) {
		t.Errorf("they are told %q", got)
	}
	stop()
	w.run()
	w.reaches(rec.ID, access.Ended)
}

// A process is paused in the middle of Activate until after the grant has ended elsewhere; what it then gives is
// taken back at once.
func TestAnActivationThatComesTooLateIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paused, resumed := make(chan struct{}), make(chan struct{})
	target := w.connector(w.db)
	var first sync.Once
	slow := &scripted{connector: target, activate: func(context.Context) error {
		once := false
		first.Do(func() { once = true })
		if once {
			close(paused)
			<-resumed
		}
		return nil
	}}
	w.with("db", slow)
	stop := w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	<-paused
	w.clock.Advance(2 * time.Hour) // the lease is lost, the end is past
	w.config.Connectors = map[string]connectors.Connector{"db": target, "web": w.connector(w.web)}
	other := w.sibling()
	w.eventually("another replica has ended it", func() bool { return w.get(rec.ID).State == access.Ended })
	before := slow.deactivations()
	close(resumed)
	w.eventually("the late activation is taken back", func() bool { return slow.deactivations() > before && len(w.db.Entries()) == 0 })
	stop()
	other()
	if n := len(w.db.Entries()); n != 0 {
		t.Errorf("the target has %d entries", n)
	}
}

func TestReplicasShareTheWorkAndDoEachThingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counting := &scripted{connector: w.connector(w.db), activate: func(context.Context) error { return nil }}
	w.with("db", counting)
	w.run()
	w.sibling()
	var ids []access.RequestID
	for i := range 100 {
		who := access.PersonID("sre-" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		w.people.set(access.Person{ID: who, Groups: []string{"sre"}})
		rec := w.submit(who, "db-admin")
		w.approve("lea", rec.ID)
		ids = append(ids, rec.ID)
	}
	for _, id := range ids {
		w.reaches(id, access.Active)
	}
	w.clock.Advance(time.Hour)
	for _, id := range ids {
		w.reaches(id, access.Ended)
		unbroken(t, w.events(id))
	}
	if a, d := counting.activations(), counting.deactivations(); a != 100 || d != 100 {
		t.Errorf("%d activations and %d deactivations of 100 grants", a, d)
	}
	if n := len(w.db.Entries()); n != 0 {
		t.Errorf("the target has %d entries left", n)
	}
}

func TestAStoppedRunnerLeavesNothingBehindAndTheNextGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.run()
	rec := w.active("ana", "db-admin")
	stop()
	w.clock.Advance(time.Hour)
	if got := w.get(rec.ID).State; got != access.Active {
		t.Fatalf("with no runner it became %s", got)
	}
	w.run()
	w.reaches(rec.ID, access.Ended)
}

func TestTheDigestTellsWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	late := w.active("ana", "db-admin")
	w.db.SetFaults(demo.Faults{UnavailableUntil: noon.Add(time.Hour + 2*time.Minute)})
	w.clock.Advance(time.Hour)
	w.eventually("it ended late", func() bool {
		w.clock.Advance(5 * time.Second)
		return w.get(late.ID).State == access.Ended
	})
	holding := w.submit("ben", "web-admin")
	w.clock.Advance(2 * time.Minute)
	w.approve("leo", holding.ID)
	w.reaches(holding.ID, access.Active)
	denied := w.submit("ana", "web-admin")
	if err := w.decide("leo", denied.ID, access.Deny); err != nil {
		t.Fatal(err)
	}
	d, err := w.service.Digest(t.Context(), noon, noon.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if d.Outcomes[access.Ended] != 1 || d.Outcomes[access.Active] != 1 || d.Outcomes[access.Denied] != 1 {
		t.Errorf("outcomes %v", d.Outcomes)
	}
	if len(d.Late) != 1 || d.Late[0].Request != late.ID || len(d.Holding) != 1 || d.Holding[0].Request != holding.ID || len(d.Overdue) != 0 {
		t.Errorf("late %v, holding %v, overdue %v", d.Late, d.Holding, d.Overdue)
	}
	if len(d.Approvers) != 2 || d.Approvers[0].Person != "leo" || d.Approvers[0].Decisions != 2 || d.Approvers[0].Median != 2*time.Minute {
		t.Errorf("approvers %+v", d.Approvers)
	}
	before, err := w.service.Digest(t.Context(), noon.Add(-24*time.Hour), noon)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Outcomes) != 0 || len(before.Late) != 0 || len(before.Approvers) != 0 {
		t.Errorf("the day before has %+v", before)
	}
}

// with replaces a connector and makes the service anew. What runs already keeps the connectors it has.
func (w *world) with(name string, c connectors.Connector) {
	w.t.Helper()
	w.config.Connectors = maps.Clone(w.config.Connectors)
	w.config.Connectors[name] = c
	var err error
	if w.service, err = workflows.New(w.config); err != nil {
		w.t.Fatal(err)
	}
}

// sibling runs another replica on the same store.
func (w *world) sibling() (stop func()) {
	w.t.Helper()
	other := *w
	var err error
	if other.service, err = workflows.New(w.config); err != nil {
		w.t.Fatal(err)
	}
	return other.run()
}

// scripted puts something before a connector's Activate, and counts calls.
type scripted struct {
	connector  connectors.Connector
	activate   func(context.Context) error
	mu         sync.Mutex
	deactivate error         // what Deactivate answers; nil: what the connector does
	slow       time.Duration // that Deactivate takes
	calls      []string
}

func (s *scripted) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deactivate = nil
}

func (s *scripted) count(verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, verb)
}

func (s *scripted) called(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.calls), func(v string) bool { return v != verb }))
}

func (s *scripted) activations() int   { return s.called("activate") }
func (s *scripted) deactivations() int { return s.called("deactivate") }

func (s *scripted) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	s.count("activate")
	if err := s.activate(ctx); err != nil {
		return access.Receipt{}, err
	}
	return s.connector.Activate(context.WithoutCancel(ctx), g)
}

func (s *scripted) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	s.count("deactivate")
	time.Sleep(s.slow)
	s.mu.Lock()
	err := s.deactivate
	s.mu.Unlock()
	if err != nil {
		return access.Removal{}, err
	}
	return s.connector.Deactivate(context.WithoutCancel(ctx), g, r)
}

func (s *scripted) Holders(ctx context.Context, r access.Role) ([]connectors.Holder, error) {
	return s.connector.Holders(ctx, r)
}

func (s *scripted) Check(ctx context.Context) error { return s.connector.Check(ctx) }
