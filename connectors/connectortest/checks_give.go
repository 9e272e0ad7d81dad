package connectortest

import (
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

func checksTarget(s *suite) {
	c, ok := s.New(s.T).(connectors.TargetChecker)
	if !ok {
		s.Errorf("the connector does not check the form of a role's target")
		return
	}
	good := s.Role(s.T).Target
	if err := c.CheckTarget(good); err != nil {
		s.Errorf("a good target is refused: %v", err)
	}
	if !s.can(FixedTargets) {
		return
	}
	odd := map[string]any{"no_such_key": "x"}
	for k, v := range good {
		odd[k] = v
	}
	for name, target := range map[string]map[string]any{"an empty target": {}, "an unknown key": odd} {
		if err := c.CheckTarget(target); err == nil {
			s.Errorf("%s is accepted", name)
		}
	}
}

func checkPasses(s *suite) {
	c := s.New(s.T)
	if err := c.Check(s.ctx()); err != nil {
		s.Errorf("Check: %v", err)
	}
	if rc, ok := c.(connectors.RoleChecker); ok {
		if err := rc.CheckRole(s.ctx(), s.Role(s.T)); err != nil {
			s.Errorf("CheckRole: %v", err)
		}
	}
}

func capabilitiesAreTrue(s *suite) {
	c := s.New(s.T)
	caps := connectors.Describe(c)
	if caps.EndsSessions != s.can(EndSessions) {
		s.Errorf("the connector says that it ends sessions: %t; the harness says: %t", caps.EndsSessions, s.can(EndSessions))
	}
	if caps.Tail < 0 || caps.MinDuration < 0 {
		s.Errorf("a capability is negative: %+v", caps)
	}
	g, receipt := s.give(c, s.person(), s.Role(s.T))
	if caps.NativeExpiry != !receipt.NativeEnd.IsZero() {
		s.Errorf("native expiry is declared: %t, but the receipt says %v", caps.NativeExpiry, receipt.NativeEnd)
	}
	if caps.NativeExpiry && receipt.NativeEnd.Before(g.End) {
		s.Errorf("the target ends the access at %v, before the grant's own end %v", receipt.NativeEnd, g.End)
	}
	if removal := s.end(c, g, receipt, access.Removed); removal.Tail > caps.Tail {
		s.Errorf("a removal has a tail of %v, longer than the declared %v", removal.Tail, caps.Tail)
	}
}

func activateGives(s *suite) {
	p, r := s.person(), s.Role(s.T)
	s.wantHolds(p, r, false)
	s.give(s.New(s.T), p, r)
}

func activateIsIdempotent(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	g, first := s.give(c, p, r)
	for name, again := range map[string]connectors.Connector{"the same connector": c, "one after a restart": s.New(s.T)} {
		receipt, err := again.Activate(s.ctx(), g)
		if err != nil {
			s.Fatalf("Activate again, by %s: %v", name, err)
		}
		same := receipt.Already == first.Already && receipt.Ref == first.Ref && receipt.NativeEnd.Equal(first.NativeEnd)
		if !same {
			s.Errorf("Activate again, by %s: receipt %+v, want the first one, %+v", name, receipt, first)
		}
	}
	s.end(c, g, first, access.Removed)
	s.wantHolds(p, r, false)
}

func laterEndIsKept(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	if !connectors.Describe(c).NativeExpiry {
		return // nothing but Elevate ends it
	}
	g, first := s.give(c, p, r)
	g.End, g.Extensions = g.End.Add(time.Hour), 1
	later, err := s.New(s.T).Activate(s.ctx(), g)
	if err != nil {
		s.Fatalf("Activate with a later end: %v", err)
	}
	if later.NativeEnd.Before(g.End) || later.Already != first.Already {
		s.Errorf("after a later end, %v, the receipt is %+v; the first one was %+v", g.End, later, first)
	}
	s.end(c, g, later, access.Removed)
	s.wantHolds(p, r, false)
}

func overlapIsNotStanding(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	s.give(c, p, r)
	s.give(c, p, r)
}

func standingSurvives(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	s.Plant(s.T, p, r)
	g := s.grant(p, r)
	for _, try := range []string{"first", "second"} {
		receipt, err := c.Activate(s.ctx(), g)
		if err != nil {
			s.Fatalf("Activate, %s time: %v", try, err)
		}
		if !receipt.Already {
			s.Errorf("Activate, %s time: access that was there before is not reported", try)
		}
	}
	s.end(c, g, access.Receipt{Already: true}, access.Standing)
	s.wantHolds(p, r, true)
}

func standingSurvivesLostReceipt(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	s.Plant(s.T, p, r)
	g := s.grant(p, r)
	if _, err := c.Activate(s.ctx(), g); err != nil {
		s.Fatalf("Activate: %v", err)
	}
	s.end(s.New(s.T), g, access.Receipt{}, access.Standing)
	s.wantHolds(p, r, true)
}

func holdersMarksOurs(s *suite) {
	c, r := s.New(s.T), s.Role(s.T)
	given, standing, other := s.person(), s.person(), s.person()
	s.Plant(s.T, standing, r)
	g, receipt := s.give(c, given, r)
	s.give(c, other, s.Role(s.T))
	s.wantMark(c, r, given, "ours")
	s.wantRef(c, r, given, receipt)
	s.wantMark(c, r, standing, "standing")
	s.wantMark(c, r, other, "absent")
	s.end(c, g, receipt, access.Removed)
	s.wantMark(c, r, given, "absent")
	s.wantMark(c, r, standing, "standing")
}

// holds lists what Holders says of a person.
func (s *suite) holds(c connectors.Connector, r access.Role, p access.Person) []connectors.Holder {
	s.Helper()
	holders, err := c.Holders(s.ctx(), r)
	if err != nil {
		s.Fatalf("Holders: %v", err)
	}
	var its []connectors.Holder
	for _, h := range holders {
		if h.Account == p.Account(r.Connector) || h.Person == p.ID {
			its = append(its, h)
		}
	}
	return its
}

// wantMark checks what Holders says of a person: ours, standing or absent.
func (s *suite) wantMark(c connectors.Connector, r access.Role, p access.Person, want string) {
	s.Helper()
	got := "absent"
	for _, h := range s.holds(c, r, p) {
		if h.Grant != "" && !h.Ours {
			s.Errorf("Holders gives a grant for what is not ours: %+v", h)
		}
		got = "standing"
		if h.Ours {
			got = "ours"
		}
	}
	if got != want {
		s.Errorf("Holders says of %q: %s, want %s", p.Account(r.Connector), got, want)
	}
}

// wantRef checks that where Holders has a reference for a person, it is the receipt's, by which sweeps know them again.
func (s *suite) wantRef(c connectors.Connector, r access.Role, p access.Person, receipt access.Receipt) {
	s.Helper()
	for _, h := range s.holds(c, r, p) {
		if h.Ours && h.Ref != "" && h.Ref != receipt.Ref {
			s.Errorf("Holders has reference %q, and the receipt says %q", h.Ref, receipt.Ref)
		}
	}
}
