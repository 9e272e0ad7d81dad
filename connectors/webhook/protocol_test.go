package webhook_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"elevate/connectors"
	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

func TestReadmeShowsTheReceiver(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(source), "// receiver keeps who holds what.")
	if !found || !strings.Contains(string(readme), "```go\n// receiver keeps who holds what."+code+"```\n") {
		t.Error("the README's receiver is not the one that the suite is run against")
	}
}

// TestRequestsAreWhatTheProtocolSays looks at all that is sent, with the eyes of Standard Webhooks' own library.
func TestRequestsAreWhatTheProtocolSays(t *testing.T) {
	c, f := setup(t)
	receipt, err := c.Activate(t.Context(), anasGrant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Activate(t.Context(), anasGrant); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deactivate(t.Context(), anasGrant, receipt); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	const onGrant = `{"grant":"07kq4-m2xp9","person":{"id":"id-ana","email":"ana@example.com","account":"ana"},
		"role":"id-admin","target":{"role":"admin"},"ends_at":"2026-11-23T12:00:00Z"}`
	want := []struct{ verb, key, body string }{
		{"activate", "07kq4-m2xp9:activate", onGrant},
		{"activate", "07kq4-m2xp9:activate", onGrant},
		{"deactivate", "07kq4-m2xp9:deactivate", onGrant},
		{"holders", "", `{"role":"id-admin","target":{"role":"admin"}}`},
		{"check", "", `{}`},
	}
	requests := f.requests()
	if len(requests) != len(want) {
		t.Fatalf("%d requests came in, want %d: %+v", len(requests), len(want), requests)
	}
	ids := map[string]bool{}
	for i, r := range requests {
		w := want[i]
		if r.method != http.MethodPost || r.verb != w.verb || r.header.Get("Idempotency-Key") != w.key || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("request %d is %s %s with key %q and headers %v, want %+v", i, r.method, r.verb, r.header.Get("Idempotency-Key"), r.header, w)
		}
		if !sameJSON(t, r.body, w.body) {
			t.Errorf("request %d says %s, want %s", i, r.body, w.body)
		}
		if err := f.key.Verify([]byte(r.body), r.header); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		id := r.header.Get("webhook-id")
		if w.key != "" && id != w.key || !strings.HasSuffix(id, ":"+w.verb) {
			t.Errorf("request %d has the id %q", i, id)
		}
		if w.key == "" && ids[id] {
			t.Errorf("the id %q was used before", id)
		}
		ids[id] = true
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func TestBothSecretsSignWhileOneIsChanged(t *testing.T) {
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	c := connect(t, f, func(cfg *webhook.Config) { cfg.Secret = access.NewSecret(otherSecret + " " + secret) })
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("a target that has the old secret alone: %v", err)
	}
	other, err := standardwebhooks.NewWebhook(otherSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := f.requests()[0]
	if err := other.Verify([]byte(r.body), r.header); err != nil {
		t.Errorf("a target that has the new secret alone: %v", err)
	}
}

func TestSignatureCarriesTheTime(t *testing.T) {
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	late := connect(t, f, func(cfg *webhook.Config) { cfg.Now = func() time.Time { return time.Now().Add(-6 * time.Minute) } })
	if err := late.Check(t.Context()); connectors.KindOf(err) != connectors.Denied {
		t.Errorf("with a clock that is six minutes slow: %v, want kind %q", err, connectors.Denied)
	}
}

func TestCertificatesComeFromTheFile(t *testing.T) {
	t.Parallel()
	f := newTarget(t, func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // it speaks of the handshake that is to fail
		s.StartTLS()
		return s
	})
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, f, func(cfg *webhook.Config) { cfg.CAFile = file }).Check(t.Context()); err != nil {
		t.Errorf("with the target's certificate: %v", err)
	}
	if err := connect(t, f, nil).Check(t.Context()); connectors.KindOf(err) != connectors.Unavailable || err == nil {
		t.Errorf("without it: %v, want kind %q", err, connectors.Unavailable)
	}
}

func TestNewListsEveryProblem(t *testing.T) {
	t.Parallel()
	good := webhook.Config{URL: "https://internal.example.com/elevate", Secret: access.NewSecret(secret)}
	nonsense := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(nonsense, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*webhook.Config)
		want   []string // in the error; none: it is accepted
	}{
		"good":                  {func(*webhook.Config) {}, nil},
		"this machine":          {func(c *webhook.Config) { c.URL = "http://localhost:8080" }, nil},
		"this machine by IPv6":  {func(c *webhook.Config) { c.URL = "http://[::1]:8080/x" }, nil},
		"http that is allowed":  {func(c *webhook.Config) { c.URL, c.AllowHTTP = "http://target", true }, nil},
		"a secret without mark": {func(c *webhook.Config) { c.Secret = access.NewSecret(secret[len("whsec_"):]) }, nil},
		"http":                  {func(c *webhook.Config) { c.URL = "http://target.example.com" }, []string{"url: ", "allow_http"}},
		"no address":            {func(c *webhook.Config) { c.URL = "" }, []string{"url: "}},
		"half an address":       {func(c *webhook.Config) { c.URL = "internal.example.com/elevate" }, []string{"url: "}},
		"another scheme":        {func(c *webhook.Config) { c.URL = "ftp://internal.example.com" }, []string{"url: "}},
		"a password in it":      {func(c *webhook.Config) { c.URL = "https://me:pass-canary@x.example.com" }, []string{"url: ", "secret"}},
		"a query":               {func(c *webhook.Config) { c.URL += "?token=pass-canary" }, []string{"url: "}},
		"no secret":             {func(c *webhook.Config) { c.Secret = access.Secret{} }, []string{"secret: ", "openssl"}},
		"a short secret":        {func(c *webhook.Config) { c.Secret = access.NewSecret("whsec_cGFzcy1jYW5hcnk=") }, []string{"secret: "}},
		"a secret in no base64": {func(c *webhook.Config) { c.Secret = access.NewSecret("whsec_pass-canary!") }, []string{"secret: "}},
		"no such file":          {func(c *webhook.Config) { c.CAFile = nonsense + ".missing" }, []string{"ca_file: "}},
		"no certificate in it":  {func(c *webhook.Config) { c.CAFile = nonsense }, []string{"ca_file: "}},
		"everything":            {func(c *webhook.Config) { *c = webhook.Config{Timeout: -1, Tail: -1, MinDuration: -1} }, []string{"url: ", "secret: ", "timeout: ", "tail: ", "min_duration: "}},
	} {
		cfg := good
		test.change(&cfg)
		_, err := webhook.New(cfg)
		if (err != nil) != (len(test.want) > 0) {
			t.Errorf("%s: New: %v", name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not speak of %q: %v", name, want, err)
			}
		}
		if err != nil && (strings.Contains(err.Error(), "pass-canary") || strings.Contains(err.Error(), "cGFzcy1jYW5hcnk")) {
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
}

func TestCapabilitiesAreTheConfigured(t *testing.T) {
	t.Parallel()
	c, err := webhook.New(webhook.Config{URL: "https://x.example.com", Secret: access.NewSecret(secret),
		NativeExpiry: true, EndsSessions: true, Tail: time.Minute, MinDuration: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	want := connectors.Capabilities{NativeExpiry: true, EndsSessions: true, Tail: time.Minute, MinDuration: time.Hour}
	if got := connectors.Describe(c); got != want {
		t.Errorf("the capabilities are %+v, want %+v", got, want)
	}
	if err := c.CheckTarget(map[string]any{"anything": []any{1, "x", map[string]any{}}}); err != nil {
		t.Errorf("a target of the other side's making: %v", err)
	}
	if err := c.CheckTarget(map[string]any{"anything": make(chan int)}); err == nil {
		t.Error("a target that JSON cannot hold is accepted")
	}
}
