package workflows

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// errUnknown says that the log does not tell what a request is.
var errUnknown = errors.New("the audit log does not tell what the request is")

// rebuild makes the transition that gives a request back to the store.
func (r *Recovery) rebuild(ctx context.Context, l loss, ts *traces) (Transition, error) {
	t := ts.byID[l.id]
	rec, err := r.base(ctx, l, ts)
	if err != nil {
		return Transition{}, err
	}
	forked := t.state.Terminal() && l.had.version >= t.version
	switch {
	case forked && l.had.state.MayHold():
		rec, err = r.takenBack(ctx, l)
	case t.state.Terminal():
		t.catchUp(rec, r.cfg.OverdueAfter)
		rec.Version = max(rec.Version, l.had.version+1)
		err = closeAs(rec, ts, t)
	default:
		t.catchUp(rec, r.cfg.OverdueAfter)
	}
	if err != nil {
		return Transition{}, err
	}
	return r.restoration(rec, l), nil
}

// base is the newest record of a request: the log's, or, where the log has none, the store's own.
func (r *Recovery) base(ctx context.Context, l loss, ts *traces) (*access.Record, error) {
	t := ts.byID[l.id]
	if t.schema > 0 {
		line, err := ts.line(t.record)
		if err != nil {
			return nil, err
		}
		if line.Record == nil || line.Record.ID != l.id {
			return nil, fmt.Errorf("the audit log's line %d has no record of %s", line.Seq, l.id)
		}
		return line.Record, nil
	}
	rec, err := r.cfg.Store.Get(ctx, l.id)
	if err != nil {
		return nil, fmt.Errorf("load request %s: %w", l.id, err)
	}
	if !t.state.Terminal() && (rec.State != t.state || rec.Version != l.had.version) {
		return nil, errUnknown
	}
	return rec, nil
}

// closeAs fills in how a request ended, as the line says that brought it there.
func closeAs(rec *access.Record, ts *traces, t *trace) error {
	line, err := ts.line(t.closing)
	if err != nil {
		return err
	}
	e := line.Event
	at := e.At.UTC()
	if rec.Closed == nil || e.To != access.Ended {
		rec.Closed, rec.ClosedAt, rec.Reason = &e.Actor, at, e.Reason
	}
	rec.RemindAt, rec.NoticeAt, rec.OverdueAt, rec.NextTry = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	rec.Overdue = false
	switch e.To {
	case access.Denied:
		rec.Decisions = append(rec.Decisions, access.Decision{Verdict: access.Deny, By: e.Actor, At: at, Stage: rec.Stage, Reason: e.Reason, Method: e.Detail["method"]})
	case access.Failed:
		rec.LastError, rec.EndsAt = e.Reason, time.Time{}
	case access.Ended:
		rec.EndedAt, rec.VerifiedAt, rec.LastError = at, at, ""
		rec.Removal = removalOf(e.Detail)
		if due, err := time.Parse(time.RFC3339Nano, e.Detail["due"]); err == nil {
			rec.EndingAt = due
		}
	}
	return nil
}

// removalOf reads what a deactivation found from the words of its event. What an early version did not write is zero.
func removalOf(detail map[string]string) *access.Removal {
	sessions, _ := strconv.Atoi(detail["sessions_ended"])
	tail, _ := time.ParseDuration(detail["tail"])
	return &access.Removal{Was: access.Was(detail["was"]), SessionsEnded: sessions, Tail: tail}
}

// takenBack is the record of a request that is over, and which somebody brought to life again in a store that had gone
// back: what may have been given at the target is taken away.
func (r *Recovery) takenBack(ctx context.Context, l loss) (*access.Record, error) {
	rec, err := r.cfg.Store.Get(ctx, l.id)
	if err != nil {
		return nil, fmt.Errorf("load request %s: %w", l.id, err)
	}
	now, by := r.cfg.Now().UTC(), access.BySystem()
	rec.Version, rec.State, rec.Schema = l.had.version+1, access.Deactivating, access.Schema
	rec.Closed, rec.ClosedAt, rec.Reason = &by, now, "it was over already when the store went back to an older copy"
	rec.EndingAt, rec.NextTry, rec.OverdueAt, rec.NoticeAt, rec.Attempts, rec.LastError = now, now, now.Add(r.cfg.OverdueAfter), time.Time{}, 0, ""
	return rec, nil
}

// restoration is the transition that writes a record again. Only what may be true at a target is told in chat: the store
// may have lost hundreds of requests, and nobody is helped by as many messages.
func (r *Recovery) restoration(rec *access.Record, l loss) Transition {
	now, by := r.cfg.Now().UTC(), access.BySystem()
	t := Transition{Record: rec, Event: audit.Event{
		At: now, Kind: audit.Restored, Request: rec.ID, Version: rec.Version, From: rec.State, To: rec.State, Actor: by,
		Person: rec.Person, Role: rec.Role.ID, Connector: rec.Role.Connector, Reason: "the store had lost it",
		Detail: map[string]string{"had_version": strconv.FormatInt(l.had.version, 10)},
	}}
	if !rec.EndsAt.IsZero() {
		t.Event.Detail["ends_at"] = stamp(rec.EndsAt)
	}
	if !rec.State.Terminal() {
		t.Event.Record = rec
	}
	if rec.State.MayHold() {
		t.Notes = []Note{{Kind: NoteRestored, At: now, Actor: by, Version: rec.Version, EndsAt: rec.EndsAt}}
	}
	return t
}
