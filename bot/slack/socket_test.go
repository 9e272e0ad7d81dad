package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

// waits remembers how long the adapter would have waited between its tries, and does not wait.
type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	w.all = append(w.all, d)
	w.mu.Unlock()
	return ctx.Err()
}

func (w *waits) list() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.all...)
}

// waiting is a kit with waits in place of the sleep.
func waiting(t *testing.T) (*kit, *waits) {
	k, w := setup(t), &waits{}
	k.slack.wait = w.wait
	return k, w
}

// TestDisconnectStormIsNotAnswered: Slack hangs up after hello, again and again. The tries become rarer.
func TestDisconnectStormIsNotAnswered(t *testing.T) {
	t.Parallel()
	k, w := waiting(t)
	const storm = 12
	k.fake.DisconnectNext(storm, "refresh_requested")
	k.socket(t)
	all := w.list()
	if len(all) != storm+1 {
		t.Fatalf("%d waits for %d connections", len(all), storm+1)
	}
	for i, got := range all {
		want := time.Duration(0) // at least
		if i > 0 {
			want = min(socketRetryFirst<<(i-1), socketRetryMost) / 2
		}
		if got < want || got > 2*want {
			t.Errorf("wait %d is %v, want %v to %v", i, got, want, 2*want)
		}
	}
	if err := k.slack.Healthy(); err != nil {
		t.Errorf("connected, and yet %v", err)
	}
}

func TestSocketModeSwitchedOffIsTold(t *testing.T) {
	t.Parallel()
	k, w := waiting(t)
	stop := make(chan struct{})
	k.slack.wait = func(ctx context.Context, d time.Duration) error {
		if d == 0 {
			return nil
		}
		_ = w.wait(ctx, d)
		<-stop // the test looks at the first wait only
		return ctx.Err()
	}
	k.fake.DisconnectNext(1, "link_disabled")
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- k.slack.RunSocket(ctx) }()
	k.fake.Await(t, "the wait", func() bool { return len(w.list()) == 1 || poke(k) })
	if err := k.slack.Healthy(); err == nil || !strings.Contains(err.Error(), "link_disabled: Socket Mode is switched off") {
		t.Errorf("Healthy says %v", err)
	}
	if got := w.list()[0]; got < socketRetryMost/2 {
		t.Errorf("tries again after %v", got)
	}
	cancel()
	close(stop)
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// TestErrorsOfConnectingAreToldAndOvercome: whatever is wrong is told, RunSocket goes on, and when it is mended the
// health is good again.
func TestErrorsOfConnectingAreToldAndOvercome(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		fault  slackfake.Fault
		says   string
		wait   time.Duration // at least half of it
	}{
		"auth":         {"apps.connections.open", slackfake.Fault{Error: "invalid_auth"}, "app-level token", socketRetryMost},
		"token type":   {"apps.connections.open", slackfake.Fault{Error: "not_allowed_token_type"}, "starts with xapp-", socketRetryMost},
		"scope":        {"apps.connections.open", slackfake.Fault{Error: "missing_scope"}, "connections:write", socketRetryMost},
		"expired":      {"apps.connections.open", slackfake.Fault{Error: "token_expired"}, "expired", socketRetryMost},
		"removed":      {"apps.connections.open", slackfake.Fault{Error: "account_inactive"}, "install it again", socketRetryMost},
		"other":        {"apps.connections.open", slackfake.Fault{Error: "internal_error"}, "internal_error", socketRetryFirst},
		"500":          {"apps.connections.open", slackfake.Fault{Status: 500}, "500", socketRetryFirst},
		"429":          {"apps.connections.open", slackfake.Fault{Status: 429, RetryAfter: "30"}, "rate limit", 30 * time.Second},
		"empty":        {"apps.connections.open", slackfake.Fault{Body: "{}"}, "answering in its place", socketRetryFirst},
		"cut":          {"apps.connections.open", slackfake.Fault{Reset: true}, "EOF", socketRetryFirst},
		"no websocket": {"socket", slackfake.Fault{Status: 403}, "bad handshake", socketRetryFirst},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, w := waiting(t)
			var told string
			k.slack.wait = func(ctx context.Context, d time.Duration) error {
				if err := k.slack.Healthy(); err != nil && d > 0 && told == "" {
					told = err.Error()
				}
				return w.wait(ctx, d)
			}
			k.fake.Misbehave(test.method, test.fault)
			k.socket(t)
			if !strings.Contains(told, test.says) {
				t.Errorf("Healthy said %q, want %q in it", told, test.says)
			}
			if all := w.list(); len(all) != 2 || all[1] < test.wait/2 {
				t.Errorf("waited %v, want at least half of %v", all, test.wait)
			}
			k.fake.As("U0ANA").Type("C0ACCESS", "mine") // hello was read before
			if err := k.slack.Healthy(); err != nil {
				t.Errorf("mended, and yet %v", err)
			}
			if strings.Contains(told, "/socket/ticket") {
				t.Errorf("the address of the connection is told: %s", told)
			}
		})
	}
}

// TestConnectionIsReplacedWithoutAGap: when Slack asks for it after the usual hour, the next connection is opened at once
// and the old one is still read.
func TestConnectionIsReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	k, w := waiting(t)
	k.socket(t)
	k.clock.advance(time.Hour)
	k.fake.Refresh()
	k.fake.Await(t, "the next connection", func() bool { return k.fake.Connections() == 2 })
	if all := w.list(); len(all) != 2 || all[1] != 0 {
		t.Errorf("waited %v", all)
	}
	for _, oldest := range []bool{true, false} {
		k.fake.UseOldest(oldest)
		if got := k.fake.As("U0ANA").Type("C0ACCESS", "mine").Text(); got != "You typed mine" {
			t.Errorf("answered %q", got)
		}
	}
}

// TestRedeliveredWorkIsDoneOnce cuts the connection while an answer is under way. Slack delivers the same again.
func TestRedeliveredWorkIsDoneOnce(t *testing.T) {
	t.Parallel()
	k, _ := waiting(t)
	m := k.posted(t)
	k.socket(t)
	k.bot.Hang = make(chan struct{})
	answered := make(chan slackfake.Ack, 1)
	go func() { answered <- k.fake.As("U0ANA").Type("C0ACCESS", "prod-db-admin 1h because") }()
	k.fake.Await(t, "the command", func() bool { return len(k.bot.Heard()) == 1 || poke(k) })
	k.fake.Cut()
	if got := (<-answered).Text(); got != saysPending {
		t.Errorf("the second delivery is answered %q, want %q", got, saysPending)
	}
	close(k.bot.Hang)
	ok(t, k.fake.Send("block_actions", k.fake.As("U0BEN").Press(m, "Approve")))
	k.fake.Await(t, "the click", func() bool { return k.countHeard("U0BEN") == 1 || poke(k) })
	if n := k.countHeard("U0ANA typed"); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// TestAnswersThatAnAcknowledgementCannotCarry find another way, or are shortened: Slack drops long ones silently.
func TestAnswersThatAnAcknowledgementCannotCarry(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.socket(t)
	long := func() *bot.Card {
		card := bottest.Says("A long story")
		for range 8 {
			card.Parts = append(card.Parts, bot.Quote{Text: strings.Repeat("🧯", 1900)})
		}
		return card
	}
	k.bot.OnCommand = func(string) bot.Answer { return bot.Answer{Card: long()} }
	ana := k.fake.As("U0ANA")
	ok(t, ana.Type("C0ACCESS", "mine"))
	k.fake.Await(t, "the answer", func() bool { return len(k.fake.Whispers("C0ACCESS")) == 1 })

	ana = k.opened(t, "U0ANA")
	k.bot.OnSuggest = func(string, string) []bot.Option {
		var all []bot.Option
		for i := range 100 {
			all = append(all, bot.Option{Value: fmt.Sprint("role-", i), Label: strings.Repeat("🗝", 75), Detail: strings.Repeat("🗝", 75)})
		}
		return all
	}
	found, err := ana.Suggest("role", "")
	if err != nil || len(found) < 20 || len(found) == 100 {
		t.Errorf("%d found, %v", len(found), err)
	}
	k.bot.OnSubmit = func(bot.Submission) bot.Answer { return bot.Answer{Card: long()} }
	ok(t, submit(t, ana))
	k.fake.Await(t, "the answer", func() bool { return len(k.fake.Messages(k.fake.DM("U0ANA"))) == 1 })
}

// TestUnknownThingsDoNotHarm sends elements that nobody knows yet, and things that are no envelope.
func TestUnknownThingsDoNotHarm(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.socket(t)
	m := k.posted(t)
	for _, junk := range []string{"not json", "[]", "{}", `{"type":"brand_new"}`, `{"envelope_id":7}`, `{"type":"hello"}`, ""} {
		if err := k.fake.Raw(junk); err != nil {
			t.Fatal(err)
		}
	}
	payload := k.fake.As("U0BEN").Press(m, "Approve")
	payload["message"] = map[string]any{"blocks": []any{
		map[string]any{"type": "actions", "elements": []any{map[string]any{"type": "brand_new_element"}}},
		map[string]any{"type": "brand_new_block", "elements": 7},
	}}
	payload["view"], payload["state"] = nil, map[string]any{"values": 7}
	ok(t, k.fake.Send("block_actions", payload))
	k.fake.Await(t, "the click", func() bool { return k.countHeard("U0BEN clicked approve") == 1 || poke(k) })
	ok(t, k.fake.SendEnvelope("brand_new", map[string]any{"a": 1}))
	ok(t, k.fake.SendEnvelope("interactive", map[string]any{"type": 7}))
	ok(t, k.fake.SendEnvelope("events_api", map[string]any{"event": 7}))
	ok(t, k.fake.SendEnvelope("slash_commands", map[string]any{}))
	if n := k.fake.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestOfficialEnvelopesAreAcknowledged(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.socket(t)
	files, err := filepath.Glob(filepath.Join(slackfake.Testdata(t, "bolt-python"), "socket_mode_envelope.*"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Type    string         `json:"type"`
			Payload map[string]any `json:"payload"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		ok(t, k.fake.SendEnvelope(e.Type, e.Payload))
	}
	if got := k.bot.Heard(); len(got) != 0 {
		t.Errorf("the bot heard %q", got)
	}
}

// TestSilentConnectionIsGivenUp and one on which Slack answers our pings is not.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	k, _ := waiting(t)
	k.slack.quiet, k.slack.ping = 50*time.Millisecond, time.Hour
	k.socket(t)
	k.fake.Await(t, "another connection", func() bool { return k.fake.Connections() >= 2 })

	other := setup(t)
	other.slack.quiet, other.slack.ping = 5*time.Second, time.Millisecond
	other.socket(t)
	k.fake.Await(t, "some more of the first's connections", func() bool { return k.fake.Connections() >= 6 })
	if n := other.fake.Connections(); n != 1 {
		t.Errorf("a connection that answers pings was replaced %d times", n-1)
	}
}

func TestSocketModeWantsItsToken(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) { cfg.AppToken = secret("") })
	if err := k.slack.RunSocket(context.Background()); err == nil || !strings.Contains(err.Error(), "app_token") {
		t.Errorf("RunSocket without a token: %v", err)
	}
}
