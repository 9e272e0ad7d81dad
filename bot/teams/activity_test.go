package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
)

// recorded are the activities that nobody here wrote, by file.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, folder := range []string{"playground", "msteams-docs"} {
		files, err := filepath.Glob(filepath.Join(teamsfake.Testdata(t, "activities", folder), "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(f)] = text
		}
	}
	if len(out) < 9 {
		t.Fatalf("%d activities in the test data", len(out))
	}
	return out
}

// ours is an activity as if it came to our bot in our tenant: its ids are changed, and nothing else.
func (k *kit) ours(t testing.TB, activity []byte) []byte {
	t.Helper()
	var a object
	if err := json.Unmarshal(activity, &a); err != nil {
		t.Fatal(err)
	}
	a["serviceUrl"], a["channelId"] = k.fake.URL, "msteams"
	if c, ok := a["conversation"].(object); ok {
		c["tenantId"] = teamsfake.TenantID
	}
	if d, ok := a["channelData"].(object); ok {
		d["tenant"] = object{"id": teamsfake.TenantID}
	}
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestActivitiesOfMicrosoftsGetTheRightAnswer: signed for our tenant they are taken, signed for another they are refused,
// unsigned nobody hears of them.
func TestActivitiesOfMicrosoftsGetTheRightAnswer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	turned := map[string]int{}
	k := setup(t, func(cfg *Config) {
		cfg.TurnedAway = func(_ context.Context, _, code string) { mu.Lock(); turned[code]++; mu.Unlock() }
	})
	all := recorded(t)
	for name, activity := range all {
		if ack := k.fake.SendAs(k.ours(t, activity), ""); ack.Status != http.StatusUnauthorized {
			t.Errorf("%s unsigned: answered %d %v", name, ack.Status, ack.Err)
		}
		foreign := []byte(strings.ReplaceAll(string(k.ours(t, activity)), teamsfake.TenantID, "99999999-0000-4000-8000-000000000009"))
		if ack := k.fake.Send(foreign); ack.Status != http.StatusForbidden {
			t.Errorf("%s of another tenant: answered %d %v", name, ack.Status, ack.Err)
		}
	}
	if n := len(k.bot.Heard()); n > 0 {
		t.Fatalf("the bot heard %q", k.bot.Heard())
	}
	if turned["foreign_tenant"] != len(all) {
		t.Errorf("put on record: %v, want %d of foreign_tenant", turned, len(all))
	}
	for name, activity := range all {
		ack := k.fake.Send(k.ours(t, activity))
		if ack.Status != http.StatusOK || ack.Err != nil {
			t.Errorf("%s: answered %d %v", name, ack.Status, ack.Err)
		}
		if strings.HasPrefix(name, "invoke") && !strings.Contains(string(ack.Body), `"statusCode":400,"type":"application/vnd.microsoft.error"`) {
			t.Errorf("%s: a button of somebody else's is answered with %s", name, ack.Body)
		}
	}
	heard := `0000-4000-8000-000000000001 typed "execute"` // what message-channel-mention.json says, without the mention
	if !bottest.Await(bottest.Patience, func() bool { return strings.Contains(strings.Join(k.bot.Heard(), "\n"), heard) }) {
		t.Errorf("the bot heard %q", k.bot.Heard())
	}
}

// TestWhoeverTeamsDoesNotNameDoesNothing: a guest of a meeting has no object id.
func TestWhoeverTeamsDoesNotNameDoesNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var turned []string
	k := setup(t, func(cfg *Config) {
		cfg.TurnedAway = func(_ context.Context, account, code string) {
			mu.Lock()
			defer mu.Unlock()
			turned = append(turned, code+" "+account)
		}
	})
	k.fake.AddUser(teamsfake.User{ObjectID: teamsfake.ObjectID("guest"), Name: "guest", Anonymous: true, Installed: true, InTeam: true})
	guest := k.person("guest")
	m := k.posted(t)
	for what, ack := range map[string]teamsfake.Ack{
		"words": guest.Mention(teamsfake.Access, "mine"), "a button": guest.Press(m, "Details"), "a change": guest.Press(m, "Approve"),
	} {
		if ack.Err != nil || ack.Status != http.StatusOK {
			t.Errorf("%s: %d %v", what, ack.Status, ack.Err)
		}
	}
	says := "does not tell Elevate who you are"
	k.fake.Await(t, "a sentence for the guest", func() bool {
		all := k.fake.Messages(teamsfake.Access)
		return strings.Contains(all[len(all)-1].Text, says)
	})
	if told := guest.Told(); len(told) != 2 || !strings.Contains(told[0].Text, says) || len(k.bot.Heard()) > 0 {
		t.Errorf("the guest was told %+v, and the bot heard %q", told, k.bot.Heard())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(turned) != 3 || turned[0] != "no_object_id "+guest.ID {
		t.Errorf("put on record: %q", turned)
	}
}

func TestWhoCalledCannotBeCheckedMeansNo(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.fake.Identity.Misbehave("keys", teamsfake.Fault{Times: -1, Status: http.StatusInternalServerError})
	if ack := k.person(bottest.Ana).Say("mine"); ack.Status != http.StatusServiceUnavailable || len(k.bot.Heard()) > 0 {
		t.Errorf("answered %d, and the bot heard %q", ack.Status, k.bot.Heard())
	}
	if err := k.teams.Healthy(); err == nil || !strings.HasPrefix(err.Error(), "teams: ") {
		t.Errorf("operators are told %v", err)
	}
}

func TestBodiesThatAreNoActivities(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing": {"", 400}, "no JSON": {"hello", 400}, "a list": {"[]", 400}, "a text": {`"message"`, 400}, "no type": {"{}", 400},
		"a type that is no text": {`{"type":1}`, 400}, "far too long": {`{"type":"` + strings.Repeat("x", maxBody) + `"}`, 413},
		"deep": {strings.Repeat(`{"type":`, 20000), 400}, "of nobody": {`{"type":"message"}`, 401},
	} {
		if ack := k.fake.Send([]byte(c.body)); ack.Status != c.status {
			t.Errorf("%s: answered %d, want %d", name, ack.Status, c.status)
		}
	}
}

// FuzzParse holds that no activity panics, and that the library, which checks who sent one, and this package, which does
// what it says, read the same in it.
func FuzzParse(f *testing.F) {
	for _, body := range recorded(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"type":"message","text":"<at>E</at>&nbsp; /Elevate db 1h","recipient":{"id":"28:e"},"entities":[{"type":"mention","text":"<at>E</at>","mentioned":{"id":"28:e"}},7]}`))
	f.Add([]byte(`{"type":"message","Type":"invoke","serviceUrl":"a","SERVICEURL":"b","channelData":[],"entities":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := parse(body)
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Fatal(err)
			}
			return
		}
		plain, err := json.Marshal(in.essence())
		if err != nil {
			t.Fatal(err)
		}
		var theirs schema.Activity
		if err := json.Unmarshal(plain, &theirs); err != nil {
			t.Fatalf("the library cannot read %s: %v", plain, err)
		}
		if string(theirs.Type) != in.Type || theirs.ServiceURL != in.ServiceURL || theirs.ChannelID != in.ChannelID || theirs.From.ID != in.From.ID {
			t.Fatalf("%s was checked, and %+v would be done", plain, in)
		}
		if words := in.words(); words != strings.TrimSpace(words) || in.kind() == "" {
			t.Fatalf("%q, %q", words, in.kind())
		}
	})
}

// FuzzActivity sends mutations of Microsoft's activities, signed. Whatever they are, the answer is one that the Bot
// Framework knows, and nothing panics.
func FuzzActivity(f *testing.F) {
	k := setup(f, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
	for _, activity := range recorded(f) {
		f.Add(k.ours(f, activity))
	}
	for _, p := range []press{{Kind: pressHome}, {Kind: pressView, Request: bottest.Request}, {Kind: pressClick, Action: "approve", Request: bottest.Request, On: "request"},
		{Kind: pressSend, Form: "request", Nonce: "n"}, {Kind: pressChange, Form: "request"}} {
		data := p.data()
		data["in.role"] = "x"
		body, err := json.Marshal(object{"type": "invoke", "name": invokeAction, "value": object{"action": object{"verb": p.verb(), "data": data}},
			"from": object{"id": "29:x", "aadObjectId": account(bottest.Ana)}, "recipient": object{"id": teamsfake.Bot}, "conversation": object{"id": "19:x"}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.ours(f, body))
	}
	handler, authorization := k.teams.Handler(), "Bearer "+k.fake.Identity.Token(k.fake.URL)
	f.Fuzz(func(t *testing.T, body []byte) {
		req, ack := httptest.NewRequest(http.MethodPost, k.url, bytes.NewReader(body)), httptest.NewRecorder()
		req.Header.Set("Authorization", authorization)
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		handler.ServeHTTP(ack, req)
		switch ack.Code {
		case 200:
			if ack.Body.Len() > 0 && !json.Valid(ack.Body.Bytes()) {
				t.Errorf("answered %q", ack.Body)
			}
		case 400, 401, 403, 413:
		default:
			t.Errorf("answered %d %q", ack.Code, ack.Body)
		}
	})
}
