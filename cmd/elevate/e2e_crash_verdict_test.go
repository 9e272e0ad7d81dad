package main

import (
	"fmt"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// finish judges three grants that have ended: nobody holds anything, what was given was given once and taken once, not
// before the end, and not later after it (or after the bot was up again) than a lease and a few seconds; and the log
// tells it all, once.
func (s *site) finish(ids []access.RequestID, up time.Time) {
	s.Helper()
	live := s.bots[len(s.bots)-1]
	shown := s.reach(live, access.Ended, ids)
	log := s.evidence(ids)
	if n := s.judge.holders(); n > 0 {
		s.Errorf("%d people hold the role still", n)
	}
	for _, id := range ids {
		given, taken := s.judge.effects(string(id))
		if len(given) > 1 || len(taken) != len(given) {
			s.Errorf("%s was given %d times and taken %d times: %+v %+v", id, len(given), len(taken), given, taken)
		}
		for _, c := range taken {
			s.onTime(shown[id], c, up)
		}
		told(s, log[id])
		s.Logf("%s: given %d times; %s", id, len(given), kinds(log[id]))
	}
}

// onTime judges when an access was taken away.
func (s *site) onTime(r api.Request, taken judged, up time.Time) {
	s.Helper()
	due := taken.EndsAt
	if r.EndsAt == nil || !due.Equal(*r.EndsAt) {
		s.Errorf("%s ends at %v by its document, and at %v by what the target was told", r.ID, r.EndsAt, due)
	}
	if early := due.Sub(taken.At); early > 0 {
		s.Errorf("%s lost its access %s early", r.ID, early)
	}
	from := due
	if up.After(due) {
		from = up
	}
	late := taken.At.Sub(from)
	if late > lease+haste {
		s.Errorf("%s lost its access %s after its end or the restart", r.ID, late)
	}
	s.Logf("%s lost its access %s after its end, %s after that or the restart", r.ID, taken.At.Sub(due), late)
}

// told judges the log of one request: every step in order, none twice, armed once, at most once active, over once.
func told(t testing.TB, events []audit.Event) {
	t.Helper()
	count := map[string]int{}
	version, over := int64(0), 0
	var last access.State
	for _, e := range events {
		if e.Version == 0 || e.Kind == audit.Restored { // no steps
			continue
		}
		if version++; e.Version != version {
			t.Errorf("the log has version %d of %s where %d belongs", e.Version, e.Request, version)
		}
		if last = e.To; last.Terminal() {
			over++
		}
		count[e.Kind]++
	}
	if over != 1 || !last.Terminal() || count["arm"] > 1 || count["confirm"] > 1 || count["approve"] > 1 {
		t.Errorf("the log does not tell of one life with one end: %s", kinds(events))
	}
}

// kinds writes a log down, refusals last.
func kinds(events []audit.Event) string {
	var all string
	refused := 0
	for _, e := range events {
		if e.Kind == audit.Refused {
			refused++
			continue
		}
		all += fmt.Sprintf("%s(%s) ", e.Kind, e.To)
	}
	return fmt.Sprintf("%sand %d refusals", all, refused)
}
