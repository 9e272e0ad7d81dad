package storagetest

import (
	"fmt"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func eventChecks() []check {
	return []check{
		{name: "EveryArrowLeavesItsEvent", run: everyArrowLeavesItsEvent},
		{name: "EventsAreInOrder", run: eventsAreInOrder},
		{name: "DrainedEventsAreGone", run: drainedEventsAreGone},
		{name: "RefusalsAreRecorded", run: refusalsAreRecorded},
	}
}

// drainAll forgets all events.
func (e *env) drainAll() {
	e.Helper()
	for {
		events, err := e.Undrained(e.Context(), 100)
		e.ok(err, "undrained")
		if len(events) == 0 {
			return
		}
		var ids []string
		for _, ev := range events {
			ids = append(ids, ev.ID)
		}
		e.ok(e.Drained(e.Context(), ids), "drained")
	}
}

func everyArrowLeavesItsEvent(e *env) {
	r := e.draft()
	for _, a := range []access.Arrow{access.Submit, access.Vote, access.Remind, access.Accept, access.Schedule, access.Arm,
		access.Retry, access.Confirm, access.Notice, access.Extend, access.End, access.Overdue, access.Close} {
		t := step(r, a, e.clock.Now())
		t.Event.Reason, t.Event.Detail = "why <&> \"", map[string]string{"k": "v"}
		e.ok(e.Take(e.Context(), t), string(a))
		events, err := e.Undrained(e.Context(), 10)
		e.ok(err, "undrained")
		if len(events) != 1 {
			e.Fatalf("%d events of %s, want 1", len(events), a)
		}
		if events[0].ID == "" {
			e.Errorf("the event of %s has no id", a)
		}
		t.Event.ID = events[0].ID
		want(e, "event of "+string(a), text(events[0]), text(t.Event))
		e.ok(e.Drained(e.Context(), []string{events[0].ID}), "drained")
		r = t.Record
	}
}

func eventsAreInOrder(e *env) {
	const requests, votes = 3, 12
	records := make([]*access.Record, requests)
	for i := range records {
		records[i] = e.in(access.Pending, of(access.PersonID(fmt.Sprintf("p%d", i))))
	}
	for range votes {
		for i, r := range records {
			records[i] = e.take(r, access.Vote, nil)
		}
	}
	ids := map[string]bool{}
	version := map[access.RequestID]int64{}
	last := map[access.RequestID]string{}
	for total := 0; total < requests*(votes+1); {
		events, err := e.Undrained(e.Context(), 5)
		e.ok(err, "undrained")
		if len(events) == 0 || len(events) > 5 {
			e.Fatalf("%d events at limit 5, after %d of %d", len(events), total, requests*(votes+1))
		}
		var drained []string
		for _, ev := range events {
			if ev.Version != version[ev.Request]+1 {
				e.Errorf("version %d of %s follows %d", ev.Version, ev.Request, version[ev.Request])
			}
			if ids[ev.ID] || ev.ID <= last[ev.Request] {
				e.Errorf("the id %q of %s follows %q", ev.ID, ev.Request, last[ev.Request])
			}
			ids[ev.ID], version[ev.Request], last[ev.Request] = true, ev.Version, ev.ID
			drained = append(drained, ev.ID)
		}
		total += len(events)
		e.ok(e.Drained(e.Context(), drained), "drained")
	}
	rest, err := e.Undrained(e.Context(), 5)
	e.ok(err, "undrained")
	want(e, "events left", len(rest), 0)
}

func drainedEventsAreGone(e *env) {
	e.in(access.Active)
	first, err := e.Undrained(e.Context(), 100)
	e.ok(err, "undrained")
	again, err := e.Undrained(e.Context(), 100)
	e.ok(err, "undrained")
	want(e, "events until they are drained", text(again), text(first))
	if len(first) != 4 {
		e.Fatalf("%d events of an active request, want 4", len(first))
	}
	for range 2 { // forgetting twice is no error
		e.ok(e.Drained(e.Context(), []string{first[1].ID, first[2].ID}), "drained")
	}
	left, err := e.Undrained(e.Context(), 100)
	e.ok(err, "undrained")
	want(e, "events left", text(left), text([]audit.Event{first[0], first[3]}))
	e.ok(e.Drained(e.Context(), nil), "drained of nothing")
	if err := e.Drained(e.Context(), []string{"nonsense"}); err == nil {
		e.Errorf("an id that the store did not give was taken")
	}
}

func refusalsAreRecorded(e *env) {
	r := e.in(access.Pending)
	e.drainAll()
	refusal := audit.Event{At: e.clock.Now().Add(time.Microsecond), Kind: audit.Refused, Request: r.ID, Reason: "self_approval",
		Actor: access.Actor{Person: "ana", Via: "slack", Account: "U0ANA", Address: "192.0.2.1"}}
	general := audit.Event{At: e.clock.Now(), Kind: audit.Refused, Reason: "not_eligible"}
	e.ok(e.Append(e.Context(), refusal), "append")
	e.ok(e.Append(e.Context(), general), "append")
	e.ok(e.Append(e.Context(), general), "append the same again")
	events, err := e.Undrained(e.Context(), 10)
	e.ok(err, "undrained")
	count := map[string]int{}
	for _, ev := range events {
		ev.ID = ""
		count[text(ev)]++
	}
	want(e, "refusals of a request", count[text(refusal)], 1)
	want(e, "refusals of none", count[text(general)], 2)
	errands, _, err := e.ClaimErrands(e.Context(), "slack", 10, lease)
	e.ok(err, "claim errands")
	want(e, "errands beside the submission's", len(errands), 1)
	want(e, "notes beside the submission's", len(errands[0].Notes), 1)
}
