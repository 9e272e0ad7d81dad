package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// undoLate takes back what was activated after its request had moved on: the process was paused, or its lease ran out
// while the target was slow. Without an error of its own it gives ErrStale: the claim was overtaken.
func (r *Runner) undoLate(ctx context.Context, rec *access.Record, receipt access.Receipt, log *slog.Logger) error {
	if r.s.bundle(rec.Role) {
		return ErrStale // its own end takes its parts back, and none begins without it
	}
	current, err := r.whatBecame(ctx, rec.ID, log)
	if err != nil {
		return fmt.Errorf("after a late activation: %w", err)
	}
	if current.State == access.Activating || current.State == access.Active {
		return ErrStale // another worker has it, and its end is armed
	}
	log.Warn("an activation came too late and is undone", "state", current.State)
	for n := 1; ; n++ {
		shared, err := r.sharedWith(ctx, rec)
		if err == nil && shared == nil {
			err = r.unclaimed(ctx, func(ctx context.Context) error {
				_, err := r.connector(rec).Deactivate(ctx, rec.Grant(), receipt)
				return err
			})
		}
		if err == nil {
			undone := *rec
			if current.State == access.None {
				undone.ID = "" // it may be back by now, and given: then it is one of the others
			}
			r.giveAgain(ctx, &undone, log) // to a grant that began while this one was taken back
			if current.State == access.None {
				r.record(ctx, audit.Undone, rec, "it was given when its request was gone from the store", map[string]string{"attempt": strconv.Itoa(n)}, log)
			}
		}
		if err == nil || ctx.Err() != nil {
			return cmp.Or(err, ErrStale)
		}
		log.Error("a late activation could not be undone; it is tried again", "attempt", n, "err", err)
		if err := pause(ctx, backoff(n, err)); err != nil {
			return err
		}
	}
}

// lookAgain is how often a record that is gone, or cannot be read, is looked for.
const lookAgain = 250 * time.Millisecond

// whatBecame gives the record of a grant that was activated late. The store may have lost it (emptied, or failed over to a
// replica that had not got it), and then it is back as soon as recovery has looked: what it gives is not undone before,
// because the grant that comes back may have been given meanwhile. One that does not come back is in no state.
func (r *Runner) whatBecame(ctx context.Context, id access.RequestID, log *slog.Logger) (*access.Record, error) {
	var missing time.Time
	told := false
	for {
		rec, err := r.s.cfg.Store.Get(ctx, id)
		switch {
		case err == nil:
			return rec, nil
		case ctx.Err() != nil:
			return nil, err
		case !errors.Is(err, access.ErrNotFound):
			missing = time.Time{} // the store, or the record, cannot be read: that says nothing
			if !told {
				log.Warn("what became of a grant that was activated late cannot be told yet; it is asked again", "err", err)
			}
			told = true
		case missing.IsZero():
			missing = time.Now()
			log.Warn("a grant that was activated late is gone from the store; it is looked for until recovery must have put it back")
		case time.Since(missing) > r.cfg.Recovered:
			return &access.Record{}, nil
		}
		if err := pause(ctx, lookAgain); err != nil {
			return nil, err
		}
	}
}
