package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/workflows/access"
)

// site is a server with two people and two channels, and what knocks at it.
type site struct {
	*testing.T
	*httptest.Server
	chat  *Chat
	talk  *bottest.Talk
	token string
}

func newSite(t *testing.T) *site {
	t.Helper()
	x := &site{T: t, talk: &bottest.Talk{}, chat: NewChat(
		[]Person{{ID: "ana", Name: "Ana Lima", Zone: "Europe/Lisbon"}, {ID: "bob", Name: "Bob Keller"}},
		[]Channel{{ID: "access"}, {ID: "other"}}, nil)}
	server, err := NewServer(Config{Chat: x.chat, Talker: x.talk, Catalogue: shelf{}})
	if err != nil {
		t.Fatal(err)
	}
	x.Server, x.token = httptest.NewServer(server), server.token
	t.Cleanup(x.Close)
	return x
}

// knock sends a request as the page would, changed by the headers given; "" takes one away, and Host names the host.
func (x *site) knock(method, path, body string, headers map[string]string) (status int, answer string) {
	x.Helper()
	req, err := http.NewRequestWithContext(x.Context(), method, x.URL+path, strings.NewReader(body))
	if err != nil {
		x.Fatal(err)
	}
	all := map[string]string{
		tokenHeader: x.token, "Content-Type": "application/json", "Origin": x.URL, "Sec-Fetch-Site": "same-origin",
	}
	maps.Copy(all, headers)
	for name, value := range all {
		switch {
		case name == "Host":
			req.Host = strings.ReplaceAll(value, "PORT", x.URL[strings.LastIndex(x.URL, ":")+1:])
		case value != "":
			req.Header.Set(name, value)
		}
	}
	res, err := x.Client().Do(req)
	if err != nil {
		x.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		x.Fatal(err)
	}
	return res.StatusCode, string(text)
}

const hello = `{"person":"ana","room":"access","message":"","text":"hello"}`

func TestForeignRequestsAreRefused(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	for _, tt := range []struct {
		name, method, path string
		headers            map[string]string
		want               int
	}{
		{"the page's own", "POST", "/chat/say", nil, 200},
		{"a program's own", "POST", "/chat/say", map[string]string{"Origin": "", "Sec-Fetch-Site": ""}, 200},
		{"by the name localhost", "GET", "/", map[string]string{"Host": "localhost:PORT", "Origin": ""}, 200},
		{"by a name that was made to point here", "POST", "/chat/say", map[string]string{"Host": "evil.example:PORT"}, 403},
		{"the document by such a name", "GET", "/", map[string]string{"Host": "evil.example:PORT", "Origin": "", "Sec-Fetch-Site": "none"}, 403},
		{"by a name with ours in it", "GET", "/", map[string]string{"Host": "127.0.0.1.evil.example:PORT", "Origin": ""}, 403},
		{"another port", "GET", "/", map[string]string{"Host": "127.0.0.1:1", "Origin": ""}, 403},
		{"no port", "GET", "/", map[string]string{"Host": "127.0.0.1", "Origin": ""}, 403},
		{"another origin", "POST", "/chat/say", map[string]string{"Origin": "https://evil.example"}, 403},
		{"an origin that hides itself", "POST", "/chat/say", map[string]string{"Origin": "null"}, 403},
		{"another port of this machine", "POST", "/chat/say", map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		{"another site, by the browser's word", "POST", "/chat/say", map[string]string{"Origin": "", "Sec-Fetch-Site": "cross-site"}, 403},
		{"a page of another port, by the browser's word", "GET", "/chat/start", map[string]string{"Origin": "", "Sec-Fetch-Site": "same-site"}, 403},
		{"a picture for another site", "GET", "/page/logo.svg", map[string]string{"Origin": "", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"a link on another site", "GET", "/", map[string]string{"Origin": "", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200},
		{"a frame on another site", "GET", "/", map[string]string{"Origin": "", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		{"without the token", "POST", "/chat/say", map[string]string{tokenHeader: ""}, 401},
		{"with another start's token", "POST", "/chat/say", map[string]string{tokenHeader: strings.Repeat("A", 26)}, 401},
		{"reading without the token", "GET", "/chat/start", map[string]string{tokenHeader: ""}, 401},
		{"listening without the token", "GET", "/chat/stream?person=ana", map[string]string{tokenHeader: ""}, 401},
		{"a preflight", "OPTIONS", "/chat/say", map[string]string{"Origin": "https://evil.example"}, 403},
		{"what changes something, by GET", "GET", "/chat/say", nil, 405},
	} {
		body := ""
		if tt.method == "POST" {
			body = hello
		}
		if got, answer := x.knock(tt.method, tt.path, body, tt.headers); got != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, got, tt.want, answer)
		}
	}
	if n, _ := x.chat.since("ana", 0); len(n.Messages) != 2 {
		t.Errorf("%d messages were posted, want the first two alone", len(n.Messages))
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	t.Parallel()
	handler := Guard(http.NotFoundHandler())
	for _, tt := range []struct {
		local net.Addr
		want  int
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, http.StatusNotFound},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 80}, http.StatusNotFound},
		{&net.TCPAddr{IP: net.IPv4(192, 168, 1, 2), Port: 80}, http.StatusForbidden},
		{nil, http.StatusForbidden},
	} {
		req := httptest.NewRequest(http.MethodGet, "http://localhost/x", nil)
		if tt.local != nil {
			req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, tt.local))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != tt.want {
			t.Errorf("at %v: %d, want %d", tt.local, w.Code, tt.want)
		}
	}
}

func TestListenTakesLoopbackAlone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:0": "", "localhost:0": "", "0.0.0.0:0": "loopback", ":0": "on 127.0.0.1", "192.168.1.2:0": "on 127.0.0.1",
		"evil.example:0": "on 127.0.0.1", "8080": "write it like",
	} {
		l, err := Listen(t.Context(), address)
		if err == nil {
			if cerr := l.Close(); cerr != nil {
				t.Error(cerr)
			}
		}
		if want == "loopback" {
			want = "on 127.0.0.1"
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	for _, tt := range []struct {
		name, path, body, kind string
		want                   int
	}{
		{"oversized", "/chat/say", `{"person":"ana","room":"access","text":"` + strings.Repeat("x", maxBody) + `"}`, "application/json", 413},
		{"a form's own encoding", "/chat/say", "person=ana&text=x", "application/x-www-form-urlencoded", 415},
		{"plain text, which needs no preflight", "/chat/say", hello, "text/plain", 415},
		{"no JSON", "/chat/say", "{", "application/json", 400},
		{"nothing", "/chat/click", "", "application/json", 400},
		{"an unknown key", "/chat/say", `{"person":"ana","admin":true}`, "application/json", 400},
		{"two values", "/chat/say", hello + hello, "application/json", 400},
		{"another type", "/chat/click", `{"person":7}`, "application/json", 400},
		{"no words", "/chat/say", `{"person":"ana","room":"access","text":"  "}`, "application/json", 422},
		{"too many words", "/chat/say", `{"person":"ana","room":"access","text":"` + strings.Repeat("x", maxText+1) + `"}`, "application/json", 422},
		{"another command", "/chat/say", `{"person":"ana","room":"access","text":"/kick bob"}`, "application/json", 422},
		{"a deed of any length", "/chat/say", `{"person":"ana","room":"access","text":"x","deed":"` + strings.Repeat("x", 65) + `"}`, "application/json", 400},
		{"words on Home", "/chat/say", `{"person":"ana","room":"","text":"hello"}`, "application/json", 422},
	} {
		got, answer := x.knock("POST", tt.path, tt.body, map[string]string{"Content-Type": tt.kind})
		var no problem
		if err := json.Unmarshal([]byte(answer), &no); got != tt.want || err != nil || no.Error == "" {
			t.Errorf("%s: %d, want %d and a sentence: %q %v", tt.name, got, tt.want, answer, err)
		}
	}
	if heard := x.talk.Heard(); len(heard) > 0 {
		t.Errorf("the bot heard %q", heard)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	ctx := t.Context()
	mail, err := x.chat.Post(ctx, bot.Address{Person: "bob"}, *bottest.Says("for Bob"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := x.chat.Post(ctx, bot.Address{Channel: "other"}, *bottest.Says("for all"))
	if err != nil {
		t.Fatal(err)
	}
	whispered := x.chat.take()
	if err := x.chat.whisper(ctx, "bob", "access", "", whispered, *bottest.Says("for Bob alone")); err != nil {
		t.Fatal(err)
	}
	click := func(person, room, message string) string {
		return fmt.Sprintf(`{"person":%q,"room":%q,"message":%q,"action":"details","request":"x"}`, person, room, message)
	}
	for name, body := range map[string]string{
		"person":                  click("mallory", "access", ""),
		"no person":               click("", "access", ""),
		"the bot itself":          click("elevate", "access", ""),
		"room":                    click("ana", "nowhere", ""),
		"another's personal room": click("ana", "@bob", ""),
		"message":                 click("ana", "access", "m999"),
		"another's mail":          click("ana", "@bob", mail),
		"mail by way of a room":   click("ana", "access", mail),
		"another's answer":        click("ana", "access", whispered),
		"a message elsewhere":     click("ana", "access", public),
	} {
		if got, answer := x.knock("POST", "/chat/click", body, nil); got != http.StatusNotFound {
			t.Errorf("%s: %d: %s", name, got, answer)
		}
	}
	for _, path := range []string{"/chat/home?person=mallory", "/chat/stream?person=mallory", "/chat/complete?person=&text=/", "/chat/suggest?input=role", "/page/none.js", "/nothing"} {
		if got, answer := x.knock("GET", path, "", nil); got != http.StatusNotFound {
			t.Errorf("%s: %d: %s", path, got, answer)
		}
	}
	if heard := x.talk.Heard(); len(heard) > 0 {
		t.Errorf("the bot heard %q", heard)
	}
	if got, _ := x.knock("POST", "/chat/click", click("bob", "access", whispered), nil); got != http.StatusOK {
		t.Errorf("Bob cannot click his own answer: %d", got)
	}
}

func TestDocumentCarriesNothingInline(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	res, err := x.Client().Get(x.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if bad := regexp.MustCompile(`<script>|<style|\son\w+=|\sstyle=|https?://|javascript:`).FindAll(body, -1); len(bad) > 0 {
		t.Errorf("the document has %q", bad)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q is not in the policy %q", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
		if got := res.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
}

// TestScriptsSetTextOnly: markup from strings has no way in, also in browsers without trusted types.
func TestScriptsSetTextOnly(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment|setAttribute\("on`)
	scripts := 0
	err := fs.WalkDir(embedded, "page", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".js") {
			return err
		}
		scripts++
		text, err := embedded.ReadFile(path)
		if found := bad.FindAll(text, -1); len(found) > 0 {
			t.Errorf("%s has %q", path, found)
		}
		return err
	})
	if err != nil || scripts < 5 {
		t.Errorf("%d scripts were read, %v", scripts, err)
	}
}

func TestDeedSentAgainIsDoneOnce(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	send := func(deed string) string {
		_, answer := x.knock("POST", "/chat/say", `{"person":"ana","room":"access","text":"/elevate mine","deed":"`+deed+`"}`, nil)
		return answer
	}
	first := send("d1")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if again := send("d1"); again != first {
				t.Errorf("sent again, it is answered %s, not %s", again, first)
			}
		})
	}
	all.Wait()
	send("d2")
	if heard := x.talk.Heard(); len(heard) != 2 {
		t.Errorf("the bot heard %q", heard)
	}
	var d deeds
	for n := range 3 * rememberDeeds {
		d.once(fmt.Sprint(n), func() answer { return answer{} })
	}
	if len(d.done) != rememberDeeds || len(d.order) != rememberDeeds {
		t.Errorf("%d deeds are remembered, %d in order", len(d.done), len(d.order))
	}
}

func TestStreamTellsEachTheirOwnAndGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	post := func(to bot.Address, text string) {
		t.Helper()
		if _, err := x.chat.Post(t.Context(), to, *bottest.Says(text)); err != nil {
			t.Fatal(err)
		}
	}
	listen := func(person string, since int64) *bufio.Reader {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/chat/stream?person=%s&since=%d", x.URL, person, since), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(tokenHeader, x.token)
		res, err := x.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return bufio.NewReader(res.Body)
	}
	next := func(stream *bufio.Reader) (n news, summaries []string) {
		t.Helper()
		event, err := stream.ReadBytes('\n')
		data, dataErr := stream.ReadBytes('\n')
		if _, blank := stream.ReadBytes('\n'); err != nil || dataErr != nil || blank != nil || string(event) != "event: news\n" {
			t.Fatalf("%q %v %v", event, err, dataErr)
		}
		if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("data: ")), &n); err != nil {
			t.Fatal(err)
		}
		for _, m := range n.Messages {
			summaries = append(summaries, m.Card.Summary)
		}
		return n, summaries
	}
	post(bot.Address{Channel: "access"}, "to all")
	post(bot.Address{Person: "ana"}, "to Ana")
	post(bot.Address{Person: "bob"}, "to Bob")
	if err := x.chat.whisper(t.Context(), "bob", "access", "", "", *bottest.Says("to Bob alone")); err != nil {
		t.Fatal(err)
	}
	ana := listen("ana", 0)
	n, got := next(ana)
	slices.Sort(got)
	if !slices.Equal(got, []string{"to Ana", "to all"}) {
		t.Errorf("Ana reads %q", got)
	}
	if n.Calls["bob"]["@bob"] != 1 || n.Calls["ana"]["@ana"] != 1 || len(n.Calls["ana"]) != 1 {
		t.Errorf("people were called %v", n.Calls)
	}
	post(bot.Address{Channel: "access"}, "more")
	if _, got := next(ana); !slices.Equal(got, []string{"more"}) {
		t.Errorf("then Ana reads %q", got)
	}
	if _, got := next(listen("ana", n.Rev)); !slices.Equal(got, []string{"more"}) {
		t.Errorf("a page that comes back reads %q", got)
	}
}

func TestRoomsForgetTheOldestWithItsThread(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	ctx := t.Context()
	post := func(thread string) string {
		t.Helper()
		ref, err := x.chat.Post(ctx, bot.Address{Channel: "access", Thread: thread}, *bottest.Says("x"))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	root := post("")
	below := post(post(root)) // an answer to an answer is in the same thread
	if m, _ := x.chat.find("ana", below); m.Thread != root {
		t.Errorf("the answer is below %s, want %s", m.Thread, root)
	}
	for range keep {
		post("")
	}
	for _, ref := range []string{root, below} {
		if _, ok := x.chat.find("ana", ref); ok {
			t.Errorf("%s is still there", ref)
		}
	}
	if n, _ := x.chat.since("ana", 0); len(n.Messages) > keep {
		t.Errorf("%d messages are kept", len(n.Messages))
	}
	if err := x.chat.Update(ctx, root, *bottest.Says("y")); err == nil {
		t.Error("a message that is gone was replaced")
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := x.chat.Post(stopped, bot.Address{Channel: "access"}, *bottest.Says("x")); err == nil {
		t.Error("posted after the end")
	}
}

func TestCallsCountMentions(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	card := bot.Card{Parts: []bot.Part{
		bot.Text{Spans: []bot.Span{{Person: "ana", Name: "Ana Lima", Mention: true}, {Person: "bob", Name: "Bob Keller"}}},
		bot.Facts{Rows: []bot.Fact{{Label: "Who", Value: []bot.Span{{Person: "ana", Mention: true}}}}},
	}}
	if _, err := x.chat.Post(t.Context(), bot.Address{Channel: "access"}, card); err != nil {
		t.Fatal(err)
	}
	n, _ := x.chat.since("bob", 0)
	if want := (map[access.PersonID]map[string]int{"ana": {"access": 1}}); fmt.Sprint(n.Calls) != fmt.Sprint(want) {
		t.Errorf("called are %v, want %v", n.Calls, want)
	}
}
