package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

const lease = 30 * time.Second

func timerChecks() []check {
	return []check{
		{name: "TimersAreExactlyDue", run: timersAreExactlyDue},
		{name: "TimersAreNeverEarly", run: timersAreNeverEarly},
		{name: "ClaimIsExclusive", run: claimIsExclusive},
		{name: "ClaimTellsWhatIsNext", run: claimTellsWhatIsNext},
		{name: "ClaimLimits", run: claimLimits},
		{name: "LeaseEnds", run: leaseEnds},
		{name: "RenewProlongs", run: renewProlongs},
		{name: "ReleaseGivesBackAtOnce", run: releaseGivesBackAtOnce},
		{name: "StaleClaimIsRefused", run: staleClaimIsRefused},
		{name: "OtherArrowsLeaveAClaimAlone", run: otherArrowsLeaveAClaimAlone},
		{name: "ArrowsThatMoveATimerEndItsClaim", run: arrowsThatMoveATimerEndItsClaim},
		{name: "EndThatHasComeIsNotMoved", run: endThatHasComeIsNotMoved},
		{name: "ClaimTellsWhoIsAlone", run: claimTellsWhoIsAlone},
		{name: "FinishedTimerIsGone", run: finishedTimerIsGone},
		{name: "ManyWorkersShareTheWork", run: manyWorkersShareTheWork},
		{name: "NudgeTellsOfAnEarlierTimer", run: nudgeTellsOfAnEarlierTimer},
		{name: "NudgesBeginWithAnyLane", run: nudgesBeginWithAnyLane},
	}
}

// lanes are those of the records that the checks make.
func lanes() []workflows.Lane {
	return []workflows.Lane{workflows.Clock, workflows.ActivateLane("pg"), workflows.DeactivateLane("pg")}
}

// claimLanes claims everything that is due.
func (e *env) claimLanes() []workflows.Claim {
	e.Helper()
	var all []workflows.Claim
	for _, l := range lanes() {
		claims, _, err := e.Claim(e.Context(), l, 100, lease)
		e.ok(err, "claim "+string(l))
		for _, c := range claims {
			if c.Lane != l || workflows.LaneOf(c.Timer, "pg") != l {
				e.Errorf("the timer %s came in the lane %q as of %q", c.Timer, l, c.Lane)
			}
		}
		all = append(all, claims...)
	}
	return all
}

// claimOne claims the one timer that must be due in a lane.
func (e *env) claimOne(l workflows.Lane) workflows.Claim {
	e.Helper()
	claims, _, err := e.Claim(e.Context(), l, 100, lease)
	e.ok(err, "claim "+string(l))
	if len(claims) != 1 {
		e.Fatalf("%d timers are due in %s, want 1", len(claims), l)
	}
	return claims[0]
}

// none complains where a timer is due in a lane.
func (e *env) none(what string, l workflows.Lane) {
	e.Helper()
	claims, _, err := e.Claim(e.Context(), l, 100, lease)
	e.ok(err, "claim "+string(l))
	for _, c := range claims {
		e.Errorf("%s: the timer %s of %s was handed out", what, c.Timer, c.Request)
	}
}

func timersAreExactlyDue(e *env) {
	for _, state := range access.States() {
		r := e.in(state)
		due := r.Due()
		missing := maps.Clone(due)
		for _, at := range slices.SortedFunc(maps.Values(due), time.Time.Compare) {
			e.clock.Advance(at.Sub(e.clock.Now()))
			e.strikeOut(r, due, missing)
		}
		for timer := range missing {
			e.Errorf("in %q the timer %s was never due", state, timer)
		}
		e.clock.Advance(24 * time.Hour) // nothing else may be armed for later
		e.strikeOut(r, due, missing)
		e.clearTimers()
	}
}

// strikeOut checks what is due now against the timers that a record should have.
func (e *env) strikeOut(r *access.Record, due, missing map[access.Timer]time.Time) {
	e.Helper()
	for _, l := range lanes() {
		claims, _, err := e.Claim(e.Context(), l, 100, lease)
		e.ok(err, "claim "+string(l))
		e.strikeOutClaims(claims, r, due, missing)
		for _, c := range claims {
			e.ok(e.Release(e.Context(), c), "release") // the timers of the other lane wait for the right
		}
	}
}

func (e *env) strikeOutClaims(claims []workflows.Claim, r *access.Record, due, missing map[access.Timer]time.Time) {
	e.Helper()
	for _, c := range claims {
		at, armed := due[c.Timer]
		switch {
		case c.Request != r.ID || !armed:
			e.Errorf("in %q the timer %s of %s is armed, and Due does not have it", r.State, c.Timer, c.Request)
			continue
		case c.Due.Before(at) || c.Due.Sub(at) >= time.Millisecond:
			e.Errorf("the timer %s says it was due at %s, want %s", c.Timer, c.Due, at)
		case e.clock.Now().Before(at):
			e.Errorf("the timer %s came %s early", c.Timer, at.Sub(e.clock.Now()))
		}
		if c.Record == nil {
			e.Fatalf("the claim on %s has no record", c.Timer)
		}
		e.same("record of the claim", c.Record, r)
		delete(missing, c.Timer)
	}
}

// clearTimers ends what timersAreExactlyDue has left armed, so that it does not mix with the next.
func (e *env) clearTimers() {
	e.Helper()
	open, _, err := e.List(e.Context(), workflows.Query{Open: true})
	e.ok(err, "list")
	for _, r := range open {
		for _, a := range rest[r.State] {
			r = e.take(r, a, nil)
		}
	}
}

// rest is how a request gets from a state to an end.
var rest = map[access.State][]access.Arrow{
	access.Pending:      {access.Cancel},
	access.Approved:     {access.Cancel},
	access.Scheduled:    {access.Cancel},
	access.Activating:   {access.Fail},
	access.Active:       {access.End, access.Close},
	access.Deactivating: {access.Close},
}

func timersAreNeverEarly(e *env) {
	for _, part := range []time.Duration{0, 1, 500 * time.Microsecond, 999999} {
		e.clock.Advance(time.Second + part)
		r := e.in(access.Approved)
		due := e.clock.Now()
		e.take(e.take(r, access.Arm, nil), access.Confirm, nil)
		end := due.Add(r.Duration)
		e.clock.Advance(r.Duration - time.Minute)
		notice := e.claimOne(workflows.Clock)
		want(e, "timer before the end", notice.Timer, access.TimerNotice)
		e.clock.Advance(end.Sub(e.clock.Now()) - 1)
		for _, c := range e.claimLanes() {
			if c.Timer == access.TimerEnd {
				e.Errorf("an end at %s came at %s", end, e.clock.Now())
			}
		}
		e.clock.Advance(time.Millisecond)
		c := e.claimOne(workflows.DeactivateLane("pg"))
		want(e, "timer at the end", c.Timer, access.TimerEnd)
		e.clearTimers()
	}
}

func claimIsExclusive(e *env) {
	e.in(access.Approved)
	e.claimOne(workflows.Clock)
	e.none("while it is leased", workflows.Clock)
	e.clock.Advance(lease - time.Millisecond)
	e.none("just before the lease ends", workflows.Clock)
}

func claimTellsWhatIsNext(e *env) {
	_, next, err := e.Claim(e.Context(), workflows.Clock, 10, lease)
	e.ok(err, "claim")
	if !next.IsZero() {
		e.Errorf("next in an empty lane is %s", next)
	}
	r := e.in(access.Pending)
	claims, next, err := e.Claim(e.Context(), workflows.Clock, 10, lease)
	e.ok(err, "claim")
	want(e, "claims before anything is due", len(claims), 0)
	if !next.Equal(r.RemindAt) {
		e.Errorf("next is %s, want the reminder at %s", next, r.RemindAt)
	}
	e.clock.Advance(4 * time.Hour)
	claims, next, err = e.Claim(e.Context(), workflows.Clock, 0, lease)
	e.ok(err, "claim none")
	want(e, "claims at limit 0", len(claims), 0)
	if next.After(e.clock.Now()) || next.IsZero() {
		e.Errorf("next is %s while a timer is due", next)
	}
}

func claimLimits(e *env) {
	const requests = 40
	for i := range requests {
		e.in(access.Approved, of(access.PersonID(fmt.Sprintf("p%d", i))))
	}
	got := map[access.RequestID]bool{}
	for _, limit := range []int{1, 3, 17, 100} {
		claims, _, err := e.Claim(e.Context(), workflows.Clock, limit, lease)
		e.ok(err, "claim")
		if len(claims) > limit {
			e.Errorf("%d claims at limit %d", len(claims), limit)
		}
		if left := requests - len(got); len(claims) < min(limit, left) {
			e.Errorf("%d claims at limit %d while %d are due", len(claims), limit, left)
		}
		for _, c := range claims {
			if got[c.Request] {
				e.Errorf("%s was handed out twice", c.Request)
			}
			got[c.Request] = true
		}
	}
	want(e, "timers handed out in all", len(got), requests)
}

func leaseEnds(e *env) {
	r := e.in(access.Approved)
	first := e.claimOne(workflows.Clock)
	e.clock.Advance(lease)
	second := e.claimOne(workflows.Clock)
	want(e, "timer after the lease", second.Timer, access.TimerStart)
	if !second.Due.Equal(first.Due) {
		e.Errorf("due was %s and is %s after the lease", first.Due, second.Due)
	}
	if second.Fence <= first.Fence {
		e.Errorf("the fence went from %d to %d", first.Fence, second.Fence)
	}
	t := step(r, access.Arm, e.clock.Now())
	t.Claim = &first
	if err := e.Take(e.Context(), t); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("an arrow with the older claim: %v, want ErrStale", err)
	}
	if err := e.Renew(e.Context(), first, lease); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("renewal of the older claim: %v, want ErrStale", err)
	}
	e.ok(e.Release(e.Context(), first), "release of a lost claim")
	e.none("after the release of a lost claim", workflows.Clock)
	e.take(r, access.Arm, &second)
}

func renewProlongs(e *env) {
	e.in(access.Approved)
	c := e.claimOne(workflows.Clock)
	for range 5 {
		e.clock.Advance(lease - time.Second)
		e.ok(e.Renew(e.Context(), c, lease), "renew")
		e.none("while it is renewed", workflows.Clock)
	}
	e.clock.Advance(lease)
	again := e.claimOne(workflows.Clock)
	want(e, "timer after the renewed lease", again.Timer, access.TimerStart)
}

func releaseGivesBackAtOnce(e *env) {
	r := e.in(access.Approved)
	c := e.claimOne(workflows.Clock)
	e.ok(e.Release(e.Context(), c), "release")
	again := e.claimOne(workflows.Clock)
	if !again.Due.Equal(c.Due) || again.Fence <= c.Fence {
		e.Errorf("after a release: due %s fence %d, before: due %s fence %d", again.Due, again.Fence, c.Due, c.Fence)
	}
	e.ok(e.Release(e.Context(), again), "release")
	t := step(r, access.Arm, e.clock.Now())
	t.Claim = &again
	if err := e.Take(e.Context(), t); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("an arrow with a claim that was given back: %v, want ErrStale", err)
	}
	if err := e.Renew(e.Context(), again, lease); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("renewal of a claim that was given back: %v, want ErrStale", err)
	}
}

func staleClaimIsRefused(e *env) {
	r := e.in(access.Approved)
	c := e.claimOne(workflows.Clock)
	for _, change := range []func(*workflows.Claim){
		func(c *workflows.Claim) { c.Fence-- },
		func(c *workflows.Claim) { c.Fence++ },
		func(c *workflows.Claim) { c.Timer = access.TimerEnd },
	} {
		other := c
		change(&other)
		t := step(r, access.Arm, e.clock.Now())
		t.Claim = &other
		if err := e.Take(e.Context(), t); !errors.Is(err, workflows.ErrStale) {
			e.Errorf("an arrow with the claim %s/%d: %v, want ErrStale", other.Timer, other.Fence, err)
		}
		if err := e.Renew(e.Context(), other, lease); !errors.Is(err, workflows.ErrStale) {
			e.Errorf("renewal of %s/%d: %v, want ErrStale", other.Timer, other.Fence, err)
		}
	}
	e.take(r, access.Arm, &c)
}

// The flag of an overdue deactivation must not make somebody else call the connector beside the one who does.
func otherArrowsLeaveAClaimAlone(e *env) {
	r := e.in(access.Deactivating)
	c := e.claimOne(workflows.DeactivateLane("pg"))
	r = e.take(r, access.Overdue, nil)
	e.none("after an arrow that does not concern it", workflows.DeactivateLane("pg"))
	e.ok(e.Renew(e.Context(), c, lease), "renew")
	r = e.take(r, access.Close, &c)
	got, err := e.Get(e.Context(), r.ID)
	e.ok(err, "get")
	e.same("closed under the claim", got, r)
}

func arrowsThatMoveATimerEndItsClaim(e *env) {
	r := e.in(access.Active)
	e.clock.Advance(r.NoticeAt.Sub(e.clock.Now()))
	notice := e.claimOne(workflows.Clock)
	want(e, "timer before the end", notice.Timer, access.TimerNotice)
	extended := e.take(r, access.Extend, nil)
	if err := e.Renew(e.Context(), notice, lease); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("renewal of a timer that has moved: %v, want ErrStale", err)
	}
	t := step(extended, access.Notice, e.clock.Now())
	t.Claim = &notice
	if err := e.Take(e.Context(), t); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("an arrow with a claim on a timer that has moved: %v, want ErrStale", err)
	}
	e.none("before its new time", workflows.Clock)
	e.clock.Advance(extended.NoticeAt.Sub(e.clock.Now()))
	if again := e.claimOne(workflows.Clock); again.Timer != access.TimerNotice || again.Fence <= notice.Fence {
		e.Errorf("the moved timer is not due with a newer fence: %+v", again)
	}
}

// An end that has come stays where it is, or the access would be taken from a grant that goes on.
func endThatHasComeIsNotMoved(e *env) {
	r := e.in(access.Active)
	e.clock.Advance(r.EndsAt.Sub(e.clock.Now()) - time.Millisecond)
	r = e.take(r, access.Extend, nil)
	e.clock.Advance(r.EndsAt.Sub(e.clock.Now()))
	refused := func(when string) {
		e.Helper()
		if err := e.Take(e.Context(), step(r, access.Extend, e.clock.Now())); err == nil {
			e.Errorf("%s it was extended", when)
		}
	}
	refused("when its time was up")
	c := e.claimOne(workflows.DeactivateLane("pg"))
	e.clock.Advance(-time.Minute) // at a replica whose clock is behind
	refused("while its end was being worked")
	e.clock.Advance(time.Minute)
	closed := e.take(r, access.Close, &c)
	got, err := e.Get(e.Context(), r.ID)
	e.ok(err, "get")
	e.same("closed in one step", got, closed)
}

// A claim tells whether another record may hold the right, since what is shared is not taken away.
func claimTellsWhoIsAlone(e *env) {
	first := e.in(access.Active)
	e.clock.Advance(first.EndsAt.Sub(e.clock.Now()))
	c := e.claimOne(workflows.DeactivateLane("pg"))
	want(e, "alone on the right", c.Alone, true)
	e.ok(e.Release(e.Context(), c), "release")
	e.in(access.Active)
	c = e.claimOne(workflows.DeactivateLane("pg"))
	want(e, "alone beside another grant of the right", c.Alone, false)
}

func finishedTimerIsGone(e *env) {
	r := e.in(access.Approved)
	c := e.claimOne(workflows.Clock)
	r = e.take(r, access.Arm, &c)
	activate := e.claimOne(workflows.ActivateLane("pg"))
	e.take(r, access.Confirm, &activate)
	e.clock.Advance(lease * 2)
	e.none("after the arrow that finished it", workflows.ActivateLane("pg"))
	e.none("after the arrow that finished it", workflows.Clock)
	if err := e.Renew(e.Context(), activate, lease); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("renewal of a finished timer: %v, want ErrStale", err)
	}
	e.ok(e.Release(e.Context(), activate), "release of a finished timer")
	e.none("after the release of a finished timer", workflows.ActivateLane("pg"))
}
