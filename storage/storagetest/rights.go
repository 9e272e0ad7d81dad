package storagetest

import (
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func rightChecks() []check {
	return []check{
		{name: "RightIsWorkedByOneAtATime", run: rightIsWorkedByOneAtATime},
		{name: "RightIsOneForBothLanes", run: rightIsOneForBothLanes},
		{name: "RightIsFreeWhenTheLeaseEnds", run: rightIsFreeWhenTheLeaseEnds},
		{name: "RightStaysHeldWhileRenewed", run: rightStaysHeldWhileRenewed},
		{name: "LostClaimKeepsItsRightUntilReleased", run: lostClaimKeepsItsRightUntilReleased},
		{name: "BusyRightDoesNotHoldOthers", run: busyRightDoesNotHoldOthers},
		{name: "SharingGivesWhatMayHold", run: sharingGivesWhatMayHold},
	}
}

var (
	on  = workflows.ActivateLane("pg")
	off = workflows.DeactivateLane("pg")
)

func rightIsWorkedByOneAtATime(e *env) {
	const requests = 5
	records := map[access.RequestID]*access.Record{}
	for range requests {
		r := e.in(access.Activating)
		records[r.ID] = r
	}
	for range requests {
		c := e.claimOne(on)
		e.none("while another works on the right", on)
		if records[c.Request] == nil {
			e.Fatalf("%s was handed out again after it was confirmed", c.Request)
		}
		e.take(records[c.Request], access.Confirm, &c)
		delete(records, c.Request)
	}
	e.none("after all", on)
}

func rightIsOneForBothLanes(e *env) {
	ending := e.in(access.Deactivating)
	starting := e.in(access.Activating)
	c := e.claimOne(off)
	e.none("activation while a deactivation is at work on the right", on)
	r := e.take(ending, access.Retry, &c)
	a := e.claimOne(on)
	e.clock.Advance(r.NextTry.Sub(e.clock.Now()))
	e.none("deactivation while an activation is at work on the right", off)
	e.ok(e.Release(e.Context(), a), "release")
	c = e.claimOne(off)
	e.take(r, access.Close, &c)
	a = e.claimOne(on)
	e.take(starting, access.Confirm, &a)
}

func rightIsFreeWhenTheLeaseEnds(e *env) {
	e.in(access.Activating)
	e.in(access.Activating)
	first := e.claimOne(on)
	e.clock.Advance(lease)
	second := e.claimOne(on)
	e.none("while the second works on the right", on)
	e.ok(e.Release(e.Context(), first), "release of a lost claim")
	if first.Request != second.Request {
		e.none("after the release of a claim that lost the right", on)
	}
}

func rightStaysHeldWhileRenewed(e *env) {
	e.in(access.Activating)
	e.in(access.Activating)
	c := e.claimOne(on)
	for range 4 {
		e.clock.Advance(lease - time.Second)
		e.ok(e.Renew(e.Context(), c, lease), "renew")
		e.none("while the lease is renewed", on)
	}
	e.ok(e.Release(e.Context(), c), "release")
	e.claimOne(on)
}

// A connector may be in the middle of an activation that somebody cancels. Its deactivation must wait for it.
func lostClaimKeepsItsRightUntilReleased(e *env) {
	r := e.in(access.Activating)
	c := e.claimOne(on)
	r = e.take(r, access.Undo, nil)
	e.none("deactivation while the activation is at work", off)
	e.ok(e.Release(e.Context(), c), "release")
	d := e.claimOne(off)
	e.take(r, access.Close, &d)

	r = e.in(access.Activating)
	e.claimOne(on)
	r = e.take(r, access.Undo, nil)
	e.clock.Advance(lease)
	d = e.claimOne(off)
	e.take(r, access.Close, &d)
}

func busyRightDoesNotHoldOthers(e *env) {
	for range 20 {
		e.in(access.Activating)
	}
	e.claimOne(on)
	other := e.in(access.Activating, of("bob"))
	c := e.claimOne(on)
	want(e, "request on another right", c.Request, other.ID)
}

func sharingGivesWhatMayHold(e *env) {
	right := e.draft().Right()
	var holding []access.RequestID
	for _, state := range access.States() {
		r := e.in(state)
		want(e, "right", r.Right(), right)
		e.in(state, of("bob"))
		if state.MayHold() {
			holding = append(holding, r.ID)
		}
	}
	shared, err := e.Sharing(e.Context(), right)
	e.ok(err, "sharing")
	var got []access.RequestID
	for _, r := range shared {
		got = append(got, r.ID)
		stored, err := e.Get(e.Context(), r.ID)
		e.ok(err, "get")
		e.same("shared record", r, stored)
	}
	slices.Sort(got)
	slices.Sort(holding)
	if !slices.Equal(got, holding) {
		e.Errorf("sharing gives %v, want %v", got, holding)
	}
	nothing, err := e.Sharing(e.Context(), "no such right")
	e.ok(err, "sharing")
	want(e, "records that share an unknown right", len(nothing), 0)
}
