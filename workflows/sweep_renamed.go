package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"elevate/workflows/access"
)

// lookForRenamed finds the live grants of what is ours at a target and has none by its right. They are read after the
// target's answer, because a grant is stored before its target is called.
func (w *Sweeper) lookForRenamed(ctx context.Context, role access.Role, strange []*sighting) error {
	if len(strange) == 0 {
		return nil
	}
	return w.s.mayHold(ctx, func(rec *access.Record) error {
		if rec.State == access.Deactivating || !w.s.now().Before(rec.EndsAt) {
			return nil
		}
		for _, s := range strange {
			same, err := w.renamed(ctx, rec, role, s)
			if err != nil {
				return err
			}
			if same {
				s.shares = append(s.shares, rec)
			}
		}
		return nil
	})
}

// renamed tells whether a live grant gave what a holder has, though something is called otherwise now: the account, the
// connector or the role's target. One that is being taken away does not count, since its connector may not find under the old
// name what the holder has under the new. It takes more than the mark at the target, which anybody who may write there can copy
// from one account, or one role, to another. The reference in the grant's receipt proves it, where the target has names that
// never change; else both the place and the account must be known to be the grant's by what Elevate has itself.
func (w *Sweeper) renamed(ctx context.Context, rec *access.Record, role access.Role, s *sighting) (bool, error) {
	now := w.s.catalogue.byID[rec.Role.ID] // as the operators write it since
	if rec.Role.Connector != role.Connector && now.Connector != role.Connector {
		return false, nil
	}
	if s.Ref != "" && rec.Receipt != nil && rec.Receipt.Ref != "" {
		return rec.Receipt.Ref == s.Ref, nil
	}
	if !samePlace(rec.Role, role) && !samePlace(now, role) {
		return false, nil
	}
	return w.samePerson(ctx, rec, role.Connector, s)
}

func samePlace(a, b access.Role) bool {
	return a.Connector == b.Connector && targetKey(a) == targetKey(b)
}

// samePerson tells whether a holder's account is that of a grant: as it was at submission, or as the directory has it now.
// Where the target calls the account by a name that the directory has for nobody, its word on the person counts.
func (w *Sweeper) samePerson(ctx context.Context, rec *access.Record, connector string, s *sighting) (bool, error) {
	if rec.Account == s.Account {
		return true, nil
	}
	p, err := Known(ctx, w.s.cfg.Directory, rec.Person)
	var refused *access.Refusal
	switch {
	case err == nil && p.Account(connector) == s.Account:
		return true, nil
	case err != nil && !errors.Is(err, access.ErrNotFound) && !errors.As(err, &refused):
		return false, fmt.Errorf("find the account of %s: %w", rec.Person, err)
	case s.Person != rec.Person:
		return false, nil
	}
	people, err := allKnown(ctx, w.s.cfg.Directory)
	if err != nil {
		return false, fmt.Errorf("find whose account %s is: %w", s.Account, err)
	}
	return !slices.ContainsFunc(people, func(p access.Person) bool { return p.ID != rec.Person && p.Account(connector) == s.Account }), nil
}
