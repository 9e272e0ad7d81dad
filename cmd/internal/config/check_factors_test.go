package config

import (
	"slices"
	"strings"
	"testing"
)

// factors makes the sound file ask for a second factor, with all that this takes.
func factors() string {
	s := strings.Replace(sound, "    channel: {slack: C0ACCESS}\n  - name: rest", "    step_up: {request: totp, approve: totp}\n    channel: {slack: C0ACCESS}\n  - name: rest", 1)
	s = strings.Replace(s, "people:\n", "secrets:\n  keys:\n    - {id: k2, key: \"bmV3LWNhbmFyeS1uZXctY2FuYXJ5LW5ldy1jYW5hcnk=\"}\n    - {id: k1, key: \"b2xkLWNhbmFyeS1vbGQtY2FuYXJ5LW9sZC1jYW5hcnk=\"}\ntotp: {issuer: Elevate Acme, strict: true}\npeople:\n", 1)
	return strings.Replace(s, "  - {id: svc-deploy,", "  - {id: lea, groups: [sre-leads]}\n  - {id: leo, groups: [sre-leads]}\n  - {id: svc-deploy,", 1)
}

func TestWhatSecondFactorsTakeIsChecked(t *testing.T) {
	t.Parallel()
	if said := problems(t, factors()); len(said) > 0 {
		t.Fatalf("the sound file: %v", said)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"no key", "secrets:\n  keys:\n    - {id: k2, key: \"bmV3LWNhbmFyeS1uZXctY2FuYXJ5LW5ldy1jYW5hcnk=\"}\n    - {id: k1, key: \"b2xkLWNhbmFyeS1vbGQtY2FuYXJ5LW9sZC1jYW5hcnk=\"}\n", "", "needs a key that seals"},
		{"short key", "bmV3LWNhbmFyeS1uZXctY2FuYXJ5LW5ldy1jYW5hcnk=", "bmV3LWNhbmFyeQ==", "secrets.keys[0].key: must be 32 random bytes"},
		{"one key twice", "bmV3LWNhbmFyeS1uZXctY2FuYXJ5LW5ldy1jYW5hcnk=", "b2xkLWNhbmFyeS1vbGQtY2FuYXJ5LW9sZC1jYW5hcnk=", "is that of secrets.keys[0] too"},
		{"one id twice", "id: k2", "id: k1", "is the id of secrets.keys[0] too"},
		{"odd id", "id: k2", "id: \"k:2\"", "secrets.keys[0].id: must be"},
		{"no public URL", ", public_url: https://elevate.example.com/", "", "needs http.public_url"},
		{"unencrypted page", "https://elevate.example.com/", "http://elevate.example.com/", "must begin with https://"},
		{"no administrators", "administrators: '\"sre-leads\" in person.groups'\n", "", "needs at least two administrators"},
		{"two administrators", "  - {id: leo, groups: [sre-leads]}\n", "", "warning: policies[0].step_up.request: has two administrators"},
		{"issuer", "Elevate Acme", "\"Acme&secret=AAAAAAAA\"", "totp.issuer: must be up to 64 letters"},
		{"another factor", "approve: totp}", "approve: sms}", "write totp, webauthn, or none"},
	} {
		text := factors()
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: the file has no %q", c.name, c.old)
		}
		said := problems(t, strings.Replace(text, c.old, c.new, 1))
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, c.want) }) || strings.Contains(strings.Join(said, ""), "Y2FuYXJ5") {
			t.Errorf("%s: %q", c.name, said)
		}
	}
}

// In the playground people have a chat that no file speaks of.
func TestSecondFactorsWantAChatToBeginIn(t *testing.T) {
	t.Parallel()
	text := factors()
	text = text[:strings.Index(text, "slack:\n")] + text[strings.Index(text, "api:\n"):]
	const want = "policies[0].step_up.request: needs slack or teams: people set their second factor up with /elevate mfa in chat"
	for _, chats := range [][]string{nil, {"web"}} {
		_, found := Parse("elevate.yaml", []byte(text), env, chats...)
		if said := found.Error(); strings.Contains(said, want) != (chats == nil) {
			t.Errorf("%v: %s", chats, said)
		}
	}
}

// Browsers take security keys on pages by https, or on localhost, and for hosts that have a name.
func TestSecurityKeysWantAnAddressThatBrowsersTakeThemAt(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://elevate.example.com/": "", "http://localhost:8080": "",
		"http://127.0.0.1:8080": "must have a name for its host", "https://192.0.2.7": "must have a name for its host",
		"http://elevate.example.com": "must begin with https://",
	} {
		text := strings.Replace(factors(), "approve: totp}", "approve: webauthn}", 1)
		said := problems(t, strings.Replace(text, "https://elevate.example.com/", address, 1))
		if want == "" && len(said) > 0 || want != "" && !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "http.public_url: "+want) }) {
			t.Errorf("%s: %q", address, said)
		}
	}
}
