package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
	"elevate/workflows/policy"
	"elevate/workflows/seal"
)

const examples = "../../../manifests/examples"

// exampleEnv is the environment that the examples come with.
func exampleEnv(t *testing.T) func(string) (string, bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "example.env"))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			vars[name] = value
		}
	}
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func loadExample(t *testing.T, name string) *Config {
	t.Helper()
	c, found, err := Load(filepath.Join(examples, name), exampleEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		t.Errorf("%s", p)
	}
	return c
}

func TestExamplesLoadWithoutProblems(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if c := loadExample(t, filepath.Base(f)); len(c.Roles) == 0 || c.Set == nil {
			t.Errorf("%s says nothing", f)
		}
	}
}

// TestEveryKeyIsInTheExample holds that elevate.yaml shows each key, at least in a comment.
func TestEveryKeyIsInTheExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(examples, "elevate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := []any{&Config{}, &Store{}, &HTTP{}, &Secrets{}, &seal.Key{}, &TOTP{}, &policy.StepUp{}, &Slack{}, &Teams{}, &api.Token{}, &OIDC{}, &Entra{}, &Group{}, &Digest{}, &Audit{}, &Sweep{}, &API{}, &Limits{}, &Log{},
		&Person{}, &policy.Rule{}, &policy.Duration{}, &policy.Justification{}, &policy.Approval{}, &access.Role{}}
	for _, v := range all {
		for key := range keysOf(v) {
			if !strings.Contains(string(text), key+":") {
				t.Errorf("%T: %s is not shown", v, key)
			}
		}
	}
}

func TestPolicyExamplesDecideAsTheirCommentsSay(t *testing.T) {
	t.Parallel()
	c := loadExample(t, "policies.yaml")
	people := map[access.PersonID]access.Person{}
	all, err := c.Directory().People(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		people[p.ID] = p
	}
	roles := map[access.RoleID]access.Role{}
	for _, r := range c.Roles {
		roles[r.ID] = r
	}
	monday := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	asking := func(at time.Time, d time.Duration) policy.Ask {
		return policy.Ask{Duration: d, Justification: "fix the replication of orders", Ticket: "INC-1", Start: at}
	}
	for _, v := range []struct {
		what string
		got  bool
		want bool
	}{
		{"bob leads payments and approves for ana", c.may("payments-db", 0, people["bob"], people["ana"], roles), true},
		{"mei leads search and not payments", c.may("payments-db", 0, people["mei"], people["ana"], roles), false},
		{"mei stands in for bob, who leads", c.may("payments-db", 0, people["mei"], people["bob"], roles), true},
		{"bob does not approve for himself", c.may("payments-db", 0, people["bob"], people["bob"], roles), false},
		{"a lead opens the first stage of critical", c.may("cluster-admin", 0, people["mei"], people["ana"], roles), true},
		{"a lead does not close the second", c.may("cluster-admin", 1, people["mei"], people["ana"], roles), false},
		{"security closes the second", c.may("cluster-admin", 1, people["zoe"], people["ana"], roles), true},
		{"the change board approves a release", c.may("release", 0, people["svc-change-board"], people["svc-deploy"], roles), true},
		{"the change board approves nothing else", c.may("cluster-admin", 0, people["svc-change-board"], people["ana"], roles), false},
		{"ana may ask for her team's role", c.Set.For("payments-db").Eligible(people["ana"], roles["payments-db"], asking(monday, time.Hour)) == nil, true},
		{"ana may not ask for another team's", c.Set.For("search-db").Eligible(people["ana"], roles["search-db"], asking(monday, time.Hour)) == nil, false},
		{"on call, in office hours", c.Set.For("payments-db").AutoApproves(people["ana"], roles["payments-db"], asking(monday, time.Hour)), true},
		{"on call, for longer", c.Set.For("payments-db").AutoApproves(people["ana"], roles["payments-db"], asking(monday, 2*time.Hour)), false},
		{"on call, at night", c.Set.For("payments-db").AutoApproves(people["ana"], roles["payments-db"], asking(monday.Add(9*time.Hour), time.Hour)), false},
		{"on call, on Sunday", c.Set.For("payments-db").AutoApproves(people["ana"], roles["payments-db"], asking(monday.AddDate(0, 0, -1), time.Hour)), false},
		{"not on call", c.Set.For("payments-db").AutoApproves(people["bob"], roles["payments-db"], asking(monday, time.Hour)), false},
		{"harmless", c.Set.For("sandbox").AutoApproves(people["ana"], roles["sandbox"], asking(monday, time.Hour)), true},
	} {
		if v.got != v.want {
			t.Errorf("%s: %v", v.what, v.got)
		}
	}
}

// may tells whether the approver may decide on what the requester asks for themselves.
func (c *Config) may(role access.RoleID, stage int, approver, requester access.Person, roles map[access.RoleID]access.Role) bool {
	ask := policy.Ask{Duration: time.Hour, Start: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	return c.Set.For(role).MayApprove(stage, approver, requester, requester, roles[role], ask) == nil
}
