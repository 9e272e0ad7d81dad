package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"elevate/bot/api"
	"elevate/bot/api/apitest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// typed is what a command printed, and the exit code that its error stands for.
type typed struct {
	out  string
	err  error
	code int
}

// clientRun runs a command line with an environment, as the program would.
func clientRun(ctx context.Context, env map[string]string, args ...string) typed {
	root := &cobra.Command{Use: "elevate", SilenceUsage: true, SilenceErrors: true}
	around := clientEnv{getenv: func(name string) string { return env[name] }, now: time.Now, zone: time.UTC,
		poll: 10 * time.Millisecond, retry: time.Millisecond}
	root.AddCommand(newRequestCommand(around), newGrantsCommand(around))
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	t := typed{out: out.String(), err: err}
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		t.code = 2
	case err != nil:
		t.code = 1
	}
	return t
}

// desk is a person at a keyboard, with a server to call.
type desk struct {
	*testing.T
	url string
}

func (d desk) types(who access.PersonID, args ...string) typed {
	d.Helper()
	return clientRun(d.Context(), map[string]string{"ELEVATE_SERVER": d.url, "ELEVATE_TOKEN": apitest.Token(who)}, args...)
}

// expect types a command and compares what it says, with ids, times and the width of columns made alike.
func (d desk) expect(want string, who access.PersonID, args ...string) {
	d.Helper()
	got := d.types(who, args...)
	if got.code != 0 {
		d.Fatalf("elevate %s: %v", strings.Join(args, " "), got.err)
	}
	if alike(got.out) != strings.TrimSpace(want) {
		d.Errorf("elevate %s prints\n%s\nwant\n%s", strings.Join(args, " "), alike(got.out), want)
	}
}

// refuses types a command that must fail, with a code and words of the error.
func (d desk) refuses(code int, words string, who access.PersonID, args ...string) {
	d.Helper()
	got := d.types(who, args...)
	if got.code != code || !strings.Contains(alike(got.err.Error()), words) {
		d.Errorf("elevate %s: code %d, %v; want %d and %q", strings.Join(args, " "), got.code, got.err, code, words)
	}
}

// alike makes ids, times and the width of columns the same in every run.
func alike(s string) string {
	for _, r := range []struct{ pattern, word string }{
		{`\b0[0-9a-z]{4}-[0-9a-z]{5}\b`, "ID"},
		{`(\b\d{4}-\d\d-\d\d )?\b\d\d:\d\d(:\d\d)?\b`, "TIME"},
		{` {2,}`, "  "},
		{`(?m) +$`, ""},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.word)
	}
	return strings.TrimSpace(s)
}

func start(t *testing.T, o apitest.Options) (desk, *apitest.World) {
	t.Helper()
	w := apitest.Start(t, o)
	return desk{t, w.URL}, w
}

// newest is the request submitted last.
func newest(t *testing.T, w *apitest.World) string {
	t.Helper()
	records, _, err := w.Store.List(t.Context(), workflows.Query{Limit: 1})
	if err != nil || len(records) == 0 {
		t.Fatalf("%d requests, %v", len(records), err)
	}
	return string(records[0].ID)
}

func TestClientTellsTheStoryOfAGrant(t *testing.T) {
	t.Parallel()
	d, w := start(t, apitest.Options{})
	d.expect(`
Request ID: prod-db-admin for 1h30m.
Waiting for approval; it lapses at TIME.
Follow it with: elevate grants show ID`,
		"ana", "request", "prod-db-admin", "90m", "INC-4711", "fix", "replication")
	id := newest(t, w)
	d.expect(`
ID  STATE  ROLE  PERSON  DURATION  WHEN  JUSTIFICATION
ID  pending  prod-db-admin  ana  1h30m  decide by TIME  INC-4711 fix replication`, "lea", "grants", "--waiting")
	d.refuses(1, "", "ana", "grants", "approve", id)
	d.expect(`Request ID (prod-db-admin for ana): Approved by lea; it is about to be activated.`, "lea", "grants", "approve", id, "--reason", "go ahead")
	w.Until(t, access.RequestID(id), access.Active)
	d.expect(`
ID  STATE  ROLE  PERSON  DURATION  WHEN  JUSTIFICATION
ID  active  prod-db-admin  ana  1h30m  ends TIME  INC-4711 fix replication`, "ana", "grants", "--mine")
	d.expect(`Request ID (prod-db-admin for ana): Active until TIME.`, "ana", "grants", "extend", strings.ToUpper(id), "30m")
	d.refuses(1, "", "ana", "grants", "extend", id, "9h")
	d.expect(`Request ID (prod-db-admin for ana): Being taken away.`, "ana", "grants", "end", id, "--reason", "done early")
	w.Until(t, access.RequestID(id), access.Ended)
	d.expect("There are none. `elevate grants --all` also lists those that have ended; `elevate request` makes a new one.", "ana", "grants")
	d.expect(`
Request  ID
Status  Ended at TIME. Reason: done early
Role  prod-db-admin
Person  ana
Duration  1h30m
Justification  INC-4711 fix replication
Ticket  INC-4711
Submitted  TIME
Active from  TIME
Ends  TIME
Ended  TIME
Read back  TIME
Decision  approve by lea at TIME (api, token): go ahead
Extended  by ana at TIME to TIME`, "ana", "grants", "show", id)
}

func TestClientListsWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	d, w := start(t, apitest.Options{Paused: true, Now: apitest.Ticking()})
	ana, bob := string(w.Submit(t, "ana", "prod-db-admin").ID), string(w.Submit(t, "bob", "vault-admin").ID)
	d.expect(`Request ID (vault-admin for bob): Cancelled by bob.`, "bob", "grants", "cancel", bob)
	for _, tt := range []struct {
		who   access.PersonID
		flags []string
		want  []string
	}{
		{"adam", nil, []string{ana}},
		{"adam", []string{"--all"}, []string{bob, ana}},
		{"adam", []string{"--all", "--person", "bob"}, []string{bob}},
		{"adam", []string{"--all", "--role", "prod-db-admin"}, []string{ana}},
		{"adam", []string{"--state", "cancelled,denied"}, []string{bob}},
		{"adam", []string{"--mine"}, nil},
		{"bob", []string{"--all"}, []string{bob}},
		{"adam", []string{"--all", "--limit", "1"}, []string{bob}},
	} {
		got := d.types(tt.who, append([]string{"grants", "--json"}, tt.flags...)...)
		var page api.Page
		if err := json.Unmarshal([]byte(got.out), &page); err != nil {
			t.Fatalf("%v: %v, %v", tt.flags, err, got.err)
		}
		var ids []string
		for _, r := range page.Requests {
			ids = append(ids, string(r.ID))
		}
		if strings.Join(ids, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s %v lists %v, want %v", tt.who, tt.flags, ids, tt.want)
		}
	}
	if got := d.types("adam", "grants", "--all", "--limit", "1"); !strings.Contains(got.out, "There are more than 1; --limit shows them.") {
		t.Errorf("a list that was cut reads %s", got.out)
	}
	d.expect(`
ROLE  YOURS TO ASK  USUAL  LONGEST  TITLE
prod-db-admin  yes  1h  4h  Production database admin`, "ana", "grants", "roles", "prod", "data")
	d.expect("No role matches. `elevate grants roles` without words lists all.", "ana", "grants", "roles", "nothing")
}

func TestClientWaitsUntilTheRoleIsActive(t *testing.T) {
	t.Parallel()
	d, w := start(t, apitest.Options{})
	got := d.types("ana", "request", "staging-db", "look at a slow query", "--wait")
	if lines := strings.Split(alike(got.out), "\n"); got.code != 0 || lines[0] != "TIME  Request ID: staging-db for 1h." || lines[len(lines)-1] != "TIME  Active until TIME." {
		t.Errorf("code %d, %v:\n%s", got.code, got.err, got.out)
	}

	waited := make(chan typed)
	go func() { waited <- d.types("ana", "request", "vault-admin", "rotate the keys", "--wait", "--json") }()
	id := pendingOf(t, w, "vault-admin")
	d.expect(`Request ID (vault-admin for ana): Denied by lea. Reason: not today`, "lea", "grants", "deny", string(id), "--reason", "not today")
	got = <-waited
	var r api.Request
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 1 || r.State != access.Denied || !errors.Is(got.err, errNotActive) {
		t.Errorf("code %d, %v, %v:\n%s", got.code, got.err, err, got.out)
	}
}

// pendingOf waits for a pending request of a role.
func pendingOf(t *testing.T, w *apitest.World, role access.RoleID) access.RequestID {
	t.Helper()
	for {
		records, _, err := w.Store.List(t.Context(), workflows.Query{Role: role, Open: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) > 0 {
			return records[0].ID
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("nothing was submitted")
		}
	}
}

func TestClientSaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	d, w := start(t, apitest.Options{Paused: true})
	id := string(w.Submit(t, "ana", "prod-db-admin").ID)
	d.refuses(1, "`elevate grants show ID`", "ana", "request", "prod-db-admin", "INC-4711 once more")
	d.refuses(1, "`elevate grants roles`", "ana", "request", "root", "because I can")
	d.refuses(1, "the server does not know this token. Set ELEVATE_TOKEN", "nobody", "grants")
	d.refuses(1, "`elevate grants --mine`", "eve", "grants", "show", "00000-00000")
	d.refuses(1, "9h is longer than the 4h", "bob", "request", "prod-db-admin", "9h", "INC-1 a long day")
	d.refuses(2, `"42" is not a request's id`, "ana", "grants", "show", "42")
	d.refuses(2, `"long" is not a duration`, "ana", "grants", "extend", id, "long")
	d.refuses(2, "what prod-db-admin is needed for", "ana", "request", "prod-db-admin", "1h")
	d.refuses(2, "--start takes a time", "ana", "request", "prod-db-admin", "words", "--start", "noon")
	d.refuses(2, "requires at least 2 arg(s)", "ana", "request", "prod-db-admin")
	d.refuses(2, "unknown flag: --token", "ana", "grants", "--token", "x")
	d.refuses(2, "unknown command", "ana", "grants", "list")
	d.refuses(2, "exclude each other", "ana", "grants", "--mine", "--person", "bob")
	d.refuses(2, "no other filter", "ana", "grants", "--waiting", "--all")
	d.refuses(2, "a number from 1", "ana", "grants", "--limit", "0")
}

func TestClientGuardsTheToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(apitest.Token("ana")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, _ := start(t, apitest.Options{Paused: true})
	for _, tt := range []struct {
		name  string
		env   map[string]string
		args  []string
		code  int
		words string
	}{
		{"no server", map[string]string{"ELEVATE_TOKEN": "t"}, nil, 2, "say where Elevate is"},
		{"no token", map[string]string{"ELEVATE_SERVER": d.url}, nil, 2, "there is no token"},
		{"no address", map[string]string{"ELEVATE_SERVER": "elevate", "ELEVATE_TOKEN": "t"}, nil, 2, "is not the address of a server"},
		{"a password in the address", map[string]string{"ELEVATE_SERVER": "https://me:t@elevate", "ELEVATE_TOKEN": "t"}, nil, 2, "must not hold a name or password"},
		{"plain http to elsewhere", map[string]string{"ELEVATE_SERVER": "http://elevate.example.com", "ELEVATE_TOKEN": "t"}, nil, 2, "would show the token"},
		{"a token of two lines", map[string]string{"ELEVATE_SERVER": d.url, "ELEVATE_TOKEN": "a\nb"}, nil, 2, "that no token has"},
		{"a missing file", map[string]string{"ELEVATE_SERVER": d.url}, []string{"--token-file", file + "x"}, 1, "read the token"},
		{"a file", map[string]string{"ELEVATE_SERVER": d.url}, []string{"--token-file", file}, 0, ""},
		{"flags before the environment", map[string]string{"ELEVATE_SERVER": "https://elsewhere", "ELEVATE_TOKEN": "t"}, []string{"--server", d.url, "--token-file", file}, 0, ""},
	} {
		got := clientRun(t.Context(), tt.env, append([]string{"grants"}, tt.args...)...)
		if got.code != tt.code || got.err != nil && !strings.Contains(got.err.Error(), tt.words) {
			t.Errorf("%s: code %d, %v; want %d and %q", tt.name, got.code, got.err, tt.code, tt.words)
		}
	}
}

func TestClientSendsALostCallAgainWithItsKey(t *testing.T) {
	t.Parallel()
	_, w := start(t, apitest.Options{Paused: true})
	whole := w.Handler.Handler()
	var calls atomic.Int32
	shaky := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			whole.ServeHTTP(rw, r)
			return
		}
		switch calls.Add(1) {
		case 1: // carried out, and the answer is lost
			whole.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 2:
			http.Error(rw, "upstream is away", http.StatusBadGateway)
		default:
			whole.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(shaky.Close)
	d := desk{t, shaky.URL}
	if got := d.types("ana", "request", "prod-db-admin", "INC-4711 fix replication"); got.code != 0 {
		t.Fatal(got.err)
	}
	records, _, err := w.Store.List(t.Context(), workflows.Query{})
	if err != nil || len(records) != 1 || calls.Load() != 3 {
		t.Errorf("%d requests after %d calls, %v; want 1 after 3", len(records), calls.Load(), err)
	}
}

func TestClientNamesAServerThatIsNoElevate(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		words  string
	}{
		"a page":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "does not answer as Elevate does"},
		"an error":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2J", http.StatusTeapot) }, "not as Elevate does. Check --server"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "sends callers on to"},
	} {
		server := httptest.NewServer(tt.answer)
		got := desk{t, server.URL}.types("ana", "grants")
		server.Close()
		if got.code != 1 || !strings.Contains(got.err.Error(), tt.words) || strings.Contains(got.err.Error(), "\x1b") {
			t.Errorf("%s: code %d, %v", name, got.code, got.err)
		}
		if strings.Contains(got.err.Error(), apitest.Token("ana")) {
			t.Errorf("%s: the error shows the token", name)
		}
		closed := desk{t, server.URL}.types("ana", "grants")
		if closed.code != 1 || !strings.Contains(closed.err.Error(), "cannot reach 127.0.0.1") {
			t.Errorf("a server that is gone: code %d, %v", closed.code, closed.err)
		}
	}
	if seen.Load() != 0 {
		t.Error("a redirect was followed with the token")
	}
}

func TestClientStopsWaitingWhenInterrupted(t *testing.T) {
	t.Parallel()
	d, w := start(t, apitest.Options{Paused: true})
	ctx, interrupt := context.WithCancel(t.Context())
	waited := make(chan typed)
	env := map[string]string{"ELEVATE_SERVER": d.url, "ELEVATE_TOKEN": apitest.Token("ana")}
	go func() { waited <- clientRun(ctx, env, "request", "vault-admin", "rotate the keys", "--wait") }()
	pendingOf(t, w, "vault-admin")
	interrupt()
	if got := <-waited; got.code != 1 || !errors.Is(got.err, context.Canceled) {
		t.Errorf("code %d, %v", got.code, got.err)
	}
}

func TestClientCompletesRoles(t *testing.T) {
	t.Parallel()
	d, _ := start(t, apitest.Options{Paused: true})
	got := d.types("ana", "__complete", "request", "prod")
	if !strings.HasPrefix(got.out, "prod-db-admin\tProduction database admin\n:4") {
		t.Errorf("completion gives %q, %v", got.out, got.err)
	}
	if got := d.types("eve", "__complete", "request", "prod"); strings.Contains(got.out, "prod-db-admin") {
		t.Errorf("eve is offered %q", got.out)
	}
}
