package postgrestest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"elevate/connectors/postgres/postgrestest"
)

func TestServersAreWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, major := range postgrestest.Versions() {
		s := postgrestest.Start(t, major)
		conn, err := pgx.Connect(t.Context(), s.Superuser())
		if err != nil {
			t.Fatal(err)
		}
		var version string
		if err := conn.QueryRow(t.Context(), "SHOW server_version").Scan(&version); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(version, fmt.Sprintf("%d.", major)) {
			t.Errorf("asked for %d, got %s", major, version)
		}
		s.Close()
		if err := conn.Ping(t.Context()); err == nil {
			t.Error("the server lives on after Close")
		}
	}
}
