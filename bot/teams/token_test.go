package teams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// sourceFunc is a function as a source of tokens.
type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

// TestTokenRequestIsAsEntraWantsIt with the secret in the form, where no proxy logs it.
func TestTokenRequestIsAsEntraWantsIt(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	if _, err := f.connector(t).send(t.Context(), f.place(), outgoing{Type: "message"}, false); err != nil {
		t.Fatal(err)
	}
	got := f.logins[0]
	form, err := url.ParseQuery(got.body)
	want := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"0a0b0c"}, "client_secret": {farSecret},
		"scope": {"https://api.botframework.com/.default"},
	}
	if err != nil || form.Encode() != want.Encode() || got.method != http.MethodPost || got.auth != "" || got.query != "" {
		t.Errorf("asked with %+v", got)
	}
}

func TestTokenIsFetchedOnceForManySends(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	c := f.connector(t)
	var sends sync.WaitGroup
	for range 30 {
		sends.Go(func() {
			if _, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false); err != nil {
				t.Error(err)
			}
		})
	}
	sends.Wait()
	if n := f.loginsSoFar(); n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
	for _, call := range f.got() {
		if call.auth != "Bearer "+farToken+"1" {
			t.Fatalf("sent with %q", call.auth)
		}
	}
}

// keeper is a token keeper with a clock and a source of a test's own.
type keeper struct {
	*tokens
	clock time.Time
	asked int
	fail  error
	life  time.Duration
}

func newKeeper() *keeper {
	k := &keeper{clock: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC), life: time.Hour}
	k.tokens = keep(sourceFunc(func() (*oauth2.Token, error) {
		k.asked++
		if k.fail != nil {
			return nil, k.fail
		}
		return &oauth2.Token{AccessToken: fmt.Sprint("token", k.asked), Expiry: k.clock.Add(k.life)}, nil
	}), func() time.Time { return k.clock })
	return k
}

// at tells which token is given at a time after the start, and waits until nothing is asked any more.
func (k *keeper) at(t *testing.T, after time.Duration) string {
	t.Helper()
	k.clock = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC).Add(after)
	token, err := k.get(t.Context())
	k.mu.Lock()
	q := k.asking
	k.mu.Unlock()
	if q != nil {
		<-q.answered
	}
	if err != nil {
		return err.Error()
	}
	return token.AccessToken
}

// TestTokenIsReplacedBeforeItsEnd while the old one is used on.
func TestTokenIsReplacedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	k := newKeeper()
	for _, step := range []struct {
		after time.Duration
		want  string
		asked int
	}{
		{0, "token1", 1},
		{54 * time.Minute, "token1", 1},
		{56 * time.Minute, "token1", 2}, // the next is fetched beside
		{57 * time.Minute, "token2", 2},
		{5 * time.Hour, "token3", 3}, // nobody asked for long
	} {
		if got := k.at(t, step.after); got != step.want || k.asked != step.asked {
			t.Errorf("after %v: %s, asked %d times; want %s, %d times", step.after, got, k.asked, step.want, step.asked)
		}
	}
}

// TestGoodTokenOutlastsALoginThatFails until its own end.
func TestGoodTokenOutlastsALoginThatFails(t *testing.T) {
	t.Parallel()
	k := newKeeper()
	k.at(t, 0)
	k.fail = errors.New("no login today")
	for _, step := range []struct {
		after time.Duration
		want  string
		asked int
	}{
		{56 * time.Minute, "token1", 2},
		{56*time.Minute + 30*time.Second, "token1", 2}, // not all the time
		{57*time.Minute + 30*time.Second, "token1", 3},
		{59*time.Minute + 40*time.Second, "token1", 4},
		{59*time.Minute + 50*time.Second, "no login today", 5}, // it would not arrive in time
		{59*time.Minute + 51*time.Second, "no login today", 6},
	} {
		if got := k.at(t, step.after); got != step.want || k.asked != step.asked {
			t.Errorf("after %v: %s, asked %d times; want %s, %d times", step.after, got, k.asked, step.want, step.asked)
		}
	}
	k.fail = nil
	if got := k.at(t, time.Hour); got != "token7" {
		t.Errorf("after the login is back: %s", got)
	}
}

// TestShortLivedTokensAreUsed although each is due for replacement when it comes.
func TestShortLivedTokensAreUsed(t *testing.T) {
	t.Parallel()
	k := newKeeper()
	k.life = 2 * time.Minute
	for after, want := range []string{"token1", "token1", "token1"} {
		if got := k.at(t, time.Duration(after)*20*time.Second); got != want || k.asked != 1 {
			t.Errorf("after %d: %s, asked %d times", after, got, k.asked)
		}
	}
	k.life = 5 * time.Second
	for after := range 3 {
		if got := k.at(t, time.Hour+time.Duration(after)*time.Minute); got != fmt.Sprint("token", after+2) {
			t.Errorf("after %d: %s", after, got)
		}
	}
}

// TestSourcesOfOtherKindsAreKeptToo so that a managed identity can take the secret's place.
func TestSourcesOfOtherKindsAreKeptToo(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	asked := 0
	c := f.connector(t, func(cfg *connectorConfig) {
		cfg.Tokens = sourceFunc(func() (*oauth2.Token, error) {
			asked++
			if asked == 1 {
				return &oauth2.Token{}, nil
			}
			return &oauth2.Token{AccessToken: farToken}, nil // without an end
		})
	})
	for i := range 4 {
		_, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false)
		if (i == 0) != errors.Is(err, errEmpty) || i > 0 && err != nil {
			t.Errorf("send %d: %v", i, err)
		}
	}
	if asked != 2 || f.loginsSoFar() != 0 {
		t.Errorf("asked %d times, and the login %d times", asked, f.loginsSoFar())
	}
}

// TestRefusedTokenIsReplaced at once, once: somebody may have withdrawn it. Where the next one is refused as well, somebody
// has to mend something.
func TestRefusedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Authorization") == "Bearer "+farToken+"1" {
			say(w, http.StatusUnauthorized, `{"message":"Authorization has been denied for this request."}`)
			return
		}
		succeed(w, r)
	}
	c := f.connector(t)
	for range 3 {
		if _, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false); err != nil {
			t.Error(err)
		}
	}
	if n := f.loginsSoFar(); n != 2 {
		t.Errorf("%d tokens were fetched", n)
	}
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		say(w, http.StatusUnauthorized, `{"message":"Authorization has been denied for this request."}`)
	}
	_, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false)
	if final, wait := meaning(t, sendError("post", err)); err == nil || final || wait != time.Minute {
		t.Errorf("refused: %v, final %t, wait %v", err, final, wait)
	}
	if n := f.loginsSoFar(); n != 3 {
		t.Errorf("%d tokens were fetched, want one more", n)
	}
}

// TestTokenErrorsSayWhatToDo and wait for it to be done. None of them is final.
func TestTokenErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	entra := func(code, word string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":"%s: Something about %s. Trace ID: 1 Correlation ID: 2","error_codes":[1]}`, word, code, farSecret)
	}
	for name, test := range map[string]struct {
		status int
		body   string
		header []string
		wait   time.Duration
		says   []string
	}{
		"wrong secret":         {401, entra("AADSTS7000215", "invalid_client"), nil, time.Minute, []string{"AADSTS7000215", "teams.client_secret", "not to the secret's id"}},
		"expired secret":       {401, entra("AADSTS7000222", "invalid_client"), nil, time.Minute, []string{"AADSTS7000222", "expired", "teams.client_secret"}},
		"app of another":       {400, entra("AADSTS700016", "unauthorized_client"), nil, time.Minute, []string{"AADSTS700016", "teams.app_id", "teams.tenant_id"}},
		"no such tenant":       {400, entra("AADSTS90002", "invalid_request"), nil, time.Minute, []string{"AADSTS90002", "teams.tenant_id"}},
		"no tenant at all":     {400, entra("AADSTS900023", "invalid_request"), nil, time.Minute, []string{"AADSTS900023", "teams.tenant_id"}},
		"disabled":             {401, entra("AADSTS7000112", "unauthorized_client"), nil, time.Minute, []string{"disabled"}},
		"no service principal": {401, entra("AADSTS7000229", "invalid_client"), nil, time.Minute, []string{"az ad sp create"}},
		"new code":             {401, entra("AADSTS12345", "invalid_client"), nil, time.Minute, []string{"401 AADSTS12345", "teams.app_id"}},
		"no code":              {401, `{"error":"invalid_client"}`, nil, time.Minute, []string{"401 invalid_client", "teams.client_secret"}},
		"strange word":         {400, `{"error":"` + farSecret + `"}`, nil, time.Minute, []string{"answered 400"}},
		"error with success":   {200, `{"error":"invalid_scope"}`, nil, time.Minute, []string{"teams.cloud"}},
		"too many":             {429, ``, []string{"Retry-After", "90"}, 90 * time.Second, []string{"429"}},
		"busy":                 {503, `<html>`, []string{"Retry-After", "7"}, 7 * time.Second, []string{"503"}},
		"broken":               {500, `{"error":`, nil, 0, []string{"500"}},
		"redirect":             {307, ``, []string{"Location", "https://evil.example/"}, time.Minute, []string{"307"}},
		"page":                 {200, `<html>` + farSecret, nil, 0, []string{"answering in its place"}},
		"nothing":              {200, ``, nil, 0, []string{"answering in its place"}},
		"no token":             {200, `{"token_type":"Bearer"}`, nil, 0, []string{"answering in its place"}},
		"strange expiry":       {200, `{"access_token":"` + farToken + `","expires_in":"` + farToken + `"}`, nil, 0, []string{"answering in its place"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarEnd(t)
			f.login = func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Content-Type", "application/json")
				say(w, test.status, test.body, test.header...)
			}
			_, err := f.connector(t).send(t.Context(), f.place(), outgoing{Type: "message"}, false)
			if err == nil {
				t.Fatal("it was sent")
			}
			if final, wait := meaning(t, sendError("post", err)); final || wait != test.wait {
				t.Errorf("%v: final %t, wait %v", err, final, wait)
			}
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %q", part, err)
				}
			}
			if len(err.Error()) > 250 || strings.Contains(err.Error(), farSecret) || strings.Contains(err.Error(), farToken) {
				t.Errorf("says %q", err)
			}
			if n := len(f.got()); n > 0 || f.loginsSoFar() != 1 {
				t.Errorf("%d messages and %d logins", n, f.loginsSoFar())
			}
		})
	}
}

// TestLoginThatCannotBeReached is tried again, and its address is not in the log.
func TestLoginThatCannotBeReached(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	cfg := f.tokenConfig(t)
	cfg.URL = "http://me:pw@127.0.0.1:1/tenant/oauth2/v2.0/token"
	cfg.HTTP = nil
	c := f.connector(t, func(c *connectorConfig) { c.Tokens = newTokens(cfg) })
	_, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false)
	if final, wait := meaning(t, sendError("post", err)); err == nil || final || wait != 0 {
		t.Errorf("%v: final %t, wait %v", err, final, wait)
	}
	if strings.Contains(err.Error(), "pw") || strings.Contains(err.Error(), "tenant") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("says %q", err)
	}
}

// TestHungLoginEndsWithContext of whoever waits; the answer, when it comes, serves the next.
func TestHungLoginEndsWithContext(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	came, release := make(chan struct{}), make(chan struct{})
	f.login = func(w http.ResponseWriter, _ *http.Request, _ int) {
		close(came)
		<-release
		giveToken(w, farToken, 3600)
	}
	c := f.connector(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-came
		cancel()
	}()
	_, err := c.send(ctx, f.place(), outgoing{Type: "message"}, false)
	if final, _ := meaning(t, sendError("post", err)); !errors.Is(err, context.Canceled) || final {
		t.Errorf("ended in %v, final %t", err, final)
	}
	close(release)
	if _, err := c.send(t.Context(), f.place(), outgoing{Type: "message"}, false); err != nil {
		t.Error(err)
	}
	if n := f.loginsSoFar(); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// TestHungLoginTimesOut so that a question does not run for ever.
func TestHungLoginTimesOut(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	f.login = func(http.ResponseWriter, *http.Request, int) { <-release }
	cfg := f.tokenConfig(t)
	cfg.Timeout = 20 * time.Millisecond
	if _, err := newTokens(cfg).Token(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended in %v", err)
	}
}
