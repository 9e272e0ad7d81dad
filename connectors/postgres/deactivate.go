package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"elevate/connectors"
	"elevate/workflows/access"
)

// patience is how long one session may take to end once it was told to.
const patience = 2 * time.Second

// ending is a deactivation on its way.
type ending struct {
	pair
	gone    bool           // nobody to take anything from: the account or the role is no more
	removed bool           // our membership was there
	lost    bool           // the account has lost the role by that
	cut     map[int64]bool // the processes of the sessions that were told to end
}

// Deactivate takes our membership away, then ends the account's sessions if it lost the role by that: a session that
// did SET ROLE before would keep it for ever. Then it reads back. A retry ends sessions as well where the receipt says
// that the role was given, since an earlier try may have got half way.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	removal := access.Removal{Was: access.Absent}
	err := c.run(ctx, "take the role away", func(ctx context.Context, s *session) error {
		e := ending{cut: map[int64]bool{}}
		err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.revoke(ctx, tx, g, r, &e) })
		if err != nil || e.gone {
			return err
		}
		if e.lost {
			if err := s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.end(ctx, tx, &e, patience) }); err != nil {
				return fmt.Errorf("the membership is gone, but not the sessions: %w", err)
			}
		}
		removal.SessionsEnded = len(e.cut)
		return s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			var err error
			removal.Was, err = s.readBack(ctx, tx, &e)
			return err
		})
	})
	if err != nil {
		return access.Removal{}, err
	}
	return removal, nil
}

// revoke takes our membership away. Sessions are told to end before that is committed, so that a crash between the two
// leaves either the membership for the next try to find, or no session that could have used it.
func (s *session) revoke(ctx context.Context, tx pgx.Tx, g access.Grant, r access.Receipt, e *ending) error {
	p, elsewhere, err := s.findAgain(ctx, tx, g, r)
	if err != nil && kindOf(err) == connectors.NotFound {
		e.gone = true
		return notElsewhere(elsewhere, r)
	}
	if err != nil {
		return err
	}
	e.pair = p
	if err := locked(ctx, tx, e.pair); err != nil {
		return err
	}
	before, err := s.look(ctx, tx, e.pair)
	if err != nil {
		return err
	}
	e.removed = before.Ours
	given := r.Ref != "" && !r.Already
	if before.Ours {
		err = s.drop(ctx, tx, e.pair)
	} else {
		err = notElsewhere(elsewhere, r)
	}
	if err != nil {
		return err
	}
	after, err := s.look(ctx, tx, e.pair)
	if err != nil {
		return err
	}
	e.lost = (e.removed || given) && !after.stays()
	if e.removed && e.lost && s.maySignal() {
		return s.end(ctx, tx, e, 0)
	}
	return nil
}

// notElsewhere refuses to call something gone that was given at another server than we look at.
func notElsewhere(elsewhere bool, r access.Receipt) error {
	if !elsewhere || r.Already {
		return nil
	}
	return refuse(connectors.Unavailable, "the role was given at another server than dsn leads to now, and nothing of ours is here; let dsn lead to that server until the role is taken away")
}

// drop revokes the memberships that are ours: under today's login, and under the one that gave it.
func (s *session) drop(ctx context.Context, tx pgx.Tx, p pair) error {
	sql := fmt.Sprintf("REVOKE %s FROM %s", p.role.quoted(), p.account.quoted())
	if !s.me.options() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		return nil
	}
	var grantors []dbRole
	if !s.me.Super && p.grantor != s.me.OID {
		grantors = append(grantors, dbRole{OID: s.me.OID, Name: s.me.Name})
	}
	recorded, err := numbered(ctx, tx, p.grantor)
	if err == nil {
		grantors = append(grantors, recorded)
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	for _, by := range grantors {
		// CASCADE: what the account passed on by virtue of ours goes with it.
		if _, err := tx.Exec(ctx, sql+" GRANTED BY "+by.quoted()+" CASCADE"); err != nil {
			return fmt.Errorf("revoke what %s granted: %w", by.Name, err)
		}
	}
	return nil
}

func (s *session) maySignal() bool { return s.me.SignalAsIs || s.me.SignalBySet }

// end tells the account's sessions to end, and waits for each as long as it is told to.
func (s *session) end(ctx context.Context, tx pgx.Tx, e *ending, wait time.Duration) error {
	if !s.me.SignalAsIs {
		if !s.maySignal() {
			return refuse(connectors.Denied, "%s", s.signalHint())
		}
		if _, err := tx.Exec(ctx, `SET LOCAL ROLE pg_signal_backend`); err != nil {
			return fmt.Errorf("become pg_signal_backend: %w", err)
		}
	}
	rows, err := tx.Query(ctx, `
SELECT a.pid::int8, pg_terminate_backend(a.pid, $2::int8) FROM pg_stat_activity a
WHERE a.usesysid = $1::int8::oid AND a.pid <> pg_backend_pid()`, e.account.OID, wait.Milliseconds())
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	var pid int64
	var ended bool // or told to end, where there was no wait; readBack looks
	if _, err := pgx.ForEachRow(rows, []any{&pid, &ended}, func() error { e.cut[pid] = true; return nil }); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// readBack looks at the server once more, in a transaction of its own: within one, the list of sessions stays what it
// was at the first look.
func (s *session) readBack(ctx context.Context, tx pgx.Tx, e *ending) (access.Was, error) {
	h, err := s.look(ctx, tx, e.pair)
	if err != nil {
		return "", err
	}
	if h.Ours {
		return "", refuse(connectors.Unavailable, "%q is still a member of %q by Elevate's grant after REVOKE", e.account.Name, e.role.Name)
	}
	pids := make([]int64, 0, len(e.cut))
	for pid := range e.cut {
		pids = append(pids, pid)
	}
	var left int
	err = tx.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usesysid = $1::int8::oid AND pid = ANY ($2::int8[])`,
		e.account.OID, pids).Scan(&left)
	if err != nil {
		return "", fmt.Errorf("look at sessions: %w", err)
	}
	switch {
	case left > 0:
		return "", refuse(connectors.Unavailable, "the membership is gone, but %d of %q's sessions have not ended yet", left, e.account.Name)
	case h.Standing:
		return access.Standing, nil
	case h.Through:
		return access.Shared, nil
	case e.removed:
		return access.Removed, nil
	}
	return access.Absent, nil
}
