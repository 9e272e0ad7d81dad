package workflows_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func bounded(l workflows.Limits) func(*workflows.Config) {
	return func(c *workflows.Config) { c.Limits = l }
}

func (w *world) ask(who access.PersonID, role access.RoleID) (*access.Record, error) {
	return w.service.Submit(w.t.Context(), by(who), workflows.Ask{Role: role, Justification: "INC-4711 fix replication"})
}

// limitedFor demands that a request came too often or too soon, and gives for how long.
func limitedFor(t *testing.T, err error, code, says string) time.Duration {
	t.Helper()
	refusedWith(t, err, access.ErrLimited, code)
	var r *access.Refusal
	if errors.As(err, &r); r.Wait <= 0 || !strings.Contains(r.Text, says) {
		t.Errorf("to be tried again after %s: %q, want in it: %s", r.Wait, r.Text, says)
	}
	return r.Wait
}

// refusals counts the refusals on record, by code.
func (w *world) refusals() map[string]int {
	w.t.Helper()
	all, err := w.store.Undrained(w.t.Context(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range all {
		if e.Kind == audit.Refused {
			count[e.Reason]++
		}
	}
	return count
}

// TestRequestsOfOnePersonAreCountedWithinAWindow: refused ones count, others' do not, and one refusal of a flood is put
// on record.
func TestRequestsOfOnePersonAreCountedWithinAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Person: 3, Window: time.Minute}))
	w.submit("ana", "db-admin")
	for range 2 {
		if _, err := w.ask("ana", "no-such-role"); errors.Is(err, access.ErrLimited) {
			t.Fatal(err)
		}
	}
	w.clock.Advance(18 * time.Second)
	for range 50 {
		_, err := w.ask("ana", "web-admin")
		if wait := limitedFor(t, err, "too_many_requests", "Try again in 42 seconds."); wait != 42*time.Second {
			t.Fatalf("told to wait for %s", wait)
		}
	}
	w.submit("ben", "db-admin")
	if n := w.refusals(); n["too_many_requests"] != 1 {
		t.Errorf("on record: %v", n)
	}
	w.clock.Advance(42 * time.Second)
	w.submit("ana", "web-admin")
}

// TestOnePersonCannotUseUpWhatAllHave: what the person's own limit refuses does not count for the workspace.
func TestOnePersonCannotUseUpWhatAllHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Person: 2, Workspace: 3, Window: time.Minute}))
	for range 40 {
		_, _ = w.ask("ana", "db-admin") // what comes of it is tried above
	}
	w.submit("ben", "db-admin")
	_, err := w.ask("lea", "db-admin")
	limitedFor(t, err, "too_many_requests", "from all people together")
	elsewhere := access.Actor{Person: "lea", Via: "api"}
	if _, err := w.service.Submit(t.Context(), elsewhere, workflows.Ask{Role: "db-admin"}); errors.Is(err, access.ErrLimited) {
		t.Errorf("another way in is limited too: %v", err)
	}
}

// TestLimitsAreOneForAllReplicas: two services on one store, fifty requests at once.
func TestLimitsAreOneForAllReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Person: 20, Pending: 3}))
	other, err := workflows.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	var through, often, many atomic.Int64
	var all sync.WaitGroup
	for i := range 50 {
		role := []access.RoleID{"db-admin", "db-owner", "web-admin", "db-admin-oncall"}[i%4]
		s := []*workflows.Service{w.service, other}[i/2%2]
		all.Go(func() {
			_, err := s.Submit(t.Context(), by("ana"), workflows.Ask{Role: role, Justification: "INC-4711 fix replication"})
			var r *access.Refusal
			switch errors.As(err, &r); {
			case err == nil:
				through.Add(1)
			case r == nil:
				t.Error(err)
			case r.Code == "too_many_requests":
				often.Add(1)
			case r.Code == "too_many_pending":
				many.Add(1)
			}
		})
	}
	all.Wait()
	if through.Load() > 3 || through.Load() == 0 || often.Load() != 30 {
		t.Errorf("%d are stored, %d came too often, %d were too many", through.Load(), often.Load(), many.Load())
	}
	open, _, err := w.store.List(t.Context(), workflows.Query{Open: true, Person: "ana"})
	if err != nil || int64(len(open)) != through.Load() {
		t.Errorf("%d wait, %v", len(open), err)
	}
}

// TestUndecidedRequestsAreBounded: whatever brings one to its end makes room, with nobody telling.
func TestUndecidedRequestsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Pending: 2}))
	first, second := w.submit("ana", "db-admin"), w.submit("ana", "db-owner")
	_, err := w.ask("ana", "web-admin")
	wait := limitedFor(t, err, "too_many_pending", string(first.ID))
	if want := first.DecideBy.Sub(noon); wait != want {
		t.Errorf("to be tried again after %s, and the first lapses after %s", wait, want)
	}
	if auto := w.submit("ana", "db-reader"); !auto.Auto {
		t.Errorf("a request that waits for nobody: %+v", auto)
	}
	w.submit("ben", "web-admin")
	if err := w.decide("lea", second.ID, access.Deny); err != nil {
		t.Fatal(err)
	}
	w.submit("ana", "web-admin")
	if _, err := w.ask("ana", "db-admin-oncall"); err == nil {
		t.Error("a third one waits")
	}
}

// TestAPlaceWithoutARequestIsGivenBack: a crash came between the two.
func TestAPlaceWithoutARequestIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Pending: 1}))
	if held, err := w.store.Reserve(t.Context(), "pending:ana", "07kq4-m2xp9", 1, time.Hour); err != nil || held != nil {
		t.Fatal(held, err)
	}
	_, err := w.ask("ana", "db-admin")
	limitedFor(t, err, "too_many_pending", "Try again in a second")
	w.clock.Advance(2 * time.Minute)
	w.submit("ana", "db-admin")
}

// TestNobodyAsksAgainRightAfterADenial: for the same right, under whatever name and by whomever it is asked for.
func TestNobodyAsksAgainRightAfterADenial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{CoolDown: 5 * time.Minute}))
	deny := func() {
		t.Helper()
		if err := w.decide("lea", w.submit("ana", "db-admin").ID, access.Deny); err != nil {
			t.Fatal(err)
		}
	}
	deny()
	for _, role := range []access.RoleID{"db-admin", "db-admin-oncall"} {
		_, err := w.ask("ana", role)
		limitedFor(t, err, "denied_before", "was denied by lea at 12:00 UTC. Try again from 12:05 UTC on")
	}
	_, err := w.service.Submit(t.Context(), by("ben"), workflows.Ask{Role: "db-admin", For: "ana", Justification: "INC-4711 fix replication"})
	limitedFor(t, err, "denied_before", "")
	w.submit("ana", "web-admin")
	w.submit("ben", "db-admin")
	var waits []time.Duration
	for range 9 {
		_, err := w.ask("ana", "db-admin")
		wait := limitedFor(t, err, "denied_before", "")
		waits = append(waits, wait)
		w.clock.Advance(wait)
		deny()
	}
	if want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute}; !slices.Equal(waits[:6], want) {
		t.Errorf("told to wait for %s", waits)
	}
	if slices.Max(waits) > 24*time.Hour {
		t.Errorf("told to wait for %s", waits)
	}
	w.clock.Advance(25 * time.Hour)
	w.submit("ana", "db-admin")
}

// TestDecisionsAndEndingsAreNeverLimited: whoever has used up every limit can still do both.
func TestDecisionsAndEndingsAreNeverLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bounded(workflows.Limits{Person: 1, Workspace: 1, Pending: 1, CoolDown: time.Hour}))
	w.run()
	rec := w.submit("ana", "db-admin")
	for range 20 {
		_, _ = w.ask("ben", "db-admin")
		_, _ = w.ask("ana", "db-admin")
	}
	w.approve("ben", rec.ID)
	w.reaches(rec.ID, access.Active)
	if _, err := w.service.End(t.Context(), by("ana"), rec.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.reaches(rec.ID, access.Ended)
}

// TestTypedNamesGoOnRecordCleaned: what is no role and no person is kept short, and without what hides.
func TestTypedNamesGoOnRecordCleaned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strange := access.RoleID("db\u202e-admin\n\x1b[31m" + strings.Repeat("x", 9000))
	if _, err := w.ask("ana", strange); !errors.Is(err, access.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", For: access.PersonID(strange)}); err == nil {
		t.Fatal("for whom?")
	}
	all, err := w.store.Undrained(t.Context(), 10)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, e := range all {
		for _, kept := range []string{string(e.Role), string(e.Person)} {
			if len(kept) > 127 || strings.ContainsAny(kept, "\u202e\n\x1b") {
				t.Errorf("on record: %+q", kept)
			}
		}
	}
	_, err = w.ask("ana", "db-аdmin") // the first a is Cyrillic
	var r *access.Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Text, "U+0430") {
		t.Errorf("a look-alike is answered: %v", err)
	}
}
