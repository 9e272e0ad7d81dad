// Package postgres gives memberships of roles at a PostgreSQL server, version 14 or later, and takes them away again
// together with the person's sessions. The server itself says what is ours: a membership whose grantor is the login
// that the connector uses. Nothing is kept on this side, and every call has a connection of its own that ends with it.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector.
type Config struct {
	// DSN is the connection string of the connector's own login: a URL (postgres://…) or key=value pairs, with libpq's
	// parameters and environment variables. It must lead to the primary. To another machine it says
	// sslmode=verify-full (or verify-ca, require or, without encryption, disable): libpq's default, prefer, lets
	// anybody on the way switch the encryption off and is refused.
	DSN access.Secret
	// SetRole lets people SET ROLE to what they are given, from PostgreSQL 16 on. Without it they have all of the
	// role's rights under their own name, but cannot make functions or tables that belong to the role and outlive
	// their access. Earlier versions cannot forbid it.
	SetRole bool
	// Timeout bounds each call as a whole. Zero: 10 seconds.
	Timeout time.Duration
	// MaxConns is how many calls may be connected at once; more wait. Zero: 4.
	MaxConns int
}

const (
	defaultTimeout  = 10 * time.Second
	defaultMaxConns = 4
	oldestVersion   = 140000 // the first with pg_terminate_backend(pid, timeout)
	optionsVersion  = 160000 // the first with a row per grantor and with options of a membership
	longestName     = 63     // bytes; PostgreSQL cuts what is longer (NAMEDATALEN)
)

// Connector gives and takes memberships at one PostgreSQL server.
type Connector struct {
	config  *pgx.ConnConfig
	setRole bool
	timeout time.Duration
	slots   chan struct{}
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
	_ connectors.RoleChecker   = (*Connector)(nil)
	_ connectors.SurplusLister = (*Connector)(nil)
)

// New makes a connector. It reads the configuration and connects to nothing.
func New(cfg Config) (*Connector, error) {
	config, err := parse(cfg.DSN.Reveal())
	if cfg.Timeout < 0 {
		err = errors.Join(err, errors.New("timeout: it is negative; leave it out for 10s"))
	}
	if cfg.MaxConns < 0 {
		err = errors.Join(err, errors.New("max_conns: it is negative; leave it out for 4"))
	}
	if err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = defaultMaxConns
	}
	return &Connector{config: config, setRole: cfg.SetRole, timeout: cfg.Timeout, slots: make(chan struct{}, cfg.MaxConns)}, nil
}

// parse reads a connection string. Its errors quote nothing of it: what cannot be read may be a password.
func parse(dsn string) (*pgx.ConnConfig, error) {
	if dsn == "" {
		return nil, errors.New("dsn: it is missing; give the connection string of Elevate's own login, such as postgres://elevate_bot:…@db.example.com/postgres?sslmode=verify-full")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("dsn: it is no connection string; write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with special characters of the password as %XX, and see that the files it names are there")
	}
	if host, open := opportunistic(&config.Config); open {
		return nil, fmt.Errorf("dsn: the connection to %s would go on without encryption where the server, or somebody on the way, declines it; add sslmode=verify-full, or sslmode=disable if that is what you want", host)
	}
	// Nothing is prepared by name: the connection may be a pooler's.
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	return config, nil
}

// opportunistic finds a host on another machine that would be tried both with TLS and without.
func opportunistic(config *pgconn.Config) (string, bool) {
	type way struct{ tls, plain bool }
	ways := map[string]way{}
	note := func(host string, encrypted bool) {
		w := ways[host]
		ways[host] = way{tls: w.tls || encrypted, plain: w.plain || !encrypted}
	}
	note(config.Host, config.TLSConfig != nil)
	for _, f := range config.Fallbacks {
		note(f.Host, f.TLSConfig != nil)
	}
	for host, w := range ways {
		if w.tls && w.plain && !local(host) {
			return host, true
		}
	}
	return "", false
}

func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Capabilities says that sessions end with the access. A membership does not end by itself.
func (c *Connector) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{EndsSessions: true}
}

// CheckTarget accepts {role: NAME} and nothing else: memberships belong to the whole server, so there is no database to
// name, and a second spelling of one membership would hide that two grants share it.
func (c *Connector) CheckTarget(target map[string]any) error {
	_, err := roleName(target)
	return err
}

func roleName(target map[string]any) (string, error) {
	name, err := connectors.OnlyText(target, "role", "db_admin")
	switch {
	case err != nil:
		return "", err
	case len(name) > longestName:
		return "", fmt.Errorf("target.role: %q is longer than the %d bytes that PostgreSQL keeps", name, longestName)
	case strings.ContainsRune(name, 0):
		return "", errors.New("target.role: a name has no zero bytes")
	}
	return name, nil
}

// run makes one call: a connection of its own, bounded in time, given up without a trace at the end.
func (c *Connector) run(ctx context.Context, op string, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return failed(op, ctx.Err())
	}
	s, err := c.open(ctx)
	if err != nil {
		return failed(op, err)
	}
	defer s.close()
	return failed(op, f(ctx, s))
}
