package chaos_test

import (
	"fmt"
	"testing"
	"time"
)

// TestEndThatHasBegunIsNotMoved extends grants whose access the target has just taken away, before it answers that it
// has. Whoever is told that the end has moved must have the access until then.
func TestEndThatHasBegunIsNotMoved(t *testing.T) {
	together(t)
	const grants = 12
	g := startTarget(t, calm{})
	s := openSite(t, rolesFor(grants), map[string]*target{"hooks": g})
	s.give("hooks", g, grants, func(int) time.Duration { return 3 * time.Second })
	g.feel(steady{fault: slow, verbs: []string{deactivate}, late: time.Second})
	h := &history{}
	s.eventually(patience, func() error {
		for _, c := range g.ledger() {
			if c.Verb == deactivate && c.Changed {
				_, _ = s.do(h, s.replicas[1], c.Hold.account, extend, c.Grant, map[string]string{"duration": "4s"}) // the history has it
			}
		}
		if n := len(g.holds()); n > 0 {
			return fmt.Errorf("%d wait for their end", n)
		}
		return nil
	})
	s.quiet(patience, g).report(t)
	if len(h.ops) == 0 {
		t.Error("nobody extended anything")
	}
	for _, o := range h.ops {
		if o.Refused == "" {
			t.Errorf("an extension came too late, and was not refused: %s", &o)
		}
	}
}
