package config

import (
	"slices"
	"strings"
	"testing"

	"elevate/workflows/access"
)

const entra = `oidc: {issuer: "https://login.microsoftonline.com/11111111-0000-4000-8000-000000000002/v2.0", client_id: elevate, subject_claim: oid}
`

// TestEntraObjectIDsAreSubjects: who has an object id for Teams needs no second one to sign in, with the tenant that it is
// of and with no other.
func TestEntraObjectIDsAreSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oidc string
		want string
	}{
		{entra, "0f6e0000-0000-4000-8000-0000000000a1"},
		{strings.Replace(entra, "subject_claim: oid", "trust_email: true", 1), ""},
		{strings.Replace(entra, "11111111-0000-4000-8000-000000000002", "11111111-0000-4000-8000-00000000000f", 1), ""},
	} {
		cfg, _ := Parse("elevate.yaml", []byte(strings.Replace(sound, "api:\n", c.oidc+"api:\n", 1)), env)
		if got := cfg.subject(cfg.People[0]); got != c.want {
			t.Errorf("%s: %q, not %q", c.oidc, got, c.want)
		}
	}
}

// TestOneIdentityIsOnePerson: whoever could sign in as two people could approve for themselves.
func TestOneIdentityIsOnePerson(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("api:\n", `oidc: {issuer: "https://login.example.com", client_id: elevate}`+"\napi:\n",
		"slack: U0ANA,", "slack: U0ANA, oidc: 00u1,", "slack: U0BEN,", "slack: U0BEN, oidc: 00u1,").Replace(sound)
	said := problems(t, text)
	if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "people[1].oidc: is that of people[0] (ana) too") }) {
		t.Errorf("%q", said)
	}
}

// TestTrustInEmailIsWarnedOfAndStarts: it is the operator's to say, and check's to warn of.
func TestTrustInEmailIsWarnedOfAndStarts(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("api:\n", `oidc: {issuer: "https://login.example.com", client_id: elevate, trust_email: true}`+"\napi:\n",
		"  team_id: T0001", "  team_id: T0001\n  trust_email: true").Replace(sound)
	cfg, found := Parse("elevate.yaml", []byte(text), env)
	if found.Fatal() || len(found) != 2 || !cfg.Live() {
		t.Fatalf("%v", found)
	}
	for _, key := range []string{"oidc.trust_email", "slack.trust_email"} {
		if !slices.ContainsFunc(found, func(p Problem) bool { return p.Key == key && p.Warning }) {
			t.Errorf("nothing is said of %s: %v", key, found)
		}
	}
	if _, err := cfg.Directory().Person(t.Context(), access.PersonID("ana")); err != nil {
		t.Error(err)
	}
}
