package workflows

import (
	"context"
	"fmt"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// listedWithin is how long a target may take to list what it was told to give.
const listedWithin = 30 * time.Second

// missing finds live grants that their targets do not list. They are reported and not repaired: an administrator who took
// the access away by hand is not overruled. The grant ends as it would. With a role, it looks at grants of that one alone.
func (w *Sweeper) missing(ctx context.Context, r *round, role access.RoleID) error {
	if len(r.asked) == 0 {
		return nil
	}
	q := Query{Open: true, States: []access.State{access.Active}, Role: role}
	return w.s.browse(ctx, q, func(rec *access.Record) error {
		switch {
		case !w.unlisted(r, rec):
		case r.tooFresh(rec):
			r.fresh[targetKey(rec.Role)] = true
		default:
			return w.report(ctx, r, rec)
		}
		return nil
	})
}

func (w *Sweeper) lookForMissing(ctx context.Context, r *round, role access.RoleID) {
	if err := w.missing(ctx, r, role); err != nil {
		w.note(ctx, r, fmt.Errorf("look for what is missing: %w", err))
	}
}

// unlisted tells whether a grant is true now, and is not in the answer of its target.
func (w *Sweeper) unlisted(r *round, rec *access.Record) bool {
	if rec.State != access.Active || rec.Role.Connector != r.connector || rec.Receipt == nil || rec.Receipt.Already {
		return false
	}
	_, answered := r.asked[targetKey(rec.Role)]
	listed := r.held[rec.Right()] || rec.Receipt.Ref != "" && r.held[rec.Receipt.Ref]
	return answered && rec.EndsAt.After(w.s.now()) && !listed
}

// tooFresh tells whether a grant was given so short a time before its target was asked that it need not be listed.
func (r *round) tooFresh(rec *access.Record) bool {
	return !rec.ActivatedAt.Add(listedWithin).Before(r.asked[targetKey(rec.Role)])
}

// report puts on record, once per grant, that its access is missing, and tells its channel.
func (w *Sweeper) report(ctx context.Context, r *round, listed *access.Record) error {
	rec, err := w.s.cfg.Store.Get(ctx, listed.ID)
	if err != nil {
		return fmt.Errorf("load request %s: %w", listed.ID, err)
	}
	if rec.Version != listed.Version || !w.unlisted(r, rec) {
		return nil
	}
	shares, err := w.s.cfg.Store.Sharing(ctx, rec.Right())
	if err != nil {
		return fmt.Errorf("look for grants of %s: %w", rec.Account, err)
	}
	for _, o := range shares {
		if o.State != access.Active {
			return nil // the right is being worked on; the next round sees what came of it
		}
	}
	now := w.s.now().UTC()
	_, first, err := w.s.cfg.Store.Once(ctx, "sweep:missing:"+string(rec.ID), []byte(stamp(now)), rec.EndsAt.Sub(now)+adoptionsKept)
	if err != nil || !first {
		return err
	}
	reason := "the target does not list the access any more"
	w.cfg.Metrics.SweepMissed(r.connector)
	r.log.Warn("a live grant is missing at its target; it is reported and not repaired", "request_id", rec.ID, "person", rec.Person,
		"role", rec.Role.ID, "account", rec.Account)
	if err := w.s.cfg.Store.Append(ctx, audit.Event{
		At: now, Kind: audit.Drift, Request: rec.ID, From: rec.State, To: rec.State, Actor: access.BySystem(), Person: rec.Person,
		Role: rec.Role.ID, Connector: rec.Role.Connector, Reason: reason,
		Detail: map[string]string{"account": rec.Account, "asked": stamp(r.asked[targetKey(rec.Role)]), "ends_at": stamp(rec.EndsAt)},
	}); err != nil {
		return fmt.Errorf("put on record that %s is missing: %w", rec.ID, err)
	}
	_, err = w.s.cfg.Store.Enqueue(ctx, w.cfg.Chats, string(rec.ID), "missing", Note{Kind: NoteMissing, At: now,
		Actor: access.BySystem(), Version: rec.Version, Reason: reason, EndsAt: rec.EndsAt})
	return err
}
