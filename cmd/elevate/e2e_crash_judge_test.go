package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// judgeSecret is what the judge and the connector share.
const judgeSecret = "whsec_anVkZ2UtY2FuYXJ5LWp1ZGdlLWNhbmFyeS1qdWRnZQ=="

// judge is a target for the connector webhook, outside of everything that is tested. It believes signed calls alone,
// keeps who holds its one role, remembers every call with its time, and lets a test step in at either side of an effect.
type judge struct {
	t   testing.TB
	url string // of the replica that is appended to it
	key *standardwebhooks.Webhook

	mu    sync.Mutex
	given map[string]string // the grant by account
	calls []judged
	steps map[moment]func(judged) (lost bool)
	wake  chan struct{} // closed and replaced with every call
	lists int           // how often somebody was told who has the role, and no step was left to take
}

// moment is a point in a call.
type moment struct {
	verb string
	// done is after the effect and before the answer; else the call has come in and has no effect yet.
	done bool
}

func (m moment) String() string {
	if m.done {
		return m.verb + " has had its effect"
	}
	return m.verb + " has come in"
}

// judged is a call as the judge saw it.
type judged struct {
	Replica, Verb, Grant, Account string

	EndsAt  time.Time
	At      time.Time // of the effect
	Changed bool      // access was given or taken by it
}

func startJudge(t testing.TB) *judge {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(judgeSecret)
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{t: t, key: key, given: map[string]string{}, steps: map[moment]func(judged) bool{}, wake: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(j.serve))
	t.Cleanup(server.Close)
	j.url = server.URL + "/"
	return j
}

// once steps into the next call that comes to the moment. A call that is lost has no effect and no answer.
func (j *judge) once(at moment, step func(judged) (lost bool)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps[at] = step
}

func (j *judge) step(at moment, c judged) {
	j.mu.Lock()
	step := j.steps[at]
	delete(j.steps, at)
	j.mu.Unlock()
	if step != nil && step(c) {
		panic(http.ErrAbortHandler)
	}
}

func (j *judge) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	replica, verb := path.Split(r.URL.Path)
	if err != nil || j.key.Verify(body, r.Header) != nil || !strings.HasSuffix(r.Header.Get("webhook-id"), ":"+verb) {
		j.t.Errorf("a call that is not signed as it should be: %s %s", r.URL.Path, body)
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	var in struct {
		Grant  string
		Person struct{ Account string }
		EndsAt time.Time `json:"ends_at"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		j.t.Errorf("a call that is no JSON: %s", body)
		return
	}
	c := judged{Replica: strings.Trim(replica, "/"), Verb: verb, Grant: in.Grant, Account: in.Person.Account, EndsAt: in.EndsAt}
	j.step(moment{verb: verb}, c)
	answer := j.effect(c)
	j.step(moment{verb: verb, done: true}, c)
	if verb == "holders" {
		j.listed()
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller may be dead by now, which is what these tests are for
}

func (j *judge) listed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lists++
	close(j.wake)
	j.wake = make(chan struct{})
}

// swept waits until the sweep that a bot makes when it starts has been answered: a step is not meant for that.
func (j *judge) swept(t testing.TB) {
	t.Helper()
	j.await(t, "the bot asks who has the role", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.lists > 0
	})
}

// effect does what a call says, and answers as the protocol wants it.
func (j *judge) effect(c judged) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, held := j.given[c.Account]
	var answer any
	switch c.Verb {
	case "activate":
		c.Changed = !held
		j.given[c.Account] = c.Grant
		answer = map[string]any{"already": false}
	case "deactivate":
		c.Changed = held
		delete(j.given, c.Account)
		answer = map[string]any{"was": map[bool]string{true: "removed", false: "absent"}[held]}
	case "holders":
		list := []map[string]string{}
		for _, account := range slices.Sorted(maps.Keys(j.given)) {
			list = append(list, map[string]string{"account": account, "grant": j.given[account]})
		}
		answer = map[string]any{"holders": list}
	}
	c.At = time.Now()
	j.calls = append(j.calls, c)
	close(j.wake)
	j.wake = make(chan struct{})
	return answer
}

// holders counts who has the role.
func (j *judge) holders() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.given)
}

// effects are the calls by which a grant's access was given and taken.
func (j *judge) effects(grant string) (given, taken []judged) {
	for _, c := range j.about(grant) {
		switch {
		case !c.Changed:
		case c.Verb == "activate":
			given = append(given, c)
		default:
			taken = append(taken, c)
		}
	}
	return given, taken
}

// about is every call that spoke of a grant.
func (j *judge) about(grant string) []judged {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.calls), func(c judged) bool { return c.Grant != grant })
}

// await waits until something is so; it looks after every call.
func (j *judge) await(t testing.TB, what string, is func() bool) {
	t.Helper()
	late := time.After(patient)
	for {
		j.mu.Lock()
		wake := j.wake
		j.mu.Unlock()
		if is() {
			return
		}
		select {
		case <-wake:
		case <-late:
			t.Fatalf("not within %s: %s", patient, what)
		}
	}
}
