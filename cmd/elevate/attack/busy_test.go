package attack_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

func flood(s *assault) {
	r := s.open(func(c *setting) {
		c.limits = "limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 60, window: 1m}"
	})
	due := r.granted("ana", "cat", "vpn", "8s")
	ends := *r.shown(due).EndsAt
	began := time.Now()
	var worked atomic.Int64
	n := s.many(5_000, 300)
	s.each(n, 16, func(i int) {
		ack := r.slack.As("U0DAN").Type(channel, fmt.Sprintf("roles %d", i))
		if !strings.Contains(string(ack.Body), "You are doing more than") && ack.Status == http.StatusOK {
			worked.Add(1)
		}
	})
	allowed := 61 + int64(time.Since(began).Seconds())
	for i := range n {
		s.tried(int64(i) >= allowed && int64(i) < worked.Load(), "%d were worked, of %d that may be", worked.Load(), allowed)
	}
	r.reach(due, access.Ended)
	late := r.shown(due).EndedAt.Sub(ends)
	s.triedAs("a late end", late > 5*time.Second, "%s", late)
}

// breakGlass looks for what is not there.
func breakGlass(s *assault) {
	r := s.open()
	for i, path := range []string{"/break-glass", "/requests/break-glass", "/roles/vpn/break-glass", "/emergency"} {
		got := r.call(0, tokenOf("bea", i), "POST", path, map[string]string{"role": "vpn", "duration": "1h", "justification": "it burns"})
		s.tried(got.status/100 == 2, "%s: %d", path, got.status)
	}
	for _, words := range []string{"break-glass vpn 1h it burns", "breakglass vpn", "emergency vpn 2h it burns"} {
		r.types("U0BEA", words)
		s.tried(r.target.holding() > 0, "%s gives access", words)
	}
	id := r.ask("bea", "vpn", "1h")
	got := r.does("bea", "/requests/"+id+"/break-glass", nil)
	s.tried(got.status/100 == 2, "%d", got.status)
	r.set.more = "break_glass: {roles: [vpn]}\n"
	dir := s.TempDir()
	r.must(os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(r.config("127.0.0.1:0")), 0o600))
	s.tried(s.program.Run(s, dir, "check").Code == 0, "the configuration knows break_glass")
}

func secrets(s *assault) {
	r := s.open(func(c *setting) { c.more = "log: {level: debug}\n" })
	id := r.granted("bea", "cat", "vpn", "1h")
	r.presses("U0CAT", slackfake.Message{Channel: channel}, "approve")
	r.teams.As(teamsfake.ObjectID("ana")).Say("roles")
	r.target.treat(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		http.Error(w, "oops", http.StatusInternalServerError)
		return true
	})
	r.does("bea", "/requests/"+id+"/end", nil)
	r.within(3*time.Second, func() bool { return strings.Contains(r.bots[0].Log(), "did not take the role away") })
	everywhere := r.redis.Everything(s)
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		res, err := r.client.Get(r.url() + path)
		r.must(err)
		buffer := new(strings.Builder)
		r.must(res.Write(buffer))
		_ = res.Body.Close()
		everywhere += buffer.String()
	}
	everywhere += r.call(0, tokenOf("aud", 0), "GET", "/audit", nil).body + r.call(0, tokenOf("aud", 0), "GET", "/requests", nil).body
	r.bots[0].Signal(syscall.SIGQUIT)
	r.within(10*time.Second, func() bool { return !r.bots[0].Running() })
	everywhere += r.bots[0].Log() + fmt.Sprint(r.slack.Calls("")[0].Method)
	for name, secret := range map[string]string{
		"the bot's token": slackfake.BotToken, "the signing secret": slackfake.SigningSecret, "the client secret": teamsfake.ClientSecret,
		"the target's secret": targetSecret[6:], "the key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY 0123456789abcdef0123456789abcdef",
		"a token of the API": tokenOf("bea", 0) + " " + tokenOf("cat", 0) + " " + tokenOf("aud", 0),
	} {
		for _, part := range strings.Fields(secret) {
			s.triedAs(name, strings.Contains(everywhere, part), "it is let out")
		}
	}
}

func slackDown(s *assault) {
	r := s.open()
	faults := []slackfake.Fault{{Times: -1, Status: 429, RetryAfter: "1"}, {Times: -1, Status: 500, Body: "oops"}, {Times: -1, Reset: true}, {Times: 1, Hang: true}}
	kinds := []string{"an error", "an error", "no answer", "no answer"}
	for i := range s.many(12, len(faults)-1) {
		r.slack.Misbehave("chat.postMessage", faults[i%len(faults)])
		id := r.ask("bea", "vpn", "1h")
		began := time.Now()
		r.approves("cat", id)
		r.reach(id, access.Active)
		s.triedAs("an approval that waits", time.Since(began) > 10*time.Second, "%s", time.Since(began))
		if faults[i%len(faults)].Times < 0 {
			r.pass(3 * time.Second) // so that all that there is to tell was tried
			r.slack.Behave()
		}
		told := r.within(r.upTo(patience), func() bool {
			for _, m := range r.slack.Messages(channel) {
				if strings.Contains(fmt.Sprint(m.Blocks), id) {
					return true
				}
			}
			return false
		})
		s.triedAs(kinds[i%len(faults)], !told, "the message of %s is lost by fault %d", id, i%len(faults))
		r.over(id)
	}
}

func redelivered(s *assault) {
	r := s.open()
	id := r.granted("ana", "cat", "vpn", "1h")
	n := s.many(250, 20)
	for range n {
		before := *r.shown(id).EndsAt
		route, body := slackfake.Body("command", r.slack.As("U0ANA").Command(channel, "extend "+id+" 1s"))
		signed := r.slack.Signed(r.url()+route, body)
		for range 4 {
			req := slackfake.Sign(r.url()+route, body, slackfake.SigningSecret, time.Now())
			req.Header = signed.Header.Clone()
			r.sends(req)
		}
		longer := r.shown(id).EndsAt.Sub(before)
		for i := range 4 {
			s.tried(i > 0 && longer > time.Duration(i)*time.Second, "one command prolonged it by %s", longer)
		}
	}
}

func frozen(s *assault) {
	r := s.open()
	r.types("U0BEA", "mine") // so that Slack's word on her is known
	r.target.treat(func(http.ResponseWriter, *http.Request, string) bool {
		select {
		case <-time.After(5 * time.Second):
		case <-s.Context().Done():
		}
		return false
	})
	r.granting()
	ctx, db := s.Context(), r.db()
	for range s.many(4, 1) {
		r.must(db.Do(ctx, "CLIENT", "PAUSE", "6000", "ALL").Err())
		s.each(s.many(25, 8), 8, func(i int) {
			route, body := slackfake.Body("command", r.slack.As("U0BEA").Command(channel, fmt.Sprintf("mine %d", i)))
			began := time.Now()
			slackfake.Do(r.client, r.slack.Signed(r.url()+route, body))
			s.tried(time.Since(began) > 3*time.Second, "an answer took %s", time.Since(began))
		})
		r.within(8*time.Second, func() bool { return db.Ping(ctx).Err() == nil })
	}
}

// granting has a target that stands still give something.
func (r *rig) granting() {
	id := r.ask("ana", "vpn", "1h")
	r.approves("cat", id)
}

// gitleaks is what make secrets runs.
const gitleaks = "github.com/zricethezav/gitleaks/v8@v8.30.1"

// planted puts keys of several kinds into a tree, and looks for each as make secrets does.
func planted(s *assault) {
	root, err := repository()
	if err != nil {
		s.Fatal(err)
	}
	rules := filepath.Join(root, ".gitleaks.toml")
	if s.out {
		rules = filepath.Join(s.TempDir(), "none.toml")
		if err := os.WriteFile(rules, []byte("title = \"no rules\"\n"), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	body := func(n int) string { // a digit after each letter: gitleaks passes over what has an English word in it
		text := ""
		for _, c := range strings.ToLower(rand.Text() + rand.Text())[:n/2] {
			text += string(c) + string(rune('0'+c%10))
		}
		return text
	}
	keys := map[string]string{
		"slack.go":   "const token = \"xoxb-" + "1234567890123-1234567890124-" + rand.Text()[:24] + "\"\n",
		"key_pem.go": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		"github.txt": "token: ghp_" + body(36) + "\n", "config.yaml": "client_secret: \"" + body(40) + "\"\n",
	}
	for name, text := range keys {
		dir := s.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
		look := exec.CommandContext(s.Context(), "go", "run", gitleaks, "dir", "--no-banner", "--redact", "--config", rules, dir)
		look.Dir = root
		out, err := look.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.Fatalf("gitleaks: %v: %s", err, out)
		}
		s.triedAs(name, err == nil, "it is not found: %s", out)
	}
}
