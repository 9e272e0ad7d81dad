package workflows

import (
	"cmp"
	"context"
	"log/slog"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// giveAgain gives a right again to the grants that hold it. It is for the end of a call that took the right away for
// another grant and was overtaken: the process was paused, or its lease ran out while the target was slow, so that the
// call may have come after the right was given to them.
func (r *Runner) giveAgain(ctx context.Context, rec *access.Record, log *slog.Logger) {
	others, err := r.s.cfg.Store.Sharing(ctx, rec.Right())
	if err != nil {
		log.Error("whether a late deactivation took another grant's access cannot be told; the next sweep looks", "err", err)
		return
	}
	for _, o := range others {
		if o.ID != rec.ID && o.State == access.Active && o.Receipt != nil && !o.Receipt.Already {
			r.giveOneAgain(ctx, o, rec.ID, log.With("given_again", o.ID))
		}
	}
}

// giveOneAgain calls the target without a claim; so it looks afterwards whether the grant is still active, and takes the
// right back where it is not.
func (r *Runner) giveOneAgain(ctx context.Context, o *access.Record, late access.RequestID, log *slog.Logger) {
	log.Warn("a deactivation came so late that it may have taken another grant's access; that is given again", "late", late)
	for n := 1; ; n++ {
		err := r.unclaimed(ctx, func(ctx context.Context) error {
			_, err := r.connector(o).Activate(ctx, o.Grant())
			return err
		})
		current, getErr := r.s.cfg.Store.Get(ctx, o.ID)
		if getErr == nil && current.State != access.Active {
			if undone := r.undoLate(ctx, o, *o.Receipt, log); ctx.Err() != nil {
				log.Error("what was given again could not be taken back before this process stopped; the next sweep does it", "err", undone)
			}
			return
		}
		if err == nil && getErr == nil {
			break
		}
		log.Error("access could not be given again; it is tried once more", "attempt", n, "err", cmp.Or(err, getErr))
		if pause(ctx, backoff(n, err)) != nil {
			return
		}
	}
	e := audit.Event{At: r.s.now().UTC(), Kind: audit.GivenAgain, Request: o.ID, Actor: access.BySystem(), Person: o.Person, Role: o.Role.ID,
		Connector: o.Role.Connector, Reason: "the deactivation of another grant came late", Detail: map[string]string{"late": string(late)}}
	if err := r.s.cfg.Store.Append(ctx, e); err != nil {
		log.Error("access was given again, and that could not be put on record", "err", err)
	}
}
