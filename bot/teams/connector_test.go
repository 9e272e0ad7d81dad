package teams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

const (
	farSecret = "S3cr3t~of.the-application"
	farToken  = "eyJ.the-bots-token.sig"
)

// arrived is a request as it came in.
type arrived struct {
	method, path, query, auth string // path as it was escaped
	header                    http.Header
	body                      string
}

// farEnd is a login endpoint and a Bot Connector that hold what they get against Microsoft's description of it.
type farEnd struct {
	url   string
	dials atomic.Int64

	mu     sync.Mutex
	logins []arrived
	calls  []arrived
	// What tests replace: the answers. The number is that of the request, from one.
	login, answer func(w http.ResponseWriter, r *http.Request, n int)
}

func newFarEnd(t testing.TB) *farEnd {
	t.Helper()
	teamsfake.Testdata(t)
	f := &farEnd{
		login:  func(w http.ResponseWriter, _ *http.Request, n int) { giveToken(w, farToken+strconv.Itoa(n), 3600) },
		answer: func(w http.ResponseWriter, r *http.Request, _ int) { succeed(w, r) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		a := arrived{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Authorization"), r.Header, string(body)}
		f.mu.Lock()
		list, answer := &f.calls, f.answer
		if r.URL.Path == "/tenant/oauth2/v2.0/token" {
			list, answer = &f.logins, f.login
		} else if err := teamsfake.CheckRequest(r, body); err != nil {
			t.Errorf("the Bot Connector would refuse this: %v", err)
		}
		*list = append(*list, a)
		n := len(*list)
		f.mu.Unlock()
		answer(w, r, n)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func giveToken(w http.ResponseWriter, token string, seconds int) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%d,"access_token":%q}`, seconds, token)
}

// succeed answers as Teams does.
func succeed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case strings.HasSuffix(r.URL.Path, "/v3/conversations"):
		io.WriteString(w, `{"id":"19:new@thread.tacv2;messageid=7","activityId":"7"}`)
	case strings.HasSuffix(r.URL.Path, "/pagedmembers"):
		io.WriteString(w, `{"members":[{"id":"29:ana","objectId":"0b1e"}]}`)
	default:
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":"1485983408511"}`)
	}
}

// answers makes the connector answer everything so.
func (f *farEnd) answers(status int, body string, header ...string) {
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { say(w, status, body, header...) }
}

func say(w http.ResponseWriter, status int, body string, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// got gives the calls of the connector so far.
func (f *farEnd) got() []arrived {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]arrived(nil), f.calls...)
}

func (f *farEnd) loginsSoFar() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.logins)
}

// transport counts connections, and makes all of them to the far end, whoever they are meant for.
func (f *farEnd) transport(t testing.TB) *http.Transport {
	t.Helper()
	var dialer net.Dialer
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		f.dials.Add(1)
		return dialer.DialContext(ctx, network, strings.TrimPrefix(f.url, "http://"))
	}
	tr := &http.Transport{DialContext: dial, DialTLSContext: dial}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// tokenConfig asks the far end for tokens.
func (f *farEnd) tokenConfig(t testing.TB) tokenConfig {
	t.Helper()
	return tokenConfig{
		URL: f.url + "/tenant/oauth2/v2.0/token", AppID: "0a0b0c", Secret: access.NewSecret(farSecret),
		Scope: "https://api.botframework.com/.default", HTTP: &http.Client{Transport: f.transport(t)},
	}
}

// connector calls the far end, as an address that the operator named.
func (f *farEnd) connector(t testing.TB, change ...func(*connectorConfig)) *connector {
	t.Helper()
	known, err := newHosts(Clouds()["public"], []string{f.url})
	if err != nil {
		t.Fatal(err)
	}
	cfg := connectorConfig{Hosts: known, Tokens: newTokens(f.tokenConfig(t)), HTTP: &http.Client{Transport: f.transport(t)}}
	for _, f := range change {
		f(&cfg)
	}
	return newConnector(cfg)
}

func (f *farEnd) place() place {
	return place{Service: f.url + "/emea/", Conversation: "19:abc@thread.tacv2;messageid=1"}
}

// everyCall makes one call of each kind and gives the errors by name.
func everyCall(ctx context.Context, c *connector, at place) map[string]error {
	message := outgoing{Type: "message", Text: "hi", Recipient: &party{ID: "29:ana", Targeted: true}}
	out := map[string]error{}
	_, out["send"] = c.send(ctx, at, message, false)
	_, out["reply"] = c.reply(ctx, at, "7", message)
	out["update"] = c.update(ctx, at, "7", message)
	_, _, out["create"] = c.create(ctx, at.Service, newConversation{Bot: party{ID: "28:bot"}})
	out["visit"] = c.visit(ctx, at)
	return out
}

// TestCallsAreThoseOfTheBotConnector holds what is sent against what Microsoft documents; farEnd holds it against the
// OpenAPI description as well.
func TestCallsAreThoseOfTheBotConnector(t *testing.T) {
	t.Parallel()
	const in = "/emea/v3/conversations/19:abc@thread.tacv2%3Bmessageid=1"
	to := &party{ID: "29:ana", Targeted: true}
	card := []attachment{{ContentType: cardType, Content: object{"type": "AdaptiveCard", "version": "1.5"}}}
	for name, test := range map[string]struct {
		call               func(c *connector, at place) (any, error)
		method, path, body string
		answer             any
	}{
		"send": {
			func(c *connector, at place) (any, error) {
				return c.send(t.Context(), at, outgoing{Type: "message", Summary: "Ana & <b>", Attachments: card}, false)
			},
			"POST", in + "/activities",
			`{"type":"message","summary":"Ana & <b>","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","version":"1.5"}}]}`,
			"1485983408511",
		},
		"send to one": {
			func(c *connector, at place) (any, error) {
				return c.send(t.Context(), at, outgoing{Type: "message", Text: "hi", Recipient: to}, true)
			},
			"POST", in + "/activities?isTargetedActivity=true",
			`{"type":"message","recipient":{"id":"29:ana","isTargeted":true},"text":"hi"}`, "1485983408511",
		},
		"reply": {
			func(c *connector, at place) (any, error) {
				return c.reply(t.Context(), at, "7", outgoing{Type: "message", Text: "hi"})
			},
			"POST", in + "/activities/7", `{"type":"message","text":"hi","replyToId":"7"}`, "1485983408511",
		},
		"update": {
			func(c *connector, at place) (any, error) {
				return nil, c.update(t.Context(), at, "7", outgoing{Type: "message", Text: "hi"})
			},
			"PUT", in + "/activities/7", `{"type":"message","text":"hi"}`, nil,
		},
		"visit": {
			func(c *connector, at place) (any, error) { return nil, c.visit(t.Context(), at) },
			"GET", in + "/pagedmembers?pageSize=50", ``, nil,
		},
		"create in a channel": {
			func(c *connector, at place) (any, error) {
				conversation, activity, err := c.create(t.Context(), at.Service, newConversation{
					Group: true, Bot: party{ID: "28:bot"}, Tenant: "t1", Activity: &outgoing{Type: "message", Text: "hi"},
					ChannelData: object{"channel": object{"id": "19:c@thread.tacv2"}, "tenant": object{"id": "t1"}},
				})
				return conversation + " " + activity, err
			},
			"POST", "/emea/v3/conversations",
			`{"isGroup":true,"bot":{"id":"28:bot"},"tenantId":"t1","channelData":{"channel":{"id":"19:c@thread.tacv2"},"tenant":{"id":"t1"}},"activity":{"type":"message","text":"hi"}}`,
			"19:new@thread.tacv2;messageid=7 7",
		},
		"create with a person": {
			func(c *connector, at place) (any, error) {
				conversation, _, err := c.create(t.Context(), at.Service, newConversation{
					Bot: party{ID: "28:bot"}, Members: []party{{ID: "29:ana"}}, Tenant: "t1",
				})
				return conversation, err
			},
			"POST", "/emea/v3/conversations",
			`{"isGroup":false,"bot":{"id":"28:bot"},"members":[{"id":"29:ana"}],"tenantId":"t1"}`, "19:new@thread.tacv2;messageid=7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFarEnd(t)
			answer, err := test.call(f.connector(t), f.place())
			if err != nil || !reflect.DeepEqual(answer, test.answer) {
				t.Errorf("gave %v, %v; want %v", answer, err, test.answer)
			}
			calls := f.got()
			if len(calls) != 1 {
				t.Fatalf("%d calls", len(calls))
			}
			got := calls[0]
			address := got.path
			if got.query != "" {
				address += "?" + got.query
			}
			if got.method != test.method || address != test.path || strings.TrimSpace(got.body) != test.body {
				t.Errorf("sent %s %s\n%s\nwant %s %s\n%s", got.method, address, got.body, test.method, test.path, test.body)
			}
			if got.auth != "Bearer "+farToken+"1" || (got.header.Get("Content-Type") == "application/json") != (test.body != "") {
				t.Errorf("sent the headers %v", got.header)
			}
		})
	}
}

// TestIDsAreOneSegment of the path, whatever is in them.
func TestIDsAreOneSegment(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	c := f.connector(t)
	for _, id := range []string{
		"../../../evil", "..%2f..%2fevil", "a/b", `a\b`, "19:abc@thread.tacv2;messageid=1", "a?isTargetedActivity=true", "a#b",
		"a b", "100%", "%2e%2e", "...", "a@evil.example", "//evil.example", "ünï\u2024\u3002", "a\r\nHost: evil.example", "\x00", "29:1-x_y~z.",
	} {
		at := f.place()
		at.Conversation = id
		for name, err := range everyCallTo(t.Context(), c, at, id) {
			if err != nil {
				t.Errorf("%s of %q: %v", name, id, err)
			}
		}
		got := f.got()
		if len(got) != 3 {
			t.Fatalf("%q: %d calls", id, len(got))
		}
		for i, got := range got {
			segments := strings.Split(strings.TrimPrefix(got.path, "/emea/v3/conversations/"), "/")
			if want := []int{2, 3, 3}[i]; len(segments) != want {
				t.Errorf("%q: %s went to %s", id, got.method, got.path)
			}
			segments = slices.Delete(segments, 1, 2) // activities
			for _, segment := range segments {
				if read, err := url.PathUnescape(segment); err != nil || read != id {
					t.Errorf("%q arrived as %q in %s", id, read, got.path)
				}
			}
		}
		f.mu.Lock()
		f.calls = nil
		f.mu.Unlock()
	}
	for _, id := range []string{"", ".", ".."} {
		at := f.place()
		for name, err := range everyCallTo(t.Context(), c, at, id) {
			if name != "send" && !errors.Is(err, errReference) {
				t.Errorf("%s of the id %q: %v, want errReference", name, id, err)
			}
		}
		at.Conversation = id
		if _, err := c.send(t.Context(), at, outgoing{Type: "message"}, false); !errors.Is(err, errReference) {
			t.Errorf("the conversation %q: %v, want errReference", id, err)
		}
	}
}

// everyCallTo makes the calls that name something by its id.
func everyCallTo(ctx context.Context, c *connector, at place, id string) map[string]error {
	message := outgoing{Type: "message", Text: "hi"}
	out := map[string]error{}
	_, out["send"] = c.send(ctx, at, message, false)
	_, out["reply"] = c.reply(ctx, at, id, message)
	out["update"] = c.update(ctx, at, id, message)
	return out
}

// TestServicePathIsKept also where the service is Microsoft's.
func TestServicePathIsKept(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	c := f.connector(t)
	for service, want := range map[string]string{
		"https://smba.trafficmanager.net/emea/":                "/emea/v3/conversations/c/activities",
		"https://smba.trafficmanager.net/emea":                 "/emea/v3/conversations/c/activities",
		"https://SMBA.trafficmanager.net:443/teams/9f2c-11aa/": "/teams/9f2c-11aa/v3/conversations/c/activities",
		"https://smba.trafficmanager.net":                      "/v3/conversations/c/activities",
		f.url + "/_connector":                                  "/_connector/v3/conversations/c/activities",
	} {
		if _, err := c.send(t.Context(), place{service, "c"}, outgoing{Type: "message"}, false); err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		calls := f.got()
		if got := calls[len(calls)-1].path; got != want {
			t.Errorf("%s: went to %s, want %s", service, got, want)
		}
	}
}

// TestAnswersWithoutWhatWasAskedFor are no success, and not final: the next may come from Teams itself.
func TestAnswersWithoutWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{}", "null", `{"id":""}`, `{"id":7}`, "[]", "<html>please log in</html>", `{"id":"1"`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			f := newFarEnd(t)
			f.answers(http.StatusOK, body)
			c, at := f.connector(t), f.place()
			want := map[string]bool{"send": true, "reply": true, "create": true}
			want["update"] = body != "" && !json.Valid([]byte(body))
			want["visit"] = want["update"]
			for name, err := range everyCall(t.Context(), c, at) {
				if errors.Is(err, errEmpty) != want[name] || (err == nil) == want[name] {
					t.Errorf("%s: %v, want errEmpty %t", name, err, want[name])
				}
				if final, _ := meaning(t, sendError(name, err)); final {
					t.Errorf("%s: %v is final", name, err)
				}
			}
		})
	}
	f := newFarEnd(t)
	f.answers(http.StatusCreated, `{"id":"19:new@thread.tacv2;messageid=7"}`)
	n := newConversation{Bot: party{ID: "28:bot"}, Activity: &outgoing{Type: "message"}}
	if _, _, err := f.connector(t).create(t.Context(), f.place().Service, n); !errors.Is(err, errEmpty) {
		t.Errorf("a first message without an id: %v", err)
	}
}

func TestEmptyAnswersDoWhereNothingIsNeeded(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent} {
		f := newFarEnd(t)
		f.answers(status, "")
		c := f.connector(t)
		if err := c.update(t.Context(), f.place(), "7", outgoing{Type: "message"}); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestLongMessagesAreNotSent but those that just fit are, with what looks like markup as it is.
func TestLongMessagesAreNotSent(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	c := f.connector(t)
	frame := len(`{"type":"message","text":""}` + "\n")
	text := strings.Repeat("<", maxMessage-frame)
	if _, err := c.send(t.Context(), f.place(), outgoing{Type: "message", Text: text}, false); err != nil {
		t.Errorf("%d bytes: %v", maxMessage, err)
	}
	_, err := c.send(t.Context(), f.place(), outgoing{Type: "message", Text: text + "<"}, false)
	if final, _ := meaning(t, sendError("post", err)); !errors.Is(err, errTooLarge) || !final {
		t.Errorf("a byte more: %v, final %t", err, final)
	}
	if n := len(f.got()); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
}

// TestConnectionsAreUsedAgain whatever was answered.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, n int) {
		if n%3 == 0 {
			say(w, http.StatusBadGateway, strings.Repeat("x", 10_000))
			return
		}
		succeed(w, r)
	}
	c := f.connector(t)
	for range 5 {
		everyCall(t.Context(), c, f.place())
	}
	if n, calls := f.dials.Load(), len(f.got()); n != 2 || calls != 25 {
		t.Errorf("%d connections for a token and %d calls, want 2 for 25", n, calls)
	}
}

// TestHungConnectorEndsWithContext and with the time-out.
func TestHungConnectorEndsWithContext(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	came, release := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(release) })
	f.answer = func(http.ResponseWriter, *http.Request, int) {
		came <- struct{}{}
		<-release
	}
	c := f.connector(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-came
		cancel()
	}()
	_, err := c.send(ctx, f.place(), outgoing{Type: "message"}, false)
	if final, _ := meaning(t, sendError("post", err)); !errors.Is(err, context.Canceled) || final {
		t.Errorf("given up: %v, final %t", err, final)
	}
	c.timeout = 20 * time.Millisecond
	err = c.update(t.Context(), f.place(), "7", outgoing{Type: "message"})
	if final, _ := meaning(t, sendError("update", err)); !errors.Is(err, context.DeadlineExceeded) || final {
		t.Errorf("timed out: %v, final %t", err, final)
	}
}

// TestConnectorThatCannotBeReached is tried again, and the log does not name the conversation.
func TestConnectorThatCannotBeReached(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	c := f.connector(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request, _ int) { panic(http.ErrAbortHandler) } // hangs up
	for name, err := range everyCall(t.Context(), c, f.place()) {
		if final, wait := meaning(t, sendError(name, err)); err == nil || final || wait != 0 || gone(err) {
			t.Errorf("%s: %v, final %t, wait %v", name, err, final, wait)
		}
		if text := err.Error(); !strings.HasPrefix(text, name+": ") || strings.Contains(text, "19:") || strings.Contains(text, f.url) {
			t.Errorf("%s: says %q", name, text)
		}
	}
}

// TestRedirectsAreNotFollowed and count as a failure that may pass.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Errorf("%d was followed", status) }))
		f := newFarEnd(t)
		f.answers(status, "", "Location", elsewhere.URL+"/v3/conversations")
		for name, err := range everyCall(t.Context(), f.connector(t), f.place()) {
			var answer *connectorError
			if final, _ := meaning(t, sendError(name, err)); !errors.As(err, &answer) || answer.Status != status || final {
				t.Errorf("%s: %d ends in %v, final %t", name, status, err, final)
			}
		}
		elsewhere.Close()
	}
}

// TestEndlessAnswersAreCutOff instead of filling the memory.
func TestEndlessAnswersAreCutOff(t *testing.T) {
	t.Parallel()
	f := newFarEnd(t)
	f.answer = func(w http.ResponseWriter, r *http.Request, _ int) {
		for page := strings.Repeat(" ", 64<<10); r.Context().Err() == nil; {
			if _, err := io.WriteString(w, page); err != nil {
				return
			}
		}
	}
	_, err := f.connector(t).send(t.Context(), f.place(), outgoing{Type: "message"}, false)
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("ended in %v", err)
	}
}
