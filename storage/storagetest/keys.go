package storagetest

import (
	"fmt"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// hasKey gives a person one more security key, whose count is 5.
func (f *factors) hasKey(id string) {
	f.Helper()
	e := factor.Enrolment{ID: id, Step: factor.Opened, Sealed: "all", Link: "l"}
	f.ok(f.Enrol(f.Context(), someone, e, time.Hour, ev("enrol")))
	e.Step, e.Kind, e.Counter = factor.Proved, access.WebAuthn, 5
	moved, err := f.Advance(f.Context(), someone, factor.Opened, e, 0, ev("advance"))
	f.ok(err)
	same(f, "advanced", moved, true)
	e.Sealed = "sealed " + id
	made, err := f.Confirm(f.Context(), someone, e, factor.Proved, f.clock.Now(), ev("confirm"))
	f.ok(err)
	same(f, "confirmed", made, true)
	made, err = f.Confirm(f.Context(), someone, e, factor.Proved, f.clock.Now(), ev("confirm"))
	f.ok(err)
	same(f, "confirmed again", made, false)
}

func (f *factors) waits(act string) {
	f.Helper()
	f.ok(f.AwaitKey(f.Context(), someone, act, "sealed "+act, time.Hour, ev("await")))
}

func (f *factors) signs(act, key string, count int64) factor.Verdict {
	f.Helper()
	v, err := f.Sign(f.Context(), someone, act, key, count, factor.Signatures{Used: ev("used"), Cloned: ev("cloned"), Failed: ev("failed")})
	f.ok(err)
	return v
}

func aKeySignsAnActOnce(f *factors) {
	f.hasKey("k1")
	f.waits("a1")
	f.waits("a2")
	sealed, err := f.Awaiting(f.Context(), someone, "a1")
	f.ok(err)
	same(f, "what waits", sealed, "sealed a1")
	same(f, "no such act", f.signs("a3", "k1", 9), factor.Used)
	same(f, "the first", f.signs("a1", "k1", 6), factor.Accepted)
	same(f, "the second", f.signs("a1", "k1", 7), factor.Used)
	same(f, "another key", f.signs("a2", "k2", 8), factor.None)
	same(f, "after another key", f.signs("a2", "k1", 8), factor.Used)
	sealed, err = f.Awaiting(f.Context(), someone, "a1")
	f.ok(err)
	same(f, "what waits after it", sealed, "")
	same(f, "the key", f.kept().Keys[0], factor.StoredKey{ID: "k1", Number: 1, Sealed: "sealed k1", Since: f.clock.Now(), Count: 6})
	events, err := f.Undrained(f.Context(), 100)
	f.ok(err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	same(f, "events", fmt.Sprint(kinds), "[enrol advance confirm await await failed used failed failed failed]")
}

// A count that does not grow is that of a copy. A key that has none says 0 each time.
func aKeyCountsOn(f *factors) {
	for i, c := range []struct {
		last, now int64
		want      factor.Verdict
	}{{6, 7, factor.Accepted}, {6, 6, factor.Cloned}, {7, 6, factor.Cloned}, {6, 0, factor.Cloned}, {0, 1, factor.Accepted}, {0, 0, factor.Accepted}, {1<<32 - 2, 1<<32 - 1, factor.Accepted}} {
		id := fmt.Sprintf("k%d", i)
		e := factor.Enrolment{ID: id, Step: factor.Proved, Kind: access.WebAuthn, Sealed: "key", Counter: c.last}
		f.ok(f.Enrol(f.Context(), someone, e, time.Hour, ev("enrol")))
		_, err := f.Confirm(f.Context(), someone, e, factor.Proved, f.clock.Now(), ev("confirm"))
		f.ok(err)
		f.waits("a" + id)
		same(f, fmt.Sprintf("%d after %d", c.now, c.last), f.signs("a"+id, id, c.now), c.want)
		key := f.kept().Keys[i]
		same(f, "suspended", key.Suspended, c.want == factor.Cloned)
		f.waits("b" + id)
		if c.want == factor.Cloned {
			same(f, "once it is suspended", f.signs("b"+id, id, 1<<31), factor.None)
		}
	}
}

func keysStandBesideAnApp(f *factors) {
	f.hasKey("k1")
	f.made()
	f.hasKey("k2")
	same(f, "the app", f.kept().ID, "f1")
	same(f, "its code", f.charge(), factor.Open)
	gone := func(id string) bool {
		gone, err := f.Remove(f.Context(), someone, id, "", ev("remove"))
		f.ok(err)
		return gone
	}
	same(f, "what there is not", gone("k3"), false)
	same(f, "a key", gone("k1"), true)
	same(f, "the app", gone("f1"), true)
	same(f, "the app again", gone("f1"), false)
	same(f, "its code after it", f.charge(), factor.None)
	left := f.kept()
	same(f, "what is left", left, factor.Stored{Keys: []factor.StoredKey{{ID: "k2", Number: 2, Sealed: "sealed k2", Since: f.clock.Now(), Count: 5}}})
	f.hasKey("k4")
	same(f, "its number", f.kept().Keys[1].Number, 3)
	done, err := f.Reseal(f.Context(), someone, "k2", "sealed k2", "anew")
	f.ok(err)
	same(f, "resealed", done, true)
	same(f, "the seal", f.kept().Keys[0].Sealed, "anew")
}

func aResetTakesAllThereIs(f *factors) {
	f.hasKey("k1")
	ask := func() {
		f.Helper()
		asked, err := f.AskReset(f.Context(), someone, "", "root", f.clock.Now(), ev("ask"))
		f.ok(err)
		same(f, "asked", asked, true)
	}
	ask()
	f.hasKey("k2") // whoever can add a key has lost nothing
	gone, err := f.Remove(f.Context(), someone, "", "root", ev("reset"))
	f.ok(err)
	same(f, "reset after that", gone, false)
	ask()
	f.waits("a")
	same(f, "a signature", f.signs("a", "k1", 6), factor.Accepted)
	same(f, "who asks after it", f.kept().ResetBy, "")
	ask()
	gone, err = f.Remove(f.Context(), someone, "", "root", ev("reset"))
	f.ok(err)
	same(f, "reset", gone, true)
	same(f, "what is left", f.kept(), factor.Stored{})
}

func aClearingAsksForNothing(f *factors) {
	clear := func() bool {
		f.Helper()
		gone, err := f.Clear(f.Context(), someone, ev("clear"))
		f.ok(err)
		return gone
	}
	same(f, "nothing", clear(), false)
	f.made()
	f.hasKey("k1")
	for last := factor.Missed; last != factor.Disabled; last = f.miss() {
		f.clock.Advance(limits.Lock)
	}
	seen, how, err := f.Glance(f.Context(), someone)
	f.ok(err)
	same(f, "how it is not believed", how, "")
	same(f, "at a glance", seen, f.kept())
	same(f, "switched off", seen.Disabled, true)
	same(f, "all of it", clear(), true)
	same(f, "what is left", f.kept(), factor.Stored{})
	same(f, "again", clear(), false)
	f.hasKey("k2")
	same(f, "the number of the next key", f.kept().Keys[0].Number, 2)
}

func straysEndAnAct(f *factors) {
	f.hasKey("k1")
	f.waits("a")
	for i := 1; i <= 3; i++ {
		left, err := f.StrayAct(f.Context(), someone, "a", 3, ev("stray"))
		f.ok(err)
		same(f, fmt.Sprintf("some left after %d", i), left, i < 3)
	}
	same(f, "the signature after it", f.signs("a", "k1", 9), factor.Used)
}
