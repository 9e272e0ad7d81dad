package redis_test

import (
	"errors"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

func decision(by access.PersonID, v access.Verdict) access.Decision {
	return access.Decision{Verdict: v, By: access.Actor{Person: by}, At: time.Now()}
}

// pending is a request that ana makes for bob and that eve has approved once.
func pending(t testing.TB, s *redis.Store, auto bool) *access.Record {
	t.Helper()
	now := time.Now()
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(time.Hour),
		Request: access.Request{Requester: "ana", Person: "bob", Account: "bob", SubmittedAt: now, Duration: time.Hour, Auto: auto,
			Role: access.Role{ID: "db-admin", Connector: "pg"}}}
	r.ID = s.NewID(now, r.Right())
	take(t, s, access.Submit, access.None, r)
	if auto {
		return r
	}
	next := *r
	next.Version, next.Decisions = 2, []access.Decision{decision("eve", access.Approve)}
	take(t, s, access.Vote, access.Pending, &next)
	return &next
}

// The scripts hold a second line of defence behind the rules of workflows.
func TestScriptsRefuseDecisionsThatNobodyMayMake(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	for name, decisions := range map[string][]access.Decision{
		"by the requester":       {decision("eve", access.Approve), decision("ana", access.Approve)},
		"by the beneficiary":     {decision("eve", access.Approve), decision("bob", access.Approve)},
		"by the same person":     {decision("eve", access.Approve), decision("eve", access.Deny)},
		"by the program":         {decision("eve", access.Approve), decision(access.System, access.Approve)},
		"by nobody":              {decision("eve", access.Approve)},
		"by two at once":         {decision("eve", access.Approve), decision("fay", access.Approve), decision("gus", access.Approve)},
		"over another's word":    {decision("fay", access.Approve), decision("gus", access.Approve)},
		"instead of another's":   {decision("fay", access.Approve)},
		"with all words dropped": nil,
	} {
		for _, c := range []struct {
			arrow access.Arrow
			to    access.State
		}{{access.Vote, access.Pending}, {access.Accept, access.Approved}, {access.Refuse, access.Denied}} {
			r := pending(t, s, false)
			next := *r
			next.State, next.Version, next.Decisions = c.to, r.Version+1, decisions
			next.ApprovedAt, next.StartBy = time.Now(), time.Now().Add(time.Hour)
			if err := s.Take(t.Context(), transition(c.arrow, access.Pending, &next)); !errors.Is(err, redis.ErrGuard) {
				t.Errorf("%s %s: %v, want ErrGuard", c.arrow, name, err)
			}
		}
	}
}

func TestScriptsLetThePolicyApproveByItself(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	for _, decisions := range [][]access.Decision{nil, {decision(access.System, access.Approve)}, {decision("eve", access.Approve)}} {
		next := *pending(t, s, true)
		next.State, next.Version, next.Decisions = access.Approved, 2, decisions
		next.ApprovedAt, next.StartBy = time.Now(), time.Now().Add(time.Hour)
		take(t, s, access.Accept, access.Pending, &next)
	}
	next := *pending(t, s, true)
	next.State, next.Version, next.Decisions = access.Approved, 2, []access.Decision{decision("bob", access.Approve)}
	next.ApprovedAt, next.StartBy = time.Now(), time.Now().Add(time.Hour)
	if err := s.Take(t.Context(), transition(access.Accept, access.Pending, &next)); !errors.Is(err, redis.ErrGuard) {
		t.Errorf("the beneficiary's own approval: %v, want ErrGuard", err)
	}
}

func TestScriptsRefuseWhatCouldLeaveAccess(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	now := time.Now()
	for name, c := range map[string]struct {
		from   access.State
		arrow  access.Arrow
		change func(*access.Record)
	}{
		"armed without an end":              {access.Approved, access.Arm, func(r *access.Record) { r.EndsAt = time.Time{} }},
		"armed with an end in the past":     {access.Approved, access.Arm, func(r *access.Record) { r.EndsAt = now.Add(-time.Second) }},
		"armed without an activation":       {access.Approved, access.Arm, func(r *access.Record) { r.NextTry = time.Time{} }},
		"confirmed without a receipt":       {access.Activating, access.Confirm, func(r *access.Record) { r.Receipt = nil }},
		"confirmed without an end":          {access.Activating, access.Confirm, func(r *access.Record) { r.EndsAt = time.Time{} }},
		"extended backwards":                {access.Active, access.Extend, func(r *access.Record) { r.EndsAt = now }},
		"ending without a deactivation":     {access.Active, access.End, func(r *access.Record) { r.NextTry = time.Time{} }},
		"closed without a word":             {access.Deactivating, access.Close, func(r *access.Record) { r.Removal = nil }},
		"for another person":                {access.Active, access.End, func(r *access.Record) { r.Person = "eve" }},
		"for another requester":             {access.Active, access.End, func(r *access.Record) { r.Requester = "eve" }},
		"for another account at the target": {access.Active, access.End, func(r *access.Record) { r.Account = "eve" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := approved(t, s)
			for _, a := range []access.Arrow{access.Arm, access.Confirm, access.End} {
				if r.State == c.from {
					break
				}
				next := onward(r, a)
				take(t, s, a, r.State, next)
				r = next
			}
			next := onward(r, c.arrow)
			c.change(next)
			if err := s.Take(t.Context(), transition(c.arrow, r.State, next)); !errors.Is(err, redis.ErrGuard) {
				t.Errorf("%v, want ErrGuard", err)
			}
			take(t, s, c.arrow, r.State, onward(r, c.arrow))
		})
	}
}

// onward is the record after a sound arrow on the way from approved to ended.
func onward(r *access.Record, a access.Arrow) *access.Record {
	next, now := *r, time.Now()
	next.Version++
	switch a {
	case access.Arm:
		return armed(r)
	case access.Confirm:
		next.State, next.Receipt, next.NextTry = access.Active, &access.Receipt{}, time.Time{}
	case access.Extend:
		next.EndsAt = r.EndsAt.Add(time.Hour)
	case access.End:
		next.State, next.NextTry, next.EndingAt = access.Deactivating, now, now
	case access.Close:
		next.State, next.EndedAt, next.Removal, next.NextTry = access.Ended, now, &access.Removal{Was: access.Removed}, time.Time{}
	}
	return &next
}

func TestTakeRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	r := approved(t, s)
	for name, tr := range map[string]workflows.Transition{
		"no record":             {Arrow: access.Arm},
		"an unknown arrow":      transition("abolish", access.Approved, armed(r)),
		"a part of all scripts": transition("arrow", access.Approved, armed(r)),
		"another's claim":       {Arrow: access.Arm, From: access.Approved, Record: armed(r), Claim: &workflows.Claim{Request: "other"}},
	} {
		if err := s.Take(t.Context(), tr); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := s.Get(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
}
