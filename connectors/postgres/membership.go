package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"elevate/connectors"
	"elevate/workflows/access"
)

// dbRole is a role at the server: the one that is given, or the person's account.
type dbRole struct {
	OID   int64
	Name  string
	Super bool
	Login bool
}

func (r dbRole) quoted() string { return pgx.Identifier{r.Name}.Sanitize() }

// pair is one membership: the role that is given and the account that gets it.
type pair struct {
	role, account dbRole
	// grantor is recorded at the server with the membership: our login now, or the one that a receipt names. Zero: none.
	grantor int64
}

// lock is the key of the advisory lock on a membership. It keeps a deactivation from reading the server while an
// activation, given up by us but not by the server, is still being committed there.
func (p pair) lock() int64 { return p.role.OID<<32 | p.account.OID }

// ref is what a receipt keeps of a membership: it stays findable when somebody renames the account or the role, or
// gives Elevate another login.
func (p pair) ref(me login) string {
	return fmt.Sprintf("%s/%d/%d/%d", me.Cluster, p.role.OID, p.account.OID, p.grantor)
}

// numbers are what a reference says.
type numbers struct {
	cluster                string
	role, account, grantor int64
}

func parseRef(ref string) (numbers, bool) {
	var n numbers
	cluster, rest, ok := strings.Cut(ref, "/")
	if !ok {
		return n, false
	}
	n.cluster = cluster
	_, err := fmt.Sscanf(rest, "%d/%d/%d", &n.role, &n.account, &n.grantor)
	return n, err == nil
}

const roleSQL = `SELECT oid::int8, rolname::text, rolsuper, rolcanlogin FROM pg_roles WHERE `

// named finds a role by its exact name. Comparing as text keeps a longer name from being cut to an existing one.
func named(ctx context.Context, tx pgx.Tx, name string) (dbRole, error) {
	return oneRole(tx.QueryRow(ctx, roleSQL+`rolname::text = $1::text`, name))
}

func numbered(ctx context.Context, tx pgx.Tx, oid int64) (dbRole, error) {
	return oneRole(tx.QueryRow(ctx, roleSQL+`oid = $1::int8::oid`, oid))
}

func oneRole(row pgx.Row) (dbRole, error) {
	var r dbRole
	err := row.Scan(&r.OID, &r.Name, &r.Super, &r.Login)
	return r, err
}

// findRole looks up what a catalogue entry gives.
func findRole(ctx context.Context, tx pgx.Tx, role access.Role) (dbRole, error) {
	name, err := roleName(role.Target)
	if err != nil {
		return dbRole{}, refuse(connectors.Invalid, "%v", err)
	}
	r, err := named(ctx, tx, name)
	return r, missing(err, "there is no role %q at the server; create it or correct target.role", name)
}

// find looks both sides of a grant up by name.
func (s *session) find(ctx context.Context, tx pgx.Tx, g access.Grant) (pair, error) {
	var p pair
	if !s.me.Super { // see pathsSQL
		p.grantor = s.me.OID
	}
	name, err := connectors.Account(g)
	if err != nil {
		return p, refuse(connectors.KindOf(err), "%v", errors.Unwrap(err))
	}
	if p.role, err = findRole(ctx, tx, g.Role); err != nil {
		return p, err
	}
	p.account, err = named(ctx, tx, name)
	return p, missing(err, "%s has no account %q at the server; create it, or correct accounts.%s in the directory",
		g.Person.ID, name, g.Role.Connector)
}

// findAgain looks both sides up by the receipt's numbers, and by name where there are none or they mean nothing here.
// elsewhere tells that the membership was given at another server: a copy of that one has other numbers.
func (s *session) findAgain(ctx context.Context, tx pgx.Tx, g access.Grant, r access.Receipt) (p pair, elsewhere bool, err error) {
	n, ok := parseRef(r.Ref)
	if !ok || n.cluster != s.me.Cluster {
		p, err = s.find(ctx, tx, g)
		return p, ok, err
	}
	p.grantor = n.grantor
	if p.role, err = numbered(ctx, tx, n.role); err == nil {
		p.account, err = numbered(ctx, tx, n.account)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		p, err = s.find(ctx, tx, g)
	}
	return p, false, err
}

// missing makes "no rows" a refusal, and leaves other errors as they are.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return refuse(connectors.NotFound, format, args...)
	}
	return err
}

// held is how an account holds a role now.
type held struct {
	Ours     bool // by a membership of ours
	Standing bool // by memberships that are none of ours
	Through  bool // through another role that it holds by one of ours
}

// stays tells whether the account would hold the role without our membership.
func (h held) stays() bool { return h.Standing || h.Through }

// pathsSQL walks from a role ($1) to everybody who holds it. A path is ours where one of its links was granted by us, now
// or ($2) under an earlier login; a superuser's own grants cannot be told from an administrator's, and count as theirs.
// usable: the member has the role's rights, by inheriting or after SET ROLE. settable: it can SET ROLE to the role itself.
const pathsSQL = `
WITH RECURSIVE link AS (
    SELECT m.roleid, m.member, m.grantor = $2::int8::oid OR m.grantor = me.oid AND NOT me.rolsuper AS ours,
           {inherit} AS inherit, {set} AS set
    FROM pg_auth_members m, pg_roles me WHERE me.rolname = current_user
), path(member, direct, ours, inherits, usable, settable) AS (
    SELECT member, true, ours, inherit, inherit OR set, set FROM link WHERE roleid = $1::int8::oid
  UNION
    SELECT l.member, false, p.ours OR l.ours, p.inherits AND l.inherit,
           p.inherits AND l.inherit OR p.usable AND l.set, p.settable AND l.set
    FROM path p JOIN link l ON l.roleid = p.member
)`

// paths is pathsSQL for the server's version: before options, every member inherits or can SET ROLE.
func (s *session) paths() string {
	inherit, set := "true", "true"
	if s.me.options() {
		inherit, set = "m.inherit_option", "m.set_option"
	}
	return strings.NewReplacer("{inherit}", inherit, "{set}", set).Replace(pathsSQL)
}

// enough is the column of pathsSQL that says whether a path gives what our membership gives.
func (s *session) enough() string {
	if s.setRole {
		return "settable"
	}
	return "usable"
}

// look reads how the account holds the role.
func (s *session) look(ctx context.Context, tx pgx.Tx, p pair) (held, error) {
	var h held
	err := tx.QueryRow(ctx, s.paths()+fmt.Sprintf(`
SELECT coalesce(bool_or(direct AND ours), false),
       coalesce(bool_or(NOT ours AND %[1]s), false),
       coalesce(bool_or(ours AND NOT direct AND %[1]s), false)
FROM path WHERE member = $3::int8::oid`, s.enough()), p.role.OID, p.grantor, p.account.OID).
		Scan(&h.Ours, &h.Standing, &h.Through)
	if err != nil {
		return h, fmt.Errorf("look at memberships: %w", err)
	}
	h.Standing = h.Standing || p.account.Super // a superuser holds everything
	return h, nil
}

// Holders lists who holds the role at the server: members of it, and of roles that are members of it. Superusers, who
// hold everything, and the connector's own login are left out.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	var out []connectors.Holder
	err := c.run(ctx, "list holders", func(ctx context.Context, s *session) error {
		return s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			r, err := findRole(ctx, tx, role)
			if err != nil {
				return err
			}
			rows, err := tx.Query(ctx, s.paths()+`
SELECT DISTINCT r.rolname::text, p.ours, r.oid::int8
FROM path p JOIN pg_roles r ON r.oid = p.member
WHERE r.rolname <> current_user AND (p.ours AND p.direct OR NOT p.ours AND p.usable)
ORDER BY 1, 2`, r.OID, s.me.OID)
			if err != nil {
				return err
			}
			out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (connectors.Holder, error) {
				var h connectors.Holder
				var account int64
				err := row.Scan(&h.Account, &h.Ours, &account)
				if h.Ours {
					h.Ref = pair{role: r, account: dbRole{OID: account}, grantor: s.me.OID}.ref(s.me)
				}
				return h, err
			})
			return err
		})
	})
	return out, err
}
