package teams

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzKey looks for a key that is taken and is none that RS256 may be checked with.
func FuzzKey(f *testing.F) {
	n := strings.Repeat("w", 342)
	for _, seed := range []string{`{}`, `{"kid":"a","kty":"RSA","use":"sig","n":"` + n + `","e":"AQAB","endorsements":["msteams"]}`, `{"kid":"a","kty":"oct","k":"AAAA"}`,
		`{"kid":"a","kty":"RSA","use":"sig","alg":"HS256","n":"` + n + `","e":"AQAB"}`, `{"kid":"a","kty":"RSA","use":"sig","n":"` + n + `","e":"Ag"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		kid, key, err := parseKey(raw)
		if err != nil {
			return
		}
		if bits := key.public.N.BitLen(); kid == "" || bits < 2048 || bits > 8192 || key.public.E < 3 || key.public.E%2 == 0 {
			t.Fatalf("%q of %d bits and exponent %d is taken", kid, bits, key.public.E)
		}
	})
}

// FuzzKeysAddress looks for keys that are taken from a host of somebody else's.
func FuzzKeysAddress(f *testing.F) {
	for _, at := range []string{"https://login.botframework.com/v1/.well-known/keys", "https://botframework.com.evil.example", "https://evil.example/.botframework.com", "http://login.botframework.com",
		"https://x@login.botframework.com", "https://evilbotframework.com"} {
		f.Add(at)
	}
	metadata, err := url.Parse(Clouds()["public"].Metadata)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		at, err := url.Parse(address)
		if err != nil || !vouched(metadata, at) {
			return
		}
		if host := strings.ToLower(at.Hostname()); at.Scheme != "https" || at.User != nil || !strings.HasSuffix(host, ".botframework.com") {
			t.Fatalf("keys are taken from %q", address)
		}
	})
}

// FuzzConnectorError reads refusals as they may come from anywhere on the way.
func FuzzConnectorError(f *testing.F) {
	f.Add(429, "3", []byte(`{"error":{"code":"Throttled","message":"x"}}`))
	f.Add(403, "Wed, 21 Oct 2026 07:28:00 GMT", []byte(`{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\",\"details\":\"\"}"}`))
	f.Add(200, "-1", []byte("\xff\x1b[31m\n"))
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		err := newConnectorError("post", status, http.Header{"Retry-After": {after}}, body, time.Unix(0, 0))
		if err.RetryAfter < 0 || err.RetryAfter > 24*time.Hour {
			t.Fatalf("Retry-After %q is a wait of %s", after, err.RetryAfter)
		}
		says := err.Error()
		if !utf8.ValidString(says) || strings.ContainsAny(says, "\n\r\x1b") {
			t.Fatalf("says %q", says)
		}
		_ = sendError("post", err)
	})
}

// FuzzReference: what is read of a reference is what it was made of.
func FuzzReference(f *testing.F) {
	f.Add("https://smba.trafficmanager.net/teams/ 19:x@thread.tacv2 1")
	f.Add("a b")
	f.Fuzz(func(t *testing.T, text string) {
		if at, id, err := readReference(text); err == nil && reference(at, id) != text {
			t.Fatalf("%q is read as %+v and %q", text, at, id)
		}
	})
}
