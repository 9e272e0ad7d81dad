package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/postgres"
	"elevate/workflows/access"
)

// retryEndsSessions: the first try took the membership away and broke before it came to the sessions.
func retryEndsSessions(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, withSetRole), s.grant(ana, role)
	receipt := activate(t, c, g)
	became := s.login(t, ana).become(role)
	s.as(t, s.botDSN(), expand("REVOKE {role} FROM {user}", role, ana))
	wantState(t, "after REVOKE alone", became, "")
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Absent || removal.SessionsEnded != 1 {
		t.Errorf("the removal is %+v, want absent with one session ended", removal)
	}
	wantState(t, "after the retry", became, adminShutdown)
}

func undoingNothingEndsNoSessions(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	open := s.login(t, ana)
	removal := deactivate(t, s.connector(t, nil), s.grant(ana, role), access.Receipt{})
	if removal.Was != access.Absent || removal.SessionsEnded != 0 {
		t.Errorf("the removal is %+v", removal)
	}
	wantState(t, "in the session that was open", open, insufficientPrivilege)
}

func renamesAreFollowed(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	receipt := activate(t, c, g)
	open := s.login(t, ana)
	renamed := access.Person{ID: ana.ID + " renamed"}
	renamedRole := roleNamed(target(role) + "_renamed")
	s.admin(t, fmt.Sprintf("ALTER ROLE %s RENAME TO %s; ALTER ROLE %s RENAME TO %s",
		quote(ana.Account("pg")), quote(renamed.Account("pg")), target(role), target(renamedRole)))
	holders, err := c.Holders(t.Context(), renamedRole)
	if want := (connectors.Holder{Account: renamed.Account("pg"), Ours: true, Ref: receipt.Ref}); err != nil || len(holders) != 1 || holders[0] != want {
		t.Errorf("Holders: %+v, %v; want %+v", holders, err, want)
	}
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Removed {
		t.Errorf("the removal is %+v", removal)
	}
	if s.holds(t, renamed, renamedRole) {
		t.Error("the account still holds the role under its new name")
	}
	wantState(t, "in the session that was open", open, adminShutdown)

	s.admin(t, expand("DROP ROLE {user}", role, renamed))
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Absent {
		t.Errorf("the removal after the account was dropped is %+v", removal)
	}
}

// aSessionThatDoesNotEndIsNoticed stops a server process, which then does not hear that it is to end.
func aSessionThatDoesNotEndIsNoticed(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	receipt := activate(t, c, g)
	open := s.login(t, ana)
	pid := int(open.conn.PgConn().PID())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err := c.Deactivate(t.Context(), g, receipt)
	if resumeErr := syscall.Kill(pid, syscall.SIGCONT); resumeErr != nil {
		t.Fatal(resumeErr)
	}
	if connectors.KindOf(err) != connectors.Unavailable || err == nil {
		t.Errorf("Deactivate with a session that goes on: %v", err)
	}
	if s.holds(t, ana, role) {
		t.Error("the membership was kept because of the session")
	}
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Absent {
		t.Errorf("the removal at the second try is %+v", removal)
	}
	wantState(t, "after the second try", open, adminShutdown)
}

func anotherServersGrantIsNotGone(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	receipt := activate(t, c, g)
	_, rest, _ := strings.Cut(receipt.Ref, "/")
	elsewhere := access.Receipt{Ref: "7000000000000000001/" + rest}
	if removal := deactivate(t, c, g, elsewhere); removal.Was != access.Removed {
		t.Errorf("at a copy of the server that has the membership, the removal is %+v", removal)
	}
	nobody := s.grant(access.Person{ID: "nobody here"}, role)
	for name, g := range map[string]access.Grant{"without the membership": g, "without the account": nobody} {
		if removal, err := c.Deactivate(t.Context(), g, elsewhere); connectors.KindOf(err) != connectors.Unavailable || err == nil {
			t.Errorf("at a server %s: %+v, %v; want an error", name, removal, err)
		}
	}
}

func earlierLoginsGrant(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	g := s.grant(ana, role)
	receipt := activate(t, s.connector(t, nil), g)
	later := s.bot(t, role)
	removal, err := s.connector(t, later.login).Deactivate(t.Context(), g, receipt)
	if !s.perGrantor() {
		if err != nil || removal.Was != access.Removed {
			t.Errorf("Deactivate by the new login: %+v, %v", removal, err)
		}
		return
	}
	if connectors.KindOf(err) != connectors.Denied {
		t.Errorf("Deactivate by the new login: %+v, %v; want kind %q", removal, err, connectors.Denied)
	}
	s.admin(t, fmt.Sprintf("GRANT elevate_bot TO %s WITH INHERIT TRUE", later.name))
	if removal = deactivate(t, s.connector(t, later.login), g, receipt); removal.Was != access.Removed {
		t.Errorf("with the old login's rights, the removal is %+v", removal)
	}
}

// deactivationWaitsForActivation: a transaction that we gave up may still be committed by the server.
func deactivationWaitsForActivation(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	c, g := s.connector(t, nil), s.grant(ana, role)
	first := activate(t, c, g)
	deactivate(t, c, g, first)
	var roleOID, account int64
	var cluster string
	if _, err := fmt.Sscanf(strings.ReplaceAll(first.Ref, "/", " "), "%s %d %d", &cluster, &roleOID, &account); err != nil {
		t.Fatal(err)
	}
	s.members.Lock()
	defer s.members.Unlock()
	stuck, err := connect(t, s.botDSN()).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", roleOID<<32|account), expand("GRANT {role} TO {user}", role, ana)} {
		if _, err := stuck.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	type answer struct {
		removal access.Removal
		err     error
	}
	done := make(chan answer, 1)
	go func() {
		removal, err := c.Deactivate(t.Context(), g, access.Receipt{})
		done <- answer{removal, err}
	}()
	s.waitFor(t, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid::int8 = $1::int8)`, roleOID)
	if err := stuck.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.err != nil || a.removal.Was != access.Removed {
		t.Errorf("Deactivate: %+v, %v; want what the late activation gave removed", a.removal, a.err)
	}
	if s.holds(t, ana, role) {
		t.Error("the late activation outlived its end")
	}
}

func cancelledCallLeavesNothing(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	bot := s.bot(t, role)
	c, g := s.connector(t, bot.login), s.grant(ana, role)
	deactivate(t, c, g, activate(t, c, g))
	s.members.Lock()
	defer s.members.Unlock()
	block, err := connect(t, s.Superuser()).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := block.Exec(t.Context(), "LOCK pg_auth_members"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Activate(ctx, g); done <- err }()
	s.waitFor(t, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock')`, bot.name)
	cancel()
	if err := <-done; connectors.KindOf(err) != connectors.Unavailable || err == nil {
		t.Errorf("Activate that was cancelled: %v", err)
	}
	s.waitFor(t, `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1)`, bot.name)
	if err := block.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.holds(t, ana, role) {
		t.Error("the cancelled call gave the role")
	}
}

// waitFor asks the server until it says yes.
func (s *server) waitFor(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn := connect(t, s.Superuser())
	limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for yes := false; !yes; {
		if err := conn.QueryRow(limit, sql, args...).Scan(&yes); err != nil {
			t.Fatalf("waiting for %s: %v", sql, err)
		}
	}
}

func oddDefaultsDoNoHarm(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	s.admin(t, `CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
		CREATE VIEW evil.pg_auth_members AS SELECT * FROM pg_catalog.pg_auth_members WHERE false;
		CREATE FUNCTION evil.pg_has_role(name, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
		GRANT SELECT ON evil.pg_auth_members TO PUBLIC`)
	c := s.connector(t, func(cfg *postgres.Config) {
		cfg.DSN = access.NewSecret(cfg.DSN.Reveal() + "&search_path=evil,pg_catalog&default_transaction_read_only=on&default_transaction_isolation=serializable&synchronous_commit=off")
	})
	g := s.grant(ana, role)
	receipt := activate(t, c, g)
	if again := activate(t, c, g); again != receipt {
		t.Errorf("a second Activate gives %+v, want %+v", again, receipt)
	}
	if removal := deactivate(t, c, g, receipt); removal.Was != access.Removed {
		t.Errorf("the removal is %+v", removal)
	}
	if s.holds(t, ana, role) {
		t.Error("the account still holds the role")
	}
}

// missingDatabaseProvesNothing: memberships belong to the server, whatever database dsn names.
func missingDatabaseProvesNothing(t *testing.T, s *server) {
	c := s.connector(t, func(cfg *postgres.Config) { cfg.DSN = edited(cfg.DSN, "/postgres?", "/missing?") })
	_, err := c.Deactivate(t.Context(), s.grant(s.user(t, "ana"), s.role(t)), access.Receipt{})
	if connectors.KindOf(err) != connectors.Denied {
		t.Errorf("Deactivate: %v, want kind %q", err, connectors.Denied)
	}
}
