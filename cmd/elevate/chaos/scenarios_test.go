package chaos_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/workflows/access"
)

// rolesFor is how many roles a target needs so that the crowd can hold so many rights, each of them once.
func rolesFor(grants int) int { return 2 * (grants/crowd + 1) }

// give has grants approved that hold a right each, and waits until the target has given them all. length is asked for the n-th.
func (s *site) give(connector string, g *target, grants int, length func(n int) time.Duration) {
	s.Helper()
	var all errgroup.Group
	all.SetLimit(8)
	for i := range grants {
		all.Go(func() error {
			_, err := s.ask(s.replicas[i%len(s.replicas)], roleOf(connector, i/crowd*2), i%crowd, length(i).Round(time.Millisecond), 1)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		s.Fatal(err)
	}
	s.eventually(patience, func() error {
		if n := len(g.holds()); n < grants {
			return fmt.Errorf("the target has given %d of %d grants", n, grants)
		}
		return nil
	})
}

// ask has one person's request approved by the next ones.
func (s *site) ask(r *replica, role string, person int, length time.Duration, approvals int) (access.RequestID, error) {
	body := map[string]string{"role": role, "duration": length.String(), "justification": "a scenario"}
	out, err := s.call(r, s.names[person], http.MethodPost, "/requests", "", body)
	if err != nil || out.status != http.StatusCreated {
		return "", fmt.Errorf("submit: %d %+v %w", out.status, out.problem, err)
	}
	id := out.request.ID
	for n := range approvals {
		out, err = s.call(r, s.names[(person+1+n)%crowd], http.MethodPost, "/requests/"+string(id)+"/approve", "", nil)
		if err != nil || out.status != http.StatusOK {
			return "", fmt.Errorf("approve: %d %+v %w", out.status, out.problem, err)
		}
	}
	return id, nil
}

// untilTime makes a length that ends all grants at about the same time.
func untilTime(t time.Time) func(int) time.Duration {
	return func(int) time.Duration { return time.Until(t) }
}

// either is a figure of the short form, or of the long one.
func either[T any](short, lengthy T) T {
	if *long {
		return lengthy
	}
	return short
}

// mostAfterReturn bounds how long overdue endings take once their target is back: a retry waits a minute at most.
const mostAfterReturn = time.Minute

// TestOutageOfTheTarget keeps a target down while all its grants come to their ends, and has it come back.
func TestOutageOfTheTarget(t *testing.T) {
	together(t)
	grants, outage := either(50, 1000), either(20*time.Second, 10*time.Minute)
	g := startTarget(t, calm{})
	s := openSite(t, rolesFor(grants), map[string]*target{"hooks": g})
	ends := time.Now().Add(either(15*time.Second, 40*time.Second))
	s.give("hooks", g, grants, untilTime(ends))
	g.feel(steady{fault: down, verbs: []string{activate, deactivate, holders}})
	s.pass(time.Until(ends.Add(outage)))
	if n := len(g.holds()); n != grants {
		t.Errorf("%d of %d are held after the end although the target was down: the ledger tells nothing", n, grants)
	}
	back := time.Now()
	g.feel(calm{})
	s.eventually(mostAfterReturn, func() error {
		if n := len(g.holds()); n > 0 {
			return fmt.Errorf("%d of %d overdue endings wait", n, grants)
		}
		return nil
	})
	t.Logf("%d overdue endings were drained %s after the target was back", grants, time.Since(back).Round(10*time.Millisecond))
	s.quiet(patience, g).report(t)
}

// TestHangingTargetDelaysNoOther has two targets whose grants end all at once, of which one hangs.
func TestHangingTargetDelaysNoOther(t *testing.T) {
	together(t)
	grants := either(100, 1000)
	hung, fine := startTarget(t, calm{}), startTarget(t, calm{})
	s := openSite(t, rolesFor(grants), map[string]*target{"hung": hung, "fine": fine})
	ends := time.Now().Add(either(20*time.Second, 70*time.Second))
	s.give("hung", hung, grants, untilTime(ends))
	s.give("fine", fine, grants/2, untilTime(ends))
	hung.feel(steady{fault: hang, verbs: []string{deactivate}})
	s.pass(time.Until(ends))
	s.eventually(patience, func() error {
		if n := len(fine.holds()); n > 0 {
			return fmt.Errorf("%d wait at the target that is well", n)
		}
		return nil
	})
	if n := len(hung.holds()); n != grants {
		t.Errorf("the target that hangs has ended %d grants: it did not hang", grants-n)
	}
	hung.feel(calm{})
	e := s.quiet(2*patience, hung, fine)
	e.report(t)
	e.ledger = fine.ledger()
	late := e.lateness().fromEnd
	t.Logf("lateness at the target that is well, while %d endings hang at the other: %s", grants, late)
	if worst := late.at(0.99); worst > lease {
		t.Errorf("endings at the target that is well are %s late", worst)
	}
}

// TestHealthyReplicasCallOnce counts the calls at the target while nothing is wrong.
func TestHealthyReplicasCallOnce(t *testing.T) {
	together(t)
	grants := either(200, 2000)
	g := startTarget(t, calm{})
	s := openSite(t, rolesFor(grants), map[string]*target{"hooks": g})
	ends := time.Now().Add(either(20*time.Second, 60*time.Second))
	s.give("hooks", g, grants, func(n int) time.Duration { // spread over a few seconds
		return time.Until(ends) + time.Duration(n)*5*time.Second/time.Duration(grants)
	})
	e := s.quiet(patience, g)
	e.report(t)
	calls := map[access.RequestID]map[string]int{}
	by := map[string]int{}
	for _, c := range e.ledger {
		if c.Verb == holders {
			continue
		}
		if calls[c.Grant] == nil {
			calls[c.Grant] = map[string]int{}
		}
		calls[c.Grant][c.Verb]++
		by[c.Replica]++
	}
	if len(calls) != grants {
		t.Errorf("the target knows %d grants of %d", len(calls), grants)
	}
	for id, n := range calls {
		if n[activate] != 1 || n[deactivate] != 1 {
			t.Errorf("%s was activated %d times and deactivated %d times", id, n[activate], n[deactivate])
		}
	}
	t.Logf("%d grants, one call to give and one to take each, by replica %v; lateness %s", grants, by, e.lateness().fromEnd)
}
