package teams

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
)

// under is a good token of the key with this id.
func (g *gate) under(kid string) string { return g.signed(map[string]any{"kid": kid}, nil) }

// wants complains unless a header ends as it should; nil: accepted.
func (g *gate) wants(t *testing.T, when, header string, want error) {
	t.Helper()
	if err := g.try(t, header); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", when, err, want)
	}
}

var down = teamsfake.Fault{Times: -1, Status: http.StatusInternalServerError}

func TestForgedKeyIDsCostAHandfulOfFetches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		step  time.Duration // of the clock, at each of 200 requests
		known bool          // there were keys before
		fails bool
		want  int
	}{
		{"in 200 seconds", time.Second, true, false, 3},
		{"at once", 0, true, false, 0},
		{"in 200 seconds while fetching fails", time.Second, true, true, 3},
		{"at once while fetching fails", 0, true, true, 0},
		{"at once, first of all", 0, false, false, 1},
		{"at once without any keys", 0, false, true, 1},
		{"in 200 seconds without any keys", time.Second, false, true, 20},
		{"while the clock goes back", -time.Second, true, false, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			if test.known {
				g.wants(t, "before", good(g), nil)
			}
			if test.fails {
				g.id.Misbehave("metadata", down)
			}
			before := g.id.Fetches()
			_, rest, _ := strings.Cut(good(g), ".")
			for i := range 200 {
				kid := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"forged-%d"}`, i))
				err := g.try(t, "Bearer "+kid+"."+rest)
				if !errors.Is(err, errForged) && (!test.fails || !errors.Is(err, errKeys)) {
					t.Fatalf("gave %v", err)
				}
				g.clock.Advance(test.step)
			}
			if n := g.id.Fetches() - before; n != test.want {
				t.Errorf("cost %d fetches, want %d", n, test.want)
			}
		})
	}
}

func TestNewKeyIsTakenAfterOneFetch(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.wants(t, "before", good(g), nil)
	g.id.Rotate()
	g.clock.Advance(59 * time.Second)
	g.wants(t, "less than a minute after the last fetch", good(g), errForged)
	g.clock.Advance(time.Second)
	g.wants(t, "a minute after it", good(g), nil)
	g.wants(t, "and then", good(g), nil)
	g.wants(t, "the old key, still published", g.under("fake-key-1"), nil)
	if n := g.id.Fetches(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestWithdrawnKeyIsRefusedAfterADay(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.wants(t, "before", good(g), nil)
	g.id.Rotate()
	g.id.Withdraw()
	g.clock.Advance(keysMaxAge - time.Second)
	g.wants(t, "within a day", g.under("fake-key-1"), nil)
	g.clock.Advance(time.Second)
	g.wants(t, "after a day", g.under("fake-key-1"), errForged)
	g.wants(t, "the key that followed", good(g), nil)
	if n := g.id.Fetches(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// lines is a log, line by line.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

func TestOldKeysAreUsedOnForTwoDaysWhereMicrosoftCannotBeAsked(t *testing.T) {
	t.Parallel()
	log := make(lines, 100)
	g := newGate(t, func(cfg *validatorConfig) { cfg.Log = slog.New(slog.NewTextHandler(log, nil)) })
	g.wants(t, "before", good(g), nil)
	g.id.Misbehave("keys", down)
	g.clock.Advance(keysMaxAge)
	g.wants(t, "after a day", good(g), nil)
	if !bottest.Await(bottest.Patience, func() bool { return len(log) > 0 }) {
		t.Fatal("nobody reads of it in the log")
	}
	if line := <-log; !strings.Contains(line, "used on") || !strings.Contains(line, "500") {
		t.Errorf("the log says %q", line)
	}
	g.wants(t, "a key that nobody knows", g.under("new"), errKeys)
	g.clock.Advance(keysMaxStale - keysMaxAge - time.Second)
	g.wants(t, "within two days", good(g), nil)
	g.clock.Advance(time.Second)
	g.wants(t, "after two days", good(g), errKeys)
	g.id.Behave()
	g.wants(t, "at once after that", good(g), errKeys)
	g.clock.Advance(keysRetry)
	g.wants(t, "when Microsoft is back", good(g), nil)
}

func TestClockThatWasSetBackMakesKeysOld(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.wants(t, "before", good(g), nil)
	g.clock.Advance(-keysMaxAge)
	g.wants(t, "a day earlier", good(g), nil)
	if n := g.id.Fetches(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// document is what one of the fake's addresses answers.
func document(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestNothingIsDecidedWhereKeysCannotBeFetched(t *testing.T) {
	t.Parallel()
	type fault = teamsfake.Fault
	elsewhere := func(address string) func(*testing.T, *gate) fault {
		return func(*testing.T, *gate) fault { return fault{Body: fmt.Sprintf(`{"jwks_uri":%q}`, address)} }
	}
	always := func(f fault) func(*testing.T, *gate) fault { return func(*testing.T, *gate) fault { return f } }
	for _, test := range []struct {
		name, address string
		fault         func(*testing.T, *gate) fault
	}{
		{"metadata hangs", "metadata", always(fault{Hang: true})},
		{"metadata hangs half-way", "metadata", always(fault{Hang: true, Body: `{"jwks_uri":`})},
		{"metadata fails", "metadata", func(t *testing.T, g *gate) fault {
			return fault{Status: 500, Body: document(t, g.id.MetadataURL())}
		}},
		{"metadata is gone", "metadata", always(fault{Status: 404, Body: "{}"})},
		{"metadata is cut off", "metadata", always(fault{Reset: true})},
		{"metadata is a page", "metadata", always(fault{Body: "<!doctype html><p>Sign in"})},
		{"metadata is empty", "metadata", always(fault{Body: ""})},
		{"metadata is a list", "metadata", always(fault{Body: "[]"})},
		{"metadata is huge", "metadata", func(t *testing.T, g *gate) fault {
			return fault{Body: document(t, g.id.MetadataURL()) + strings.Repeat(" ", maxMetadata)}
		}},
		{"metadata moved", "metadata", func(_ *testing.T, g *gate) fault { return fault{Status: 302, Location: g.id.MetadataURL()} }},
		{"keys nowhere", "metadata", elsewhere("")},
		{"keys at no address", "metadata", elsewhere("https://%zz/")},
		{"keys in a file", "metadata", elsewhere("file:///etc/keys.json")},
		{"keys at another server", "metadata", func(t *testing.T, _ *gate) fault {
			return elsewhere(teamsfake.NewIdentity(t).KeysURL())(t, nil)
		}},
		{"keys hang", "keys", always(fault{Hang: true, Body: `{"keys":[`})},
		{"keys fail", "keys", always(fault{Status: 503})},
		{"no keys", "keys", always(fault{Body: `{"keys":[]}`})},
		{"no usable keys", "keys", always(fault{Body: `{"keys":[5,null,{"kid":"fake-key-1","kty":"RSA","use":"sig","n":"AQAB","e":"AQAB"}]}`})},
		{"keys are garbage", "keys", always(fault{Body: "\x00\x01"})},
		{"keys are huge", "keys", func(t *testing.T, g *gate) fault {
			return fault{Body: document(t, g.id.KeysURL()) + strings.Repeat(" ", maxKeys)}
		}},
		{"keys moved", "keys", func(_ *testing.T, g *gate) fault { return fault{Status: 307, Location: g.id.KeysURL()} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, func(cfg *validatorConfig) {
				if strings.Contains(test.name, "hang") {
					cfg.HTTP.Timeout = 100 * time.Millisecond
				}
			})
			g.id.Misbehave(test.address, test.fault(t, g))
			claims, err := g.AuthenticateRequest(t.Context(), g.activity(nil), good(g), nil, "")
			if !errors.Is(err, errKeys) || errors.Is(err, errForged) || claims != nil {
				t.Errorf("gave %v, %v; want errKeys", claims, err)
			}
			g.keys.http.Timeout = 0 // nothing hangs any more, however slow the machine
			g.clock.Advance(keysRetry)
			g.wants(t, "afterwards", good(g), nil)
		})
	}
}

// held is Microsoft as a transport, for tests in a bubble: it answers when it is let go.
type held struct {
	documents map[string]string
	gone      chan struct{}
	asked     atomic.Int64
}

func (h *held) RoundTrip(r *http.Request) (*http.Response, error) {
	h.asked.Add(1)
	select {
	case <-h.gone:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(h.documents[r.URL.String()])), Request: r}, nil
}

// hold runs a test in a bubble, where a fake Microsoft does not answer before it is let go.
func hold(t *testing.T, test func(t *testing.T, g *gate, h *held)) {
	t.Helper()
	outside := newGate(t)
	documents := map[string]string{}
	for _, address := range []string{outside.id.MetadataURL(), outside.id.KeysURL()} {
		documents[address] = document(t, address)
	}
	synctest.Test(t, func(t *testing.T) {
		h := &held{documents: documents, gone: make(chan struct{})}
		cfg := outside.cfg
		cfg.HTTP = &http.Client{Transport: h}
		g := &gate{validator: newValidator(cfg), id: outside.id, clock: outside.clock}
		defer g.close()
		test(t, g, h)
	})
}

func TestFiftyFirstRequestsShareOneFetch(t *testing.T) {
	t.Parallel()
	hold(t, func(t *testing.T, g *gate, h *held) {
		var wait sync.WaitGroup
		for range 2 {
			for range 25 {
				wait.Go(func() { g.wants(t, "one of fifty", good(g), nil) })
			}
			synctest.Wait()
			g.clock.Advance(keysGap)
		}
		if n := h.asked.Load(); n != 1 {
			t.Errorf("%d requests to Microsoft while all wait, want 1", n)
		}
		close(h.gone)
		wait.Wait()
		if n := h.asked.Load(); n != 2 {
			t.Errorf("%d requests to Microsoft, want 2: one for each document", n)
		}
	})
}

func TestFetchEndsAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	hold(t, func(t *testing.T, g *gate, _ *held) {
		began := time.Now()
		g.wants(t, "while Microsoft hangs", good(g), errKeys)
		if took := time.Since(began); took != keysTimeout {
			t.Errorf("took %v, want %v", took, keysTimeout)
		}
	})
}

func TestWhoeverHangsUpDoesNotEndTheFetchOfOthers(t *testing.T) {
	t.Parallel()
	hold(t, func(t *testing.T, g *gate, h *held) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			_, err := g.AuthenticateRequest(ctx, g.activity(nil), good(g), nil, "")
			if took := time.Since(began); !errors.Is(err, errKeys) || !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("gave %v after %v, want errKeys after a second", err, took)
			}
		})
		synctest.Wait()
		wait.Go(func() { g.wants(t, "who goes on waiting", good(g), nil) })
		time.Sleep(2 * time.Second) // of the bubble
		close(h.gone)
		wait.Wait()
		if n := h.asked.Load(); n != 2 {
			t.Errorf("%d requests to Microsoft, want 2: one for each document", n)
		}
	})
}

func TestCloseEndsTheFetchUnderWay(t *testing.T) {
	t.Parallel()
	hold(t, func(t *testing.T, g *gate, h *held) {
		began := time.Now()
		var wait sync.WaitGroup
		wait.Go(func() { g.wants(t, "while it is closed", good(g), errKeys) })
		synctest.Wait()
		g.close()
		g.keys.mu.Lock()
		if g.keys.flight != nil {
			t.Error("close did not wait for it")
		}
		g.keys.mu.Unlock()
		wait.Wait()
		g.clock.Advance(keysMaxAge)
		g.wants(t, "when it is closed", good(g), errKeys)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// endless is Microsoft as a transport, with an answer that does not end.
type endless struct{ read int }

func (e *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(e), Request: r}, nil
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 100*maxMetadata {
		return 0, errors.New("everything was read")
	}
	e.read += len(p)
	return copy(p, strings.Repeat(" ", len(p))), nil
}

func TestNoMoreIsReadThanKeysTake(t *testing.T) {
	t.Parallel()
	e := &endless{}
	g := newGate(t, func(cfg *validatorConfig) { cfg.HTTP = &http.Client{Transport: e} })
	g.wants(t, "while the answer does not end", good(g), errKeys)
	if e.read > 2*maxMetadata {
		t.Errorf("read %d bytes", e.read)
	}
}

func TestKeysAreTakenFromTheMetadatasDomainAlone(t *testing.T) {
	t.Parallel()
	const microsoft = "https://login.botframework.com/v1/.well-known/openidconfiguration"
	for _, test := range []struct {
		metadata, keys string
		want           bool
	}{
		{microsoft, "https://login.botframework.com/v1/.well-known/keys", true},
		{microsoft, "https://LOGIN.botframework.com/keys", true},
		{microsoft, "https://keys.botframework.com/keys", true},
		{microsoft, "https://keys.login.botframework.com/keys", true},
		{microsoft, "https://botframework.com/keys", false},
		{microsoft, "https://evil-botframework.com/keys", false},
		{microsoft, "https://login.botframework.com.evil.example/keys", false},
		{microsoft, "https://evil.com/login.botframework.com", false},
		{microsoft, "https://login.botframework.com@evil.example/keys", false},
		{microsoft, "https://user:word@login.botframework.com/keys", false},
		{microsoft, "https://keys.botframework.com:8443/keys", false},
		{microsoft, "http://login.botframework.com/keys", false},
		{microsoft, "http://127.0.0.1/keys", false},
		{microsoft, "https://127.0.0.1/keys", false},
		{microsoft, "//login.botframework.com/keys", false},
		{microsoft, "/v1/.well-known/keys", false},
		{microsoft, "", false},
		{"https://login.botframework.azure.us/x", "https://keys.botframework.azure.us/keys", true},
		{"https://login.botframework.azure.us/x", "https://keys.azure.us/keys", false},
		{"https://example.com/x", "https://EXAMPLE.com/keys", true},
		{"https://example.com/x", "https://other.com/keys", false},
		{"https://example.com/x", "https://keys.example.com/keys", false},
		{"https://10.0.0.1/x", "https://10.0.0.1/keys", true},
		{"https://10.0.0.1/x", "https://99.0.0.1/keys", false},
		{"http://127.0.0.1:80/x", "http://127.0.0.1:80/keys", true},
		{"http://127.0.0.1:80/x", "http://127.0.0.1:81/keys", false},
		{"http://127.0.0.1:80/x", "http://keys.0.0.1/keys", false},
		{"http://localhost:80/x", "https://localhost:80/keys", false},
	} {
		metadata, err := url.Parse(test.metadata)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := url.Parse(test.keys)
		if err != nil {
			t.Fatal(err)
		}
		if got := vouched(metadata, keys); got != test.want {
			t.Errorf("%s vouches for %s: %v, want %v", test.metadata, test.keys, got, test.want)
		}
	}
}

func TestMetadataIsNotAskedForWhereOthersCanAnswer(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "login.botframework.com", "http://login.botframework.com/x", "http://127.0.0.1.evil.example/x", "http://10.0.0.1/x",
		"ftp://127.0.0.1/x", "https:///x", "https://user:word@login.botframework.com/x", "https://%zz/x",
	} {
		h := &held{}
		g := newGate(t, func(cfg *validatorConfig) { cfg.MetadataURL, cfg.HTTP = address, &http.Client{Transport: h} })
		g.wants(t, address, good(g), errKeys)
		if n := h.asked.Load(); n != 0 {
			t.Errorf("%q was asked %d times", address, n)
		}
	}
}

func TestOnlyKeysForRS256AreTaken(t *testing.T) {
	t.Parallel()
	const full = 256 // bytes of a modulus of 2048 bits
	number := func(first byte, n int) string {
		b := make([]byte, n)
		b[0], b[n-1] = first, b[n-1]|1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for _, test := range []struct {
		name  string
		edits map[string]string
		want  bool
	}{
		{"2048 bits", nil, true},
		{"for RS256", map[string]string{"alg": "RS256"}, true},
		{"8192 bits", map[string]string{"n": number(0x80, 4*full)}, true},
		{"2047 bits", map[string]string{"n": number(0x7f, full)}, false},
		{"8193 bits", map[string]string{"n": number(0x01, 4*full+1)}, false},
		{"zeros in front", map[string]string{"n": number(0, full+1)}, false},
		{"no modulus", map[string]string{"n": ""}, false},
		{"modulus no base64", map[string]string{"n": "=" + number(0x80, full)}, false},
		{"exponent 3", map[string]string{"e": "Aw"}, true},
		{"exponent 1", map[string]string{"e": "AQ"}, false},
		{"exponent 0", map[string]string{"e": "AA"}, false},
		{"exponent even", map[string]string{"e": "AQAA"}, false},
		{"exponent huge", map[string]string{"e": number(0x80, 4)}, false},
		{"exponent longer than a number", map[string]string{"e": number(1, 9)}, false},
		{"no exponent", map[string]string{"e": ""}, false},
		{"exponent no base64", map[string]string{"e": "!"}, false},
		{"elliptic", map[string]string{"kty": "EC"}, false},
		{"symmetric", map[string]string{"kty": "oct"}, false},
		{"for encryption", map[string]string{"use": "enc"}, false},
		{"for PS256", map[string]string{"alg": "PS256"}, false},
		{"without id", map[string]string{"kid": ""}, false},
	} {
		key := map[string]string{"kid": "a", "kty": "RSA", "use": "sig", "n": number(0x80, full), "e": "AQAB"}
		maps.Copy(key, test.edits)
		raw := fmt.Appendf(nil, `{"kid":%q,"kty":%q,"use":%q,"alg":%q,"n":%q,"e":%q,"endorsements":["msteams","x"]}`,
			key["kid"], key["kty"], key["use"], key["alg"], key["n"], key["e"])
		kid, got, err := parseKey(raw)
		if (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil && (kid != "a" || got.public.N.BitLen() < 2048 || fmt.Sprint(got.endorsements) != "[msteams x]") {
			t.Errorf("%s: read %s %v", test.name, kid, got)
		}
	}
}
