package postgres_test

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"elevate/connectors"
	"elevate/connectors/connectortest"
	"elevate/connectors/postgres"
	"elevate/connectors/postgres/postgrestest"
	"elevate/workflows/access"
)

func TestConnector(t *testing.T) {
	for _, major := range postgrestest.Versions() {
		for _, setRole := range []bool{false, true} {
			if setRole && major < 16 {
				continue // there the setting changes nothing
			}
			t.Run(fmt.Sprintf("%d, set_role %t", major, setRole), func(t *testing.T) {
				connectortest.Run(t, harness(t, setup(t, major), setRole))
			})
		}
	}
}

func harness(t *testing.T, s *server, setRole bool) connectortest.Harness {
	silent := listen(t)
	with := func(change func(*postgres.Config)) func(connectortest.T) connectors.Connector {
		return func(tt connectortest.T) connectors.Connector {
			return s.connector(tt, func(cfg *postgres.Config) {
				cfg.SetRole = setRole
				change(cfg)
			})
		}
	}
	return connectortest.Harness{
		New:    with(func(*postgres.Config) {}),
		Hang:   with(func(cfg *postgres.Config) { cfg.DSN = edited(cfg.DSN, fmt.Sprint(s.Port), silent) }),
		Refuse: with(func(cfg *postgres.Config) { cfg.DSN = access.NewSecret(s.DSN("elevate_bot", wrongPassword)) }),
		Role:   func(tt connectortest.T) access.Role { return s.role(tt) },
		Person: func(tt connectortest.T, account string) access.Person { return s.account(tt, account) },
		Plant: func(tt connectortest.T, p access.Person, r access.Role) {
			s.admin(tt, fmt.Sprintf("GRANT %s TO %s", quote(target(r)), quote(p.Account("pg"))))
		},
		Holds: func(tt connectortest.T, p access.Person, r access.Role) bool { return s.holds(tt, p, r) },
		Open: func(tt connectortest.T, p access.Person, r access.Role) connectortest.Session {
			w := s.login(tt, p)
			if setRole || !s.perGrantor() {
				w.become(r)
			}
			return w
		},
		Secrets:        []string{botPassword, wrongPassword},
		LongestAccount: 63,
		Cannot: map[connectortest.Ability]string{
			connectortest.Lie: "REVOKE cannot be made to claim success and keep a membership whose grantor is the connector; " +
				"aSessionThatDoesNotEndIsNoticed looks at what can be left",
		},
	}
}

// listen gives the port of a server that accepts and never says a word.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var held []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
