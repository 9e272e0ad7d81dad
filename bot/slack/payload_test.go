package slack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elevate/bot/slack/slackfake"
)

// official are the payloads of Slack's own test suites, as HTTP carries them, by file name.
func official(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(slackfake.Testdata(t, "bolt-python"), "*"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d payloads, %v", len(files), err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		name := filepath.Base(file)
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(name, ".txt"):
			continue
		case strings.HasSuffix(name, ".form"):
			out[name] = bytes.TrimSpace(raw)
			continue
		}
		var envelope struct {
			Type    string          `json:"type"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal(raw, &envelope); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if envelope.Payload != nil { // an envelope of Socket Mode: what is in it also comes over HTTP
			raw, envelope.Type = envelope.Payload, map[string]string{"events_api": "event_callback"}[envelope.Type]
		}
		if envelope.Type == "event_callback" {
			out[name] = raw
			continue
		}
		out[name] = []byte(url.Values{"payload": {string(raw)}}.Encode())
	}
	return out
}

// TestOfficialPayloadsGetTheRightAnswer sends what Slack's own libraries are tested with. None of it is meant for
// Elevate: it is acknowledged, and nothing is done. Unsigned it is refused.
func TestOfficialPayloadsGetTheRightAnswer(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for name, body := range official(t) {
		if name == "socket_mode_envelope.1.slash_commands.json" {
			p, err := parseCommand(payloadOf(t, body))
			if _, ok := p.(command); err != nil || !ok {
				t.Errorf("%s: read as %T, %v", name, p, err)
			}
			continue
		}
		for _, route := range []string{"commands", "interactions", "options", "events"} {
			address := k.url + "/slack/" + route
			ack := slackfake.Do(client, k.fake.Signed(address, body))
			want := ""
			if strings.HasPrefix(name, "block_suggestion") {
				want = `{"options":[]}`
			}
			if ack.Err != nil || ack.Status != http.StatusOK || string(ack.Body) != want {
				t.Errorf("%s to %s: answered %d %q %v, want 200 %q", name, route, ack.Status, ack.Body, ack.Err, want)
			}
			unsigned := k.fake.Signed(address, body)
			unsigned.Header.Del(headerSignature)
			if ack := slackfake.Do(client, unsigned); ack.Status != http.StatusUnauthorized {
				t.Errorf("%s unsigned: answered %d", name, ack.Status)
			}
		}
	}
	k.stop()
	if got := k.bot.Heard(); len(got) != 0 {
		t.Errorf("the bot heard %q", got)
	}
	if calls := k.fake.Calls(""); len(calls) != 0 {
		t.Errorf("Slack was called: %v", calls)
	}
}

func payloadOf(t *testing.T, body []byte) []byte {
	t.Helper()
	form, err := url.ParseQuery(string(body))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(form.Get("payload"))
}

// TestOfficialPayloadsAreRead shows that the fields that matter are where this package looks for them.
func TestOfficialPayloadsAreRead(t *testing.T) {
	t.Parallel()
	all := official(t)
	read := func(name string) payload {
		p, err := parseHTTP(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return p
	}
	a, ok := read("block_actions.body.json").(action)
	if !ok || a.Actions[0].Value != "click_me_123" || a.User.ID != "W111" || a.Trigger != "111.222.valid" || a.team() != "T111" {
		t.Errorf("block_actions: %+v", a)
	}
	if at := a.place(noon); at.Channel != "C111" || at.Message != "111.222" || !at.Ephemeral || at.ref() != "" {
		t.Errorf("block_actions: %+v", at)
	}
	s, ok := read("view_submission.body.json").(submission)
	if !ok || s.View.ID != "V111" || s.View.values()["maBWU"] != "test" || s.View.Metadata != "This is for you!" || s.View.Hash == "" {
		t.Errorf("view_submission: %+v", s)
	}
	o, ok := read("block_suggestion.body.json").(suggestion)
	if !ok || o.Action != "es_a" || o.Value != "search word" {
		t.Errorf("block_suggestion: %+v", o)
	}
	c, ok := read("slash_command.slash_command_body.form").(command)
	if !ok || c.Command != "/hello-world" || c.User != "W111" || c.Team != "T111" || c.Trigger != "111.111.xxx" {
		t.Errorf("slash command: %+v", c)
	}
	foreign, ok := read("view_submission.connect_channel_payload.json").(submission)
	mine := &accounts{team: "T-installed-workspace"}
	if !ok || mine.ours(foreign.team(), foreign.enterprise(), foreign.User.Team) {
		t.Error("a form of somebody in another organisation counts as ours")
	}
}

func TestChallengeAndCertificateCheck(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for body, want := range map[string]string{
		`{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}`: "3eZbrw1a",
		"ssl_check=1&token=x": "",
	} {
		ack := slackfake.Do(client, k.fake.Signed(k.url+"/slack/events", []byte(body)))
		if ack.Status != http.StatusOK || string(ack.Body) != want {
			t.Errorf("%s: answered %d %q, want %q", body, ack.Status, ack.Body, want)
		}
	}
}

func TestMalformedPayloadsAreRefused(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for _, body := range []string{
		"", "{", "{}}", "null", "[]", "a=b", "payload=", "payload=null", "payload={", "payload=%zz", "command=%zz", "payload=[1]",
		`payload={"type":"block_actions","actions":"x"}`, `payload={"type":"view_submission","view":[]}`,
		`{"type":"event_callback","event":{"type":"app_home_opened","tab":"home","user":{"id":"U1"}}}`,
		`{"type":"event_callback","event":"x"}`, "\x00\x01", strings.Repeat("[", 100_000), "payload=" + strings.Repeat("{\"a\":", 20_000),
	} {
		ack := slackfake.Do(client, k.fake.Signed(k.url+"/slack/events", []byte(body)))
		if ack.Status != http.StatusBadRequest && (ack.Status != http.StatusOK || len(ack.Body) > 0) {
			t.Errorf("%.60q: answered %d %q %v", body, ack.Status, ack.Body, ack.Err)
		}
	}
	if got := k.bot.Heard(); len(got) != 0 {
		t.Errorf("the bot heard %q", got)
	}
}

// TestTamperedButtonsDoNothing presses buttons with values that no button of ours has.
func TestTamperedButtonsDoNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ben := k.fake.As("U0BEN")
	m := k.posted(t)
	for _, value := range []string{
		"' OR 1=1 --", "redis.call('FLUSHALL')", strings.Repeat("a", 500_000), "07kq4-m2xp", "07KQ4-M2XP9", "07kq4m2xp9",
		" 07kq4-m2xp9", "07kq4-m2xp9\x00", "../../07kq4-m2xp9", "ülüü4-m2xp9", `{"id":"07kq4-m2xp9"}`,
	} {
		payload := ben.Press(m, "Approve")
		payload["actions"].([]any)[0].(map[string]any)["value"] = value
		ok(t, k.fake.Send("block_actions", payload))
	}
	for _, id := range []string{"approve", "elevate", "elevate.", "Elevate.approve", "x.elevate.approve"} {
		payload := ben.Press(m, "Approve")
		payload["actions"].([]any)[0].(map[string]any)["action_id"] = id
		ok(t, k.fake.Send("block_actions", payload))
	}
	two := ben.Press(m, "Approve")
	two["actions"] = append(two["actions"].([]any), two["actions"].([]any)[0])
	ok(t, k.fake.Send("block_actions", two))
	k.stop()
	if got := k.bot.Heard(); len(got) != 0 {
		t.Errorf("the bot heard %q", got)
	}
}

// TestTamperedFormsDoNothing sends forms whose metadata is not a request's id.
func TestTamperedFormsDoNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ana := k.opened(t, "U0ANA")
	for _, metadata := range []string{"prod-db-admin", `{"role":"prod-db-admin"}`, "07KQ4-M2XP9", strings.Repeat("0", 3000)} {
		payload, err := ana.Submission()
		if err != nil {
			t.Fatal(err)
		}
		payload["view"].(map[string]any)["private_metadata"] = metadata
		ok(t, k.fake.Send("view_submission", payload))
	}
	if n := k.countHeard("U0ANA submitted"); n != 0 {
		t.Errorf("the bot got %d forms", n)
	}
}

// fuzzParser feeds a parser the official payloads and what comes of changing them.
func fuzzParser(f *testing.F, parse func([]byte) (payload, error)) {
	for _, body := range official(f) {
		f.Add(body)
	}
	for _, seed := range []string{"", "{", "payload={}", "command=/elevate&text=%26lt%3B", `{"type":"url_verification","challenge":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parse(body)
		if (p == nil) == (err == nil) {
			t.Fatalf("%T, %v", p, err)
		}
		check(t, p)
	})
}

func FuzzParseHTTP(f *testing.F)        { fuzzParser(f, parseHTTP) }
func FuzzParseInteraction(f *testing.F) { fuzzParser(f, parseInteraction) }
func FuzzParseEvent(f *testing.F)       { fuzzParser(f, parseEvent) }
func FuzzParseCommand(f *testing.F)     { fuzzParser(f, parseCommand) }

// check reads of a payload what the handlers read.
func check(t *testing.T, p payload) {
	switch p := p.(type) {
	case action:
		if len(p.Actions) != 1 {
			t.Fatal("an action without exactly one action")
		}
		if id, ok := requestOf(p.Actions[0].Value); ok && id != "" && string(id) != p.Actions[0].Value {
			t.Fatalf("the id %q was changed to %q", p.Actions[0].Value, id)
		}
		_ = p.place(noon).ref()
	case submission:
		for name := range p.View.inputs() {
			if _, ok := p.View.State.Values[p.View.inputs()[name]]; !ok {
				t.Fatal("an input without a block")
			}
		}
		_ = p.View.values()
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("v0=00", "1531420618", []byte("token=x"))
	f.Fuzz(func(t *testing.T, signature, stamp string, body []byte) {
		v := verifier{now: noon.UTC}
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		req.Header[headerSignature], req.Header[headerTimestamp] = []string{signature}, []string{stamp}
		if err := v.verify(req.Header, body); err == nil {
			t.Fatal("accepted without any secret")
		}
	})
}
