package postgres_test

import (
	"fmt"
	"testing"

	"elevate/connectors"
	"elevate/connectors/postgres"
	"elevate/workflows/access"
)

// SQLSTATEs that people see.
const (
	insufficientPrivilege = "42501"
	adminShutdown         = "57P01"
)

func withSetRole(cfg *postgres.Config) { cfg.SetRole = true }

func activate(t *testing.T, c *postgres.Connector, g access.Grant) access.Receipt {
	t.Helper()
	receipt, err := c.Activate(t.Context(), g)
	if err != nil {
		t.Fatalf("Activate: %v", err)
	}
	return receipt
}

func deactivate(t *testing.T, c *postgres.Connector, g access.Grant, r access.Receipt) access.Removal {
	t.Helper()
	removal, err := c.Deactivate(t.Context(), g, r)
	if err != nil {
		t.Fatalf("Deactivate: %v", err)
	}
	return removal
}

func wantState(t *testing.T, when string, w work, want string) {
	t.Helper()
	if got := w.state(); got != want {
		t.Errorf("%s: reading the secret gives %q, want %q", when, got, want)
	}
}

func accessLastsFromActivationToEnd(t *testing.T, s *server) {
	ana, role := s.user(t, `ana "the root"; --`), s.role(t)
	c, g := s.connector(t, withSetRole), s.grant(ana, role)
	before := s.login(t, ana)
	wantState(t, "before activation", before, insufficientPrivilege)
	receipt := activate(t, c, g)
	wantState(t, "in a session from before", before, "")
	became := s.login(t, ana).become(role)
	wantState(t, "after SET ROLE", became, "")
	removal := deactivate(t, c, g, receipt)
	if removal.Was != access.Removed || removal.SessionsEnded != 2 || removal.Tail != 0 {
		t.Errorf("the removal is %+v, want two sessions ended and no tail", removal)
	}
	wantState(t, "in the session that did SET ROLE", became, adminShutdown)
	wantState(t, "in the session from before", before, adminShutdown)
	wantState(t, "in a new session", s.login(t, ana), insufficientPrivilege)
}

func setRoleIsForbiddenUnlessAskedFor(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	activate(t, s.connector(t, nil), s.grant(ana, role))
	w := s.login(t, ana)
	wantState(t, "by inheriting", w, "")
	_, err := w.conn.Exec(t.Context(), "SET ROLE "+target(role))
	if forbidden := err != nil; forbidden != (s.perGrantor()) {
		t.Errorf("SET ROLE: %v", err)
	}
}

func standingAccessOfAnyKindIsLeftAlone(t *testing.T, s *server) {
	c := s.connector(t, nil)
	for name, plant := range map[string]string{
		"by a superuser":          "GRANT {role} TO {user}",
		"by another admin":        "SET SESSION AUTHORIZATION dba; GRANT {role} TO {user}",
		"through a group":         "CREATE ROLE {group}; GRANT {role} TO {group}; GRANT {group} TO {user}",
		"through a group's group": "CREATE ROLE {group}; CREATE ROLE {group}2; GRANT {role} TO {group}; GRANT {group} TO {group}2; GRANT {group}2 TO {user}",
		"as a superuser":          "ALTER ROLE {user} SUPERUSER",
	} {
		t.Run(name, func(t *testing.T) {
			role := s.role(t)
			user := s.user(t, "ana")
			s.admin(t, "DO $$ BEGIN CREATE ROLE dba; EXCEPTION WHEN duplicate_object THEN END $$; GRANT "+target(role)+" TO dba WITH ADMIN OPTION")
			s.admin(t, expand(plant, role, user))
			g := s.grant(user, role)
			open := s.login(t, user)
			receipt := activate(t, c, g)
			if !receipt.Already {
				t.Error("standing access is not reported")
			}
			for _, r := range []access.Receipt{receipt, {}} {
				if removal := deactivate(t, c, g, r); removal.Was != access.Standing || removal.SessionsEnded != 0 {
					t.Errorf("the removal is %+v, want standing access that stays", removal)
				}
			}
			wantState(t, "in the session that was open", open, "")
		})
	}
}

// standingAccessGivenMeanwhileStays: from version 16 on the two memberships stand side by side.
func standingAccessGivenMeanwhileStays(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	receipt := activate(t, c, g)
	s.admin(t, expand("GRANT {role} TO {user}", role, ana))
	if again := activate(t, c, g); again != receipt {
		t.Errorf("a second Activate gives %+v, want %+v", again, receipt)
	}
	open := s.login(t, ana)
	removal := deactivate(t, c, g, receipt)
	if !s.perGrantor() { // as the README says: the administrator's GRANT did nothing
		if removal.Was != access.Removed {
			t.Errorf("the removal is %+v", removal)
		}
		wantState(t, "in the session that was open", open, adminShutdown)
		return
	}
	if removal.Was != access.Standing || removal.SessionsEnded != 0 {
		t.Errorf("the removal is %+v, want standing access that stays", removal)
	}
	wantState(t, "in the session that was open", open, "")
}

// adminOptionAloneIsNoAccess: from version 16 on a membership may give nothing but the right to give it.
func adminOptionAloneIsNoAccess(t *testing.T, s *server) {
	if !s.perGrantor() {
		return
	}
	ana, role := s.user(t, "ana"), s.role(t)
	s.admin(t, expand("GRANT {role} TO {user} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", role, ana))
	c, g := s.connector(t, nil), s.grant(ana, role)
	wantState(t, "before activation", s.login(t, ana), insufficientPrivilege)
	receipt := activate(t, c, g)
	if receipt.Already {
		t.Error("a membership without rights counts as access")
	}
	open := s.login(t, ana)
	wantState(t, "after activation", open, "")
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Removed {
		t.Errorf("the removal is %+v", removal)
	}
	wantState(t, "in the session that was open", open, adminShutdown)
}

// whatWasPassedOnGoesToo: an administrator may have added the right to pass the role on to our own membership.
func whatWasPassedOnGoesToo(t *testing.T, s *server) {
	if !s.perGrantor() {
		return
	}
	ana, bo, role := s.user(t, "ana"), s.user(t, "bo"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	receipt := activate(t, c, g)
	s.admin(t, expand("GRANT {role} TO {user} WITH ADMIN TRUE GRANTED BY elevate_bot", role, ana))
	s.as(t, s.DSN(ana.Account("pg"), userPassword), expand("GRANT {role} TO {user}", role, bo))
	if !s.holds(t, bo, role) {
		t.Fatal("the role was not passed on")
	}
	deactivate(t, c, g, receipt)
	if s.holds(t, bo, role) || s.holds(t, ana, role) {
		t.Error("somebody still holds the role")
	}
}

// roleHeldThroughAnotherGrantStaysWithIt: one role contains the other, and both were given by Elevate.
func roleHeldThroughAnotherGrantStaysWithIt(t *testing.T, s *server) {
	ana, inner, outer := s.user(t, "ana"), s.role(t), s.role(t)
	s.admin(t, "GRANT "+target(inner)+" TO "+target(outer))
	c := s.connector(t, nil)
	gOuter, gInner := s.grant(ana, outer), s.grant(ana, inner)
	rOuter, rInner := activate(t, c, gOuter), activate(t, c, gInner)
	if rInner.Already {
		t.Error("what Elevate gave through another role counts as standing access")
	}
	open := s.login(t, ana)
	if removal := deactivate(t, c, gInner, rInner); removal.Was != access.Shared || removal.SessionsEnded != 0 {
		t.Errorf("the first removal is %+v, want one that leaves the other grant alone", removal)
	}
	wantState(t, "while the other grant runs", open, "")
	if removal := deactivate(t, c, gOuter, rOuter); removal.Was != access.Removed {
		t.Errorf("the second removal is %+v", removal)
	}
	wantState(t, "at the end", open, adminShutdown)
}

func accountsThatWouldShareTheRoleAreRefused(t *testing.T, s *server) {
	role := s.role(t)
	shared, group, bo := s.user(t, "shared"), s.user(t, "group"), s.user(t, "bo")
	s.admin(t, fmt.Sprintf("GRANT %s TO %s; ALTER ROLE %s NOLOGIN; ALTER ROLE %s LOGIN", quote(shared.Account("pg")), quote(bo.Account("pg")),
		quote(group.Account("pg")), quote(target(role))))
	itself := access.Person{ID: access.PersonID(target(role))}
	for name, p := range map[string]access.Person{"with members": shared, "a group": group, "the role itself": itself} {
		_, err := s.connector(t, nil).Activate(t.Context(), s.grant(p, role))
		if connectors.KindOf(err) != connectors.Invalid {
			t.Errorf("Activate for an account %s: %v, want kind %q", name, err, connectors.Invalid)
		}
	}
	if s.holds(t, bo, role) {
		t.Error("a member of the account got the role")
	}
}

func holdersListsWhoReallyHolds(t *testing.T, s *server) {
	role, outer := s.role(t), s.role(t)
	ana, bo := s.user(t, "ana"), s.user(t, "bo")
	cy := s.user(t, "cy")
	s.admin(t, expand("CREATE ROLE {group}; GRANT {role} TO {group}; GRANT {group} TO {user}; GRANT {role} TO ", role, cy)+target(outer))
	c := s.connector(t, nil)
	activate(t, c, s.grant(ana, role))
	activate(t, c, s.grant(bo, outer))
	holders, err := c.Holders(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, h := range holders {
		got[h.Account] = h.Ours
	}
	want := map[string]bool{ana.Account("pg"): true, cy.Account("pg"): false, expand("{group}", role, cy): false, target(outer): false}
	if len(got) != len(holders) || len(got) != len(want) {
		t.Errorf("the holders are %+v, want %v", holders, want)
	}
	for account, ours := range want {
		if mark, ok := got[account]; !ok || mark != ours {
			t.Errorf("%s is listed: %t, as ours: %t; want ours: %t", account, ok, mark, ours)
		}
	}
}
