package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

// canaries are in every field of a configuration that holds a secret, and in what the bot is sent: the values by name.
func canaries() map[string]string {
	return map[string]string{
		"store.url": "redis-password-canary", "slack.bot_token": slackfake.BotToken, "slack.app_token": slackfake.AppToken,
		"slack.signing_secret": slackfake.SigningSecret, "slack.previous_signing_secret": "previous-signing-canary",
		"teams.client_secret": teamsfake.ClientSecret, "connectors.hooks.secret": judgeSecret, "connectors.pg.dsn": "dsn-password-canary",
		"a token of the API": tokenOf("ana"), "another": tokenOf("lea"),
	}
}

// aviary is a bot with a canary in every secret, the services around it, and all that they saw.
type aviary struct {
	*site
	slack *slackfake.Server
	teams *teamsfake.Server
	bot   *e2etest.Bot
	redis *goredis.Client
	seen  map[string]string // where something may have been let out → what stands there
}

// TestNoSecretIsLetOut goes through the life of grants, with failures of everything around, and then looks for each secret
// wherever it should not be: log, Redis, audit log, exports, metrics, probes, messages, and what a crash prints.
func TestNoSecretIsLetOut(t *testing.T) {
	t.Parallel()
	a := openAviary(t)
	a.live()
	a.fail()
	a.look()
	a.crash()
	for where, text := range a.seen {
		if text == "" {
			t.Errorf("there is nothing in %s", where)
		}
		for name, secret := range canaries() {
			if form := letOut(text, secret); form != "" {
				t.Errorf("%s lets %s out, %s", where, name, form)
			}
		}
	}
}

// letOut tells in which form a secret stands in a text; empty: in none.
func letOut(text, secret string) string {
	raw := []byte(secret)
	for form, is := range map[string]string{
		"as it is": secret, "in hexadecimal": hex.EncodeToString(raw), "escaped": url.QueryEscape(secret),
		"in base64": strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), "in base64 for URLs": base64.RawURLEncoding.EncodeToString(raw),
		"without its prefix": strings.TrimPrefix(secret, "whsec_"),
	} {
		if strings.Contains(text, is) {
			return form
		}
	}
	return ""
}

func openAviary(t *testing.T) *aviary {
	t.Helper()
	secrets := canaries()
	store := e2etest.StartRedis(t)
	a := &aviary{site: &site{T: t, store: store, judge: startJudge(t)}, slack: slackfake.New(t), teams: teamsfake.New(t), seen: map[string]string{}}
	a.redis = goredis.NewClient(&goredis.Options{Network: "unix", Addr: store.Socket()})
	t.Cleanup(func() { _ = a.redis.Close() })
	a.password(secrets["store.url"])
	for _, who := range []string{"ana", "lea"} {
		a.slack.AddUser(slackfake.User{ID: member(who), Name: who})
	}
	config := a.config(secrets)
	a.bot = e2etest.StartBot(t, config, "REDIS_PASSWORD="+secrets["store.url"], "SLACK_BOT_TOKEN="+secrets["slack.bot_token"])
	a.bots = append(a.bots, a.bot)
	a.bot.WaitReady()
	a.slack.OverHTTP("http://" + a.bot.Address())
	a.teams.Deliver("http://" + a.bot.Address() + "/api/messages")
	return a
}

// password changes Redis' password; for the test itself another account needs none.
func (a *aviary) password(secret string) {
	a.Helper()
	ctx := a.Context()
	for _, rule := range [][]any{{"ACL", "SETUSER", "looker", "on", "nopass", "~*", "&*", "+@all"}, {"ACL", "SETUSER", "default", "resetpass", ">" + secret}} {
		if err := a.redis.Do(ctx, rule...).Err(); err != nil {
			a.Fatalf("%v: %v", rule[1:4], err)
		}
	}
	_ = a.redis.Close()
	a.redis = goredis.NewClient(&goredis.Options{Network: "unix", Addr: a.store.Socket(), Username: "looker", Password: "x"})
}

func (a *aviary) config(secret map[string]string) string {
	return fmt.Sprintf(`store: {url: "redis://:${REDIS_PASSWORD}@%s"}
http: {listen: 127.0.0.1:0}
log: {level: debug}
slack: {bot_token: "${SLACK_BOT_TOKEN}", signing_secret: %s, previous_signing_secret: %s, app_token: %s, team_id: %s, api_url: %q}
teams: {app_id: %s, tenant_id: %s, client_secret: %s, service_urls: [%q], openid_metadata_url: %q, token_url: %q}
api: {tokens: [{name: ana, person: ana, hash: %q}, {name: lea, person: lea, hash: %q}, {name: aud, person: aud, hash: %q}]}
people:
  - {id: ana, name: ana, slack: U0ANA, teams: %s, groups: [sre]}
  - {id: lea, name: lea, slack: U0LEA, groups: [leads]}
  - {id: aud, kind: service}
connectors:
  hooks: {type: webhook, url: %q, secret: %s}
  pg: {type: postgres, dsn: "postgres://elevate:%s@127.0.0.1:1/app?connect_timeout=1"}
roles:
  - {id: vpn, title: VPN, connector: hooks}
  - {id: db, title: Database, connector: pg, target: {role: db_admin}}
policies:
  - {name: all, match: "true", eligible: '"sre" in person.groups', duration: {max: 1h}, approve: [{by: '"leads" in person.groups'}], channel: {slack: C0ACCESS, teams: %q}}
auditors: person.id == "aud"
`, strings.TrimPrefix(a.store.URL(), "redis://"), secret["slack.signing_secret"], secret["slack.previous_signing_secret"], secret["slack.app_token"],
		slackfake.Team, a.slack.URL, teamsfake.AppID, teamsfake.TenantID, secret["teams.client_secret"], a.teams.URL, a.teams.Identity.MetadataURL(),
		a.teams.Identity.TokenURL(), api.HashToken(tokenOf("ana")), api.HashToken(tokenOf("lea")), api.HashToken(tokenOf("aud")),
		teamsfake.ObjectID("ana"), a.judge.url+"a", secret["connectors.hooks.secret"], secret["connectors.pg.dsn"], teamsfake.Access)
}

// live is the life of a grant that all goes well with, asked for in Slack, and of one that is asked for in Teams.
func (a *aviary) live() {
	a.Helper()
	c := &crowd{site: a.site, slack: a.slack}
	id, shown := c.posted("ana", "vpn")
	c.presses("lea", shown)
	a.reach(a.bot, access.Active, []access.RequestID{id})
	a.slack.As(member("ana")).Type("C0ACCESS", "end "+string(id))
	a.reach(a.bot, access.Ended, []access.RequestID{id})
	a.teams.As(teamsfake.ObjectID("ana")).Say("vpn 1h asked for in Teams")
	e2etest.Eventually(a, patient, func() error {
		shown, err := a.site.shown(a.bot)
		if err == nil && len(shown) != 2 {
			err = fmt.Errorf("%d requests", len(shown))
		}
		return err
	})
}

// fail has everything refuse, answer strangely, or be away.
func (a *aviary) fail() {
	a.Helper()
	for method, fault := range map[string]slackfake.Fault{
		"chat.postMessage": {Status: 500, Body: "oops"}, "chat.update": {Error: "invalid_auth"}, "users.info": {Reset: true},
	} {
		a.slack.Misbehave(method, fault)
	}
	a.judge.once(moment{verb: "activate"}, func(judged) bool { return true })
	var made struct{ ID access.RequestID }
	for _, role := range []string{"db", "vpn"} { // the database is not there, and vpn waits for a decision already
		status, err := call(a.bot, "ana", http.MethodPost, "/requests", map[string]string{"role": role, "justification": "look at it"}, &made)
		if want := map[string]int{"db": http.StatusCreated, "vpn": http.StatusConflict}[role]; err != nil || status != want {
			a.Fatalf("a request for %s: %d, %v", role, status, err)
		}
		if role == "db" {
			if status, err = call(a.bot, "lea", http.MethodPost, "/requests/"+string(made.ID)+"/approve", nil, nil); err != nil || status != http.StatusOK {
				a.Fatalf("approve: %d, %v", status, err)
			}
		}
	}
	a.said("activat", "pg", "err")
	// Somebody knocks with what is nearly right.
	route, body := slackfake.Body("command", a.slack.As(member("ana")).Command("C0ACCESS", "mine"))
	forged := slackfake.Sign("http://"+a.bot.Address()+route, body, "not-"+slackfake.SigningSecret, a.slack.Now())
	if ack := slackfake.Do(http.DefaultClient, forged); ack.Status != http.StatusUnauthorized {
		a.Errorf("a forged command is answered %d, %v", ack.Status, ack.Err)
	}
	if ack := a.teams.SendAs([]byte(`{"type":"message"}`), "Bearer "+teamsfake.ClientSecret); ack.Status == http.StatusOK {
		a.Errorf("a forged activity is answered %d", ack.Status)
	}
	a.get("/api/v1/requests", tokenOf("ana")+"x")
	// Redis takes the password no longer, for a while.
	a.password("another")
	if err := a.redis.Do(a.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		a.Fatal(err)
	}
	a.said("WRONGPASS")
	a.password(canaries()["store.url"])
	a.bot.WaitReady()
}

// said waits for a line of the log with all of these words.
func (a *aviary) said(words ...string) {
	a.Helper()
	e2etest.Eventually(a, patient, func() error {
		for line := range strings.Lines(a.bot.Log()) {
			if containsAll(line, words) {
				return nil
			}
		}
		return fmt.Errorf("nothing is said of %q", words)
	})
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// get is what the bot answers, head and body.
func (a *aviary) get(path, token string) string {
	a.Helper()
	req, err := http.NewRequestWithContext(a.Context(), http.MethodGet, "http://"+a.bot.Address()+path, nil)
	if err != nil {
		a.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		a.Fatal(err)
	}
	return fmt.Sprint(res.Header) + string(body)
}

// look collects what can be seen from outside.
func (a *aviary) look() {
	a.Helper()
	token := tokenOf("aud")
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/api/v1/openapi.json", "/api/v1/requests", "/api/v1/roles", "/api/v1/audit?format=jsonl", "/api/v1/audit?format=csv"} {
		a.seen[path] = a.get(path, token)
	}
	for _, args := range [][]string{{"check"}, {"audit", "export"}, {"audit", "export", "--format", "csv"}, {"audit", "verify"}, {"version"}} {
		out := e2etest.Elevate(a, a.bot.Dir, args...)
		a.seen["elevate "+strings.Join(args, " ")] = out.Stdout + out.Stderr
	}
	calls := ""
	for _, c := range a.slack.Calls("") {
		calls += fmt.Sprintf("%s %v\n", c.Method, c.Args)
	}
	a.seen["what Slack is told"] = calls
	a.seen["what Teams is told"] = fmt.Sprintf("%+v", a.teams.Calls(""))
	a.seen["Redis"] = a.everyKey()
	if a.redis.HSet(a.Context(), "planted", "a", "a bird of the test's own").Err() != nil || letOut(a.everyKey(), "a bird of the test's own") == "" {
		a.Error("what is in Redis is not looked through")
	}
}

// everyKey is each key of Redis with all that it holds.
func (a *aviary) everyKey() string {
	a.Helper()
	ctx := a.Context()
	var all strings.Builder
	keys := a.redis.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		kind, err := a.redis.Type(ctx, key).Result()
		if err != nil {
			a.Fatal(err)
		}
		read, known := map[string][]any{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "list": {"LRANGE", key, 0, -1}, "set": {"SMEMBERS", key},
			"zset": {"ZRANGE", key, 0, -1, "WITHSCORES"}, "stream": {"XRANGE", key, "-", "+"},
		}[kind]
		if !known && kind != "none" {
			a.Fatalf("%s is a %s, which nobody looks into", key, kind)
		}
		value := any("")
		if known {
			value, _ = a.redis.Do(ctx, read...).Result() // it may be gone by now
		}
		fmt.Fprintf(&all, "%s %s %v\n", kind, key, value)
	}
	if err := keys.Err(); err != nil {
		a.Fatal(err)
	}
	return all.String()
}

// crash has the program print all it does, as at a panic that nobody caught, and collects what it leaves behind.
func (a *aviary) crash() {
	a.Helper()
	a.bot.Signal(syscall.SIGQUIT)
	e2etest.Eventually(a, patient, func() error {
		if a.bot.Running() {
			return fmt.Errorf("it runs still")
		}
		return nil
	})
	if !strings.Contains(a.bot.Log(), "goroutine ") {
		a.Error("the crash printed nothing")
	}
	a.seen["the log"] = a.bot.Log()
	for where, dir := range map[string]string{"its folder": a.bot.Dir, "Redis' folder": filepath.Dir(a.store.Socket())} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == a.bot.Config() {
				return err
			}
			text, err := os.ReadFile(path)
			a.seen[where] += path + "\n" + string(text)
			return err
		})
		if err != nil {
			a.Fatal(err)
		}
	}
	// The search finds what is there: each of them is in the configuration, or in the environment that it names, or sent.
	config, err := os.ReadFile(a.bot.Config())
	if err != nil {
		a.Fatal(err)
	}
	for name, secret := range canaries() {
		if planted := string(config); letOut(planted, secret) == "" && !strings.Contains("store.url slack.bot_token a token of the API another", name) {
			a.Errorf("%s is not planted", name)
		}
	}
}
