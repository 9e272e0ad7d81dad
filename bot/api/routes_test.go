package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/api/apitest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// withLog gives the API an audit log of one line.
func withLog(cfg *api.Config) {
	cfg.Export = func(_ context.Context, w io.Writer, _, _ time.Time, _ audit.Format) error {
		_, err := io.WriteString(w, "{}\n")
		return err
	}
}

// route is a call of the table below: what it needs to be there, and who is refused and who is not.
type route struct {
	method, path, body string
	prepare            func(t *testing.T, w *apitest.World) access.RequestID
	wrong              access.PersonID // has a token, and no right
	refused            int
	right              access.PersonID
	done               int
}

func pendingRequest(t *testing.T, w *apitest.World) access.RequestID {
	return w.Submit(t, "ana", "prod-db-admin").ID
}

func activeGrant(t *testing.T, w *apitest.World) access.RequestID { return w.Active(t, "ana").ID }

func routes() []route {
	submission := `{"role":"prod-db-admin","duration":"1h","justification":"replication is broken","ticket":"INC-4711"}`
	return []route{
		{"GET", "/requests", "", pendingRequest, "gone", 403, "ana", 200},
		{"GET", "/requests?person=ana", "", pendingRequest, "bob", 403, "aud", 200},
		{"POST", "/requests", submission, nil, "eve", 403, "ana", 201},
		{"GET", "/requests/{id}", "", pendingRequest, "bob", 404, "ana", 200},
		{"POST", "/requests/{id}/approve", `{"reason":"go ahead"}`, pendingRequest, "ana", 403, "lea", 200},
		{"POST", "/requests/{id}/deny", `{"reason":"not now"}`, pendingRequest, "eve", 403, "lea", 200},
		{"POST", "/requests/{id}/cancel", ``, pendingRequest, "bob", 403, "ana", 200},
		{"POST", "/requests/{id}/end", `{"reason":"done"}`, activeGrant, "bob", 403, "ana", 200},
		{"POST", "/requests/{id}/extend", `{"duration":"30m"}`, activeGrant, "lea", 403, "ana", 200},
		{"GET", "/roles?q=prod", "", nil, "gone", 403, "eve", 200},
		{"GET", "/holders?role=prod-db-admin", "", nil, "eve", 403, "ana", 200},
		{"GET", "/audit", "", nil, "ana", 403, "aud", 200},
		{"GET", "/audit?format=csv", "", nil, "lea", 403, "adam", 200},
	}
}

func TestEveryRouteAsksForTheRightPerson(t *testing.T) {
	t.Parallel()
	for _, r := range routes() {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			t.Parallel()
			c := caller{t, apitest.Start(t, apitest.Options{API: withLog})}
			path := r.path
			if r.prepare != nil {
				path = strings.ReplaceAll(path, "{id}", string(r.prepare(t, c.world)))
			}
			call := request{method: r.method, path: path, body: r.body}
			for _, bad := range []struct {
				name, token string
				headers     []string
			}{
				{"no token", "", nil},
				{"an unknown token", "token-of-nobody", nil},
				{"a token's hash", "sha256:0000000000000000000000000000000000000000000000000000000000000000", nil},
				{"another scheme", "", []string{"Authorization", "Basic " + apitest.Token("adam")}},
				{"a very long token", strings.Repeat("x", 10_000), nil},
			} {
				call.token, call.headers = bad.token, bad.headers
				a := c.send(call)
				if a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") != `Bearer realm="elevate"` {
					t.Errorf("%s: got %d %s", bad.name, a.StatusCode, a.body)
				}
			}
			if a := c.as(r.wrong, r.method, path, r.body); a.StatusCode != r.refused {
				t.Errorf("%s: got %d %s, want %d", r.wrong, a.StatusCode, a.body, r.refused)
			}
			if a := c.as(r.right, r.method, path, r.body); a.StatusCode != r.done {
				t.Errorf("%s: got %d %s, want %d", r.right, a.StatusCode, a.body, r.done)
			}
		})
	}
}

func TestAllBadTokensGetTheSameAnswer(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	want := c.send(request{method: "GET", path: "/requests"})
	for _, token := range []string{"x", apitest.Token("ana") + "x", strings.ToUpper(apitest.Token("ana")), "a b"} {
		got := c.send(request{method: "GET", path: "/requests", token: token})
		if got.StatusCode != want.StatusCode || got.body != want.body {
			t.Errorf("token %q: got %d %s", token, got.StatusCode, got.body)
		}
	}
}

// decode reads the document of an answer.
func decode[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	var doc T
	if a.StatusCode != status {
		t.Fatalf("got %d %s, want %d", a.StatusCode, a.body, status)
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return doc
}

func TestLifeOfARequest(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{})}
	sent := c.as("ana", "POST", "/requests", `{"role":"vault-admin","duration":"90m","justification":"rotate <the> & keys"}`)
	r := decode[api.Request](t, sent, 201)
	if r.State != access.Pending || r.Person != "ana" || r.Requester != "ana" || r.Duration != api.Duration(90*time.Minute) ||
		r.Justification != "rotate <the> & keys" || r.DecideBy == nil || r.ActivatedAt != nil || r.Stage != 1 {
		t.Errorf("submitted: %+v", r)
	}
	if !strings.Contains(sent.body, `"duration":"1h30m"`) || !strings.Contains(sent.body, `"ticket":null`) || !strings.Contains(sent.body, `"decisions":[]`) {
		t.Errorf("the document reads %s", sent.body)
	}
	if loc := sent.Header.Get("Location"); loc != "/api/v1/requests/"+string(r.ID) {
		t.Errorf("Location is %q", loc)
	}
	path := "/requests/" + string(r.ID)
	spoken := strings.ToUpper(strings.ReplaceAll(string(r.ID), "-", ""))
	if got := decode[api.Request](t, c.as("ana", "GET", "/requests/"+spoken, ""), 200); got.ID != r.ID {
		t.Errorf("the id as it is read aloud finds %s", got.ID)
	}

	r = decode[api.Request](t, c.as("lea", "POST", path+"/approve", `{"reason":"go"}`), 200)
	if r.State != access.Pending || len(r.Decisions) != 1 {
		t.Errorf("after one of two approvals: %+v", r)
	}
	r = decode[api.Request](t, c.as("leo", "POST", path+"/approve", ""), 200)
	if r.State != access.Approved || r.Decisions[0].Method != "token" || r.Decisions[0].Via != "api" || *r.Decisions[0].Reason != "go" || r.DecideBy != nil {
		t.Errorf("after both: %+v", r)
	}
	c.world.Until(t, r.ID, access.Active)
	r = decode[api.Request](t, c.as("ana", "GET", path, ""), 200)
	if r.State != access.Active || r.ActivatedAt == nil || r.EndsAt == nil || r.Receipt == nil || r.EndedAt != nil {
		t.Errorf("active: %+v", r)
	}
	before := *r.EndsAt
	r = decode[api.Request](t, c.as("ana", "POST", path+"/extend", `{"duration":"30m"}`), 200)
	if !r.EndsAt.Equal(before.Add(30*time.Minute)) || len(r.Extensions) != 1 {
		t.Errorf("extended: %+v", r)
	}
	held := decode[api.Holders](t, c.as("aud", "GET", "/holders?role=vault-admin", ""), 200)
	if len(held.Holders) != 1 || !held.Holders[0].Ours || *held.Holders[0].Grant != string(r.ID) {
		t.Errorf("holders: %+v", held)
	}
	decode[api.Request](t, c.as("lea", "POST", path+"/end", `{"reason":"enough"}`), 200)
	c.world.Until(t, r.ID, access.Ended)
	r = decode[api.Request](t, c.as("ana", "GET", path, ""), 200)
	if r.EndedAt == nil || r.VerifiedAt == nil || r.Removal == nil || r.Removal.Was != access.Removed || r.ClosedBy.Person != "lea" || *r.Reason != "enough" {
		t.Errorf("ended: %+v", r)
	}
	p := decode[api.Problem](t, c.as("ana", "POST", path+"/end", ""), 409)
	if p.Code != "over" || p.Title != "Conflict" || p.Type != "about:blank" || p.Status != 409 || p.Detail == "" {
		t.Errorf("ending it twice: %+v", p)
	}
}

func TestRequestsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, Now: apitest.Ticking()})}
	w := c.world
	first, second := w.Submit(t, "ana", "prod-db-admin").ID, w.Submit(t, "bob", "prod-db-admin").ID
	third := w.Submit(t, "ana", "vault-admin").ID
	decode[api.Request](t, c.as("ana", "POST", "/requests/"+string(first)+"/cancel", "{}"), 200)
	for _, tt := range []struct {
		who   access.PersonID
		query string
		want  []access.RequestID
	}{
		{"adam", "", []access.RequestID{third, second, first}},
		{"aud", "?mine=true", nil},
		{"aud", "?person=ana", []access.RequestID{third, first}},
		{"ana", "", []access.RequestID{third, first}},
		{"ana", "?mine=true&open=true", []access.RequestID{third}},
		{"adam", "?state=cancelled", []access.RequestID{first}},
		{"adam", "?state=cancelled&state=pending&role=prod-db-admin", []access.RequestID{second, first}},
		{"adam", "?state=cancelled,pending&role=prod-db-admin", []access.RequestID{second, first}},
		{"adam", "?since=2999-01-01T00:00:00Z", nil},
		{"lea", "?waiting=true", []access.RequestID{second, third}},
		{"ana", "?waiting=true", nil},
	} {
		got := decode[api.Page](t, c.as(tt.who, "GET", "/requests"+tt.query, ""), 200)
		if ids(got.Requests) != ids2(tt.want) || got.Next != nil {
			t.Errorf("%s %q: got %s, want %s", tt.who, tt.query, ids(got.Requests), ids2(tt.want))
		}
	}
	var all []api.Request
	for cursor := ""; ; {
		page := decode[api.Page](t, c.as("adam", "GET", "/requests?limit=2"+cursor, ""), 200)
		all = append(all, page.Requests...)
		if page.Next == nil {
			break
		}
		cursor = "&cursor=" + *page.Next
	}
	if ids(all) != ids2([]access.RequestID{third, second, first}) {
		t.Errorf("page by page: %s", ids(all))
	}
}

func ids(rs []api.Request) string {
	out := make([]access.RequestID, len(rs))
	for i, r := range rs {
		out[i] = r.ID
	}
	return ids2(out)
}

func ids2(rs []access.RequestID) string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = string(r)
	}
	return strings.Join(out, " ")
}

func TestRolesTellWhatAFormNeeds(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	type roles struct{ Roles []api.Role }
	all := decode[roles](t, c.as("ana", "GET", "/roles", ""), 200)
	if len(all.Roles) != 3 {
		t.Fatalf("got %d roles", len(all.Roles))
	}
	one := decode[roles](t, c.as("ana", "GET", "/roles?q=prod+data", ""), 200)
	if len(one.Roles) != 1 {
		t.Fatalf("got %d roles", len(one.Roles))
	}
	r := one.Roles[0]
	if r.ID != "prod-db-admin" || !r.Eligible || r.Duration.Max.String() != "4h" || r.Duration.Default.String() != "1h" ||
		r.Justification.Ticket == nil || r.Justification.MinLength != 5 || len(r.Stages) != 1 || r.Labels["env"] != "prod" || !r.Capabilities.EndsSessions {
		t.Errorf("got %+v", r)
	}
	if none := decode[roles](t, c.as("eve", "GET", "/roles?limit=1", ""), 200); len(none.Roles) != 1 || none.Roles[0].Eligible {
		t.Errorf("eve sees %+v", none)
	}
}

func TestServiceAccountAsksForAPerson(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true})}
	r := decode[api.Request](t, c.as("svc-deploy", "POST", "/requests",
		`{"role":"prod-db-admin","justification":"deploy window","ticket":"CHG-1","for":"ana","start":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`), 201)
	if r.Requester != "svc-deploy" || r.Person != "ana" || r.Start == nil || *r.Ticket != "CHG-1" || r.Duration.String() != "1h" {
		t.Errorf("got %+v", r)
	}
}

func TestHeadAndOptionsAreAnswered(t *testing.T) {
	t.Parallel()
	c := caller{t, apitest.Start(t, apitest.Options{Paused: true, API: withLog})}
	for _, path := range []string{"/requests", "/audit", "/openapi.json"} {
		if a := c.as("adam", http.MethodHead, path, ""); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD %s: %d %q", path, a.StatusCode, a.body)
		}
	}
	if a := c.as("adam", http.MethodOptions, "/requests", ""); a.StatusCode != 204 || a.Header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
	for _, path := range []string{"/", "/nothing", "/requests/07kq4-m2xp9/approve/twice", "/requests/not-an-id"} {
		if a := c.as("adam", "GET", path, ""); a.StatusCode != 404 || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s: %d %s", path, a.StatusCode, a.body)
		}
	}
}
