package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// managed is a directory that knows who manages whom, and whose accounts are barred.
type managed struct {
	*people

	mu       sync.Mutex
	managers map[access.PersonID]access.PersonID
	barred   map[access.PersonID]bool
	down     error // of managers alone
}

func (d *managed) Manager(_ context.Context, id access.PersonID) (access.PersonID, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.managers[id]; m != "" || d.down != nil {
		return m, d.down
	}
	return "", &access.Refusal{Kind: access.ErrNotAllowed, Code: "no_manager", Text: fmt.Sprintf("Entra names no manager of %s.", id)}
}

func (d *managed) Person(ctx context.Context, id access.PersonID) (access.Person, error) {
	d.mu.Lock()
	barred := d.barred[id]
	d.mu.Unlock()
	if barred {
		return access.Person{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "account_disabled", Text: fmt.Sprintf("%s can do nothing here: the account is disabled.", id)}
	}
	return d.people.Person(ctx, id)
}

func (d *managed) change(how func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	how()
}

// newManaged is a world in which the manager decides on db-admin, the manager or Leo on web-admin, and Leo in place of a
// manager on db-owner. Lea manages Ana.
func newManaged(t *testing.T) (*world, *managed) {
	t.Helper()
	d := &managed{managers: map[access.PersonID]access.PersonID{"ana": "lea"}, barred: map[access.PersonID]bool{}}
	w := newWorld(t, func(cfg *workflows.Config) {
		d.people = cfg.Directory.(*people)
		rule := policy.Rule{Name: "managed", Match: `role.connector == "db"`, Eligible: `"sre" in person.groups || "leads" in person.groups`,
			Duration: policy.Duration{Max: time.Hour}, Approve: []policy.Approval{{By: `person.id == requester.manager`}}}
		either, instead := rule, rule
		either.Name, either.Match, either.Approve = "either", "true", []policy.Approval{{By: `person.id == requester.manager || person.id == "leo"`}}
		instead.Name, instead.Match = "instead", `role.id == "db-owner"`
		instead.Approve = []policy.Approval{{By: `has(requester.manager) ? person.id == requester.manager : person.id == "leo"`}}
		set, problems := policy.Compile([]policy.Rule{instead, rule, either}, cfg.Roles)
		if set == nil {
			t.Fatal(problems)
		}
		cfg.Directory, cfg.Policies = d, set
	})
	return w, d
}

// refusedAs expects a refusal with a code and words.
func refusedAs(t *testing.T, err error, kind error, code string, words ...string) {
	t.Helper()
	var refused *access.Refusal
	if !errors.As(err, &refused) || refused.Code != code || !errors.Is(err, kind) {
		t.Fatalf("%v, want %s", err, code)
	}
	for _, w := range words {
		if !strings.Contains(refused.Text, w) {
			t.Errorf("%q lacks %q", refused.Text, w)
		}
	}
}

// TestTheManagerOfNowApproves, and not the one of the time when it was asked for.
func TestTheManagerOfNowApproves(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	rec := w.submit("ana", "db-admin")
	able, err := w.service.Approvers(t.Context(), rec)
	if err != nil || len(able) != 1 || able[0].ID != "lea" {
		t.Errorf("%v are asked, %v", able, err)
	}
	refusedAs(t, w.decide("leo", rec.ID, access.Approve), access.ErrNotAllowed, "not_approver")
	d.change(func() { d.managers["ana"] = "leo" })
	refusedAs(t, w.decide("lea", rec.ID, access.Approve), access.ErrNotAllowed, "not_approver")
	d.change(func() { delete(d.managers, "ana") })
	refusedAs(t, w.decide("lea", rec.ID, access.Approve), access.ErrNotAllowed, "no_manager", "Policy “managed” has the manager decide. Entra names no manager of ana.")
	d.change(func() { d.managers["ana"] = "leo" })
	w.approve("leo", rec.ID)
}

// TestWhereNobodyManagesNobodyIsWaitedFor: whoever asks is told at once that the request could not be decided, and why.
func TestWhereNobodyManagesNobodyIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	ask := func(who, whom access.PersonID) error {
		_, err := w.service.Submit(t.Context(), by(who), workflows.Ask{Role: "db-admin", For: whom, Justification: "INC-4711 fix replication"})
		return err
	}
	refusedAs(t, ask("ben", ""), access.ErrNotAllowed, "no_manager", "Nobody could approve this.", "“managed”", "Entra names no manager of ben.")
	refusedAs(t, ask("ana", "lea"), access.ErrNotAllowed, "no_manager", "The manager of ana is lea, who would get this access.")
	d.change(func() { d.managers["ana"] = "ana" })
	if err := ask("ana", ""); !errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("who manages themselves: %v", err)
	}
	d.change(func() { d.down = errors.New("503") })
	refusedAs(t, ask("ana", ""), access.ErrUnavailable, "directory_unavailable", "who manages ana", "Try again in a minute")
}

// TestOthersDecideWhereTheRuleLetsThem, whether or not there is a manager, and whether or not anybody can tell.
func TestOthersDecideWhereTheRuleLetsThem(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	rec := w.submit("ben", "web-admin")
	refusedAs(t, w.decide("lea", rec.ID, access.Approve), access.ErrNotAllowed, "no_manager")
	d.change(func() { d.down = errors.New("503") })
	refusedAs(t, w.decide("lea", rec.ID, access.Approve), access.ErrUnavailable, "directory_unavailable")
	w.approve("leo", rec.ID)
}

// TestNobodyDecidesInPlaceOfAManagerWhomNobodyCouldAskFor: that there is none must be known, and not only not be told.
func TestNobodyDecidesInPlaceOfAManagerWhomNobodyCouldAskFor(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	managed, alone := w.submit("ana", "db-owner"), w.submit("ben", "db-owner")
	refusedAs(t, w.decide("leo", managed.ID, access.Approve), access.ErrNotAllowed, "not_approver")
	d.change(func() { d.down, d.managers = errors.New("503"), nil })
	for _, rec := range []*access.Record{managed, alone} {
		refusedAs(t, w.decide("leo", rec.ID, access.Approve), access.ErrUnavailable, "directory_unavailable", "Try again in a minute")
		if able, err := w.service.Approvers(t.Context(), rec); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("%v are asked, %v", able, err)
		}
	}
	d.change(func() { d.down, d.managers = nil, map[access.PersonID]access.PersonID{"ana": "lea"} })
	refusedAs(t, w.decide("leo", managed.ID, access.Approve), access.ErrNotAllowed, "not_approver")
	w.approve("lea", managed.ID)
	w.approve("leo", alone.ID)
}

// TestWhoIsBarredExtendsNothing, not even what others hold because they asked.
func TestWhoIsBarredExtendsNothing(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", For: "ben", Duration: 30 * time.Minute, Justification: "INC-4711 fix replication"})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.run()
	ends := w.reaches(rec.ID, access.Active).EndsAt
	d.change(func() { d.barred["ana"] = true })
	_, err = w.service.Extend(t.Context(), by("ana"), rec.ID, 10*time.Minute, access.Secret{})
	refusedAs(t, err, access.ErrNotAllowed, "account_disabled", "ana can do nothing here")
	if may := w.service.Allowed(t.Context(), "ana", rec); may.Extend {
		t.Error("she is offered to")
	}
	if rec, err = w.service.Extend(t.Context(), by("ben"), rec.ID, 10*time.Minute, access.Secret{}); err != nil || !rec.EndsAt.Equal(ends.Add(10*time.Minute)) {
		t.Errorf("who holds it: %v", err)
	}
}

// TestWhoIsBarredGetsNothingThatWasApproved, and the record says why.
func TestWhoIsBarredGetsNothingThatWasApproved(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	d.change(func() { d.barred["ana"] = true })
	w.run()
	done := w.reaches(rec.ID, access.Cancelled)
	if !strings.Contains(done.Reason, "may no longer hold this role: ana can do nothing here: the account is disabled") {
		t.Errorf("the reason is %q", done.Reason)
	}
	if w.db.Holds("ana", "db-admin") {
		t.Error("she holds it")
	}
	_, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Justification: "INC-4711 fix replication"})
	refusedAs(t, err, access.ErrNotAllowed, "account_disabled")
}

// TestABarredApproverDecidesNothing, however much the policy names them.
func TestABarredApproverDecidesNothing(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	rec := w.submit("ana", "db-admin")
	d.change(func() { d.barred["lea"] = true })
	refusedAs(t, w.decide("lea", rec.ID, access.Approve), access.ErrNotAllowed, "account_disabled", "lea can do nothing here")
	refusedAs(t, w.decide("lea", rec.ID, access.Deny), access.ErrNotAllowed, "account_disabled")
	d.change(func() { d.barred["lea"] = false })
	w.approve("lea", rec.ID)
}

// TestAnAlarmFindsItsPeopleWhileTheDirectoryIsAway: what keeps it from answering may be what the alarm is about.
func TestAnAlarmFindsItsPeopleWhileTheDirectoryIsAway(t *testing.T) {
	t.Parallel()
	w, d := newManaged(t)
	w.people.fail(errors.New("503"))
	if who, err := w.service.Administrators(t.Context()); err == nil {
		t.Errorf("%v, whom nobody has named", who)
	}
	w.people.fail(nil)
	w.submit("ana", "db-admin")
	w.people.fail(errors.New("503"))
	for range 2 {
		if who, err := w.service.Administrators(t.Context()); err != nil || len(who) != 1 || who[0].ID != "root" {
			t.Errorf("%v, %v", who, err)
		}
	}
	w.people.fail(nil)
	d.people.set(access.Person{ID: "root"}) // is none any more
	if who, err := w.service.Administrators(t.Context()); err != nil || len(who) != 0 {
		t.Errorf("%v, %v", who, err)
	}
}
