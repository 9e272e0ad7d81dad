package workflows

import (
	"cmp"
	"context"
	"log/slog"

	"elevate/connectors"
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

// againTries bounds how often a right is given again: about a minute of waits, because a worker of the endings does it.
// What could not be given by then the sweep reports as missing.
const againTries = 6

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
		if n == againTries || err != nil && connectors.KindOf(err).Final() {
			log.Error("access could not be given again, and is not tried any more; end the grant and ask anew. The next sweep reports it as missing",
				"attempt", n, "err", cmp.Or(err, getErr))
			return
		}
		log.Error("access could not be given again; it is tried once more", "attempt", n, "err", cmp.Or(err, getErr))
		if pause(ctx, min(backoff(n, err), backoffCap)) != nil {
			return
		}
	}
	r.record(ctx, audit.GivenAgain, o, "the deactivation of another grant came late", map[string]string{"late": string(late)}, log)
}

// record puts on record what no arrow tells.
func (r *Runner) record(ctx context.Context, kind string, rec *access.Record, reason string, detail map[string]string, log *slog.Logger) {
	e := audit.Event{At: r.s.now().UTC(), Kind: kind, Request: rec.ID, Actor: access.BySystem(), Person: rec.Person, Role: rec.Role.ID,
		Connector: rec.Role.Connector, Reason: reason, Detail: detail}
	if err := r.s.cfg.Store.Append(ctx, e); err != nil {
		log.Error("what was done at a target could not be put on record", "kind", kind, "err", err)
	}
}
