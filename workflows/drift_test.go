package workflows_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func TestAMissingGrantIsReportedOnceAndNotRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	gone, stays := w.active("ana", "db-admin"), w.active("ben", "db-admin")
	w.db.Withdraw("ana", "db-admin")
	w.clock.Advance(time.Minute)
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	w.sweepsAgain(m, "db")
	var drift int
	for _, e := range w.events("") {
		if e.Kind != audit.Drift {
			continue
		}
		if drift++; e.Request != gone.ID || e.Person != "ana" || e.Detail["account"] != "ana" || e.Actor.Person != access.System {
			t.Errorf("the event is %+v", e)
		}
	}
	if drift != 1 {
		t.Errorf("it is on record %d times", drift)
	}
	m.locked(func() {
		if m.missed != 1 {
			t.Errorf("it is counted %d times", m.missed)
		}
	})
	if notes := w.notes(gone.ID); !slices.Contains(notes, workflows.NoteMissing) {
		t.Errorf("the channel was told %v", notes)
	}
	for _, id := range []access.RequestID{gone.ID, stays.ID} {
		if got := w.get(id).State; got != access.Active {
			t.Errorf("%s is %s", id, got)
		}
	}
	if w.db.Holds("ana", "db-admin") {
		t.Error("an administrator who took the access away was overruled")
	}
	w.clock.Advance(time.Hour)
	if was := w.reaches(gone.ID, access.Ended).Removal.Was; was != access.Absent {
		t.Errorf("at its end it was %s", was)
	}
}

// What is asked for now may take a target a moment to list, and what was there before is none of the grant's.
func TestAFreshGrantAndAStandingOneAreNotMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.Plant("ana", "db-admin")
	w.run()
	w.active("ana", "db-admin")
	w.db.Withdraw("ana", "db-admin")
	w.clock.Advance(time.Minute)
	w.active("ben", "db-admin")
	w.db.Withdraw("ben", "db-admin")
	m, _ := w.sweeper("one")
	w.eventually("it is swept", func() bool { return m.swept("db") == 1 })
	m.locked(func() {
		if m.missed != 0 {
			t.Errorf("%d grants count as missing", m.missed)
		}
	})
}

// notes drains and gives the kinds of note that wait on a topic.
func (w *world) notes(topic access.RequestID) []workflows.NoteKind {
	w.t.Helper()
	var told []workflows.NoteKind
	for {
		errands, _, err := w.store.ClaimErrands(w.t.Context(), "test", 100, time.Minute)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(errands) == 0 {
			return told
		}
		for _, e := range errands {
			for len(e.Notes) > 0 {
				if e.Topic == string(topic) {
					told = append(told, e.Notes[0].Kind)
				}
				if err := w.store.Told(w.t.Context(), e, nil); err != nil {
					w.t.Fatal(err)
				}
				e.Notes = e.Notes[1:]
			}
		}
	}
}

func TestStandingAccessIsPicturedForFormsAndDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.set(access.Person{ID: "ana", Groups: []string{"sre"}, Accounts: map[string]string{"db": "ana_lima"}})
	w.db.Plant("ana_lima", "db-admin")
	w.db.Plant("carl", "db-admin")
	if o, err := w.service.Offer(t.Context(), "ana", "db-admin"); err != nil || !o.HeldBesides.IsZero() {
		t.Fatalf("before anybody looked: %v, %v", o.HeldBesides, err)
	}
	m, _ := w.sweeper("one")
	w.eventually("it is swept", func() bool { return m.swept("db") == 1 })
	began := w.clock.Now()
	for _, role := range []access.RoleID{"db-admin", "db-admin-oncall"} { // one target
		if o, err := w.service.Offer(t.Context(), "ana", role); err != nil || o.HeldBesides.IsZero() {
			t.Errorf("%s: the form does not say that ana holds it: %v", role, err)
		}
	}
	for person, role := range map[access.PersonID]access.RoleID{"ben": "db-admin", "ana": "db-owner"} {
		if o, err := w.service.Offer(t.Context(), person, role); err != nil || !o.HeldBesides.IsZero() {
			t.Errorf("the form says that %s holds %s: %v", person, role, err)
		}
	}
	w.clock.Advance(time.Minute)
	w.db.Withdraw("carl", "db-admin")
	w.db.Plant("dora", "db-admin")
	w.sweepsAgain(m, "db")
	d, err := w.service.Digest(t.Context(), began.Add(time.Second), w.clock.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.Standing, func(s workflows.DigestStanding) bool { return s.Role == "db-admin" })
	if i < 0 || d.Standing[i].Holders != 2 || !slices.Equal(d.Standing[i].New, []string{"dora"}) || !slices.Equal(d.Standing[i].Gone, []string{"carl"}) {
		t.Errorf("the digest says %+v", d.Standing)
	}
	if i := slices.IndexFunc(d.Standing, func(s workflows.DigestStanding) bool { return s.Role == "db-owner" }); i >= 0 {
		t.Errorf("the digest has a line about nobody: %+v", d.Standing[i])
	}
}

func TestWhatWasFoundIsNoRequestInTheDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stray(w.db, "ana", "db-admin")
	w.sweeper("one")
	w.eventually("it is found", func() bool { return len(w.found()) == 1 })
	d, err := w.service.Digest(t.Context(), noon, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Outcomes) != 0 || len(d.Holding) != 0 || len(d.Found) != 1 || d.Found[0].Person != "ana" {
		t.Errorf("outcomes %v, holding %v, found %v", d.Outcomes, d.Holding, d.Found)
	}
}

// What a sweep found is nobody's request: there is nothing to cancel, end, extend or decide, for administrators either.
func TestNobodyCanTurnWhatWasFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stray(w.db, "ana", "db-admin")
	w.sweeper("one")
	w.eventually("it is found", func() bool { return len(w.found()) == 1 })
	id := w.found()[0].ID
	for _, who := range []access.PersonID{"ana", "lea", "root"} {
		rec, err := w.service.Request(t.Context(), who, id)
		if who == "lea" { // approvers of nothing
			refusedWith(t, err, access.ErrNotFound, "no_such_request")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if may := w.service.Allowed(t.Context(), who, rec); may.Decide || may.Cancel || may.End || may.Extend {
			t.Errorf("%s may %+v", who, may)
		}
		_, cancel := w.service.Cancel(t.Context(), by(who), id)
		_, end := w.service.End(t.Context(), by(who), id, "")
		_, extend := w.service.Extend(t.Context(), by(who), id, time.Hour, access.Secret{})
		decide := w.decide(who, id, access.Approve)
		for verb, err := range map[string]error{"cancel": cancel, "end": end, "extend": extend, "decide": decide} {
			if err == nil {
				t.Errorf("%s can %s it", who, verb)
			}
		}
	}
	if approvers, err := w.service.Approvers(t.Context(), w.found()[0]); err != nil || len(approvers) != 0 {
		t.Errorf("approvers %v, %v", approvers, err)
	}
	if got := w.get(id).State; got != access.Deactivating {
		t.Errorf("it is %s", got)
	}
}

// A grant that begins on the right of what was found, and whose answer from the target was lost, keeps what it was given:
// the end of that grant takes everything.
func TestAGrantBeingActivatedKeepsWhatWasFoundOnItsRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &moody{Connector: w.connector(w.db), loses: true, refuses: true}
	w.with("db", target)
	w.stray(w.db, "ana", "db-admin")
	_, stop := w.sweeper("one")
	w.eventually("it is found", func() bool { return len(w.found()) == 1 })
	stop()
	found := w.found()[0].ID
	w.run()
	w.eventually("taking it away was tried", func() bool { return w.get(found).Attempts > 0 })
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	w.eventually("giving it was tried", func() bool { return w.get(rec.ID).Attempts > 0 })
	target.set(true, false)
	w.clock.Advance(2 * time.Minute) // the longest backoff, and not the time that the target asked for
	if was := w.reaches(found, access.Ended).Removal.Was; was != access.Shared || !w.db.Holds("ana", "db-admin") {
		t.Errorf("what was found is %s; ana holds it: %v", was, w.db.Holds("ana", "db-admin"))
	}
	target.set(false, false)
	w.clock.Advance(15 * time.Minute)
	w.reaches(rec.ID, access.Active)
	w.clock.Advance(time.Hour)
	w.reaches(rec.ID, access.Ended)
	if n := len(w.db.Entries()); n != 0 {
		t.Errorf("the target has %d entries left", n)
	}
}

// moody is a target whose answers get lost after it has given, or that does not take away.
type moody struct {
	connectors.Connector
	mu             sync.Mutex
	loses, refuses bool
}

func (m *moody) set(loses, refuses bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loses, m.refuses = loses, refuses
}

func (m *moody) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	receipt, err := m.Connector.Activate(ctx, g)
	if m.loses {
		return access.Receipt{}, &connectors.Error{Kind: connectors.Unavailable, Op: "call", RetryAfter: 10 * time.Minute}
	}
	return receipt, err
}

func (m *moody) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses {
		return access.Removal{}, &connectors.Error{Kind: connectors.Unavailable, Op: "call"}
	}
	return m.Connector.Deactivate(ctx, g, r)
}

// forgetful is a target that keeps no marks: what it has looks as if it had always been there, and it leaves that alone.
type forgetful struct {
	connectors.Connector
	target *demo.Target
	mu     sync.Mutex
	down   bool // for removals
}

func (f *forgetful) Activate(_ context.Context, g access.Grant) (access.Receipt, error) {
	account, role := g.Person.Account("db"), g.Role.Target["role"].(string)
	if f.target.Holds(account, role) {
		return access.Receipt{Already: true}, nil
	}
	f.target.Plant(account, role)
	return access.Receipt{}, nil
}

func (f *forgetful) Deactivate(_ context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	account, role := g.Person.Account("db"), g.Role.Target["role"].(string)
	switch {
	case f.down:
		return access.Removal{}, &connectors.Error{Kind: connectors.Unavailable, Op: "call"}
	case r.Already:
		return access.Removal{Was: access.Standing}, nil
	}
	f.target.Withdraw(account, role)
	return access.Removal{Was: access.Removed}, nil
}

// A grant that begins while another one of its right is being taken away finds what that one gave. At a target without
// marks it looks like standing access, which no ending would ever take away.
func TestWhatAnEndingGrantGaveIsNoStandingAccessOfTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &forgetful{Connector: w.connector(w.db), target: w.db}
	w.with("db", target)
	w.run()
	first := w.active("ana", "db-admin")
	target.mu.Lock()
	target.down = true
	target.mu.Unlock()
	w.clock.Advance(time.Hour)
	w.eventually("taking it away was tried", func() bool { return w.get(first.ID).Attempts > 0 })
	second := w.active("ana", "db-admin-oncall")
	if second.Receipt.Already {
		t.Fatal("what the first grant gave counts as standing access")
	}
	target.mu.Lock()
	target.down = false
	target.mu.Unlock()
	w.clock.Advance(2 * time.Minute)
	if was := w.reaches(first.ID, access.Ended).Removal.Was; was != access.Shared {
		t.Errorf("the first grant's access was %s", was)
	}
	w.clock.Advance(time.Hour)
	w.reaches(second.ID, access.Ended)
	if w.db.Holds("ana", "db-admin") {
		t.Error("nobody takes it away any more")
	}
}
