package workflows

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"elevate/workflows/access"
)

// resting is how long a walk through many records rests after each page, as a multiple of what the page took: it takes a
// fifth of the time at most, so that the store stays free for the timers.
const resting = 4

// lists is a store as far as it lists records.
type lists interface {
	List(ctx context.Context, q Query) (records []*access.Record, next string, err error)
}

// pages walks all pages of a query, and rests after each, as a multiple of the time that it took.
func pages(ctx context.Context, store lists, q Query, rest int, each func(*access.Record) error) error {
	for {
		began := time.Now()
		records, next, err := store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("list requests: %w", err)
		}
		for _, rec := range records {
			if err := each(rec); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
		if err := pause(ctx, time.Duration(rest)*time.Since(began)); err != nil {
			return err
		}
	}
}

// each walks all records of a query for somebody who waits.
func (s *Service) each(ctx context.Context, q Query, f func(*access.Record)) error {
	q.Limit = 1000
	return pages(ctx, s.cfg.Store, q, 0, func(rec *access.Record) error {
		f(rec)
		return nil
	})
}

// browse walks all records of a query for somebody who has time.
func (s *Service) browse(ctx context.Context, q Query, f func(*access.Record) error) error {
	q.Limit = 500
	return pages(ctx, s.cfg.Store, q, resting, f)
}

// mayHold reads the grants that may be true at their targets.
func (s *Service) mayHold(ctx context.Context, each func(*access.Record) error) error {
	q := Query{Open: true, States: []access.State{access.Activating, access.Active, access.Deactivating}}
	return s.browse(ctx, q, func(rec *access.Record) error {
		if !rec.State.MayHold() { // it has moved on since it was listed
			return nil
		}
		return each(rec)
	})
}

// unreachable tells whether nobody can call a grant's target for it, because its connector is not in the configuration any
// more.
func (s *Service) unreachable(rec *access.Record) bool {
	return s.cfg.Connectors[rec.Role.Connector] == nil
}

// tellOfUnreachable tells the operators at the start which connectors have to come back before their grants can be ended.
// Each grant also becomes overdue when its end has come.
func (r *Runner) tellOfUnreachable(ctx context.Context) {
	count, first := map[string]int{}, map[string]time.Time{}
	err := r.s.mayHold(ctx, func(rec *access.Record) error {
		name := rec.Role.Connector
		if !r.s.unreachable(rec) {
			return nil
		}
		if count[name]++; count[name] == 1 || rec.EndsAt.Before(first[name]) {
			first[name] = rec.EndsAt
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		r.s.log.Warn("whether every grant's connector is configured could not be looked up", "err", err)
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		r.s.log.Error("a connector is not configured any more, and its grants cannot be ended; put it back under its name until they have ended",
			"connector", name, "grants", count[name], "first_ends_at", stamp(first[name]))
	}
}
