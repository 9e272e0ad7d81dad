package linking_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/linking"
	"elevate/bot/signin"
	"elevate/bot/signin/oidcfake"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/seal"
)

// away is Ana, who has linked her account by signing in, and two replicas that ask the provider for her groups while she
// is away.
type away struct {
	t        *testing.T
	provider *oidcfake.Server
	redis    *storagetest.Redis
	replicas [2]*office
	url      string
	tokens   func(signin.TokenStore) signin.TokenStore // what lies between replicas and their store; nil: nothing

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

// office is one replica.
type office struct {
	*linking.Office
	store  *redis.Store
	people *directory.Live
	claims *signin.Claims
}

func sealKey(id string) seal.Key {
	return seal.Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(id+"!abcde"), 4)[:32]))}
}

func (w *away) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *away) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *away) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func setupAway(t *testing.T, f oidcfake.Faults) *away {
	t.Helper()
	w := &away{t: t, redis: storagetest.StartRedis(t), now: time.Now()}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.provider = oidcfake.Start(t, w.url+"/signin/callback",
		oidcfake.User{Subject: "00u-ana", Name: "Ana", Groups: []string{"platform"}}, oidcfake.User{Subject: "00u-bob", Name: "Bob"})
	w.provider.SetClock(w.clock)
	w.provider.Misbehave(f)
	for i := range w.replicas {
		w.replicas[i] = w.replica(fmt.Sprint("replica-", i), mux, sealKey("k1"))
		mux = http.NewServeMux() // browsers reach the first
	}
	return w
}

// replica is one of the program, sealing with the first of its keys.
func (w *away) replica(holder string, mux *http.ServeMux, keys ...seal.Key) *office {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	o := &office{}
	log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	marks, err := seal.NewMarker(keys)
	must(err)
	o.store, err = redis.Open(w.t.Context(), redis.Config{URL: w.redis.URL(), AllowUnsafe: true, Chats: []string{"slack"}, Marks: marks, Log: log})
	must(err)
	w.t.Cleanup(func() { _ = o.store.Close() })
	written := directory.New([]directory.Entry{
		{Person: access.Person{ID: "ana", Name: "Ana Lima"}, Subject: "00u-ana"}, {Person: access.Person{ID: "bob", Name: "Bob"}, Subject: "00u-bob"},
	})
	links, err := workflows.NewLinks(workflows.LinkConfig{
		Store: o.store, Written: written, Chats: []string{"slack"}, Now: w.clock, Logger: log,
		Administrator: func(_ context.Context, id access.PersonID) (bool, error) { return id == "bob", nil },
	})
	must(err)
	box, err := seal.New(keys, "oidc")
	must(err)
	cfg := signin.Config{
		Issuer: w.provider.URL, ClientID: oidcfake.ClientID, ClientSecret: access.NewSecret(oidcfake.ClientSecret), PublicURL: w.url,
		Scopes: []string{signin.OfflineAccess}, GroupsClaim: "groups", Box: box, Store: o.store, Now: w.clock, Logger: log, Timeout: 3 * time.Second,
	}
	tokens := signin.TokenStore(o.store)
	if w.tokens != nil {
		tokens = w.tokens(tokens)
	}
	o.claims, err = signin.NewClaims(signin.ClaimsConfig{Config: cfg, Tokens: tokens, Suspend: links.Suspend, Holder: holder})
	must(err)
	w.t.Cleanup(o.claims.Close)
	o.people, err = directory.Open(directory.Config{People: written, Links: o.store, Ledger: links, Issuer: w.provider.URL, Now: w.clock,
		Claims: o.claims, Groups: []directory.Group{{Name: "sre", Claim: "platform"}}})
	must(err)
	cfg.Directory = o.people
	desk, err := signin.New(cfg)
	must(err)
	w.t.Cleanup(desk.Close)
	o.Office, err = linking.New(linking.Config{Desk: desk, PublicURL: w.url, Provider: "Example Login", Links: links, Store: o.store, Directory: o.people})
	must(err)
	mux.Handle(signin.Prefix+"/", desk.Handler())
	mux.Handle(linking.Prefix+"/", o.Handler())
	return o
}

// link has Ana sign in and type the word.
func (w *away) link() {
	w.t.Helper()
	o := w.replicas[0]
	address, _, err := o.Invite(w.t.Context(), slack("U0ANA"))
	if err != nil {
		w.t.Fatal(err)
	}
	b := oidcfake.NewBrowser(w.t)
	to, err := b.SignIn(w.provider, b.Post(address, nil).Location, "00u-ana")
	if err != nil {
		w.t.Fatal(err)
	}
	seen := b.Get(w.url + b.Get(to).Location)
	if _, err := o.Finish(w.t.Context(), slack("U0ANA"), word(seen)); err != nil {
		w.t.Fatalf("%v: %s", err, seen.Body)
	}
	w.pass(2 * time.Second) // and so links of before are not believed to be all
}

// groups are Ana's as a replica has them now.
func (w *away) groups(i int) ([]string, error) {
	p, err := w.replicas[i].people.Person(w.t.Context(), "ana")
	return p.Groups, err
}

// is holds that Ana is in sre, or in nothing.
func (w *away) is(what string, i int, in bool) {
	w.t.Helper()
	groups, err := w.groups(i)
	if err != nil || slices.Contains(groups, "sre") != in || len(groups) > 1 {
		w.t.Errorf("%s: %q, %v", what, groups, err)
	}
}

// refused holds that nothing is known of Ana's groups, and that she is told why.
func (w *away) refused(what, code, words string) {
	w.t.Helper()
	groups, err := w.groups(0)
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != code || !strings.Contains(r.Text, words) || !errors.Is(err, access.ErrUnavailable) {
		w.t.Errorf("%s: %q, %v", what, groups, err)
	}
}

func (w *away) refreshes() int { return w.provider.Calls("refresh") }

func TestGroupsAreThoseOfTheMomentOfTheClick(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]oidcfake.Faults{
		"one token":          {},
		"rotating":           {Refreshes: oidcfake.Refreshes{Rotates: true}},
		"UserInfo":           {Refreshes: oidcfake.Refreshes{Rotates: true, GroupsElsewhere: true}},
		"UserInfo, no token": {Refreshes: oidcfake.Refreshes{NoIDToken: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setupAway(t, f)
			w.link()
			w.is("after the sign-in", 0, true)
			n := w.refreshes()
			w.provider.SetGroups("00u-ana", "lunch")
			w.pass(59 * time.Second)
			for range 5 {
				w.is("within a minute", 0, true)
			}
			if w.refreshes() > n+1 {
				t.Errorf("asked %d times within a minute", w.refreshes()-n)
			}
			w.pass(60 * time.Second)
			for i := range w.replicas {
				w.is("taken out of the group a minute ago", i, false)
			}
			w.provider.SetGroups("00u-ana", "platform")
			w.is("within the next minute", 1, false)
			w.pass(time.Minute)
			w.is("back in it", 1, true)
			people, err := w.replicas[0].people.People(t.Context())
			if err != nil || !slices.Contains(people[0].Groups, "sre") {
				t.Errorf("of everybody: %+v, %v", people, err)
			}
		})
	}
}

// TestARotatingTokenIsUsedOnceAtATime: a provider that takes everything away when a token comes twice sees none twice,
// however many click at both replicas.
func TestARotatingTokenIsUsedOnceAtATime(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	for round := range 4 {
		before := w.refreshes()
		w.pass(time.Minute)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() { w.is(fmt.Sprint("round ", round), i%2, true) })
		}
		all.Wait()
		if n := w.refreshes() - before; n != 1 {
			t.Errorf("round %d: the provider was asked %d times", round, n)
		}
	}
}

// TestWhoeverHangsUpLosesNoToken: the answer that nobody waits for any more holds the only token for the next question.
func TestWhoeverHangsUpLosesNoToken(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{})
	w.link()
	hold := make(chan struct{})
	w.provider.Misbehave(oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true, Hold: hold}})
	w.pass(time.Minute)
	ctx, hangUp := context.WithCancel(t.Context())
	before := w.refreshes()
	gone := make(chan error)
	go func() {
		_, err := w.replicas[0].people.Person(ctx, "ana")
		gone <- err
	}()
	storagetest.Eventually(t, "the provider is asked", func() bool { return w.refreshes() > before })
	hangUp()
	if err := <-gone; err == nil {
		t.Error("whoever hung up has an answer")
	}
	close(hold)
	w.is("the next click", 0, true)
	w.provider.Misbehave(oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.pass(time.Minute)
	w.is("and the one after", 1, true)
}

// TestAnswersThatDoNotHoldRefuse makes the provider's answer to a refresh token bad in one way each. None is taken for "no
// groups", and none costs the token.
func TestAnswersThatDoNotHoldRefuse(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	w := setupAway(t, oidcfake.Faults{})
	w.link()
	bad := func(what string, f oidcfake.Faults) {
		t.Helper()
		f.Rotates = true
		w.provider.Misbehave(f)
		w.pass(time.Minute)
		w.refused(what, "claims_unavailable", "could not be asked for the groups of ana, so nothing was done. Try again in a minute.")
		w.provider.Misbehave(oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
		w.is("after "+what, 0, true)
	}
	bad("somebody else", oidcfake.Faults{Claims: set("sub", "00u-bob")})
	bad("another issuer", oidcfake.Faults{Claims: set("iss", "https://login.evil.example")})
	bad("another audience", oidcfake.Faults{Claims: set("aud", "another")})
	bad("another party", oidcfake.Faults{Claims: set("azp", "another")})
	bad("made long ago", oidcfake.Faults{Claims: set("iat", time.Now().Add(-time.Hour).Unix())})
	bad("a forged one", oidcfake.Faults{Forged: true})
	bad("alg none", oidcfake.Faults{Algorithm: "none"})
	bad("UserInfo of somebody else", oidcfake.Faults{Refreshes: oidcfake.Refreshes{NoIDToken: true, UserInfo: set("sub", "00u-bob")}})
	bad("UserInfo of another than the token", oidcfake.Faults{Refreshes: oidcfake.Refreshes{GroupsElsewhere: true, UserInfo: set("sub", "00u-bob")}})
	bad("UserInfo that is down", oidcfake.Faults{Refreshes: oidcfake.Refreshes{GroupsElsewhere: true, NoUserInfo: true}})
	bad("a provider that is down", oidcfake.Faults{Refreshes: oidcfake.Refreshes{RefreshDown: true}})
	bad("a client that is refused", oidcfake.Faults{Refreshes: oidcfake.Refreshes{RefreshError: "invalid_client"}})
}

// TestMoreGroupsThanTheProviderWritesDownRefuse: Entra names a place instead of more than 200 groups. That is not "none".
func TestMoreGroupsThanTheProviderWritesDownRefuse(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]func(map[string]any){
		"_claim_names": func(c map[string]any) {
			delete(c, "groups")
			c["_claim_names"] = map[string]any{"groups": "src1"}
			c["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://graph.microsoft.com/v1.0/users/1/getMemberObjects"}}
		},
		"hasgroups":     func(c map[string]any) { delete(c, "groups"); c["hasgroups"] = true },
		"hasgroups too": func(c map[string]any) { c["groups"] = []string{"platform"}; c["hasgroups"] = "true" },
	} {
		for how, at := range map[string]func(w *away){
			"at a click": func(w *away) {
				w.link()
				w.provider.Misbehave(oidcfake.Faults{Claims: claims, Refreshes: oidcfake.Refreshes{Rotates: true}})
				w.pass(time.Minute)
			},
			"at the sign-in, without a refresh token": func(w *away) {
				w.provider.Misbehave(oidcfake.Faults{Claims: claims, Refreshes: oidcfake.Refreshes{NoRefresh: true}})
				w.link()
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				w := setupAway(t, oidcfake.Faults{})
				at(w)
				w.refused("overage", "groups_overage", "in more groups than the identity provider writes down")
				w.refused("overage again", "groups_overage", "Groups assigned to the application")
			})
		}
	}
}

// TestASignInThatTheProviderWithdrawsIsNobodys: the link is suspended, the person is told the way out, and it works.
func TestASignInThatTheProviderWithdrawsIsNobodys(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	w.is("at first", 0, true)
	w.provider.Revoke("00u-ana")
	w.pass(time.Minute)
	w.refused("withdrawn", "link_suspended", "ana can type `/elevate link` and sign in again.")
	w.pass(2 * time.Second)
	w.is("without the link", 0, false)
	_, err := w.replicas[1].people.ByAccount(t.Context(), "slack", "U0ANA")
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != "link_suspended" || !strings.Contains(r.Text, signin.Withdrawn) || !strings.Contains(r.Text, "Type `/elevate link` and sign in again.") {
		t.Errorf("the account: %v", err)
	}
	if _, err := w.replicas[0].Confirm(t.Context(), access.Actor{Person: "bob", Via: "slack"}, "ana"); !errors.As(err, &r) || r.Code != "sign_in" {
		t.Errorf("an administrator vouches for a sign-in: %v", err)
	}
	if token, err := w.replicas[0].store.Token(t.Context(), "slack", "U0ANA"); err != nil || token != nil {
		t.Errorf("the token is kept: %v, %v", token, err)
	}
	w.link()
	w.is("after signing in again", 1, true)
}

// TestATokenThatCannotBeReadNamesTheWayOut: asking again in a minute would be no help, ever. Signing in is, at once, on every
// replica; and the link is not touched, for the key may be put back.
func TestATokenThatCannotBeReadNamesTheWayOut(t *testing.T) {
	t.Parallel()
	const words = "cannot be read, so nothing was done. ana can type `/elevate link` and sign in again."
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	ctx, s := t.Context(), w.replicas[0].store
	bare := w.replica("replica-2", http.NewServeMux(), sealKey("k3"))
	link, err := s.Link(ctx, "slack", "U0ANA")
	if err != nil || link == nil {
		t.Fatalf("%+v, %v", link, err)
	}
	_, _, err = bare.claims.Groups(ctx, *link)
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != "claims_unreadable" || !strings.Contains(r.Text, words) {
		t.Errorf("without its key, as if it were forged: %v", err)
	}
	w.is("with it", 1, true)
	token, err := s.Token(ctx, "slack", "U0ANA")
	if err != nil {
		t.Fatal(err)
	}
	was := token.Sealed
	token.Sealed, token.At = "k1:AAAA", time.Time{}
	if kept, err := s.SwapToken(ctx, was, *token); !kept || err != nil {
		t.Fatalf("%v, %v", kept, err)
	}
	w.refused("one that does not open", "claims_unreadable", words)
	w.link()
	w.pass(time.Minute)
	w.is("after signing in again", 1, true)
}

// queue has a replica wait for its turn, and sees how long it may ask then.
type queue struct {
	signin.TokenStore
	mu           sync.Mutex
	asked        int
	began        time.Time     // the last time that the turn was asked for
	first, swaps time.Duration // from then, how long the first question for the turn may take, and keeping the next token
}

func (q *queue) Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	q.began = time.Now()
	if end, ok := ctx.Deadline(); ok && q.asked == 1 {
		q.first = end.Sub(q.began)
	}
	if q.asked <= 3 {
		return false, nil
	}
	return q.TokenStore.Hold(ctx, name, holder, lease)
}

func (q *queue) SwapToken(ctx context.Context, was string, t access.Token) (bool, error) {
	q.mu.Lock()
	if end, ok := ctx.Deadline(); ok {
		q.swaps = end.Sub(q.began)
	}
	q.mu.Unlock()
	return q.TokenStore.SwapToken(ctx, was, t)
}

// TestWhoeverWaitsForTheTurnHasAllTheTimeToAsk: one who is cut off when the provider has answered loses the next token.
func TestWhoeverWaitsForTheTurnHasAllTheTimeToAsk(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	q := &queue{}
	w.tokens = func(s signin.TokenStore) signin.TokenStore { q.TokenStore = s; return q }
	w.replicas[0] = w.replica("replica-2", http.NewServeMux(), sealKey("k1"))
	w.pass(time.Minute)
	w.is("after the wait", 0, true)
	if q.asked != 4 || q.first == 0 || q.swaps < q.first {
		t.Errorf("asked %d times for the turn; %v were left of %v", q.asked, q.swaps, q.first)
	}
}

// TestWithoutARefreshTokenGroupsCountForAMinute: after that nothing is done until the person signs in again.
func TestWithoutARefreshTokenGroupsCountForAMinute(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{NoRefresh: true}})
	w.link()
	w.provider.SetGroups("00u-ana")
	w.pass(50 * time.Second)
	w.is("within a minute", 0, true)
	w.pass(10 * time.Second)
	w.refused("after a minute", "groups_too_old", "ana can type `/elevate link`, sign in again")
	w.link()
	w.is("after signing in again", 0, false)
	if n := w.refreshes(); n != 0 {
		t.Errorf("refreshed %d times", n)
	}
}

// TestTheRefreshTokenLiesNowhereInTheClear, and is good for nobody else where it lies.
func TestTheRefreshTokenLiesNowhereInTheClear(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	for range 3 {
		w.pass(time.Minute)
		w.is("now", 0, true)
	}
	w.provider.Misbehave(oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true, GroupsElsewhere: true, NoUserInfo: true}})
	w.pass(time.Minute)
	w.refused("UserInfo that is down", "claims_unavailable", "")
	kept := w.redis.Everything(t)
	w.provider.Revoke("00u-ana")
	w.pass(time.Minute)
	w.refused("withdrawn", "link_suspended", "")
	for where, text := range map[string]string{"the store": kept, "the store afterwards": w.redis.Everything(t), "the log": w.log.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("%s has a token in the clear: %.300s", where, text[strings.Index(text, "canary"):])
		}
	}
	if !strings.Contains(kept, `"sealed":"k1:`) {
		t.Error("no sealed token was seen: the test looks at nothing")
	}
}

// TestTokensAreSealedAnewWithTheFirstKey, as seeds are.
func TestTokensAreSealedAnewWithTheFirstKey(t *testing.T) {
	t.Parallel()
	w := setupAway(t, oidcfake.Faults{Refreshes: oidcfake.Refreshes{Rotates: true}})
	w.link()
	o := w.replica("replica-2", http.NewServeMux(), sealKey("k2"), sealKey("k1"))
	links, err := o.store.Links(t.Context())
	if err != nil || len(links) != 1 {
		t.Fatalf("%v, %v", links, err)
	}
	if left, err := o.claims.Reseal(t.Context(), links); err != nil || left != 0 {
		t.Fatalf("%d left, %v", left, err)
	}
	token, err := o.store.Token(t.Context(), "slack", "U0ANA")
	if err != nil || !strings.HasPrefix(token.Sealed, "k2:") {
		t.Errorf("%+v, %v", token, err)
	}
	w.replicas[0] = o
	w.pass(time.Minute)
	w.is("with the new key", 0, true)
	bare := w.replica("replica-3", http.NewServeMux(), sealKey("k3"), sealKey("k1"))
	if left, err := bare.claims.Reseal(t.Context(), links); err == nil && left != 1 {
		t.Errorf("without its key: %d left, %v", left, err)
	}
}
