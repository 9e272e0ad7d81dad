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

// TestWhoIsLookedUpByAnObjectIDSignsInByIt, whether or not Teams has the same tenant, and by no address.
func TestWhoIsLookedUpByAnObjectIDSignsInByIt(t *testing.T) {
	t.Parallel()
	const ana = "0f6e0000-0000-4000-8000-0000000000a1"
	both := entra + tenantEntra
	for name, c := range map[string]struct {
		text, own string
		ana, ben  string
	}{
		"one tenant for all":   {both, "", ana, benObject},
		"with trusted e-mail":  {strings.Replace(both, "subject_claim: oid", "subject_claim: oid, trust_email: true", 1), "", ana, benObject},
		"Teams of another":     {strings.ReplaceAll(both, "000000000002", "00000000000f"), "", "", benObject},
		"who is written so":    {both, "oidc: 00u1, ", "00u1", benObject},
		"the tenant of others": {entra + otherEntra, "", ana, ""},
	} {
		text := strings.NewReplacer("api:\n", c.text+"api:\n", "slack: U0ANA,", c.own+"slack: U0ANA,", "slack: U0BEN", "slack: U0BEN, entra: "+strings.ToUpper(benObject)).Replace(sound)
		cfg, found := Parse("elevate.yaml", []byte(text), env)
		if found.Fatal() {
			t.Errorf("%s: %v", name, found)
			continue
		}
		for i, want := range []string{c.ana, c.ben} {
			if got := cfg.subject(cfg.People[i]); got != want {
				t.Errorf("%s: %s signs in as %q, not %q", name, cfg.People[i].ID, got, want)
			}
		}
	}
	alone := strings.NewReplacer("api:\n", both+"api:\n", "slack: U0BEN", "slack: U0BEN, entra: "+benObject, ", teams: 0f6e0000-0000-4000-8000-0000000000a1", "").Replace(sound)
	if said := problems(t, alone); len(said) > 0 {
		t.Errorf("nobody has teams: %q", said)
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

// TestHowOldGroupsMayBeIsSaid: without a refresh token they are as old as the sign-in, and refresh tokens need a key.
func TestHowOldGroupsMayBeIsSaid(t *testing.T) {
	t.Parallel()
	const keys = `secrets: {keys: [{id: k1, key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}` + "\n"
	for _, c := range []struct{ name, scopes, groups, more, want string }{
		{"nothing is written", "", "{oidc: team}", keys, ": oidc.scopes: has no offline_access, so the groups of people's claims cannot be asked for again after a sign-in: add it, and they are asked for at the moment of the click; or write oidc.groups_for"},
		{"for as long as is written", ", groups_for: 8h", "{oidc: team}", keys, "warning: oidc.scopes: has no offline_access, so the groups of people's claims are those of their last sign-in: they count for 8h0m0s after it"},
		{"asked for at the click", ", scopes: [offline_access]", "{oidc: team}", keys, ""},
		{"no groups of claims", "", "{slack_usergroup: S0TEAM}", keys, ""},
		{"no key", ", scopes: [offline_access]", "{oidc: team}", "", "oidc.scopes: has offline_access, which needs secrets.keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := strings.NewReplacer("api:\n", `oidc: {issuer: "https://login.example.com", client_id: elevate`+c.scopes+"}\ngroups: {team: "+c.groups+"}\n"+c.more+"api:\n",
				"slack: U0ANA,", "slack: U0ANA, oidc: 00u1,").Replace(sound)
			said := slices.DeleteFunc(problems(t, text), func(s string) bool { return !strings.Contains(s, "oidc.scopes") })
			if c.want == "" && len(said) > 0 || c.want != "" && (len(said) != 1 || !strings.Contains(said[0], c.want)) {
				t.Errorf("%q", said)
			}
		})
	}
}
