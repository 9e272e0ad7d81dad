package workflows_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// running puts n active grants of a role into the store, one for each of so many people, which all end at the same
// time, without asking for each: what is tried is their end.
func (w *world) running(n int, role access.RoleID, ends time.Time) []access.RequestID {
	w.t.Helper()
	var at access.Role
	for _, r := range w.config.Roles {
		if r.ID == role {
			at = r
		}
	}
	target := w.db
	if at.Connector == "web" {
		target = w.web
	}
	ids := make([]access.RequestID, n)
	for i := range n {
		who := access.PersonID(fmt.Sprintf("p%04d", i))
		rec := &access.Record{Schema: access.Schema, Version: 7, State: access.Active, Receipt: &access.Receipt{},
			Request: access.Request{Requester: who, Person: who, Account: string(who), Role: at, Duration: time.Hour,
				Justification: "INC-4711 fix replication", SubmittedAt: noon, Policy: "one", By: by(who)},
			ActivatedAt: ends.Add(-time.Hour), EndsAt: ends, OverdueAt: ends.Add(time.Minute)}
		// An id of each minute: of a thousand of the same one two may be alike.
		rec.ID = w.store.NewID(noon.Add(time.Duration(i)*time.Minute), rec.Right())
		target.Plant(string(who), string(role))
		if ok, err := w.store.Restore(w.t.Context(), workflows.Transition{Record: rec}); err != nil || !ok {
			w.t.Fatalf("restore: %v, %v", ok, err)
		}
		ids[i] = rec.ID
	}
	return ids
}

// lateness are the delays of endings, in order; it fails the test where one has not ended.
func (w *world) lateness(ids []access.RequestID) []time.Duration {
	w.t.Helper()
	late := make([]time.Duration, len(ids))
	for i, id := range ids {
		rec := w.get(id)
		if rec.State != access.Ended {
			w.t.Fatalf("request %s is %s after %d tries", id, rec.State, rec.Attempts)
		}
		late[i] = rec.EndedAt.Sub(rec.EndsAt)
	}
	slices.Sort(late)
	return late
}

// bubbled is a world by the clock of a synctest bubble, with a runner as it is outside tests but for its polls: those of
// idle hours are not what is tried.
func bubbled(t *testing.T) *world {
	w := worldAt(t, &clock{})
	w.runner = workflows.RunnerConfig{MaxSleep: time.Minute}
	return w
}

const crowd = 1000

func TestNothingIsLostWhileATargetIsDownAndAllEndsWhenItIsBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]demo.Faults{"silent": {Hang: true}, "refusing": {UnavailableUntil: noon.Add(100 * time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { outage(t, fault) })
		})
	}
}

func outage(t *testing.T, fault demo.Faults) {
	w := bubbled(t)
	ends := time.Now().Add(time.Minute)
	ids := w.running(crowd, "db-admin", ends)
	w.db.SetFaults(fault)
	w.run()
	time.Sleep(time.Minute + time.Hour)
	worst := 0
	for _, id := range ids {
		rec := w.get(id)
		if rec.State != access.Deactivating || !rec.Overdue {
			t.Fatalf("after an hour request %s is %s, overdue %v", id, rec.State, rec.Overdue)
		}
		worst = max(worst, rec.Attempts)
	}
	if worst > 3 {
		t.Errorf("a grant was charged with %d tries although nothing answered", worst)
	}
	w.db.SetFaults(demo.Faults{})
	back := time.Now()
	time.Sleep(time.Minute)
	late := w.lateness(ids)
	t.Logf("the last of %d ended %s after the target's return; %d tries at most during the outage", crowd,
		ends.Add(late[len(late)-1]).Sub(back).Round(time.Millisecond), worst)
}

func TestACrowdAtATargetThatHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		ends := time.Now().Add(time.Minute)
		w.running(crowd, "db-admin", ends)
		w.db.SetFaults(demo.Faults{Hang: true})
		others := w.running(100, "web-admin", ends)
		later := w.running(1, "web-admin", ends.Add(10*time.Minute))
		w.run()
		time.Sleep(12 * time.Minute)
		late := append(w.lateness(others), w.lateness(later)...)
		if worst := slices.Max(late); worst > 10*time.Millisecond {
			t.Errorf("the other target's endings were up to %s late", worst)
		}
	})
}

// BenchmarkIsolation prints the lateness of 100 endings at one target, alone and while 1,000 that are due at the same
// time wait for another that hangs. It runs in real time.
func BenchmarkIsolation(b *testing.B) {
	for name, beside := range map[string]int{"alone": 0, "beside 1000 that hang": crowd} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := worldAt(b, &clock{})
				w.runner = workflows.RunnerConfig{Grace: time.Millisecond}
				ends := time.Now().Add(3*time.Second + time.Duration(beside)*10*time.Millisecond) // after all is in place
				w.running(beside, "db-admin", ends)
				w.db.SetFaults(demo.Faults{Hang: true})
				others := w.running(100, "web-admin", ends)
				stop := w.run()
				for _, id := range others {
					w.reaches(id, access.Ended)
				}
				stop()
				late := w.lateness(others)
				b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
			}
		})
	}
}
