package slack

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
)

func TestSignatureOfSlacksOwnExample(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(slackfake.Testdata(t, "signature", "slack_documented_vector.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vector struct {
		Secret    string `json:"signing_secret"`
		Timestamp string `json:"timestamp"`
		Body      string `json:"body"`
		Signature string `json:"signature"`
	}
	if err := json.Unmarshal(raw, &vector); err != nil {
		t.Fatal(err)
	}
	if got := "v0=" + hex.EncodeToString(sign(vector.Secret, vector.Timestamp, []byte(vector.Body))); got != vector.Signature || got == "v0=" {
		t.Errorf("signed %s, Slack's documentation says %s", got, vector.Signature)
	}
}

// forgery changes a request that is signed well.
type forgery struct {
	name string
	edit func(r *http.Request, body []byte) []byte // gives the body to send
	want int                                       // zero: 401
}

func header(name, value string) func(*http.Request, []byte) []byte {
	return func(r *http.Request, body []byte) []byte { r.Header.Set(name, value); return body }
}

func forgeries(now time.Time) []forgery {
	resign := func(secret string, at time.Time) func(*http.Request, []byte) []byte {
		return func(r *http.Request, body []byte) []byte {
			r.Header = slackfake.Sign("http://x/", body, secret, at).Header
			return body
		}
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signature := func(change func(string) string) func(*http.Request, []byte) []byte {
		return func(r *http.Request, body []byte) []byte {
			r.Header.Set(headerSignature, change(r.Header.Get(headerSignature)))
			return body
		}
	}
	doubled := func(name string) func(*http.Request, []byte) []byte {
		return func(r *http.Request, body []byte) []byte { r.Header.Add(name, r.Header.Get(name)); return body }
	}
	return []forgery{
		{name: "unsigned", edit: func(r *http.Request, body []byte) []byte { r.Header = http.Header{}; return body }},
		{name: "no signature", edit: func(r *http.Request, body []byte) []byte { r.Header.Del(headerSignature); return body }},
		{name: "no timestamp", edit: func(r *http.Request, body []byte) []byte { r.Header.Del(headerTimestamp); return body }},
		{name: "empty signature", edit: header(headerSignature, "")},
		{name: "empty timestamp", edit: header(headerTimestamp, "")},
		{name: "signature twice", edit: doubled(headerSignature)},
		{name: "timestamp twice", edit: doubled(headerTimestamp)},
		{name: "good signature after a bad one", edit: func(r *http.Request, body []byte) []byte {
			r.Header[headerSignature] = []string{"v0=" + strings.Repeat("0", 64), r.Header.Get(headerSignature)}
			return body
		}},
		{name: "body changed", edit: func(_ *http.Request, body []byte) []byte {
			return bytes.Replace(body, []byte("mine"), []byte("ours"), 1)
		}},
		{name: "body longer", edit: func(_ *http.Request, body []byte) []byte { return append(bytes.Clone(body), '&') }},
		{name: "body shorter", edit: func(_ *http.Request, body []byte) []byte { return body[:len(body)-1] }},
		{name: "body empty", edit: func(*http.Request, []byte) []byte { return nil }},
		{name: "another bit of the signature", edit: signature(func(s string) string {
			return s[:len(s)-1] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", s[len(s)-1])+1)%16])
		})},
		{name: "signature cut", edit: signature(func(s string) string { return s[:len(s)-2] })},
		{name: "signature too long", edit: signature(func(s string) string { return s + "00" })},
		{name: "signature without version", edit: signature(func(s string) string { return s[3:] })},
		{name: "signature of another version", edit: signature(func(s string) string { return "v1" + s[2:] })},
		{name: "signature no hexadecimal", edit: header(headerSignature, "v0="+strings.Repeat("z", 64))},
		{name: "signature of zeros", edit: header(headerSignature, "v0="+strings.Repeat("0", 64))},
		{name: "signature of megabytes", edit: header(headerSignature, "v0="+strings.Repeat("a", 200_000))},
		{name: "another secret", edit: resign("another-secret", now)},
		{name: "empty secret", edit: resign("", now)},
		{name: "the bot token as secret", edit: resign(slackfake.BotToken, now)},
		{name: "five minutes and a second old", edit: resign(slackfake.SigningSecret, now.Add(-301*time.Second))},
		{name: "five minutes and a second early", edit: resign(slackfake.SigningSecret, now.Add(301*time.Second))},
		{name: "a year old", edit: resign(slackfake.SigningSecret, now.AddDate(-1, 0, 0))},
		{name: "before 1970", edit: resign(slackfake.SigningSecret, time.Unix(-5, 0))},
		{name: "another timestamp", edit: header(headerTimestamp, strconv.FormatInt(now.Unix()+1, 10))},
		{name: "timestamp with a sign", edit: header(headerTimestamp, "+"+stamp)},
		{name: "timestamp with a space", edit: header(headerTimestamp, stamp+" 0")},
		{name: "timestamp with a fraction", edit: header(headerTimestamp, stamp+".0")},
		{name: "timestamp in hexadecimal", edit: header(headerTimestamp, "0x"+strconv.FormatInt(now.Unix(), 16))},
		{name: "timestamp too large", edit: header(headerTimestamp, "99999999999999999999999999")},
		{name: "timestamp is no number", edit: header(headerTimestamp, "now")},
		{name: "too large", want: http.StatusRequestEntityTooLarge, edit: func(*http.Request, []byte) []byte { return bytes.Repeat([]byte("a"), maxBody+1) }},
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for _, f := range forgeries(k.clock.now()) {
		_, body := slackfake.Body("command", k.fake.As("U0ANA").Command("C0ACCESS", "mine"))
		req := k.fake.Signed(k.url+"/slack/commands", body)
		sent := f.edit(req, body)
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
		want := f.want
		if want == 0 {
			want = http.StatusUnauthorized
		}
		ack := slackfake.Do(client, req)
		if f.name == "signature of megabytes" { // more than net/http takes as headers is no worse
			if ack.Status == http.StatusOK {
				t.Errorf("%s: accepted", f.name)
			}
			continue
		}
		if ack.Status != want {
			t.Errorf("%s: answered %d %v, want %d", f.name, ack.Status, ack.Err, want)
		}
	}
	if got := k.bot.Heard(); len(got) != 0 {
		t.Errorf("the bot heard %q", got)
	}
	if n := k.log.count("does not come from the chat"); n != 1 {
		t.Errorf("%d log lines, want one a minute", n)
	}
}

func TestTimestampWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for _, skew := range []time.Duration{-299 * time.Second, -300 * time.Second, 0, 299 * time.Second, 300 * time.Second} {
		_, body := slackfake.Body("command", k.fake.As("U0ANA").Command("C0ACCESS", "mine"))
		req := slackfake.Sign(k.url+"/slack/events", body, slackfake.SigningSecret, k.clock.now().Add(skew))
		if ack := slackfake.Do(client, req); ack.Status != http.StatusOK {
			t.Errorf("a timestamp %v away is answered %d", skew, ack.Status)
		}
	}
}

func TestTwoSecretsWhileOneReplacesTheOther(t *testing.T) {
	t.Parallel()
	k := setup(t, func(cfg *Config) {
		cfg.SigningSecrets = []access.Secret{access.NewSecret("new"), access.NewSecret(slackfake.SigningSecret)}
	})
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for secret, want := range map[string]int{"new": 200, slackfake.SigningSecret: 200, "older": 401} {
		_, body := slackfake.Body("command", k.fake.As("U0ANA").Command("C0ACCESS", "mine"))
		ack := slackfake.Do(client, slackfake.Sign(k.url+"/slack/commands", body, secret, k.clock.now()))
		if ack.Status != want {
			t.Errorf("signed with %q: answered %d, want %d", secret, ack.Status, want)
		}
	}
}

func TestOnlyPostsToTheFourRoutes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	client := &http.Client{}
	t.Cleanup(client.CloseIdleConnections)
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/slack/commands", 405}, {"PUT", "/slack/events", 405}, {"POST", "/slack/other", 404}, {"POST", "/", 404},
	} {
		req := k.fake.Signed(k.url+test.path, []byte("command=/elevate"))
		req.Method = test.method
		if ack := slackfake.Do(client, req); ack.Status != test.want {
			t.Errorf("%s %s: answered %d, want %d", test.method, test.path, ack.Status, test.want)
		}
	}
}

func TestNewWantsWhatItNeeds(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	for _, want := range []string{"bot_token", "team_id", "Bot", "Store", "Directory", "signing_secret (HTTP) or app_token"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not name %s", err, want)
		}
	}
	good := func() Config {
		return Config{
			BotToken: access.NewSecret("xoxb"), TeamID: "T1", SigningSecrets: []access.Secret{access.NewSecret("s")},
			Bot: &bottest.Talk{}, Store: newMemory(), Directory: phonebook{},
		}
	}
	for name, edit := range map[string]func(*Config){
		"an empty signing secret": func(c *Config) { c.SigningSecrets = append(c.SigningSecrets, access.Secret{}) },
		"an address without host": func(c *Config) { c.APIURL = "slack.com/api" },
		"another scheme":          func(c *Config) { c.APIURL = "ftp://slack.com/api" },
	} {
		cfg := good()
		edit(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("New accepts %s", name)
		}
	}
	if _, err := New(good()); err != nil {
		t.Errorf("New refuses a good configuration: %v", err)
	}
}

// TestAMillionForgeriesAreRefused tries the verification alone, with every kind of forgery at random.
func TestAMillionForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	tries := 1_000_000
	if testing.Short() {
		tries = 10_000
	}
	now := time.Unix(1_800_000_000, 0)
	v := verifier{secrets: []access.Secret{access.NewSecret(slackfake.SigningSecret)}, now: func() time.Time { return now }}
	body := []byte("command=%2Felevate&text=mine&user_id=U0ANA&team_id=T111")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tries {
		h, sent := http.Header{}, bytes.Clone(body)
		secret, at := slackfake.SigningSecret, now
		switch i % 6 {
		case 0:
			secret = strconv.FormatUint(rng.Uint64(), 36)
		case 1:
			at = now.Add(time.Duration(301+rng.IntN(1<<20)) * time.Second)
		case 2:
			at = now.Add(-time.Duration(301+rng.IntN(1<<20)) * time.Second)
		}
		stamp := strconv.FormatInt(at.Unix(), 10)
		sum := sign(secret, stamp, body)
		switch i % 6 {
		case 3:
			sent[rng.IntN(len(sent))] ^= 1 << rng.IntN(8)
		case 4:
			sum[rng.IntN(len(sum))] ^= 1 << rng.IntN(8)
		case 5:
			stamp = strconv.FormatInt(at.Unix()+1+rng.Int64N(200), 10)
		}
		h.Set(headerTimestamp, stamp)
		h.Set(headerSignature, "v0="+hex.EncodeToString(sum))
		if v.verify(h, sent) == nil {
			t.Fatalf("forgery %d of kind %d is taken", i, i%6)
		}
	}
}
