package chaos_test

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"elevate/workflows/access"
)

// standing is what the model knows of a request between two things that clients see: its state and version, and how much
// was decided and extended. Where AtLeast is set the version is that or a later one.
type standing struct {
	seen
	AtLeast bool
}

// clients are the arrows that people alone cause, by what the API calls them. All others, but those that only a loss of
// the store causes, may be taken by Elevate itself at any time.
var clients = map[string][]access.Arrow{
	submit:  {access.Submit},
	approve: {access.Vote, access.Accept},
	deny:    {access.Refuse},
	cancel:  {access.Cancel, access.Undo},
	end:     {access.End, access.Undo, access.Cancel},
	extend:  {access.Extend},
}

// own tells whether Elevate takes an arrow by itself while nothing is lost.
func own(a access.Arrow) bool {
	switch a {
	case access.Submit, access.Vote, access.Accept, access.Refuse, access.Cancel, access.Extend:
		return false
	}
	return a != "restore" && a != "adopt"
}

// fits tells in which states a refusal is right.
var fits = map[string]func(access.State) bool{
	"already_settled": func(s access.State) bool { return s != access.Pending },
	"already_decided": is(access.Pending),
	"lapsed":          is(access.Pending),
	"already_active":  is(access.Active),
	"already_ending":  is(access.Deactivating),
	"still_pending":   is(access.Pending),
	"not_active":      func(s access.State) bool { return s != access.Active && !s.Terminal() },
	"over":            func(s access.State) bool { return s == access.Deactivating || s.Terminal() },
	"too_long":        is(access.Active),
	"too_late":        is(access.Active),
	"not_yours":       func(access.State) bool { return true },
}

func is(want access.State) func(access.State) bool {
	return func(s access.State) bool { return s == want }
}

// walk gives the states that Elevate by itself can bring a request to in exactly n arrows.
func walk(from access.State, n int64) []access.State {
	at := []access.State{from}
	for range n {
		var next []access.State
		for _, s := range at {
			for _, step := range access.Table() {
				if to, err := access.Next(s, step.Arrow); err == nil && own(step.Arrow) && !slices.Contains(next, to) {
					next = append(next, to)
				}
			}
		}
		at = next
	}
	return at
}

// longest is the greatest number of arrows between any two states, loops not counted.
const longest = 8

// drift gives where a request may stand when it is next looked at, unseen: the version is a later one unless nothing happened.
func (s standing) drift() []standing {
	all := []standing{s}
	known := []access.State{s.State}
	for n := int64(1); n <= longest; n++ {
		for _, to := range walk(s.State, n) {
			if slices.Contains(known, to) {
				continue
			}
			known = append(known, to)
			later := s
			later.State, later.Version, later.AtLeast = to, s.Version+n, true
			all = append(all, later)
		}
	}
	return all
}

// before gives the states that a request may have been in at a version.
func (s standing) before(version int64) []access.State {
	n := version - s.Version
	if n < 0 {
		return nil
	}
	if !s.AtLeast {
		return walk(s.State, n)
	}
	var all []access.State
	for k := range n + 1 {
		all = append(all, walk(s.State, k)...)
	}
	return all
}

// takes gives where a client's arrow leads from a standing.
func (s standing) takes(verb string) []standing {
	var all []standing
	for _, a := range clients[verb] {
		to, err := access.Next(s.State, a)
		if err != nil {
			continue
		}
		next := s
		next.State = to
		next.Version++
		if verb == approve || verb == deny {
			next.Decisions++
		}
		if verb == extend {
			next.Extensions++
		}
		all = append(all, next)
	}
	return all
}

// after gives where a request may stand after an op.
func (s standing) after(o *op) []standing {
	switch {
	case s.State == access.None && o.Verb != submit:
		return nil // it has no id yet that anybody could name
	case o.unknown(): // it was done, at any time since, or it was not
		all := []standing{s}
		for _, at := range s.drift() {
			for _, next := range at.takes(o.Verb) {
				next.AtLeast = true
				all = append(all, next)
			}
		}
		return all
	case o.Refused != "":
		fit := fits[o.Refused]
		return slices.DeleteFunc(s.drift(), func(at standing) bool { return fit == nil || !fit(at.State) })
	case o.Verb == show:
		now := standing{seen: *o.Seen}
		if now.Decisions == s.Decisions && now.Extensions == s.Extensions && slices.Contains(s.before(now.Version), now.State) {
			return []standing{now}
		}
		return nil
	}
	for _, from := range s.before(o.Seen.Version - 1) {
		at := s
		at.State, at.Version, at.AtLeast = from, o.Seen.Version-1, false
		for _, next := range at.takes(o.Verb) {
			if next.seen == *o.Seen {
				return []standing{next}
			}
		}
	}
	return nil
}

// model is one request as its clients see it.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{standing{}} },
		Step: func(state, input, _ any) []any {
			var out []any
			for _, s := range state.(standing).after(input.(*op)) {
				out = append(out, s)
			}
			return out
		},
		DescribeOperation: func(input, _ any) string {
			o := input.(*op)
			return fmt.Sprintf("%s %s %+v %s", o.Who, o.Verb, o.Seen, o.Refused)
		},
	}
	return m.ToModel()
}

// checkTime bounds the search for an order of one request's ops.
const checkTime = 2 * time.Minute

// linearizable gives what no order of the ops explains, request by request.
func linearizable(ops []op) (problems []string) {
	byRequest := map[access.RequestID][]porcupine.Operation{}
	text := map[access.RequestID]string{}
	for i := range ops {
		o := &ops[i]
		if o.Request == "" {
			continue // nobody knows whether it came to be, and nobody else speaks of it
		}
		returned := int64(math.MaxInt64)
		if !o.unknown() {
			returned = o.Returned.UnixNano()
		}
		byRequest[o.Request] = append(byRequest[o.Request], porcupine.Operation{ClientId: len(byRequest[o.Request]), Input: o, Call: o.Called.UnixNano(), Return: returned})
		text[o.Request] += "\n\t" + o.String()
	}
	for id, operations := range byRequest {
		if result := porcupine.CheckOperationsTimeout(model(), operations, checkTime); result != porcupine.Ok {
			problems = append(problems, fmt.Sprintf("%s: no order of what clients saw is one life of a request (%s):%s", id, result, text[id]))
		}
	}
	return problems
}

// String tells an op in a line.
func (o *op) String() string {
	const clock = "15:04:05.000"
	came := "no answer"
	switch {
	case o.Refused != "":
		came = o.Returned.UTC().Format(clock) + " refused: " + o.Refused
	case o.Seen != nil:
		came = fmt.Sprintf("%s %+v", o.Returned.UTC().Format(clock), *o.Seen)
	}
	return fmt.Sprintf("%s %s %s → %s", o.Called.UTC().Format(clock), o.Who, o.Verb, came)
}
