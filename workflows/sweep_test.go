package workflows_test

import (
	"context"
	"fmt"
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

func TestWhatIsOursAndHasNoGrantIsTakenAwayWithEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.set(access.Person{ID: "ana", Email: "ana@example.com", Groups: []string{"sre"}, Accounts: map[string]string{"db": "ana_lima"}})
	w.stray(w.db, "ana_lima", "db-admin")
	w.db.Plant("ben", "db-admin")
	w.run()
	m, _ := w.sweeper("one")
	w.eventually("it is taken away", func() bool { return !w.db.Holds("ana_lima", "db-admin") })
	var rec *access.Record
	w.eventually("its record has ended", func() bool {
		found := w.found()
		if len(found) == 1 {
			rec = found[0]
		}
		return rec != nil && rec.State == access.Ended
	})
	if rec.Requester != access.System || rec.Person != "ana" || rec.Account != "ana_lima" || rec.Email != "ana@example.com" || rec.Policy != "one" ||
		rec.Role.ID != "db-admin" || rec.Removal == nil || rec.Removal.Was != access.Removed || rec.VerifiedAt.IsZero() {
		t.Errorf("the record is %+v, removal %+v", rec, rec.Removal)
	}
	events := w.events(rec.ID)
	if got := strings.Join(kinds(events), " "); got != "adopt close" {
		t.Errorf("the events are %q", got)
	}
	if d := events[0].Detail; d["account"] != "ana_lima" || d["grant"] != "00000-00001" || events[0].Record == nil {
		t.Errorf("the first event knows %v, record %v", d, events[0].Record)
	}
	w.sweepsAgain(m, "db")
	if n := len(w.found()); n != 1 || !w.db.Holds("ben", "db-admin") {
		t.Errorf("%d records of things found; standing access is there: %v", n, w.db.Holds("ben", "db-admin"))
	}
}

func TestLiveGrantsOfEveryStateAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	active, twin := w.active("ana", "db-admin"), w.active("ben", "db-admin-oncall")
	w.db.Plant("eve", "db-admin")
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	for _, rec := range []*access.Record{active, twin} {
		if got := w.get(rec.ID).State; got != access.Active {
			t.Errorf("%s is %s", rec.ID, got)
		}
	}
	if n := len(w.found()); n != 0 || !w.db.Holds("ana", "db-admin") || !w.db.Holds("ben", "db-admin") {
		t.Errorf("%d were found; the target has %v", n, w.db.Entries())
	}
	m.locked(func() {
		if m.missed != 0 || m.standing["db-admin"] != 1 || m.standing["db-admin-oncall"] != 1 {
			t.Errorf("missed %d, standing %v", m.missed, m.standing)
		}
	})
}

// Roles that lead to the same target are asked about once.
func TestATargetIsAskedOnceForAllItsRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asking := &asked{Connector: w.connector(w.db), by: map[string]int{}}
	w.with("db", asking)
	m, stop := w.sweeper("one")
	w.eventually("it is swept", func() bool { return m.swept("db") == 1 })
	stop()
	asking.mu.Lock()
	defer asking.mu.Unlock()
	if want := map[string]int{"db-admin": 1, "db-owner": 1, "db-reader": 1}; !maps.Equal(asking.by, want) {
		t.Errorf("the target was asked %v, want %v", asking.by, want)
	}
	if asking.most != 1 {
		t.Errorf("%d questions at once", asking.most)
	}
}

func TestTwoReplicasSweepOnceAndOneTakesOverFromTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asking := &asked{Connector: w.connector(w.db), by: map[string]int{}}
	w.with("db", asking)
	often := func(c *workflows.SweeperConfig) { c.Every = time.Second }
	first, stop := w.sweeper("one", often)
	w.eventually("the first one sweeps", func() bool { return first.swept("db") == 1 })
	second, _ := w.sweeper("two", often, func(c *workflows.SweeperConfig) { c.Lease = 30 * time.Millisecond }) // looks often
	w.eventually("the first one goes on", func() bool {
		w.clock.Advance(10 * time.Millisecond)
		return first.swept("db") >= 3
	})
	if n := second.swept("db"); n != 0 {
		t.Errorf("the second replica has swept as well, %d times", n)
	}
	stop()
	w.eventually("the second one takes over", func() bool { return second.swept("db") > 0 })
	asking.mu.Lock()
	defer asking.mu.Unlock()
	if asking.most != 1 {
		t.Errorf("%d questions at once", asking.most)
	}
}

func TestALostLeaseMakesNoSecondRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stray(w.db, "ana", "db-admin") // nobody takes it away: no runner runs
	w.sweeper("one")
	w.sweeper("two", func(c *workflows.SweeperConfig) { c.Holder = "one" }) // both believe that they hold the lease
	w.eventually("it is found", func() bool { return len(w.found()) > 0 })
	for range 30 {
		w.clock.Advance(20 * time.Second)
	}
	if n := len(w.found()); n != 1 {
		t.Errorf("%d records of one thing found", n)
	}
}

func TestHundredsOfHoldersAreSortedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	live := w.active("ana", "db-admin")
	for i := range 300 {
		if i%2 == 0 {
			w.stray(w.db, fmt.Sprintf("stray-%03d", i), "db-admin")
		} else {
			w.db.Plant(fmt.Sprintf("standing-%03d", i), "db-admin")
		}
	}
	m, _ := w.sweeper("one")
	w.eventually("only the grant and what was there before is left", func() bool { return len(w.db.Entries()) == 151 })
	w.eventually("it is swept", func() bool { return m.swept("db") > 0 })
	if got := w.get(live.ID).State; got != access.Active || !w.db.Holds("ana", "db-admin") {
		t.Errorf("the live grant is %s, held %v", got, w.db.Holds("ana", "db-admin"))
	}
	m.locked(func() {
		if m.standing["db-admin"] != 150 || m.found[false] != 150 {
			t.Errorf("standing %v, found %v", m.standing, m.found)
		}
	})
}

// A target that hangs when it is asked who holds its roles delays neither its own endings nor another's sweep.
func TestAHangingSweepDelaysNoTimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hanging := &asked{Connector: w.connector(w.db), by: map[string]int{}, hang: true}
	w.with("db", hanging)
	w.runner.PerConnector = 1
	w.run()
	m, _ := w.sweeper("one")
	w.eventually("the target hangs", func() bool {
		hanging.mu.Lock()
		defer hanging.mu.Unlock()
		return hanging.most == 1
	})
	own, other := w.active("ana", "db-admin"), w.active("ana", "web-admin")
	w.clock.Advance(time.Hour)
	w.reaches(own.ID, access.Ended)
	w.reaches(other.ID, access.Ended)
	w.eventually("the other connector is swept", func() bool { return m.swept("web") > 0 })
	if m.swept("db") != 0 {
		t.Error("the hanging target counts as swept")
	}
}

func TestNothingIsConcludedFromATargetThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	w.stray(w.db, "ben", "db-admin")
	w.db.SetFaults(demo.Faults{Refuse: true})
	m, _ := w.sweeper("one")
	w.whileTimePasses("it was asked in vain for a while", func() bool { return m.unanswered("db") > 5 })
	if n := len(w.found()); n != 0 || m.swept("db") != 0 {
		t.Errorf("%d found, swept %d times", n, m.swept("db"))
	}
	m.locked(func() {
		if m.missed != 0 {
			t.Errorf("%d grants count as missing", m.missed)
		}
	})
	w.db.SetFaults(demo.Faults{})
	w.sweepsAgain(m, "db")
	w.eventually("it is asked again", func() bool { return !w.db.Holds("ben", "db-admin") })
	if got := w.get(rec.ID).State; got != access.Active {
		t.Errorf("the live grant is %s", got)
	}
}

func TestNothingIsTakenAwayWhileTheStoreCannotBeBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stray(w.db, "ana", "db-admin")
	w.run()
	var mu sync.Mutex
	behind := fmt.Errorf("it is being rebuilt")
	m, _ := w.sweeper("one", func(c *workflows.SweeperConfig) {
		c.Believe = func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			return behind
		}
	})
	w.whileTimePasses("sweeps were put off", func() bool { return m.unanswered("db") > 5 })
	if !w.db.Holds("ana", "db-admin") || len(w.found()) != 0 {
		t.Fatal("it was taken away on the word of a store that is behind")
	}
	mu.Lock()
	behind = nil
	mu.Unlock()
	w.whileTimePasses("it is taken away then", func() bool { return !w.db.Holds("ana", "db-admin") })
}

// A grant that ends between the target's answer and the look at the store was listed, and has no live grant: that alone
// is no reason to call it found.
func TestAGrantThatEndsMeanwhileIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	slow := &asked{Connector: w.connector(w.db), by: map[string]int{}}
	slow.after = sync.OnceFunc(func() { // the list is made; before it is compared, the grant ends
		w.clock.Advance(time.Hour)
		w.reaches(rec.ID, access.Ended)
	})
	w.with("db", slow)
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	if found := w.found(); len(found) != 0 {
		t.Errorf("%d were found: %+v", len(found), found[0])
	}
}

// A target that says that it took the access away, and did not, is found out by the next sweep, and told of loudly.
func TestALieIsFoundByTheNextSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	liar := &liar{Connector: w.connector(w.db), lies: 3}
	w.with("db", liar)
	w.run()
	rec := w.active("ana", "db-admin")
	w.clock.Advance(time.Hour)
	w.reaches(rec.ID, access.Ended)
	if !w.db.Holds("ana", "db-admin") {
		t.Fatal("the target did not lie")
	}
	m, _ := w.sweeper("one")
	w.whileTimePasses("it is taken away for good", func() bool { return !w.db.Holds("ana", "db-admin") })
	w.eventually("every record of it has ended", func() bool {
		return !slices.ContainsFunc(w.found(), func(r *access.Record) bool { return r.State != access.Ended })
	})
	found := w.found()
	m.locked(func() {
		if len(found) != 3 || m.found[false] != 1 || m.found[true] != 2 {
			t.Fatalf("%d records, told of %v", len(found), m.found)
		}
	})
	if first, last := found[1].SubmittedAt.Sub(found[2].SubmittedAt), found[0].SubmittedAt.Sub(found[1].SubmittedAt); last <= 0 || first <= 0 {
		t.Errorf("the distances are %s and %s", first, last)
	}
	if !strings.Contains(found[0].Justification, "again") {
		t.Errorf("the last one says %q", found[0].Justification)
	}
}

func TestAnActivationCarriedOutAfterItsGrantHasEndedIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &late{Connector: w.connector(w.db)}
	w.with("db", target)
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.eventually("it is given up and over", func() bool {
		w.clock.Advance(5 * time.Second)
		return w.get(rec.ID).State == access.Ended
	})
	m, _ := w.sweeper("one")
	w.eventually("it is swept", func() bool { return m.swept("db") > 0 })
	target.carryOut()
	if !w.db.Holds("ana", "db-admin") {
		t.Fatal("nothing was carried out")
	}
	w.whileTimePasses("it is taken away", func() bool { return !w.db.Holds("ana", "db-admin") })
	w.eventually("with evidence", func() bool { found := w.found(); return len(found) == 1 && found[0].State == access.Ended })
	if d := w.events(w.found()[0].ID)[0].Detail; d["grant"] != string(rec.ID) {
		t.Errorf("the event does not name the grant: %v", d)
	}
}

// hopeful lists somebody who does not hold the role, and could take it at the target.
type hopeful struct{ connectors.Connector }

func (h hopeful) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	holders, err := h.Connector.Holders(ctx, role)
	return append(holders, connectors.Holder{Account: "gus", Eligible: true}), err
}

func TestWhoIsEligibleAtTheTargetHasNoStandingAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with("db", hopeful{w.connector(w.db)})
	w.db.Plant("eve", "db-admin")
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	m.locked(func() {
		if m.standing["db-admin"] != 1 {
			t.Errorf("standing access is %v; eve has it, and gus is eligible", m.standing)
		}
	})
}
