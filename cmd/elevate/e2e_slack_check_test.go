package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/storagetest"
)

func TestCheckOnlineSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	db, redis, slack := e2etest.StartDatabase(t, "ana"), e2etest.StartRedis(t), startWorkspace(t, "")
	unsafe := storagetest.StartRedis(t, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
	sound := storyConfig(redis.URL(), "127.0.0.1:0", slack.url, "app_token: xapp-canary", db.BotDSN())
	nobody := func() string { return fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t)) }
	for name, c := range map[string]struct {
		old, new string // changed in the sound configuration
		code     int
		says     []string
	}{
		"nothing": {"elevate_bot", "elevate_bot", 0, []string{"ok       store: Redis", "ok       slack: workspace T0001", "ok       connectors.pg-prod"}},
		"password of the database": {"bot-password-canary", "wrong-canary", 1,
			[]string{`problem  connectors.pg-prod: `, `password authentication failed for user "elevate_bot"`, "ok       slack"}},
		"address of the database": {fmt.Sprintf("127.0.0.1:%d/postgres", db.Port), nobody() + "/postgres", 1, []string{"problem  connectors.pg-prod: ", "connection refused"}},
		"superuser of the database": {"elevate_bot:bot-password-canary", "postgres:postgrestest-superuser", 1,
			[]string{"problem  connectors.pg-prod: ", "give Elevate a login of its own"}},
		"role of the database": {"role: db_admin", "role: db_nobody", 1, []string{"role prod-db-admin", `there is no role "db_nobody"`}},
		"channel":              {accessChannel, "C0NOSUCH", 1, []string{"problem  slack: channel C0NOSUCH", "use its id (C…), not its name", "ok       store", "ok       connectors"}},
		"team":                 {"T0001", "T0002", 1, []string{"team_id is T0002, but the bot token belongs to T0001 (Acme)"}},
		"address of Slack":     {slack.url, "http://" + nobody(), 1, []string{"problem  slack: ", "connection refused", "ok       connectors"}},
		"safety of Redis":      {redis.URL(), unsafe.URL(), 1, []string{"set appendonly to yes", "set it to noeviction"}},
		"address of Redis":     {redis.URL(), "redis://:redis-canary@" + nobody() + "/0", 1, []string{"problem  store: ", "connection refused", "ok       slack"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(sound, c.old) {
				t.Fatalf("the sound configuration has no %q", c.old)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(strings.ReplaceAll(sound, c.old, c.new)), 0o600); err != nil {
				t.Fatal(err)
			}
			got := e2etest.Elevate(t, dir, "check", "--online")
			said := got.Stdout + got.Stderr
			if lacks := lacking(said, c.says); got.Code != c.code || len(lacks) > 0 {
				t.Errorf("code %d, want %d; lacks %q in\n%s", got.Code, c.code, lacks, said)
			}
			if strings.Contains(said, "canary") {
				t.Errorf("a secret is told:\n%s", said)
			}
		})
	}
}
