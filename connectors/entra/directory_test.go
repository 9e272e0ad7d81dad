package entra_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

var _ directory.Tenant = (*entra.Directory)(nil)

// number makes an object id.
func number(n int) string { return fmt.Sprintf("77777777-0000-4000-8000-%012d", n) }

// leads and admins are groups; admins is in leads.
const (
	leads  = "dddddddd-0000-4000-8000-00000000000a"
	admins = "dddddddd-0000-4000-8000-00000000000b"
)

// openDirectory makes a tenant with Ana (1), whose manager is Ben (2), and a directory over it.
func openDirectory(t *testing.T, changes ...func(*entra.DirectoryConfig)) (*entra.Directory, *site) {
	t.Helper()
	s := newSite(t, func(*entra.Config) {})
	s.User(number(1), graphfake.User{Name: "Ana Lima", Mail: "ana@example.com", Manager: number(2)})
	s.User(number(2), graphfake.User{Name: "Ben Stone"})
	s.Group(leads)
	s.Group(admins)
	s.Nest(admins, leads)
	cfg := entra.DirectoryConfig{
		TenantID: graphfake.TenantID, ClientID: graphfake.ClientID, ClientSecret: access.NewSecret(graphfake.Secret),
		GraphURL: s.URL, LoginURL: s.URL, CAFile: s.ca, Groups: []string{leads, admins}, Now: s.Now,
		Timeout: time.Minute, // what is slow here is the machine
	}
	for _, change := range changes {
		change(&cfg)
	}
	s.Permit("User.Read.All", "GroupMember.Read.All")
	d, err := entra.NewDirectory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// TestUsersAreAsTheTenantHasThem, with the groups that they are in through others, over several pages.
func TestUsersAreAsTheTenantHasThem(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t)
	s.Put(number(1), admins)
	for n := range 7 {
		s.Group(number(100 + n))
		s.Put(number(1), number(100+n))
	}
	s.Disable(number(2))
	s.User(number(3), graphfake.User{Name: "Gus", Guest: true})
	ana, err := d.User(t.Context(), number(1))
	if err != nil || ana.ID != number(1) || ana.Name != "Ana Lima" || ana.Email != "ana@example.com" || ana.Disabled || ana.Guest {
		t.Errorf("%+v, %v", ana, err)
	}
	if len(ana.Groups) != 9 || !slices.Contains(ana.Groups, leads) || !slices.Contains(ana.Groups, admins) {
		t.Errorf("groups %q", ana.Groups)
	}
	for n, want := range map[int]access.User{
		2: {ID: number(2), Name: "Ben Stone", Disabled: true}, 3: {ID: number(3), Name: "Gus", Guest: true},
	} {
		got, err := d.User(t.Context(), number(n))
		if err != nil || got.Disabled != want.Disabled || got.Guest != want.Guest || got.Name != want.Name || len(got.Groups) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if u, err := d.User(t.Context(), number(9)); !errors.Is(err, access.ErrNotFound) || connectors.KindOf(err) != connectors.NotFound || u.ID != "" {
		t.Errorf("nobody: %+v, %v", u, err)
	}
}

// TestManyUsersAreLookedUpTogether: more than a filter takes, and some of them gone.
func TestManyUsersAreLookedUpTogether(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t)
	var ids []string
	for n := range 100 {
		ids = append(ids, number(1000+n))
		if n != 50 {
			s.User(number(1000+n), graphfake.User{Name: fmt.Sprint(n)})
		}
	}
	s.Seen()
	found, err := d.Users(t.Context(), ids)
	if err != nil || len(found) != 99 {
		t.Fatalf("%d users, %v", len(found), err)
	}
	if asked := s.Seen(); len(asked) > 40 { // 7 questions, on pages of 3
		t.Errorf("%d requests", len(asked))
	}
	if none, err := d.Users(t.Context(), nil); err != nil || len(none) > 0 {
		t.Errorf("%v, %v", none, err)
	}
}

func TestMembersAreListedThroughGroups(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t)
	for n := range 8 {
		s.User(number(20+n), graphfake.User{})
		s.Put(number(20+n), []string{leads, admins}[n%2])
	}
	members, whole, err := d.Members(t.Context(), leads, 100)
	if err != nil || !whole || len(members) != 8 {
		t.Errorf("%d members, whole %t, %v", len(members), whole, err)
	}
	if members, whole, err = d.Members(t.Context(), leads, 7); err != nil || whole || len(members) != 0 {
		t.Errorf("of too many: %d members, whole %t, %v", len(members), whole, err)
	}
	if _, _, err := d.Members(t.Context(), number(1), 7); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("of no group: %v", err)
	}
}

func TestManagersAreNamed(t *testing.T) {
	t.Parallel()
	d, _ := openDirectory(t)
	for n, want := range map[int]string{1: number(2), 2: ""} {
		if got, err := d.ManagerOf(t.Context(), number(n)); err != nil || got != want {
			t.Errorf("of %d: %q, %v", n, got, err)
		}
	}
}

// TestWhatGraphDoesNotTellIsNo: an application that may not see whether accounts are enabled is told nothing of them.
func TestWhatGraphDoesNotTellIsNo(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t)
	s.Put(number(1), leads)
	s.Permit("GroupMember.Read.All")
	if members, _, err := d.Members(t.Context(), leads, 100); connectors.KindOf(err) != connectors.Denied || len(members) > 0 {
		t.Errorf("%+v, %v", members, err)
	}
	if u, err := d.User(t.Context(), number(1)); connectors.KindOf(err) != connectors.Denied || u.ID != "" {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestPassingTroubleIsAskedThroughOnce, and no more often.
func TestPassingTroubleIsAskedThroughOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mood graphfake.Mood
		want connectors.Kind // empty: none
	}{
		"busy once":           {graphfake.On(http.MethodGet, "/users/", 1, graphfake.Says(429, "TooManyRequests", "Retry-After: 0")), ""},
		"broken once":         {graphfake.On(http.MethodGet, "/users/", 1, graphfake.Says(503, "")), ""},
		"broken in the midst": {graphfake.On(http.MethodGet, "/transitiveMemberOf", 1, graphfake.Says(504, "")), ""},
		"broken":              {graphfake.On(http.MethodGet, "/users/", 0, graphfake.Says(503, "")), connectors.Unavailable},
		"busy":                {graphfake.On(http.MethodGet, "/users/", 0, graphfake.Says(429, "TooManyRequests")), connectors.Throttled},
		"refusing":            {graphfake.On(http.MethodGet, "/users/", 0, graphfake.Says(403, "Authorization_RequestDenied")), connectors.Denied},
		"lying":               {graphfake.On(http.MethodGet, "/users/", 0, somebodyElse), connectors.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, s := openDirectory(t)
			s.Feel(test.mood)
			u, err := d.User(t.Context(), number(1))
			if test.want == "" && (err != nil || u.Name != "Ana Lima") || test.want != "" && (connectors.KindOf(err) != test.want || u.ID != "") {
				t.Errorf("%+v, %v", u, err)
			}
			if n := len(s.Seen()); n > 4 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func somebodyElse(w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":%q,"accountEnabled":true}`, number(2))
	return true
}

// TestGraphIsLeftAloneUntilTheTimeItNames: who asks on during a 429 is kept out for longer.
func TestGraphIsLeftAloneUntilTheTimeItNames(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t)
	s.Feel(graphfake.On(http.MethodGet, "/users/", 1, graphfake.Says(429, "TooManyRequests", "Retry-After: 30")))
	for range 3 {
		_, err := d.User(t.Context(), number(1))
		var e *connectors.Error
		if !errors.As(err, &e) || e.Kind != connectors.Throttled || e.RetryAfter < 20*time.Second || e.RetryAfter > 30*time.Second {
			t.Errorf("%v", err)
		}
	}
	if n := len(s.Seen()); n != 1 {
		t.Errorf("%d requests while it wanted none", n)
	}
	s.Advance(30 * time.Second)
	if u, err := d.User(t.Context(), number(1)); err != nil || u.Name != "Ana Lima" {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestASilentTenantIsGivenUp(t *testing.T) {
	t.Parallel()
	d, s := openDirectory(t, func(cfg *entra.DirectoryConfig) { cfg.Timeout = 2 * time.Second })
	if _, err := d.User(t.Context(), number(1)); err != nil { // there is a connection and a token now
		t.Fatal(err)
	}
	var asked atomic.Int64
	s.Feel(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		asked.Add(1)
		return graphfake.Hangs(w, r, next)
	})
	if _, err := d.User(t.Context(), number(1)); connectors.KindOf(err) != connectors.Unavailable || asked.Load() != 1 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
}

// TestADirectoryNeedsLittleAndSaysWhatIsMissing: two permissions, one of them for groups alone.
func TestADirectoryNeedsLittleAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	grouped, s := openDirectory(t)
	if err := grouped.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if surplus, err := grouped.Surplus(t.Context()); err != nil || len(surplus) > 0 {
		t.Errorf("%q, %v", surplus, err)
	}
	s.Permit("Mail.Read")
	fresh := func(groups ...string) *entra.Directory { // tokens are kept, with the permissions they were made with
		d, err := entra.NewDirectory(entra.DirectoryConfig{TenantID: graphfake.TenantID, ClientID: graphfake.ClientID,
			ClientSecret: access.NewSecret(graphfake.Secret), GraphURL: s.URL, LoginURL: s.URL, CAFile: s.ca, Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	wantError(t, fresh(leads).Check(t.Context()), connectors.Denied, "lacks the application permission User.Read.All")
	wantError(t, fresh(leads).Check(t.Context()), connectors.Denied, "lacks the application permission GroupMember.Read.All, to see who is in a group")
	if err := fresh().Check(t.Context()); err == nil || strings.Contains(err.Error(), "GroupMember") {
		t.Errorf("without groups: %v", err)
	}
	if surplus, err := fresh(leads).Surplus(t.Context()); err != nil || len(surplus) != 1 || !strings.Contains(surplus[0], "Mail.Read") {
		t.Errorf("%q, %v", surplus, err)
	}
}

func TestADirectorysSettingsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := entra.NewDirectory(entra.DirectoryConfig{TenantID: "example.com", ClientID: graphfake.ClientID, Cloud: "moon", Timeout: -1})
	for _, key := range []string{"tenant_id: ", "timeout: ", "client_secret: ", "cloud: "} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key) {
			t.Errorf("nothing about %q in %v", key, err)
		}
	}
}
