package access_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"elevate/workflows/access"
)

// wanted is the life of a request as the design draws it: for each state, the arrows that leave it and where they lead.
// It is written out a second time on purpose: a change of the table must be meant twice.
var wanted = map[access.State]map[access.Arrow]access.State{
	access.None: {access.Submit: access.Pending, access.Part: access.Activating, access.Adopt: access.Deactivating},
	access.Pending: {
		access.Vote: access.Pending, access.Remind: access.Pending, access.Accept: access.Approved,
		access.Refuse: access.Denied, access.Cancel: access.Cancelled, access.Lapse: access.Lapsed,
	},
	access.Approved: {
		access.Schedule: access.Scheduled, access.Arm: access.Activating,
		access.Cancel: access.Cancelled, access.Lapse: access.Lapsed,
	},
	access.Scheduled: {access.Arm: access.Activating, access.Cancel: access.Cancelled, access.Lapse: access.Lapsed},
	access.Activating: {
		access.Retry: access.Activating, access.Confirm: access.Active,
		access.Fail: access.Failed, access.Undo: access.Deactivating,
	},
	access.Active: {
		access.Notice: access.Active, access.Extend: access.Active, access.End: access.Deactivating,
		access.Close: access.Ended, access.Confirm: access.Active, access.Retry: access.Active,
	},
	access.Deactivating: {
		access.Retry: access.Deactivating, access.Overdue: access.Deactivating, access.Close: access.Ended,
	},
	access.Denied: {}, access.Cancelled: {}, access.Lapsed: {}, access.Failed: {}, access.Ended: {},
}

func arrows() []access.Arrow {
	var all []access.Arrow
	for _, s := range access.Table() {
		all = append(all, s.Arrow)
	}
	return all
}

func TestTableIsTheDrawnLifeOfARequest(t *testing.T) {
	t.Parallel()
	for _, from := range append(access.States(), access.None) {
		for _, a := range arrows() {
			got, err := access.Next(from, a)
			want, allowed := wanted[from][a]
			var move *access.MoveError
			switch {
			case allowed && (err != nil || got != want):
				t.Errorf("Next(%q, %s) = %q, %v; want %q", from, a, got, err, want)
			case !allowed && !errors.As(err, &move):
				t.Errorf("Next(%q, %s) = %q, %v; want a MoveError", from, a, got, err)
			case !allowed && got != from:
				t.Errorf("Next(%q, %s) moved to %q although it refused", from, a, got)
			}
		}
	}
}

func TestEachArrowStandsOnceInTheTable(t *testing.T) {
	t.Parallel()
	all := arrows()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d rows name %d arrows", len(all), n)
	}
}

func TestEveryStateIsReachedAndEveryOpenStateCanEnd(t *testing.T) {
	t.Parallel()
	reached := map[access.State]bool{}
	var walk func(access.State)
	walk = func(s access.State) {
		if reached[s] {
			return
		}
		reached[s] = true
		for _, next := range wanted[s] {
			walk(next)
		}
	}
	walk(access.None)
	for _, s := range access.States() {
		if !reached[s] {
			t.Errorf("nothing leads to %q", s)
		}
		if s.Terminal() != (len(wanted[s]) == 0) {
			t.Errorf("%q: Terminal() = %v, with %d arrows leaving", s, s.Terminal(), len(wanted[s]))
		}
	}
}

// Whatever is tried, in whatever order, a request stays in the table, comes to at most one terminal state, and never
// skips taking the access away once the target may have given it.
func TestNoSequenceOfArrowsLeavesTheTableOrEndsTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		state, ends, mayHold := access.None, 0, false
		for _, a := range rapid.SliceOfN(rapid.SampledFrom(arrows()), 1, 60).Draw(t, "arrows") {
			next, err := access.Next(state, a)
			if err != nil {
				continue
			}
			if state.Terminal() {
				t.Fatalf("%s left the terminal state %q", a, state)
			}
			if !slices.Contains(access.States(), next) {
				t.Fatalf("%s led to %q, which is no state", a, next)
			}
			if next.Terminal() {
				ends++
				if mayHold && a != access.Close && a != access.Fail {
					t.Fatalf("%s closed a request whose access may stand at the target", a)
				}
			}
			mayHold = next.MayHold()
			state = next
		}
		if ends > 1 {
			t.Fatalf("the request ended %d times", ends)
		}
	})
}
