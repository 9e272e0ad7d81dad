package chaos_test

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"elevate/workflows/access"
)

// secret is what the target and the connector share.
const secret = "whsec_Y2hhb3MtY2FuYXJ5LWNoYW9zLWNhbmFyeS1jaGFvcw=="

// The verbs of the connector's protocol that matter here.
const (
	activate   = "activate"
	deactivate = "deactivate"
	holders    = "holders"
)

// target is a system that people get roles at, for the connector webhook. It believes signed calls alone, keeps who holds
// what, and a ledger of every call by its own clock. It does nothing for Elevate's comfort: see mood.
type target struct {
	t   testing.TB
	url string // of the replica that is appended to it
	key *standardwebhooks.Webhook

	mu     sync.Mutex
	mood   mood
	held   map[hold]given
	hidden map[hold]time.Time // until when holders keeps quiet about a lie
	traps  map[string]*trap   // by replica
	calls  []*call
}

// hold is one account in one role of the target's.
type hold struct{ account, role string }

// given is who holds what: by which grant, since when, until which promised end.
type given struct {
	grant         access.RequestID
	since, endsAt time.Time
}

// call is an entry of the ledger.
type call struct {
	Replica, Verb string
	Grant         access.RequestID
	Hold          hold
	EndsAt        time.Time // as the call says
	Came          time.Time
	At            time.Time // of the effect; zero: it had none
	Changed       bool      // access was given or taken by it
	Fault         fault     // how it was treated
	Late          time.Duration
}

// answered tells whether the caller was told in time that it is done.
func (c *call) answered() bool {
	return c.Fault == well || c.Fault == lie || c.Fault == slow && c.Late < connectorTimeout*3/4
}

func startTarget(t testing.TB, m mood) *target {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	g := &target{t: t, key: key, mood: m, held: map[hold]given{}, hidden: map[hold]time.Time{}, traps: map[string]*trap{}}
	server := httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(server.Close)
	g.url = server.URL + "/"
	return g
}

// feel changes how the target behaves from now on.
func (g *target) feel(m mood) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mood = m
}

func (g *target) serve(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	body, err := io.ReadAll(r.Body)
	replica, verb := path.Split(r.URL.Path)
	if err != nil {
		return // the caller died while it wrote
	}
	if g.key.Verify(body, r.Header) != nil || !strings.HasSuffix(r.Header.Get("webhook-id"), ":"+verb) {
		g.t.Errorf("a call that is not signed as it should be: %s %s", r.URL.Path, body)
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	var in struct {
		Grant  access.RequestID
		Person struct{ Account string }
		Target struct{ Role string }
		EndsAt time.Time `json:"ends_at"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		g.t.Errorf("a call that is no JSON: %s", body)
		return
	}
	g.treat(w, r, &call{Replica: strings.Trim(replica, "/"), Verb: verb, Grant: in.Grant,
		Hold: hold{in.Person.Account, in.Target.Role}, EndsAt: in.EndsAt, Came: came})
}

// treat answers a call as the target's mood has it.
func (g *target) treat(w http.ResponseWriter, r *http.Request, c *call) {
	if !g.spring(r, c) {
		panic(http.ErrAbortHandler)
	}
	answer := g.act(c)
	switch c.Fault {
	case hang:
		g.wait(r, time.Hour)
		panic(http.ErrAbortHandler)
	case reset, lost:
		cut(w)
		return
	case slow:
		g.wait(r, c.Late)
	case busy:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusTooManyRequests)
		return
	case early:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too early", http.StatusConflict)
		return
	case down:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case denied:
		http.Error(w, "denied", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the caller may be dead by now, which is what these tests are for
}

// act chooses how to treat a call, writes it into the ledger, and gives it its effect where it is to have one.
func (g *target) act(c *call) any {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Fault != held {
		c.Fault, c.Late = g.mood.of(c)
	}
	g.calls = append(g.calls, c)
	switch {
	case c.Fault.hasEffect():
		return g.effect(c)
	case c.Fault == lie:
		return g.pretend(c)
	}
	return nil
}

// effect does what a call says, and answers as the protocol wants it.
func (g *target) effect(c *call) any {
	c.At = time.Now()
	was, held := g.held[c.Hold]
	switch c.Verb {
	case activate:
		c.Changed = !held
		if !held {
			was.since = c.At
		}
		g.held[c.Hold] = given{grant: c.Grant, since: was.since, endsAt: c.EndsAt}
		return map[string]any{"already": false}
	case deactivate:
		c.Changed = held
		delete(g.held, c.Hold)
		return map[string]any{"was": map[bool]string{true: "removed", false: "absent"}[held]}
	case holders:
		return map[string]any{"holders": g.list(c)}
	}
	return map[string]any{}
}

// list is who holds a role, but for those whom it lied about just now.
func (g *target) list(c *call) []map[string]string {
	list := []map[string]string{}
	for h, is := range g.held {
		if h.role == c.Hold.role && c.At.After(g.hidden[h]) {
			list = append(list, map[string]string{"account": h.account, "grant": string(is.grant)})
		}
	}
	return list
}

// pretend answers as if the call had been done, and keeps its list of holders in line with that for a second.
func (g *target) pretend(c *call) any {
	if c.Verb == activate {
		return map[string]any{"already": false}
	}
	g.hidden[c.Hold] = time.Now().Add(time.Second)
	return map[string]any{"was": "removed"}
}

// wait holds an answer up, until the caller or the test goes away.
func (g *target) wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-g.t.Context().Done():
	}
}

// cut resets the connection of a call.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed either way
	}
	_ = conn.Close()
}

// holds is who holds what now.
func (g *target) holds() map[hold]given {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.held)
}

// ledger is every call so far, in the order in which they were treated.
func (g *target) ledger() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]call, len(g.calls))
	for i, c := range g.calls {
		all[i] = *c
	}
	return all
}
