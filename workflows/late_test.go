package workflows_test

import (
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// While the target says nothing, a grant whose end has come is there, and is neither extended nor shown as running on.
func TestAGrantWhoseEndHasComeIsNotExtended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		w.run()
		id := w.quick("db-admin", 30*time.Minute)
		w.db.SetFaults(demo.Faults{Hang: true})
		time.Sleep(30*time.Minute + 10*time.Second)
		rec := w.get(id)
		if rec.State != access.Active || !rec.Ending(time.Now()) {
			t.Fatalf("it is %s, ending %v", rec.State, rec.Ending(time.Now()))
		}
		_, err := w.service.Extend(t.Context(), by("ana"), id, time.Hour, access.Secret{})
		refusedWith(t, err, access.ErrConflict, "too_late")
		if may := w.service.Allowed(t.Context(), "ana", rec); may.Extend || may.End {
			t.Errorf("offered are %+v", may)
		}
		if got := w.get(id).EndsAt; !got.Equal(rec.EndsAt) {
			t.Errorf("the end moved to %s", got)
		}
	})
}

// The store's clock, or a claim at the same moment, may know of the end before we do.
func TestAnExtensionThatLosesTheRaceAgainstTheEndIsRefusedInWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		stop := w.run()
		id := w.quick("db-admin", 30*time.Minute)
		stop()
		time.Sleep(30*time.Minute + time.Second)
		slow := w.config
		slow.Now = func() time.Time { return time.Now().Add(-5 * time.Second) }
		behind, err := workflows.New(slow)
		if err != nil {
			t.Fatal(err)
		}
		_, err = behind.Extend(t.Context(), by("ana"), id, time.Hour, access.Secret{})
		refusedWith(t, err, access.ErrConflict, "too_late")
	})
}

// Activations that wait behind a target which does not answer get their whole time once they begin, and none begins
// after its time to start.
func TestAnActivationThatWaitedGetsItsWholeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		w.db.SetFaults(demo.Faults{UnavailableUntil: time.Now().Add(time.Hour)})
		w.run()
		var ids []access.RequestID
		for _, who := range []access.PersonID{"cai", "dan", "edo", "fay", "gus", "hal", "ina", "jon", "kim", "ana"} {
			w.people.set(access.Person{ID: who, Groups: []string{"sre"}})
			rec, err := w.service.Submit(t.Context(), by(who), workflows.Ask{Role: "db-admin", Duration: time.Hour, Justification: "INC-4711 fix replication"})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.ID)
			w.approve("lea", rec.ID)
		}
		time.Sleep(3 * time.Minute)
		w.db.SetFaults(demo.Faults{})
		time.Sleep(time.Minute)
		for _, id := range ids {
			rec := w.get(id)
			if rec.State != access.Active {
				t.Fatalf("request %s is %s after %d tries", id, rec.State, rec.Attempts)
			}
			if got := rec.EndsAt.Sub(rec.ActivatedAt); got < 59*time.Minute {
				t.Errorf("request %s lasts %s", id, got)
			}
		}
	})
}
