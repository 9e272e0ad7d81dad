package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

func arrowChecks() []check {
	return []check{
		{name: "TakeAcceptsExactlyTheTable", run: takeAcceptsExactlyTheTable},
		{name: "TakeRefusesAStaleVersion", run: takeRefusesAStaleVersion},
		{name: "TakeRefusesAStaleState", run: takeRefusesAStaleState},
		{name: "RefusedTakeWritesNothing", run: refusedTakeWritesNothing},
		{name: "OneOfAThousandTakesWins", run: oneOfAThousandTakesWins},
		{name: "SubmitRefusesAnIDInUse", run: submitRefusesAnIDInUse},
		{name: "IDsAreUnique", run: idsAreUnique},
		{name: "RestoreWritesWhatIsMissingOrOlder", run: restoreWritesWhatIsMissingOrOlder},
		{name: "SafeAnswers", run: func(e *env) { _ = e.Safe(e.Context()) }},
	}
}

func takeAcceptsExactlyTheTable(e *env) {
	for _, state := range append([]access.State{access.None}, access.States()...) {
		for _, s := range access.Table() {
			e.arrowFrom(state, s.Arrow)
		}
	}
}

func (e *env) arrowFrom(state access.State, a access.Arrow) {
	r := e.in(state)
	t := step(r, a, e.clock.Now())
	err := e.Take(e.Context(), t)
	if to, noArrow := access.Next(state, a); noArrow == nil {
		if err != nil {
			e.Errorf("%s from %q: %v, and the table leads to %q", a, state, err, to)
			return
		}
		got, err := e.Get(e.Context(), r.ID)
		e.ok(err, "get")
		e.same(fmt.Sprintf("after %s from %q", a, state), got, t.Record)
		return
	}
	var move *access.MoveError
	if !errors.As(err, &move) && !errors.Is(err, workflows.ErrTaken) {
		e.Errorf("%s from %q: %v, and the table has no such arrow", a, state, err)
	}
	if state == access.None {
		if _, err := e.Get(e.Context(), r.ID); !errors.Is(err, access.ErrNotFound) {
			e.Errorf("%s from nothing: get says %v, want not found", a, err)
		}
		return
	}
	got, err := e.Get(e.Context(), r.ID)
	e.ok(err, "get")
	e.same(fmt.Sprintf("after a refused %s from %q", a, state), got, r)
}

func takeRefusesAStaleVersion(e *env) {
	old := e.in(access.Pending)
	now := e.take(old, access.Vote, nil)
	for _, version := range []int64{old.Version - 1, old.Version, now.Version + 1, now.Version + 100} {
		r := *now
		r.Version = version
		if err := e.Take(e.Context(), step(&r, access.Remind, e.clock.Now())); !errors.Is(err, workflows.ErrStale) {
			e.Errorf("from version %d while the store has %d: %v, want ErrStale", version, now.Version, err)
		}
	}
	got, err := e.Get(e.Context(), now.ID)
	e.ok(err, "get")
	e.same("after stale arrows", got, now)
}

func takeRefusesAStaleState(e *env) {
	r := e.in(access.Approved)
	pending := *r
	pending.State = access.Pending
	if err := e.Take(e.Context(), step(&pending, access.Remind, e.clock.Now())); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("from another state: %v, want ErrStale", err)
	}
	gone := *r
	gone.ID = e.NewID(e.clock.Now(), r.Right())
	if err := e.Take(e.Context(), step(&gone, access.Cancel, e.clock.Now())); !errors.Is(err, workflows.ErrStale) {
		e.Errorf("from a record that is not there: %v, want ErrStale", err)
	}
}

func refusedTakeWritesNothing(e *env) {
	r := e.in(access.Pending)
	e.drainAll()
	e.tellAll()
	stale := *r
	stale.Version += 5
	_ = e.Take(e.Context(), step(&stale, access.Cancel, e.clock.Now())) // that it is refused is another check
	events, err := e.Undrained(e.Context(), 10)
	e.ok(err, "undrained")
	want(e, "events of a refused arrow", len(events), 0)
	for _, chat := range Chats() {
		errands, _, err := e.ClaimErrands(e.Context(), chat, 10, lease)
		e.ok(err, "claim errands")
		want(e, "errands of a refused arrow", len(errands), 0)
	}
	open, _, err := e.List(e.Context(), workflows.Query{Open: true})
	e.ok(err, "list")
	want(e, "open requests after a refused cancellation", len(open), 1)
}

func oneOfAThousandTakesWins(e *env) {
	const racers = 1000
	r := e.in(access.Pending)
	arrows := []access.Arrow{access.Accept, access.Refuse, access.Cancel}
	results := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() { results[i] = e.Take(e.Context(), step(r, arrows[i%len(arrows)], e.clock.Now())) })
	}
	wg.Wait()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won >= 0:
			e.Fatalf("takes %d and %d both won", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, workflows.ErrStale):
			e.Errorf("a losing take: %v, want ErrStale", err)
		}
	}
	if won < 0 {
		e.Fatalf("nobody won")
	}
	got, err := e.Get(e.Context(), r.ID)
	e.ok(err, "get")
	e.same("after the race", got, step(r, arrows[won%len(arrows)], e.clock.Now()).Record)
	events, err := e.Undrained(e.Context(), 10)
	e.ok(err, "undrained")
	want(e, "events of a submission and one decision", len(events), 2)
}

func submitRefusesAnIDInUse(e *env) {
	r := e.in(access.Active)
	again := e.draft(of("bob"))
	again.ID = r.ID
	if err := e.Take(e.Context(), step(again, access.Submit, e.clock.Now())); !errors.Is(err, workflows.ErrTaken) {
		e.Errorf("submission with an id in use: %v, want ErrTaken", err)
	}
	got, err := e.Get(e.Context(), r.ID)
	e.ok(err, "get")
	e.same("after it", got, r)
}

func idsAreUnique(e *env) {
	seen := map[access.RequestID]bool{}
	for range 500 {
		id := e.NewID(e.clock.Now(), "right")
		if parsed, err := access.ParseID(string(id)); err != nil || parsed != id {
			e.Fatalf("%q is not an id: %v", id, err)
		}
		seen[id] = true
	}
	if len(seen) < 498 { // 500 draws from 2 million ids of a minute and shard meet once in 17 runs
		e.Errorf("500 draws gave %d ids", len(seen))
	}
}

// What was lost, or is older than the audit log has it, is written as the log has it: with its timers, and where lists look.
func restoreWritesWhatIsMissingOrOlder(e *env) {
	for _, stored := range []access.State{access.None, access.Pending, access.Active} {
		for _, logged := range []access.State{access.Pending, access.Active, access.Deactivating, access.Denied, access.Ended} {
			e.restores(stored, logged)
		}
	}
}

func (e *env) restores(stored, logged access.State) {
	e.Helper()
	r := e.in(stored)
	want := *r
	now := e.clock.Now()
	for _, a := range ways[logged] {
		t := step(&want, a, now)
		want = *t.Record
	}
	want.Version = r.Version + 3
	t := step(&want, access.Remind, now)
	restore := workflows.Transition{Record: &want, Event: t.Event, Notes: t.Notes}
	what := fmt.Sprintf("from %q to %q", stored, logged)
	for _, fresh := range []bool{true, false} {
		if got, err := e.Restore(e.Context(), restore); err != nil || got != fresh {
			e.Errorf("restore %s: %v, %v; want %v", what, got, err, fresh)
		}
	}
	got, err := e.Get(e.Context(), want.ID)
	e.ok(err, "get")
	e.same("restored "+what, got, &want)
	open, _, err := e.List(e.Context(), workflows.Query{Open: true})
	e.ok(err, "list")
	shared, err := e.Sharing(e.Context(), want.Right())
	e.ok(err, "sharing")
	if len(open) == 1 == logged.Terminal() || len(shared) == 1 != logged.MayHold() {
		e.Errorf("restored %s: %d are open, %d may hold the right", what, len(open), len(shared))
	}
	missing := map[access.Timer]bool{}
	for timer := range want.Due() {
		missing[timer] = true
	}
	for range 3 {
		for _, l := range lanes() {
			e.clock.Advance(4 * time.Hour)
			claims, _, err := e.Claim(e.Context(), l, 100, lease)
			e.ok(err, "claim")
			for _, c := range claims {
				delete(missing, c.Timer)
				e.ok(e.Release(e.Context(), c), "release")
			}
		}
	}
	if len(missing) > 0 {
		e.Errorf("restored %s: the timers %v are not armed", what, missing)
	}
	e.clearTimers()
}
