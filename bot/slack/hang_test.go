package slack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

// everyKind sends one request of every kind, and gives the answers by name.
func everyKind(t *testing.T, k *kit) map[string]slackfake.Ack {
	t.Helper()
	ana := k.fake.As("U0ANA")
	m := slackfake.Message{Channel: "C0ACCESS", TS: "1.1", Blocks: list(t, k.slack.render.message(t.Context(), bottest.RequestCard("because")))}
	home := &slackfake.View{ID: "V1", Type: "home", Content: object(t, k.slack.render.home(t.Context(), bottest.RequestCard("because")))}
	view := asView(t, k.slack.render.form(t.Context(), *bottest.RequestForm("prod-db-admin")))
	inView := func(kind string, more map[string]any) slackfake.Ack {
		payload := map[string]any{
			"type": kind, "user": map[string]any{"id": "U0ANA", "team_id": slackfake.Team}, "team": map[string]any{"id": slackfake.Team},
			"view": view, "action_id": "role", "value": "prod", "trigger_id": kind,
		}
		for name, value := range more {
			payload[name] = value
		}
		return k.fake.Send(kind, payload)
	}
	out := map[string]slackfake.Ack{
		"words":      ana.Type("C0ACCESS", "mine"),
		"form":       ana.Type("C0ACCESS", ""),
		"home":       ana.OpenHome(),
		"shortcut":   ana.Shortcut(shortcutRequest),
		"submission": inView("view_submission", nil),
		"suggestion": inView("block_suggestion", nil),
		"refresh": inView("block_actions", map[string]any{
			"actions": []any{map[string]any{"action_id": "role", "block_id": "input.role", "type": "external_select", "action_ts": "1"}},
		}),
	}
	for _, name := range []string{"Approve", "Deny…", "Details"} {
		out["message "+name] = k.fake.Send("block_actions", ana.Press(m, name))
		out["home "+name] = k.fake.Send("block_actions", ana.PressView(home, name))
	}
	return out
}

// TestEverythingIsAcknowledgedWhateverHangs takes away, one after the other and all together, what an answer may wait
// for: the Slack API, the store, the bot. Nothing here is timed: a request that waited for one of them would never be
// answered, and the fake gives up after three seconds as Slack does.
func TestEverythingIsAcknowledgedWhateverHangs(t *testing.T) {
	t.Parallel()
	hangs := map[string]func(k *kit, never chan struct{}){
		"slack": func(k *kit, _ chan struct{}) { k.fake.Misbehave("*", slackfake.Fault{Times: -1, Hang: true}) },
		"store": func(k *kit, never chan struct{}) { k.store.breakDown(nil, never) },
		"bot":   func(k *kit, never chan struct{}) { k.bot.Hang = never },
		"all": func(k *kit, never chan struct{}) {
			k.fake.Misbehave("*", slackfake.Fault{Times: -1, Hang: true})
			k.store.breakDown(nil, never)
			k.bot.Hang = never
		},
	}
	for name, hang := range hangs {
		for _, way := range []string{"http", "socket"} {
			t.Run(name+" over "+way, func(t *testing.T) {
				t.Parallel()
				k := setup(t, func(cfg *Config) { cfg.AckWithin = 200 * time.Millisecond })
				never := make(chan struct{})
				t.Cleanup(func() { close(never) })
				if way == "socket" {
					k.socket(t)
				}
				hang(k, never)
				for kind, ack := range everyKind(t, k) {
					if ack.Err != nil || ack.Status != http.StatusOK {
						t.Errorf("%s: answered %d %v", kind, ack.Status, ack.Err)
					}
					switch body := string(ack.Body); kind {
					case "words", "submission":
						if kind == "words" && body == "" && name == "slack" {
							break // told beside, once Slack answers
						}
						if !strings.Contains(body, "Elevate") && !strings.Contains(body, "Slack could not") {
							t.Errorf("%s: the person is told nothing: %s", kind, body)
						}
					case "suggestion":
						if !strings.Contains(body, `"options":[`) {
							t.Errorf("%s: answered %s", kind, body)
						}
					}
				}
			})
		}
	}
}

// TestFloodLeavesRoomForAnswers makes a thousand people press buttons whose answers hang, and asks something then.
func TestFloodLeavesRoomForAnswers(t *testing.T) {
	t.Parallel()
	k := setup(t)
	m := k.posted(t)
	k.fake.As("U0ANA").Type("C0ACCESS", "mine") // so that Slack's word on the account is known
	k.fake.Misbehave("*", slackfake.Fault{Times: -1, Hang: true})
	for i := range bot.AfterworkSlots + 50 {
		ok(t, k.fake.Send("block_actions", k.fake.As(fmt.Sprintf("U0N%d", i)).Press(m, "Details")))
	}
	if got := k.fake.As("U0ANA").Type("C0ACCESS", "help").Text(); got != "You typed help" {
		t.Errorf("answered %q", got)
	}
	if k.log.count("too much is under way") == 0 {
		t.Error("nothing is logged about what was left out")
	}
}
