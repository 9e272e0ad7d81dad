package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"elevate/connectors"
	"elevate/connectors/postgres"
	"elevate/workflows/access"
)

// bot is a login of the connector's beside the README's.
type bot struct {
	name string
	dsn  string
}

func (b bot) login(cfg *postgres.Config) { cfg.DSN, cfg.SetRole = access.NewSecret(b.dsn), true }

// bot makes a login with the README's rights on the given roles.
func (s *server) bot(t *testing.T, roles ...access.Role) bot {
	t.Helper()
	b := bot{name: fmt.Sprintf("bot%d", s.n.Add(1))}
	b.dsn = s.DSN(b.name, botPassword)
	sql := strings.ReplaceAll(readme(t, s.Major), "elevate_bot", b.name)
	for line := range strings.Lines(sql) {
		if !strings.Contains(line, "ADMIN") {
			s.admin(t, line)
			continue
		}
		for _, r := range roles {
			s.admin(t, strings.ReplaceAll(line, "db_admin", target(r)))
		}
	}
	return b
}

func readmeRights(t *testing.T, s *server) {
	role := s.role(t)
	c := s.connector(t, s.bot(t, role).login)
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := c.CheckRole(t.Context(), role); err != nil {
		t.Errorf("CheckRole: %v", err)
	}
	surplus, err := c.Surplus(t.Context())
	if err != nil || len(surplus) != 0 {
		t.Errorf("Surplus: %q, %v", surplus, err)
	}
}

func missingRights(t *testing.T, s *server) {
	role, ana := s.role(t), s.user(t, "ana")
	super := roleNamed(target(s.role(t)))
	s.admin(t, "ALTER ROLE "+target(super)+" SUPERUSER")
	for name, test := range map[string]struct {
		prepare string
		role    access.Role
		want    string // in the error of CheckRole
		general bool   // so that Check says it too
	}{
		"may not end sessions":    {"REVOKE pg_signal_backend FROM {bot}", role, "GRANT pg_signal_backend TO ", true},
		"may not give the role":   {"REVOKE {role} FROM {bot}", role, "GRANT " + quote(target(role)) + " TO ", false},
		"is a superuser":          {"ALTER ROLE {bot} SUPERUSER", role, "is a superuser", true},
		"the role is a superuser": {"SELECT", super, "is a superuser role", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.bot(t, role)
			s.admin(t, strings.NewReplacer("{bot}", b.name, "{role}", target(role)).Replace(test.prepare))
			c := s.connector(t, b.login)
			err := c.CheckRole(t.Context(), test.role)
			if connectors.KindOf(err) != connectors.Denied || !strings.Contains(err.Error(), test.want) {
				t.Errorf("CheckRole: %v; want kind %q and %q", err, connectors.Denied, test.want)
			}
			if err := c.Check(t.Context()); (err != nil) != test.general {
				t.Errorf("Check: %v", err)
			}
			if _, err := c.Activate(t.Context(), s.grant(ana, test.role)); connectors.KindOf(err) != connectors.Denied {
				t.Errorf("Activate: %v; want kind %q", err, connectors.Denied)
			}
			if s.holds(t, ana, test.role) {
				t.Error("the role was given")
			}
		})
	}
}

func surplusRights(t *testing.T, s *server) {
	role, ana := s.role(t), s.user(t, "ana")
	b := s.bot(t, role)
	s.admin(t, fmt.Sprintf("ALTER ROLE %[1]s SUPERUSER CREATEROLE CREATEDB REPLICATION BYPASSRLS INHERIT; GRANT pg_monitor TO %[1]s; GRANT %[1]s TO %[2]s",
		b.name, quote(ana.Account("pg"))))
	surplus, err := s.connector(t, b.login).Surplus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(surplus, "\n")
	want := []string{"NOSUPERUSER", "NOCREATEROLE", "NOCREATEDB", "NOREPLICATION", "NOBYPASSRLS", "pg_monitor", ana.Account("pg") + " can act as"}
	if !s.perGrantor() {
		want = append(want, "NOINHERIT")
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("the surplus does not speak of %q: %s", w, all)
		}
	}
	if len(surplus) != len(want) {
		t.Errorf("the surplus has %d entries, want %d: %s", len(surplus), len(want), all)
	}
}

func losingTheRightToEndSessions(t *testing.T, s *server) {
	ana, role := s.user(t, "ana"), s.role(t)
	b := s.bot(t, role)
	c, g := s.connector(t, b.login), s.grant(ana, role)
	receipt := activate(t, c, g)
	became := s.login(t, ana).become(role)
	s.admin(t, "REVOKE pg_signal_backend FROM "+b.name)
	for range 2 {
		_, err := c.Deactivate(t.Context(), g, receipt)
		if connectors.KindOf(err) != connectors.Denied || !strings.Contains(err.Error(), "GRANT pg_signal_backend TO") {
			t.Errorf("Deactivate without the right to end sessions: %v", err)
		}
		if s.holds(t, ana, role) {
			t.Error("the membership was kept although it could be revoked")
		}
	}
	s.admin(t, "GRANT pg_signal_backend TO "+b.name)
	if removal := deactivate(t, c, g, receipt); removal.SessionsEnded != 1 {
		t.Errorf("the removal is %+v, want one session ended", removal)
	}
	wantState(t, "at the end", became, adminShutdown)
}

// superuserEndsOnly: somebody gives the connector a superuser's login while a grant is running.
func superuserEndsOnly(t *testing.T, s *server) {
	ana, bo, role := s.user(t, "ana"), s.user(t, "bo"), s.role(t)
	g := s.grant(ana, role)
	receipt := activate(t, s.connector(t, nil), g)
	s.admin(t, expand("GRANT {role} TO {user}", role, bo))
	super := s.connector(t, func(cfg *postgres.Config) { cfg.DSN = access.NewSecret(s.Superuser()) })
	if _, err := super.Activate(t.Context(), s.grant(bo, role)); connectors.KindOf(err) != connectors.Denied {
		t.Errorf("Activate as a superuser: %v, want kind %q", err, connectors.Denied)
	}
	if removal := deactivate(t, super, g, receipt); removal.Was != access.Removed {
		t.Errorf("the removal is %+v", removal)
	}
	if removal := deactivate(t, super, s.grant(bo, role), access.Receipt{}); removal.Was != access.Standing {
		t.Errorf("the removal of an administrator's grant is %+v", removal)
	}
	if s.holds(t, ana, role) || !s.holds(t, bo, role) {
		t.Error("the wrong membership was taken away")
	}
}
