package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
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

	"elevate/bot/signin/oidcfake"
	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/azure/armfake"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

// aviary is a bot with a canary in every secret, the services around it, and all that they saw.
type aviary struct {
	*site
	slack    *slackfake.Server
	teams    *teamsfake.Server
	provider *oidcfake.Server
	entra    *entraTenant
	azure    *armfake.Server
	program  e2etest.Program
	bot      *e2etest.Bot
	redis    *goredis.Client
	seen     map[string]string // where something may have been let out → what stands there

	secrets, passing   map[string]string // the canaries: those of the configuration, by field, and others
	certificate, token string            // the files that the configuration names
}

// TestNoSecretIsLetOut goes through the life of grants, with failures of everything around, and then looks for each secret
// wherever it should not be: log, Redis, audit log, exports, metrics, probes, messages, and what a crash prints.
func TestNoSecretIsLetOut(t *testing.T) {
	t.Parallel()
	a := openAviary(t)
	a.planted()
	a.live()
	a.fail()
	a.look()
	a.crash()
	for where, text := range a.seen {
		if text == "" {
			t.Errorf("there is nothing in %s", where)
		}
		for _, birds := range []map[string]string{a.secrets, a.passing} {
			for name, secret := range birds {
				if form := letOut(text, secret); form != "" {
					t.Errorf("%s lets %s out, %s", where, name, form)
				}
			}
		}
	}
}

// letOut tells in which form a secret stands in a text; empty: in none.
func letOut(text, secret string) string {
	raw, bare := []byte(secret), strings.TrimPrefix(secret, "whsec_")
	decoded, err := base64.StdEncoding.DecodeString(bare)
	if err != nil {
		decoded = raw
	}
	for form, is := range map[string]string{
		"as it is": secret, "in hexadecimal": hex.EncodeToString(raw), "escaped": url.QueryEscape(secret),
		"in base64": strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), "in base64 for URLs": base64.RawURLEncoding.EncodeToString(raw),
		"without its prefix": bare, "decoded": string(decoded), "decoded, in hexadecimal": hex.EncodeToString(decoded),
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
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	a := &aviary{site: &site{T: t, store: store, judge: startJudge(t)}, slack: slackfake.New(t), teams: teamsfake.New(t), seen: map[string]string{},
		entra: openDirectory(t), azure: armfake.New(t), secrets: secrets, passing: passing(),
		provider: oidcfake.Start(t, "http://"+listen+"/signin/callback", oidcfake.User{Subject: "00u-ana", Name: "Ana Lima"}),
		program:  e2etest.Program{Path: e2etest.Build(t), Env: []string{"REDIS_PASSWORD=" + secrets["store.url"], "SLACK_BOT_TOKEN=" + secrets["slack.bot_token"]}}}
	a.files()
	a.entra.Person(teamsfake.ObjectID("eve"))
	a.redis = goredis.NewClient(&goredis.Options{Network: "unix", Addr: store.Socket()})
	t.Cleanup(func() { _ = a.redis.Close() })
	a.password(secrets["store.url"])
	for _, who := range []string{"ana", "lea", "zoe"} {
		a.slack.AddUser(slackfake.User{ID: member(who), Name: who})
	}
	a.bot = a.program.StartBot(t, a.config(listen))
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

// live is the life of a grant that all goes well with, asked for in Slack, of one that is asked for in Teams, and a sign-in.
func (a *aviary) live() {
	a.Helper()
	a.signsIn(oidcfake.Faults{}, http.StatusSeeOther)
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

// signsIn has Ana sign in with an account that is nobody's yet, at a provider that does something wrong or nothing.
func (a *aviary) signsIn(wrong oidcfake.Faults, want int) {
	a.Helper()
	link := ""
	e2etest.Eventually(a, patient, func() error {
		if link = linkURL.FindString(string(a.slack.As(member("zoe")).Type("C0ACCESS", "link").Body)); link == "" {
			return errors.New("there is no link to open")
		}
		return nil
	})
	b := oidcfake.NewBrowser(a)
	back, err := b.SignIn(a.provider, b.Post(link, nil).Location, "00u-ana")
	if err != nil {
		a.Fatal(err)
	}
	a.provider.Misbehave(wrong)
	if seen := b.Get(back); seen.Status != want {
		a.Errorf("after the sign-in: %d %s", seen.Status, seen.Body)
	}
}

// fail has everything refuse, answer strangely, or be away.
func (a *aviary) fail() {
	a.Helper()
	a.signsIn(oidcfake.Faults{Down: true}, http.StatusForbidden)
	for method, fault := range map[string]slackfake.Fault{
		"chat.postMessage": {Status: 500, Body: "oops"}, "chat.update": {Error: "invalid_auth"}, "users.info": {Reset: true},
	} {
		a.slack.Misbehave(method, fault)
	}
	a.judge.once(moment{verb: "activate"}, func(judged) bool { return true })
	var made struct{ ID access.RequestID }
	for connector, role := range map[string]string{"pg": "db", "entra": "user-admin", "azure": "contributor", "ad": "admins",
		"certified": "certified", "certain": "certain", "federated": "federated"} {
		status, err := call(a.bot, "ana", http.MethodPost, "/requests", map[string]string{"role": role, "justification": "look at it"}, &made)
		if err != nil || status != http.StatusCreated {
			a.Fatalf("a request for %s: %d, %v", role, status, err)
		}
		if status, err = call(a.bot, "lea", http.MethodPost, "/requests/"+string(made.ID)+"/approve", nil, nil); err != nil || status != http.StatusOK {
			a.Fatalf("approve: %d, %v", status, err)
		}
		a.said("did not activate", `"connector":"`+connector+`"`)
	}
	if status, err := call(a.bot, "ana", http.MethodPost, "/requests", map[string]string{"role": "vpn", "justification": "look at it"}, nil); err != nil || status != http.StatusConflict {
		a.Fatalf("a request for what waits for a decision already: %d, %v", status, err)
	}
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
	a.password(a.secrets["store.url"])
	a.bot.WaitReady()
	a.entra.Feel(graphfake.Says(http.StatusUnauthorized, "InvalidAuthenticationToken"))
	if status, err := call(a.bot, "eve", http.MethodGet, "/requests", nil, nil); err != nil || status != http.StatusServiceUnavailable {
		a.Errorf("whom Entra cannot be asked about is answered %d, %v", status, err)
	}
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
	for _, args := range [][]string{{"check"}, {"check", "--online"}, {"audit", "export"}, {"audit", "export", "--format", "csv"}, {"audit", "verify"}, {"version"}} {
		out := a.program.Run(a, a.bot.Dir, args...)
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
}
