package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type wrong struct{ name, old, new string }

// wrongs are changes to the sound file.
var wrongs = []wrong{
	{"unknown key", "audit: {", "audits: {dir: x}\naudit: {"},
	{"unknown key below", "min_length: 10", "min_len: 10"},
	{"unknown key of a person", "kind: service", "knd: service"},
	{"key given twice", "  - name: rest\n", "  - name: rest\n    name: other\n"},
	{"no YAML", "audit: {dir: ./audit}", "audit: {dir: ./audit"},
	{"two documents", "audit: {", "---\naudit: {"},
	{"unset variable", "${PG_DSN}", "${PG_DNS}"},
	{"broken variable", "${PG_DSN}", "${PG DSN}"},
	{"a list for a block", "audit: {dir: ./audit}", "audit: [./audit]"},
	{"a block for a list", "groups: [automation]", "groups: {automation: true}"},
	{"a word for a list", "groups: [automation]", "groups: automation"},
	{"a list for a text", "name: production", "name: [production]"},
	{"no number", "count: 1", "count: two"},
	{"no true or false", "wait_replicas: 1", "wait_replicas: 1, allow_unsafe: yes"},
	{"no time", "max: 4h", "max: 4 hours"},
	{"days", "overdue_after: 2m", "overdue_after: 1d"},
	{"odd tag", "name: rest", "name: !!binary cmVzdA=="},

	{"store scheme", "redis://:", "http://:"},
	{"store without server", "@127.0.0.1:6379/0", "@/0"},
	{"shards", "shards: 32", "shards: 0"},
	{"replicas", "wait_replicas: 1", "wait_replicas: -1"},
	{"listen", "listen: 127.0.0.1:8080", "listen: 8080"},
	{"port", "listen: 127.0.0.1:8080", "listen: 127.0.0.1:http-alt"},
	{"public URL", "https://elevate.example.com/", "elevate.example.com"},
	{"public URL with password", "https://elevate.example.com/", "\"https://me:${CANARY}@elevate.example.com\""},
	{"public URL with query", "https://elevate.example.com/", "\"https://elevate.example.com/?x=1\""},

	{"no bot token", "${SLACK_BOT_TOKEN}", "${EMPTY}"},
	{"wrong bot token", "${SLACK_BOT_TOKEN}", "${SLACK_APP_TOKEN}"},
	{"wrong app token", "${SLACK_APP_TOKEN}", "${SLACK_BOT_TOKEN}"},
	{"token for signing secret", "${SLACK_SIGNING_SECRET}", "${SLACK_BOT_TOKEN}"},
	{"neither way in", "  signing_secret: ${SLACK_SIGNING_SECRET}\n  app_token: ${SLACK_APP_TOKEN}\n", ""},
	{"no team", "  team_id: T0001\n", ""},
	{"wrong team", "team_id: T0001", "team_id: acme"},
	{"api_url without slash", "https://slack.com/api/", "https://slack.com/api"},
	{"api_url unencrypted", "https://slack.com/api/", "http://slack.internal/api/"},
	{"api_url is no URL", "https://slack.com/api/", "slack.com/api/"},
	{"slash command", "  team_id: T0001", "  team_id: T0001\n  command: elevate"},

	{"teams without application", "  app_id: 11111111-0000-4000-8000-000000000001\n", ""},
	{"teams application", "000000000001", "x"},
	{"teams tenant", "tenant_id: 11111111-0000-4000-8000-000000000002", "tenant_id: contoso.onmicrosoft.com"},
	{"no client secret", "${TEAMS_SECRET}", "${EMPTY}"},
	{"id for client secret", "${TEAMS_SECRET}", "${SECRET_ID}"},
	{"teams cloud", "  app_id", "  cloud: germany\n  app_id"},
	{"service URL", "[https://smba", "[http://smba"},
	{"service URL is no URL", "[https://smba.infra.gcc.teams.microsoft.com/teams]", "[smba.infra.gcc.teams.microsoft.com]"},
	{"token URL unencrypted", "token_url: https", "token_url: http"},
	{"metadata URL", "  token_url", "  openid_metadata_url: login.botframework.com\n  token_url"},
	{"teams account", "0f6e0000-0000-4000-8000-0000000000a1", "ana@example.com"},
	{"teams channel", "channel: {slack: C0ACCESS}\n  - name", "channel: {slack: C0ACCESS, teams: General}\n  - name"},
	{"channel of a chat that is not there", "channel: {slack: C0ACCESS}\n  - name", "channel: {slack: C0ACCESS, irc: \"#access\"}\n  - name"},

	{"Slack's word on e-mail addresses", "  team_id: T0001", "  team_id: T0001\n  trust_email: true"},
	{"sign-in without issuer", "api:\n", "oidc: {client_id: elevate, trust_email: true}\napi:\n"},
	{"sign-in without client", "api:\n", "oidc: {issuer: \"https://login.example.com\", trust_email: true}\napi:\n"},
	{"issuer unencrypted", "api:\n", "oidc: {issuer: \"http://login.example.com\", client_id: elevate, trust_email: true}\napi:\n"},
	{"issuer is its document", "api:\n", "oidc: {issuer: \"https://login.example.com/.well-known/openid-configuration\", client_id: elevate, trust_email: true}\napi:\n"},
	{"nobody could sign in", "api:\n", "oidc: {issuer: \"https://login.example.com\", client_id: elevate}\napi:\n"},
	{"groups of a sign-in for ever", "api:\n", "oidc: {issuer: \"https://login.example.com\", client_id: elevate, trust_email: true, groups_for: 1000h}\napi:\n"},
	{"subject without provider", "slack: U0ANA, ", "slack: U0ANA, oidc: 00u1, "},
	{"group of nobody", "connectors:\n", "groups: {oncall: {}}\nconnectors:\n"},
	{"user group's name for its id", "connectors:\n", "groups: {oncall: {slack_usergroup: \"@oncall\"}}\nconnectors:\n"},
	{"claim without provider", "connectors:\n", "groups: {oncall: {oidc: oncall}}\nconnectors:\n"},

	{"token of nobody", "person: svc-deploy", "person: svc-gone"},
	{"hash is a token", `hash: "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"`, `hash: "${CANARY}"`},
	{"token without name", "name: ci, ", ""},
	{"one hash twice", "people:\n", "    - {name: cd, person: ana, hash: \"sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"}\npeople:\n"},

	{"person's id", "id: ana", "id: Ana Lima"},
	{"reserved id", "id: ana", "id: elevate"},
	{"same id", "id: ben", "id: ana"},
	{"kind", "kind: service", "kind: robot"},
	{"e-mail", "email: ana@example.com", "email: Ana <ana@example.com>"},
	{"shared e-mail", "email: ben@example.com", "email: ANA@example.com"},
	{"slack name for id", "slack: U0ANA", "slack: \"@ana\""},
	{"shared slack account", "slack: U0BEN", "slack: U0ANA"},
	{"shared teams account", "slack: U0BEN", "slack: U0BEN, teams: 0F6E0000-0000-4000-8000-0000000000A1"},
	{"group twice", "groups: [sre]", "groups: [sre, sre]"},
	{"hidden in group", "groups: [sre]", "groups: [\"sr\u200be\"]"},
	{"mixed alphabets", "name: Ana Lima", "name: Аna Lima"},
	{"look-alike names", "name: Ben", "name: ANA IIMA"},
	{"hidden in name", "name: Ana Lima", "name: \"Ana \\u202eamiL\""},
	{"account of no connector", "{pg-prod: ben_dba}", "{pg-test: ben_dba}"},
	{"account of somebody else", "{pg-prod: ben_dba}", "{pg-prod: ana}"},

	{"connector without type", "    type: webhook\n", ""},
	{"connector's name", "  hooks:\n", "  Hooks:\n"},
	{"connector is a word", "pg-prod: {type: postgres, dsn: \"${PG_DSN}\"}", "pg-prod: postgres"},
	{"role's id", "id: deploy", "id: Déploy"},
	{"role named like a command", "id: deploy", "id: mine"},
	{"same role", "id: deploy", "id: prod-db-admin"},
	{"role without connector", "id: deploy, connector: hooks", "id: deploy"},
	{"role of unknown connector", "connector: pg-prod", "connector: pg-test"},
	{"huge number in target", "port: 5432", "port: 12345678901234567890"},
	{"two lines in title", "title: Production database admin", "title: \"Production\\ndatabase\""},

	{"role without policy", "match: \"true\"", "match: role.id == \"x\""},
	{"policy's name twice", "name: rest", "name: production"},
	{"expression", "'\"sre\" in person.groups'", "'\"sre\" in person.group'"},
	{"expression on two lines", "person.id != requester.id", "person.id != requestr.id"},
	{"no max", "duration: {max: 1h}", "duration: {default: 1h}"},
	{"default above max", "default: 1h", "default: 5h"},
	{"ticket pattern", "^(INC|CHG)-[0-9]+$", "^(INC|CHG-[0-9]+$"},
	{"count 0", "count: 1", "count: 0"},
	{"nobody approves", "    auto_approve: true\n", ""},
	{"label that no role has", "eligible: \"true\"", "eligible: has(role.labels.team)"},
	{"channel's name for its id", "channel: {slack: C0ACCESS}\n  - name", "channel: {slack: \"#access\"}\n  - name"},
	{"channel of unknown chat", "channel: {slack: C0ACCESS}\n  - name", "channel: {irc: \"#access\"}\n  - name"},
	{"digest time", "at: \"09:00\"", "at: 9am"},
	{"digest zone", "Europe/Lisbon", "Lisbon"},
	{"digest to nowhere", ", channel: {slack: C0ACCESS}}\naudit", "}\naudit"},
	{"administrators", "administrators: '\"sre-leads\" in person.groups'", "administrators: sre-leads"},
	{"administrators by role", "administrators: '\"sre-leads\" in person.groups'", "administrators: role.id == \"x\""},
	{"overdue at once", "overdue_after: 2m", "overdue_after: 0s"},
	{"limit below none", "overdue_after: 2m", "limits: {person: -1}"},
	{"pending beyond all", "overdue_after: 2m", "limits: {pending: 1000000000}"},
	{"window of nothing", "overdue_after: 2m", "limits: {window: 0s}"},
	{"cool-down of days", "overdue_after: 2m", "limits: {cool_down: 48h}"},
	{"one person for all", "overdue_after: 2m", "limits: {person: 50, workspace: 40}"},
	{"log level", "level: debug", "level: loud"},
	{"log format", "format: text", "format: xml"},
	{"audit nowhere", "dir: ./audit", "dir: \"\""},
}

var update = flag.Bool("update", false, "write what is said now to the golden file")

// TestEveryProblemShowsFileLineKeyAndSentence compares what is said of each wrong file with testdata/problems.txt.
func TestEveryProblemShowsFileLineKeyAndSentence(t *testing.T) {
	t.Parallel()
	const file = "testdata/problems.txt"
	shown := regexp.MustCompile(`^elevate\.yaml:\d+: (warning: )?(([a-z_]+)(\[\d+\]|\.[A-Za-z_-]+)*: )?.{10,}$`)
	var got strings.Builder
	for _, w := range wrongs {
		if !strings.Contains(sound, w.old) {
			t.Fatalf("%s: the sound file has no %q", w.name, w.old)
		}
		said := problems(t, strings.Replace(sound, w.old, w.new, 1))
		if len(said) == 0 {
			t.Errorf("%s: nothing is said", w.name)
		}
		fmt.Fprintf(&got, "# %s\n", w.name)
		for _, line := range said {
			if !shown.MatchString(line) {
				t.Errorf("%s: %s", w.name, line)
			}
			fmt.Fprintln(&got, line)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("not what %s says (run with -update and look at the difference):\n%s", file, got.String())
	}
}

// TestAllProblemsOfOneFileAtOnce makes every change that leaves YAML readable at a time, and misses none of its problems.
func TestAllProblemsOfOneFileAtOnce(t *testing.T) {
	t.Parallel()
	// These speak of a value that another change spoils.
	apart := []string{"store without server", "same id", "shared e-mail", "shared slack account", "shared teams account"}
	text := sound
	var want []string
	for _, w := range wrongs {
		if slices.Contains(apart, w.name) {
			continue
		}
		alone := strings.Replace(sound, w.old, w.new, 1)
		if strings.Count(text, w.old) != 1 || strings.Count(alone, "\n") != strings.Count(sound, "\n") {
			continue // another change was there before, or it would move the lines of the others
		}
		said := problems(t, alone)
		if len(said) != 1 || strings.Contains(said[0], "no YAML") || strings.Contains(said[0], "warning") {
			continue // those need a sound rest
		}
		text = strings.Replace(text, w.old, w.new, 1)
		want = append(want, said[0])
	}
	got := problems(t, text)
	missing := 0
	for _, line := range want {
		if !slices.Contains(got, line) {
			missing++
			t.Logf("not said: %s", line)
		}
	}
	if len(want) < 30 || missing > 0 {
		t.Errorf("%d of %d problems are missing from\n%s", missing, len(want), strings.Join(got, "\n"))
	}
}
