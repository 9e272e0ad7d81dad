package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/api/apitest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func TestBadInputIsAnsweredWithEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	id := string(c.world.Submit(t, "ana", "vault-admin").ID)
	json := []string{"Content-Type", "application/json"}
	for _, tt := range []struct {
		name         string
		method, path string
		body         string
		headers      []string
		status       int
		want         string
	}{
		{"nothing", "POST", "/requests", ``, json, 400, `role is missing. justification is missing.`},
		{"several fields", "POST", "/requests", `{"duration":"soon","start":"noon","roles":"x","justification":7}`, json, 400, `"field":"start"`},
		{"unknown field", "POST", "/requests", `{"role":"a","justification":"because","approver":"me"}`, json, 400, `\"approver\" is not a field`},
		{"no JSON", "POST", "/requests", `role=a`, json, 400, `one JSON object`},
		{"a form", "POST", "/requests", `role=a`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, `application/json`},
		{"a type that is none", "POST", "/requests", `{}`, []string{"Content-Type", ";"}, 415, `application/json`},
		{"a charset", "POST", "/requests/" + id + "/deny", `{"reason":7}`, []string{"Content-Type", "application/json; charset=utf-8"}, 400, `text in quotes`},
		{"too large", "POST", "/requests", `{"justification":"` + strings.Repeat("x", 64<<10) + `"}`, json, 413, `65536 bytes`},
		{"no ticket", "POST", "/requests", `{"role":"prod-db-admin","justification":"ok","duration":"9h"}`, json, 422, `"field":"ticket"`},
		{"unknown role", "POST", "/requests", `{"role":"root","justification":"because"}`, json, 422, `"code":"no_such_role"`},
		{"unknown person", "POST", "/requests", `{"role":"vault-admin","justification":"because","for":"nobody"}`, json, 403, `"field":"for"`},
		{"a query on a POST", "POST", "/requests?dry=run", submission, json, 400, `\"dry\" is not a parameter`},
		{"a query on a verb", "POST", "/requests/" + id + "/cancel?force=true", ``, json, 400, `unknown_parameter`},
		{"a field on cancel", "POST", "/requests/" + id + "/cancel", `{"reason":"x"}`, json, 400, `no fields are known here`},
		{"no duration", "POST", "/requests/" + id + "/extend", `{}`, json, 400, `duration is missing`},
		{"a negative duration", "POST", "/requests/" + id + "/extend", `{"duration":"-1h"}`, json, 400, `bad_duration`},
		{"no request of that id", "POST", "/requests/00000-00000/approve", ``, json, 404, `no_such_request`},
		{"misspelt filter", "GET", "/requests?sate=active", ``, nil, 400, `\"sate\" is not a parameter`},
		{"query that cannot be read", "GET", "/requests?a=%zz", ``, nil, 400, `bad_query`},
		{"holders of nothing", "GET", "/holders", ``, nil, 400, `role is missing`},
		{"holders of an unknown role", "GET", "/holders?role=root", ``, nil, 404, `no_such_role`},
		{"too many roles", "GET", "/roles?limit=9999", ``, nil, 400, `1 to 1000`},
		{"audit in another format", "GET", "/audit?format=xml", ``, nil, 400, `jsonl or csv`},
		{"audit backwards", "GET", "/audit?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", ``, nil, 400, `bad_span`},
	} {
		who := access.PersonID("ana")
		if tt.method == "GET" {
			who = "adam"
		}
		a := c.as(who, tt.method, tt.path, tt.body, tt.headers...)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.want) || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s, want %d with %s", tt.name, a.StatusCode, a.body, tt.status, tt.want)
		}
	}
	if n := c.count(); n != 1 {
		t.Errorf("there are %d requests, want the 1 from before", n)
	}
}

func TestCallsAreLimitedPerToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: func(cfg *api.Config) {
		cfg.Rate, cfg.Burst, cfg.Now = 10, 2, func() time.Time { return now }
	}})}
	call := func(p access.PersonID, method string) int { return c.as(p, method, "/requests", "{}").StatusCode }
	if got := []int{call("ana", "GET"), call("ana", "GET"), call("ana", "GET"), call("bob", "GET")}; got[1] != 200 || got[2] != 429 || got[3] != 200 {
		t.Errorf("three calls of ana and one of bob: %v", got)
	}
	now = now.Add(100 * time.Millisecond)
	if got := []int{call("ana", "GET"), call("ana", "GET")}; got[0] != 200 || got[1] != 429 {
		t.Errorf("a tenth of a second later: %v", got)
	}
	now = now.Add(time.Hour)
	if got := []int{call("ana", "POST"), call("ana", "POST")}; got[0] != 400 || got[1] != 400 {
		t.Errorf("two acts: %v", got)
	}
	now = now.Add(200 * time.Millisecond)
	if got := []int{call("ana", "POST"), call("ana", "GET")}; got[0] != 429 || got[1] != 200 {
		t.Errorf("an act and a look, soon after: %v", got)
	}
}

// TestARequestTooManyMayBeMadeAgain: the caller is told when, and the same key does not keep it from being made then.
func TestARequestTooManyMayBeMadeAgain(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, Limits: workflows.Limits{Pending: 1}})}
	first := c.world.Submit(t, "ana", "vault-admin")
	headers := []string{"Content-Type", "application/json", "Idempotency-Key", "again"}
	a := c.as("ana", "POST", "/requests", submission, headers...)
	if after, err := strconv.Atoi(a.Header.Get("Retry-After")); a.StatusCode != 429 || err != nil || after < 60 || !strings.Contains(a.body, "too_many_pending") {
		t.Errorf("got %d %s, Retry-After %s", a.StatusCode, a.body, a.Header.Get("Retry-After"))
	}
	if a := c.as("ana", "POST", "/requests/"+string(first.ID)+"/cancel", "{}", headers[:2]...); a.StatusCode != 200 {
		t.Fatalf("cancel: %d %s", a.StatusCode, a.body)
	}
	if a := c.as("ana", "POST", "/requests", submission, headers...); a.StatusCode != 201 {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

func TestAuditLogIsStreamed(t *testing.T) {
	t.Parallel()
	type span struct {
		from, to time.Time
		format   audit.Format
	}
	asked := make(chan span, 10)
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: func(cfg *api.Config) {
		cfg.Export = func(_ context.Context, w io.Writer, from, to time.Time, format audit.Format) error {
			asked <- span{from, to, format}
			if format == audit.CSV {
				return nil // nothing happened
			}
			_, err := io.WriteString(w, "{\"seq\":1}\n{\"seq\":2}\n")
			return err
		}
	}})}
	a := c.as("aud", "GET", "/audit?from=2026-01-01T02:00:00%2B02:00&to=2026-02-01T00:00:00Z", "")
	if a.StatusCode != 200 || a.body != "{\"seq\":1}\n{\"seq\":2}\n" || a.Header.Get("Content-Type") != "application/jsonl" || !strings.Contains(a.Header.Get("Content-Disposition"), "elevate-audit.jsonl") {
		t.Errorf("got %d %v %s", a.StatusCode, a.Header, a.body)
	}
	want := span{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), audit.JSONL}
	if got := <-asked; got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	a = c.as("adam", "GET", "/audit?format=csv", "")
	if a.StatusCode != 200 || a.body != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("an empty export: %d %v %q", a.StatusCode, a.Header, a.body)
	}
}

func TestExportThatFailsIsNotTakenForAWholeOne(t *testing.T) {
	t.Parallel()
	before := true
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: func(cfg *api.Config) {
		cfg.Export = func(_ context.Context, w io.Writer, _, _ time.Time, _ audit.Format) error {
			if before {
				return errFault
			}
			_, err := io.WriteString(w, strings.Repeat("x", 100_000))
			return errors.Join(err, errFault)
		}
	}})}
	if p := decode[api.Problem](t, c.as("aud", "GET", "/audit", ""), 500); p.Code != "internal" {
		t.Errorf("before the first byte: %+v", p)
	}
	before = false
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.world.URL+"/api/v1/audit", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apitest.Token("aud"))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return // cut before the header is as good
	}
	_, err = io.Copy(io.Discard, res.Body)
	if closeErr := res.Body.Close(); err == nil || closeErr != nil {
		t.Errorf("half a log was read to its end without an error (%v)", closeErr)
	}
}

func TestRefusedLooksAreOnRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		who                access.PersonID
		path, verb, reason string
	}{
		{"eve", "/audit", "audit", "not_auditor"},
		{"ana", "/requests?person=bob", "list", "not_yours"},
		{"eve", "/holders?role=prod-db-admin", "holders", "not_eligible"},
		{"gone", "/roles", "call", "unknown_person"},
	} {
		c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: withLog})}
		name := map[bool]string{true: "left-behind", false: apitest.TokenName(tt.who)}[tt.who == "gone"]
		if a := c.as(tt.who, "GET", tt.path, ""); a.StatusCode != 403 {
			t.Fatalf("%s %s: got %d", tt.who, tt.path, a.StatusCode)
		}
		events, err := c.world.Store.Undrained(t.Context(), 10)
		if err != nil || len(events) != 1 {
			t.Fatalf("%s %s: %d events, %v", tt.who, tt.path, len(events), err)
		}
		e := events[0]
		if e.Kind != audit.Refused || e.Reason != tt.reason || e.Detail["verb"] != tt.verb ||
			e.Actor != (access.Actor{Person: tt.who, Via: "api", Account: name, Address: "127.0.0.1"}) {
			t.Errorf("%s %s: on record is %+v", tt.who, tt.path, e)
		}
	}
}

func TestNoAuditLogIsSaid(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	if p := decode[api.Problem](t, c.as("aud", "GET", "/audit", ""), 404); p.Code != "no_audit_log" {
		t.Errorf("got %+v", p)
	}
}

// panics is a store that panics.
type panics struct{ workflows.Store }

func (panics) List(context.Context, workflows.Query) ([]*access.Record, string, error) {
	panic("index out of range: " + apitest.Token("ana"))
}

func TestPanicIsAnInternalErrorWithAReference(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		Store: func(s workflows.Store) workflows.Store { return panics{s} }})}
	p := decode[api.Problem](t, c.as("ana", "GET", "/requests", ""), 500)
	if p.Ref == "" || strings.Contains(p.Detail, "index") || !strings.Contains(logged.String(), p.Ref) {
		t.Errorf("the answer is %+v, the log %s", p, logged.String())
	}
}

func TestTokensNeverReachTheLog(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	f := &faulty{}
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: withLog,
		Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Store:  func(s workflows.Store) workflows.Store { f.Store = s; return f }})}
	f.take.Store(true)
	c.as("ana", "POST", "/requests", submission)
	c.as("ana", "GET", "/audit", "")
	c.as("aud", "GET", "/audit", "")
	c.send(request{method: "GET", path: "/requests", token: "stray-secret"})
	if text := logged.String(); strings.Contains(text, "token-of-") || strings.Contains(text, "stray-secret") || !strings.Contains(text, "api call") {
		t.Errorf("the log reads %s", text)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	hash := api.HashToken("x")
	_, err := api.New(api.Config{Rate: -1, Tokens: []api.Token{
		{Name: "a", Person: "ana", Hash: hash},
		{Name: "a", Person: "ana", Hash: api.HashToken("y")},
		{Name: "b", Person: "ana", Hash: hash},
		{Name: "c", Person: "ana", Hash: "plain-secret"},
		{Name: "d", Person: "ana", Hash: strings.ToUpper(hash)},
		{Name: "", Person: "ana", Hash: api.HashToken("z")},
	}})
	if err == nil {
		t.Fatal("New took all of it")
	}
	for _, want := range []string{"needs Service, Store and Directory", "must not be negative", `name "a" is taken`,
		`token "b" has the same hash as token "a"`, `token "c": hash`, `token "d": hash`, "token 6 needs a name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "plain-secret") {
		t.Errorf("the error shows what was meant to be a hash: %v", err)
	}
}
