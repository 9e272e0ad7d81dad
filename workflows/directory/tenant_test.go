package directory_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

var _ workflows.Managers = (*directory.Live)(nil)

// object makes an account's id.
func object(n int) string { return fmt.Sprintf("77777777-0000-4000-8000-%012d", n) }

// The groups of these tests. Whoever is in staff is a person.
var leads, staff = object(901), object(902)

// entra is a tenant that says what a test has it say.
type entra struct {
	mu       sync.Mutex
	users    map[string]access.User
	managers map[string]string
	asked    map[string]int
	down     bool
	most     int                                        // members that are listed; zero: as many as are wanted
	slow     func(ctx context.Context, id string) error // before it answers for a user; nil: at once
}

func (e *entra) ask(what string) error {
	e.asked[what]++
	if e.down {
		return errDown
	}
	return nil
}

// silent never answers.
func silent(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func (e *entra) User(ctx context.Context, id string) (access.User, error) {
	e.mu.Lock()
	err, slow := e.ask("user"), e.slow
	e.mu.Unlock()
	if err == nil && slow != nil {
		err = slow(ctx, id)
	}
	if err != nil {
		return access.User{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	u, there := e.users[id]
	if !there {
		return u, fmt.Errorf("user %s: %w", id, access.ErrNotFound)
	}
	u.Groups = slices.Clone(u.Groups)
	return u, nil
}

func (e *entra) Users(_ context.Context, ids []string) ([]access.User, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []access.User
	for _, id := range ids {
		if u, there := e.users[id]; there {
			u.Groups = nil
			found = append(found, u)
		}
	}
	return found, e.ask("users")
}

func (e *entra) Members(_ context.Context, group string, most int) ([]access.User, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []access.User
	for _, u := range e.users {
		if slices.Contains(u.Groups, group) {
			found = append(found, u)
		}
	}
	if e.most > 0 && len(found) > min(most, e.most) {
		return nil, false, nil
	}
	return found, true, e.ask("members")
}

func (e *entra) ManagerOf(_ context.Context, id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.managers[id], e.ask("manager")
}

// change changes somebody.
func (e *entra) change(n int, how func(*access.User)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.users[object(n)]
	how(&u)
	e.users[object(n)] = u
}

// tenanted is a directory over a tenant: Ana (1) and Ben (2), who is among the leads, are written down, and Dora (4) is in
// the tenant alone, among the staff. Sam is written down without an account there.
func tenanted(t *testing.T, change func(*directory.Config)) (*world, *entra) {
	t.Helper()
	e := &entra{asked: map[string]int{}, managers: map[string]string{object(1): object(2)}, users: map[string]access.User{
		object(1): {ID: object(1), Name: "Ana at Entra"}, object(2): {ID: object(2), Name: "Ben at Entra", Groups: []string{leads, staff, object(999)}},
		object(3): {ID: object(3), Name: "Chris, outside"}, object(4): {ID: object(4), Name: "Dora Quist", Email: "dora@example.com", Groups: []string{staff}},
	}}
	w := live(t, func(c *directory.Config) {
		c.People = directory.New([]directory.Entry{
			{Person: person("ana", "sre"), Object: strings.ToUpper(object(1)), Chats: map[string]string{"teams": object(1), "slack": "U0ANA"}},
			{Person: person("ben"), Object: object(2), Chats: map[string]string{"slack": "U0BEN"}},
			{Person: access.Person{ID: "sam", Kind: access.Service}},
		})
		c.Tenant, c.Admits, c.ObjectChat, c.ObjectSubjects = e, staff, "teams", true
		c.Emails, c.Usergroups = nil, nil
		c.Groups = []directory.Group{{Name: "sre-leads", Object: leads}}
		if change != nil {
			change(c)
		}
	})
	return w, e
}

func ids(people []access.Person) string {
	var out []string
	for _, p := range people {
		out = append(out, string(p.ID))
	}
	return strings.Join(out, " ")
}

// TestGroupsOfTheTenantAreAsTheyAreNow: who leaves a group in Entra is out within a minute, for who acts as for who is asked.
func TestGroupsOfTheTenantAreAsTheyAreNow(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	leads := func() (acting, listed bool) {
		t.Helper()
		p, err := w.Person(t.Context(), "ben")
		if err != nil || p.Name == "Ben at Entra" {
			t.Fatalf("%+v, %v", p, err)
		}
		people, err := w.People(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(people, func(p access.Person) bool { return p.ID == "ben" })
		return slices.Contains(p.Groups, "sre-leads"), slices.Contains(people[i].Groups, "sre-leads")
	}
	if acting, listed := leads(); !acting || !listed {
		t.Errorf("a member is one when they act (%t) and in the list (%t)", acting, listed)
	}
	e.change(2, func(u *access.User) { u.Groups = nil })
	w.now = w.now.Add(59 * time.Second)
	leads()
	for what, n := range e.asked {
		if n > 2 || what == "user" && n != 1 {
			t.Errorf("Entra was asked %d times for %s in a minute", n, what)
		}
	}
	w.now = w.now.Add(time.Second)
	if acting, listed := leads(); acting || listed {
		t.Errorf("after a minute, who left is a member when they act (%t) and in the list (%t)", acting, listed)
	}
}

// TestWhoIsBarredInTheTenantDoesNothingHere, whatever links to chat accounts there are, and is told why.
func TestWhoIsBarredInTheTenantDoesNothingHere(t *testing.T) {
	t.Parallel()
	for code, change := range map[string]func(*entra){
		"account_disabled": func(e *entra) { e.change(1, func(u *access.User) { u.Disabled = true }) },
		"guest_account":    func(e *entra) { e.change(1, func(u *access.User) { u.Guest = true }) },
		"account_deleted":  func(e *entra) { delete(e.users, object(1)) },
	} {
		w, e := tenanted(t, nil)
		change(e)
		_, err := w.Person(t.Context(), "ana")
		var refused *access.Refusal
		if !errors.As(err, &refused) || refused.Code != code || !errors.Is(err, access.ErrNotAllowed) || !strings.Contains(refused.Text, "ana") || !strings.Contains(refused.Text, "Entra") {
			t.Errorf("%s: %v", code, err)
		}
		if people, err := w.People(t.Context()); err != nil || strings.Contains(ids(people), "ana") {
			t.Errorf("%s: %s may approve, %v", code, ids(people), err)
		}
		if p, err := w.ByAccount(t.Context(), "teams", object(1)); err != nil || p.ID != "ana" {
			t.Errorf("%s: who it is, is known all the same: %q, %v", code, p.ID, err)
		}
		if all, err := w.AllKnown(t.Context()); err != nil || !strings.Contains(ids(all), "ana") {
			t.Errorf("%s: endings know %s, %v", code, ids(all), err)
		}
	}
}

// TestWhoeverAGroupAdmitsIsAPerson, by the id of their account, in Teams and by signing in; others in the tenant are not.
func TestWhoeverAGroupAdmitsIsAPerson(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	dora := access.PersonID(object(4))
	p, err := w.Person(t.Context(), dora)
	if err != nil || p.Name != "Dora Quist" || p.Email != "dora@example.com" || p.Kind != access.Human || len(p.Groups) > 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if got, err := w.ByAccount(t.Context(), "teams", strings.ToUpper(object(4))); err != nil || got.ID != dora {
		t.Errorf("in Teams: %+v, %v", got, err)
	}
	if account, err := w.AccountOf(t.Context(), dora, "teams"); err != nil || account != object(4) {
		t.Errorf("to Teams: %q, %v", account, err)
	}
	if got, err := w.ByIdentity(t.Context(), access.Identity{Issuer: issuer, Subject: object(4)}); err != nil || got.ID != dora {
		t.Errorf("signed in: %+v, %v", got, err)
	}
	w.signedIn("U0DORA", dora, w.now)
	l := w.links["U0DORA"]
	l.Identity.Subject = object(4)
	w.links["U0DORA"] = l
	if got, err := w.ByAccount(t.Context(), "slack", "U0DORA"); err != nil || got.ID != dora {
		t.Errorf("in Slack: %+v, %v", got, err)
	}
	if people, err := w.People(t.Context()); err != nil || ids(people) != object(4)+" ana ben sam" {
		t.Errorf("%s, %v", ids(people), err)
	}
	for what, id := range map[string]string{"not of the group": object(3), "nobody": object(8), "written down": object(1)} {
		if p, err := w.Person(t.Context(), access.PersonID(id)); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	for _, n := range []int{3, 8} {
		if p, err := w.ByAccount(t.Context(), "teams", object(n)); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	e.change(4, func(u *access.User) { u.Disabled = true })
	w.now = w.now.Add(time.Minute)
	if _, err := w.Person(t.Context(), dora); !errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("disabled: %v", err)
	}
	e.change(4, func(u *access.User) { u.Disabled, u.Groups = false, nil })
	w.now = w.now.Add(time.Minute)
	if _, err := w.Person(t.Context(), dora); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("out of the group: %v", err)
	}
}

// TestNobodyIsTwoPeople: an account that is written down is that entry's, and never a person of its own.
func TestNobodyIsTwoPeople(t *testing.T) {
	t.Parallel()
	w, _ := tenanted(t, nil)
	ben := object(2) // written down, and among the staff
	if p, err := w.Person(t.Context(), access.PersonID(ben)); err == nil {
		t.Errorf("Ben is %q, too", p.ID)
	}
	if p, err := w.ByAccount(t.Context(), "teams", ben); err == nil && p.ID != "ben" {
		t.Errorf("in Teams he is %q", p.ID)
	}
	if p, err := w.ByIdentity(t.Context(), access.Identity{Issuer: issuer, Subject: ben}); err == nil && p.ID != "ben" {
		t.Errorf("signed in he is %q", p.ID)
	}
	people, err := w.People(t.Context())
	if err != nil || strings.Contains(ids(people), ben) {
		t.Errorf("%s, %v", ids(people), err)
	}
	two, _ := tenanted(t, func(c *directory.Config) {
		c.People = directory.New([]directory.Entry{{Person: person("ana"), Object: object(1)}, {Person: person("eve"), Object: object(1)}})
	})
	for _, id := range []access.PersonID{"ana", "eve"} {
		if p, err := two.Person(t.Context(), id); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("of an account of two: %+v, %v", p, err)
		}
	}
	if people, err := two.People(t.Context()); err != nil || strings.Contains(ids(people), "ana") || strings.Contains(ids(people), "eve") {
		t.Errorf("%s, %v", ids(people), err)
	}
}

// TestATenantThatIsDownIsNo, and is asked again at the next click. What ends access goes on.
func TestATenantThatIsDownIsNo(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	e.down = true
	dora := access.PersonID(object(4))
	_, written := w.Person(t.Context(), "ana")
	_, admitted := w.Person(t.Context(), dora)
	_, all := w.People(t.Context())
	_, manager := w.Manager(t.Context(), "ana")
	for what, err := range map[string]error{"a person": written, "one of the tenant alone": admitted, "all people": all, "a manager": manager} {
		if !errors.Is(err, errDown) || errors.Is(err, access.ErrNotFound) || errors.Is(err, access.ErrNotAllowed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if p, err := w.Person(t.Context(), "sam"); err != nil || p.ID != "sam" {
		t.Errorf("who has no account there needs no answer: %+v, %v", p, err)
	}
	if p, err := w.ByAccount(t.Context(), "teams", object(1)); err != nil || p.ID != "ana" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.ByAccount(t.Context(), "teams", object(4)); err != nil || p.ID != dora {
		t.Errorf("who gives back is known by their account: %+v, %v", p, err)
	}
	if p, err := w.Known(t.Context(), dora); err != nil || p.DisplayName() != string(dora) {
		t.Errorf("%+v, %v", p, err)
	}
	e.mu.Lock()
	e.down = false
	e.mu.Unlock()
	w.now = w.now.Add(10 * time.Second) // names are done without for as long
	if p, err := w.Known(t.Context(), dora); err != nil || p.DisplayName() != "Dora Quist" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.Person(t.Context(), "ben"); err != nil || !slices.Contains(p.Groups, "sre-leads") {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestAGroupTooLargeToListKeepsItsMembers: they are recognised when they act, and are not among those who are asked.
func TestAGroupTooLargeToListKeepsItsMembers(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	e.change(4, func(u *access.User) { u.Groups = append(u.Groups, leads) })
	e.most = 1
	people, err := w.People(t.Context())
	if err != nil || ids(people) != "ana ben sam" || slices.Contains(people[1].Groups, "sre-leads") {
		t.Errorf("%+v, %v", people, err)
	}
	for _, id := range []access.PersonID{"ben", access.PersonID(object(4))} {
		if p, err := w.Person(t.Context(), id); err != nil || !slices.Contains(p.Groups, "sre-leads") {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// TestManagersAreThoseOfTheTenant, where they are people who can decide; otherwise it is said why there is none.
func TestManagersAreThoseOfTheTenant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of     access.PersonID
		change func(*entra)
		want   access.PersonID
		says   string
	}{
		"written down":        {"ana", nil, "ben", ""},
		"admitted by a group": {"ana", func(e *entra) { e.managers[object(1)] = strings.ToUpper(object(4)) }, access.PersonID(object(4)), ""},
		"of one admitted":     {access.PersonID(object(4)), func(e *entra) { e.managers[object(4)] = object(1) }, "ana", ""},
		"none":                {"ben", nil, "", "Entra names no manager of ben"},
		"oneself":             {"ana", func(e *entra) { e.managers[object(1)] = object(1) }, "", "names ana as their own manager"},
		"disabled":            {"ana", func(e *entra) { e.change(2, func(u *access.User) { u.Disabled = true }) }, "", "The manager of ana cannot decide. ben can do nothing here: the account is disabled"},
		"deleted":             {"ana", func(e *entra) { delete(e.users, object(2)) }, "", "cannot decide"},
		"nobody's":            {"ana", func(e *entra) { e.managers[object(1)] = object(3) }, "", "is Chris, outside, who is nobody in Elevate's directory"},
		"without an account":  {"sam", nil, "", "does not say which account in Entra is sam's"},
	} {
		w, e := tenanted(t, nil)
		if c.change != nil {
			c.change(e)
		}
		got, err := w.Manager(t.Context(), c.of)
		var refused *access.Refusal
		if got != c.want || (c.says == "") != (err == nil) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.says != "" && (!errors.As(err, &refused) || refused.Code != "no_manager" || !errors.Is(err, access.ErrNotAllowed) || !strings.Contains(refused.Text, c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	plain := live(t, nil)
	if got, err := plain.Manager(t.Context(), "ana"); got != "" || !errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("without a tenant: %q, %v", got, err)
	}
}

// TestNamesOfTheTenantStandInOneLine: whoever may change their name there forges nothing with it.
func TestNamesOfTheTenantStandInOneLine(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	e.change(4, func(u *access.User) { u.Name = "Dora\n\u202eApproved" + strings.Repeat("x", 300) })
	e.change(3, func(u *access.User) { u.Name = "Chris\u200b" })
	e.managers[object(1)] = object(3)
	p, err := w.Person(t.Context(), access.PersonID(object(4)))
	if err != nil || !strings.HasPrefix(p.Name, "Dora Approvedxxx") || len(p.Name) != 100 {
		t.Errorf("%q, %v", p.Name, err)
	}
	var refused *access.Refusal
	if _, err := w.Manager(t.Context(), "ana"); !errors.As(err, &refused) || !strings.Contains(refused.Text, "is Chris, who") {
		t.Errorf("%v", err)
	}
}

func TestManyWhoActAtOnceAskTheTenantOnce(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := w.Person(t.Context(), "ben"); err != nil {
				t.Error(err)
			}
			if _, err := w.People(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if e.asked["user"] != 1 || e.asked["users"] != 1 || e.asked["members"] != 2 {
		t.Errorf("Entra was asked %v", e.asked)
	}
}

// TestNobodyWaitsForASilentTenantLongerThanIsBounded: neither who clicks, nor a card, which has many names.
func TestNobodyWaitsForASilentTenantLongerThanIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, e := tenanted(t, func(c *directory.Config) { c.Now = time.Now })
		for n := range 20 {
			e.change(20+n, func(u *access.User) { *u = access.User{ID: object(20 + n), Name: "Nameless", Groups: []string{staff}} })
		}
		if p, err := w.Known(t.Context(), access.PersonID(object(4))); err != nil || p.Name != "Dora Quist" {
			t.Fatalf("%+v, %v", p, err)
		}
		time.Sleep(time.Minute)
		e.slow = silent
		takes := func(what string, want time.Duration, f func()) {
			t.Helper()
			start := time.Now()
			if f(); time.Since(start) != want {
				t.Errorf("%s takes %v, not %v", what, time.Since(start), want)
			}
		}
		takes("a card", 2*time.Second, func() {
			for n := range 20 {
				if p, err := w.Known(t.Context(), access.PersonID(object(20+n))); err != nil || p.DisplayName() != object(20+n) {
					t.Errorf("%+v, %v", p, err)
				}
			}
			if p, err := w.Known(t.Context(), access.PersonID(object(4))); err != nil || p.Name != "Dora Quist" {
				t.Errorf("a name that is known: %+v, %v", p, err)
			}
		})
		time.Sleep(10 * time.Second)
		takes("a name after a while", 2*time.Second, func() { _, _ = w.Known(t.Context(), access.PersonID(object(21))) })
		time.Sleep(10 * time.Second)
		takes("a comer", directory.AskTime, func() { _, _ = w.ByAccount(t.Context(), "teams", object(30)) })
		takes("somebody who acts", directory.AskTime, func() {
			if _, err := w.Person(t.Context(), "ana"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		takes("somebody with less patience", time.Second, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := w.Person(ctx, "ben"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		time.Sleep(directory.AskTime) // until what was asked for them has ended
	})
}

// TestWhoHangsUpTakesNoAnswerFromOthers who wait for the same.
func TestWhoHangsUpTakesNoAnswerFromOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, e := tenanted(t, nil)
		answer := make(chan struct{})
		e.slow = func(ctx context.Context, _ string) error {
			select {
			case <-answer:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		ctx, hangUp := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			if _, err := w.Person(ctx, "ben"); !errors.Is(err, context.Canceled) {
				t.Errorf("who hung up: %v", err)
			}
		})
		synctest.Wait()
		both.Go(func() {
			if p, err := w.Person(t.Context(), "ben"); err != nil || !slices.Contains(p.Groups, "sre-leads") {
				t.Errorf("who waited: %+v, %v", p, err)
			}
		})
		synctest.Wait()
		hangUp()
		synctest.Wait()
		close(answer)
		both.Wait()
		if e.asked["user"] != 1 {
			t.Errorf("Entra was asked %v", e.asked)
		}
	})
}

// TestAQuestionThatPanicsIsAFailure, and the next one is put.
func TestAQuestionThatPanicsIsAFailure(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, nil)
	for _, slow := range []func(context.Context, string) error{
		func(context.Context, string) error { panic("no such field") },
		func(context.Context, string) error { runtime.Goexit(); return nil },
	} {
		e.slow = slow
		if p, err := w.Person(t.Context(), "ben"); err == nil || errors.Is(err, access.ErrNotFound) || errors.Is(err, access.ErrNotAllowed) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	e.slow = nil
	if p, err := w.Person(t.Context(), "ben"); err != nil || !slices.Contains(p.Groups, "sre-leads") {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestAManagerOfUnknownGroupsIsNotNone: what is not certain of them is no reason for others to decide.
func TestAManagerOfUnknownGroupsIsNotNone(t *testing.T) {
	t.Parallel()
	w, e := tenanted(t, func(c *directory.Config) {
		c.Groups = append(c.Groups, directory.Group{Name: "dba", Claim: "db-admins"})
	})
	dora := access.PersonID(object(4))
	e.managers[object(1)] = object(4)
	w.signedIn("U0DORA", dora, w.now)
	l := w.links["U0DORA"]
	l.Identity.Subject, l.Identity.Overage = object(4), true
	w.links["U0DORA"] = l
	if _, err := w.Person(t.Context(), dora); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("she acts: %v", err)
	}
	if id, err := w.Manager(t.Context(), "ana"); !errors.Is(err, access.ErrUnavailable) || errors.Is(err, access.ErrNotAllowed) {
		t.Errorf("%q, %v", id, err)
	}
}

func TestAGroupOfNoTenantIsRefused(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	if _, err := directory.Open(directory.Config{People: directory.New(nil), Links: w, Groups: []directory.Group{{Name: "leads", Object: leads}}}); err == nil {
		t.Error("it is kept nowhere")
	}
}
