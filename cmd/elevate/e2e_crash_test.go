package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// crash is a kill -9 of the bot at one point of the lives of three grants.
type crash struct {
	name string
	// length of the grants. A short one ends while what the dead bot had in hand is leased to it.
	length time.Duration
	// after is the state that the requests are in when the bot is killed; or it dies within a call, at the moment.
	after  access.State
	moment moment
	// past keeps the bot down until the grants should have ended.
	past bool
}

var crashes = []crash{
	{name: "submitted", length: 3 * time.Second, after: access.Pending},
	{name: "approved", length: 3 * time.Second, after: access.Approved},
	{name: "the target was asked to activate", length: 8 * time.Second, moment: moment{"activate", false}},
	{name: "the target was asked to activate, for a short time", length: 2 * time.Second, moment: moment{"activate", false}},
	{name: "the target has activated", length: 8 * time.Second, moment: moment{"activate", true}},
	{name: "the target has activated, for a short time", length: 2 * time.Second, moment: moment{"activate", true}},
	{name: "the target has activated, down past the end", length: 2 * time.Second, moment: moment{"activate", true}, past: true},
	{name: "active", length: 4 * time.Second, after: access.Active},
	{name: "active, down past the end", length: 2 * time.Second, after: access.Active, past: true},
	{name: "the target was asked to deactivate", length: 2 * time.Second, moment: moment{"deactivate", false}},
	{name: "the target has deactivated", length: 2 * time.Second, moment: moment{"deactivate", true}},
	{name: "the target was read back", length: 2 * time.Second, moment: moment{"holders", true}},
	{name: "ended", length: 2 * time.Second, after: access.Ended},
}

// TestAccessEndsOnceWhereverTheBotIsKilled kills the bot at each written step of a grant's life and within each call to
// the target, and starts it again.
func TestAccessEndsOnceWhereverTheBotIsKilled(t *testing.T) {
	t.Parallel()
	together(t, crashes, func(c crash) string { return c.name }, func(t *testing.T, c crash) {
		s := openSite(t, "a")
		dead := make(chan struct{})
		if c.after == "" {
			s.judge.once(c.moment, func(judged) bool {
				s.bots[0].Kill9()
				close(dead)
				return !c.moment.done
			})
		}
		s.finish(c.play(s, dead))
	})
}

// play tells the story up to the end of the grants, with the kill in it, and gives the time of the start after it.
func (c crash) play(s *site, dead <-chan struct{}) (ids []access.RequestID, up time.Time) {
	s.Helper()
	bot := s.bots[0]
	kill := func(at access.State) {
		if c.after == at {
			bot.Kill9()
			up = c.comeBack(s, ids)
		}
	}
	ids = s.asks(c.length)
	kill(access.Pending)
	if err := s.approves(bot, ids); err != nil && c.after != "" {
		s.Fatal(err)
	}
	kill(access.Approved)
	if c.after == access.Active {
		s.reach(bot, access.Active, ids)
		kill(access.Active)
	}
	if c.after == "" {
		s.until(dead, "the bot is killed")
		up = c.comeBack(s, ids)
		if err := s.approves(bot, ids); err != nil { // those whom the kill came before
			s.Fatal(err)
		}
	}
	s.reach(bot, access.Ended, ids)
	kill(access.Ended)
	return ids, up
}

// comeBack starts the bot again.
func (c crash) comeBack(s *site, ids []access.RequestID) time.Time {
	s.Helper()
	if c.past {
		var end time.Time
		for _, id := range ids {
			if given, _ := s.judge.effects(string(id)); len(given) > 0 && given[0].EndsAt.After(end) {
				end = given[0].EndsAt
			}
		}
		s.past(end.Add(time.Second))
		if s.judge.holders() == 0 {
			s.Error("nobody holds the role after the end although the bot is down: the judge judges nothing")
		}
	}
	return restart(s, s.bots[0])
}

// together runs subtests side by side, all of them at once: they mostly wait.
func together[C any](t *testing.T, cases []C, name func(C) string, run func(*testing.T, C)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range cases {
		all.Go(func() { t.Run(name(c), func(t *testing.T) { run(t, c) }) })
	}
}

// until waits for something that a step signals.
func (s *site) until(done <-chan struct{}, what string) {
	s.Helper()
	select {
	case <-done:
	case <-time.After(patient):
		s.Fatalf("not within %s: %s", patient, what)
	}
}

// past waits until a time is over.
func (s *site) past(at time.Time) {
	ctx, cancel := context.WithDeadline(s.Context(), at)
	defer cancel()
	<-ctx.Done()
}

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
		if e.Kind == audit.Refused {
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

// TestAnotherReplicaGoesOn kills the replica that calls the target, and lets the other one alone.
func TestAnotherReplicaGoesOn(t *testing.T) {
	t.Parallel()
	moments := []moment{{"activate", false}, {"activate", true}, {"deactivate", false}, {"deactivate", true}}
	together(t, moments, moment.String, func(t *testing.T, m moment) {
		s := openSite(t, "a", "b")
		dead := make(chan struct{})
		s.judge.once(m, func(c judged) bool {
			if c.Replica == "b" {
				s.bots[0], s.bots[1] = s.bots[1], s.bots[0]
			}
			s.bots[0].Kill9()
			close(dead)
			return !m.done
		})
		ids := s.asks(7 * time.Second)
		_ = s.approves(s.bots[0], ids)
		s.until(dead, "a replica is killed")
		if err := s.approves(s.bots[1], ids); err != nil {
			s.Fatal(err)
		}
		s.reach(s.bots[1], access.Ended, ids)
		restart(s, s.bots[0])
		s.finish(ids, time.Time{})
	})
}

// TestRedisIsKilled kills the store under the bot, within a call to the target, and starts it again.
func TestRedisIsKilled(t *testing.T) {
	t.Parallel()
	moments := []moment{{"activate", false}, {"activate", true}, {"deactivate", false}, {"deactivate", true}}
	together(t, moments, moment.String, func(t *testing.T, m moment) {
		s := openSite(t, "a")
		back := make(chan struct{})
		var up time.Time
		s.judge.once(m, func(judged) bool {
			s.store.Kill()
			s.store.Start()
			up = time.Now()
			close(back)
			return false
		})
		ids := s.asks(4 * time.Second)
		_ = s.approves(s.bots[0], ids) // it may fail while there is no store
		s.until(back, "Redis is killed")
		eventually(s, func() error { return s.approves(s.bots[0], ids) })
		s.finish(ids, up)
	})
}
