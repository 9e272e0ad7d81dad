package storagetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// draft is a request that was not submitted yet, by ana for herself, with changes.
func (e *env) draft(changes ...func(*access.Record)) *access.Record {
	now := e.clock.Now()
	r := &access.Record{Schema: access.Schema, Request: access.Request{
		Requester:     "ana",
		Person:        "ana",
		Role:          access.Role{ID: "db-admin", Connector: "pg", Target: map[string]any{"role": "admin", "nested": map[string]any{}}},
		Duration:      2 * time.Hour,
		Justification: "INC-1: „répliquer“ \u202eabc\u202c 🐘 \"quoted\" \\ \n",
		Start:         now.Add(time.Hour),
		SubmittedAt:   now,
		By:            access.Actor{Person: "ana", Via: "slack", Account: "U0ANA"},
		Policy:        "production",
		Account:       "ana",
		Stages:        []access.Stage{{Count: 2, Within: 8 * time.Hour}},
	}}
	for _, change := range changes {
		change(r)
	}
	for range 3 { // ids of a minute may repeat, and a store that knows but one is found out elsewhere
		r.ID = e.NewID(now, r.Right())
		if _, again := e.drawn.LoadOrStore(r.ID, true); !again {
			break
		}
	}
	return r
}

func of(person access.PersonID) func(*access.Record) {
	return func(r *access.Record) { r.Person, r.Requester, r.Account = person, person, string(person) }
}

// step makes the transition of an arrow, with everything in the record that the arrow stands for. Where the table has
// no such arrow, it makes what somebody who did not look at the table would.
func step(r *access.Record, a access.Arrow, now time.Time) workflows.Transition {
	next := *r
	next.Decisions, next.Extensions = slices.Clone(r.Decisions), slices.Clone(r.Extensions)
	next.Version++
	for _, s := range access.Table() {
		if s.Arrow == a && s.To != access.None {
			next.State = s.To
		}
	}
	steps[a](&next, now)
	return workflows.Transition{
		Arrow: a, From: r.State, Record: &next,
		Event: audit.Event{At: now, Kind: string(a), Request: r.ID, Version: next.Version, From: r.State, To: next.State,
			Actor: access.BySystem(), Person: r.Person, Role: r.Role.ID, Connector: r.Role.Connector},
		Notes: []workflows.Note{{Kind: workflows.NoteKind(a), At: now, Actor: access.BySystem(), Version: next.Version}},
	}
}

var steps = map[access.Arrow]func(r *access.Record, now time.Time){
	access.Submit: func(r *access.Record, now time.Time) {
		r.DecideBy, r.RemindAt = now.Add(8*time.Hour), now.Add(4*time.Hour)
	},
	access.Vote:   decide(access.Approve),
	access.Remind: func(r *access.Record, _ time.Time) { r.RemindAt = time.Time{} },
	access.Accept: func(r *access.Record, now time.Time) {
		decide(access.Approve)(r, now)
		r.ApprovedAt, r.StartBy, r.RemindAt = now, now.Add(3*time.Hour), time.Time{}
	},
	access.Refuse:   decide(access.Deny),
	access.Cancel:   closeAt,
	access.Lapse:    closeAt,
	access.Schedule: func(*access.Record, time.Time) {},
	access.Arm: func(r *access.Record, now time.Time) {
		r.EndsAt, r.NextTry = now.Add(r.Duration), now
	},
	access.Retry: func(r *access.Record, now time.Time) {
		r.Attempts, r.NextTry, r.LastError = r.Attempts+1, now.Add(time.Second), "no answer"
	},
	access.Confirm: func(r *access.Record, now time.Time) {
		r.Receipt, r.ActivatedAt, r.NextTry = &access.Receipt{Ref: "x"}, now, time.Time{}
		r.NoticeAt = r.EndsAt.Add(-10 * time.Minute)
	},
	access.Fail:   closeAt,
	access.Undo:   endAt,
	access.Notice: func(r *access.Record, _ time.Time) { r.NoticeAt = time.Time{} },
	access.Extend: func(r *access.Record, now time.Time) {
		to := r.EndsAt.Add(time.Hour)
		r.Extensions = append(r.Extensions, access.Extension{At: now, From: r.EndsAt, To: to})
		r.EndsAt, r.NoticeAt = to, to.Add(-10*time.Minute)
	},
	access.End:   endAt,
	access.Adopt: endAt,
	access.Part: func(r *access.Record, now time.Time) {
		r.EndsAt, r.NextTry = now.Add(r.Duration), now
	},
	access.Overdue: func(r *access.Record, now time.Time) {
		r.Overdue, r.OverdueAt = true, now.Add(2*time.Minute)
	},
	access.Close: func(r *access.Record, now time.Time) {
		r.EndedAt, r.VerifiedAt, r.Removal = now, now, &access.Removal{Was: access.Removed}
		r.Overdue, r.OverdueAt, r.NextTry = false, time.Time{}, time.Time{}
	},
}

func decide(v access.Verdict) func(r *access.Record, now time.Time) {
	return func(r *access.Record, now time.Time) {
		who := access.PersonID(fmt.Sprintf("approver-%d", len(r.Decisions)))
		r.Decisions = append(r.Decisions, access.Decision{Verdict: v, By: access.Actor{Person: who}, At: now, Method: "session"})
	}
}

func closeAt(r *access.Record, now time.Time) {
	by := access.BySystem()
	r.Closed, r.ClosedAt, r.Reason = &by, now, "because"
}

func endAt(r *access.Record, now time.Time) {
	r.EndingAt, r.NextTry, r.OverdueAt, r.NoticeAt, r.Attempts = now, now, now.Add(time.Minute), time.Time{}, 0
}

// ways are how a request gets to each state.
var ways = map[access.State][]access.Arrow{
	access.None:         {},
	access.Pending:      {access.Submit},
	access.Approved:     {access.Submit, access.Accept},
	access.Scheduled:    {access.Submit, access.Accept, access.Schedule},
	access.Activating:   {access.Submit, access.Accept, access.Arm},
	access.Active:       {access.Submit, access.Accept, access.Arm, access.Confirm},
	access.Deactivating: {access.Submit, access.Accept, access.Arm, access.Confirm, access.End},
	access.Denied:       {access.Submit, access.Refuse},
	access.Cancelled:    {access.Submit, access.Cancel},
	access.Lapsed:       {access.Submit, access.Lapse},
	access.Failed:       {access.Submit, access.Accept, access.Arm, access.Fail},
	access.Ended:        {access.Submit, access.Accept, access.Arm, access.Confirm, access.End, access.Close},
}

// in is a stored request in a state; for None, a draft.
func (e *env) in(state access.State, changes ...func(*access.Record)) *access.Record {
	e.Helper()
	r := e.draft(changes...)
	for _, a := range ways[state] {
		r = e.take(r, a, nil)
	}
	return r
}

// take takes an arrow that must succeed, and gives the record as it is then.
func (e *env) take(r *access.Record, a access.Arrow, c *workflows.Claim) *access.Record {
	e.Helper()
	t := step(r, a, e.clock.Now())
	t.Claim = c
	e.ok(e.Take(e.Context(), t), fmt.Sprintf("%s from %q", a, r.State))
	return t.Record
}

// same complains where a record is not what the store should have.
func (e *env) same(what string, got, want *access.Record) {
	e.Helper()
	if g, w := text(got), text(want); g != w {
		e.Errorf("%s: the record differs\n got %s\nwant %s", what, g, w)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
