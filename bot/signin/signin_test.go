package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot/signin/oidcfake"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
	"elevate/workflows/seal"
)

// company knows two people by what the provider calls them.
type company map[string]access.PersonID

func (c company) ByIdentity(_ context.Context, id access.Identity) (access.Person, error) {
	if p := c[id.Subject]; p != "" {
		return access.Person{ID: p}, nil
	}
	return access.Person{}, fmt.Errorf("%q: %w", id.Subject, access.ErrNotFound)
}

// site is a program with a sign-in in front of a page.
type site struct {
	*httptest.Server
	desk     *Desk
	provider *oidcfake.Server
	store    *redis.Store
	redis    *storagetest.Redis

	mu     sync.Mutex
	errand Errand
	away   []string // whom it turned away
	log    bytes.Buffer
}

const purposeUnderTest = "test:1"

// Write makes the log safe to read while it is written.
func (s *site) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(b)
}

func setup(t *testing.T, change func(*Config)) *site {
	t.Helper()
	s := &site{errand: Errand{Purpose: purposeUnderTest, Back: "/back"}, redis: storagetest.StartRedis(t)}
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.provider = oidcfake.Start(t, s.URL+callbackPath,
		oidcfake.User{Subject: "00u-ana", Email: "ana@example.com", Name: "Ana", Groups: []string{"sre", "dba"}},
		oidcfake.User{Subject: "00u-ben", Email: "ben@example.com", Name: "Ben", Unverified: true},
		oidcfake.User{Subject: "00u-eve", Name: "Eve"})
	var err error
	s.store, err = redis.Open(t.Context(), redis.Config{URL: s.redis.URL(), AllowUnsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	cfg := Config{
		Issuer: s.provider.URL, ClientID: oidcfake.ClientID, ClientSecret: access.NewSecret(oidcfake.ClientSecret), PublicURL: s.URL,
		GroupsClaim: "groups", Store: s.store, Directory: company{"00u-ana": "ana", "00u-ben": "ben"},
		Logger:  slog.New(slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Timeout: 5 * time.Second,
		TurnedAway: func(_ context.Context, id access.Identity, code string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.away = append(s.away, code+" "+id.Subject)
		},
	}
	if change != nil {
		change(&cfg)
	}
	if s.desk, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.desk.Close)
	mux.Handle(Prefix+"/", s.desk.Handler())
	mux.HandleFunc("POST /begin", func(w http.ResponseWriter, r *http.Request) { s.desk.Begin(w, r, s.errand) })
	mux.HandleFunc("GET /back", s.back)
	return s
}

// back is the page behind the sign-in.
func (s *site) back(w http.ResponseWriter, r *http.Request) {
	v, err := s.desk.Visit(r, r.FormValue("for")+purposeUnderTest)
	switch {
	case errors.Is(err, ErrNobody):
		http.Error(w, "nobody", http.StatusForbidden)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		_, _ = fmt.Fprintf(w, "%s %v %s %s", v.Person, v.Identity.Groups, v.Identity.Email, v.Derive("x"))
	}
}

// signIn goes all the way, and gives the answer to the last step on our side.
func (s *site) signIn(t *testing.T, b *oidcfake.Browser, user string) oidcfake.Seen {
	t.Helper()
	return b.Get(s.callback(t, b, user))
}

func (s *site) callback(t *testing.T, b *oidcfake.Browser, user string) string {
	t.Helper()
	begun := b.Post(s.URL+"/begin", nil)
	if begun.Location == "" {
		t.Fatalf("begin: %d %s", begun.Status, begun.Body)
	}
	to, err := b.SignIn(s.provider, begun.Location, user)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestWhoSignsInIsKnownForOnePurposeInOneBrowser(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	b := oidcfake.NewBrowser(t)
	seen := s.signIn(t, b, "00u-ana")
	if seen.Status != http.StatusSeeOther || seen.Location != "/back" {
		t.Fatalf("%d to %q: %s", seen.Status, seen.Location, seen.Body)
	}
	page := b.Get(s.URL + "/back")
	if !strings.HasPrefix(page.Body, "ana [sre dba] ana@example.com ") {
		t.Errorf("the page sees %q", page.Body)
	}
	if again := b.Get(s.URL + "/back"); again.Body != page.Body {
		t.Errorf("a visit derives %q and then %q", page.Body, again.Body)
	}
	if other := b.Get(s.URL + "/back?for=another"); other.Status != http.StatusForbidden {
		t.Errorf("a sign-in is good for another purpose: %s", other.Body)
	}
	if other := oidcfake.NewBrowser(t).Get(s.URL + "/back"); other.Status != http.StatusForbidden {
		t.Errorf("another browser is let in: %s", other.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	for _, c := range seen.Header.Values("Set-Cookie") {
		if !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "Path=/") {
			t.Errorf("cookie %q", c)
		}
	}
}

// TestTokensThatDoNotHoldAreRefused makes the provider's one good answer bad in one way each.
func TestTokensThatDoNotHoldAreRefused(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	for name, f := range map[string]oidcfake.Faults{
		"another issuer":           {Claims: set("iss", "https://login.evil.example")},
		"no issuer":                {Claims: set("iss", nil)},
		"issuer with a slash":      {Claims: set("iss", s.provider.URL+"/")},
		"another audience":         {Claims: set("aud", "another")},
		"no audience":              {Claims: set("aud", nil)},
		"two audiences, no azp":    {Claims: set("aud", []string{oidcfake.ClientID, "another"})},
		"another party":            {Claims: set("azp", "another")},
		"another nonce":            {Claims: set("nonce", strings.Repeat("n", 43))},
		"no nonce":                 {Claims: set("nonce", nil)},
		"expired":                  {Claims: set("exp", time.Now().Add(-time.Second).Unix())},
		"never expires":            {Claims: set("exp", nil)},
		"made long ago":            {Claims: set("iat", time.Now().Add(-time.Hour).Unix())},
		"made in the future":       {Claims: set("iat", time.Now().Add(time.Hour).Unix())},
		"not good yet":             {Claims: set("nbf", time.Now().Add(time.Hour).Unix())},
		"names nobody":             {Claims: set("sub", "")},
		"subject is no text":       {Claims: set("sub", 7)},
		"alg none":                 {Algorithm: "none"},
		"alg HS256":                {Algorithm: "HS256"},
		"signed by another key":    {Forged: true},
		"no token":                 {NoToken: true},
		"answer of another":        {Response: func(q url.Values) { q.Set("iss", "https://login.evil.example") }},
		"answer that names none":   {Response: func(q url.Values) { q.Del("iss") }},
		"another code":             {Response: func(q url.Values) { q.Set("code", "made-up") }},
		"no code":                  {Response: func(q url.Values) { q.Del("code") }},
		"two codes":                {Response: func(q url.Values) { q.Add("code", "more") }},
		"another state":            {Response: func(q url.Values) { q.Set("state", strings.Repeat("s", 43)) }},
		"no state":                 {Response: func(q url.Values) { q.Del("state") }},
		"an error beside the code": {Response: func(q url.Values) { q.Set("error", "server_error") }},
	} {
		b := oidcfake.NewBrowser(t)
		s.provider.Misbehave(f)
		if seen := s.signIn(t, b, "00u-ana"); seen.Status != http.StatusForbidden && seen.Status != http.StatusBadRequest {
			t.Errorf("%s: %d to %q", name, seen.Status, seen.Location)
		}
		if page := b.Get(s.URL + "/back"); page.Status != http.StatusForbidden {
			t.Errorf("%s: signed in as %s", name, page.Body)
		}
	}
	s.provider.Misbehave(oidcfake.Faults{})
	if seen := s.signIn(t, oidcfake.NewBrowser(t), "00u-ana"); seen.Status != http.StatusSeeOther {
		t.Errorf("and the good one: %d %s", seen.Status, seen.Body)
	}
}

// TestAnswersAreGoodOnce: neither the same answer again nor a provider that redeems codes twice makes two sign-ins of one.
func TestAnswersAreGoodOnce(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	s.provider.Misbehave(oidcfake.Faults{ReuseCode: true})
	b := oidcfake.NewBrowser(t)
	to := s.callback(t, b, "00u-ana")
	const tries = 20
	answers := make(chan oidcfake.Seen, tries)
	var all sync.WaitGroup
	for range tries {
		all.Go(func() { answers <- b.Get(to) })
	}
	all.Wait()
	close(answers)
	good := 0
	for a := range answers {
		if a.Status == http.StatusSeeOther {
			good++
		}
	}
	if good != 1 {
		t.Errorf("one answer made %d sign-ins", good)
	}
}

// keeps is a store in which nothing ends, as for whoever can write to it.
type keeps struct{ Store }

func (k keeps) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	return k.Store.Put(ctx, key, value, time.Hour)
}

func TestASignInEndsAlsoWhereItIsKept(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	s := setup(t, func(c *Config) {
		c.Store, c.Now = keeps{c.Store}, func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	done, begun := oidcfake.NewBrowser(t), oidcfake.NewBrowser(t)
	s.signIn(t, done, "00u-ana")
	to := s.callback(t, begun, "00u-ana")
	late.Store(int64(visitFor - 10*time.Second))
	if page := done.Get(s.URL + "/back"); page.Status != http.StatusOK {
		t.Errorf("before its end: %d %s", page.Status, page.Body)
	}
	late.Store(int64(visitFor))
	if page := done.Get(s.URL + "/back"); page.Status != http.StatusForbidden {
		t.Errorf("a sign-in that is over lets in: %d %s", page.Status, page.Body)
	}
	if seen := begun.Get(to); seen.Status != http.StatusBadRequest || !strings.Contains(seen.Body, "took too long") {
		t.Errorf("a sign-in is finished too late: %d", seen.Status)
	}
}

// TestSignInsAreNotMixedUp: an answer is worth nothing in a browser that did not ask for it, and one person's code
// nothing in another's sign-in.
func TestSignInsAreNotMixedUp(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	mallory, ana := oidcfake.NewBrowser(t), oidcfake.NewBrowser(t)
	planted := s.callback(t, mallory, "00u-ben") // and never opened: Mallory sends it to Ana
	if seen := ana.Get(planted); seen.Status != http.StatusBadRequest {
		t.Errorf("a stranger's answer: %d", seen.Status)
	}
	own, err := url.Parse(s.callback(t, ana, "00u-ana"))
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := url.Parse(planted)
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", stolen.Query().Get("code")) // Ben's code in Ana's sign-in
	own.RawQuery = q.Encode()
	if seen := ana.Get(own.String()); seen.Status != http.StatusForbidden {
		t.Errorf("another sign-in's code: %d", seen.Status)
	}
	if page := ana.Get(s.URL + "/back"); page.Status != http.StatusForbidden {
		t.Errorf("Ana is %s", page.Body)
	}
	if seen := mallory.Get(planted); seen.Status == http.StatusSeeOther { // the provider took its code back
		t.Errorf("a code that was tried elsewhere is good: %d", seen.Status)
	}
}

func TestTwoTabsSignInSideBySide(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	b := oidcfake.NewBrowser(t)
	one, two := s.callback(t, b, "00u-ana"), s.callback(t, b, "00u-ana")
	for _, to := range []string{one, two} {
		if seen := b.Get(to); seen.Status != http.StatusSeeOther {
			t.Errorf("%d %s", seen.Status, seen.Body)
		}
	}
}

// TestOneIsSentToSignInWhileAnotherComesBack: both use what was found out of the provider. It is for the race detector.
func TestOneIsSentToSignInWhileAnotherComesBack(t *testing.T) {
	t.Parallel()
	p := setup(t, func(c *Config) { c.Scopes, c.Box = []string{OfflineAccess}, new(seal.Box) }).desk.provider // nothing comes to be sealed
	var both sync.WaitGroup
	both.Go(func() {
		if _, _, err := p.redeem(t.Context(), "a code that was made up", secrets{}, Errand{}); !errors.Is(err, errRefused) {
			t.Errorf("gave %v", err)
		}
	})
	both.Go(func() {
		to, err := p.address(t.Context(), "state", secrets{}, Errand{Offline: true})
		if err != nil || !strings.Contains(to, "scope=openid+offline_access") {
			t.Errorf("gave %s, %v", to, err)
		}
	})
	both.Wait()
}

func TestSomebodyElseAndNobodyAreTurnedAway(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	s.errand.Person = "ben"
	for user, want := range map[string]string{"00u-ana": "as somebody else", "00u-eve": "does not know who you are", "": "was not completed"} {
		b := oidcfake.NewBrowser(t)
		if seen := s.signIn(t, b, user); seen.Status != http.StatusForbidden || !strings.Contains(seen.Body, want) {
			t.Errorf("%q: %d %s", user, seen.Status, seen.Body)
		}
		if page := b.Get(s.URL + "/back"); page.Status != http.StatusForbidden {
			t.Errorf("%q is in: %s", user, page.Body)
		}
	}
	if seen := s.signIn(t, oidcfake.NewBrowser(t), "00u-ben"); seen.Status != http.StatusSeeOther {
		t.Errorf("and Ben: %d %s", seen.Status, seen.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.away, ", "); len(s.away) != 2 || !strings.Contains(got, "other_person 00u-ana") || !strings.Contains(got, "unknown_identity 00u-eve") {
		t.Errorf("turned away: %s", got)
	}
}

func TestUnconfirmedAddressesAreLeftOut(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	b := oidcfake.NewBrowser(t)
	s.signIn(t, b, "00u-ben")
	if page := b.Get(s.URL + "/back"); !strings.HasPrefix(page.Body, "ben []  ") {
		t.Errorf("the page sees %q", page.Body)
	}
}

// TestKeysMayRotate: a key that the provider has replaced is worth nothing, and the new one is learned by itself.
func TestKeysMayRotate(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	for range 3 {
		if seen := s.signIn(t, oidcfake.NewBrowser(t), "00u-ana"); seen.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", seen.Status, seen.Body)
		}
		s.provider.Rotate()
	}
	if n := s.provider.Calls("/keys"); n != 3 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestProviderThatIsDownRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	s.provider.Misbehave(oidcfake.Faults{Down: true})
	b := oidcfake.NewBrowser(t)
	if seen := b.Post(s.URL+"/begin", nil); seen.Status != http.StatusServiceUnavailable || !strings.Contains(seen.Body, "try again in a minute") {
		t.Errorf("begun at a provider that is down: %d %s", seen.Status, seen.Body)
	}
	s.provider.Misbehave(oidcfake.Faults{Issuer: "https://login.evil.example"})
	if seen := b.Post(s.URL+"/begin", nil); seen.Status != http.StatusServiceUnavailable {
		t.Errorf("begun at a provider that says it is another: %d %s", seen.Status, seen.Body)
	}
	s.provider.Misbehave(oidcfake.Faults{})
	to := s.callback(t, b, "00u-ana")
	s.provider.Misbehave(oidcfake.Faults{Down: true})
	if seen := b.Get(to); seen.Status == http.StatusSeeOther {
		t.Errorf("signed in without the provider: %d", seen.Status)
	}
	s.provider.Misbehave(oidcfake.Faults{})
	if seen := s.signIn(t, b, "00u-ana"); seen.Status != http.StatusSeeOther {
		t.Errorf("%d %s", seen.Status, seen.Body)
	}
}

// TestFreshMeansFresh: where a purpose asks for a sign-in of now, an old session at the provider will not do.
func TestFreshMeansFresh(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	s.errand.Fresh = time.Minute
	old := func(c map[string]any) { c["auth_time"] = time.Now().Add(-10 * time.Minute).Unix() }
	for name, f := range map[string]oidcfake.Faults{"old": {Claims: old}, "unsaid": {Claims: func(c map[string]any) { delete(c, "auth_time") }}} {
		s.provider.Misbehave(f)
		if seen := s.signIn(t, oidcfake.NewBrowser(t), "00u-ana"); seen.Status != http.StatusForbidden {
			t.Errorf("%s: %d", name, seen.Status)
		}
	}
	s.provider.Misbehave(oidcfake.Faults{})
	begun := oidcfake.NewBrowser(t).Post(s.URL+"/begin", nil)
	if to, err := url.Parse(begun.Location); err != nil || to.Query().Get("max_age") != "60" {
		t.Errorf("asked for by %q: %v", begun.Location, err)
	}
	if seen := s.signIn(t, oidcfake.NewBrowser(t), "00u-ana"); seen.Status != http.StatusSeeOther {
		t.Errorf("fresh: %d %s", seen.Status, seen.Body)
	}
}

// TestNothingSecretIsKeptOrLogged: whoever reads the store or the log can finish nobody's sign-in, and learns no secret.
func TestNothingSecretIsKeptOrLogged(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	b := oidcfake.NewBrowser(t)
	begun := b.Post(s.URL+"/begin", nil)
	to, err := b.SignIn(s.provider, begun.Location, "00u-ana")
	if err != nil {
		t.Fatal(err)
	}
	seen := b.Get(to)
	secrets := []string{oidcfake.ClientSecret}
	for _, address := range []string{begun.Location, to} {
		u, _ := url.Parse(address)
		for _, name := range []string{"state", "nonce", "code"} {
			if v := u.Query().Get(name); v != "" {
				secrets = append(secrets, v)
			}
		}
	}
	for _, header := range []http.Header{begun.Header, seen.Header} {
		for _, c := range header.Values("Set-Cookie") {
			_, value, _ := strings.Cut(strings.SplitN(c, ";", 2)[0], "=")
			if value != "" {
				secrets = append(secrets, value)
			}
		}
	}
	if len(secrets) < 6 {
		t.Fatalf("only %d secrets were seen", len(secrets))
	}
	kept := s.redis.Everything(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		if strings.Contains(kept, secret) {
			t.Errorf("the store has %q", secret)
		}
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestBackIsAPathOfOurs(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/link/as/1": true, "/": true, "": false, "link": false, "//evil.example": false, "https://evil.example/": false, `/\evil.example`: false,
		"/a\r\nSet-Cookie: b=c": false, "javascript:alert(1)": false, "/%2fevil.example": true,
	} {
		if local(path) != want {
			t.Errorf("%q: %t", path, !want)
		}
	}
}

func TestCookiesAreBoundToTheHostWithTLS(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Issuer: "https://login.example.com", ClientID: "elevate", PublicURL: "https://elevate.example.com", Store: &redis.Store{}, Directory: company{}})
	if err != nil {
		t.Fatal(err)
	}
	c := d.cookie("elevate-visit-1", "x", time.Minute)
	if c.Name != "__Host-elevate-visit-1" || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Errorf("%s", c)
	}
}

func TestCheckSaysWhatIsWrongWithTheProvider(t *testing.T) {
	t.Parallel()
	s := setup(t, nil)
	cfg := Config{Issuer: s.provider.URL, ClientID: oidcfake.ClientID, PublicURL: s.URL}
	if remarks, err := Check(t.Context(), cfg); err != nil || len(remarks) > 0 {
		t.Errorf("%q, %v", remarks, err)
	}
	s.provider.Misbehave(oidcfake.Faults{Issuer: "https://login.evil.example"})
	if _, err := Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "did not match") {
		t.Errorf("%v", err)
	}
	s.provider.Misbehave(oidcfake.Faults{Down: true})
	if _, err := Check(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
}

// FuzzCallback: whatever comes back, nobody is signed in who did not sign in.
func FuzzCallback(f *testing.F) {
	f.Add("state=a&code=b&iss=c", "elevate-signin-x=y")
	f.Add("state=%00&state=b", "=;,")
	f.Add("error=access_denied", "")
	d, err := New(Config{Issuer: "http://127.0.0.1:1", ClientID: "elevate", PublicURL: "http://127.0.0.1:1", Store: &forgetful{}, Directory: company{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, cookie string) {
		r := httptest.NewRequest(http.MethodGet, callbackPath, nil)
		r.URL.RawQuery = query
		r.Header.Set("Cookie", cookie+"; "+begunCookie(r.URL.Query().Get("state"))+"=known")
		w := httptest.NewRecorder()
		d.callback(w, r)
		if w.Code < 400 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

// Of any claims there are groups, or too many to be told, and never both; none of them is empty.
func FuzzGroups(f *testing.F) {
	f.Add(`{"groups":["sre","leads"]}`)
	f.Add(`{"groups":"one"}`)
	f.Add(`{"groups":[1,null,{"a":[]},""],"hasgroups":"true"}`)
	f.Add(`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.windows.net"}}}`)
	f.Add(`{"_claim_names":[]}`)
	p := newProvider(Config{GroupsClaim: "groups"})
	f.Fuzz(func(t *testing.T, text string) {
		var claims map[string]claim
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		groups, overage, said := p.groups(claims)
		if overage && (len(groups) > 0 || !said) || len(groups) > mostGroups || slices.Contains(groups, "") || len(groups) > 0 && !said {
			t.Errorf("%q: %d groups, overage %v, said %v", text, len(groups), overage, said)
		}
	})
}

// forgetful is a store that has nothing.
type forgetful struct{}

func (forgetful) Put(context.Context, string, []byte, time.Duration) error { return nil }
func (forgetful) Recall(context.Context, string) ([]byte, error)           { return nil, nil }
func (forgetful) Redeem(context.Context, string) ([]byte, error)           { return nil, nil }
