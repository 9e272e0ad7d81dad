package azure_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/connectors/connectortest"
	"elevate/workflows/access"
)

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	for name, test := range map[string]struct {
		change func(*azure.Config)
		want   []string // how the lines begin; none: it is good
	}{
		"good":              {func(*azure.Config) {}, nil},
		"Azure itself":      {func(c *azure.Config) { c.ResourceManagerURL, c.AuthorityURL, c.CAFile = "", "", "" }, nil},
		"another cloud":     {func(c *azure.Config) { c.Cloud = "usgovernment" }, nil},
		"no such cloud":     {func(c *azure.Config) { c.Cloud = "mars" }, []string{"cloud: "}},
		"no way in":         {func(c *azure.Config) { c.ClientSecret = access.Secret{} }, []string{"client_secret: "}},
		"two ways in":       {func(c *azure.Config) { c.ManagedIdentity = true }, []string{"client_secret: goes not together with managed_identity"}},
		"managed identity":  {func(c *azure.Config) { *c = azure.Config{ManagedIdentity: true} }, nil},
		"no ids":            {func(c *azure.Config) { c.TenantID, c.ClientID = "", "x" }, []string{"tenant_id: ", "client_id: "}},
		"plain http":        {func(c *azure.Config) { c.ResourceManagerURL, c.AuthorityURL = "http://127.0.0.1", "ftp://x" }, []string{"authority_url: ", "resource_manager_url: "}},
		"negative":          {func(c *azure.Config) { c.Grace, c.Tail, c.Timeout = -1, -1, -1 }, []string{"grace: ", "tail: ", "timeout: "}},
		"no certificate":    {func(c *azure.Config) { c.ClientSecret, c.CertificateFile = access.Secret{}, "/nowhere" }, []string{"certificate_file: "}},
		"no authority file": {func(c *azure.Config) { c.CAFile = "/nowhere" }, []string{"ca_file: "}},
		"federated":         {func(c *azure.Config) { c.ClientSecret, c.FederatedTokenFile = access.Secret{}, "/nowhere" }, nil},
	} {
		cfg := config(t, s)
		test.change(&cfg)
		c, err := azure.New(cfg)
		if len(test.want) == 0 {
			if err != nil || c == nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		for i, want := range test.want {
			if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: %q, want lines that begin with %q", name, lines, test.want)
				break
			}
		}
		if strings.Contains(err.Error(), armfake.Secret) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

func TestOnePlaceHasOneSpelling(t *testing.T) {
	t.Parallel()
	c := connect(t, tenant(t))
	upper := strings.ToUpper(subscription[:15]) + subscription[15:]
	for target, want := range map[[2]string]string{
		{armfake.Management, armfake.Reader}:     "",
		{subscription, armfake.Reader}:           "",
		{group, armfake.Reader}:                  "",
		{vault, armfake.Reader}:                  "",
		{vault + "/secrets/a b", armfake.Reader}: "target.scope: ",
		{subscription + "/providers/microsoft.network/dnszones/a.example", armfake.Reader}:      "",
		{"/subscriptions/44444444-aaaa-4bbb-8ccc-000000000004/resourceGroups/P", armfake.Owner}: "target.scope: write it in small letters, so that one place has one spelling (Azure takes any): /subscriptions/44444444-aaaa-4bbb-8ccc-000000000004/resourcegroups/p",
		{upper, armfake.Reader}:                           "target.scope: write it",
		{subscription + "/", armfake.Reader}:              "target.scope: write it",
		{"/", armfake.Reader}:                             "target.scope: ",
		{"", armfake.Reader}:                              "target.scope: is missing",
		{"prod", armfake.Reader}:                          "target.scope: ",
		{group + "/../x", armfake.Reader}:                 "target.scope: ",
		{group + "/providers/a.b/c/../d", armfake.Reader}: "target.scope: ",
		{group + "?api-version=1", armfake.Reader}:        "target.scope: ",
		{group, ""}:                                     "target.role: is missing",
		{group, "Reader"}:                               "target.role: is no role's id",
		{group, strings.ToUpper(armfake.Reader)}:        "target.role: write the id alone and in small letters: " + armfake.Reader,
		{group, "/x/roleDefinitions/" + armfake.Reader}: "target.role: write the id alone",
	} {
		err := c.CheckTarget(map[string]any{"scope": target[0], "role": target[1]})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", target, err, want)
		}
	}
}

func TestAFederatedTokenIsReadEachTime(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	file := filepath.Join(t.TempDir(), "token")
	c := connect(t, s, func(cfg *azure.Config) { cfg.ClientSecret, cfg.FederatedTokenFile = access.Secret{}, file })
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without its token the error is %v", err)
	}
	if err := os.WriteFile(file, []byte(armfake.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAManagedIdentitySignsIn sets the environment that App Service gives its programs.
func TestAManagedIdentitySignsIn(t *testing.T) {
	s := tenant(t)
	beside := httptest.NewServer(s.Machine("header-canary"))
	defer beside.Close()
	t.Setenv("IDENTITY_ENDPOINT", beside.URL)
	t.Setenv("IDENTITY_HEADER", "header-canary")
	g := grant(s)
	give(t, connect(t, s, func(cfg *azure.Config) {
		cfg.TenantID, cfg.ClientID, cfg.ClientSecret, cfg.ManagedIdentity = "", "", access.Secret{}, true
	}), g)
	wantHolds(t, s, g, true)
}

// TestCertificatesAreRead: that Entra takes them is not shown.
func TestCertificatesAreRead(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key  crypto.Signer
		good bool
	}{"RSA": {rsaKey, true}, "elliptic": {ecKey, false}} {
		cfg := config(t, s)
		cfg.ClientSecret, cfg.CertificateFile = access.Secret{}, connectortest.Certificate(t, test.key)
		if _, err := azure.New(cfg); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
