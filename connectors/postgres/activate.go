package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Activate makes the person's account a member of the role, unless it holds the role already by nothing of ours.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	var receipt access.Receipt
	err := c.run(ctx, "give the role", func(ctx context.Context, s *session) error {
		if lacks := s.lacks(); len(lacks) > 0 {
			return refuse(connectors.Denied, "%s", strings.Join(lacks, "; "))
		}
		return s.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			p, err := s.find(ctx, tx, g)
			if err != nil {
				return err
			}
			if err := s.fits(ctx, tx, p); err != nil {
				return err
			}
			if err := locked(ctx, tx, p); err != nil {
				return err
			}
			receipt, err = s.give(ctx, tx, p)
			return err
		})
	})
	if err != nil {
		return access.Receipt{}, err
	}
	return receipt, nil
}

// fits refuses accounts by which the role would go to others than the person.
func (s *session) fits(ctx context.Context, tx pgx.Tx, p pair) error {
	if p.account.OID == p.role.OID {
		return refuse(connectors.Invalid, "%q cannot be given to itself", p.role.Name)
	}
	if !p.account.Login {
		return refuse(connectors.Invalid, "%q cannot log in, so it is a group and not a person's account; correct the account in the directory", p.account.Name)
	}
	rows, err := tx.Query(ctx, s.paths()+`
SELECT DISTINCT r.rolname::text FROM path p JOIN pg_roles r ON r.oid = p.member WHERE p.usable ORDER BY 1`,
		p.account.OID, s.me.OID)
	if err != nil {
		return err
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look who else uses the account: %w", err)
	}
	if len(others) > 0 {
		return refuse(connectors.Invalid, "%s would get the role with %q, being its members; REVOKE those memberships, or use an account of the person's own",
			strings.Join(others, ", "), p.account.Name)
	}
	return nil
}

// locked waits until no other transaction of ours works on the membership, and holds it to the end of this one.
func locked(ctx context.Context, tx pgx.Tx, p pair) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1::int8)`, p.lock()); err != nil {
		return fmt.Errorf("wait for other work on the membership: %w", err)
	}
	return nil
}

// give looks, grants, and looks again.
func (s *session) give(ctx context.Context, tx pgx.Tx, p pair) (access.Receipt, error) {
	receipt := access.Receipt{Ref: p.ref(s.me)}
	h, err := s.look(ctx, tx, p)
	if err != nil {
		return receipt, err
	}
	if h.Standing && !h.Ours {
		receipt.Already = true
		return receipt, nil
	}
	if _, err := tx.Exec(ctx, s.grantSQL(p)); err != nil {
		return receipt, fmt.Errorf("grant: %w", err)
	}
	if h, err = s.look(ctx, tx, p); err != nil {
		return receipt, err
	}
	if !h.Ours && !h.Standing {
		return receipt, refuse(connectors.Unavailable, "%q is still no member of %q after GRANT", p.account.Name, p.role.Name)
	}
	// Before version 16 an administrator's GRANT between our look and ours would have made ours do nothing.
	receipt.Already = !h.Ours
	return receipt, nil
}

func (s *session) grantSQL(p pair) string {
	sql := fmt.Sprintf("GRANT %s TO %s", p.role.quoted(), p.account.quoted())
	if s.me.options() {
		sql += fmt.Sprintf(" WITH INHERIT TRUE, SET %t, ADMIN FALSE GRANTED BY CURRENT_USER", s.setRole)
	}
	return sql
}
