package factor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

// TestALostFactorNeedsAnAdministratorsWord: a store that has lost what the audit log tells of lets nobody go on without
// it, and a sign-in alone sets up no other in its place.
func TestALostFactorNeedsAnAdministratorsWord(t *testing.T) {
	t.Parallel()
	var doubts []factor.Doubt
	w := worldOf(t, redis.Config{Doubted: func(_ context.Context, d factor.Doubt) { doubts = append(doubts, d) }})
	w.store.KnowFactor("ana", redis.Known{Version: 1})
	for range 2 {
		err := w.Prove(t.Context(), by("ana"), approving, access.NewSecret("123456"))
		w.refused("without it", err, access.CodeFactorMissing)
		if !strings.Contains(err.Error(), "gone from Elevate's store") || !strings.Contains(err.Error(), "an administrator has to confirm it") {
			t.Errorf("told %v", err)
		}
	}
	if len(doubts) != 1 || doubts[0] != (factor.Doubt{Person: "ana", How: factor.Gone}) {
		t.Errorf("told %+v", doubts)
	}
	set := func(p access.PersonID) (seed access.Secret, done bool) {
		link, err := w.Begin(t.Context(), by(p), access.Secret{})
		w.must(err)
		page, err := w.Show(t.Context(), token(link), factor.Visit{SignedIn: p})
		w.must(err)
		word, err := w.Match(t.Context(), token(link), page.Ticket, w.code(page.Seed), factor.Visit{SignedIn: p})
		w.must(err)
		done, err = w.Name(t.Context(), by(p), word)
		w.must(err)
		w.pass(30 * time.Second)
		return page.Seed, done
	}
	seed, done := set("ana")
	if done {
		t.Error("a sign-in alone stands for a factor that was lost")
	}
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed)))
	if _, done := set("ben"); !done {
		t.Error("who had none is not let in by a sign-in any more")
	}
}

// TestAdministratorsAreToldOfALossOnce an hour, however many factors are gone, and of each that somebody changed.
func TestAdministratorsAreToldOfALossOnce(t *testing.T) {
	t.Parallel()
	var events []audit.Event
	told, enrolments := map[string]int{}, false
	at := time.Date(2026, 3, 2, 12, 10, 0, 0, time.UTC)
	report := func(d factor.Doubt) {
		t.Helper()
		err := d.Report(t.Context(), func(_ context.Context, e audit.Event) error { events = append(events, e); return nil },
			func(_ context.Context, n factor.Notice) error {
				told[n.Event+" "+string(n.Person)+" "+n.ID+" "+n.At.Format(time.TimeOnly)]++
				enrolments = enrolments || n.Enrolment && n.Person == "root" && !n.Waits
				return nil
			}, at)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []access.PersonID{"ana", "ben", "root"} {
		report(factor.Doubt{Person: p, How: factor.Gone})
	}
	report(factor.Doubt{Person: "ana", How: factor.Altered})
	report(factor.Doubt{Person: "ben", How: factor.Older, Restored: true})
	report(factor.Doubt{Person: "root", How: factor.Altered, Enrolment: true})
	if len(events) != 6 || events[0].Kind != audit.Forged || events[3].Person != "ana" || events[3].Detail["how"] != "altered" {
		t.Errorf("on record: %+v", events)
	}
	// The outbox takes each of these once.
	if len(told) != 4 || !enrolments || told["factor_lost   12:00:00"] != 3 || told["factor_doubted ana altered 12:10:00"] != 1 || told["factor_doubted ben older 12:10:00"] != 1 {
		t.Errorf("told: %v", told)
	}
}
