package connectortest

import "elevate/workflows/access"

func deactivateTakes(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	g, receipt := s.give(c, p, r)
	s.end(c, g, receipt, access.Removed)
	s.wantHolds(p, r, false)
	s.end(c, g, receipt, access.Absent)
	s.end(s.New(s.T), g, receipt, access.Absent)
	s.wantHolds(p, r, false)
}

func deactivateWithoutReceipt(s *suite) {
	p, r := s.person(), s.Role(s.T)
	g, _ := s.give(s.New(s.T), p, r)
	s.end(s.New(s.T), g, access.Receipt{}, access.Removed)
	s.wantHolds(p, r, false)
}

func lastGrantTakesAll(s *suite) {
	c, p, r := s.New(s.T), s.person(), s.Role(s.T)
	s.give(c, p, r)
	last, receipt := s.give(c, p, r)
	s.end(c, last, receipt, access.Removed)
	s.wantHolds(p, r, false)
	s.wantMark(c, r, p, "absent")
}

func deactivateOfNothing(s *suite) {
	p, r := s.person(), s.Role(s.T)
	s.end(s.New(s.T), s.grant(p, r), access.Receipt{}, access.Absent)
	s.wantHolds(p, r, false)
}

func endingOneLeavesOthers(s *suite) {
	c, r, otherRole := s.New(s.T), s.Role(s.T), s.Role(s.T)
	p, other := s.person(), s.person()
	g, receipt := s.give(c, p, r)
	s.give(c, other, r)
	s.give(c, p, otherRole)
	s.end(c, g, receipt, access.Removed)
	s.wantHolds(p, r, false)
	s.wantHolds(other, r, true)
	s.wantHolds(p, otherRole, true)
}

// endingEndsSessions holds the promise where the target has sessions, and the declaration where it has not:
// capabilitiesAreTrue compares the two.
func endingEndsSessions(s *suite) {
	if !s.can(EndSessions) {
		return
	}
	c, r := s.New(s.T), s.Role(s.T)
	p, other, standing := s.person(), s.person(), s.person()
	s.Plant(s.T, standing, r)
	g, receipt := s.give(c, p, r)
	s.give(c, other, r)
	mine, theirs, lasting := s.Open(s.T, p, r), s.Open(s.T, other, r), s.Open(s.T, standing, r)
	if !mine.Alive() || !theirs.Alive() || !lasting.Alive() {
		s.Fatalf("a session that was just opened cannot use the role")
	}
	if removal := s.end(c, g, receipt, access.Removed); removal.SessionsEnded < 1 {
		s.Errorf("Deactivate reports %d ended sessions, want 1 at least", removal.SessionsEnded)
	}
	if mine.Alive() {
		s.Errorf("the session goes on after its access was taken away")
	}
	kept, err := c.Activate(s.ctx(), s.grant(standing, r))
	if err != nil {
		s.Fatalf("Activate of a standing holder: %v", err)
	}
	s.end(c, s.grant(standing, r), kept, access.Standing)
	if !theirs.Alive() {
		s.Errorf("another person's session was ended")
	}
	if !lasting.Alive() {
		s.Errorf("the session of a standing holder was ended")
	}
}

func lieIsFound(s *suite) {
	if !s.can(Lie) {
		return
	}
	p, r := s.person(), s.Role(s.T)
	liar := s.Lie(s.T)
	g, receipt := s.give(liar, p, r)
	removal, err := liar.Deactivate(s.ctx(), g, receipt)
	if !s.Holds(s.T, p, r) {
		s.Fatalf("the harness's liar told the truth")
	}
	if err == nil {
		s.Errorf("Deactivate believed a target that lied: %+v", removal)
		return
	}
	s.wantNotFinal("Deactivate at a target that lies", err)
}
