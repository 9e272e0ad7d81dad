package linking_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/bot"
	"elevate/bot/linking"
	"elevate/bot/signin"
	"elevate/bot/signin/oidcfake"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a program that people link their accounts at.
type world struct {
	*httptest.Server
	t        *testing.T
	provider *oidcfake.Server
	redis    *storagetest.Redis
	store    *redis.Store
	people   *directory.Live
	office   *linking.Office
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupWith(t, nil)
}

func setupWith(t *testing.T, change func(*linking.Config)) *world {
	t.Helper()
	w := &world{t: t, redis: storagetest.StartRedis(t)}
	mux := http.NewServeMux()
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Close)
	w.provider = oidcfake.Start(t, w.URL+"/signin/callback",
		oidcfake.User{Subject: "00u-ana", Name: "Ana"}, oidcfake.User{Subject: "00u-mal", Name: "Mallory"}, oidcfake.User{Subject: "00u-bob", Name: "Bob"})
	var err error
	w.store, err = redis.Open(t.Context(), redis.Config{URL: w.redis.URL(), AllowUnsafe: true, Chats: []string{"slack"}})
	w.must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	written := directory.New([]directory.Entry{
		{Person: access.Person{ID: "ana", Name: "Ana Lima"}, Subject: "00u-ana"},
		{Person: access.Person{ID: "mal", Name: "Mallory"}, Subject: "00u-mal"},
		{Person: access.Person{ID: "bob", Name: "Bob"}, Subject: "00u-bob", Chats: map[string]string{"slack": "U0BOB"}},
	})
	links, err := workflows.NewLinks(workflows.LinkConfig{
		Store: w.store, Written: written, Chats: []string{"slack"},
		Administrator: func(_ context.Context, id access.PersonID) (bool, error) { return id == "bob", nil },
	})
	w.must(err)
	w.people, err = directory.Open(directory.Config{People: written, Links: w.store, Ledger: links, Issuer: w.provider.URL})
	w.must(err)
	desk, err := signin.New(signin.Config{
		Issuer: w.provider.URL, ClientID: oidcfake.ClientID, ClientSecret: access.NewSecret(oidcfake.ClientSecret), PublicURL: w.URL,
		Store: w.store, Directory: w.people,
	})
	w.must(err)
	t.Cleanup(desk.Close)
	cfg := linking.Config{
		Desk: desk, PublicURL: w.URL, Provider: "Example Login", Links: links, Store: w.store, Directory: w.people,
		Name: func(_ context.Context, _, account string) string { return "The one called " + account },
	}
	if change != nil {
		change(&cfg)
	}
	w.office, err = linking.New(cfg)
	w.must(err)
	mux.Handle(signin.Prefix+"/", desk.Handler())
	mux.Handle(linking.Prefix+"/", w.office.Handler())
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func slack(account string) bot.Who { return bot.Who{Chat: "slack", Account: account} }

func (w *world) invite(account string) string {
	w.t.Helper()
	link, lasts, err := w.office.Invite(w.t.Context(), slack(account))
	w.must(err)
	if lasts != 10*time.Minute || !strings.HasPrefix(link, w.URL+"/link/") {
		w.t.Fatalf("invited to %q for %s", link, lasts)
	}
	return link
}

// open opens a link, signs in as somebody and gives the page that the browser ends at.
func (w *world) open(b *oidcfake.Browser, link, user string) oidcfake.Seen {
	w.t.Helper()
	begun := b.Post(link, nil)
	if begun.Location == "" {
		return begun
	}
	to, err := b.SignIn(w.provider, begun.Location, user)
	w.must(err)
	seen := b.Get(to)
	if seen.Status == http.StatusSeeOther {
		seen = b.Get(w.URL + seen.Location)
	}
	return seen
}

var shownWord = regexp.MustCompile(`/elevate link ([0-9a-z]{4}-[0-9a-z]{4})<`)

func word(seen oidcfake.Seen) string {
	if m := shownWord.FindStringSubmatch(html.UnescapeString(seen.Body)); m != nil {
		return m[1]
	}
	return ""
}

func (w *world) owner(account string) access.PersonID {
	p, err := w.people.ByAccount(w.t.Context(), "slack", account)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		w.t.Error(err)
	}
	return p.ID
}

func (w *world) refused(err error, code string) {
	w.t.Helper()
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != code || r.Text == "" {
		w.t.Errorf("%v, not %s", err, code)
	}
}

func TestAnAccountIsLinkedByLinkSignInAndWord(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0ANA")
	b := oidcfake.NewBrowser(t)
	page := b.Get(link)
	for _, want := range []string{"Is this Slack account yours?", "The one called U0ANA (U0ANA)", "Sign in with Example Login", "Did somebody send you this link?"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") || strings.Contains(csp, w.provider.URL) || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	seen := w.open(b, link, "00u-ana")
	said := word(seen)
	if said == "" || !strings.Contains(seen.Body, "Ana Lima (ana)") {
		t.Fatalf("%d %s", seen.Status, seen.Body)
	}
	if w.owner("U0ANA") != "" {
		t.Error("the sign-in alone made the link")
	}
	p, err := w.office.Finish(t.Context(), slack("U0ANA"), strings.ToUpper(strings.Replace(said, "-", " ", 1)))
	if err != nil || p.ID != "ana" || w.owner("U0ANA") != "ana" {
		t.Errorf("%v, %v, and the account is %q's", p.ID, err, w.owner("U0ANA"))
	}
	if account, err := w.people.AccountOf(t.Context(), "ana", "slack"); err != nil || account != "U0ANA" {
		t.Errorf("%q, %v", account, err)
	}
	_, err = w.office.Finish(t.Context(), slack("U0ANA"), said)
	w.refused(err, "no_word")
	events, err := w.store.Undrained(t.Context(), 10)
	if err != nil || len(events) != 1 || events[0].Kind != "linked" || events[0].Person != "ana" || events[0].Detail["subject"] != "00u-ana" {
		t.Errorf("on record is %+v, %v", events, err)
	}
}

func TestThePagesCallTheCommandByItsNameInTheChat(t *testing.T) {
	t.Parallel()
	w := setupWith(t, func(c *linking.Config) { c.Command = func(chat string) string { return "/jit-" + chat } })
	link := w.invite("U0ANA")
	for what, seen := range map[string]oidcfake.Seen{
		"typed “/jit-slack link”":              oidcfake.NewBrowser(t).Get(link),
		"<code>/jit-slack link ":               w.open(oidcfake.NewBrowser(t), link, "00u-ana"),
		"Type “/jit- link” in your chat for a": oidcfake.NewBrowser(t).Get(w.URL + "/link/made-up"),
	} {
		if !strings.Contains(seen.Body, what) {
			t.Errorf("%q is not in %s", what, seen.Body)
		}
	}
}

// TestLookingAtALinkChangesNothing: programs that look at links, and pages of others, use nothing up.
func TestLookingAtALinkChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0ANA")
	before := w.redis.Everything(t)
	for range 5 {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if seen := oidcfake.NewBrowser(t).Do(method, link, http.Header{"User-Agent": {"Slackbot-LinkExpanding 1.0"}}); seen.Status != http.StatusOK {
				t.Fatalf("%s: %d", method, seen.Status)
			}
		}
	}
	if seen := oidcfake.NewBrowser(t).PostAcross(link, nil); seen.Status != http.StatusForbidden {
		t.Errorf("another site's form: %d to %q", seen.Status, seen.Location)
	}
	if after := w.redis.Everything(t); len(after) != len(before) {
		t.Errorf("the store had\n%s\nand has\n%s", before, after)
	}
	if word(w.open(oidcfake.NewBrowser(t), link, "00u-ana")) == "" {
		t.Error("and the link is worth nothing any more")
	}
}

// TestSomebodyElsesLinkGivesNobodyAway: Mallory sends Ana the link of Mallory's own account. Ana signs in, and the word
// that only she sees is what Mallory lacks.
func TestSomebodyElsesLinkGivesNobodyAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0MAL")
	said := word(w.open(oidcfake.NewBrowser(t), link, "00u-ana"))
	if said == "" {
		t.Fatal("Ana sees no word")
	}
	if seen := w.open(oidcfake.NewBrowser(t), link, "00u-mal"); word(seen) != "" || seen.Status != http.StatusGone {
		t.Errorf("the link works a second time: %d", seen.Status)
	}
	_, err := w.office.Finish(t.Context(), slack("U0ANA"), said) // the word of another account
	w.refused(err, "no_word")
	for range 5 {
		_, err := w.office.Finish(t.Context(), slack("U0MAL"), "0000-0000")
		w.refused(err, "wrong_word")
	}
	_, err = w.office.Finish(t.Context(), slack("U0MAL"), said)
	w.refused(err, "too_many_words")
	if owner := w.owner("U0MAL"); owner != "" {
		t.Errorf("Mallory's account is %s's", owner)
	}
}

// TestTheWordIsForTheBrowserThatSignedIn: knowing the address of the page is not enough to see the word.
func TestTheWordIsForTheBrowserThatSignedIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0ANA")
	b := oidcfake.NewBrowser(t)
	begun := b.Post(link, nil)
	to, err := b.SignIn(w.provider, begun.Location, "00u-ana")
	w.must(err)
	page := w.URL + b.Get(to).Location
	if seen := oidcfake.NewBrowser(t).Get(page); seen.Status != http.StatusGone || word(seen) != "" {
		t.Errorf("another browser: %d", seen.Status)
	}
	one, two := b.Get(page), b.Get(page)
	if word(one) == "" || word(one) != word(two) {
		t.Errorf("a page that is loaded again shows %q and %q", word(one), word(two))
	}
	_, err = w.office.Finish(t.Context(), slack("U0ANA"), word(two))
	w.must(err)
	if seen := b.Get(page); word(seen) != "" || !strings.Contains(seen.Body, "The account is linked") {
		t.Errorf("after the word was typed: %s", seen.Body)
	}
}

func TestOneOfManyWhoOpenALinkAtOnceTakesIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0ANA")
	words := make(chan string, 8)
	var all sync.WaitGroup
	for i := range cap(words) {
		all.Go(func() {
			words <- word(w.open(oidcfake.NewBrowser(t), link, []string{"00u-ana", "00u-mal"}[i%2]))
		})
	}
	all.Wait()
	close(words)
	n := 0
	for said := range words {
		if said != "" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d were shown a word", n, cap(words))
	}
}

func TestALinkAndAWordEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, link := range []string{w.URL + "/link/made-up", w.URL + "/link/as/" + strings.Repeat("a", 64), w.URL + "/link/as/..%2f", w.URL + "/link/" + strings.Repeat("x", 5000)} {
		if seen := oidcfake.NewBrowser(t).Get(link); seen.Status != http.StatusGone {
			t.Errorf("%.60s: %d", link, seen.Status)
		}
	}
	if seen := oidcfake.NewBrowser(t).Post(w.URL+"/link/made-up", url.Values{}); seen.Status != http.StatusGone {
		t.Errorf("begun at a made-up link: %d", seen.Status)
	}
}

// keeps is a store in which nothing ends, as for whoever can write to it.
type keeps struct{ linking.Store }

func (k keeps) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	return k.Store.Put(ctx, key, value, time.Hour)
}

func TestAnInvitationEndsAlsoWhereItIsKept(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	w := setupWith(t, func(c *linking.Config) {
		c.Store, c.Now = keeps{c.Store}, func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	link, b := w.invite("U0ANA"), oidcfake.NewBrowser(t)
	begun := b.Post(link, nil)
	to, err := b.SignIn(w.provider, begun.Location, "00u-ana")
	w.must(err)
	late.Store(int64(10 * time.Minute))
	if seen := oidcfake.NewBrowser(t).Get(link); seen.Status != http.StatusGone {
		t.Errorf("the page of a link that is over: %d", seen.Status)
	}
	if seen := b.Get(w.URL + b.Get(to).Location); seen.Status != http.StatusGone || word(seen) != "" {
		t.Errorf("a sign-in for a link that is over: %d", seen.Status)
	}
	late.Store(int64(9 * time.Minute))
	if seen := b.Get(link); seen.Status != http.StatusOK {
		t.Errorf("before its end: %d", seen.Status)
	}
}

// TestLinksOfOthersStand: what the configuration writes down, and what somebody has shown, no other takes.
func TestLinksOfOthersStand(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, _, err := w.office.Invite(t.Context(), slack("U0BOB"))
	w.refused(err, "written_already")
	link := func(account, user string) error {
		said := word(w.open(oidcfake.NewBrowser(t), w.invite(account), user))
		_, err := w.office.Finish(t.Context(), slack(account), said)
		return err
	}
	w.refused(link("U0NEW", "00u-bob"), "other_account") // Bob's account is written down
	w.must(link("U0ANA", "00u-ana"))
	w.must(link("U0ANA", "00u-ana")) // again, as for new groups
	w.refused(link("U0ANA", "00u-mal"), "linked_already")
	w.refused(link("U0ANA2", "00u-ana"), "other_account")
	if w.owner("U0ANA") != "ana" || w.owner("U0ANA2") != "" || w.owner("U0NEW") != "" {
		t.Errorf("%q, %q, %q", w.owner("U0ANA"), w.owner("U0ANA2"), w.owner("U0NEW"))
	}

	_, err = w.office.Remove(t.Context(), access.Actor{Person: "mal", Via: "slack"}, "ana")
	w.refused(err, "not_administrator")
	removed, err := w.office.Remove(t.Context(), access.Actor{Person: "bob", Via: "slack"}, "ana")
	if err != nil || len(removed) != 1 || w.owner("U0ANA") != "" {
		t.Errorf("%+v, %v", removed, err)
	}
	_, err = w.office.Remove(t.Context(), access.Actor{Person: "ana", Via: "slack"}, "ana")
	w.refused(err, "no_link")
	w.must(link("U0ANA2", "00u-ana"))
}

// TestTheStoreHasNeitherLinksNorWords: whoever reads it can open nobody's page and type nobody's word.
func TestTheStoreHasNeitherLinksNorWords(t *testing.T) {
	t.Parallel()
	w := setup(t)
	link := w.invite("U0ANA")
	said := word(w.open(oidcfake.NewBrowser(t), link, "00u-ana"))
	kept := w.redis.Everything(t)
	for _, secret := range []string{strings.TrimPrefix(link, w.URL+"/link/"), said, strings.Replace(said, "-", "", 1)} {
		if len(secret) < 8 || strings.Contains(kept, secret) {
			t.Errorf("the store has %q", secret)
		}
	}
}
