package entra_test

import (
	"fmt"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/workflows/access"
)

// ahead is a connector whose clock is ahead of Entra's, so that all it asks for begins later.
func (s *site) ahead(t *testing.T, by time.Duration) *entra.Connector {
	t.Helper()
	return s.connect(t, func(cfg *entra.Config) { cfg.Now = func() time.Time { return s.Now().Add(by) } })
}

// TestWhatEntraGrantedForLaterIsNotTakenForGone: an assignment that begins in a moment is neither given nor absent.
func TestWhatEntraGrantedForLaterIsNotTakenForGone(t *testing.T) {
	for _, gives := range []string{"roles", "groups"} {
		t.Run(gives, func(t *testing.T) {
			_, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
			c, g := s.ahead(t, 30*time.Second), s.grant()
			_, err := c.Activate(t.Context(), g)
			wantError(t, err, connectors.TooEarly, "list it yet")
			_, err = c.Activate(t.Context(), g)
			wantError(t, err, connectors.TooEarly, "Granted")
			s.wantHolds(t, g, false)
			s.Advance(31 * time.Second)
			r := s.give(t, c, g)
			s.old(g)
			s.end(t, c, g, r, access.Removed)

			g = s.grant()
			_, err = c.Activate(t.Context(), g)
			wantError(t, err, connectors.TooEarly, "list it yet")
			_, err = c.Deactivate(t.Context(), g, access.Receipt{})
			wantError(t, err, connectors.TooEarly, "cancelled")
			s.end(t, c, g, access.Receipt{}, access.Absent)
			s.Advance(time.Minute)
			s.wantHolds(t, g, false)
		})
	}
}

// TestAStatusThatStaysAtGrantedHoldsNothingUp: what is listed, was taken away, or would be over is not waited for.
func TestAStatusThatStaysAtGrantedHoldsNothingUp(t *testing.T) {
	c, s := setup(t, plainly)
	s.Vague = true
	g := s.grant()
	r := s.give(t, c, g)
	s.old(g)
	s.end(t, c, g, r, access.Removed)
	s.end(t, c, g, r, access.Absent)

	g = s.grant()
	r = s.give(t, c, g)
	s.Advance(2 * time.Hour)
	s.wantHolds(t, g, false)
	s.end(t, c, g, r, access.Absent)
}

// TestWhatCannotBeCancelledIsWaitedForAndTakenAway: nothing is told to be gone while something may still come true.
func TestWhatCannotBeCancelledIsWaitedForAndTakenAway(t *testing.T) {
	c, s := setup(t, plainly)
	s.Slow, s.Firm = 6, true
	g := s.grant()
	_, err := c.Activate(t.Context(), g)
	wantError(t, err, connectors.TooEarly, "PendingProvisioning")
	for try := 0; !s.holds(g.Person, g.Role); try++ {
		_, err = c.Deactivate(t.Context(), g, access.Receipt{})
		if s.holds(g.Person, g.Role) { // Entra was done during this very call
			break
		}
		wantError(t, err, connectors.TooEarly, "does not cancel that")
		if try > 8 {
			t.Fatal("it does not come true")
		}
	}
	_, err = c.Deactivate(t.Context(), g, access.Receipt{})
	wantError(t, err, connectors.TooEarly, "first 5m")
	s.old(g)
	s.end(t, c, g, access.Receipt{}, access.Removed)
	s.wantHolds(t, g, false)
}

// TestALaterEndThatHangsKeepsNothingFromBeingTakenAway, whether or not Entra lets it be cancelled.
func TestALaterEndThatHangsKeepsNothingFromBeingTakenAway(t *testing.T) {
	for _, firm := range []bool{false, true} {
		t.Run(fmt.Sprintf("firm %t", firm), func(t *testing.T) {
			c, s := setup(t, plainly)
			g := s.grant()
			r := s.give(t, c, g)
			s.Slow, s.Firm = 1000, firm
			longer := g
			longer.End, longer.Extensions = g.End.Add(time.Hour), 1
			_, err := c.Activate(t.Context(), longer)
			wantError(t, err, connectors.TooEarly, "PendingProvisioning")
			s.old(g)
			if firm {
				_, err = c.Deactivate(t.Context(), longer, r)
				wantError(t, err, connectors.TooEarly, "took it away")
				s.wantHolds(t, g, false)
				_, err = c.Deactivate(t.Context(), longer, r)
				wantError(t, err, connectors.TooEarly, "does not cancel that")
				s.Do(func() { s.Firm = false })
				_, err = c.Deactivate(t.Context(), longer, r)
				wantError(t, err, connectors.TooEarly, "was cancelled")
				s.end(t, c, longer, r, access.Absent)
			} else {
				s.end(t, c, longer, r, access.Removed)
			}
			s.wantHolds(t, g, false)
		})
	}
}
