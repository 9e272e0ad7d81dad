package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
)

var rewriteClientGolden = flag.Bool("rewrite-client-golden", false, "write the golden files of the client anew")

// clientStates is a request in every state, and in the states that look different.
func clientStates() []api.Request {
	at := func(clock string) *time.Time {
		t, err := time.Parse(time.DateTime, "2026-03-02 "+clock+":00")
		if err != nil {
			panic(err) // a constant below is wrong
		}
		return &t
	}
	words := func(s string) *string { return &s }
	base := api.Request{ID: "07kq4-m2xp9", Person: "ana", Requester: "ana", Role: "prod-db-admin", Duration: api.Duration(90 * time.Minute),
		Justification: "INC-4711 fix replication", Ticket: words("INC-4711"), SubmittedAt: *at("10:00"),
		Stage: 1, Stages: []api.Stage{{Count: 1}}}
	approval := api.Decision{Verdict: access.Approve, Actor: api.Actor{Person: "lea", Via: "slack"}, At: *at("10:05"), Stage: 1, Method: "session"}
	var all []api.Request
	add := func(s access.State, change func(*api.Request)) {
		r := base
		r.State = s
		if change != nil {
			change(&r)
		}
		all = append(all, r)
	}
	add(access.Pending, func(r *api.Request) { r.DecideBy = at("10:30") })
	add(access.Pending, func(r *api.Request) {
		r.DecideBy, r.Stages, r.Decisions = at("10:30"), []api.Stage{{Count: 2}, {Count: 1}}, []api.Decision{approval}
	})
	add(access.Pending, func(r *api.Request) { r.Stage, r.Stages, r.DecideBy = 0, nil, at("11:00") })
	add(access.Approved, func(r *api.Request) { r.Decisions = []api.Decision{approval} })
	add(access.Scheduled, func(r *api.Request) {
		tomorrow := at("22:00").AddDate(0, 0, 1)
		r.Decisions, r.Start = []api.Decision{approval}, &tomorrow
	})
	add(access.Activating, func(r *api.Request) { r.Attempts, r.LastError = 2, words("connection refused") })
	add(access.Active, func(r *api.Request) { r.ActivatedAt, r.EndsAt = at("10:06"), at("11:36") })
	add(access.Active, func(r *api.Request) { r.EndsAt, r.Receipt = at("11:36"), &api.Receipt{Already: true} })
	add(access.Active, func(r *api.Request) { r.ActivatedAt, r.EndsAt = at("09:06"), at("10:09") }) // its end has come
	add(access.Deactivating, func(r *api.Request) { r.EndingAt = at("11:36") })
	add(access.Deactivating, func(r *api.Request) {
		r.EndingAt, r.Overdue, r.Attempts, r.LastError = at("11:36"), true, 7, words("no route to host")
	})
	add(access.Ended, func(r *api.Request) { r.EndedAt = at("11:36") })
	add(access.Denied, func(r *api.Request) {
		r.ClosedBy, r.ClosedAt, r.Reason = &api.Actor{Person: "lea"}, at("10:07"), words("use the read replica")
	})
	add(access.Cancelled, func(r *api.Request) { r.ClosedBy, r.ClosedAt = &api.Actor{Person: "ana"}, at("10:02") })
	add(access.Lapsed, func(r *api.Request) { r.ClosedAt = at("10:30") })
	add(access.Failed, func(r *api.Request) { r.ClosedAt, r.Reason = at("10:06"), words("the target refused: no such role") })
	add(access.Active, func(r *api.Request) { // somebody who would like to rule other people's terminals
		r.EndsAt, r.Person, r.Requester = at("11:36"), "عائشة", "ana\x1b[2J"
		r.Justification = "first line\nsecond \x1b[31mred\x1b[0m \u202eright to left \U0001f680 and on and on and on and on and on and on"
	})
	return all
}

func TestClientPrintsEveryState(t *testing.T) {
	t.Parallel()
	p := printer{now: func() time.Time { return time.Date(2026, 3, 2, 10, 10, 0, 0, time.UTC) }, zone: time.UTC}
	var out bytes.Buffer
	if err := p.table(&out, clientStates()); err != nil {
		t.Fatal(err)
	}
	for _, r := range clientStates() {
		out.WriteString("\n")
		if err := p.details(&out, r); err != nil {
			t.Fatal(err)
		}
	}
	golden := filepath.Join("testdata", "client", "states.txt")
	if *rewriteClientGolden {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s\n(go test -run PrintsEveryState ./cmd/elevate -rewrite-client-golden)", out.Bytes(), want)
	}
	if bytes.ContainsAny(out.Bytes(), "\x1b\u202e") {
		t.Error("control characters reach the terminal")
	}
}

func TestClientNamesItsOwnCommands(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"Use `/elevate mine` to see yours.":             "Use `elevate grants --mine` to see yours.",
		"See it with `/elevate show 07kq4-m2xp9`.":      "See it with `elevate grants show 07kq4-m2xp9`.",
		"Use `/elevate roles` to find its name.":        "Use `elevate grants roles` to find its name.",
		"Make a new one with `/elevate prod-db-admin`.": "Make a new one with `elevate request prod-db-admin`.",
		"Make a new one with `/elevate mfa-admin`.":     "Make a new one with `elevate request mfa-admin`.",
		"Nothing to change.":                            "Nothing to change.",
		// These are for chat alone.
		"Set one up with `/elevate mfa`, then try again.":        "Set one up in chat with `/elevate mfa`, then try again.",
		"Two can reset it with `/elevate mfa reset ana`.":        "Two can reset it in chat with `/elevate mfa reset ana`.",
		"Type `/elevate link` and sign in again.":                "Type `/elevate link` in chat and sign in again.",
		"Ask one to type `/elevate link confirm ana`.":           "Ask one to type `/elevate link confirm ana` in chat.",
		"Use `/elevate help`, or `/elevate cancel 07kq4-m2xp9`.": "Use `/elevate help` in chat, or `elevate grants cancel 07kq4-m2xp9`.",
	} {
		if got := asTyped(said); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
	}
}
