package slack

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzEnvelope feeds the reader of Socket Mode, which has no signature in front of it.
func FuzzEnvelope(f *testing.F) {
	for _, body := range official(f) {
		for _, kind := range []string{"slash_commands", "interactive", "events_api"} {
			if raw, err := json.Marshal(envelope{Type: kind, ID: "1", Payload: body}); err == nil {
				f.Add(raw)
			}
		}
	}
	f.Add([]byte(`{"type":"disconnect","reason":"link_disabled"}`))
	f.Add([]byte(`{"type":"slash_commands","envelope_id":"x","payload":{"command":"/elevate","text":"&lt;@U1&gt;"}}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		var e envelope
		if json.Unmarshal(message, &e) != nil {
			return
		}
		p, err := parseEnvelope(e)
		if (p == nil) == (err == nil) {
			t.Fatalf("%T, %v", p, err)
		}
		check(t, p)
		if p != nil {
			_, _ = doer(p)
			_ = urgent(p)
		}
	})
}

// FuzzResponseURL looks for an address that is let through although what is posted to it would go elsewhere.
func FuzzResponseURL(f *testing.F) {
	for _, address := range []string{"https://hooks.slack.com/commands/1/2", "https://slack.com@evil.example", "https://hooks.slack.com.evil.example", "//slack.com",
		"https://slack.com\\@evil.example/", "https://slack.com:443", "http://slack.com", "https://slack.com%2fevil.example", "https://SLACK.com", "https://[::1]"} {
		f.Add(address)
	}
	api := &url.URL{Scheme: "https", Host: "slack.com"}
	f.Fuzz(func(t *testing.T, address string) {
		if (hooks{api: api}).allow(address) != nil {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			return
		}
		if host := req.URL.Hostname(); req.URL.Scheme != "https" || host != "slack.com" && !strings.HasSuffix(host, ".slack.com") || req.URL.User != nil {
			t.Fatalf("%q goes to %s", address, req.URL)
		}
	})
}
