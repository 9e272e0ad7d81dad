package entra_test

import (
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
