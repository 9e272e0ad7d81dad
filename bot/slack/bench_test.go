package slack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
	"elevate/connectors/demo"
)

// perSecond is the rate of the benchmark of acknowledgements.
const perSecond = 50

// BenchmarkAcknowledgements sends commands, clicks, forms, searches and page views, 50 a second, to a whole Elevate whose
// target hangs and whose Slack API hangs, and prints how long Slack waited. Beside it, the same requests go to a plain
// net/http handler that does nothing but check the same signature: what no program on this machine can do without.
//
//	go test -run - -bench Acknowledgements -benchtime 1000x ./bot/slack
func BenchmarkAcknowledgements(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		p := build(b)
		plain := httptest.NewServer(http.HandlerFunc(signatureOnly))
		b.Cleanup(plain.Close)
		measure(b, p, plain.URL)
	})
	b.Run("all well", func(b *testing.B) {
		p := build(b)
		measure(b, p, p.url)
	})
	b.Run("target and Slack hang", func(b *testing.B) {
		p := build(b)
		p.target.SetFaults(demo.Faults{Hang: true})
		p.warm()
		p.fake.Misbehave("*", slackfake.Fault{Times: -1, Hang: true})
		measure(b, p, p.url)
	})
	b.Run("target and Slack hang, nobody known", func(b *testing.B) {
		p := build(b)
		p.target.SetFaults(demo.Faults{Hang: true})
		p.fake.Misbehave("*", slackfake.Fault{Times: -1, Hang: true})
		measure(b, p, p.url)
	})
}

// warm makes the adapter learn who everybody is, as it does whenever Slack answers.
func (p *plant) warm() {
	for _, user := range []string{"U0ANA", "U0BEN", "U0CAT"} {
		p.fake.As(user).Type("C0ACCESS", "help")
	}
}

// signatureOnly is the handler that the adapter is compared with.
func signatureOnly(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, []byte(slackfake.SigningSecret))
	mac.Write([]byte("v0:" + r.Header.Get(headerTimestamp) + ":"))
	mac.Write(body)
	if !hmac.Equal([]byte("v0="+hex.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get(headerSignature))) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// requests makes the bodies of n requests of all kinds, none like another.
func (p *plant) requests(b *testing.B, n int) [][2]string {
	message := slackfake.Message{Channel: "C0ACCESS", TS: "1.1", Blocks: list(b, p.slack.render.message(b.Context(), bottest.RequestCard("because")))}
	view := object(b, p.slack.render.form(b.Context(), *bottest.RequestForm("prod-db-admin")))
	users := []string{"U0ANA", "U0BEN", "U0CAT"}
	out := make([][2]string, n)
	for i := range out {
		who := p.fake.As(users[i%len(users)])
		inView := map[string]any{
			"user": map[string]any{"id": who.ID, "team_id": slackfake.Team}, "team": map[string]any{"id": slackfake.Team},
			"action_id": "role", "value": fmt.Sprint("prod", i), "trigger_id": fmt.Sprint(i), "view": view,
		}
		view["id"] = fmt.Sprint("V", i)
		view["state"] = map[string]any{"values": map[string]any{
			"input.role":          map[string]any{"role": map[string]any{"selected_option": map[string]any{"value": "prod-db-admin"}}},
			"input.justification": map[string]any{"justification": map[string]any{"value": fmt.Sprint("restart the workers ", i)}},
		}}
		kind, payload := "command", who.Command("C0ACCESS", "mine")
		switch i % 6 {
		case 1:
			kind, payload = "block_actions", who.Press(message, "Approve")
		case 2:
			kind, payload = "view_submission", inView
		case 3:
			kind, payload = "block_suggestion", inView
		case 4:
			kind, payload = "block_actions", who.Press(message, "Details")
		case 5:
			payload = who.Command("C0ACCESS", "")
		}
		if kind != "command" {
			payload["type"] = kind
		}
		route, body := slackfake.Body(kind, payload)
		out[i] = [2]string{route, string(body)}
	}
	return out
}

// measure sends b.N requests and reports how long the answers took.
func measure(b *testing.B, p *plant, address string) {
	all := p.requests(b, b.N)
	client := &http.Client{Timeout: 10 * time.Second}
	b.Cleanup(client.CloseIdleConnections)
	bottest.Pace(b, perSecond, func(i int) {
		req := slackfake.Sign(address+all[i][0], []byte(all[i][1]), slackfake.SigningSecret, p.clock.now())
		ack := slackfake.Do(client, req)
		if ack.Err != nil || ack.Status != http.StatusOK || bytes.Contains(ack.Body, []byte("went wrong")) {
			b.Errorf("answered %d %s %v", ack.Status, ack.Body, ack.Err)
		}
	})
}
