package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret      = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"
	otherSecret = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI="
)

// target is the README's receiver behind a door: it knows the accounts and roles it was told of, keeps what it was
// sent, and misbehaves when told to.
type target struct {
	*receiver
	server *httptest.Server

	mu    sync.Mutex
	known map[string]bool // accounts and roles; none: any
	seen  []seen
	// mood answers in the receiver's place where it returns true; next is the receiver.
	mood func(w http.ResponseWriter, r *http.Request, next http.Handler) bool
}

// seen is a request that came in.
type seen struct {
	method, verb string
	header       http.Header
	body         string
}

type tester interface {
	Helper()
	Fatalf(string, ...any)
	Cleanup(func())
}

func newTarget(t tester, serve func(http.Handler) *httptest.Server) *target {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatalf("key: %v", err)
	}
	f := &target{receiver: &receiver{key: key, standing: map[hold]bool{}, given: map[hold]string{}}}
	f.server = serve(http.StripPrefix("/elevate", http.HandlerFunc(f.open)))
	t.Cleanup(f.server.Close)
	return f
}

// open takes a request in.
func (f *target) open(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.seen = append(f.seen, seen{r.Method, path.Base(r.URL.Path), r.Header, string(body)})
	mood, stranger := f.mood, f.stranger(body)
	f.mu.Unlock()
	if mood != nil && mood(w, r, f.receiver) {
		return
	}
	if stranger {
		http.Error(w, `{"title":"there is no such account or role"}`, http.StatusNotFound)
		return
	}
	f.ServeHTTP(w, r)
}

// stranger tells whether a request speaks of an account or role that the target was not told of. It is locked.
func (f *target) stranger(body []byte) bool {
	var in struct {
		Person *struct{ Account string }
		Target *struct{ Role string }
	}
	if f.known == nil || json.Unmarshal(body, &in) != nil {
		return false
	}
	return in.Person != nil && !f.known[in.Person.Account] || in.Target != nil && !f.known[in.Target.Role]
}

func (f *target) learn(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[name] = true
}

// feel changes the mood.
func (f *target) feel(mood func(http.ResponseWriter, *http.Request, http.Handler) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mood = mood
}

// requests gives what came in, and forgets it.
func (f *target) requests() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.seen
	f.seen = nil
	return out
}

func (f *target) holds(account, role string) bool {
	f.receiver.mu.Lock()
	defer f.receiver.mu.Unlock()
	_, ours := f.given[hold{account, role}]
	return ours || f.standing[hold{account, role}]
}

func (f *target) plant(account, role string) {
	f.receiver.mu.Lock()
	defer f.receiver.mu.Unlock()
	f.standing[hold{account, role}] = true
}

// on makes a mood that lasts for one verb.
func on(verb string, mood func(http.ResponseWriter, *http.Request, http.Handler)) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		if path.Base(r.URL.Path) != verb {
			return false
		}
		mood(w, r, next)
		return true
	}
}

// says answers with a status, a body and headers, given as "Name: value".
func says(status int, body string, headers ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangs says nothing until the caller gives up.
func hangs(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// resets cuts the connection in the middle of an answer.
func resets(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"already":`)
	panic(http.ErrAbortHandler)
}

// lies confirms a removal and does nothing.
func lies(w http.ResponseWriter, r *http.Request, next http.Handler) {
	says(http.StatusOK, `{"was":"removed"}`)(w, r, next)
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func connect(t tester, f *target, change func(*webhook.Config)) *webhook.Connector {
	t.Helper()
	cfg := webhook.Config{URL: f.server.URL + "/elevate", Secret: access.NewSecret(secret)}
	if change != nil {
		change(&cfg)
	}
	c, err := webhook.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func setup(t *testing.T) (*webhook.Connector, *target) {
	t.Helper()
	t.Parallel()
	f := newTarget(t, httptest.NewServer)
	return connect(t, f, nil), f
}

func role(name string) access.Role {
	return access.Role{ID: access.RoleID("id-" + name), Connector: "hooks", Target: map[string]any{"role": name}}
}

func person(account string) access.Person {
	return access.Person{ID: access.PersonID("id-" + account), Email: fmt.Sprintf("%s@example.com", account), Accounts: map[string]string{"hooks": account}}
}

var anasGrant = access.Grant{ID: "07kq4-m2xp9", Person: person("ana"), Role: role("admin"), End: noon}
