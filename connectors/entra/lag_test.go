package entra_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

// TestAnUndoneGrantIsTakenAwayWhateverListsShow: the answer to its activation was lost, and the lists are older than it.
func TestAnUndoneGrantIsTakenAwayWhateverListsShow(t *testing.T) {
	for _, gives := range []string{"roles", "groups", "plain_groups"} {
		for _, lag := range []int{0, 20} {
			t.Run(fmt.Sprintf("%s, assignments by %d lists", gives, lag), func(t *testing.T) {
				c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
				g := s.grant()
				s.Lag, s.Late = lag, 6
				at := "ScheduleRequests"
				if gives == "plain_groups" {
					at = rightOf(g.Role).Group + "/members"
				}
				s.Feel(graphfake.On(http.MethodPost, at, 1, graphfake.After(graphfake.Says(http.StatusServiceUnavailable, ""))))
				_, err := c.Activate(t.Context(), g)
				wantError(t, err, connectors.Unavailable, "503")
				s.wantHolds(t, g, true)
				for try := 0; ; try++ {
					removal, err := c.Deactivate(t.Context(), g, access.Receipt{})
					if err == nil {
						if removal.Was != access.Removed {
							t.Errorf("it was %s, want removed", removal.Was)
						}
						break
					}
					wantError(t, err, connectors.TooEarly, "")
					if retryAfter(err) > 10*time.Second { // it is too young
						s.old(g)
					}
					if try > 30 {
						t.Fatalf("it is never taken away: %v", err)
					}
				}
				s.wantHolds(t, g, false)
			})
		}
	}
}

// TestMembersThatListsDoNotShowYetAreGivenOnce, and are gone when they are told to be.
func TestMembersThatListsDoNotShowYetAreGivenOnce(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = "plain_groups" })
	s.Late = 3
	g := s.grant()
	r := givenAtLast(t, c, g)
	if r.Already {
		t.Error("our own membership is taken for standing access")
	}
	_, err := c.Deactivate(t.Context(), g, r)
	wantError(t, err, connectors.TooEarly, "lists the member still")
	for try := 0; err != nil; try++ {
		if _, err = c.Deactivate(t.Context(), g, r); err != nil {
			wantError(t, err, connectors.TooEarly, "lists the member still")
		}
		if try > 8 {
			t.Fatal("it is never told to be gone")
		}
	}
	s.wantHolds(t, g, false)
}
