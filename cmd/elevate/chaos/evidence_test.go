package chaos_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// evidence is what is left when all is quiet: the log, the target's ledger, what was broken, and what the API shows.
type evidence struct {
	events     map[access.RequestID][]audit.Event
	givenTwice map[access.RequestID]int // how often access was given again after a late deactivation of another grant
	forged     []audit.Event            // what the bots took for somebody else's hand in the store
	emptied    bool                     // there was one
	ledger     []call
	held       map[hold]given
	broken     []disruption
	documents  map[access.RequestID]api.Request
}

// quiet waits until every request is over and nobody holds anything, stops the replicas as a service manager does, has the
// binary prove the log that they kept together, and gives the evidence.
func (s *site) quiet(within time.Duration, targets ...*target) *evidence {
	s.Helper()
	began := time.Now()
	for _, r := range s.replicas {
		s.ready(r)
	}
	s.over(within)
	ended := time.Now()
	s.swept(targets)
	s.over(within)
	swept := time.Now()
	e := &evidence{held: map[hold]given{}}
	var err error
	if e.documents, err = s.list(s.replicas[0], ""); err != nil {
		s.Fatal(err)
	}
	s.written(e.documents)
	s.Logf("all requests were over after %s, what the target lied about was found after %s more, and the log was whole after %s more",
		ended.Sub(began).Round(time.Second), swept.Sub(ended).Round(time.Second), time.Since(swept).Round(time.Second))
	for _, r := range s.replicas {
		r.Stop()
	}
	for _, g := range targets {
		e.ledger = append(e.ledger, g.ledger()...)
		maps.Copy(e.held, g.holds())
	}
	logged := e2etest.Events(s, e2etest.Proved(s, []string{s.audit}))
	e.events, e.givenTwice, e.forged = steps(logged), givenAgain(logged), ofKind(logged, audit.Forged)
	return e
}

// over waits until no request is open.
func (s *site) over(within time.Duration) {
	s.Helper()
	s.eventually(within, func() error {
		open, err := s.list(s.replicas[0], "open=true")
		if err != nil {
			return err
		}
		for id, d := range open {
			return fmt.Errorf("%d requests are open: %s is %s since version %d: %v", len(open), id, d.State, d.Version, d.LastError)
		}
		return nil
	})
}

// swept waits until nobody holds anything, or it is clear that somebody will for ever: what a target lied about is found
// when it is next asked who holds its roles.
func (s *site) swept(targets []*target) {
	late := time.Now().Add(8 * sweepEvery)
	for _, g := range targets {
		for len(g.holds()) > 0 && time.Now().Before(late) {
			s.pass(100 * time.Millisecond)
		}
	}
}

// written waits until the last word on every request is in the audit files. Until then it waits in the store, as long as
// the lease of a replica that died while it wrote.
func (s *site) written(documents map[access.RequestID]api.Request) {
	s.Helper()
	s.eventually(patience, func() error {
		events := steps(e2etest.Logged(s, []string{s.audit}))
		for id, d := range documents {
			if n := len(events[id]); n == 0 || events[id][n-1].Version < d.Version {
				return fmt.Errorf("the log does not have version %d of %s: %s", d.Version, id, kinds(events[id]))
			}
		}
		return nil
	})
}

// steps leaves out what is no arrow, such as a refusal.
func steps(logged map[access.RequestID][]audit.Event) map[access.RequestID][]audit.Event {
	steps := map[access.RequestID][]audit.Event{}
	for id, events := range logged {
		for _, e := range events {
			if e.Version > 0 {
				steps[id] = append(steps[id], e)
			}
		}
	}
	return steps
}

// ofKind are the events of a kind.
func ofKind(logged map[access.RequestID][]audit.Event, kind string) (found []audit.Event) {
	for _, events := range logged {
		for _, e := range events {
			if e.Kind == kind {
				found = append(found, e)
			}
		}
	}
	return found
}

// givenAgain counts what was given a second time.
func givenAgain(logged map[access.RequestID][]audit.Event) map[access.RequestID]int {
	again := map[access.RequestID]int{}
	for _, e := range ofKind(logged, audit.GivenAgain) {
		again[e.Request]++
	}
	return again
}

// arrows counts what happened, endings by what the target had.
func (e *evidence) arrows() map[string]int {
	count := map[string]int{}
	for _, events := range e.events {
		for _, event := range events {
			count[strings.TrimSpace(event.Kind+" "+event.Detail["was"])]++
		}
	}
	return count
}

// treatment counts how the target treated its calls.
func (e *evidence) treatment() map[fault]int {
	count := map[fault]int{}
	for _, c := range e.ledger {
		count[c.Fault]++
	}
	delete(count, well)
	return count
}

// grant is what the log says of one grant's time.
type grant struct {
	id        access.RequestID
	hold      hold
	from      time.Time // active; zero: never
	until     time.Time // the end as the last durable record had it, or when it was ended or undone
	endsAt    time.Time // the end as the last durable record had it
	timely    bool      // its time ended it, nobody else
	extended  bool
	bySystems []audit.Event // endings that the system began
}

// read tells a grant's time by its events.
func read(id access.RequestID, events []audit.Event) grant {
	g := grant{id: id, timely: true}
	for _, e := range events {
		switch access.Arrow(e.Kind) {
		case access.Confirm:
			g.from = e.At
			g.endsAt = moment(e.Detail["ends_at"])
		case access.Extend:
			g.endsAt, g.extended = moment(e.Detail["ends_at"]), true
		case access.End, access.Undo, access.Close:
			if e.From != access.Active {
				continue
			}
			if e.Actor.Person != access.System {
				g.until, g.timely = e.At, false
			} else {
				g.bySystems = append(g.bySystems, e)
			}
		}
	}
	if g.until.IsZero() || g.endsAt.Before(g.until) {
		g.until = g.endsAt
	}
	return g
}

func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// grants are those that were active, by what they make true at the target.
func (e *evidence) grants() map[hold][]grant {
	holds := map[access.RequestID]hold{}
	for _, c := range e.ledger {
		if c.Grant != "" {
			holds[c.Grant] = c.Hold
		}
	}
	all := map[hold][]grant{}
	for id, events := range e.events {
		if g := read(id, events); !g.from.IsZero() {
			g.hold = holds[id]
			all[g.hold] = append(all[g.hold], g)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b grant) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.id, b.id)) })
	}
	return all
}
