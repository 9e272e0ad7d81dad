package attack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// targetSecret is what the target and the connector share.
const targetSecret = "whsec_YXR0YWNrLWNhbmFyeS1hdHRhY2stY2FuYXJ5LWF0dGFjaw=="

// target is a system that people get roles at, for the connector webhook. It believes signed calls alone, keeps who holds
// what by which grant, and counts what was given.
type target struct {
	url string
	key *standardwebhooks.Webhook

	mu    sync.Mutex
	held  map[string]string // grant by account and role
	given map[string]int    // how often, by grant
	calls int
	// do treats a call instead, where it is set: true when it has answered.
	do func(w http.ResponseWriter, r *http.Request, verb string) bool
	// lies is how many deactivations are answered without being done.
	lies int
}

func startTarget(t testing.TB) *target {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(targetSecret)
	if err != nil {
		t.Fatal(err)
	}
	g := &target{key: key, held: map[string]string{}, given: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *target) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || g.key.Verify(body, r.Header) != nil {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	var in struct {
		Grant  string
		Person struct{ Account string }
		Target struct{ Role string }
	}
	if json.Unmarshal(body, &in) != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	verb := path.Base(r.URL.Path)
	g.mu.Lock()
	do := g.do
	g.calls++
	g.mu.Unlock()
	if do != nil && do(w, r, verb) {
		return
	}
	_ = json.NewEncoder(w).Encode(g.effect(verb, in.Grant, in.Person.Account, in.Target.Role))
}

// effect does what a call says, and answers as the protocol wants it.
func (g *target) effect(verb, grant, account, role string) any {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := account + " " + role
	_, held := g.held[name]
	switch verb {
	case "activate":
		g.held[name] = grant
		g.given[grant]++
		return map[string]any{"already": false}
	case "deactivate":
		if g.lies > 0 && held {
			g.lies--
			return map[string]any{"was": "removed"}
		}
		delete(g.held, name)
		return map[string]any{"was": map[bool]string{true: "removed", false: "absent"}[held]}
	case "holders":
		list := []map[string]string{}
		for who, is := range g.held {
			if len(who) > len(role) && who[len(who)-len(role)-1:] == " "+role {
				list = append(list, map[string]string{"account": who[:len(who)-len(role)-1], "grant": is})
			}
		}
		return map[string]any{"holders": list}
	}
	return map[string]any{}
}

// treat has calls treated by a function from now on; nil ends that.
func (g *target) treat(do func(w http.ResponseWriter, r *http.Request, verb string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.do = do
}

// gave is how often a grant was given.
func (g *target) gave(grant string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.given[grant]
}

// holding is how many hold something now.
func (g *target) holding() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.held)
}

// lie has so many endings be answered and not done.
func (g *target) lie(times int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lies = times
}

// holds tells whether an account holds a role.
func (g *target) holds(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held[name] != ""
}

// hold has an account hold a role already, by a grant.
func (g *target) hold(name, grant string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[name] = grant
}
