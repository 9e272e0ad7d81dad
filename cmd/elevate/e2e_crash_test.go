package main

import (
	"net/http"
	"testing"
	"time"

	"elevate/workflows/access"
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

func (c crash) String() string { return c.name }

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
	together(t, crashes, func(t *testing.T, c crash) {
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

// TestAnotherReplicaGoesOn kills the replica that calls the target, and lets the other one alone.
func TestAnotherReplicaGoesOn(t *testing.T) {
	t.Parallel()
	moments := []moment{{"activate", false}, {"activate", true}, {"deactivate", false}, {"deactivate", true}}
	together(t, moments, func(t *testing.T, m moment) {
		s := openSite(t, "a", "b")
		for _, b := range s.bots {
			if status, _ := call(b, "aud", http.MethodGet, "/audit", nil, nil); status != http.StatusOK {
				t.Errorf("a replica answers with %d where the log is asked for", status)
			}
		}
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
	together(t, moments, func(t *testing.T, m moment) {
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
