package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"elevate/connectors"
)

// parting is how long a broken call may take to tell the server to stop working on it.
const parting = time.Second

// session is the connection of one call.
type session struct {
	conn    *pgx.Conn
	sockets *sockets
	setRole bool
	timeout time.Duration
	me      login
}

// login is who we are at the server.
type login struct {
	OID     int64
	Name    string
	Version int
	Cluster string // the server's own identifier: OIDs mean something together with it alone

	Super, CreateRole, CreateDB, Replication, BypassRLS, Inherit bool

	SignalAsIs  bool // may end sessions
	SignalBySet bool // may end sessions after SET ROLE pg_signal_backend
}

// options tells whether memberships have options, and a row for each grantor.
func (l login) options() bool { return l.Version >= optionsVersion }

// open connects and finds out who we are.
func (c *Connector) open(ctx context.Context) (*session, error) {
	s := &session{sockets: newSockets(), setRole: c.setRole, timeout: c.timeout}
	config := c.config.Copy()
	config.DialFunc = s.sockets.dial
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		s.sockets.close()
		return nil, err
	}
	s.conn = conn
	if err := s.tx(ctx, s.lookAtMyself); err != nil {
		s.close()
		return nil, err
	}
	if s.me.Version < oldestVersion {
		s.close()
		return nil, refuse(connectors.Denied, "the server's version is %d; Elevate needs PostgreSQL 14 or later", s.me.Version/10000)
	}
	return s, nil
}

// close ends the connection. After a broken call pgx goes on in a goroutine of its own, to cancel what the server may
// still be doing; it is waited for, and cut short.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), parting)
	defer cancel()
	if !s.conn.IsClosed() {
		_ = s.conn.Close(ctx) // says good-bye; there is nothing to be done where that fails
	}
	select {
	case <-s.conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
	s.sockets.close()
	<-s.conn.PgConn().CleanupDone()
}

// tx runs f in a transaction with the settings that everything here relies on, whatever the database or the login
// have as theirs.
func (s *session) tx(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if onStandby(err) {
		return refuse(connectors.Unavailable, "the server is a standby and cannot be written to; let dsn lead to the primary (target_session_attrs=read-write)")
	}
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // after Commit it does nothing; on a broken connection the server does it
	ms := strconv.FormatInt(s.timeout.Milliseconds(), 10)
	half := strconv.FormatInt(max(1, s.timeout.Milliseconds()/2), 10)
	if _, err := tx.Exec(ctx, settingsSQL, ms, half); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// settingsSQL binds names to the catalogue, lets neither a lock nor a paused process of ours hold anybody up for long,
// and has a commit survive a crash of the server.
const settingsSQL = `
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('statement_timeout', $1::text, true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', $1::text, true),
       pg_catalog.set_config('lock_timeout', $2::text, true),
       pg_catalog.set_config('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit')
           WHEN 'off' THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, true)`

const myselfSQL = `
SELECT r.oid::int8, r.rolname::text, current_setting('server_version_num')::int4,
       (SELECT system_identifier::text FROM pg_control_system()),
       r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls, r.rolinherit,
       pg_has_role('pg_signal_backend', 'USAGE'), pg_has_role('pg_signal_backend', 'MEMBER')
FROM pg_roles r WHERE r.rolname = current_user`

func (s *session) lookAtMyself(ctx context.Context, tx pgx.Tx) error {
	m := &s.me
	err := tx.QueryRow(ctx, myselfSQL).Scan(&m.OID, &m.Name, &m.Version, &m.Cluster,
		&m.Super, &m.CreateRole, &m.CreateDB, &m.Replication, &m.BypassRLS, &m.Inherit, &m.SignalAsIs, &m.SignalBySet)
	if err != nil {
		return fmt.Errorf("look who we are: %w", err)
	}
	if !m.options() {
		return nil
	}
	// MEMBER says little from 16 on: a membership may forbid SET ROLE.
	if err := tx.QueryRow(ctx, `SELECT pg_has_role('pg_signal_backend', 'SET')`).Scan(&m.SignalBySet); err != nil {
		return fmt.Errorf("look what we may: %w", err)
	}
	return nil
}

// sockets are the connections of one call: the one that does the work, and the one by which pgx cancels it.
type sockets struct {
	ctx    context.Context // ends dialling when the call is over
	cancel context.CancelFunc
	mu     sync.Mutex
	open   []net.Conn
}

func newSockets() *sockets {
	ctx, cancel := context.WithCancel(context.Background())
	return &sockets{ctx: ctx, cancel: cancel}
}

var errOver = errors.New("the call is over")

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = conn.Close()
		return nil, errOver
	}
	s.open = append(s.open, conn)
	return conn, nil
}

// close cuts whatever is still open.
func (s *sockets) close() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.open {
		_ = conn.Close()
	}
}
