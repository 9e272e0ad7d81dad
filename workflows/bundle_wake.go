package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// partsTries is at which try of a bundle people hear that it takes long: parts have their time first.
const partsTries = 3

// awaitsParts tells whether a call failed only because a bundle waits for its parts, as every bundle does.
func (r *Runner) awaitsParts(rec *access.Record, cause error) bool {
	return r.s.bundle(rec.Role) && connectors.KindOf(cause) == connectors.TooEarly
}

// worthTelling tells whether people hear of a call that failed: of the first one.
func (r *Runner) worthTelling(rec *access.Record, cause error) bool {
	if r.awaitsParts(rec, cause) {
		return rec.Attempts == partsTries-1
	}
	return rec.Attempts == 0
}

// gravity is how a call that failed is logged.
func (r *Runner) gravity(rec *access.Record, cause error) slog.Level {
	if r.awaitsParts(rec, cause) && rec.Attempts < partsTries-1 {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// wake has a bundle looked at now where its parts have come to where it waits for them: after an arrow of a part, and after
// its own first ones, which may come later than the last of theirs. A bundle that is not woken looks by itself, when its
// next try is due.
func (s *Service) wake(ctx context.Context, t Transition) {
	bundle := t.Record.Bundle
	switch {
	case bundle != "" && t.From != t.Record.State:
	case s.bundle(t.Record.Role) && t.Record.Attempts < partsTries && t.Record.NextTry.After(s.now()):
		bundle = t.Record.ID
	default:
		return
	}
	var err error
	for range attempts {
		if err = s.wakeBundle(ctx, bundle); !errors.Is(err, ErrStale) {
			break
		}
	}
	if err != nil {
		s.log.WarnContext(ctx, "a bundle could not be woken; it looks at its parts when its next try is due", "request_id", bundle, "err", err)
	}
}

func (s *Service) wakeBundle(ctx context.Context, id access.RequestID) error {
	parent, err := s.cfg.Store.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("load the bundle: %w", err)
	}
	now := s.now().UTC()
	if !parent.NextTry.After(now) {
		return nil // it is due, or being worked
	}
	ready, err := s.partsReady(ctx, parent)
	if err != nil || !ready {
		return err
	}
	t, err := move(parent, access.Retry, access.BySystem(), now)
	if err != nil {
		return err
	}
	t.Record.NextTry = now.Truncate(time.Millisecond) // the store rounds up, and it is due now
	t.because("its parts have moved on")
	return s.take(ctx, t)
}

// partsReady tells whether a bundle that waits has something to do: to end when all parts have, to be active when all are, and
// to take the others back when one will not be.
func (s *Service) partsReady(ctx context.Context, parent *access.Record) (bool, error) {
	over, given, lost, kept := true, true, false, false
	for _, m := range parent.Parts {
		p, err := s.part(ctx, parent.ID, m)
		if err != nil {
			return false, err
		}
		if p == nil {
			given = false
			continue
		}
		over = over && p.State.Terminal()
		given = given && p.State == access.Active
		lost = lost || p.State != access.Activating && p.State != access.Active
		kept = kept || !p.State.Terminal() && !p.Ending(s.now())
	}
	switch parent.State {
	case access.Deactivating:
		return over, nil
	case access.Activating:
		return given || lost && (over || kept), nil
	}
	return false, nil
}
