package workflows_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
)

// Whatever people do to grants that overlap, and however the target behaves meanwhile: a right is there for as long as
// a grant gives it, and goes with the last.
func TestARightIsHeldExactlyWhileAGrantGivesIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &life{world: bubbled(t), rand: rand.New(rand.NewPCG(seed, 3))}
				l.run()
				for range 40 {
					l.act()
				}
				l.settle()
				for _, id := range l.asked { // all that is left comes to its end
					time.Sleep(time.Until(l.get(id).EndsAt))
				}
				l.settle()
				if n := len(l.db.Entries()); n != 0 {
					t.Errorf("after everything has ended the target has %d entries: %v", n, l.db.Entries())
				}
			})
		})
	}
}

// life is what happens to one person's grants of one right, which two entries of the catalogue give.
type life struct {
	*world
	rand  *rand.Rand
	asked []access.RequestID
	ill   bool
}

// act does one thing at random, waits, and looks.
func (l *life) act() {
	l.t.Helper()
	switch l.rand.IntN(10) {
	case 0, 1, 2, 3:
		l.ask()
	case 4, 5:
		l.any(func(rec *access.Record) error {
			_, err := l.service.Extend(l.t.Context(), by("ana"), rec.ID, time.Duration(1+l.rand.IntN(90))*time.Minute, access.Secret{})
			return err
		})
	case 6:
		l.any(func(rec *access.Record) error {
			_, err := l.service.End(l.t.Context(), by("ana"), rec.ID, "done")
			return err
		})
	case 7, 8:
		l.ill = true
		l.db.SetFaults([]demo.Faults{{Hang: true}, {Lie: true}, {UnavailableUntil: time.Now().Add(24 * time.Hour)}}[l.rand.IntN(3)])
	case 9:
		l.settle()
	}
	time.Sleep(time.Duration(l.rand.IntN(600))*time.Second + 50*time.Millisecond)
	l.check()
}

func (l *life) ask() {
	l.t.Helper()
	rec, err := l.service.Submit(l.t.Context(), by("ana"), workflows.Ask{
		Role: []access.RoleID{"db-admin", "db-admin-oncall"}[l.rand.IntN(2)], Duration: time.Duration(5+l.rand.IntN(55)) * time.Minute,
		Justification: "INC-4711 fix replication"})
	if err != nil {
		refusalOnly(l.t, err)
		return
	}
	l.asked = append(l.asked, rec.ID)
	l.approve("lea", rec.ID)
}

// any does something to one of the requests. It may be refused in words, and only in words.
func (l *life) any(f func(*access.Record) error) {
	l.t.Helper()
	if len(l.asked) > 0 {
		refusalOnly(l.t, f(l.get(l.asked[l.rand.IntN(len(l.asked))])))
	}
}

// settle makes the target well, and waits until all that was put off has been done.
func (l *life) settle() {
	l.ill = false
	l.db.SetFaults(demo.Faults{})
	time.Sleep(3 * time.Minute)
}

func (l *life) check() {
	l.t.Helper()
	synctest.Wait()
	live := false
	for _, id := range l.asked {
		rec := l.get(id)
		live = live || rec.State == access.Active && time.Now().Before(rec.EndsAt)
	}
	held := l.db.Holds("ana", "db-admin")
	if live && !held {
		l.t.Fatal("the right is gone although a grant gives it")
	}
	if held && !live && !l.ill {
		l.t.Fatal("the right is there although no grant gives it any more")
	}
}

// The two ways in which a grant that begins meets one that ends: whoever was first at the target is waited for.
func TestAnEndingWaitsForAnActivationOfTheSameRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		slow := false
		target := &scripted{connector: w.connector(w.db), activate: func(ctx context.Context) error {
			if slow {
				time.Sleep(20 * time.Second)
			}
			return nil
		}}
		w.with("db", target)
		w.run()
		first := w.quick("db-admin", 10*time.Minute)
		time.Sleep(10*time.Minute - 5*time.Second)
		slow = true
		second := w.submit("ana", "db-admin-oncall")
		w.approve("lea", second.ID)
		time.Sleep(10 * time.Second) // the end of the first has come, the second is being given
		if n := target.deactivations(); n != 0 || w.get(first).State != access.Active {
			t.Fatalf("the first was ended under the second's activation: %s, %d calls", w.get(first).State, n)
		}
		time.Sleep(time.Minute)
		if rec := w.get(first); rec.State != access.Ended || rec.Removal.Was != access.Shared {
			t.Errorf("the first is %s, %+v", rec.State, rec.Removal)
		}
		if !w.db.Holds("ana", "db-admin") || target.deactivations() != 0 {
			t.Error("the end of the first took the second's right")
		}
	})
}

func TestAnActivationWaitsForAnEndingOfTheSameRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		target := &scripted{connector: w.connector(w.db), activate: func(context.Context) error { return nil }, slow: 20 * time.Second}
		w.with("db", target)
		w.run()
		first := w.quick("db-admin", 10*time.Minute)
		time.Sleep(10*time.Minute + 5*time.Second) // it is being taken away, by a claim that saw it alone
		second := w.submit("ana", "db-admin-oncall")
		w.approve("lea", second.ID)
		time.Sleep(5 * time.Second)
		if n := target.activations(); n != 1 {
			t.Fatalf("the second was given while the first was taken: %d calls", n)
		}
		time.Sleep(time.Minute)
		if a, b := w.get(first).State, w.get(second.ID).State; a != access.Ended || b != access.Active || !w.db.Holds("ana", "db-admin") {
			t.Errorf("the first is %s, the second %s, held %v", a, b, w.db.Holds("ana", "db-admin"))
		}
	})
}

// quick has ana hold a role for so long, in a bubble.
func (w *world) quick(role access.RoleID, d time.Duration) access.RequestID {
	w.t.Helper()
	synctest.Wait() // until the runner listens: before that a nudge is lost, and its lanes sleep for a minute
	rec, err := w.service.Submit(w.t.Context(), by("ana"), workflows.Ask{Role: role, Duration: d, Justification: "INC-4711 fix replication"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	synctest.Wait()
	if got := w.get(rec.ID).State; got != access.Active {
		w.t.Fatalf("request %s is %s", rec.ID, got)
	}
	return rec.ID
}

// A call that outlasts the time after which people are told: told they are, and the target is not called again.
func TestACallThatOutlastsOverdueEndsTheGrantOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		w.runner.CallTimeout = 5 * time.Minute
		target := &scripted{connector: w.connector(w.db), activate: func(context.Context) error { return nil }, slow: 90 * time.Second}
		w.with("db", target)
		w.run()
		id := w.quick("db-admin", 30*time.Minute)
		time.Sleep(31*time.Minute + time.Second)
		if rec := w.get(id); rec.State != access.Deactivating || !rec.Overdue {
			t.Fatalf("after a minute it is %s, overdue %v", rec.State, rec.Overdue)
		}
		time.Sleep(time.Minute)
		rec := w.get(id)
		if rec.State != access.Ended || rec.Overdue || rec.Lateness() < 90*time.Second || rec.Lateness() > 91*time.Second {
			t.Errorf("it is %s, overdue %v, %s late", rec.State, rec.Overdue, rec.Lateness())
		}
		if n := target.deactivations(); n != 1 {
			t.Errorf("the target was called %d times", n)
		}
		want := []string{"submit", "approve", "arm", "confirm", "notice", "end", "close"}
		if got := kinds(w.events(id)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("events %v, want %v", got, want)
		}
		unbroken(t, w.events(id))
		again := w.quick("db-admin", 5*time.Minute) // the right is free
		if got := w.get(again).State; got != access.Active {
			t.Errorf("the next grant of the right is %s", got)
		}
	})
}

// refusalOnly fails the test where something went wrong in other ways than a refusal to people.
func refusalOnly(t testing.TB, err error) {
	t.Helper()
	if err != nil && !refused(err) {
		t.Fatal(err)
	}
}
