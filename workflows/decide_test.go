package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/policy"
)

func TestNobodyDecidesOnWhatTheyAskedForOrWouldGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := w.submit("ana", "db-admin") // sre may approve, and ana is of it
	for _, via := range []access.Actor{by("ana"), {Person: "ana", Via: "api", Account: "another account"}} {
		for _, v := range []access.Verdict{access.Approve, access.Deny} {
			_, err := w.service.Decide(t.Context(), via, own.ID, workflows.Decision{Verdict: v})
			refusedWith(t, err, access.ErrNotAllowed, policy.CodeSelfApproval)
		}
	}
	behalf, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "web-admin", Justification: "ben needs this one", For: "ben"})
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []access.PersonID{"ana", "ben"} {
		refusedWith(t, w.decide(who, behalf.ID, access.Approve), access.ErrNotAllowed, policy.CodeSelfApproval)
	}
	w.approve("lea", behalf.ID)
}

func TestStagesAreMetInOrderByDifferentPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-owner", Justification: "move the schema"})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	if got := w.get(rec.ID); got.Stage != 1 || got.State != access.Pending {
		t.Fatalf("after the first stage: stage %d, %s", got.Stage, got.State)
	}
	refusedWith(t, w.decide("lea", rec.ID, access.Approve), access.ErrConflict, "already_decided")
	w.approve("leo", rec.ID)
	if got := w.get(rec.ID).State; got != access.Pending {
		t.Fatalf("one of two approvals made it %s", got)
	}
	w.approve("luz", rec.ID)
	if got := w.get(rec.ID).State; got != access.Approved {
		t.Fatalf("all approvals left it %s", got)
	}
}

func TestOneDenialSettles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-admin")
	if err := w.decide("lea", rec.ID, access.Deny); err != nil {
		t.Fatal(err)
	}
	got := w.get(rec.ID)
	if got.State != access.Denied || got.Reason != "because" || got.Closed.Person != "lea" {
		t.Errorf("%s because %q by %v", got.State, got.Reason, got.Closed)
	}
	refusedWith(t, w.decide("leo", rec.ID, access.Approve), access.ErrConflict, "already_settled")
}

func TestStrangersAndTheUnknownDoNotDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-admin")
	refusedWith(t, w.decide("eve", rec.ID, access.Approve), access.ErrNotAllowed, policy.CodeNotApprover)
	refusedWith(t, w.decide("mallory", rec.ID, access.Approve), access.ErrNotAllowed, "unknown_person")
	refusedWith(t, w.decide("lea", "00000-00000", access.Approve), access.ErrNotFound, "no_such_request")
	w.people.set(access.Person{ID: "lea"}) // left the group since
	refusedWith(t, w.decide("lea", rec.ID, access.Approve), access.ErrNotAllowed, policy.CodeNotApprover)
}

func TestWithoutTheDirectoryTheAnswerIsNo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-admin")
	w.people.fail(errors.New("connection refused"))
	refusedWith(t, w.decide("lea", rec.ID, access.Approve), access.ErrUnavailable, "directory_unavailable")
	_, err := w.service.Submit(t.Context(), by("ben"), workflows.Ask{Role: "db-admin", Justification: "INC-1 look at it"})
	refusedWith(t, err, access.ErrUnavailable, "directory_unavailable")
}

func TestAPolicyThatAsksForOtherApprovalsStopsOldRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-admin")
	var changed *workflows.Service
	for name, change := range map[string]func(*policy.Rule){
		"another stage":  func(r *policy.Rule) { r.Approve = append(r.Approve, policy.Approval{By: "true"}) },
		"more approvals": func(r *policy.Rule) { r.Approve[0].Count = 2 },
		"a laxer rule":   func(r *policy.Rule) { r.Approve[0].By = "true" },
	} {
		roles, rules := catalogue()
		change(&rules[2])
		w.config.Policies, _ = policy.Compile(rules, roles)
		var err error
		if changed, err = workflows.New(w.config); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		_, err = changed.Decide(t.Context(), by("lea"), rec.ID, workflows.Decision{Verdict: access.Approve})
		refusedWith(t, err, access.ErrConflict, "policy_changed")
	}
	if _, err := changed.Cancel(t.Context(), by("ana"), rec.ID); err != nil {
		t.Errorf("it cannot even be cancelled: %v", err)
	}
}

func TestBadSubmissionsSayEverythingAtOnceAndLeaveARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Duration: 9 * time.Hour, Justification: "short", Start: noon.Add(-time.Hour)})
	var problems access.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	slices.Sort(fields)
	if want := []string{"duration", "justification", "start"}; !slices.Equal(fields, want) {
		t.Errorf("problems with %v, want %v", fields, want)
	}
	for _, ask := range []workflows.Ask{
		{Role: "no-such-role", Justification: "INC-1 look at it"},
		{Role: "db-admin", Justification: "INC-1 look at it", For: "nobody"},
		{Role: "db-admin", Justification: "INC-1 look at it", For: "eve"},
	} {
		if _, err := w.service.Submit(t.Context(), by("ana"), ask); err == nil {
			t.Errorf("%+v was accepted", ask)
		}
	}
	refusals := w.events("")
	if len(refusals) != 4 {
		t.Fatalf("%d events of 4 refusals", len(refusals))
	}
	for _, e := range refusals {
		if e.Kind != audit.Refused || e.Reason == "" || e.Actor.Person != "ana" || e.Detail["verb"] != "submit" {
			t.Errorf("a refusal is recorded as %+v", e)
		}
	}
}

func TestWhoeverIsTurnedAwayAtTheDoorIsOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.TurnedAway(t.Context(), access.Actor{Via: "slack", Account: "U0GUEST"}, "guest")
	events := w.events("")
	if len(events) != 1 || events[0].Kind != audit.Refused || events[0].Reason != "guest" || events[0].Actor.Account != "U0GUEST" {
		t.Errorf("recorded as %+v", events)
	}
}

func TestTheSameRoleIsNotAskedForTwiceWhileUndecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.submit("ana", "db-admin")
	_, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Justification: "INC-4711 once more"})
	refusedWith(t, err, access.ErrConflict, "already_pending")
	w.submit("ben", "db-admin")
	w.submit("ana", "web-admin")
}

// A thousand clicks on one request by five people through two replicas: one decision, one activation, and everybody
// else is told what had happened.
func TestAThousandClicksMakeOneDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := workflows.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	rec := w.submit("ana", "db-admin")
	replicas := []*workflows.Service{w.service, other}
	var won atomic.Int64
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			var err error
			s := replicas[i%2]
			switch who := []access.PersonID{"lea", "leo", "luz", "ben", "ana"}[i%5]; {
			case who == "ana":
				_, err = s.Cancel(t.Context(), by(who), rec.ID)
			default:
				verdict := []access.Verdict{access.Approve, access.Deny}[i/5%2]
				_, err = s.Decide(t.Context(), by(who), rec.ID, workflows.Decision{Verdict: verdict})
			}
			var refusal *access.Refusal
			switch {
			case err == nil:
				won.Add(1)
			case !errors.As(err, &refusal):
				t.Errorf("click %d: %v", i, err)
			}
		})
	}
	all.Wait()
	decisions := slices.DeleteFunc(w.events(rec.ID), func(e audit.Event) bool { return e.From != access.Pending || e.Kind == audit.Refused })
	// A cancel after an approval that is not active yet is a decision of its own, and allowed.
	if n := len(decisions); n != 1 {
		t.Fatalf("%d clicks decided: %v", n, kinds(decisions))
	}
	if won.Load() > 2 {
		t.Errorf("%d clicks were told that they won", won.Load())
	}
	if got := len(slices.DeleteFunc(w.events(rec.ID), func(e audit.Event) bool { return e.Kind != "arm" })); got > 1 {
		t.Errorf("activated %d times", got)
	}
	unbroken(t, w.events(rec.ID))
}

func TestOnlyThoseConcernedSeeARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.submit("ana", "db-owner")
	for who, sees := range map[access.PersonID]bool{"ana": true, "lea": true, "root": true, "eve": false, "ben": false} {
		_, err := w.service.Request(t.Context(), who, rec.ID)
		if (err == nil) != sees {
			t.Errorf("%s sees it: %v, want %v (%v)", who, err == nil, sees, err)
		}
	}
	_, _, err := w.service.Requests(t.Context(), "eve", workflows.Query{Person: "ana"})
	refusedWith(t, err, access.ErrNotAllowed, "not_yours")
	for who, n := range map[access.PersonID]int{"lea": 1, "ana": 0, "eve": 0} {
		waiting, err := w.service.Waiting(t.Context(), who)
		if err != nil || len(waiting) != n {
			t.Errorf("%d requests wait for %s (%v), want %d", len(waiting), who, err, n)
		}
	}
}

func TestRolesAreFoundByTheirWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for words, want := range map[string]string{"": "[db-admin db-admin-oncall db-owner db-reader web-admin]", "ADM web": "[web-admin]", "db adm": "[db-admin db-admin-oncall]", "nothing": "[]"} {
		offers, err := w.service.Offers(t.Context(), "ana", words, 10)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, o := range offers {
			ids = append(ids, string(o.Role.ID))
		}
		if got := fmt.Sprint(ids); got != want {
			t.Errorf("%q finds %s, want %s", words, got, want)
		}
	}
}
