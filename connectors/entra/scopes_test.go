package entra_test

import (
	"testing"
	"time"

	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

// TestAGrantOfTheWholeTenantIsSharedInAUnit: it is no standing access there, and neither grant takes the other's away.
func TestAGrantOfTheWholeTenantIsSharedInAUnit(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.RevokeSessions = true })
	s.role() // every second one is of the whole tenant
	above := s.grantOf(s.role())
	below := above
	below.ID, below.End = "00000-below", above.End.Add(-30*time.Minute)
	below.Role.ID = "role-below"
	below.Role.Target = map[string]any{"role": above.Role.Target["role"], "scope": "/administrativeUnits/ffffffff-0000-4000-8000-000000000001"}
	if above.Role.Target["scope"] != "/" {
		t.Fatalf("the wider role is at %s", above.Role.Target["scope"])
	}
	wide := s.give(t, c, above)
	s.PlantPast(above.Person.Account("entra"), rightOf(above.Role)) // the directory's own list has it, too
	narrow := s.give(t, c, below)
	if narrow.Already {
		t.Fatal("what another grant gives for a while is taken for standing access")
	}
	alive := s.SignIn(above.Person.Account("entra"))
	wantHolders(t, c, s, below.Role, below)
	wantHolders(t, c, s, above.Role, above)

	s.old(below)
	s.end(t, c, below, narrow, access.Shared)
	s.wantHolds(t, below, false)
	s.wantHolds(t, above, true)
	wantHolders(t, c, s, below.Role)
	if !alive() {
		t.Error("the person was signed out, and holds the role still")
	}
	s.end(t, c, below, access.Receipt{}, access.Shared)
	s.old(above)
	s.end(t, c, above, wide, access.Removed)
	s.wantHolds(t, above, false)
}

// TestAnAdministratorsRoleOfTheWholeTenantStandsInAUnit, beside which nothing is given.
func TestAnAdministratorsRoleOfTheWholeTenantStandsInAUnit(t *testing.T) {
	c, s := setup(t, plainly)
	g := s.grantOf(s.role()) // of a unit
	above := rightOf(g.Role)
	above.Scope = "/"
	s.Plant(g.Person.Account("entra"), above, graphfake.Plant{})
	if r, err := c.Activate(t.Context(), g); err != nil || !r.Already {
		t.Errorf("Activate: %+v, %v", r, err)
	}
	s.end(t, c, g, access.Receipt{}, access.Standing)
}

// wantHolders tells that a role is held by these grants, and by nobody else.
func wantHolders(t *testing.T, c *entra.Connector, s *site, r access.Role, grants ...access.Grant) {
	t.Helper()
	holders, err := c.Holders(t.Context(), r)
	if err != nil || len(holders) != len(grants) {
		t.Errorf("%s is held by %+v, %v, want %d", r.ID, holders, err, len(grants))
		return
	}
	for i, g := range grants {
		if holders[i].Grant != g.ID || !holders[i].Ours {
			t.Errorf("%s is held by %+v, want %s", r.ID, holders[i], g.ID)
		}
	}
}
