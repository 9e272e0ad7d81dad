package storagetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

// FactorStore is a store of factors with the trail that it leaves.
type FactorStore interface {
	factor.Store
	Undrained(ctx context.Context, limit int) ([]audit.Event, error)
}

// limits are small, so that a check reaches them soon.
var limits = factor.Limits{Tries: 3, Lock: 30 * time.Minute, Row: 7}

// factors is what a check of factors works with.
type factors struct {
	*testing.T
	FactorStore
	clock *Clock
}

// RunFactors checks the promise of factor.Store, each part of it on a fresh store.
func RunFactors(t *testing.T, open func(t TB, clock *Clock) FactorStore) {
	for name, run := range map[string]func(f *factors){
		"StepsGoInOrder":           stepsGoInOrder,
		"StraysEndAnEnrolment":     straysEndAnEnrolment,
		"ACodeIsSpentOnce":         aCodeIsSpentOnce,
		"TriesRunOut":              triesRunOut,
		"ALockEnds":                aLockEnds,
		"TooManyInARowDisable":     tooManyInARowDisable,
		"OneAdministratorIsTooFew": oneAdministratorIsTooFew,
		"AKeySignsAnActOnce":       aKeySignsAnActOnce,
		"AKeyCountsOn":             aKeyCountsOn,
		"KeysStandBesideAnApp":     keysStandBesideAnApp,
		"AResetTakesAllThereIs":    aResetTakesAllThereIs,
		"AClearingAsksForNothing":  aClearingAsksForNothing,
		"StraysEndAnAct":           straysEndAnAct,
		"ResealNeedsTheOld":        resealNeedsTheOld,
		"EveryStepLeavesItsEvent":  everyStepLeavesItsEvent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			run(&factors{T: t, FactorStore: open(t, clock), clock: clock})
		})
	}
}

const someone access.PersonID = "ana"

func (f *factors) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func same[V any](f *factors, what string, got, want V) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func ev(kind string) audit.Event {
	return audit.Event{Kind: kind, Person: someone, Actor: access.Actor{Person: someone, Via: "test"}, At: time.Unix(0, 0).UTC()}
}

// made is a person's factor, made of an enrolment whose code was of step 10.
func (f *factors) made() factor.Stored {
	f.Helper()
	e := factor.Enrolment{ID: "f1", Step: factor.Opened, Sealed: "both", Link: "l1"}
	f.ok(f.Enrol(f.Context(), someone, e, time.Hour, ev("enrol")))
	e.Step, e.Counter, e.Ticket = factor.Proved, 10, "t1"
	moved, err := f.Advance(f.Context(), someone, factor.Opened, e, 0, ev("advance"))
	f.ok(err)
	same(f, "advanced", moved, true)
	e.Sealed = "seed"
	made, err := f.Confirm(f.Context(), someone, e, factor.Proved, f.clock.Now(), ev("confirm"))
	f.ok(err)
	same(f, "confirmed", made, true)
	return f.kept()
}

func (f *factors) kept() factor.Stored {
	f.Helper()
	s, err := f.Factor(f.Context(), someone)
	f.ok(err)
	return s
}

func (f *factors) charge() factor.Verdict {
	f.Helper()
	_, v, err := f.Charge(f.Context(), someone, limits)
	f.ok(err)
	return v
}

func (f *factors) spend(id string, step int64) factor.Verdict {
	f.Helper()
	v, err := f.Spend(f.Context(), someone, id, step, limits, ev("spend"))
	f.ok(err)
	return v
}

func (f *factors) miss() factor.Verdict {
	f.Helper()
	same(f, "charged", f.charge(), factor.Open)
	v, err := f.Miss(f.Context(), someone, "f1", limits, factor.Misses{Failed: ev("failed"), Locked: ev("locked"), Disabled: ev("disabled")})
	f.ok(err)
	return v
}

func stepsGoInOrder(f *factors) {
	none, err := f.Enrolment(f.Context(), someone)
	f.ok(err)
	same(f, "no enrolment", none, factor.Enrolment{})
	same(f, "no factor", f.kept(), factor.Stored{})
	first := factor.Enrolment{ID: "f0", Step: factor.Opened, Sealed: "old", Link: "l0", Vouched: "factor"}
	f.ok(f.Enrol(f.Context(), someone, first, time.Hour, ev("enrol")))
	e := factor.Enrolment{ID: "f1", Step: factor.Opened, Sealed: "both", Link: "l1"}
	f.ok(f.Enrol(f.Context(), someone, e, time.Hour, ev("enrol")))
	first.Step = factor.Shown
	for name, c := range map[string]struct {
		from factor.Step
		e    factor.Enrolment
	}{"an older one": {factor.Opened, first}, "another step": {factor.Shown, e}} {
		moved, err := f.Advance(f.Context(), someone, c.from, c.e, 0, ev("advance"))
		f.ok(err)
		same(f, name+" moved", moved, false)
	}
	made, err := f.Confirm(f.Context(), someone, e, factor.Named, f.clock.Now(), ev("confirm"))
	f.ok(err)
	same(f, "made too early", made, false)
	kept, err := f.Enrolment(f.Context(), someone)
	f.ok(err)
	same(f, "the enrolment", kept, e)
	s := f.made()
	same(f, "the factor", s, factor.Stored{ID: "f1", Sealed: "seed", Counter: 10, Since: f.clock.Now()})
	kept, err = f.Enrolment(f.Context(), someone)
	f.ok(err)
	same(f, "the enrolment after it", kept, factor.Enrolment{})
}

func straysEndAnEnrolment(f *factors) {
	f.ok(f.Enrol(f.Context(), someone, factor.Enrolment{ID: "f1", Step: factor.Opened}, time.Hour, ev("enrol")))
	for i := 1; i <= 4; i++ {
		left, err := f.Stray(f.Context(), someone, "f1", 3, ev("stray"))
		f.ok(err)
		same(f, fmt.Sprintf("some left after %d", i), left, i < 3)
	}
	e, err := f.Enrolment(f.Context(), someone)
	f.ok(err)
	same(f, "the enrolment", e, factor.Enrolment{})
}

func aCodeIsSpentOnce(f *factors) {
	f.made()
	for _, c := range []struct {
		id   string
		step int64
		want factor.Verdict
	}{
		{"f1", 10, factor.Used}, // of the enrolment
		{"f1", 12, factor.Accepted}, {"f1", 12, factor.Used}, {"f1", 11, factor.Used}, {"f1", 13, factor.Accepted}, {"f2", 14, factor.None},
	} {
		same(f, "a try", f.charge(), factor.Open)
		same(f, fmt.Sprintf("%s at %d", c.id, c.step), f.spend(c.id, c.step), c.want)
	}
	same(f, "counter", f.kept().Counter, 13)
}

// Tries that nobody has looked at yet count too; the right code among them opens the lock again.
func triesRunOut(f *factors) {
	same(f, "without a factor", f.charge(), factor.None)
	f.made()
	for range limits.Tries {
		same(f, "a try", f.charge(), factor.Open)
	}
	same(f, "one more", f.charge(), factor.Locked)
	same(f, "the right one", f.spend("f1", 11), factor.Accepted)
	for i := 1; i <= limits.Tries; i++ {
		want := factor.Missed
		if i == limits.Tries {
			want = factor.Locked
		}
		same(f, fmt.Sprintf("miss %d", i), f.miss(), want)
	}
	same(f, "after the last", f.charge(), factor.Locked)
	same(f, "the end of the lock", f.kept().LockedUntil, f.clock.Now().Add(limits.Lock))
}

func aLockEnds(f *factors) {
	f.made()
	for range limits.Tries {
		f.miss()
	}
	f.clock.Advance(limits.Lock - time.Second)
	same(f, "a second before", f.charge(), factor.Locked)
	f.clock.Advance(time.Second)
	same(f, "after it", f.miss(), factor.Missed)
}

func tooManyInARowDisable(f *factors) {
	f.made()
	var last factor.Verdict
	for range limits.Row {
		if last = f.miss(); last == factor.Locked {
			f.clock.Advance(limits.Lock)
		}
	}
	same(f, "the last", last, factor.Disabled)
	f.clock.Advance(240 * time.Hour)
	same(f, "ten days later", f.charge(), factor.Disabled)
	same(f, "the right code", f.spend("f1", 1000), factor.None)
}

func oneAdministratorIsTooFew(f *factors) {
	f.made()
	remove := func(id string, by access.PersonID) bool {
		gone, err := f.Remove(f.Context(), someone, id, by, ev("remove"))
		f.ok(err)
		return gone
	}
	same(f, "nobody asked", remove("f1", "root"), false)
	asked, err := f.AskReset(f.Context(), someone, "f1", "root", f.clock.Now(), ev("ask"))
	f.ok(err)
	same(f, "asked", asked, true)
	same(f, "another one asked", remove("f1", "toor"), false)
	same(f, "another factor", remove("f2", "root"), false)
	same(f, "asked by", f.kept().ResetBy, "root")
	same(f, "removed", remove("f1", "root"), true)
	same(f, "the factor", f.kept(), factor.Stored{})
}

func resealNeedsTheOld(f *factors) {
	f.made()
	for _, c := range []struct {
		id, old string
		want    bool
	}{{"f2", "seed", false}, {"f1", "other", false}, {"f1", "seed", true}} {
		done, err := f.Reseal(f.Context(), someone, c.id, c.old, "anew")
		f.ok(err)
		same(f, c.id+" "+c.old, done, c.want)
	}
	same(f, "sealed", f.kept().Sealed, "anew")
}

func everyStepLeavesItsEvent(f *factors) {
	f.made()
	f.charge()
	f.spend("f1", 11)
	f.spend("f1", 11)
	for range limits.Tries {
		f.miss()
	}
	events, err := f.Undrained(f.Context(), 100)
	f.ok(err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	same(f, "events", fmt.Sprint(kinds), "[enrol advance confirm spend failed failed failed locked]")
}
