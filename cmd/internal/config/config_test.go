package config

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
)

// sound is a file without problems; tests change one thing of it. The line numbers are part of what they want.
const sound = `store: {url: "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0", shards: 32, wait_replicas: 1}
http: {listen: 127.0.0.1:8080, public_url: https://elevate.example.com/}
slack:
  bot_token: ${SLACK_BOT_TOKEN}
  signing_secret: ${SLACK_SIGNING_SECRET}
  app_token: ${SLACK_APP_TOKEN}
  team_id: T0001
  api_url: https://slack.com/api/
teams:
  app_id: 11111111-0000-4000-8000-000000000001
  tenant_id: 11111111-0000-4000-8000-000000000002
  client_secret: ${TEAMS_SECRET}
  service_urls: [https://smba.infra.gcc.teams.microsoft.com/teams]
  token_url: https://login.microsoftonline.com/common/oauth2/v2.0/token
api:
  tokens:
    - {name: ci, person: svc-deploy, hash: "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}
people:
  - {id: ana, name: Ana Lima, email: ana@example.com, slack: U0ANA, teams: 0f6e0000-0000-4000-8000-0000000000a1, groups: [sre]}
  - {id: ben, name: Ben, email: ben@example.com, slack: U0BEN, groups: [sre-leads], accounts: {pg-prod: ben_dba}}
  - {id: svc-deploy, kind: service, groups: [automation]}
connectors:
  pg-prod: {type: postgres, dsn: "${PG_DSN}"}
  hooks:
    type: webhook
    url: https://internal.example.com/elevate
roles:
  - id: prod-db-admin
    title: Production database admin
    connector: pg-prod
    target: {role: db_admin, port: 5432, deep: [true, {a: null}]}
    labels: {env: prod, risk: high}
  - {id: deploy, connector: hooks}
policies:
  - name: production
    match: role.labels.env == "prod"
    eligible: '"sre" in person.groups'
    duration: {default: 1h, max: 4h}
    justification: {min_length: 10, ticket: "^(INC|CHG)-[0-9]+$"}
    approve:
      - {by: '"sre-leads" in person.groups', count: 1, within: 30m}
      - by: |
          person.kind == "human" &&
            person.id != requester.id
    channel: {slack: C0ACCESS}
  - name: rest
    match: "true"
    eligible: "true"
    duration: {max: 1h}
    auto_approve: true
digest: {at: "09:00", timezone: Europe/Lisbon, channel: {slack: C0ACCESS}}
audit: {dir: ./audit}
administrators: '"sre-leads" in person.groups'
overdue_after: 2m
log: {level: debug, format: text}
`

var environment = map[string]string{
	"REDIS_PASSWORD": "redis-canary", "SLACK_BOT_TOKEN": "xoxb-canary", "SLACK_SIGNING_SECRET": "signing-canary",
	"SLACK_APP_TOKEN": "xapp-canary", "PG_DSN": "postgres://elevate:dsn-canary@db/", "EMPTY": "", "TEAMS_SECRET": "teams-canary", "SECRET_ID": "11111111-0000-4000-8000-000000000003", "NUMBER": "3", "CANARY": "canary-in-the-wrong-place",
}

func env(name string) (string, bool) {
	v, ok := environment[name]
	return v, ok
}

// problems reads a changed file and gives what is said of it.
func problems(t *testing.T, text string) []string {
	t.Helper()
	_, found := Parse("elevate.yaml", []byte(text), env)
	var out []string
	for _, p := range found {
		out = append(out, p.String())
	}
	for name, secret := range environment {
		if len(secret) > 5 && strings.Contains(strings.Join(out, "\n"), secret) {
			t.Errorf("the value of %s shows in %q", name, out)
		}
	}
	return out
}

func TestSoundFileLoads(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "elevate.yaml")
	if err := os.WriteFile(file, []byte(sound), 0o600); err != nil {
		t.Fatal(err)
	}
	c, found, err := Load(file, env)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v\n%v", err, found)
	}
	for what, got := range map[string][2]any{
		"store.url":      {c.Store.URL.Reveal(), "redis://:redis-canary@127.0.0.1:6379/0"},
		"store.dir":      {c.Store.Dir, "data"},
		"public_url":     {c.HTTP.PublicURL, "https://elevate.example.com"},
		"bot_token":      {c.Slack.BotToken.Reveal(), "xoxb-canary"},
		"command":        {c.Slack.Command, "/elevate"},
		"kind":           {c.People[0].Kind, access.Human},
		"service":        {c.People[2].Kind, access.Service},
		"target":         {fmt.Sprint(c.Roles[0].Target), "map[deep:[true map[a:<nil>]] port:5432 role:db_admin]"},
		"target number":  {c.Roles[0].Target["port"], float64(5432)},
		"labels":         {c.Roles[0].Labels["risk"], "high"},
		"ticket":         {c.Policies[0].Justification.Ticket, "^(INC|CHG)-[0-9]+$"},
		"within":         {c.Policies[0].Approve[0].Within, 30 * time.Minute},
		"auto_approve":   {c.Policies[1].AutoApprove, "true"},
		"policy":         {c.Set.For("prod-db-admin").Name(), "production"},
		"rest":           {c.Set.For("deploy").Name(), "rest"},
		"digest":         {fmt.Sprint(c.Digest.Hour, c.Digest.Minute, c.Digest.Location), "9 0 Europe/Lisbon"},
		"audit.dir":      {c.Audit.Dir, "./audit"},
		"overdue_after":  {c.OverdueAfter, 2 * time.Minute},
		"notice_before":  {c.NoticeBefore, 10 * time.Minute},
		"sweep.every":    {c.Sweep.Every, 5 * time.Minute},
		"limits":         {c.Limits, Limits{Person: 10, Workspace: 100, Window: time.Minute, Pending: 3, CoolDown: 5 * time.Minute, Acts: 60}},
		"connector type": {c.Connectors["hooks"].Type, "webhook"},
		"token":          {c.API.Tokens[0].Hash, api.HashToken("secret")},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %v, want %v", what, got[0], got[1])
		}
	}
	if !c.Administrator(access.Person{ID: "x", Groups: []string{"sre-leads"}}) || c.Administrator(access.Person{ID: "x"}) || c.Auditor != nil {
		t.Error("wrong administrators or auditors")
	}
	ben, err := c.Directory().ByAccount(t.Context(), "slack", "U0BEN")
	if err != nil || ben.ID != "ben" || ben.Account("pg-prod") != "ben_dba" {
		t.Errorf("%+v, %v", ben, err)
	}
	if ana, err := c.Directory().ByAccount(t.Context(), "teams", "0F6E0000-0000-4000-8000-0000000000A1"); err != nil || ana.Name != "Ana Lima" {
		t.Errorf("%+v, %v", ana, err)
	}
}

// TestContractExampleLoads reads the example that the configuration's contract gives.
func TestContractExampleLoads(t *testing.T) {
	t.Parallel()
	c, found, err := Load("testdata/contract.yaml", func(name string) (string, bool) {
		prefix := map[string]string{"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}[name]
		return prefix + "x", true
	})
	if err != nil || len(found) > 0 {
		t.Fatalf("%v, %v", err, found)
	}
	if c.Teams == nil || c.Teams.Cloud != "public" || c.Set.Channel("production", "teams") != "19:access@thread.tacv2" {
		t.Errorf("%+v", c.Teams)
	}
	if c.Set.For("prod-db-admin").Max() != 4*time.Hour || c.Set.Channel("production", "slack") != "C0ACCESS" {
		t.Errorf("%+v", c)
	}
}

func TestSmallestFileHasDefaults(t *testing.T) {
	t.Parallel()
	c, found := Parse("x", []byte(`
people: [{id: ana}]
connectors: {demo: {type: demo}}
roles: [{id: r, connector: demo}]
policies: [{name: all, match: "true", eligible: "true", duration: {max: 1h}, auto_approve: true}]
`), env, "web")
	if len(found) > 0 {
		t.Fatal(found)
	}
	if c.HTTP.Listen != "127.0.0.1:8080" || c.Audit.Dir != "audit" || c.Log != (Log{"info", "json"}) || c.OverdueAfter != time.Minute ||
		c.Slack != nil || c.Digest != nil || c.Administrator != nil || !c.Store.URL.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestUnreadableFileIsAnError(t *testing.T) {
	t.Parallel()
	if _, _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), env); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("%v", err)
	}
}

func TestEnvironmentFillsValuesAlone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ // an error's text after a !
		"plain":               "plain",
		"${NUMBER}":           "3",
		"a${NUMBER}b${EMPTY}": "a3b",
		"$NUMBER":             "$NUMBER",
		"^x$":                 "^x$",
		"$$ $":                "$$ $",
		"$${NUMBER}":          "${NUMBER}",
		"x$$${NUMBER}":        "x$${NUMBER}",
		"${CANARY":            "!${ must be followed",
		"${1}":                "!${ must be followed",
		"${}":                 "!${ must be followed",
		"${A-B}":              "!${ must be followed",
		"${UNSET}":            "!environment variable UNSET is not set",
		"${UNSET}${OTHER}":    "!environment variable UNSET is not set; environment variable OTHER is not set",
	} {
		got, err := expand(in, env)
		if refusal, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.HasPrefix(err.Error(), refusal) {
				t.Errorf("%s: %q, %v", in, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	c, found := Parse("x", []byte("log:\n  level: ${L}\n  ${NUMBER}: x\nroles: [{id: a, target: {n: '${NUMBER}', e: '${EMPTY}'}}]"),
		func(string) (string, bool) { return "{a: [", true })
	if c.Log.Level != "{a: [" || c.Roles[0].Target["n"] != "{a: [" {
		t.Errorf("what the environment says is read as YAML: %+v", c)
	}
	if !strings.Contains(found.Error(), "log.${NUMBER}: is not a key") {
		t.Error("a key was expanded")
	}
}

func TestAnchorsAndMergesWork(t *testing.T) {
	t.Parallel()
	c, found := Parse("x", []byte(`
people: [{id: ana}]
connectors: {demo: {type: demo}}
roles: [{id: a, connector: demo, labels: &l {env: prod}}, {id: b, connector: demo, labels: *l}]
policies:
  - &first {name: one, match: role.id == "a", eligible: "true", duration: {max: 1h}, auto_approve: "true"}
  - {<<: *first, name: two, match: "true"}
`), env, "web")
	if len(found) > 0 || c.Set.For("a").Name() != "one" || c.Set.For("b").Name() != "two" || c.Roles[1].Labels["env"] != "prod" {
		t.Errorf("%+v\n%v", c, found)
	}
}

func TestConfigurationShowsNoSecret(t *testing.T) {
	t.Parallel()
	c, _ := Parse("x", []byte(sound), env)
	var b strings.Builder
	slog.New(c.Log.Handler(&b)).Info("x", "config", c, "slack", *c.Slack, "store", c.Store)
	fmt.Fprintf(&b, "%+v %#v %v", c.Slack, c.Store, c.Store)
	for _, secret := range slices.Sorted(maps.Values(environment)) {
		if strings.HasSuffix(secret, "canary") && strings.Contains(b.String(), secret) {
			t.Errorf("%s shows in %s", secret, b.String())
		}
	}
}

func TestLogHandlers(t *testing.T) {
	t.Parallel()
	for log, want := range map[Log]string{{"info", "json"}: `"msg":"shown"`, {"warn", "text"}: ""} {
		var b strings.Builder
		logger := slog.New(log.Handler(&b))
		logger.Debug("hidden")
		logger.Info("shown")
		if strings.Contains(b.String(), "hidden") || want == "" && b.String() != "" || !strings.Contains(b.String(), want) {
			t.Errorf("%v logs %q", log, b.String())
		}
	}
}
