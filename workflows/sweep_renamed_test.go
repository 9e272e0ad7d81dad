package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// renaming is a target at which things get other names. It knows the access by what it was called when it was given.
type renaming struct {
	connectors.Connector
	refs bool // it gives references that never change

	mu       sync.Mutex
	accounts map[string]string // what is called otherwise now
	nameless bool              // it does not say who people are
	old      access.Role       // what a role was that is written in another way now
}

func (r *renaming) rename(account, now string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts = map[string]string{account: now}
}

func (r *renaming) ref(account string) string {
	if !r.refs {
		return ""
	}
	return "id of " + account
}

func (r *renaming) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	receipt, err := r.Connector.Activate(ctx, g)
	receipt.Ref = r.ref(g.Person.Account("db"))
	return receipt, err
}

func (r *renaming) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	if role.ID == r.old.ID {
		role = r.old
	}
	holders, err := r.Connector.Holders(ctx, role)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range holders {
		if h.Ours {
			holders[i].Ref = r.ref(h.Account)
		}
		if now, renamed := r.accounts[h.Account]; renamed {
			holders[i].Account = now
		}
		if r.nameless {
			holders[i].Person = ""
		}
	}
	return holders, err
}

// wantLeftAlone checks that nothing was found, and that ana has what she was given.
func (w *world) wantLeftAlone() {
	w.t.Helper()
	if n := len(w.found()); n != 0 || !w.db.Holds("ana", "db-admin") {
		w.t.Fatalf("%d were found, held %t", n, w.db.Holds("ana", "db-admin"))
	}
}

// wantHeld checks that ana's grant is active, and that she has what it gave.
func (w *world) wantHeld(rec *access.Record) {
	w.t.Helper()
	if state := w.get(rec.ID).State; !w.db.Holds("ana", "db-admin") || state != access.Active {
		w.t.Errorf("the grant is %s, held %t", state, w.db.Holds("ana", "db-admin"))
	}
}

func TestALiveGrantIsLeftAloneWhenItsAccountIsRenamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target *renaming
		rename func(*world, *renaming)
	}{
		"and the directory knows": {&renaming{nameless: true}, func(w *world, r *renaming) {
			r.rename("ana", "ana.lima")
			w.isAnaLima()
		}},
		"and the target has a reference":  {&renaming{nameless: true, refs: true}, func(_ *world, r *renaming) { r.rename("ana", "ana.lima") }},
		"and the target says whose it is": {&renaming{}, func(_ *world, r *renaming) { r.rename("ana", "u-1842") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.target.Connector = w.connector(w.db)
			w.with("db", c.target)
			w.run()
			rec := w.active("ana", "db-admin")
			c.rename(w, c.target)
			m, _ := w.sweeper("one")
			w.sweepsAgain(m, "db")
			w.wantLeftAlone()
			m.locked(func() {
				if m.missed != 0 || m.standing["db-admin"] != 0 {
					t.Errorf("%d count as missing, standing %v", m.missed, m.standing)
				}
			})
			w.clock.Advance(time.Hour)
			w.reaches(rec.ID, access.Ended)
		})
	}
}

// isAnaLima has the directory call ana's account ana.lima from now on.
func (w *world) isAnaLima() {
	w.people.set(access.Person{ID: "ana", Groups: []string{"sre"}, Accounts: map[string]string{"db": "ana.lima"}})
}

// What a target notes beside some access can be copied by anybody who may write there.
func TestACopiedMarkProtectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	rec := w.active("ana", "db-admin")
	for _, forged := range []struct {
		account, person access.PersonID
		role            string
	}{
		{"eve", "eve", "db-admin"}, // another person's
		{"ben", "ana", "db-admin"}, // with the name of the person as well
		{"mallory", "mallory", "db-admin"},
		{"ana", "ana", "db-owner"}, // her own, on a greater role
	} {
		_, err := w.connector(w.db).Activate(t.Context(), access.Grant{ID: rec.ID,
			Person: access.Person{ID: forged.person, Accounts: map[string]string{"db": string(forged.account)}},
			Role:   access.Role{ID: "forged", Connector: "db", Target: map[string]any{"role": forged.role}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.sweeper("one")
	w.eventually("the copies are taken away", func() bool { return len(w.db.Entries()) == 1 })
	w.wantHeld(rec)
}

// Another reference is another account, though it has the name that the directory has for the person now.
func TestAReferenceDecidesAgainstAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &renaming{Connector: w.connector(w.db), refs: true}
	w.with("db", target)
	w.run()
	rec := w.active("ana", "db-admin")
	w.isAnaLima()
	w.stray(w.db, "ana.lima", "db-admin")
	w.sweeper("one")
	w.eventually("it is taken away", func() bool { return !w.db.Holds("ana.lima", "db-admin") })
	w.wantHeld(rec)
}

func TestNothingIsTakenAwayWhileTheDirectoryCannotSayWhoseItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &renaming{Connector: w.connector(w.db), nameless: true}
	w.with("db", target)
	w.run()
	w.active("ana", "db-admin")
	target.rename("ana", "ana.lima")
	w.isAnaLima()
	w.people.fail(errors.New("it is away"))
	m, _ := w.sweeper("one")
	w.whileTimePasses("sweeps were put off", func() bool { return m.unanswered("db") > 1 })
	w.wantLeftAlone()
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// Nobody can end a grant whose connector has another name now: it lasts as long as it should, the operators are told, and
// the sweep under the new name takes its access away.
func TestAGrantWhoseConnectorIsRenamedLastsToItsEndAndNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.run()
	rec := w.active("ana", "db-admin")
	stop()

	roles, _ := catalogue()
	for i := range roles {
		if roles[i].Connector == "db" {
			roles[i].Connector = "postgres"
		}
	}
	log := &lines{}
	w.config.Roles, w.config.Logger = roles, slog.New(slog.NewTextHandler(log, nil))
	delete(w.config.Connectors, "db")
	w.with("postgres", w.connector(w.db))
	w.run()
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "postgres")
	w.wantLeftAlone()
	w.eventually("the operators are told", func() bool {
		return log.has("level=ERROR", "not configured any more", "connector=db", "grants=1", "first_ends_at=")
	})

	w.clock.Advance(rec.EndsAt.Sub(w.clock.Now()) - time.Minute)
	w.whileTimePasses("it is taken away", func() bool { return !w.db.Holds("ana", "db-admin") })
	if now := w.clock.Now(); now.Before(rec.EndsAt) {
		t.Errorf("it was taken away at %s, and should last to %s", now, rec.EndsAt)
	}
	w.eventually("with evidence", func() bool { found := w.found(); return len(found) == 1 && found[0].State == access.Ended })
	w.whileTimePasses("the grant itself is told of", func() bool {
		r := w.get(rec.ID)
		return r.Overdue && strings.Contains(r.LastError, "put it back")
	})
}

func TestALiveGrantIsLeftAloneWhenItsTargetIsWrittenInAnotherWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &renaming{Connector: w.connector(w.db), nameless: true, old: role("db-admin", "db")}
	w.with("db", target)
	stop := w.run()
	rec := w.active("ana", "db-admin")
	stop()

	var roles []access.Role
	for _, r := range w.config.Roles {
		switch r.ID {
		case "db-admin":
			r.Target = map[string]any{"role": "db-admin", "schema": "public"}
		case "db-admin-oncall": // leads to the same, as it was written before
			continue
		}
		roles = append(roles, r)
	}
	w.config.Roles = roles
	w.with("db", target)
	w.run()
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	w.wantLeftAlone()
	w.clock.Advance(time.Hour)
	w.reaches(rec.ID, access.Ended)
	w.eventually("it is taken away", func() bool { return !w.db.Holds("ana", "db-admin") })
}
