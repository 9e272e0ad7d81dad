package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

var _ workflows.Directory = (*directory.Live)(nil)

const issuer = "https://login.example.com"

// world is a directory with a chat that says who its accounts are, and a clock.
type world struct {
	*directory.Live
	now time.Time

	mu       sync.Mutex
	links    map[string]access.Link // by account
	told     []string               // what became of links
	profiles map[string]access.Profile
	groups   map[string][]string
	asked    map[string]int
	down     bool
	lost     bool // whether the links cannot be read
}

var errDown = errors.New("connection refused")

func (w *world) ask(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[what]++
	if w.down {
		return errDown
	}
	return nil
}

func (w *world) Link(_ context.Context, _, account string) (*access.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return nil, errDown
	}
	if l, ok := w.links[account]; ok {
		return &l, nil
	}
	return nil, nil
}

func (w *world) LinkOf(_ context.Context, id access.PersonID, chat string) (*access.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		if l.Person == id && l.Chat == chat {
			return &l, nil
		}
	}
	return nil, nil
}

func (w *world) Links(context.Context) (all []access.Link, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		all = append(all, l)
	}
	return all, nil
}

func (w *world) Believe(_ context.Context, l access.Link) (*access.Link, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Kind = access.LinkEmail
	w.links[l.Account], w.told = l, append(w.told, "believed "+l.Account)
	return &l, nil
}

func (w *world) Suspend(_ context.Context, l access.Link, why string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Suspended, l.Why = w.now, why
	w.links[l.Account], w.told = l, append(w.told, "suspended "+l.Account+": "+why)
	return nil
}

func (w *world) Profile(_ context.Context, account string) (access.Profile, error) {
	if err := w.ask("profile"); err != nil {
		return access.Profile{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.profiles[account]
	if !ok {
		return p, fmt.Errorf("%s: %w", account, access.ErrNotFound)
	}
	p.Account = account
	return p, nil
}

func (w *world) ByEmail(_ context.Context, email string) (access.Profile, error) {
	if err := w.ask("email"); err != nil {
		return access.Profile{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for account, p := range w.profiles {
		if strings.EqualFold(p.Email, email) {
			p.Account = account
			return p, nil
		}
	}
	return access.Profile{}, access.ErrNotFound
}

func (w *world) Usergroups(context.Context) (map[string][]string, error) {
	if err := w.ask("groups"); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.groups, nil
}

func (w *world) says(account string, p access.Profile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.profiles[account] = p
}

func live(t *testing.T, change func(*directory.Config)) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), links: map[string]access.Link{}, asked: map[string]int{},
		profiles: map[string]access.Profile{
			"U0ANA": {Name: "Ana Lima", Email: "Ana@example.com", Confirmed: true},
			"U0BEN": {Name: "Ben Stone", Email: "ben@example.com"},
			"U0TWO": {Name: "Two", Email: "two@example.com", Confirmed: true},
			"U0NO":  {Name: "No Address"},
			"U0CLE": {Name: "Cleo", Email: "cleo@example.com", Confirmed: true},
			"U0KEL": {Name: "Kelvin", Email: "\u212aim@example.com", Confirmed: true},
		},
		groups: map[string][]string{"S0CALL": {"U0ANA", "U0CLEO"}},
	}
	who := func(id access.PersonID, email string, groups ...string) access.Person {
		return access.Person{ID: id, Name: strings.ToUpper(string(id)), Email: email, Groups: groups}
	}
	cfg := directory.Config{
		People: directory.New([]directory.Entry{
			{Person: who("ana", "ana@example.com", "sre"), Subject: "00u-ana"},
			{Person: who("ben", "ben@example.com")},
			{Person: who("cleo", "cleo@example.com"), Chats: map[string]string{"slack": "U0CLEO"}},
			{Person: who("kim", "kim@example.com")},
			{Person: who("two", "two@example.com")}, {Person: who("zwei", "Two@example.com")},
			{Person: access.Person{ID: "svc", Kind: access.Service, Email: "ops@example.com"}},
		}),
		Links: w, Ledger: w, Issuer: issuer, Emails: map[string]directory.Profiles{"slack": w},
		Usergroups: map[string]directory.Usergroups{"slack": w},
		Groups:     []directory.Group{{Name: "oncall", Chat: "slack", Usergroup: "S0CALL"}, {Name: "dba", Claim: "db-admins"}},
		Now:        func() time.Time { return w.now },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.Live, err = directory.Open(cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) signedIn(account string, id access.PersonID, at time.Time, groups ...string) {
	w.links[account] = access.Link{Chat: "slack", Account: account, Person: id, Kind: access.LinkOIDC,
		Identity: &access.Identity{Issuer: issuer, Subject: "00u-" + string(id), Groups: groups, At: at}}
}

func TestAConfirmedAddressIsOnePersonOrNobody(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	for account, want := range map[string]access.PersonID{
		"U0ANA":  "ana", // in small and large letters
		"U0BEN":  "",    // the address was never confirmed
		"U0TWO":  "",    // two people have it
		"U0NO":   "",
		"U0CLE":  "", // Cleo's account is another
		"U0CLEO": "cleo",
		"U0KEL":  "", // the Kelvin sign is no k
		"U0GONE": "",
	} {
		p, err := w.ByAccount(t.Context(), "slack", account)
		if p.ID != want || (want == "") != errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %q, %v", account, p.ID, err)
		}
	}
	if p, err := w.ByAccount(t.Context(), "teams", "U0ANA"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an address of Slack's counts in Teams: %v, %v", p.ID, err)
	}
	off := live(t, func(c *directory.Config) { c.Emails = nil })
	off.links["U0ANA"] = access.Link{Chat: "slack", Account: "U0ANA", Person: "ana", Kind: access.LinkEmail, Email: "ana@example.com", Name: "Ana Lima"}
	if p, err := off.ByAccount(t.Context(), "slack", "U0ANA"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an address counts where nobody said so: %v, %v", p.ID, err)
	}
}

// TestAChangedAccountIsNobodyUntilItIsConfirmed changes what a link by e-mail rests on in every way.
func TestAChangedAccountIsNobodyUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	for why, now := range map[string]access.Profile{
		"the account's e-mail address changed":                   {Name: "Ana Lima", Email: "ben@example.com", Confirmed: true},
		"the account's e-mail address is not confirmed any more": {Name: "Ana Lima", Email: "ana@example.com"},
		"the account's name changed":                             {Name: "Ana L.", Email: "ana@example.com", Confirmed: true},
	} {
		w := live(t, nil)
		if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err != nil || p.ID != "ana" {
			t.Fatalf("%q, %v", p.ID, err)
		}
		w.says("U0ANA", now)
		w.now = w.now.Add(time.Minute)
		for range 2 {
			_, err := w.ByAccount(t.Context(), "slack", "U0ANA")
			var refused *access.Refusal
			if !errors.As(err, &refused) || refused.Code != "link_suspended" || !strings.Contains(refused.Text, why) || !strings.Contains(refused.Text, "/elevate link") {
				t.Errorf("%s: %v", why, err)
			}
		}
		if account, err := w.AccountOf(t.Context(), "ana", "slack"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: messages go to %q, %v", why, account, err)
		}
		if want := []string{"believed U0ANA", "suspended U0ANA: " + why}; !slices.Equal(w.told, want) {
			t.Errorf("told is %q", w.told)
		}
		w.says("U0ANA", access.Profile{Name: "Ana Lima", Email: "ana@example.com", Confirmed: true}) // and back again
		w.now = w.now.Add(time.Minute)
		if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err == nil {
			t.Errorf("%s: changed back, the account is %s again", why, p.ID)
		}
	}
}

// TestWhatAnAdministratorVouchedForIsNotSuspendedByAnOlderWord: an answer is believed for a minute, and an administrator has
// vouched within it for what the account is now.
func TestWhatAnAdministratorVouchedForIsNotSuspendedByAnOlderWord(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err != nil || p.ID != "ana" {
		t.Fatalf("%q, %v", p.ID, err)
	}
	w.says("U0ANA", access.Profile{Name: "Ana L.", Email: "ana@example.com", Confirmed: true})
	w.mu.Lock()
	link := w.links["U0ANA"]
	link.Name, link.Confirmed = "Ana L.", "root"
	w.links["U0ANA"] = link
	w.mu.Unlock()
	if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err != nil || p.ID != "ana" {
		t.Errorf("%q, %v", p.ID, err)
	}
}

// TestAChangedLinkCountsAtOnce: what is held of links for a moment is forgotten when one is changed here.
func TestAChangedLinkCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	if p, err := w.Person(t.Context(), "ana"); err != nil || slices.Contains(p.Groups, "dba") {
		t.Fatalf("%v, %v", p.Groups, err)
	}
	w.signedIn("U0ANA", "ana", w.now, "db-admins")
	w.Forget()
	if p, err := w.Person(t.Context(), "ana"); err != nil || !slices.Contains(p.Groups, "dba") {
		t.Errorf("%v, %v", p.Groups, err)
	}
}

// TestAnAddressThatBecomesAnothersIsNobodys: Ana sets her address to Ben's, who approves, and is neither.
func TestAnAddressThatBecomesAnothersIsNobodys(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	w.says("U0BEN", access.Profile{Name: "Ben Stone", Email: "ben@example.com", Confirmed: true})
	for account, want := range map[string]access.PersonID{"U0ANA": "ana", "U0BEN": "ben"} {
		if p, err := w.ByAccount(t.Context(), "slack", account); err != nil || p.ID != want {
			t.Fatalf("%q, %v", p.ID, err)
		}
	}
	w.says("U0ANA", access.Profile{Name: "Ben Stone", Email: "ben@example.com", Confirmed: true})
	w.now = w.now.Add(time.Minute)
	if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err == nil {
		t.Errorf("the account is %s's", p.ID)
	}
	if p, err := w.ByAccount(t.Context(), "slack", "U0BEN"); err != nil || p.ID != "ben" {
		t.Errorf("and Ben is %q, %v", p.ID, err)
	}
}

func TestLinksOfASignInStandAsLongAsTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	setup := func(change func(*access.Link), cfg func(*directory.Config)) (access.PersonID, error) {
		w := live(t, cfg)
		w.signedIn("U0NEW", "ana", w.now)
		l := w.links["U0NEW"]
		if change != nil {
			change(&l)
		}
		w.links["U0NEW"] = l
		p, err := w.ByAccount(t.Context(), "slack", "U0NEW")
		if account, accountErr := w.AccountOf(t.Context(), l.Person, "slack"); (err == nil) != (accountErr == nil && account == "U0NEW") {
			t.Errorf("the account is %q's (%v), and the person's is %q (%v)", p.ID, err, account, accountErr)
		}
		return p.ID, err
	}
	if id, err := setup(nil, nil); err != nil || id != "ana" {
		t.Errorf("%q, %v", id, err)
	}
	for name, c := range map[string]struct {
		link func(*access.Link)
		cfg  func(*directory.Config)
	}{
		"another provider":      {link: func(l *access.Link) { l.Identity.Issuer = "https://login.evil.example" }},
		"another subject":       {link: func(l *access.Link) { l.Identity.Subject = "00u-somebody" }},
		"no identity":           {link: func(l *access.Link) { l.Identity = nil }},
		"another person":        {link: func(l *access.Link) { l.Person = "ben" }},
		"somebody who has left": {link: func(l *access.Link) { l.Person = "gone" }},
		"no provider any more":  {cfg: func(c *directory.Config) { c.Issuer = "" }},
		"by an address, untrusted": {link: func(l *access.Link) {
			l.Person, l.Identity.Subject, l.Identity.Email = "ben", "00u-ben", "ben@example.com"
		}},
	} {
		if id, err := setup(c.link, func(cfg *directory.Config) {
			cfg.Emails = nil
			if c.cfg != nil {
				c.cfg(cfg)
			}
		}); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
	if id, err := setup(func(l *access.Link) {
		l.Person, l.Identity.Subject, l.Identity.Email = "ben", "00u-ben", "Ben@example.com"
	},
		func(c *directory.Config) { c.TrustEmail = true }); err != nil || id != "ben" {
		t.Errorf("by a trusted address: %q, %v", id, err)
	}
	if id, err := setup(func(l *access.Link) { l.Identity.Subject, l.Identity.Email = "00u-eve", "ana@example.com" },
		func(c *directory.Config) { c.TrustEmail, c.Emails = true, nil }); err == nil {
		t.Errorf("who has a subject is found by an address: %q", id)
	}
}

func TestWhatConfigurationAndLinkSayDifferentlyIsNobody(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	w.signedIn("U0CLEO", "ana", w.now)
	if p, err := w.ByAccount(t.Context(), "slack", "U0CLEO"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("%q, %v", p.ID, err)
	}
}

// TestGroupsAreAsTheyAreNow: who leaves a group is out within a minute, and out at once where the minute is over.
func TestGroupsAreAsTheyAreNow(t *testing.T) {
	t.Parallel()
	w := live(t, func(c *directory.Config) { c.ClaimsFor = time.Hour })
	w.signedIn("U0ANA", "ana", w.now)
	in := func(id access.PersonID, group string) bool {
		t.Helper()
		p, err := w.Person(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		all, err := w.People(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(p access.Person) bool { return p.ID == id })
		if !slices.Equal(all[i].Groups, p.Groups) {
			t.Errorf("%s is in %q, and in %q among all", id, p.Groups, all[i].Groups)
		}
		return slices.Contains(p.Groups, group)
	}
	if !in("ana", "oncall") || !in("cleo", "oncall") || in("ben", "oncall") || !in("ana", "sre") {
		t.Error("the groups are not those of Slack")
	}
	w.mu.Lock()
	w.groups = map[string][]string{"S0CALL": {"U0CLEO"}}
	w.mu.Unlock()
	w.now = w.now.Add(59 * time.Second)
	if !in("ana", "oncall") || w.asked["groups"] != 1 {
		t.Errorf("Slack was asked %d times in a minute", w.asked["groups"])
	}
	w.now = w.now.Add(time.Second)
	if in("ana", "oncall") || !in("cleo", "oncall") {
		t.Error("who left is still in the group after a minute")
	}
}

// TestClaimsCountForTheirTime: the groups of a sign-in are those of the last one, and count for a minute, or for as long as
// the configuration says. After that the person is refused, and told the way out; lists know them still, and who signs in
// again goes on.
func TestClaimsCountForTheirTime(t *testing.T) {
	t.Parallel()
	for counts, asked := range map[time.Duration]time.Duration{time.Minute: 0, time.Hour: time.Hour} {
		t.Run(counts.String(), func(t *testing.T) {
			t.Parallel()
			claimsCountFor(t, counts, asked)
		})
	}
}

func claimsCountFor(t *testing.T, counts, configured time.Duration) {
	w := live(t, func(c *directory.Config) { c.ClaimsFor = configured })
	w.signedIn("U0ANA", "ana", w.now, "db-admins", "other")
	look := func(after time.Duration, want bool) {
		t.Helper()
		w.now = w.now.Add(after)
		p, err := w.Person(t.Context(), "ana")
		if got := slices.Contains(p.Groups, "dba"); got != want || err != nil || slices.Contains(p.Groups, "other") {
			t.Errorf("after %s: %q, %v", after, p.Groups, err)
		}
	}
	look(0, true)
	look(counts-time.Second, true)
	w.now = w.now.Add(time.Second)
	_, err := w.Person(t.Context(), "ana")
	var refused *access.Refusal
	if !errors.As(err, &refused) || !errors.Is(err, access.ErrUnavailable) || refused.Code != "groups_too_old" || !strings.Contains(refused.Text, "ana can type `/elevate link`, sign in again") {
		t.Errorf("after %s: %v", counts, err)
	}
	if p, err := w.Known(t.Context(), "ana"); err != nil || p.ID != "ana" {
		t.Errorf("without her groups: %v, %v", p, err)
	}
	listed := func(want bool) {
		t.Helper()
		people, err := w.People(t.Context())
		i := slices.IndexFunc(people, func(p access.Person) bool { return p.ID == "ana" })
		if err != nil || i < 0 || slices.Contains(people[i].Groups, "dba") != want {
			t.Errorf("listed: %+v, %v", people, err)
		}
	}
	listed(true)
	w.now = w.now.Add(24*time.Hour - counts)
	listed(false)
	w.signedIn("U0ANA", "ana", w.now, "db-admins")
	look(2*time.Second, true)
	w.signedIn("U0ANA", "ana", w.now) // signed in again, and is in no group any more
	look(2*time.Second, false)
}

// TestWhatCannotBeAskedIsNo: a chat that does not answer makes nobody a member, nobody a non-member, and nobody somebody.
func TestWhatCannotBeAskedIsNo(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	w.signedIn("U0ANA", "ana", w.now)
	w.down = true
	_, byID := w.Person(t.Context(), "ana")
	_, all := w.People(t.Context())
	_, byEmail := w.ByAccount(t.Context(), "slack", "U0BEN")
	_, account := w.AccountOf(t.Context(), "ben", "slack")
	for what, err := range map[string]error{"a person": byID, "all people": all, "an account by its address": byEmail, "an account of": account} {
		if !errors.Is(err, errDown) || errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if account, err := w.AccountOf(t.Context(), "cleo", "slack"); err != nil || account != "U0CLEO" {
		t.Errorf("who needs no question is found: %q, %v", account, err)
	}
	if p, err := w.ByAccount(t.Context(), "slack", "U0ANA"); err != nil || p.ID != "ana" {
		t.Errorf("who signed in is known without groups: %q, %v", p.ID, err)
	}
	if p, err := w.Known(t.Context(), "cleo"); err != nil || p.ID != "cleo" {
		t.Errorf("%q, %v", p.ID, err)
	}
	if all, err := w.AllKnown(t.Context()); err != nil || len(all) != 7 {
		t.Errorf("%d people, %v", len(all), err)
	}
	w.lost = true
	if _, err := w.ByAccount(t.Context(), "slack", "U0ANA"); !errors.Is(err, access.ErrStore) || !errors.Is(err, errDown) || errors.Is(err, access.ErrNotFound) {
		t.Errorf("without the store: %v", err)
	}
	w.lost = false
	w.down = false // and a failure is not remembered
	if p, err := w.Person(t.Context(), "ana"); err != nil || !slices.Contains(p.Groups, "oncall") {
		t.Errorf("%q, %v", p.Groups, err)
	}
}

// TestMembersAreKnownBeforeTheyType: whoever is to approve can be found although they never wrote to Elevate.
func TestMembersAreKnownBeforeTheyType(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	p, err := w.Person(t.Context(), "ana") // by her confirmed address alone
	if err != nil || !slices.Contains(p.Groups, "oncall") {
		t.Errorf("%q, %v", p.Groups, err)
	}
}

func TestManyWhoClickAtOnceAskOnce(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	w.signedIn("U0ANA", "ana", w.now)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := w.Person(t.Context(), "ana"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if w.asked["groups"] != 1 {
		t.Errorf("Slack was asked %d times", w.asked["groups"])
	}
}

func TestPeopleAreWrittenToWhereTheirAddressIs(t *testing.T) {
	t.Parallel()
	w := live(t, nil)
	if account, err := w.AccountOf(t.Context(), "ana", "slack"); err != nil || account != "U0ANA" {
		t.Errorf("%q, %v", account, err)
	}
	for _, id := range []access.PersonID{"svc", "ben", "two", "kim"} {
		if account, err := w.AccountOf(t.Context(), id, "slack"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s: %q, %v", id, account, err)
		}
	}
}
