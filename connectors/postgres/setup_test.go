package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"elevate/connectors/connectortest"
	"elevate/connectors/postgres"
	"elevate/connectors/postgres/postgrestest"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	botPassword   = "choose-a-long-one" // as the README has it
	wrongPassword = "not-it-canary"
	userPassword  = "user-canary"
)

// server is a PostgreSQL that the README's set-up was run on.
type server struct {
	*postgrestest.Server
	adminLine string // the README's line that lets the bot give a role
	n         atomic.Int64
	roles     sync.Mutex // the server does not like two GRANTs on one table at once
	members   sync.Mutex // held by a test that locks pg_auth_members, or leaves a GRANT uncommitted: each would wait for the other
}

// setup starts a server and follows the README.
func setup(t *testing.T, major int) *server {
	t.Helper()
	s := &server{Server: postgrestest.Start(t, major)}
	sql := readme(t, major)
	for line := range strings.Lines(sql) {
		if strings.Contains(line, "ADMIN") {
			s.adminLine = line
		}
	}
	s.admin(t, "CREATE ROLE db_admin; CREATE TABLE secret (x int); INSERT INTO secret VALUES (42); GRANT SELECT ON secret TO db_admin")
	s.admin(t, sql)
	return s
}

// perGrantor tells whether the server keeps a membership for each grantor, with options: from version 16 on.
func (s *server) perGrantor() bool { return s.Major >= 16 }

// readme gives the SQL that the README tells administrators of a version to run.
func readme(t *testing.T, major int) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := "### PostgreSQL 16 and later"
	if major < 16 {
		heading = "### PostgreSQL 14 and 15"
	}
	_, rest, found := strings.Cut(string(text), heading)
	_, rest, fenced := strings.Cut(rest, "```sql\n")
	sql, _, closed := strings.Cut(rest, "```")
	if !found || !fenced || !closed {
		t.Fatalf("the README has no SQL below %q", heading)
	}
	return sql
}

// tester is the part of testing.T and connectortest.T that both have.
type tester interface {
	Helper()
	Fatalf(string, ...any)
	Cleanup(func())
	Context() context.Context
}

// admin runs statements as the superuser.
func (s *server) admin(t tester, sql string) {
	t.Helper()
	s.as(t, s.Superuser(), sql)
}

// as runs statements over a connection of their own.
func (s *server) as(t tester, dsn, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (s *server) ask(t tester, sql string, args ...any) (yes bool) {
	t.Helper()
	if err := connect(t, s.Superuser()).QueryRow(t.Context(), sql, args...).Scan(&yes); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return yes
}

func connect(t tester, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s *server) botDSN() string { return s.DSN("elevate_bot", botPassword) }

// connector makes a connector with the README's login; change alters its configuration.
func (s *server) connector(t tester, change func(*postgres.Config)) *postgres.Connector {
	t.Helper()
	cfg := postgres.Config{DSN: access.NewSecret(s.botDSN())}
	if change != nil {
		change(&cfg)
	}
	c, err := postgres.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

// edited is a secret in which one text stands in for another.
func edited(secret access.Secret, old, new string) access.Secret {
	return access.NewSecret(strings.Replace(secret.Reveal(), old, new, 1))
}

// user makes an account whose name begins as asked for.
func (s *server) user(t tester, name string) access.Person {
	t.Helper()
	return s.account(t, fmt.Sprintf("%s %d", name, s.n.Add(1)))
}

// account makes an account of exactly the given name.
func (s *server) account(t tester, account string) access.Person {
	t.Helper()
	s.admin(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", quote(account), userPassword))
	return access.Person{ID: access.PersonID(account), Accounts: map[string]string{"pg": account}}
}

// role makes a role that the bot may give.
func (s *server) role(t tester) access.Role {
	t.Helper()
	name := fmt.Sprintf("role%d", s.n.Add(1))
	s.roles.Lock()
	defer s.roles.Unlock()
	s.admin(t, "CREATE ROLE "+name+"; GRANT SELECT ON secret TO "+name)
	s.admin(t, strings.ReplaceAll(s.adminLine, "db_admin", name))
	return roleNamed(name)
}

func roleNamed(name string) access.Role {
	return access.Role{ID: "r", Connector: "pg", Target: map[string]any{"role": name}}
}

func (s *server) grant(p access.Person, r access.Role) access.Grant {
	return access.Grant{ID: access.RequestID(fmt.Sprintf("00000-%05d", s.n.Add(1))), Person: p, Role: r}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func target(r access.Role) string { return r.Target["role"].(string) }

// expand puts the names into a statement.
func expand(sql string, r access.Role, p access.Person) string {
	return strings.NewReplacer("{role}", quote(target(r)), "{user}", quote(p.Account("pg")), "{group}", "group_"+target(r)).Replace(sql)
}

// work is a person's session at the server.
type work struct {
	t    tester
	conn *pgx.Conn
}

// Alive asks for something that the role alone may read.
func (w work) Alive() bool {
	_, err := w.conn.Exec(w.t.Context(), "SELECT * FROM secret")
	return err == nil
}

func (s *server) login(t tester, p access.Person) work {
	t.Helper()
	return work{t, connect(t, s.DSN(p.Account("pg"), userPassword))}
}

// become has a session SET ROLE.
func (w work) become(r access.Role) work {
	w.t.Helper()
	if _, err := w.conn.Exec(w.t.Context(), "SET ROLE "+quote(target(r))); err != nil {
		w.t.Fatalf("SET ROLE: %v", err)
	}
	return w
}

// state is the SQLSTATE by which the server refuses to let the session read the secret.
func (w work) state() string {
	_, err := w.conn.Exec(w.t.Context(), "SELECT * FROM secret")
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (s *server) holds(t tester, p access.Person, r access.Role) bool {
	t.Helper()
	return s.ask(t, `SELECT EXISTS (SELECT FROM pg_roles u, pg_roles r WHERE u.rolname::text = $1::text AND r.rolname::text = $2::text
		AND pg_has_role(u.oid, r.oid, 'MEMBER'))`, p.Account("pg"), target(r))
}

var _ tester = connectortest.T(nil)
