package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

// soundConfig is a configuration with nothing wrong in it. Its store is the embedded one, so that a start would show.
const soundConfig = `store: {dir: data}
http: {listen: LISTEN}
slack:
  bot_token: xoxb-canary
  signing_secret: signing-canary
  team_id: T0001
api:
  tokens: [{name: ci, person: svc, hash: "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}]
people:
  - {id: ana, name: Ana, email: ana@example.com, slack: U0ANA, groups: [sre]}
  - {id: ben, name: Ben, email: ben@example.com, slack: U0BEN, groups: [leads]}
  - {id: svc, kind: service}
connectors:
  pg: {type: postgres, dsn: "postgres://elevate@127.0.0.1/app"}
  hooks: {type: webhook, url: "https://target.example.com/elevate", secret: SECRET}
roles:
  - {id: db, title: Database, connector: pg, target: {role: db_admin}, labels: {env: prod}}
  - {id: vpn, connector: hooks}
policies:
  - name: prod
    match: role.labels.env == "prod"
    eligible: '"sre" in person.groups'
    duration: {default: 1h, max: 4h}
    justification: {min_length: 10, ticket: "^INC-[0-9]+$"}
    approve: [{by: '"leads" in person.groups', count: 1, within: 30m}]
    channel: {slack: C0ACCESS}
  - name: rest
    match: "true"
    eligible: "true"
    duration: {max: 1h}
    auto_approve: "true"
digest: {at: "09:00", timezone: Europe/Lisbon, channel: {slack: C0ACCESS}}
audit: {dir: audit}
administrators: '"leads" in person.groups'
overdue_after: 2m
log: {level: info}
`

// slip is a change that makes the sound configuration wrong, and where that is to be told: LINE: KEY.
type slip struct {
	name, old, new string
	told           []string
}

var slips = []slip{
	{"unknown key", "audit: {dir", "audits: {dir", []string{"33: audits"}},
	{"unknown key below", "min_length: 10", "min_len: 10", []string{"24: policies[0].justification.min_len"}},
	{"key given twice", "  - name: rest\n", "  - name: rest\n    name: rest2\n", []string{"27: policies[1].name"}},
	{"no YAML", "audit: {dir: audit}", "audit: {dir: audit", []string{"33: is no YAML here"}},
	{"unset variable", "xoxb-canary", "${NOBODY_SETS_THIS}", []string{"4: slack.bot_token"}},
	{"list for a block", "audit: {dir: audit}", "audit: [audit]", []string{"33: audit"}},
	{"word for a list", "groups: [sre]", "groups: sre", []string{"10: people[0].groups"}},
	{"no number", "count: 1", "count: two", []string{"25: policies[0].approve[0].count"}},
	{"no time", "max: 4h", "max: 4 hours", []string{"23: policies[0].duration.max"}},
	{"scheme of the store", "store: {dir: data}", "store: {url: \"http://127.0.0.1\"}", []string{"1: store.url"}},
	{"address to listen at", "listen: LISTEN", "listen: 8080", []string{"2: http.listen"}},
	{"token of another kind", "xoxb-canary", "xapp-canary", []string{"4: slack.bot_token"}},
	{"no way in for Slack", "  signing_secret: signing-canary\n", "", []string{"3: slack"}},
	{"workspace", "team_id: T0001", "team_id: acme", []string{"6: slack.team_id"}},
	{"token of nobody", "person: svc,", "person: gone,", []string{"8: api.tokens[0].person"}},
	{"a token for its hash", "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "token-canary", []string{"8: api.tokens[0].hash"}},
	{"same person twice", "id: ben", "id: ana", []string{"11: people[1].id"}},
	{"shared account", "slack: U0BEN", "slack: U0ANA", []string{"11: people[1].slack"}},
	{"kind of person", "kind: service", "kind: robot", []string{"12: people[2].kind"}},
	{"unknown connector type", "type: webhook", "type: webhok", []string{"15: connectors.hooks.type"}},
	{"unknown setting of a connector", "secret: SECRET", "secret: SECRET, tmeout: 5s", []string{"15: connectors.hooks.tmeout"}},
	{"secret of a connector", "secret: SECRET", "secret: canary", []string{"15: connectors.hooks.secret"}},
	{"address of a connector", "https://target.example.com", "http://target.example.com", []string{"15: connectors.hooks.url"}},
	{"connection string", "postgres://elevate@127.0.0.1/app", "postgres://elevate@127.0.0.1:port/app", []string{"14: connectors.pg.dsn"}},
	{"target without its role", "target: {role: db_admin}", "target: {rol: db_admin}", []string{"17: roles[0].target.rol: ", "17: roles[0].target.role: "}},
	{"role of an unknown connector", "id: vpn, connector: hooks", "id: vpn, connector: hook", []string{"18: roles[1].connector"}},
	{"role that no policy governs", "match: \"true\"", "match: role.id == \"none\"", []string{"18: roles[1]", "28: warning: policies[1].match"}},
	{"expression", "'\"sre\" in person.groups'", "'\"sre\" in person.group'", []string{"22: policies[0].eligible"}},
	{"default above the longest", "default: 1h", "default: 5h", []string{"23: policies[0].duration.default"}},
	{"ticket pattern", "^INC-[0-9]+$", "^(INC-[0-9]+$", []string{"24: policies[0].justification.ticket"}},
	{"nobody approves", "    auto_approve: \"true\"\n", "", []string{"27: policies[1].approve"}},
	{"name for a channel's id", "    channel: {slack: C0ACCESS}", "    channel: {slack: \"#access\"}", []string{"26: policies[0].channel.slack"}},
	{"time of the digest", "at: \"09:00\"", "at: 9am", []string{"32: digest.at"}},
	{"time zone of the digest", "Europe/Lisbon", "Lisbon", []string{"32: digest.timezone"}},
	{"administrators", "administrators: '\"leads\" in person.groups'", "administrators: leads", []string{"34: administrators"}},
	{"overdue at once", "overdue_after: 2m", "overdue_after: 0s", []string{"35: overdue_after"}},
	{"log level", "level: info", "level: loud", []string{"36: log.level"}},
}

// desktop is a folder with a configuration, and a port that a bot would listen at.
func desktop(t *testing.T, config string) (dir string, port int) {
	t.Helper()
	dir, port = t.TempDir(), e2etest.FreePort(t)
	config = strings.NewReplacer("LISTEN", fmt.Sprintf("127.0.0.1:%d", port), "SECRET", judgeSecret).Replace(config)
	if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, port
}

// nothingStarted makes sure that a command left no trace: no folder, and so no store, no audit log and no process that
// works in one; and nobody listens.
func nothingStarted(t *testing.T, dir string, port int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "elevate.yaml" {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		t.Errorf("somebody listens: %v", conn.Close())
	}
}

func TestSoundConfigurationIsGood(t *testing.T) {
	t.Parallel()
	dir, port := desktop(t, soundConfig)
	if out := e2etest.Elevate(t, dir, "check"); out.Code != 0 || out.Stderr != "" || !strings.Contains(out.Stdout, "the configuration is good") {
		t.Errorf("%+v", out)
	}
	nothingStarted(t, dir, port)
}

// TestWrongConfigurationStartsNothing: every problem is told with file, line and key, the same by check and by serve.
func TestWrongConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	if len(slips) < 25 {
		t.Errorf("only %d kinds", len(slips))
	}
	for _, s := range slips {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(soundConfig, s.old) == 0 {
				t.Fatalf("the sound configuration has no %q", s.old)
			}
			isTold(t, strings.Replace(soundConfig, s.old, s.new, 1), s.told)
		})
	}
}

// isTold checks a configuration and tries to start with it.
func isTold(t *testing.T, config string, told []string) {
	t.Helper()
	problem := regexp.MustCompile(`^elevate\.yaml:\d+: (warning: )?(([a-z_]+)(\[\d+\]|\.[A-Za-z_-]+)*: )?.{10,}$`)
	dir, port := desktop(t, config)
	checked, served := e2etest.Elevate(t, dir, "check"), e2etest.Elevate(t, dir, "serve")
	if checked.Code != 1 || checked.Stdout != "" || served != checked {
		t.Errorf("check gives %+v\nserve gives %+v", checked, served)
	}
	lines := strings.Split(strings.TrimSpace(checked.Stderr), "\n")
	for _, line := range lines {
		if !problem.MatchString(line) || strings.Contains(line, "canary") {
			t.Errorf("told without file, line and key, or with a secret: %s", line)
		}
	}
	for _, where := range told {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "elevate.yaml:"+where) }) {
			t.Errorf("nothing is told of %s:\n%s", where, checked.Stderr)
		}
	}
	if len(lines) != len(told) {
		t.Errorf("%d problems are told of %d:\n%s", len(lines), len(told), checked.Stderr)
	}
	nothingStarted(t, dir, port)
}

// TestAllThatIsWrongIsToldAtOnce makes every change that leaves the others' lines in place, together.
func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	t.Parallel()
	// These need a sound rest: a file that can be read, a connector that can be made, a value that others speak of.
	apart := []string{"no YAML", "unknown key", "list for a block", "same person twice", "unknown connector type", "unknown setting of a connector", "connection string",
		"role that no policy governs", "default above the longest"}
	config := soundConfig
	var told []string
	for _, s := range slips {
		if slices.Contains(apart, s.name) || strings.Count(s.old, "\n") != strings.Count(s.new, "\n") || !strings.Contains(config, s.old) {
			continue // it would move the others, or spoils the same value
		}
		config = strings.Replace(config, s.old, s.new, 1)
		told = append(told, s.told...)
	}
	if len(told) < 25 {
		t.Errorf("only %d problems together", len(told))
	}
	isTold(t, config, told)
}

// TestStartThatFailsStartsNothing: a sound configuration for a machine that is not.
func TestStartThatFailsStartsNothing(t *testing.T) {
	t.Parallel()
	t.Run("the address is taken", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		dir, port := desktop(t, strings.Replace(soundConfig, "LISTEN", l.Addr().String(), 1))
		out := e2etest.Elevate(t, dir, "serve")
		if out.Code != 1 || !strings.Contains(out.Stderr, "http.listen: ") || !strings.Contains(out.Stderr, l.Addr().String()) {
			t.Errorf("%+v", out)
		}
		nothingStarted(t, dir, port)
	})
	t.Run("the store is not there", func(t *testing.T) {
		t.Parallel()
		url := fmt.Sprintf("redis://127.0.0.1:%d", e2etest.FreePort(t))
		dir, port := desktop(t, strings.Replace(soundConfig, "{dir: data}", fmt.Sprintf("{url: %q}", url), 1))
		out := e2etest.Elevate(t, dir, "serve")
		if out.Code != 1 || !strings.Contains(out.Stderr, "elevate: store: ") {
			t.Errorf("%+v", out)
		}
		nothingStarted(t, dir, port)
	})
	t.Run("there is no configuration", func(t *testing.T) {
		t.Parallel()
		for _, command := range []string{"check", "serve"} {
			dir := t.TempDir()
			out := e2etest.Elevate(t, dir, command)
			if out.Code != 1 || !strings.Contains(out.Stderr, "elevate.yaml") || !strings.Contains(out.Stderr, "--config") {
				t.Errorf("%s: %+v", command, out)
			}
		}
	})
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	dir, port := desktop(t, soundConfig)
	for _, args := range [][]string{
		{}, {"start"}, {"serve", "now"}, {"serve", "--port", "80"}, {"check", "elevate.yaml"}, {"check", "--config"},
		{"check", "--online=perhaps"}, {"audit"}, {"audit", "prove"}, {"audit", "export", "--from", "yesterday"},
		{"audit", "export", "--format", "xml"}, {"audit", "verify", "--head", "12"}, {"audit", "verify", "--after", "x:y"},
		{"version", "--long"}, {"version", "2"},
	} {
		out := e2etest.Elevate(t, dir, args...)
		if out.Code != 2 || !strings.Contains(out.Stderr, "elevate: ") {
			t.Errorf("elevate %s: %+v", strings.Join(args, " "), out)
		}
	}
	nothingStarted(t, dir, port)
}
