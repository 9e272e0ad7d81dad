package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The backoff of calls to a target: from first, doubling, to cap. There is no last try of a deactivation.
const (
	backoffFirst = time.Second
	backoffCap   = time.Minute
)

// backoff is the wait before try n+1, with a fifth of jitter so that what failed together is not tried together.
func backoff(n int, err error) time.Duration {
	var e *connectors.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter + rand.N(e.RetryAfter/5+1)
	}
	d := backoffCap
	if n < 7 {
		d = min(d, backoffFirst<<max(0, n-1))
	}
	return d - rand.N(d/5+1)
}

// activate gives a grant at its target. The end is armed already; a grant whose end is past is not given any more.
func (r *Runner) activate(ctx context.Context, c Claim, log *slog.Logger) error {
	rec := c.Record
	if rec.State != access.Activating {
		return fmt.Errorf("a timer gives what request %s is for, which is %s: %w", rec.ID, rec.State, ErrForged)
	}
	if t, waited, err := r.tooLong(rec); waited {
		return r.settle(ctx, c, t, err)
	}
	if err := r.s.begins(ctx, rec); errors.Is(err, errBundleOver) {
		t, err := r.s.finish(rec, access.BySystem(), "its bundle was over before the target could be asked")
		return r.settle(ctx, c, t, err)
	} else if err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	receipt, err := r.give(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err() // we are stopping: the timer comes due again and finds out what the target did
	}
	if err != nil {
		err = r.notActivated(ctx, c, err, log)
	} else {
		err = r.activated(ctx, c, receipt)
	}
	if errors.Is(err, ErrStale) {
		return r.undoLate(ctx, rec, receipt, log)
	}
	return err
}

// give calls the target of a claim's grant to give it, or to give it for longer.
func (r *Runner) give(ctx context.Context, c Claim) (receipt access.Receipt, err error) {
	err = r.call(ctx, c, "activate", func(ctx context.Context, target connectors.Connector) error {
		var err error
		receipt, err = target.Activate(ctx, c.Record.Grant())
		return err
	})
	return receipt, err
}

// tooLong tells whether a grant has waited in its lane so long, behind a target that does not answer, that it is not
// given as it is: it is undone where its time to start is over, and else gets a new end, because the time that it is for
// counts from its beginning.
func (r *Runner) tooLong(rec *access.Record) (t Transition, waited bool, err error) {
	now := r.s.now().UTC()
	switch {
	case !now.Before(rec.EndsAt), now.After(rec.StartBy):
		t, err = r.s.finish(rec, access.BySystem(), "its time was up before the target could be asked")
		return t, true, err
	case r.slides(rec) && now.Add(rec.Duration).Sub(rec.EndsAt) > backoffCap:
		if t, err = move(rec, access.Retry, access.BySystem(), now); err == nil {
			t.Record.NextTry = now
			t.until(now.Add(rec.Duration), r.s.cfg.OverdueAfter)
			t.detail(map[string]string{"ends_at": stamp(t.Record.EndsAt)})
		}
		return t, true, err
	}
	return t, false, nil
}

// slides tells whether the end of a grant moves while its target cannot be asked, so that the time it is for counts from its
// beginning. That of a bundle moves once, when all of its parts are there, and theirs with it: they end together.
func (r *Runner) slides(rec *access.Record) bool { return rec.Bundle == "" && !r.s.bundle(rec.Role) }

// activated writes down that the target gave the grant.
func (r *Runner) activated(ctx context.Context, c Claim, receipt access.Receipt) error {
	rec, now := c.Record, r.s.now().UTC()
	receipt, err := r.inherit(ctx, rec, receipt)
	if err != nil {
		return err
	}
	t, err := move(rec, access.Confirm, access.BySystem(), now, NoteActive)
	if err != nil {
		return err
	}
	next := t.Record
	next.Attempts, next.NextTry, next.LastError = 0, time.Time{}, ""
	if end := now.Add(rec.Duration); r.s.bundle(rec.Role) && end.Sub(rec.EndsAt) > backoffCap {
		t.until(end, r.s.cfg.OverdueAfter)
		next.NextTry = now // its parts are told
	}
	next.Receipt, next.ActivatedAt, next.NoticeAt = &receipt, now, r.s.noticeAt(now, next.EndsAt)
	t.Notes[0].EndsAt = next.EndsAt
	t.detail(map[string]string{"ends_at": stamp(next.EndsAt), "already": strconv.FormatBool(receipt.Already)})
	if receipt.Ref != "" {
		t.Event.Detail["ref"] = receipt.Ref
	}
	return r.settle(ctx, c, t, nil)
}

// prolong tells a target that ends access by itself of the later end of a grant. It is tried again until the end has come.
func (r *Runner) prolong(ctx context.Context, c Claim, log *slog.Logger) error {
	rec := c.Record
	if now := r.s.now().UTC(); !now.Before(rec.EndsAt) { // the end has come: nothing is to be told any more
		t, err := move(rec, access.Retry, access.BySystem(), now)
		if err == nil {
			t.Record.NextTry = time.Time{}
		}
		return r.settle(ctx, c, t, err)
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	receipt, err := r.give(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t, err := r.prolonged(rec, receipt, err, log)
	err = r.settle(ctx, c, t, err)
	if errors.Is(err, ErrStale) {
		return r.undoLate(ctx, rec, receipt, log)
	}
	return err
}

// prolonged makes the transition of what the target answered.
func (r *Runner) prolonged(rec *access.Record, receipt access.Receipt, cause error, log *slog.Logger) (Transition, error) {
	now := r.s.now().UTC()
	if cause == nil && receipt.NativeEnd.Before(rec.EndsAt) {
		cause = fmt.Errorf("the target still ends the access at %s", stamp(receipt.NativeEnd))
	}
	if cause != nil {
		log.Warn("the target did not take the later end of a grant; it is tried again", "attempt", rec.Attempts+1, "err", cause)
		return r.retry(rec, cause, now, min(backoff(rec.Attempts+1, cause), backoffCap))
	}
	t, err := move(rec, access.Confirm, access.BySystem(), now)
	if err != nil {
		return t, err
	}
	receipt.Already = rec.Receipt.Already
	t.Record.Receipt, t.Record.Attempts, t.Record.NextTry, t.Record.LastError = &receipt, 0, time.Time{}, ""
	t.detail(map[string]string{"ends_at": stamp(rec.EndsAt), "native_end": stamp(receipt.NativeEnd)})
	return t, nil
}

// inherit takes what other live grants on the same right know about standing access: what they made true, or may have,
// looks to a target that keeps no marks as if it had been there before. One that is being taken away counts as well.
func (r *Runner) inherit(ctx context.Context, rec *access.Record, receipt access.Receipt) (access.Receipt, error) {
	if !receipt.Already {
		return receipt, nil
	}
	others, err := r.others(ctx, rec)
	if err != nil {
		return receipt, err
	}
	for _, o := range others {
		uncertain := o.Receipt == nil && (o.State == access.Deactivating || o.Attempts > 0)
		if uncertain || o.Receipt != nil && !o.Receipt.Already {
			receipt.Already = false
		}
	}
	return receipt, nil
}

// sharedWith is another grant that keeps the right, or nil: one that is active. Access that a sweep found by its mark is
// also left to a grant that is being activated: whatever becomes of that one, its end takes everything with our mark.
func (r *Runner) sharedWith(ctx context.Context, rec *access.Record) (*access.Record, error) {
	if r.s.bundle(rec.Role) {
		return nil, nil // each of its parts shares by itself
	}
	others, err := r.others(ctx, rec)
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		if o.State == access.Active && o.Receipt != nil || rec.Found() && o.State == access.Activating {
			return o, nil
		}
	}
	return nil, nil
}

// others are the other grants that may hold the same right.
func (r *Runner) others(ctx context.Context, rec *access.Record) ([]*access.Record, error) {
	records, err := r.s.cfg.Store.Sharing(ctx, rec.Right())
	if err != nil {
		return nil, fmt.Errorf("look for other grants of the same right: %w", err)
	}
	return slices.DeleteFunc(records, func(o *access.Record) bool { return o.ID == rec.ID }), nil
}

// notActivated settles an activation that the target refused or did not answer. What it refused for good is read back
// and fails; what may have happened is tried again while there is time to start, and undone after that.
func (r *Runner) notActivated(ctx context.Context, c Claim, cause error, log *slog.Logger) error {
	rec, now := c.Record, r.s.now().UTC()
	kind := connectors.KindOf(cause)
	log.Log(ctx, r.gravity(rec, cause), "the target did not activate the role", "kind", kind, "attempt", rec.Attempts+1, "err", cause)
	if kind.Final() {
		return r.failed(ctx, c, cause, log)
	}
	wait := backoff(rec.Attempts+1, cause)
	if now.Add(wait).After(rec.StartBy) {
		t, err := r.s.finish(rec, access.BySystem(), "the target could not be reached in time: "+cause.Error())
		return r.settle(ctx, c, t, err)
	}
	t, err := r.retry(rec, cause, now, wait)
	if err == nil && r.slides(rec) {
		t.until(t.Record.NextTry.Add(rec.Duration), r.s.cfg.OverdueAfter)
	}
	return r.settle(ctx, c, t, err)
}

// failed reads back that a refused activation gave nothing, and undoes it where that cannot be read.
func (r *Runner) failed(ctx context.Context, c Claim, cause error, log *slog.Logger) error {
	now := r.s.now().UTC()
	reason := "the target refused: " + cause.Error()
	shared, err := r.sharedWith(ctx, c.Record)
	if err != nil {
		return err
	}
	if shared == nil {
		err = r.call(ctx, c, "read back", func(ctx context.Context, target connectors.Connector) error {
			_, err := target.Deactivate(ctx, c.Record.Grant(), access.Receipt{})
			return err
		})
	}
	if err != nil {
		log.Warn("a refused activation could not be read back; it is undone", "err", err)
		t, err := r.s.finish(c.Record, access.BySystem(), reason)
		return r.settle(ctx, c, t, err)
	}
	t, err := move(c.Record, access.Fail, access.BySystem(), now, NoteFailed)
	if err == nil {
		t.close(access.BySystem(), now, reason)
		t.Record.LastError, t.Record.EndsAt, t.Record.OverdueAt = cause.Error(), time.Time{}, time.Time{}
	}
	return r.settle(ctx, c, t, err)
}

// unclaimed makes a call to the target that no claim covers.
func (r *Runner) unclaimed(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	return call(ctx)
}

// deactivate takes a grant away at its target and writes down what the target was read to say. A right that another
// live grant holds stays until that one ends. A grant whose first try succeeds goes from active to ended in one step.
func (r *Runner) deactivate(ctx context.Context, c Claim, log *slog.Logger) error {
	rec := c.Record
	if rec.State == access.Active {
		rec.Attempts = 0 // were for a later end
	}
	var shared *access.Record
	if !c.Alone {
		var err error
		if shared, err = r.sharedWith(ctx, rec); err != nil {
			return err
		}
	}
	removal := access.Removal{Was: access.Shared}
	var err error
	if shared == nil {
		err = r.call(ctx, c, "deactivate", func(ctx context.Context, target connectors.Connector) error {
			var receipt access.Receipt // stays zero where the activation was never confirmed
			if rec.Receipt != nil {
				receipt = *rec.Receipt
			}
			var err error
			removal, err = target.Deactivate(ctx, rec.Grant(), receipt)
			return err
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		log.Log(ctx, r.gravity(rec, err), "the target did not take the role away; it is tried again", "attempt", rec.Attempts+1, "err", err)
		t, err := r.notDeactivated(rec, err)
		err = r.settle(ctx, c, t, err)
		if errors.Is(err, ErrStale) {
			r.giveAgain(ctx, rec, log)
		}
		return err
	}
	return r.gone(ctx, c, removal, log)
}

// notDeactivated makes the transition of a deactivation that did not succeed.
func (r *Runner) notDeactivated(rec *access.Record, cause error) (Transition, error) {
	wait := min(backoff(rec.Attempts+1, cause), backoffCap)
	if rec.State == access.Deactivating {
		return r.retry(rec, cause, r.s.now().UTC(), wait)
	}
	t, err := r.s.finish(rec, access.BySystem(), timeUp)
	if err == nil {
		t.again(cause, t.Event.At, wait)
		if r.worthTelling(rec, cause) {
			t.Notes = append(t.Notes, Note{Kind: NoteRetrying, At: t.Event.At, Actor: access.BySystem(), Version: t.Record.Version, Reason: cause.Error()})
		}
	}
	return t, err
}

// gone writes down that the target was read and the access is not there. That is true of the record also where it has
// moved on during the call (its ending was flagged overdue), so it is then closed from where it stands.
func (r *Runner) gone(ctx context.Context, c Claim, removal access.Removal, log *slog.Logger) error {
	t, err := r.ended(c.Record, removal)
	err = r.settle(ctx, c, t, err)
	if errors.Is(err, ErrStale) {
		r.giveAgain(ctx, c.Record, log)
		var current *access.Record
		if current, err = r.s.cfg.Store.Get(ctx, c.Request); err != nil {
			return err
		}
		if current.State != access.Active && current.State != access.Deactivating {
			return ErrStale
		}
		if t, err = r.ended(current, removal); err == nil {
			err = r.s.take(ctx, t)
		}
		r.release(ctx, c, log) // the arrow was not that of the claim, which still holds the right
	}
	if err != nil {
		return err
	}
	r.s.cfg.Metrics.ObserveLateness(t.Record.Lateness())
	return nil
}

// ended makes the transition of a deactivation that was read back.
func (r *Runner) ended(rec *access.Record, removal access.Removal) (Transition, error) {
	now := r.s.now().UTC()
	t, err := move(rec, access.Close, access.BySystem(), now, NoteEnded)
	if err != nil {
		return t, err
	}
	next := t.Record
	if rec.State == access.Active {
		t.close(access.BySystem(), now, timeUp)
		next.EndingAt, next.NoticeAt = rec.EndsAt, time.Time{}
	}
	next.EndedAt, next.VerifiedAt, next.Removal = now, now, &removal
	next.Overdue, next.OverdueAt, next.NextTry, next.LastError = false, time.Time{}, time.Time{}, ""
	t.because(next.Reason)
	t.detail(map[string]string{"was": string(removal.Was), "sessions_ended": strconv.Itoa(removal.SessionsEnded), "due": stamp(next.EndingAt),
		"lateness_ms": strconv.FormatInt(next.Lateness().Milliseconds(), 10), "attempts": strconv.Itoa(rec.Attempts + 1)})
	if removal.Tail > 0 {
		t.Event.Detail["tail"] = removal.Tail.String()
	}
	return t, nil
}

// retry makes the transition of a call to be tried again. People are told once.
func (r *Runner) retry(rec *access.Record, cause error, now time.Time, wait time.Duration) (Transition, error) {
	var notes []NoteKind
	if r.worthTelling(rec, cause) {
		notes = append(notes, NoteRetrying)
	}
	t, err := move(rec, access.Retry, access.BySystem(), now, notes...)
	if err != nil {
		return t, err
	}
	t.again(cause, now, wait)
	t.because(cause.Error())
	return t, nil
}

// again fills in that a call to the target failed, and when the next one is due.
func (t *Transition) again(cause error, now time.Time, wait time.Duration) {
	t.Record.Attempts++
	t.Record.NextTry, t.Record.LastError = now.Add(wait), cause.Error()
	t.detail(map[string]string{"attempt": strconv.Itoa(t.Record.Attempts), "next_try": stamp(t.Record.NextTry), "error": cause.Error()})
}

// call runs one call to a record's connector: bounded in time, measured, and with the claim's lease renewed while it
// lasts. The call is cancelled when the lease is lost.
func (r *Runner) call(ctx context.Context, c Claim, verb string, f func(context.Context, connectors.Connector) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		r.renew(ctx, cancel, c)
	}()
	began := time.Now()
	err := f(ctx, r.connector(c.Record))
	if err == nil || !errors.Is(ctx.Err(), context.Canceled) { // what was cut off says nothing about the target
		r.lanes[c.Lane].breaker.heard(r.s.now(), err)
	}
	cancel()
	<-renewed
	result := "ok"
	if err != nil {
		result = string(connectors.KindOf(err))
	}
	r.s.cfg.Metrics.ObserveConnectorCall(c.Record.Role.Connector, verb, result, time.Since(began))
	return err
}

// connector is the one that a record's role is reached through; the runner has lanes for configured ones alone.
func (r *Runner) connector(rec *access.Record) connectors.Connector {
	return r.s.cfg.Connectors[rec.Role.Connector]
}

// renew keeps a claim's lease while ctx lasts, and cancels the work when the lease is lost.
func (r *Runner) renew(ctx context.Context, cancel context.CancelFunc, c Claim) {
	for pause(ctx, r.cfg.Lease/3) == nil {
		if err := r.s.cfg.Store.Renew(ctx, c, r.cfg.Lease); errors.Is(err, ErrStale) {
			cancel()
			return
		}
	}
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
