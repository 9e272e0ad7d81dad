package workflows_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func TestARequestLivesItsWholeLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.submit("ana", "db-admin")
	if rec.State != access.Pending || w.db.Holds("ana", "db-admin") {
		t.Fatalf("after asking: state %s, held %v", rec.State, w.db.Holds("ana", "db-admin"))
	}
	w.approve("lea", rec.ID)
	rec = w.reaches(rec.ID, access.Active)
	if !w.db.Holds("ana", "db-admin") {
		t.Fatal("active, and the target does not know")
	}
	if want := noon.Add(time.Hour); !rec.EndsAt.Equal(want) {
		t.Fatalf("ends at %s, want %s", rec.EndsAt, want)
	}
	w.clock.Advance(50 * time.Minute)
	w.eventually("the holder is told of the end", func() bool { return slices.Contains(kinds(w.events(rec.ID)), "notice") })
	w.clock.Advance(10*time.Minute - time.Millisecond)
	if got := w.get(rec.ID).State; got != access.Active {
		t.Fatalf("a millisecond before its end it is %s", got)
	}
	w.clock.Advance(time.Millisecond)
	rec = w.reaches(rec.ID, access.Ended)
	if w.db.Holds("ana", "db-admin") {
		t.Fatal("ended, and the target still gives it")
	}
	if rec.Removal == nil || rec.Removal.Was != access.Removed || rec.VerifiedAt.IsZero() || rec.Lateness() != 0 {
		t.Fatalf("no proof of the end: %+v, verified %s, late %s", rec.Removal, rec.VerifiedAt, rec.Lateness())
	}
	want := []string{"submit", "approve", "arm", "confirm", "notice", "close"}
	if got := kinds(w.events(rec.ID)); !reflect.DeepEqual(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	unbroken(t, w.events(rec.ID))
}

// unbroken checks that each event starts where the one before it ended, with versions one apart.
func unbroken(t *testing.T, events []audit.Event) {
	t.Helper()
	state, version := access.None, int64(0)
	for _, e := range events {
		if e.Kind == audit.Refused {
			continue
		}
		if e.From != state || e.Version != version+1 {
			t.Errorf("%s starts from %q version %d, after %q version %d", e.Kind, e.From, e.Version, state, version)
		}
		if e.Actor.Person == "" || e.At.IsZero() {
			t.Errorf("%s does not say who or when: %+v", e.Kind, e)
		}
		state, version = e.To, e.Version
	}
}

func TestAnUndecidedRequestRemindsAndLapses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.submit("ana", "db-admin")
	w.clock.Advance(15 * time.Minute)
	w.eventually("approvers are reminded", func() bool { return slices.Contains(kinds(w.events(rec.ID)), "remind") })
	w.clock.Advance(15 * time.Minute)
	w.reaches(rec.ID, access.Lapsed)
	refusedWith(t, w.decide("lea", rec.ID, access.Approve), access.ErrConflict, "already_settled")
}

func TestTheLastMillisecondBelongsToTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // no runner: the lapse has not been worked yet
	rec := w.submit("ana", "db-admin")
	w.clock.Advance(30 * time.Minute)
	refusedWith(t, w.decide("lea", rec.ID, access.Approve), access.ErrConflict, "lapsed")
}

func TestThePolicyApprovesByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-reader", Justification: "look"})
	if err != nil {
		t.Fatal(err)
	}
	rec = w.reaches(rec.ID, access.Active)
	if len(rec.Decisions) != 1 || rec.Decisions[0].Method != "policy" || rec.Decisions[0].By.Person != access.System {
		t.Errorf("decided by %+v", rec.Decisions)
	}
	asks, err := w.service.Submit(t.Context(), by("eve"), workflows.Ask{Role: "db-reader", Justification: "look"})
	if err != nil {
		t.Fatal(err)
	}
	if asks.Auto || asks.State != access.Pending {
		t.Errorf("whom the rule does not name got %s, auto %v", asks.State, asks.Auto)
	}
	w.approve("lea", asks.ID)
}

func TestAScheduledRequestStartsAtItsHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Justification: "tonight's migration", Start: noon.Add(3 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Scheduled)
	w.clock.Advance(3*time.Hour - time.Millisecond)
	if w.db.Holds("ana", "db-admin") {
		t.Fatal("given before its hour")
	}
	w.clock.Advance(time.Millisecond)
	rec = w.reaches(rec.ID, access.Active)
	if want := noon.Add(4 * time.Hour); !rec.EndsAt.Equal(want) {
		t.Errorf("ends at %s, want %s: the duration counts from activation", rec.EndsAt, want)
	}
}

func TestWhoeverMayNoLongerHoldTheRoleDoesNotGetIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.people.set(access.Person{ID: "ana"}) // has left the group
	w.run()
	rec = w.reaches(rec.ID, access.Cancelled)
	if w.db.Holds("ana", "db-admin") || rec.Closed.Person != access.System {
		t.Errorf("held %v, closed by %v", w.db.Holds("ana", "db-admin"), rec.Closed)
	}
}

func TestHoldersAndApproversEndAccessEarlyAndStrangersDoNot(t *testing.T) {
	t.Parallel()
	for who, allowed := range map[access.PersonID]bool{"ana": true, "lea": true, "root": true, "eve": false} {
		t.Run(string(who), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.run()
			rec := w.active("ana", "db-admin")
			_, err := w.service.End(t.Context(), by(who), rec.ID, "done")
			if !allowed {
				refusedWith(t, err, access.ErrNotAllowed, "not_yours")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			rec = w.reaches(rec.ID, access.Ended)
			if w.db.Holds("ana", "db-admin") || rec.Closed.Person != who || rec.Reason != "done" {
				t.Errorf("held %v, closed by %v because %q", w.db.Holds("ana", "db-admin"), rec.Closed, rec.Reason)
			}
		})
	}
}

func TestARequestIsTakenBackUntilItIsActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.submit("ana", "db-admin")
	if _, err := w.service.Cancel(t.Context(), by("ben"), pending.ID); !errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("ben cancels ana's request: %v", err)
	}
	if _, err := w.service.Cancel(t.Context(), by("ana"), pending.ID); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, w.decide("lea", pending.ID, access.Approve), access.ErrConflict, "already_settled")
	approved := w.submit("ana", "db-admin")
	w.approve("lea", approved.ID)
	if _, err := w.service.Cancel(t.Context(), by("ana"), approved.ID); err != nil {
		t.Fatal(err)
	}
	w.run()
	running := w.active("ana", "web-admin")
	_, err := w.service.Cancel(t.Context(), by("ana"), running.ID)
	refusedWith(t, err, access.ErrConflict, "already_active")
	if w.db.Holds("ana", "db-admin") {
		t.Error("a cancelled request was activated")
	}
}

func TestCancellingWhileTheTargetHangsTakesItBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.SetFaults(demo.Faults{Hang: true})
	w.runner.CallTimeout = 50 * time.Millisecond
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Activating)
	w.eventually("ana has taken it back", func() bool {
		_, err := w.service.Cancel(t.Context(), by("ana"), rec.ID)
		return err == nil
	})
	w.db.SetFaults(demo.Faults{})
	w.eventually("it has ended", func() bool {
		w.clock.Advance(time.Minute)
		return w.get(rec.ID).State == access.Ended
	})
	if w.db.Holds("ana", "db-admin") {
		t.Error("the target still gives it")
	}
}

func TestExtendingMovesTheEndWithinTheBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	_, err := w.service.Extend(t.Context(), by("ben"), rec.ID, time.Hour, access.Secret{})
	refusedWith(t, err, access.ErrNotAllowed, "not_yours")
	if may := w.service.Allowed(t.Context(), "ana", rec); may.Room != 5*time.Hour {
		t.Errorf("there is room for %s", may.Room)
	}
	_, err = w.service.Extend(t.Context(), by("ana"), rec.ID, 5*time.Hour+time.Second, access.Secret{})
	refusedWith(t, err, access.ErrInvalid, "too_long")
	_, err = w.service.Extend(t.Context(), by("ana"), rec.ID, -time.Hour, access.Secret{})
	refusedWith(t, err, access.ErrInvalid, "bad_duration")
	if _, err = w.service.Extend(t.Context(), by("ana"), rec.ID, 5*time.Hour, access.Secret{}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(6*time.Hour - time.Millisecond)
	if got := w.get(rec.ID).State; got != access.Active {
		t.Fatalf("before its new end it is %s", got)
	}
	w.clock.Advance(time.Millisecond)
	w.reaches(rec.ID, access.Ended)
}
