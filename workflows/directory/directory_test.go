package directory_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

var _ workflows.Directory = (*directory.Directory)(nil)

func person(id access.PersonID, groups ...string) access.Person {
	return access.Person{ID: id, Groups: groups, Accounts: map[string]string{"pg": string(id) + "_pg"}}
}

func setup() *directory.Directory {
	return directory.New([]directory.Entry{
		{Person: person("cleo", "dba"), Chats: map[string]string{"slack": "U0SHARED"}},
		{Person: person("ana", "sre"), Chats: map[string]string{"slack": "U0ANA", "teams": "0F6E-aa"}},
		{Person: person("ben"), Chats: map[string]string{"slack": "U0SHARED", "web": ""}},
		{Person: access.Person{ID: "svc", Kind: access.Service}},
		{Person: person("twin"), Chats: map[string]string{"slack": "U0TWIN1"}},
		{Person: person("twin", "admins"), Chats: map[string]string{"slack": "U0TWIN2"}},
		{Person: access.Person{}, Chats: map[string]string{"slack": "U0NOBODY"}},
	})
}

func TestAccountsNameOnePersonOrNobody(t *testing.T) {
	t.Parallel()
	d := setup()
	for _, c := range []struct {
		chat, account string
		want          access.PersonID // empty: nobody
	}{
		{"slack", "U0ANA", "ana"},
		{"slack", "u0ana", ""},
		{"teams", "0f6e-AA", "ana"},
		{"web", "U0ANA", ""},
		{"slack", "U0SHARED", ""},
		{"slack", "U0TWIN1", ""},
		{"slack", "U0TWIN2", ""},
		{"slack", "U0NOBODY", ""},
		{"web", "", ""},
		{"", "", ""},
	} {
		got, err := d.ByAccount(t.Context(), c.chat, c.account)
		if got.ID != c.want || (c.want == "") != errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s %q: %v, %v", c.chat, c.account, got, err)
		}
	}
}

func TestAccountOf(t *testing.T) {
	t.Parallel()
	d := setup()
	for _, c := range []struct {
		id   access.PersonID
		chat string
		want string
	}{
		{"ana", "slack", "U0ANA"}, {"ana", "teams", "0F6E-aa"}, {"ana", "web", ""}, {"ben", "web", ""}, {"twin", "slack", ""}, {"x", "slack", ""},
		{"ben", "slack", ""}, // what is written to a shared account reaches somebody else
	} {
		got, err := d.AccountOf(t.Context(), c.id, c.chat)
		if got != c.want || (c.want == "") != errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s in %s: %q, %v", c.id, c.chat, got, err)
		}
	}
}

func TestPeopleAreSortedAndWithoutDoubt(t *testing.T) {
	t.Parallel()
	people, err := setup().People(t.Context())
	var ids []string
	for _, p := range people {
		ids = append(ids, string(p.ID))
	}
	if got := strings.Join(ids, " "); err != nil || got != "ana ben cleo svc" {
		t.Errorf("%q, %v", got, err)
	}
	if people[0].Kind != access.Human || people[3].Kind != access.Service {
		t.Errorf("kinds %q and %q", people[0].Kind, people[3].Kind)
	}
}

func TestWhatIsHandedOutCanBeChangedFreely(t *testing.T) {
	t.Parallel()
	entry := directory.Entry{Person: person("ana", "sre")}
	d := directory.New([]directory.Entry{entry})
	entry.Person.Groups[0] = "admins"
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p, _ := d.Person(t.Context(), "ana")
			all, _ := d.People(t.Context())
			p.Groups[0], p.Accounts["pg"] = "admins", "root"
			all[0].Groups[0] = "admins"
		})
	}
	wg.Wait()
	if p, err := d.Person(t.Context(), "ana"); err != nil || p.Groups[0] != "sre" || p.Account("pg") != "ana_pg" {
		t.Errorf("%+v, %v", p, err)
	}
}
