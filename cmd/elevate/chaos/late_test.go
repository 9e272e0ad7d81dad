package chaos_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestLateDeactivationIsRepaired pauses a replica while its call to take a right away is on the way. Another one gives
// the right to the same person by a new grant; only then does the call arrive. Who is told to have access has it again.
func TestLateDeactivationIsRepaired(t *testing.T) {
	together(t)
	g := startTarget(t, calm{})
	s := openSite(t, 2, map[string]*target{"hooks": g})
	if _, err := s.ask(s.replicas[0], roleOf("hooks", 0), 0, 3*time.Second, 1); err != nil {
		t.Fatal(err)
	}
	paused := s.pausedWithin(g, deactivate)
	next := s.replicas[0]
	if paused == next {
		next = s.replicas[1]
	}
	id, err := s.ask(next, roleOf("hooks", 1), 0, 15*time.Second, 2)
	if err != nil {
		t.Fatal(err)
	}
	s.eventually(patience, func() error {
		if active, err := s.list(next, "state=active"); err != nil || active[id].ID != id {
			return fmt.Errorf("%s is not active: %w", id, err)
		}
		return nil
	})
	g.unset(paused.name)
	s.eventually(patience, func() error {
		if len(g.holds()) > 0 {
			return errors.New("the late call has not come")
		}
		return nil
	})
	paused.Signal(syscall.SIGCONT)
	s.eventually(repaired, func() error {
		if len(g.holds()) == 0 {
			return fmt.Errorf("%s is active, and its access is gone", id)
		}
		return nil
	})
	s.quiet(patience, g).report(t)
}

// pausedWithin pauses the replica that makes the next call of a kind, while that call is on its way.
func (s *site) pausedWithin(g *target, verb string) *replica {
	s.Helper()
	traps := map[*replica]*trap{}
	for _, r := range s.replicas {
		traps[r] = g.set(r.name, verb)
	}
	var caught *replica
	s.eventually(patience, func() error {
		for r, trap := range traps {
			select {
			case <-trap.sprung:
				caught = r
				return nil
			default:
			}
		}
		return errors.New("nobody calls " + verb)
	})
	caught.Signal(syscall.SIGSTOP)
	for _, r := range s.replicas {
		if r != caught {
			g.unset(r.name)
		}
	}
	return caught
}
