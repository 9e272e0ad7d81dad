package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// longestReason bounds the reason of a denial or an early end, in characters.
const longestReason = 500

// Decide puts an approver's word on a pending request. The last approval needed settles it; so does one denial. The
// requester, the beneficiary and those whom the policy does not name are refused.
func (s *Service) Decide(ctx context.Context, by access.Actor, id access.RequestID, d Decision) (*access.Record, error) {
	if d.Method == "" {
		d.Method = "session"
	}
	d.Reason = policy.CleanText(d.Reason)
	proof := s.proofBy(by, d.Proof)
	rec, err := s.change(ctx, by, id, string(d.Verdict), func(rec *access.Record) (Transition, error) {
		if d.Verdict != access.Approve && d.Verdict != access.Deny {
			return Transition{}, fmt.Errorf("a decision must approve or deny, not %q", d.Verdict)
		}
		now := s.now().UTC()
		if refusal := s.mayDecide(ctx, by.Person, rec, now); refusal != nil {
			return Transition{}, refusal
		}
		if refusal := tooLong(d.Reason); refusal != nil {
			return Transition{}, refusal
		}
		said := access.Decision{Verdict: d.Verdict, By: by, At: now, Stage: rec.Stage, Reason: d.Reason, Method: d.Method}
		if d.Verdict == access.Approve {
			act := access.Act{Verb: string(access.Approve), Request: rec.ID, Subject: rec.Digest()}
			method, err := proof.of(ctx, s.stepUp(rec).Approve, act, rec)
			if err != nil {
				return Transition{}, err
			}
			if method != access.NoFactor {
				said.Method, said.Act = string(method), act.Digest()
			}
		}
		return s.decision(rec, said, now)
	})
	if err == nil {
		s.cfg.Metrics.CountDecision(string(d.Verdict), by.Via)
	}
	return rec, err
}

// tooLong refuses a reason that is longer than longestReason.
func tooLong(reason string) *access.Refusal {
	if len([]rune(reason)) <= longestReason {
		return nil
	}
	return &access.Refusal{Kind: access.ErrInvalid, Code: "reason_too_long", Field: "reason",
		Text: fmt.Sprintf("The reason is longer than %d characters. Shorten it.", longestReason)}
}

// decision makes the transition of a decision: a vote, the last approval, or a denial.
func (s *Service) decision(rec *access.Record, said access.Decision, now time.Time) (Transition, error) {
	if said.Verdict == access.Deny {
		t, err := move(rec, access.Refuse, said.By, now, NoteDenied)
		if err != nil {
			return t, err
		}
		t.Record.Decisions = append(t.Record.Decisions, said)
		t.close(said.By, now, said.Reason)
		t.detail(map[string]string{"method": said.Method, "stage": fmt.Sprint(said.Stage + 1)})
		return t, nil
	}
	complete := rec.Approvals()+1 >= rec.Stages[rec.Stage].Count
	if complete && rec.Stage == len(rec.Stages)-1 {
		return s.accept(rec, said, now)
	}
	t, err := move(rec, access.Vote, said.By, now, NoteVoted)
	if err != nil {
		return t, err
	}
	t.Record.Decisions = append(t.Record.Decisions, said)
	t.because(said.Reason)
	t.detail(map[string]string{"method": said.Method, "stage": fmt.Sprint(said.Stage + 1)})
	if complete {
		t.Record.Stage++
		deadlines(t.Record, s.cfg.Policies.For(rec.Role.ID), now)
	}
	return t, nil
}

// accept makes the transition of the last approval needed.
func (s *Service) accept(rec *access.Record, said access.Decision, now time.Time) (Transition, error) {
	t, err := move(rec, access.Accept, said.By, now, NoteApproved)
	if err != nil {
		return t, err
	}
	r := t.Record
	r.Decisions = append(r.Decisions, said)
	r.ApprovedAt, r.RemindAt = now, time.Time{}
	r.StartBy = later(now, rec.Start).Add(s.cfg.Policies.For(rec.Role.ID).StartWithin())
	t.because(said.Reason)
	t.detail(map[string]string{"method": said.Method, "stage": fmt.Sprint(said.Stage + 1), "policy_hash": s.cfg.Policies.Hash()})
	return t, nil
}

// mayDecide tells why a person may not decide a record now, or nil. Every check is made against what is true now: the
// stored state, the current policy, the directory's groups.
func (s *Service) mayDecide(ctx context.Context, id access.PersonID, rec *access.Record, now time.Time) *access.Refusal {
	if rec.State != access.Pending {
		return settled(rec)
	}
	if len(rec.Stages) == 0 {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "policy_decides",
			Text: fmt.Sprintf("Request %s is decided by the policy alone.", rec.ID)}
	}
	if !now.Before(rec.DecideBy) {
		return &access.Refusal{Kind: access.ErrConflict, Code: "lapsed",
			Text: fmt.Sprintf("Request %s was not decided in time and has lapsed. %s can ask again.", rec.ID, rec.Requester)}
	}
	approver, err := s.person(ctx, id)
	if err != nil {
		return asRefusal(err)
	}
	if rec.Decided(id) {
		return &access.Refusal{Kind: access.ErrConflict, Code: "already_decided",
			Text: fmt.Sprintf("You have decided request %s already. Another approver is needed now.", rec.ID)}
	}
	mayApprove, refusal := s.approval(ctx, rec, now)
	if refusal != nil {
		return refusal
	}
	return mayApprove(approver, rec.Stage)
}

// approval asks the directory once about those whom a record concerns, and gives the question that the current policy
// answers: whether a person may approve a stage of it.
func (s *Service) approval(ctx context.Context, rec *access.Record, now time.Time) (func(approver access.Person, stage int) *access.Refusal, *access.Refusal) {
	pol, refusal := s.governing(rec)
	if refusal != nil {
		return nil, refusal
	}
	requester, err := s.person(ctx, rec.Requester)
	if err != nil {
		return nil, asRefusal(err)
	}
	beneficiary := requester
	if rec.Person != rec.Requester {
		if beneficiary, err = s.person(ctx, rec.Person); err != nil {
			return nil, asRefusal(err)
		}
	}
	unmanaged := s.manage(ctx, pol, &requester, beneficiary)
	return func(approver access.Person, stage int) *access.Refusal {
		if unmanaged != nil && errors.Is(unmanaged, access.ErrUnavailable) && pol.TestsManager(stage) {
			return unmanaged
		}
		err := pol.MayApprove(stage, approver, requester, beneficiary, rec.Role, asked(&rec.Request, now))
		if err == nil {
			return nil
		}
		refusal := asRefusal(err)
		if refusal.Code == policy.CodeNoManager && unmanaged != nil {
			return unmanaged
		}
		return refusal
	}, nil
}

// manage fills in whom the requester reports to, where the policy has the manager decide. The refusal says why there is
// nobody; it is for whoever depends on that alone, since a rule may let others decide, too. A manager who would get the
// access cannot decide on it, and is none.
func (s *Service) manage(ctx context.Context, pol *policy.Policy, requester *access.Person, beneficiary access.Person) *access.Refusal {
	asks := false
	for i := range pol.Stages() {
		asks = asks || pol.AsksManager(i)
	}
	knows, ok := s.cfg.Directory.(Managers)
	if !asks || !ok {
		return nil
	}
	id, err := knows.Manager(ctx, requester.ID)
	if err == nil && id == beneficiary.ID {
		err = &access.Refusal{Kind: access.ErrNotAllowed, Code: policy.CodeNoManager,
			Text: fmt.Sprintf("The manager of %s is %s, who would get this access.", requester.DisplayName(), beneficiary.DisplayName())}
	}
	var refused *access.Refusal
	switch {
	case err == nil:
		requester.Manager = id
		return nil
	case errors.As(err, &refused):
		said := *refused
		said.Text = fmt.Sprintf("Policy “%s” has the manager decide. %s", pol.Name(), refused.Text)
		return &said
	}
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "directory_unavailable", Err: err,
		Text: fmt.Sprintf("The directory could not be asked who manages %s, so nothing was done. Try again in a minute.", requester.DisplayName())}
}

// governing is the policy that a record's decisions follow. A policy that asks for other approvals than those the
// requester and the approvers were shown refuses: neither the laxer nor a mixture of both may decide.
func (s *Service) governing(rec *access.Record) (*policy.Policy, *access.Refusal) {
	changed := &access.Refusal{Kind: access.ErrConflict, Code: "policy_changed",
		Text: fmt.Sprintf("The policy for %s has changed since request %s was made. %s must ask again; use `/elevate cancel %s` for this one.", rec.Role.ID, rec.ID, rec.Requester, rec.ID)}
	pol := s.cfg.Policies.For(rec.Role.ID)
	if pol == nil {
		return nil, changed
	}
	stages := pol.Stages()
	if len(stages) != len(rec.Stages) {
		return nil, changed
	}
	for i := range stages {
		if stages[i].By != rec.Stages[i].By || stages[i].Count != rec.Stages[i].Count {
			return nil, changed
		}
	}
	return pol, nil
}

// Approvers lists who may decide a record now, at the stage it stands at.
func (s *Service) Approvers(ctx context.Context, rec *access.Record) ([]access.Person, error) {
	if rec.State != access.Pending || rec.Auto {
		return nil, nil
	}
	able, _, err := s.approvers(ctx, rec, rec.Stage)
	if err != nil {
		return nil, err
	}
	left := able[:0]
	for _, p := range able {
		if !rec.Decided(p.ID) {
			left = append(left, p)
		}
	}
	return left, nil
}

// approvers lists who may approve a stage. Where the stage needs the requester's manager and there is none, unmanaged says
// why.
func (s *Service) approvers(ctx context.Context, rec *access.Record, stage int) (able []access.Person, unmanaged *access.Refusal, err error) {
	people, err := s.everybody(ctx)
	if err != nil {
		return nil, nil, &access.Refusal{Kind: access.ErrUnavailable, Code: "directory_unavailable", Err: err,
			Text: "The directory could not be asked who may approve this, so nothing was done. Try again in a minute."}
	}
	mayApprove, refusal := s.approval(ctx, rec, s.now())
	switch {
	case refusal == nil:
	case errors.Is(refusal, access.ErrNotAllowed): // whoever asked has left: nobody may approve it
		return nil, nil, nil
	default:
		return nil, nil, refusal
	}
	for _, p := range people {
		refusal := mayApprove(p, stage)
		switch {
		case refusal == nil:
			able = append(able, p)
		case !errors.Is(refusal, access.ErrNotAllowed):
			return nil, nil, refusal
		case refusal.Code == policy.CodeNoManager:
			unmanaged = refusal
		}
	}
	return able, unmanaged, nil
}

// settled says who settled a request that is no longer pending, and when.
func settled(rec *access.Record) *access.Refusal {
	text := fmt.Sprintf("Request %s is no longer pending: it is %s.", rec.ID, rec.State)
	switch n := len(rec.Decisions); {
	case rec.State == access.Cancelled && rec.Closed != nil:
		text = fmt.Sprintf("Request %s was cancelled by %s at %s UTC.", rec.ID, rec.Closed.Person, rec.ClosedAt.Format("15:04"))
	case rec.State == access.Lapsed:
		text = fmt.Sprintf("Request %s was not decided in time and has lapsed. %s can ask again.", rec.ID, rec.Requester)
	case n > 0:
		d := rec.Decisions[n-1]
		verb := map[access.Verdict]string{access.Approve: "approved", access.Deny: "denied"}[d.Verdict]
		text = fmt.Sprintf("Request %s was already %s by %s at %s UTC.", rec.ID, verb, d.By.Person, d.At.Format("15:04"))
	}
	return &access.Refusal{Kind: access.ErrConflict, Code: "already_settled", Text: text}
}

// asRefusal makes any error a refusal: what could not be checked is refused.
func asRefusal(err error) *access.Refusal {
	var r *access.Refusal
	if errors.As(err, &r) {
		return r
	}
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "check_failed", Err: err,
		Text: "A check could not be made, so nothing was done. Try again in a minute, or ask an administrator."}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
