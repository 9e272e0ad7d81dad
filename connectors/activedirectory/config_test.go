package activedirectory_test

import (
	"strings"
	"testing"
	"time"

	"elevate/connectors/activedirectory"
	"elevate/workflows/access"
)

const someGroup = "0b8a3cd1-5f0e-4c11-9d0b-2f4f5a6b7c8d"

func good() activedirectory.Config {
	return activedirectory.Config{Controllers: []string{"ldaps://dc1.corp.example.com", "ldap://dc2.corp.example.com:10389"},
		Bind: "svc-elevate@corp.example.com", Password: access.NewSecret("pass-canary"), Groups: []string{someGroup}}
}

func TestNewReadsTheConfigurationAndConnectsToNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*activedirectory.Config)
		want   []string // in the error; none: it is accepted
	}{
		"good":                  {func(*activedirectory.Config) {}, nil},
		"by principal name":     {func(c *activedirectory.Config) { c.Account = "userPrincipalName" }, nil},
		"nothing":               {func(c *activedirectory.Config) { *c = activedirectory.Config{} }, []string{"controllers: ", "bind: ", "password: ", "groups: "}},
		"no encryption":         {func(c *activedirectory.Config) { c.Controllers = []string{"http://dc1"} }, []string{"controllers[0]: ", "ldaps://"}},
		"a name alone":          {func(c *activedirectory.Config) { c.Controllers[1] = "dc2.corp.example.com" }, []string{"controllers[1]: "}},
		"a password in it":      {func(c *activedirectory.Config) { c.Controllers[0] = "ldaps://bot:pass-canary@dc1" }, []string{"controllers[0]: "}},
		"a group by name":       {func(c *activedirectory.Config) { c.Groups = append(c.Groups, "Domain Admins") }, []string{"groups[1]: "}},
		"a GUID in capitals":    {func(c *activedirectory.Config) { c.Groups = []string{strings.ToUpper(someGroup)} }, []string{"groups[0]: ", "small letters"}},
		"another attribute":     {func(c *activedirectory.Config) { c.Account = "mail" }, []string{"account: "}},
		"a file that is not":    {func(c *activedirectory.Config) { c.CAFile = "/does/not/exist" }, []string{"ca_file: "}},
		"every problem at once": {func(c *activedirectory.Config) { c.Tail, c.Timeout, c.Bind = -time.Second, -time.Second, "" }, []string{"tail: ", "timeout: ", "bind: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good()
			test.change(&cfg)
			_, err := activedirectory.New(cfg)
			if (err != nil) != (len(test.want) > 0) {
				t.Fatalf("New: %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not speak of %q: %v", want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), "pass-canary") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestCheckTargetNamesTheKey(t *testing.T) {
	t.Parallel()
	c, err := activedirectory.New(good())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		target map[string]any
		want   string
	}{
		"good":                  {map[string]any{"group": someGroup}, ""},
		"nothing":               {nil, "target.group"},
		"no text":               {map[string]any{"group": 7}, "target.group"},
		"a name":                {map[string]any{"group": "Domain Admins"}, "target.group"},
		"a second spelling":     {map[string]any{"group": strings.ToUpper(someGroup)}, "target.group"},
		"a group not in groups": {map[string]any{"group": "00000000-0000-0000-0000-000000000001"}, "target.group"},
		"one too many":          {map[string]any{"group": someGroup, "domain": "corp"}, "target.domain"},
	} {
		err := c.CheckTarget(test.target)
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want+": ")) {
			t.Errorf("%s: %v, want an error at %q", name, err, test.want)
		}
	}
}
