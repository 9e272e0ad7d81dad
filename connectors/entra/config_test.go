package entra_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/connectortest"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

func TestEveryProblemOfTheSettingsIsTold(t *testing.T) {
	t.Parallel()
	_, err := entra.New(entra.Config{
		TenantID: "example.com", ClientID: strings.ToUpper("abcdef12-0000-4000-8000-000000000000"), Gives: "all", Cloud: "moon",
		Grace: 2 * time.Hour, Tail: -1, Timeout: -1, CAFile: "/nowhere.pem",
	})
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i, want := range []string{"tenant_id: ", "client_id: ", "timeout: ", "tail: ", "grace: ", "gives: ", "client_secret: ", "cloud: ", "ca_file: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%v\ndoes not begin with %q", i, err, want)
		}
	}
}

func TestHowTheApplicationProvesItself(t *testing.T) {
	t.Parallel()
	secret := access.NewSecret(graphfake.Secret)
	for name, test := range map[string]struct {
		change func(*entra.Config)
		want   string // the error; empty: none
	}{
		"a secret":                 {func(c *entra.Config) { c.ClientSecret = secret }, ""},
		"managed":                  {func(c *entra.Config) { c.Credential = "managed" }, ""},
		"nothing":                  {func(*entra.Config) {}, "client_secret: is missing"},
		"two":                      {func(c *entra.Config) { c.ClientSecret, c.CertificateFile = secret, "x.pem" }, "client_secret: there is a certificate_file"},
		"a secret that is missing": {func(c *entra.Config) { c.Credential = "secret" }, "client_secret: is missing"},
		"a certificate missing":    {func(c *entra.Config) { c.Credential = "certificate" }, "certificate_file: is missing"},
		"no such file":             {func(c *entra.Config) { c.CertificateFile = "/nowhere.pem" }, "certificate_file: cannot be read"},
		"managed with a secret":    {func(c *entra.Config) { c.Credential, c.ClientSecret = "managed", secret }, "credential: says managed"},
		"another word":             {func(c *entra.Config) { c.Credential = "password" }, "credential: write secret"},
		"workload without a file":  {func(c *entra.Config) { c.Credential = "workload" }, "credential: says workload, but"},
		"login by http":            {func(c *entra.Config) { c.ClientSecret, c.LoginURL = secret, "http://login.example.com" }, "login_url: must be"},
		"graph by http":            {func(c *entra.Config) { c.ClientSecret, c.GraphURL = secret, "http://graph.example.com" }, "graph_url: must be"},
		"plain and eligible": {func(c *entra.Config) {
			c.ClientSecret, c.Gives, c.RequireEligible = secret, "plain_groups", true
		}, "require_eligible: PIM knows nothing"},
	} {
		cfg := entra.Config{TenantID: graphfake.TenantID, ClientID: graphfake.ClientID}
		test.change(&cfg)
		_, err := entra.New(cfg)
		if test.want == "" && err != nil || test.want != "" && !strings.HasPrefix(fmt.Sprint(err), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if strings.Contains(fmt.Sprint(err), graphfake.Secret) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

// TestACertificateSignsIn: the fake takes any assertion; what is tried is that one is made and sent.
func TestACertificateSignsIn(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := connectortest.Certificate(t, key)
	s := newSite(t, func(cfg *entra.Config) { cfg.ClientSecret, cfg.CertificateFile = access.Secret{}, file })
	if err := s.connect(t).Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestTargetsHaveOneSpelling: two spellings of one right would hide that two grants share it.
func TestTargetsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	const id, other = "fdd7a751-b60b-444a-984c-02652fe8fa1c", "0f6e2d4c-8a1b-4c3d-9e5f-a1b2c3d4e5f6"
	for _, test := range []struct {
		gives  string
		target map[string]any
		want   string // what each line begins with, by spaces; empty: good
	}{
		{"roles", map[string]any{"role": id, "scope": "/"}, ""},
		{"roles", map[string]any{"role": id, "scope": "/administrativeUnits/" + other}, ""},
		{"roles", map[string]any{"role": id}, "target.scope:"},
		{"roles", map[string]any{"role": strings.ToUpper(id), "scope": "/"}, "target.role:"},
		{"roles", map[string]any{"role": id, "scope": "/administrativeUnits/" + strings.ToUpper(other)}, "target.scope:"},
		{"roles", map[string]any{"role": "User Administrator", "scope": "/' or '1' eq '1", "group": id}, "target.group: target.role: target.scope:"},
		{"groups", map[string]any{"group": id, "as": "member"}, ""},
		{"groups", map[string]any{"group": id, "as": "owner"}, ""},
		{"groups", map[string]any{"group": id, "as": "Member"}, "target.as:"},
		{"groups", map[string]any{"group": 7}, "target.as: target.group:"},
		{"plain_groups", map[string]any{"group": id, "marks": other}, ""},
		{"plain_groups", map[string]any{"group": id, "marks": id}, "target.marks:"},
		{"plain_groups", map[string]any{"group": id}, "target.marks:"},
		{"plain_groups", map[string]any{"group": id, "marks": other, "as": "owner"}, "target.as:"},
	} {
		c, err := entra.New(entra.Config{TenantID: graphfake.TenantID, ClientID: graphfake.ClientID, ClientSecret: access.NewSecret("x"), Gives: test.gives})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := c.CheckTarget(test.target); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				got = append(got, strings.Fields(line)[0])
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s, %v: %q, want %q", test.gives, test.target, got, test.want)
		}
	}
}

func TestPlainGroupsPromiseNoEnd(t *testing.T) {
	t.Parallel()
	for gives, native := range map[string]bool{"": true, "groups": true, "plain_groups": false} {
		c, err := entra.New(entra.Config{TenantID: graphfake.TenantID, ClientID: graphfake.ClientID, ClientSecret: access.NewSecret("x"), Gives: gives})
		if err != nil {
			t.Fatal(err)
		}
		if caps := connectors.Describe(c); caps.NativeExpiry != native || (caps.MinDuration > 0) != native || caps.Tail != 90*time.Minute {
			t.Errorf("%q has %+v", gives, caps)
		}
	}
}
