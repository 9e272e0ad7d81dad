package workflows

import (
	"maps"
	"slices"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// move starts a transition: a copy of the record with the arrow taken, its event, and the note where one is told.
// The caller fills in what else changes. The error is a *access.MoveError where the table has no such arrow.
func move(rec *access.Record, a access.Arrow, by access.Actor, at time.Time, notes ...NoteKind) (Transition, error) {
	to, err := access.Next(rec.State, a)
	if err != nil {
		return Transition{}, err
	}
	next := *rec
	next.Schema = access.Schema
	next.Decisions = slices.Clone(rec.Decisions)
	next.Extensions = slices.Clone(rec.Extensions)
	next.State = to
	next.Version++
	t := Transition{
		Arrow:  a,
		From:   rec.State,
		Record: &next,
		Event: audit.Event{
			At: at.UTC(), Kind: string(a), Request: rec.ID, Version: next.Version, From: rec.State, To: to, Actor: by,
			Person: rec.Person, Role: rec.Role.ID, Connector: rec.Role.Connector, Detail: map[string]string{},
		},
	}
	for _, k := range notes {
		t.Notes = append(t.Notes, Note{Kind: k, At: at.UTC(), Actor: by, Version: next.Version})
	}
	return t, nil
}

// because gives the transition's event and notes their reason.
func (t *Transition) because(reason string) {
	t.Event.Reason = reason
	for i := range t.Notes {
		t.Notes[i].Reason = reason
	}
}

// detail adds words to the event.
func (t *Transition) detail(d map[string]string) { maps.Copy(t.Event.Detail, d) }

// close marks who brought the request to its last turn, and why.
func (t *Transition) close(by access.Actor, at time.Time, reason string) {
	t.Record.Closed, t.Record.ClosedAt, t.Record.Reason = &by, at.UTC(), reason
	t.because(reason)
}

// until sets the end of a grant, and with it when people are told that the end did not come.
func (t *Transition) until(end time.Time, overdueAfter time.Duration) {
	t.Record.EndsAt, t.Record.OverdueAt = end.UTC(), end.Add(overdueAfter).UTC()
}

// ending fills in what every deactivation starts with: it is due from at on, first tried at once, and people are told
// when it takes too long.
func (t *Transition) ending(due, now time.Time, overdueAfter time.Duration) {
	r := t.Record
	r.EndingAt, r.NextTry, r.Attempts, r.LastError = due.UTC(), now.UTC(), 0, ""
	r.OverdueAt, r.NoticeAt = now.Add(overdueAfter).UTC(), time.Time{}
	t.detail(map[string]string{"due": stamp(due)})
}

// stamp writes a time as the audit log does.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
