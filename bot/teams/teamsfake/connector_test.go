package teamsfake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// caller calls the connector as a bot does.
type caller struct {
	t     *testing.T
	fake  *Server
	token string
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	Testdata(t) // without the description of the API nothing is checked
	c := &caller{t: t, fake: New(t)}
	res, err := c.fake.client.PostForm(c.fake.Identity.TokenURL(), url.Values{
		"grant_type": {"client_credentials"}, "client_id": {AppID}, "client_secret": {ClientSecret}, "scope": {Scope},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	c.token = got.Token
	return c
}

// call gives the status and the answer. path has its ids escaped.
func (c *caller) call(method, path string, body any) (int, any) {
	c.t.Helper()
	raw := []byte(nil)
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.fake.URL+"v3/"+path, bytes.NewReader(raw))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if raw != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.fake.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			c.t.Fatalf("%s: %v", answer, err)
		}
	}
	return res.StatusCode, out
}

// errorCode is what an error is called.
func errorCode(answer any) string {
	out, _ := answer.(object)
	if e := part(out, "error"); e != nil {
		return text(e, "code")
	}
	var inner struct{ SubCode string }
	_ = json.Unmarshal([]byte(text(out, "message")), &inner)
	return inner.SubCode
}

// made is a call that must succeed, and the id that it gives.
func (c *caller) made(method, path string, body any) string {
	c.t.Helper()
	status, answer := c.call(method, path, body)
	if status != http.StatusCreated && status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	out, _ := answer.(object)
	return text(out, "id")
}

func (c *caller) refused(what, method, path string, body any, status int, word string) {
	c.t.Helper()
	if got, answer := c.call(method, path, body); got != status || errorCode(answer) != word {
		c.t.Errorf("%s: %d %v, want %d %s", what, got, answer, status, word)
	}
}

func activities(conversation string, ids ...string) string {
	out := "conversations/" + url.PathEscape(conversation) + "/activities"
	for _, id := range ids {
		out += "/" + url.PathEscape(id)
	}
	return out
}

// says is a message.
func says(words string) object { return object{"type": "message", "text": words} }

func sayCard(card object) object {
	return object{"type": "message", "summary": "a card", "attachments": []any{object{"contentType": cardType, "content": card}}}
}

func plainCard() object {
	return object{"type": "AdaptiveCard", "version": "1.5", "body": []any{object{"type": "TextBlock", "text": "hello"}}}
}

func to(id string, m object) object {
	m["recipient"] = object{"id": id, "isTargeted": true}
	return m
}

func inChannel(channel string, activity object) object {
	out := object{"isGroup": true, "tenantId": TenantID, "channelData": object{"channel": object{"id": channel}}}
	if activity != nil {
		out["activity"] = activity
	}
	return out
}

func withPerson(id string) object {
	return object{"isGroup": false, "bot": object{"id": Bot}, "tenantId": TenantID, "members": []any{object{"id": id}}}
}

const targeted = "?isTargetedActivity=true"

// TestConnectorKeepsMessagesWhereTheyBelong: threads, answers, versions, and what is gone.
func TestConnectorKeepsMessagesWhereTheyBelong(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	_, answer := c.call("POST", "conversations", inChannel(Access, says("first")))
	made, _ := answer.(object)
	thread, first := text(made, "id"), text(made, "activityId")
	if thread != Access+";messageid="+first || strings.Trim(first, "0123456789") != "" {
		t.Fatalf("begun as %v", made)
	}
	second := c.made("POST", activities(thread), says("second"))
	third := c.made("POST", activities(Access, second), says("third"))
	c.made("POST", activities(Access), says("another thread"))
	c.made("PUT", activities(thread, first), says("first again"))
	if status, _ := c.call("DELETE", activities(thread, third), nil); status != http.StatusOK {
		t.Errorf("deleted with %d", status)
	}
	all := c.fake.Messages(Access)
	if len(all) != 3 || all[0].Text != "first again" || len(all[0].Before) != 1 || all[0].Before[0].Text != "first" ||
		all[1].Thread != first || all[2].Thread != "" || all[0].Place() != thread || all[1].Place() != thread {
		t.Errorf("the channel has %+v", all)
	}
	if status, answer := c.call("POST", activities(thread), object{"type": "typing"}); status != http.StatusAccepted || answer != nil {
		t.Errorf("typing: %d %v", status, answer)
	}
	c.refused("a message that is gone", "PUT", activities(thread, third), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("a message of another thread", "PUT", activities(thread, all[2].ID), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("an answer to what is gone", "POST", activities(thread, third), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("no message", "PUT", activities(thread, "1"), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("an answer to none", "POST", activities(thread, "1"), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("a thread of none", "POST", activities(Access+";messageid=1"), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("a thread within one", "POST", activities(Access+";messageid="+second), says("x"), 404, "ActivityNotFoundInConversation")
}

// TestConnectorRefusesWhatTeamsRefuses.
func TestConnectorRefusesWhatTeamsRefuses(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.fake.AddChannel(Channel{ID: "19:out@thread.tacv2", Out: true})
	c.fake.AddChannel(Channel{ID: "19:gone@thread.tacv2", Gone: true})
	at := activities(Access)
	for _, test := range []struct {
		what, path string
		body       any
		status     int
		word       string
	}{
		{"a channel without the app", activities("19:out@thread.tacv2"), says("x"), 403, "BotNotInConversationRoster"},
		{"a channel that is gone", activities("19:gone@thread.tacv2"), says("x"), 404, "ConversationNotFound"},
		{"no channel", activities("19:none@thread.tacv2"), says("x"), 404, "ConversationNotFound"},
		{"a chat that nobody began", activities("a:1none"), says("x"), 404, "ConversationNotFound"},
		{"nothing to show", at, object{"type": "message"}, 400, "BadArgument"},
		{"no message", at, object{"type": "invoke"}, 400, "BadArgument"},
		{"as somebody else", at, object{"type": "message", "text": "x", "from": object{"id": MRI(ObjectID("ana"))}}, 403, "NotEnoughPermissions"},
		{"too long", at, says(strings.Repeat("x", 60_000)), 413, "MessageSizeTooBig"},
		{"a thread without a message", "conversations", inChannel(Access, nil), 400, "BadArgument"},
		{"a thread without the app", "conversations", inChannel("19:out@thread.tacv2", says("x")), 403, "BotNotInConversationRoster"},
		{"no tenant", "conversations", object{"members": []any{object{"id": MRI(ObjectID("ana"))}}}, 400, "BadArgument"},
		{"another tenant", "conversations", object{"tenantId": "other", "members": []any{object{"id": MRI(ObjectID("ana"))}}}, 400, "BadArgument"},
		{"nobody", "conversations", object{"tenantId": TenantID}, 400, "BadArgument"},
		{"an id of another bot", "conversations", withPerson("29:1other"), 400, "BadSyntax"},
		{"somebody unknown", "conversations", withPerson(ObjectID("nobody")), 403, "ForbiddenOperationException"},
	} {
		c.refused(test.what, "POST", test.path, test.body, test.status, test.word)
	}
	c.refused("a targeted thread", "POST", "conversations"+targeted, inChannel(Access, to(MRI(ObjectID("ana")), says("x"))), 400, "BadArgument")
	c.fake.As(ObjectID("ana")).write(place{channel: c.fake.channels[Access]}, "mine", "mine", false)
	c.refused("somebody's message", "PUT", activities(Access, c.fake.Messages(Access)[0].ID), says("x"), 403, "NotEnoughPermissions")
	c.token = "another"
	c.refused("another token", "POST", at, says("x"), 401, "Unauthorized")
	if n := len(c.fake.Messages(Access)); n != 1 {
		t.Errorf("%d messages, want Ana's alone", n)
	}
	if d := c.fake.Defects(); len(d) > 0 {
		t.Errorf("what Teams answers with an error is no defect by itself: %q", d)
	}
}

// TestConnectorReportsDefects of a bot that a test would not see otherwise.
func TestConnectorReportsDefects(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	old := plainCard()
	old["version"] = "1.4"
	for what, call := range map[string]func(){
		"against the API's description": func() { c.call("POST", activities(Access), object{"type": 1}) },
		"no such method":                func() { c.call("PATCH", activities(Access, "1"), says("x")) },
		"a card of another version":     func() { c.call("POST", activities(Access), sayCard(old)) },
		"a message with no notification": func() {
			m := sayCard(plainCard())
			delete(m, "summary")
			c.call("POST", activities(Access), m)
		},
		"a targeted message for everybody": func() { c.call("POST", activities(Access), to(MRI(ObjectID("ana")), says("x"))) },
	} {
		call()
		if d := c.fake.Defects(); len(d) != 1 {
			t.Errorf("%s: %q, want one defect", what, d)
		}
	}
}

// TestTargetedMessagesAreSeenByOne, and are refused where Teams refuses them.
func TestTargetedMessagesAreSeenByOne(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	now := time.Now()
	c.fake.Now = func() time.Time { return now }
	ana, ben := c.fake.As(ObjectID("ana")), c.fake.As(ObjectID("ben"))
	c.fake.AddUser(User{ObjectID: ObjectID("eve"), Name: "eve", Installed: true})
	at := activities(Access) + targeted
	c.refused("for nobody", "POST", at, says("x"), 400, "BadArgument")
	c.refused("for nobody alone", "POST", at, object{"type": "message", "text": "x", "recipient": object{"id": ana.ID}}, 400, "BadArgument")
	c.refused("for somebody who is not there", "POST", at, to(MRI(ObjectID("eve")), says("x")), 404, "BotNotInConversationRoster")
	chat := c.made("POST", "conversations", withPerson(ana.ID))
	c.refused("in a personal chat", "POST", activities(chat)+targeted, to(ana.ID, says("x")), 400, "BadArgument")

	id := c.made("POST", at, to(ana.ID, says("for Ana")))
	byObject := c.made("POST", at, to(ObjectID("ana"), says("by her object id")))
	if len(ana.Sees(Access)) != 2 || len(ben.Sees(Access)) != 0 || len(c.fake.Messages(Access)) != 0 || len(c.fake.Targeted(Access, ObjectID("ana"))) != 2 {
		t.Errorf("Ana sees %v, Ben %v, everybody %v", ana.Sees(Access), ben.Sees(Access), c.fake.Messages(Access))
	}
	c.refused("an update without the flag", "PUT", activities(Access, id), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("an update with a recipient", "PUT", activities(Access, id)+targeted, to(ana.ID, says("x")), 400, "BadArgument")
	c.made("PUT", activities(Access, id)+targeted, says("for Ana again"))
	c.refused("an answer for everybody", "POST", activities(Access, id), says("x"), 404, "ActivityNotFoundInConversation")
	c.refused("an answer for somebody else", "POST", activities(Access, id)+targeted, to(ben.ID, says("x")), 404, "ActivityNotFoundInConversation")
	c.made("POST", activities(Access+";messageid="+id)+targeted, to(ana.ID, says("below")))
	if all := ana.Told(); len(all) != 3 || !slices.ContainsFunc(all, func(m Message) bool { return m.Text == "for Ana again" }) || len(ben.Told()) != 0 {
		t.Errorf("Ana was told %v, Ben %v", all, ben.Told())
	}
	if status, _ := c.call("DELETE", activities(Access, byObject)+targeted, nil); status != http.StatusOK {
		t.Errorf("deleted with %d", status)
	}
	now = now.Add(25 * time.Hour)
	c.refused("an update after a day", "PUT", activities(Access, id)+targeted, says("x"), 404, "ActivityNotFoundInConversation")
	if len(ana.Sees(Access)) != 0 {
		t.Errorf("after a day Ana still sees %v", ana.Sees(Access))
	}
}

// TestPersonalChatsNeedTheApp: by either id, with the app for oneself or in one's team, and not after it was taken away.
func TestPersonalChatsNeedTheApp(t *testing.T) {
	t.Parallel()
	c := newPuppet(t)
	c.fake.AddUser(User{ObjectID: ObjectID("team"), Name: "team", InTeam: true})
	c.fake.AddUser(User{ObjectID: ObjectID("none"), Name: "none"})
	c.refused("without the app", "POST", "conversations", withPerson(ObjectID("none")), 403, "ForbiddenOperationException")
	if c.fake.Chat(ObjectID("team")) != "" {
		t.Error("there is a chat that nobody began")
	}
	for _, name := range []string{"ana", "team"} {
		chat := c.made("POST", "conversations", withPerson(ObjectID(name)))
		if again := c.made("POST", "conversations", withPerson(MRI(ObjectID(name)))); again != chat || c.fake.Chat(ObjectID(name)) != chat {
			t.Errorf("%s has the chats %s and %s", name, chat, again)
		}
		c.made("POST", activities(chat), says("hello"))
		if got := c.fake.As(ObjectID(name)).Sees(chat); len(got) != 1 || len(c.fake.As(ObjectID("ben")).Sees(chat)) != 0 {
			t.Errorf("%s sees %v", name, got)
		}
	}
	c.ok(c.fake.As(ObjectID("ana")).Uninstall())
	c.refused("after it was taken away", "POST", activities(c.fake.Chat(ObjectID("ana"))), says("x"), 403, "MessageWritesBlocked")
	c.refused("after it was taken away", "POST", "conversations", withPerson(ObjectID("ana")), 403, "ForbiddenOperationException")
	if ack := c.fake.As(ObjectID("ana")).Say("mine"); ack.Err == nil {
		t.Error("Ana could write to a bot that she does not have")
	}
	c.ok(c.fake.As(ObjectID("ana")).Install())
	c.made("POST", activities(c.fake.Chat(ObjectID("ana"))), says("welcome back"))
}

// TestMembersAreToldOfPageByPage, and one by either id.
func TestMembersAreToldOfPageByPage(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	for n := range 60 {
		name := string(rune('A' + n))
		c.fake.AddUser(User{ObjectID: ObjectID(name), Name: name, InTeam: true})
	}
	at := "conversations/" + url.PathEscape(Access) + "/"
	_, answer := c.call("GET", at+"pagedmembers?pageSize=50", nil)
	page, _ := answer.(object)
	_, answer = c.call("GET", at+"pagedmembers?pageSize=50&continuationToken="+text(page, "continuationToken"), nil)
	rest, _ := answer.(object)
	if len(list(page, "members")) != 50 || len(list(rest, "members")) != 13 || rest["continuationToken"] != nil {
		t.Errorf("pages of %d and %d", len(list(page, "members")), len(list(rest, "members")))
	}
	first, _ := list(page, "members")[0].(object)
	if text(first, "objectId") == "" || first["aadObjectId"] != nil {
		t.Errorf("a member of a list is %v", first)
	}
	for _, id := range []string{ObjectID("ana"), MRI(ObjectID("ana"))} {
		_, answer := c.call("GET", at+"members/"+url.PathEscape(id), nil)
		if m, _ := answer.(object); m["id"] != MRI(ObjectID("ana")) || m["aadObjectId"] != ObjectID("ana") || m["objectId"] != nil {
			t.Errorf("%s is %v", id, m)
		}
	}
	c.refused("a small page", "GET", at+"pagedmembers?pageSize=10", nil, 400, "BadArgument")
	c.refused("somebody else", "GET", at+"members/"+url.PathEscape(ObjectID("nobody")), nil, 404, "MemberNotFoundInConversation")
	if status, answer := c.call("GET", at+"members", nil); status != http.StatusOK || len(answer.([]any)) != 63 {
		t.Errorf("all members: %d %v", status, answer)
	}
}

// TestConnectorMisbehavesWhenAsked, as often as asked, and no longer.
func TestConnectorMisbehavesWhenAsked(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	at := activities(Access)
	c.fake.Misbehave("post", Fault{Times: 2, Status: 429, Code: "Throttled", RetryAfter: "3"})
	c.fake.Misbehave("update", Fault{Status: 500})
	c.refused("a fault", "POST", at, says("x"), 429, "Throttled")
	c.refused("a fault again", "POST", at, says("x"), 429, "Throttled")
	id := c.made("POST", at, says("x"))
	c.refused("another call's fault", "PUT", activities(Access, id), says("y"), 500, "")
	c.fake.Misbehave("*", Fault{Reset: true})
	if status, _ := c.call("POST", at, says("x")); status != 0 {
		t.Errorf("a cut connection answered %d", status)
	}
	c.fake.Misbehave("post", Fault{Status: 502, Done: true})
	c.refused("an answer that is lost", "POST", at, says("posted"), 502, "")
	if all := c.fake.Messages(Access); len(all) != 2 || all[1].Text != "posted" {
		t.Errorf("the channel has %v", all)
	}
	c.fake.Misbehave("post", Fault{Times: -1, Status: 503})
	c.fake.Behave()
	c.made("POST", at, says("x"))
	if n := len(c.fake.Calls("post")); n != 6 {
		t.Errorf("%d calls are remembered, want 6", n)
	}
}

// TestHangingCallsEndWithTheFake.
func TestHangingCallsEndWithTheFake(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	c.fake.Misbehave("post", Fault{Hang: true})
	ended := make(chan int)
	go func() {
		status, _ := c.call("POST", activities(Access), says("x"))
		ended <- status
	}()
	c.fake.Await(t, "the call", func() bool { return len(c.fake.Calls("post")) == 1 })
	c.fake.Close()
	if status := <-ended; status != 0 {
		t.Errorf("answered with %d", status)
	}
}

// TestPacedConversationsRefuseHurry.
func TestPacedConversationsRefuseHurry(t *testing.T) {
	t.Parallel()
	c := newCaller(t)
	now := time.Now()
	c.fake.Now, c.fake.Paced = func() time.Time { return now }, true
	for range 7 {
		c.made("POST", activities(Access), says("x"))
	}
	c.refused("the eighth in a second", "POST", activities(Access), says("x"), 429, "Throttled")
	c.made("POST", activities(Team), says("elsewhere"))
	now = now.Add(time.Second)
	c.made("POST", activities(Access), says("x"))
	c.refused("the ninth in two seconds", "POST", activities(Access), says("x"), 429, "Throttled")
	for range 13 {
		now = now.Add(2 * time.Second)
		for range 4 {
			c.made("POST", activities(Access), says("x"))
		}
	}
	c.refused("the sixty-first in thirty seconds", "POST", activities(Access), says("x"), 429, "Throttled")
}
