package workflows_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// bundle is a role that is made of others.
func bundle(id access.RoleID, of ...any) access.Role {
	r := role(id, "bundles")
	r.Target = map[string]any{"roles": of}
	return r
}

// holds has somebody hold a role from now on.
func (w *world) holds(who access.PersonID, role access.RoleID) *access.Record {
	w.t.Helper()
	w.people.set(access.Person{ID: who, Groups: []string{"sre"}})
	rec, err := w.service.Submit(w.t.Context(), by(who), workflows.Ask{Role: role, Duration: time.Hour, Justification: "INC-4711 fix replication"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	return rec
}

// Bundles of which one part cannot be ended are looked at ever more seldom, and keep no worker while they wait.
func TestBundlesThatWaitForAPartHoldNoOtherBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := bundledAt(t, &clock{}, role("web-reader", "web"), bundle("stuck", "db-admin", "dir-admin"), bundle("fine", "web-admin", "web-reader"))
		b.runner = workflows.RunnerConfig{MaxSleep: time.Minute}
		b.run()
		stuck := make([]*access.Record, 50)
		for i := range stuck {
			stuck[i] = b.holds(access.PersonID(fmt.Sprintf("p%04d", i)), "stuck")
		}
		time.Sleep(time.Minute)
		fine := b.holds("ana", "fine")
		time.Sleep(10 * time.Second)
		began := b.get(stuck[0].ID)
		if now := b.get(fine.ID); began.State != access.Active || now.State != access.Active {
			t.Fatalf("the bundles are %s and %s", began.State, now.State)
		}
		if waited := began.ActivatedAt.Sub(began.ApprovedAt); waited > time.Second {
			t.Errorf("a bundle was active %s after its approval, though its parts take no time", waited)
		}
		b.third.SetFaults(demo.Faults{Hang: true})
		time.Sleep(time.Until(began.EndsAt) + 2*time.Second)
		if _, err := b.service.End(t.Context(), by("ana"), fine.ID, "done"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := len(b.web.Entries()); n != 0 {
			t.Errorf("a second after the end of the other bundle its parts are there: %v", b.web.Entries())
		}
		if now := b.get(fine.ID); now.State != access.Ended {
			t.Errorf("a second after its end the other bundle is %s", now.State)
		}
		time.Sleep(10 * time.Minute)
		if now := b.get(stuck[0].ID); now.State != access.Deactivating || now.Attempts > 20 {
			t.Errorf("after ten minutes a bundle that waits is %s, tried %d times", now.State, now.Attempts)
		}
		if n := len(b.db.Entries()); n != 0 {
			t.Errorf("%d of the parts that can be ended are there", n)
		}
		b.third.SetFaults(demo.Faults{})
		time.Sleep(time.Minute)
		for _, rec := range stuck {
			now, part := b.get(rec.ID), b.get(rec.Parts[1].ID)
			if now.State != access.Ended || now.EndedAt.Sub(part.EndedAt) > time.Second {
				t.Errorf("the bundle is %s, and ended %s after its last part", now.State, now.EndedAt.Sub(part.EndedAt))
			}
		}
	})
}
