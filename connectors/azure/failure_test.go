package azure_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

// TestWritesAreSentOnce: below the runner nothing is repeated, whatever the answer; the next call looks, and then
// finishes what was begun.
func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]armfake.Fault{
		"done, and then 503":        {Status: 503, Done: true},
		"not done, and 503":         {Status: 503},
		"done, and then cut off":    {Done: true},
		"not done, and cut off":     {},
		"done, and then 504":        {Status: 504, Done: true},
		"done, and then 500":        {Status: 500, Done: true},
		"done, and then 408":        {Status: 408, Done: true},
		"done, and then redirected": {Status: 307, Done: true, Header: http.Header{"Location": {"https://example.com/"}}},
	} {
		s, c, g := setup(t)
		f.Method = http.MethodPut
		s.Misbehave(f)
		_, err := c.Activate(t.Context(), g)
		wantKind(t, err, connectors.Unavailable)
		if n := count(s, "PUT "); n != 1 {
			t.Errorf("%s: the request was sent %d times in one call", name, n)
		}
		r := give(t, c, g)
		wantHolds(t, s, g, true)
		if r.Already {
			t.Errorf("%s: our own earlier try is taken for standing access", name)
		}
		s.Advance(time.Hour)
		s.Misbehave(f)
		_, err = c.Deactivate(t.Context(), g, r)
		wantKind(t, err, connectors.Unavailable)
		removal, err := c.Deactivate(t.Context(), g, r)
		if want := map[bool]access.Was{true: access.Absent, false: access.Removed}[f.Done]; err != nil || removal.Was != want {
			t.Errorf("%s: the end finds %+v, %v, want %s", name, removal, err, want)
		}
		wantHolds(t, s, g, false)
	}
}

func TestThrottlingSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	for _, part := range []string{"/roleAssignmentScheduleInstances", "/roleManagementPolicyAssignments", "/roleAssignmentScheduleRequests/"} {
		g := grant(s)
		s.Misbehave(armfake.Fault{Part: part, Status: 429, Code: "TooManyRequests", Header: http.Header{"Retry-After": {"17"}}})
		_, err := connect(t, s).Activate(t.Context(), g)
		wantKind(t, err, connectors.Throttled, "429")
		var e *connectors.Error
		if !asError(err, &e) || e.RetryAfter != 17*time.Second {
			t.Errorf("%s: the next try is in %s", part, e.RetryAfter)
		}
	}
}

// TestAnswersThatLie: whether an assignment exists is what the lists say.
func TestAnswersThatLie(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: 400, Code: "RoleAssignmentExists"})
	_, err := c.Activate(t.Context(), g)
	wantKind(t, err, connectors.TooEarly)
	wantHolds(t, s, g, false)

	s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: 400, Code: "RoleAssignmentExists", Done: true})
	r := give(t, c, g)
	if r.Already {
		t.Error("what the answer says exists is taken for standing access; it is ours")
	}
	s.Advance(time.Hour)
	s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: 400, Code: "RoleAssignmentDoesNotExist"})
	_, err = c.Deactivate(t.Context(), g, r)
	wantKind(t, err, connectors.TooEarly)
	wantHolds(t, s, g, true)
	s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: 400, Code: "RoleAssignmentDoesNotExist", Done: true})
	if removal, err := c.Deactivate(t.Context(), g, r); err != nil || removal.Was != access.Removed {
		t.Errorf("a removal that was carried out and denied finds %+v, %v", removal, err)
	}
}

func TestRefusalsAreToldInWords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings armfake.Settings
		change   func(*access.Grant)
		kind     connectors.Kind
		words    []string
	}{
		"MFA":          {settings: armfake.Settings{MFA: true}, kind: connectors.Denied, words: []string{"multifactor", "switch that off"}},
		"ticket":       {settings: armfake.Settings{Ticket: true}, kind: connectors.Denied, words: []string{"ticket", "justification.ticket"}},
		"too long":     {settings: armfake.Settings{Longest: "PT8H"}, change: func(g *access.Grant) { g.End = g.End.Add(8 * time.Hour) }, kind: connectors.Denied, words: []string{"8h at most"}},
		"fails later":  {settings: armfake.Settings{Fails: true}, kind: connectors.Denied, words: []string{"Failed"}},
		"approval":     {settings: armfake.Settings{Approval: true}, kind: connectors.Denied, words: []string{"second approval"}},
		"unknown":      {change: func(g *access.Grant) { g.Person = person(idOf("nobody")) }, kind: connectors.NotFound, words: []string{"object id"}},
		"a name":       {change: func(g *access.Grant) { g.Person = person("ana@example.com") }, kind: connectors.Invalid, words: []string{"object id", "accounts.azure"}},
		"large":        {change: func(g *access.Grant) { g.Person = person(strings.ToUpper(ana)) }, kind: connectors.Invalid, words: []string{"small letters"}},
		"no such role": {change: func(g *access.Grant) { g.Role = role(group, idOf("x")) }, kind: connectors.NotFound, words: []string{"target.role"}},
		"no scope":     {change: func(g *access.Grant) { g.Role = role(group+"x", armfake.Reader) }, kind: connectors.NotFound, words: []string{"404"}},
	} {
		s, c, g := setup(t)
		s.Set(group, armfake.Reader, test.settings)
		if test.change != nil {
			test.change(&g)
		}
		_, err := c.Activate(t.Context(), g)
		wantKind(t, err, test.kind, test.words...)
		wantHolds(t, s, g, false)
		if name == "approval" {
			_, err = c.Deactivate(t.Context(), g, access.Receipt{})
			wantKind(t, err, connectors.TooEarly, "cancelled") // or somebody could still approve it
		}
		if removal, err := c.Deactivate(t.Context(), g, access.Receipt{}); err == nil && removal.Was != access.Absent {
			t.Errorf("%s: undoing it finds %+v", name, removal)
		}
	}
}

// TestRefusalsOfAzureItself: settings that change after we read them are told by Azure, in the same words.
func TestRefusalsOfAzureItself(t *testing.T) {
	t.Parallel()
	for code, test := range map[string]struct {
		status int
		kind   connectors.Kind
		words  string
	}{
		"AuthorizationFailed":                         {403, connectors.Denied, "Role Based Access Control Administrator"},
		"AadPremiumLicenseRequired":                   {400, connectors.Denied, "P2"},
		"ScopeLocked":                                 {409, connectors.Denied, "lock"},
		"PendingRoleAssignmentRequest":                {400, connectors.TooEarly, "Pending"},
		"RoleAssignmentRequestPolicyValidationFailed": {400, connectors.Denied, "settings"},
		"SomethingNew":                                {400, connectors.Invalid, "SomethingNew"},
	} {
		s := tenant(t)
		g := grant(s)
		s.Misbehave(armfake.Fault{Method: http.MethodPut, Status: test.status, Code: code})
		_, err := connect(t, s).Activate(t.Context(), g)
		wantKind(t, err, test.kind, test.words)
	}
}

func TestTicketAndGraceAreUsed(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	s.Set(group, armfake.Reader, armfake.Settings{Ticket: true, Longest: "PT1H"})
	g := grant(s)
	g.Ticket = "INC-4711"
	g.End = s.Now().Add(59*time.Minute + 30*time.Second)
	r := give(t, connect(t, s), g) // an hour is allowed: the grace is cut, not the grant
	if r.NativeEnd.Before(g.End) || r.NativeEnd.Sub(g.End) > time.Minute {
		t.Errorf("Azure ends it at %s, the grant at %s", r.NativeEnd, g.End)
	}
}

func TestWaitingForATokenEndsWithTheCall(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nowhere.Close() }()
	c := connect(t, s, func(cfg *azure.Config) {
		cfg.AuthorityURL, cfg.Timeout = "https://"+nowhere.Addr().String(), time.Minute
	})
	patient, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Check(patient) }) // asks, and is never answered
	conn, err := nowhere.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	hasty, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := c.Check(hasty); !errors.Is(err, context.DeadlineExceeded) || connectors.KindOf(err) != connectors.Unavailable {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a call of 100ms waited %s for another one's token", took)
	}
	giveUp()
	wg.Wait()
}

func TestTheTokenIsAskedForOnce(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	c := connect(t, s)
	for range 3 {
		if err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(s, "/oauth2/v2.0/token"); n != 1 {
		t.Errorf("the token was asked for %d times", n)
	}
}

func TestTheTokenGoesToAzureAlone(t *testing.T) {
	t.Parallel()
	s, other := tenant(t), tenant(t)
	s.NextPageAt(other.URL + "/steal")
	_, err := connect(t, s).Activate(t.Context(), grant(s))
	wantKind(t, err, connectors.Unavailable, "token")
	if sent := other.Sent(); len(sent) != 0 {
		t.Errorf("another machine was asked %q", sent)
	}
}

func TestErrorsKeepNoResponse(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	s.Misbehave(armfake.Fault{Part: "/roleAssignmentScheduleInstances", Status: 403, Code: "AuthorizationFailed"})
	_, err := connect(t, s).Activate(t.Context(), grant(s))
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(interface{ NonRetriable() }); ok {
			t.Errorf("an error of the SDK is in the chain: %T", e)
		}
	}
	wantKind(t, err, connectors.Denied)
}
