package teamsfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// puppet is a bot that answers as a test says, and keeps what it got.
type puppet struct {
	*caller
	mu     sync.Mutex
	got    []string
	tokens []string
	status int
	answer string
	hang   chan struct{}
	cut    bool // the connection, without an answer
}

func newPuppet(t *testing.T) *puppet {
	t.Helper()
	p := &puppet{caller: newCaller(t), status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.got, p.tokens = append(p.got, string(body)), append(p.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		status, answer, hang, cut := p.status, p.answer, p.hang, p.cut
		p.mu.Unlock()
		if hang != nil {
			<-hang
		}
		if cut {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	p.fake.Deliver(server.URL)
	return p
}

// answers makes the bot answer so from now on.
func (p *puppet) answers(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.answer = status, body
}

func (p *puppet) answersCard(card object) {
	raw, err := json.Marshal(object{"statusCode": 200, "type": cardType, "value": card})
	if err != nil {
		p.t.Fatal(err)
	}
	p.answers(http.StatusOK, string(raw))
}

// cuts makes the bot cut connections, or answer again.
func (p *puppet) cuts(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

// hangs makes the bot wait with its answers until it may go on.
func (p *puppet) hangs() (goOn func()) {
	hang := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hang = hang
	goOn = sync.OnceFunc(func() { close(hang) })
	p.t.Cleanup(goOn)
	return goOn
}

// all is everything that the bot got, and the tokens with it.
func (p *puppet) all() (bodies []string, tokens []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got), slices.Clone(p.tokens)
}

// last is what the bot got last.
func (p *puppet) last() object {
	p.t.Helper()
	return p.before(0)
}

// before is what the bot got before that.
func (p *puppet) before(n int) object {
	p.t.Helper()
	got, _ := p.all()
	var out object
	if err := json.Unmarshal([]byte(got[len(got)-1-n]), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// posted posts a card in the channel.
func (p *puppet) posted(card object) Message {
	p.t.Helper()
	p.made("POST", "conversations", inChannel(Access, sayCard(card)))
	all := p.fake.Messages(Access)
	return all[len(all)-1]
}

func (p *puppet) ok(ack Ack) {
	p.t.Helper()
	if ack.Err != nil {
		p.t.Fatal(ack.Err)
	}
}

// shape tells what an example has that something else has not, or has as something else.
func shape(path string, example, got any) []string {
	switch example := example.(type) {
	case object:
		it, ok := got.(object)
		if !ok {
			return []string{fmt.Sprintf("%s is %T", path, got)}
		}
		var out []string
		for name, value := range example {
			if _, ok := it[name]; !ok {
				out = append(out, path+"."+name+" is missing")
				continue
			}
			out = append(out, shape(path+"."+name, value, it[name])...)
		}
		return out
	default:
		if fmt.Sprintf("%T", example) != fmt.Sprintf("%T", got) {
			return []string{fmt.Sprintf("%s is %T, want %T", path, got, example)}
		}
	}
	return nil
}

// TestActivitiesAreLikeThoseOfTheOfficialClient, field by field.
func TestActivitiesAreLikeThoseOfTheOfficialClient(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	button := p.posted(inform())
	p.made("POST", "conversations", object{"tenantId": TenantID, "members": []any{object{"id": ana.ID}}, "activity": sayCard(inform())})
	personal := ana.Sees(p.fake.Chat(ObjectID("ana")))[0]
	const done = `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"Done."}`
	for file, act := range map[string]func() Ack{
		"message.json":                 func() Ack { return ana.Say("mine") },
		"message-channel-mention.json": func() Ack { return ana.Mention(Access, "mine") },
		"message-action-submit.json":   func() Ack { return ana.PressOld(personal, "Old") },
		"invoke.json":                  func() Ack { return ana.Press(personal, "Back") },
		"invoke-channel-execute.json":  func() Ack { return ana.Press(button, "Back") },
		"conversationUpdate.json":      ana.Install,
		"installationUpdate.json":      ana.Install,
	} {
		raw, err := os.ReadFile(filepath.Join(Testdata(t, "activities", "playground"), file))
		if err != nil {
			t.Fatal(err)
		}
		var example object
		if err := json.Unmarshal(raw, &example); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(file, "invoke") {
			p.answers(200, done)
			action := part(part(example, "value"), "action")
			action["data"] = object{} // what a button carries is its card's affair
		} else {
			p.answers(200, "")
		}
		if strings.HasSuffix(file, "submit.json") {
			example["value"] = object{}
			if err := ana.Fill("in.why", "because"); err != nil {
				t.Fatal(err)
			}
		}
		p.ok(act())
		got := p.last()
		if example["type"] == "installationUpdate" { // comes before the other
			got = p.before(1)
		}
		for _, wrong := range shape("", example, got) {
			t.Errorf("%s: %s", file, wrong)
		}
	}
}

// TestActivitiesAreSigned for the service that they name, and have ids of their own.
func TestActivitiesAreSigned(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	p.ok(ana.Say("one"))
	p.ok(ana.TypeTargeted(Access, "/elevate two"))
	if a := p.last(); part(a, "recipient")["isTargeted"] != true || !strings.HasPrefix(text(part(a, "conversation"), "id"), Access+";messageid=") {
		t.Errorf("a slash command arrives as %v", a)
	}
	if others := p.fake.As(ObjectID("ben")).Sees(Access); len(others) != 0 {
		t.Errorf("Ben sees what Ana typed for the bot alone: %v", others)
	}
	spoken := map[string]bool{}
	for _, words := range []string{"abc", "abcd", "abcde"} {
		p.ok(ana.Mention(Access, words))
		spoken[strings.Replace(text(p.last(), "text"), words, "", 1)] = true
	}
	if len(spoken) != 3 {
		t.Errorf("Teams writes mentions in three ways: %v", spoken)
	}
	p.ok(p.fake.Redeliver())
	got, tokens := p.all()
	n := len(got)
	if got[n-1] != got[n-2] || got[n-2] == got[n-3] {
		t.Error("what is delivered again is not the same to the letter, or everything is")
	}
	for _, token := range tokens {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil || claims["serviceurl"] != p.fake.URL {
			t.Errorf("signed as %v, %v", claims, err)
		}
	}
	p.fake.AddUser(User{ObjectID: ObjectID("guest"), Name: "guest", Anonymous: true, InTeam: true})
	p.fake.AddUser(User{ObjectID: ObjectID("alien"), Name: "alien", Tenant: "another", InTeam: true})
	p.ok(p.fake.As(ObjectID("guest")).Mention(Access, "hello"))
	if from := part(p.last(), "from"); from["aadObjectId"] != nil {
		t.Errorf("a guest of a meeting has an object id: %v", from)
	}
	p.ok(p.fake.As(ObjectID("alien")).Mention(Access, "hello"))
	if tenant := part(p.last(), "conversation")["tenantId"]; tenant != "another" {
		t.Errorf("a stranger is of the tenant %v", tenant)
	}
}

// TestAnswersToButtonsAreShownAsTeamsDoes: a card in the place of the message, for one person, until the message is edited.
func TestAnswersToButtonsAreShownAsTeamsDoes(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana, ben := p.fake.As(ObjectID("ana")), p.fake.As(ObjectID("ben"))
	m := p.posted(inform())
	view := plainCard()
	p.answersCard(view)
	p.ok(ana.Press(m, "Back"))
	if got := ana.Sees(Access)[0].Card; Text(got) != "hello\n" || len(Inputs(ben.Sees(Access)[0].Card)) == 0 || len(Inputs(p.fake.Messages(Access)[0].Card)) == 0 {
		t.Errorf("Ana sees %v", got)
	}
	p.answers(200, `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"You did it."}`)
	p.ok(ana.Press(m, "Back"))
	p.answers(200, `{"statusCode":400,"type":"application/vnd.microsoft.error","value":{"code":"No","message":"You may not."}}`)
	p.ok(ana.Press(m, "Back"))
	told := ana.Told()
	if len(told) != 3 || Text(told[0].Card) != "hello\n" || told[1].Text != "You did it." || told[2].Text != "You may not." || len(ben.Told()) != 0 {
		t.Errorf("Ana was told %+v, Ben %+v", told, ben.Told())
	}
	p.made("PUT", activities(m.Place(), m.ID), sayCard(inform()))
	if got := ana.Sees(Access)[0].Card; len(Inputs(got)) == 0 {
		t.Errorf("after the edit Ana still sees %v", got)
	}
}

// TestAnswersThatTeamsDoesNotUnderstandAreDefects.
func TestAnswersThatTeamsDoesNotUnderstandAreDefects(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	m := p.posted(inform())
	for _, test := range []struct {
		status int
		body   string
	}{
		{500, `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"x"}`},
		{200, ``},
		{200, `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":""}`},
		{200, `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":{}}`},
		{200, `{"statusCode":200,"type":"text","value":"x"}`},
		{200, `{"statusCode":500,"type":"application/vnd.microsoft.activity.message","value":"x"}`},
		{200, `{"statusCode":200,"type":"application/vnd.microsoft.error","value":{"code":"x","message":"x"}}`},
		{200, `{"statusCode":400,"type":"application/vnd.microsoft.error","value":{"code":"x"}}`},
		{200, `{"statusCode":200,"type":"` + cardType + `","value":{"type":"AdaptiveCard","version":"1.0"}}`},
		{200, `{"statusCode":200,"type":"` + cardType + `","value":"x"}`},
		{200, `{"statusCode":200,"type":"` + cardType + `","value":{"type":"AdaptiveCard","version":"1.5","body":[{"type":"TextBlock","text":"` + strings.Repeat("x", 60_000) + `"}]}}`},
	} {
		p.answers(test.status, test.body)
		if ack := ana.Press(m, "Back"); ack.Err == nil || len(p.fake.Defects()) != 1 {
			t.Errorf("%d %s passes: %v", test.status, test.body, ack.Err)
		}
	}
	if told := ana.Told(); len(told) > 0 {
		t.Errorf("Ana was told %v", told)
	}
	p.answers(http.StatusServiceUnavailable, "")
	if ack := ana.Say("mine"); ack.Err == nil || len(p.fake.Defects()) != 0 {
		t.Error("a message that is not taken is an error, and may be one of the day")
	}
}

// refreshed is a card that clients ask for anew.
func refreshed(users []any) object {
	card := plainCard()
	card["refresh"] = object{"action": object{"type": "Action.Execute", "verb": "view", "data": object{"request": "r"}}, "userIds": users}
	if users == nil {
		delete(card["refresh"].(object), "userIds")
	}
	return card
}

// TestClientsAskAnewForThoseWhoAreNamed, for sixty of them at most, and show nobody that they did.
func TestClientsAskAnewForThoseWhoAreNamed(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana, ben := p.fake.As(ObjectID("ana")), p.fake.As(ObjectID("ben"))
	crowd := []any{ana.ID}
	for n := range 60 {
		crowd = append(crowd, fmt.Sprint("29:", n))
	}
	crowd = append(crowd, ben.ID)
	m := p.posted(refreshed(crowd))
	p.answersCard(refreshed(nil))
	p.ok(ana.Refresh(m))
	if v := part(p.last(), "value"); v["trigger"] != "automatic" || part(part(v, "action"), "data")["request"] != "r" || part(v, "action")["verb"] != "view" {
		t.Errorf("asked as %v", v)
	}
	if ack := ben.Refresh(m); ack.Err == nil {
		t.Error("the client of the sixty-second asks too")
	}
	if len(ana.Told()) != 0 || len(part(ana.Sees(Access)[0].Card, "refresh")) != 1 {
		t.Errorf("Ana was told %v and sees %v", ana.Told(), ana.Sees(Access))
	}
	if !ben.Refreshes(p.posted(refreshed(nil))) || ben.Refreshes(p.posted(refreshed([]any{}))) || ben.Refreshes(p.posted(plainCard())) {
		t.Error("who is named by nobody asks where few can see it, and only there")
	}
	for n := range 60 {
		p.fake.AddUser(User{ObjectID: ObjectID(fmt.Sprint("crowd", n)), InTeam: true})
	}
	if ben.Refreshes(p.posted(refreshed(nil))) {
		t.Error("everybody asks where many can see it")
	}
}

// TestLivelyClientsAskByThemselves, whenever a message is new or was edited, and not for a version that is gone.
func TestLivelyClientsAskByThemselves(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	ana := p.fake.As(ObjectID("ana"))
	view := plainCard()
	view["body"] = []any{object{"type": "TextBlock", "text": "your own"}}
	p.answersCard(view)
	p.fake.Lively = true
	own := func() bool { return Text(ana.Sees(Access)[0].Card) == "your own\n" }
	m := p.posted(refreshed([]any{ana.ID}))
	p.fake.Await(t, "Ana's view", own)
	goOn := p.hangs()
	p.made("PUT", activities(m.Place(), m.ID), sayCard(refreshed([]any{ana.ID})))
	if own() {
		t.Error("an edit left Ana's view")
	}
	p.fake.Await(t, "the question after the edit", func() bool { got, _ := p.all(); return len(got) == 2 })
	p.made("PUT", activities(m.Place(), m.ID), sayCard(inform()))
	goOn()
	p.fake.looking.Wait()
	if own() {
		t.Error("the answer to a version that is gone is shown")
	}
	if p.fake.Redeliver().Err == nil {
		t.Error("what a client asks by itself is not what the person did last")
	}
}

// TestClientsLosePatience with a bot that hangs.
func TestClientsLosePatience(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	m := p.posted(inform())
	p.hangs()
	p.fake.Patience = 20 * time.Millisecond
	if ack := p.fake.As(ObjectID("ana")).Press(m, "Back"); ack.Err == nil || ack.Status != 0 {
		t.Errorf("a bot that hangs answered %d", ack.Status)
	}
	if n := len(p.fake.Defects()); n != 0 {
		t.Errorf("%d defects: slowness is a test's own affair", n)
	}
}

// TestClientsSendAgainWhatWasNotAnswered, to the letter, and no more than they are told to.
func TestClientsSendAgainWhatWasNotAnswered(t *testing.T) {
	t.Parallel()
	p := newPuppet(t)
	m := p.posted(inform())
	p.cuts(true)
	p.fake.Retries = 3
	if ack := p.fake.As(ObjectID("ana")).Press(m, "Back"); ack.Err == nil || ack.Status != 0 {
		t.Errorf("a connection that was cut answered %d", ack.Status)
	}
	if got, _ := p.all(); len(got) != 4 || !slices.Equal(got[1:], got[:3]) {
		t.Errorf("%d times, or not the same", len(got))
	}
	const done = `{"statusCode":200,"type":"application/vnd.microsoft.activity.message","value":"Done."}`
	p.cuts(false)
	p.answers(200, done)
	p.ok(p.fake.As(ObjectID("ana")).Press(m, "Back"))
	if got, _ := p.all(); len(got) != 5 {
		t.Errorf("what was answered was sent %d times", len(got)-4)
	}
}
