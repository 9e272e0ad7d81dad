package attack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// reply is an answer of the API.
type reply struct {
	status int
	code   string // of a refusal
	id     string // of the request
	state  access.State
	body   string
}

// call calls the API of the n-th replica with a token.
func (r *rig) call(n int, token, method, path string, body map[string]string, headers ...string) reply {
	if body == nil {
		body = map[string]string{}
	}
	content, err := json.Marshal(body)
	if err != nil {
		r.Errorf("encode a call: %v", err)
	}
	req, err := http.NewRequestWithContext(r.Context(), method, "http://"+r.listen[n]+api.Prefix+path, bytes.NewReader(content))
	if err != nil {
		r.Errorf("make a call: %v", err)
		return reply{}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body) // a cut answer is an answer
	var is struct {
		ID    string
		State access.State
		Code  string
	}
	_ = json.Unmarshal(text, &is) // not all answers are objects
	return reply{status: res.StatusCode, code: is.Code, id: is.ID, state: is.State, body: string(text)}
}

// does has somebody post to the API.
func (r *rig) does(who, path string, body map[string]string) reply {
	return r.call(0, r.turnOf(who), http.MethodPost, path, body)
}

// ask is a request of somebody's, by the API.
func (r *rig) ask(who, role, duration string) string {
	r.Helper()
	got := r.does(who, "/requests", map[string]string{"role": role, "duration": duration, "justification": "look at what is broken"})
	if got.status != http.StatusCreated {
		r.Fatalf("%s asks for %s: %d %s", who, role, got.status, got.body)
	}
	return got.id
}

// approves approves, as it should be done.
func (r *rig) approves(who, id string) {
	r.Helper()
	if got := r.does(who, "/requests/"+id+"/approve", nil); got.status != http.StatusOK {
		r.Fatalf("%s approves: %d %s", who, got.status, got.body)
	}
}

// shown is a request as the auditor sees it.
func (r *rig) shown(id string) api.Request {
	var d api.Request
	got := r.call(0, r.turnOf("aud"), http.MethodGet, "/requests/"+id, nil)
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || got.status != http.StatusOK {
		d.State = access.State(fmt.Sprint("unknown: ", got.status, " ", got.code))
	}
	return d
}

// reach waits until a request is in a state.
func (r *rig) reach(id string, s access.State) {
	r.Helper()
	e2etest.Eventually(r, patience, func() error {
		if is := r.shown(id).State; is != s {
			return fmt.Errorf("%s is %s, not %s", id, is, s)
		}
		return nil
	})
}

// over has bea's request be over, however it stands.
func (r *rig) over(id string) {
	r.Helper()
	gone := r.within(patience, func() bool {
		for _, verb := range []string{"cancel", "end"} {
			r.call(0, r.turnOf("bea"), http.MethodPost, "/requests/"+id+"/"+verb, nil)
		}
		return r.shown(id).State.Terminal()
	})
	if !gone {
		r.Fatalf("%s is %s", id, r.shown(id).State)
	}
}

// turnOf is somebody's next token: each may be used so often a second.
func (r *rig) turnOf(who string) string { return tokenOf(who, int(r.turns.Add(1))%tokensEach) }

// granted has somebody hold a role.
func (r *rig) granted(who, by, role, duration string) string {
	r.Helper()
	id := r.ask(who, role, duration)
	r.approves(by, id)
	r.reach(id, access.Active)
	return id
}

// soon waits for what happens at once where it happens at all. Without the defence it must, however busy the machine is.
func (r *rig) soon(is func() bool) bool {
	if r.out {
		return r.within(patience, is)
	}
	return r.within(5*time.Second, is)
}

// upTo is how long to wait for what the product puts right within a time. Without the defence nothing comes, and a third of a
// minute shows that as well as all of it.
func (r *rig) upTo(d time.Duration) time.Duration {
	if r.out {
		return min(d, 20*time.Second)
	}
	return d
}

// take waits for what a target tells.
func take[T any](s *assault, from <-chan T, missing string) T {
	s.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		s.Fatal(missing)
		panic("unreachable")
	}
}

// within waits for something that may come or not, and tells whether it did.
func (r *rig) within(d time.Duration, is func() bool) bool {
	late := time.After(d)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-late:
			return is()
		case <-r.Context().Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) { r.within(d, func() bool { return false }) }

// message is what the channel in Slack sees of a request.
func (r *rig) message(id string) slackfake.Message {
	r.Helper()
	var found slackfake.Message
	r.slack.Await(r, "the message of "+id, func() bool {
		for _, m := range r.slack.Messages(channel) {
			if b := slackfake.Button(m.Blocks, "approve"); b != nil && b["value"] == id {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// whispers are what people alone were told in the channel so far.
func (r *rig) whispers() int { return len(r.slack.Whispers(channel)) }

// clicks sends something to Slack's endpoint that changes a request or is told off, and tells whether it changed it.
func (r *rig) clicks(id string, send func()) (changed bool) {
	was, heard := r.shown(id), r.whispers()
	send()
	r.within(10*time.Second, func() bool {
		is := r.shown(id)
		changed = is.State != was.State || len(is.Decisions) != len(was.Decisions)
		return changed || r.whispers() > heard
	})
	return changed
}

// presses has an account in Slack press a button of a message.
func (r *rig) presses(account string, m slackfake.Message, button string) slackfake.Ack {
	return r.slack.Send("block_actions", r.slack.As(account).Press(m, button))
}

// types has somebody type a command in Slack, and gives all that they are answered.
func (r *rig) types(account, words string) string {
	r.Helper()
	for range 20 { // a busy machine is told to try again
		before := len(r.toldAlone(account))
		ack := r.slack.As(account).Type(channel, words)
		body := string(ack.Body)
		if ack.Err == nil && len(body) == 0 { // the answer comes later, to the response URL
			r.within(5*time.Second, func() bool { return len(r.toldAlone(account)) > before })
			body = strings.Join(r.toldAlone(account)[before:], "\n")
		}
		if ack.Err == nil && !containsAny(body, "just now", "in time") {
			return body
		}
	}
	r.Fatalf("%s %s: there is never an answer in time", account, words)
	return ""
}

// toldAlone is what somebody alone was told in the channel, as Slack has it.
func (r *rig) toldAlone(account string) []string {
	var all []string
	for _, m := range r.slack.Whispers(channel) {
		if m.To == account {
			blocks, _ := json.Marshal(m.Blocks)
			all = append(all, m.Text+string(blocks))
		}
	}
	return all
}

// db is the Redis, in the hand of somebody who can write to it.
func (r *rig) db() *goredis.Client {
	r.Helper()
	options, err := goredis.ParseURL(r.redis.URL())
	if err != nil {
		r.Fatal(err)
	}
	c := goredis.NewClient(options)
	r.Cleanup(func() { _ = c.Close() })
	return c
}

// events is the audit log as it is now, by request.
func (r *rig) events() map[access.RequestID][]audit.Event {
	r.Helper()
	return e2etest.Logged(r, e2etest.AuditFolders(r.bots...))
}

// logged waits until an event of a request is in the audit log.
func (r *rig) logged(id, kind string) {
	r.Helper()
	if !r.within(patience, func() bool { return count(r.events()[access.RequestID(id)], kind) > 0 }) {
		r.Fatalf("%s of %s is not on record", kind, id)
	}
}

// count is how many events of a kind a request has.
func count(events []audit.Event, kind string) (n int) {
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
