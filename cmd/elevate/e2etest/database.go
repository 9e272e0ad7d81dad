package e2etest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"elevate/connectors/postgres/postgrestest"
)

// The accounts at a Database: Elevate's own, and people's.
const (
	botAccount  = "elevate_bot"
	botPassword = "bot-password-canary"
	password    = "person-password-canary"
)

// Database is a PostgreSQL with the role db_admin, which may read the table secret, and a login for each person named.
type Database struct {
	*postgrestest.Server
}

// StartDatabase starts a PostgreSQL 15, prepared as the connector's README says. Where it is not installed the test
// fails in CI and is left out elsewhere.
func StartDatabase(t testing.TB, people ...string) *Database {
	t.Helper()
	d := &Database{postgrestest.Start(t, 15)}
	sql := fmt.Sprintf(`CREATE ROLE db_admin; CREATE TABLE secret (x int); INSERT INTO secret VALUES (42);
		GRANT SELECT ON secret TO db_admin;
		CREATE ROLE %s LOGIN NOINHERIT PASSWORD '%s';
		GRANT pg_signal_backend TO %[1]s; GRANT db_admin TO %[1]s WITH ADMIN OPTION;`, botAccount, botPassword)
	for _, p := range people {
		sql += fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s';", pgx.Identifier{p}.Sanitize(), password)
	}
	conn := d.Connect(t, d.Superuser())
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("prepare the database: %v", err)
	}
	return d
}

// BotDSN is the connection string for the connector.
func (d *Database) BotDSN() string { return d.DSN(botAccount, botPassword) }

// Login opens a session of a person's, closed with the test.
func (d *Database) Login(t testing.TB, person string) *pgx.Conn {
	t.Helper()
	return d.Connect(t, d.DSN(person, password))
}

// Connect opens a session, closed with the test.
func (d *Database) Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("connect to the database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the server may have ended the session
	})
	return conn
}

// Use reads the secret as a person, in a session of its own: nil if the person may.
func (d *Database) Use(ctx context.Context, person string) error {
	conn, err := pgx.Connect(ctx, d.DSN(person, password))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was asked all it will be
	var x int
	return conn.QueryRow(ctx, "SELECT x FROM secret").Scan(&x)
}
