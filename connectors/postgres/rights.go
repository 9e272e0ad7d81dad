package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Check connects and lists what the login lacks for any role; CheckRole says what it lacks for one.
func (c *Connector) Check(ctx context.Context) error {
	return c.run(ctx, "check", func(_ context.Context, s *session) error { return lacking(s.lacks()) })
}

// CheckRole proves that the login could give and take the role.
func (c *Connector) CheckRole(ctx context.Context, role access.Role) error {
	return c.run(ctx, "check role", func(ctx context.Context, s *session) error {
		return s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			r, err := findRole(ctx, tx, role)
			if err != nil {
				return err
			}
			lacks, err := s.lacksFor(ctx, tx, r)
			if err != nil {
				return err
			}
			return lacking(append(s.lacks(), lacks...))
		})
	})
}

func lacking(rights []string) error {
	if len(rights) == 0 {
		return nil
	}
	return refuse(connectors.Denied, "%s", strings.Join(rights, "; "))
}

// lacks lists what the login lacks for any role, each with the way to mend it.
func (s *session) lacks() []string {
	var out []string
	if s.me.Super {
		out = append(out, fmt.Sprintf("%s is a superuser, whose grants cannot be told from an administrator's; give Elevate a login of its own, as its page on PostgreSQL shows", s.me.Name))
	}
	if !s.maySignal() {
		out = append(out, s.signalHint())
	}
	return out
}

func (s *session) signalHint() string {
	hint := fmt.Sprintf("%s may not end sessions; GRANT pg_signal_backend TO %s", s.me.Name, pgx.Identifier{s.me.Name}.Sanitize())
	if s.me.options() {
		hint += " WITH INHERIT TRUE"
	}
	return hint
}

// lacksFor lists what the login lacks for one role.
func (s *session) lacksFor(ctx context.Context, tx pgx.Tx, r dbRole) ([]string, error) {
	if r.Super {
		return []string{fmt.Sprintf("%s is a superuser role, which superusers alone can give; name a role that is none", r.Name)}, nil
	}
	sql, hint := `SELECT pg_has_role($1::int8::oid, 'MEMBER WITH ADMIN OPTION')`, "WITH ADMIN OPTION"
	if s.me.options() {
		// By a membership of its own: what is granted in another role's name is not marked as ours.
		sql, hint = `SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles me ON me.oid = m.member
WHERE me.rolname = current_user AND m.roleid = $1::int8::oid AND m.admin_option)`, "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
	}
	var admin bool
	if err := tx.QueryRow(ctx, sql, r.OID).Scan(&admin); err != nil {
		return nil, fmt.Errorf("look what we may: %w", err)
	}
	if admin {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s may not give %s; GRANT %s TO %s %s", s.me.Name, r.Name, r.quoted(), pgx.Identifier{s.me.Name}.Sanitize(), hint)}, nil
}

// Surplus lists what the login has and does not need.
func (c *Connector) Surplus(ctx context.Context) ([]string, error) {
	var out []string
	err := c.run(ctx, "look for surplus rights", func(ctx context.Context, s *session) error {
		out = s.surplusAttributes()
		return s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			more, err := s.surplusMemberships(ctx, tx)
			out = append(out, more...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *session) surplusAttributes() []string {
	m := s.me
	var out []string
	for _, a := range []struct {
		has       bool
		attribute string
	}{
		{m.Super, "SUPERUSER"}, {m.CreateRole, "CREATEROLE"}, {m.CreateDB, "CREATEDB"}, {m.Replication, "REPLICATION"},
		{m.BypassRLS, "BYPASSRLS"},
		{m.Inherit && !m.options(), "INHERIT"}, // later versions say it membership by membership
	} {
		if a.has {
			out = append(out, fmt.Sprintf("%s has %s; ALTER ROLE %s NO%s", m.Name, a.attribute, pgx.Identifier{m.Name}.Sanitize(), a.attribute))
		}
	}
	return out
}

// surplusMemberships lists roles that the login can use itself, and accounts that can use the login. Before version 16
// whoever may give a role can also use it, so such roles are not surplus there.
func (s *session) surplusMemberships(ctx context.Context, tx pgx.Tx) ([]string, error) {
	usable, advice := `NOT m.admin_option`, `REVOKE %s FROM %s`
	if s.me.options() {
		usable, advice = `(m.inherit_option OR m.set_option)`, `GRANT %s TO %s WITH INHERIT FALSE, SET FALSE, or REVOKE it`
	}
	rows, err := tx.Query(ctx, `
SELECT DISTINCT r.rolname::text FROM pg_auth_members m
JOIN pg_roles me ON me.oid = m.member JOIN pg_roles r ON r.oid = m.roleid
WHERE me.rolname = current_user AND r.rolname <> 'pg_signal_backend' AND `+usable+` ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	roles, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	me := pgx.Identifier{s.me.Name}.Sanitize()
	var out []string
	for _, r := range roles {
		out = append(out, fmt.Sprintf("%s can use %s itself; "+advice, s.me.Name, r, pgx.Identifier{r}.Sanitize(), me))
	}
	rows, err = tx.Query(ctx, s.paths()+`
SELECT DISTINCT r.rolname::text FROM path p JOIN pg_roles r ON r.oid = p.member WHERE p.usable ORDER BY 1`, s.me.OID, s.me.OID)
	if err != nil {
		return nil, err
	}
	users, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, u := range users {
		out = append(out, fmt.Sprintf("%s can act as %s; REVOKE %s FROM %s", u, s.me.Name, me, pgx.Identifier{u}.Sanitize()))
	}
	return out, err
}
