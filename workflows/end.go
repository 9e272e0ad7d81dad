package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// Cancel takes back a request that has not begun. The requester, the beneficiary and administrators may.
func (s *Service) Cancel(ctx context.Context, by access.Actor, id access.RequestID) (*access.Record, error) {
	return s.change(ctx, by, id, "cancel", func(rec *access.Record) (Transition, error) {
		who, err := s.person(ctx, by.Person)
		if err != nil {
			return Transition{}, err
		}
		if !concerns(rec, by.Person) && !s.cfg.Administrator(who) {
			return Transition{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_yours",
				Text: fmt.Sprintf("Only %s or an administrator can cancel request %s. An approver can deny it.", rec.Requester, rec.ID)}
		}
		switch rec.State {
		case access.Pending, access.Approved, access.Scheduled:
			return s.cancel(rec, by, "")
		case access.Activating:
			return s.finish(rec, by, "cancelled while it was being activated")
		case access.Active:
			return Transition{}, &access.Refusal{Kind: access.ErrConflict, Code: "already_active",
				Text: fmt.Sprintf("Request %s is active already. Use `/elevate end %s` to give the access back.", rec.ID, rec.ID)}
		case access.Deactivating:
			return Transition{}, ending(rec)
		}
		return Transition{}, over(rec)
	})
}

// End takes the access away before its time. Whoever holds it, whoever may approve it, and administrators may.
func (s *Service) End(ctx context.Context, by access.Actor, id access.RequestID, reason string) (*access.Record, error) {
	reason = policy.CleanText(reason)
	return s.change(ctx, by, id, "end", func(rec *access.Record) (Transition, error) {
		if refusal := s.mayEnd(ctx, by.Person, rec); refusal != nil {
			return Transition{}, refusal
		}
		if refusal := tooLong(reason); refusal != nil {
			return Transition{}, refusal
		}
		switch rec.State {
		case access.Activating, access.Active:
			return s.finish(rec, by, reason)
		case access.Approved, access.Scheduled:
			return s.cancel(rec, by, reason)
		case access.Pending:
			return Transition{}, &access.Refusal{Kind: access.ErrConflict, Code: "still_pending",
				Text: fmt.Sprintf("Request %s has not been decided yet, so there is nothing to end. Use `/elevate cancel %s` to take it back.", rec.ID, rec.ID)}
		case access.Deactivating:
			return Transition{}, ending(rec)
		}
		return Transition{}, over(rec)
	})
}

// Extend moves the end of a running grant by more, within the policy's bound on the whole. The holder and the
// requester may, until its end has come. Where the policy asks for a second factor to ask for the role, it takes proof of
// one too.
func (s *Service) Extend(ctx context.Context, by access.Actor, id access.RequestID, more time.Duration, proof access.Secret) (*access.Record, error) {
	rec, err := s.extend(ctx, by, id, more, s.proofBy(by, proof))
	if !errors.Is(err, ErrGuard) {
		return rec, err
	}
	// The end came between our look at the clock and the store's.
	if rec, err = s.cfg.Store.Get(ctx, id); err != nil {
		return nil, fmt.Errorf("load request %s: %w", id, err)
	}
	return rec, s.refuse(ctx, by, rec, "extend", tooLate(rec))
}

// tooLate refuses to extend a grant whose end has come.
func tooLate(rec *access.Record) *access.Refusal {
	return &access.Refusal{Kind: access.ErrConflict, Code: "too_late",
		Text: fmt.Sprintf("The time of request %s is up, and the access is being taken away. Make a new request with `/elevate %s`.", rec.ID, rec.Role.ID)}
}

func (s *Service) extend(ctx context.Context, by access.Actor, id access.RequestID, more time.Duration, proof *proof) (*access.Record, error) {
	return s.change(ctx, by, id, "extend", func(rec *access.Record) (Transition, error) {
		now := s.now().UTC()
		if refusal := s.mayExtend(ctx, by.Person, rec, now); refusal != nil {
			return Transition{}, refusal
		}
		if more <= 0 {
			return Transition{}, &access.Refusal{Kind: access.ErrInvalid, Code: "bad_duration", Field: "duration",
				Text: "Say by how much to extend, such as 30m or 1h."}
		}
		end := rec.EndsAt.Add(more)
		if room := s.room(rec); more > room {
			return Transition{}, &access.Refusal{Kind: access.ErrInvalid, Code: "too_long", Field: "duration",
				Text: fmt.Sprintf("The policy allows %s in all for %s, so it can be extended by %s at most. Ask for that, or make a new request.",
					s.cfg.Policies.For(rec.Role.ID).MaxTotal(), rec.Role.ID, room.Round(time.Second))}
		}
		act := access.Act{Verb: string(access.Extend), Request: rec.ID, Subject: rec.Digest() + " to " + stamp(end)}
		method, err := proof.of(ctx, s.stepUp(rec).Request, act, rec)
		if err != nil {
			return Transition{}, err
		}
		t, err := s.later(rec, by, end)
		if err == nil && method != access.NoFactor {
			t.Record.Extensions[len(t.Record.Extensions)-1].Method = method
			t.detail(map[string]string{"method": string(method)})
		}
		return t, err
	})
}

// later makes the transition that moves the end of a running grant.
func (s *Service) later(rec *access.Record, by access.Actor, end time.Time) (Transition, error) {
	now := s.now().UTC()
	t, err := move(rec, access.Extend, by, now, NoteExtended)
	if err != nil {
		return t, err
	}
	t.Record.Extensions = append(t.Record.Extensions, access.Extension{By: by, At: now, From: rec.EndsAt, To: end})
	t.Record.NoticeAt = s.noticeAt(now, end)
	t.until(end, s.cfg.OverdueAfter)
	if r := rec.Receipt; r != nil && !r.NativeEnd.IsZero() && !r.Already {
		t.Record.NextTry, t.Record.Attempts = now, 0 // the target ends it by itself, and must be told
	}
	t.Notes[0].EndsAt = end
	t.detail(map[string]string{"from": stamp(rec.EndsAt), "ends_at": stamp(end)})
	return t, nil
}

// room is by how much a running grant can still be extended; zero where not at all.
func (s *Service) room(rec *access.Record) time.Duration {
	pol := s.cfg.Policies.For(rec.Role.ID)
	if pol == nil || rec.ActivatedAt.IsZero() {
		return 0
	}
	return max(0, pol.MaxTotal()-rec.EndsAt.Sub(rec.ActivatedAt))
}

// noticeAt is when a holder is told that the end is near; zero for grants so short that it would say nothing.
func (s *Service) noticeAt(now, end time.Time) time.Time {
	at := end.Add(-s.cfg.NoticeBefore)
	if at.Sub(now) < time.Minute {
		return time.Time{}
	}
	return at
}

// cancel makes the transition of a request that will not begin.
func (s *Service) cancel(rec *access.Record, by access.Actor, reason string) (Transition, error) {
	now := s.now().UTC()
	t, err := move(rec, access.Cancel, by, now, NoteCancelled)
	if err != nil {
		return t, err
	}
	t.close(by, now, reason)
	return t, nil
}

// finish makes the transition that starts the end of a grant: End where it is active, Undo where it is being
// activated and nobody can know yet whether the target has given it.
func (s *Service) finish(rec *access.Record, by access.Actor, reason string) (Transition, error) {
	now := s.now().UTC()
	arrow := access.End
	if rec.State == access.Activating {
		arrow = access.Undo
	}
	t, err := move(rec, arrow, by, now, NoteEnding)
	if err != nil {
		return t, err
	}
	due := now
	if by.Person == access.System && !rec.EndsAt.IsZero() && rec.EndsAt.Before(now) {
		due = rec.EndsAt
	}
	t.close(by, now, reason)
	t.ending(due, now, s.cfg.OverdueAfter)
	return t, nil
}

// mayEnd tells why a person may not end a record's access, or nil.
func (s *Service) mayEnd(ctx context.Context, id access.PersonID, rec *access.Record) *access.Refusal {
	who, err := s.person(ctx, id)
	if errors.Is(err, access.ErrUnavailable) && concerns(rec, id) { // giving one's own access back waits for no group
		return nil
	}
	if err != nil {
		return asRefusal(err)
	}
	if concerns(rec, id) || s.cfg.Administrator(who) || s.approvesAny(ctx, who, rec) {
		return nil
	}
	return &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_yours",
		Text: fmt.Sprintf("Only %s, an approver of %s or an administrator can end request %s.", rec.Person, rec.Role.ID, rec.ID)}
}

// approvesAny tells whether the person may approve any stage of the record: of a part, one of its bundle's, for that was
// asked for and approved.
func (s *Service) approvesAny(ctx context.Context, who access.Person, rec *access.Record) bool {
	if rec.Bundle != "" {
		bundle, err := s.cfg.Store.Get(ctx, rec.Bundle)
		if err != nil {
			s.log.Warn("a part's bundle could not be looked up", "request_id", rec.ID, "bundle", rec.Bundle, "err", err)
			return false
		}
		rec = bundle
	}
	mayApprove, refusal := s.approval(ctx, rec, s.now())
	if refusal != nil {
		return false
	}
	for i := range rec.Stages {
		if mayApprove(who, i) == nil {
			return true
		}
	}
	return false
}

// mayExtend tells why a person may not extend a record's grant, or nil.
func (s *Service) mayExtend(ctx context.Context, id access.PersonID, rec *access.Record, now time.Time) *access.Refusal {
	if !concerns(rec, id) {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_yours",
			Text: fmt.Sprintf("Only %s can extend request %s.", rec.Person, rec.ID)}
	}
	if _, err := s.person(ctx, id); err != nil { // whoever asked for another may be barred since
		return asRefusal(err)
	}
	if rec.Bundle != "" {
		return &access.Refusal{Kind: access.ErrConflict, Code: "part_of_bundle",
			Text: fmt.Sprintf("Request %s is a part of %s, and ends with it. Use `/elevate extend %s` for the whole.", rec.ID, rec.Bundle, rec.Bundle)}
	}
	if rec.State != access.Active {
		if rec.State.Terminal() {
			return over(rec)
		}
		return &access.Refusal{Kind: access.ErrConflict, Code: "not_active",
			Text: fmt.Sprintf("Request %s is %s; only active access can be extended.", rec.ID, rec.State)}
	}
	if !rec.EndsAt.After(now) {
		return tooLate(rec)
	}
	holder, err := s.person(ctx, rec.Person)
	if err != nil {
		return asRefusal(err)
	}
	_, pol, refusal := s.role(rec.Role.ID)
	if refusal != nil {
		return refusal
	}
	if err := pol.Eligible(holder, rec.Role, asked(&rec.Request, now)); err != nil {
		return asRefusal(err)
	}
	if s.room(rec) <= 0 {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "too_long", Field: "duration",
			Text: fmt.Sprintf("Request %s already has all the time that the policy allows for %s. Make a new request with `/elevate %s`.", rec.ID, rec.Role.ID, rec.Role.ID)}
	}
	return nil
}

// concerns tells whether the person asked for the request or is to hold its role.
func concerns(rec *access.Record, id access.PersonID) bool {
	return rec.Requester == id || rec.Person == id
}

// ending refuses to end what is being ended.
func ending(rec *access.Record) *access.Refusal {
	return &access.Refusal{Kind: access.ErrConflict, Code: "already_ending", Text: fmt.Sprintf("Request %s is being ended already.", rec.ID)}
}

// over refuses anything on a request that has come to its end.
func over(rec *access.Record) *access.Refusal {
	return &access.Refusal{Kind: access.ErrConflict, Code: "over",
		Text: fmt.Sprintf("Request %s is over: it is %s. Make a new one with `/elevate %s`.", rec.ID, rec.State, rec.Role.ID)}
}
