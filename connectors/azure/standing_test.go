package azure_test

import (
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

func TestWhatIsNotOursIsNeverRemoved(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(30 * time.Minute)
	for name, test := range map[string]struct {
		plant armfake.Assignment
	}{
		"assigned for ever":          {armfake.Assignment{Scope: group, Role: armfake.Reader, Account: ana}},
		"assigned until later":       {armfake.Assignment{Scope: group, Role: armfake.Reader, Account: ana, End: soon.Add(9 * time.Hour)}},
		"activated in PIM":           {armfake.Assignment{Scope: group, Role: armfake.Reader, Account: ana, End: soon.Add(9 * time.Hour), Activated: true}},
		"inherited":                  {armfake.Assignment{Scope: subscription, Role: armfake.Reader, Account: ana}},
		"from the management group":  {armfake.Assignment{Scope: armfake.Management, Role: armfake.Reader, Account: ana}},
		"by a group":                 {armfake.Assignment{Scope: group, Role: armfake.Reader, Account: team}},
		"by a group, from far above": {armfake.Assignment{Scope: armfake.Management, Role: armfake.Reader, Account: team}},
	} {
		s := tenant(t)
		s.AddGroup(team, ana)
		s.Plant(test.plant)
		c, g := connect(t, s), grant(s)
		if r := give(t, c, g); !r.Already || !r.NativeEnd.IsZero() {
			t.Errorf("%s: the receipt is %+v", name, r)
		}
		s.Advance(time.Hour)
		for _, r := range []access.Receipt{{Already: true}, {}, {Ref: "lost"}} {
			if removal, err := c.Deactivate(t.Context(), g, r); err != nil || removal.Was != access.Standing {
				t.Errorf("%s: the end finds %+v, %v", name, removal, err)
			}
		}
		wantHolds(t, s, g, true)
		if n := count(s, "PUT "); n != 0 {
			t.Errorf("%s: %d requests were made", name, n)
		}
	}
}

// TestWhatWillEndIsNoReasonNotToGive: access that ends by itself from above, by a group or narrowed does not last.
func TestWhatWillEndIsNoReasonNotToGive(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(9 * time.Hour)
	for name, plant := range map[string]armfake.Assignment{
		"inherited for a while":  {Scope: subscription, Role: armfake.Reader, Account: ana, End: later},
		"by a group for a while": {Scope: group, Role: armfake.Reader, Account: team, End: later},
		"inherited and narrowed": {Scope: subscription, Role: armfake.Reader, Account: ana, Condition: "@Resource[x] StringEquals 'y'"},
		"another role":           {Scope: group, Role: armfake.Contributor, Account: ana},
		"below the scope":        {Scope: vault, Role: armfake.Reader, Account: ana},
		"somebody else's":        {Scope: group, Role: armfake.Reader, Account: ben},
	} {
		s := tenant(t)
		s.AddGroup(team, ana)
		s.Plant(plant)
		c, g := connect(t, s), grant(s)
		r := give(t, c, g)
		if r.Already {
			t.Errorf("%s: it is taken for standing access", name)
		}
		s.Advance(time.Hour)
		removal, err := c.Deactivate(t.Context(), g, r)
		want := access.Removed
		if plant.End == later {
			want = access.Standing // it goes on for some hours, by nothing of ours
		}
		if err != nil || removal.Was != want {
			t.Errorf("%s: the end finds %+v, %v, want %s", name, removal, err, want)
		}
	}
}

func TestAnAdministratorWhoTakesAnAssignmentOverKeepsIt(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	r := give(t, c, g)
	s.Takeover(group, armfake.Reader, ana, s.Now().Add(24*time.Hour))
	s.Advance(time.Hour)
	if removal, err := c.Deactivate(t.Context(), g, r); err != nil || removal.Was != access.Standing {
		t.Errorf("the end finds %+v, %v", removal, err)
	}
	wantHolds(t, s, g, true)
}

func TestForgottenRequestsAreKnownByTheReceipt(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	r := give(t, c, g)
	s.Forget(group)
	s.Advance(time.Minute) // the assignment is young, so the request cannot be too old to be there
	_, err := c.Deactivate(t.Context(), g, r)
	wantKind(t, err, connectors.TooEarly)
	s.Advance(50 * time.Minute)
	if removal, err := c.Deactivate(t.Context(), g, access.Receipt{}); err != nil || removal.Was != access.Standing {
		t.Errorf("without a receipt the end finds %+v, %v", removal, err)
	}
	if removal, err := c.Deactivate(t.Context(), g, r); err != nil || removal.Was != access.Removed {
		t.Errorf("with its receipt the end finds %+v, %v", removal, err)
	}
	wantHolds(t, s, g, false)
}

func TestAccessByAGrantAboveIsShared(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	c := connect(t, s)
	above, below := grant(s), grant(s)
	above.Role = role(subscription, armfake.Reader)
	give(t, c, above)
	r := give(t, c, below)
	if r.Already {
		t.Fatal("what another grant gives for a while is taken for standing access")
	}
	s.Advance(59 * time.Minute)
	if removal, err := c.Deactivate(t.Context(), below, r); err != nil || removal.Was != access.Shared {
		t.Errorf("the end finds %+v, %v", removal, err)
	}
	holders, err := c.Holders(t.Context(), below.Role)
	if err != nil || len(holders) != 0 {
		t.Errorf("what Elevate gave above is listed as %+v, %v", holders, err)
	}
}

func TestHoldersSayHow(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	s.AddGroup(team)
	until := time.Date(2099, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, a := range []armfake.Assignment{
		{Scope: group, Role: armfake.Reader, Account: ben},
		{Scope: armfake.Management, Role: armfake.Reader, Account: team, Condition: "@Resource[x] StringEquals 'y'"},
		{Scope: subscription, Role: armfake.Reader, Account: idOf("cara"), End: until},
		{Scope: group, Role: armfake.Reader, Account: idOf("dora"), End: until, Activated: true},
		{Scope: group, Role: armfake.Contributor, Account: idOf("eve")},
		{Scope: vault, Role: armfake.Reader, Account: idOf("fay")},
	} {
		s.Plant(a)
	}
	s.MakeEligible(armfake.Assignment{Scope: subscription, Role: armfake.Reader, Account: idOf("gus")})
	c, g := connect(t, s), grant(s)
	give(t, c, g)
	holders, err := c.Holders(t.Context(), g.Role)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]connectors.Holder{}
	for _, h := range holders {
		got[h.Account] = h
	}
	want := map[string]connectors.Holder{
		ana:          {Account: ana, Grant: g.ID, Ours: true},
		ben:          {Account: ben},
		team:         {Account: team, How: "a group, inherited from " + armfake.Management + ", narrowed by a condition"},
		idOf("cara"): {Account: idOf("cara"), How: "inherited from " + subscription + ", until 2099-01-02 03:04 UTC"},
		idOf("dora"): {Account: idOf("dora"), How: "activated in PIM, until 2099-01-02 03:04 UTC"},
		idOf("gus"):  {Account: idOf("gus"), How: "inherited from " + subscription, Eligible: true},
	}
	if len(holders) != len(want) {
		t.Errorf("%d are listed, want %d: %+v", len(holders), len(want), holders)
	}
	for account, h := range want {
		if got[account] != h {
			t.Errorf("%s is listed as %+v, want %+v", account, got[account], h)
		}
	}
}

func TestEligibilityCanBeRequired(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	s.AddGroup(team, ben)
	c := connect(t, s, func(cfg *azure.Config) { cfg.RequireEligible = true })
	g := grant(s)
	_, err := c.Activate(t.Context(), g)
	wantKind(t, err, connectors.Denied, "not eligible", "require_eligible")
	s.MakeEligible(armfake.Assignment{Scope: group, Role: armfake.Contributor, Account: ana})
	s.MakeEligible(armfake.Assignment{Scope: vault, Role: armfake.Reader, Account: ana})
	s.MakeEligible(armfake.Assignment{Scope: group, Role: armfake.Reader, Account: ana, End: s.Now().Add(-time.Minute)})
	_, err = c.Activate(t.Context(), g)
	wantKind(t, err, connectors.Denied, "not eligible")
	s.MakeEligible(armfake.Assignment{Scope: group, Role: armfake.Reader, Account: ana})
	give(t, c, g)

	bens := grant(s)
	bens.Person = person(ben)
	s.MakeEligible(armfake.Assignment{Scope: armfake.Management, Role: armfake.Reader, Account: team})
	give(t, c, bens)
}
