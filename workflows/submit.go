package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/policy"
)

// Ask is what somebody fills in to request a role.
type Ask struct {
	Role          access.RoleID
	Duration      time.Duration // zero: the policy's default
	Justification string
	Ticket        string
	Start         time.Time       // zero: as soon as approved
	For           access.PersonID // empty: for oneself
	// Proof is of the requester's second factor, where the policy asks for one: a code.
	Proof access.Secret
}

// farthestStart bounds how far ahead a request may be scheduled: eligibility and policy do not keep for longer.
const farthestStart = 30 * 24 * time.Hour

// role finds a role and the policy that governs it.
func (s *Service) role(id access.RoleID) (access.Role, *policy.Policy, *access.Refusal) {
	role, known := s.catalogue.byID[id]
	pol := s.cfg.Policies.For(id)
	if !known || pol == nil {
		return role, nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_role", Field: "role", Text: noSuchRole(string(id))}
	}
	return role, pol, nil
}

// noSuchRole says that a role does not exist, and of a name that looks like one what is strange about it.
func noSuchRole(id string) string {
	if at := strings.IndexFunc(id, func(r rune) bool { return r > unicode.MaxASCII }); at >= 0 {
		strange, _ := utf8.DecodeRuneInString(id[at:])
		return fmt.Sprintf("There is no such role: names of roles have the letters a to z alone, and what you wrote has %+q (%U). Type it anew, or use `/elevate roles` to find it.", strange, strange)
	}
	return fmt.Sprintf("There is no role %q. Use `/elevate roles` to find its name.", id[:min(len(id), 80)])
}

// sample is the ask that eligibility is shown for before anything was filled in.
func (s *Service) sample(d time.Duration) policy.Ask {
	return policy.Ask{Duration: d, Start: s.now()}
}

// asked is a stored request as expressions see it.
func asked(r *access.Request, now time.Time) policy.Ask {
	start := r.Start
	if start.IsZero() {
		start = now
	}
	return policy.Ask{Duration: r.Duration, Justification: r.Justification, Ticket: r.Ticket, Start: start}
}

// Submit asks for a role. A request that is not eligible, or says too little, is refused with everything that is wrong
// with it at once (access.Problems, or one *access.Refusal), and nothing is stored but the refusal.
func (s *Service) Submit(ctx context.Context, by access.Actor, ask Ask) (*access.Record, error) {
	if err := s.admit(ctx, by, ask); err != nil {
		return nil, err
	}
	rec, err := s.draft(ctx, by, ask)
	if err != nil {
		return nil, s.refuse(ctx, by, rec, "submit", err)
	}
	for _, check := range []func(context.Context, *access.Record) error{s.pending, s.cooled} {
		if err := check(ctx, rec); err != nil {
			return nil, s.refuse(ctx, by, rec, "submit", err)
		}
	}
	proof, act := s.proofBy(by, ask.Proof), access.Act{Verb: string(access.Submit), Subject: rec.Substance()}
	for range attempts {
		rec.ID = s.cfg.Store.NewID(rec.SubmittedAt, rec.Right())
		err := s.reserve(ctx, rec)
		if err == nil { // whatever can refuse without a code has had its say before one is spent
			if rec.Method, err = proof.of(ctx, rec.StepUp.Request, act, rec); err != nil {
				s.vacate(ctx, rec)
			}
		}
		if err != nil {
			rec.ID = "" // it never was one
			return nil, s.refuse(ctx, by, rec, "submit", err)
		}
		err = s.take(ctx, submission(rec))
		if errors.Is(err, ErrTaken) {
			s.vacate(ctx, rec)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("store the request: %w", err)
		}
		return rec, nil
	}
	return nil, fmt.Errorf("store the request: %w", ErrTaken)
}

// asking is what is known of a request before it is looked at. What was typed for a role and a person is cleaned, as it
// goes on record.
func asking(by access.Actor, ask Ask, now time.Time) *access.Record {
	const longestName = 127
	name := func(s string) string {
		r := []rune(policy.CleanText(s))
		return string(r[:min(len(r), longestName)])
	}
	if ask.For == "" {
		ask.For = by.Person
	}
	return &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, Request: access.Request{
		Requester: by.Person, Person: access.PersonID(name(string(ask.For))), Role: access.Role{ID: access.RoleID(name(string(ask.Role)))},
		SubmittedAt: now, By: by,
	}}
}

// draft checks an ask against directory, catalogue and policy and makes the record of it. On a refusal the record
// holds what is known, for the audit log.
func (s *Service) draft(ctx context.Context, by access.Actor, ask Ask) (*access.Record, error) {
	now := s.now().UTC()
	rec := asking(by, ask, now)
	if ask.For == "" {
		ask.For = by.Person
	}
	role, pol, refusal := s.role(ask.Role)
	if refusal != nil {
		return rec, refusal
	}
	rec.Role = role
	requester, err := s.person(ctx, by.Person)
	if err != nil {
		return rec, err
	}
	beneficiary := requester
	if ask.For != by.Person {
		if beneficiary, err = s.person(ctx, ask.For); err != nil {
			return rec, inField(err, "for")
		}
	}
	rec.Account, rec.Email = beneficiary.Account(role.Connector), beneficiary.Email
	if rec.Parts, err = s.members(role, beneficiary, now); err != nil {
		return rec, err
	}
	if ask.Duration == 0 {
		ask.Duration = pol.Default()
	}
	rec.Duration, rec.Ticket = ask.Duration, policy.CleanText(ask.Ticket)
	rec.Justification, rec.Policy, rec.StepUp = policy.CleanText(ask.Justification), pol.Name(), pol.StepUp()
	if !ask.Start.IsZero() {
		rec.Start = ask.Start.UTC()
	}
	if problems := s.problems(rec, pol, now); len(problems) > 0 {
		return rec, problems
	}
	for _, p := range []access.Person{requester, beneficiary} {
		if err := pol.Eligible(p, role, asked(&rec.Request, now)); err != nil {
			return rec, err
		}
	}
	return rec, s.route(ctx, rec, pol, beneficiary, now)
}

// problems collects what is wrong with the words of a request.
func (s *Service) problems(rec *access.Record, pol *policy.Policy, now time.Time) access.Problems {
	problems := pol.Check(asked(&rec.Request, now))
	if least := s.capabilities(rec.Role).MinDuration; rec.Duration > 0 && rec.Duration < least {
		problems = append(problems, &access.Refusal{Kind: access.ErrInvalid, Code: "duration_too_short", Field: "duration",
			Text: fmt.Sprintf("The target of %s gives access for %s at least. Ask for that or longer.", rec.Role.ID, least)})
	}
	if !rec.Start.IsZero() && (rec.Start.Before(now.Add(-time.Minute)) || rec.Start.After(now.Add(farthestStart))) {
		problems = append(problems, &access.Refusal{Kind: access.ErrInvalid, Code: "bad_start", Field: "start",
			Text: "The start must lie between now and 30 days from now. Leave it out to start as soon as the request is approved."})
	}
	return problems
}

// route decides how the request will be settled: by the policy itself, or by its stages, each of which must have
// enough people who may decide.
func (s *Service) route(ctx context.Context, rec *access.Record, pol *policy.Policy, beneficiary access.Person, now time.Time) error {
	rec.Stages = pol.Stages()
	if pol.AutoApproves(beneficiary, rec.Role, asked(&rec.Request, now)) {
		rec.Auto, rec.DecideBy = true, now.Add(time.Hour)
		return nil
	}
	if len(rec.Stages) == 0 {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "no_approval_path", Field: "role",
			Text: fmt.Sprintf("The policy %q approves this request neither by itself nor by anybody. Ask an administrator.", pol.Name())}
	}
	for i, stage := range rec.Stages {
		able, unmanaged, err := s.approvers(ctx, rec, i)
		if err != nil {
			return err
		}
		if len(able) < stage.Count && unmanaged != nil {
			return &access.Refusal{Kind: access.ErrNotAllowed, Code: unmanaged.Code, Field: "role", Text: "Nobody could approve this. " + unmanaged.Text}
		}
		if len(able) < stage.Count {
			return &access.Refusal{Kind: access.ErrNotAllowed, Code: "too_few_approvers", Field: "role",
				Text: fmt.Sprintf("Nobody could approve this: it needs %d approval(s) at stage %d, and %d other people may give one. Ask an administrator to look at the policy %q.",
					stage.Count, i+1, len(able), pol.Name())}
		}
	}
	deadlines(rec, pol, now)
	return nil
}

// deadlines sets when the stage being decided lapses and when its approvers are reminded.
func deadlines(rec *access.Record, pol *policy.Policy, now time.Time) {
	within := rec.Stages[rec.Stage].Within
	rec.DecideBy, rec.RemindAt = now.Add(within), time.Time{}
	if remind := pol.RemindAfter(rec.Stage); remind > 0 && remind < within {
		rec.RemindAt = now.Add(remind)
	}
}

// pending refuses a second request for the same role while the first one is undecided, so that a form sent twice, or
// an impatient person, does not page the approvers twice.
func (s *Service) pending(ctx context.Context, rec *access.Record) error {
	open, _, err := s.cfg.Store.List(ctx, Query{Open: true, States: []access.State{access.Pending}, Person: rec.Person, Role: rec.Role.ID, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for a pending request: %w", err)
	}
	if len(open) == 0 {
		return nil
	}
	return &access.Refusal{Kind: access.ErrConflict, Code: "already_pending", Field: "role",
		Text: fmt.Sprintf("Request %s for %s is waiting for a decision already. See it with `/elevate show %s`, or take it back with `/elevate cancel %s`.",
			open[0].ID, rec.Role.ID, open[0].ID, open[0].ID)}
}

// submission is the transition that stores a new record.
func submission(rec *access.Record) Transition {
	d := map[string]string{"policy": rec.Policy, "duration": rec.Duration.String()}
	if rec.Ticket != "" {
		d["ticket"] = rec.Ticket
	}
	if rec.Requester != rec.Person {
		d["requester"] = string(rec.Requester)
	}
	if !rec.Start.IsZero() {
		d["start"] = stamp(rec.Start)
	}
	if rec.Method != access.NoFactor {
		d["method"] = string(rec.Method)
	}
	return Transition{
		Arrow:  access.Submit,
		From:   access.None,
		Record: rec,
		Event: audit.Event{At: rec.SubmittedAt, Kind: string(access.Submit), Request: rec.ID, Version: 1, To: access.Pending,
			Actor: rec.By, Person: rec.Person, Role: rec.Role.ID, Connector: rec.Role.Connector, Reason: rec.Justification, Detail: d},
		Notes: []Note{{Kind: NoteSubmitted, At: rec.SubmittedAt, Actor: rec.By, Version: 1}},
	}
}

// inField says which input a refusal speaks of.
func inField(err error, field string) error {
	var r *access.Refusal
	if errors.As(err, &r) {
		r.Field = field
	}
	return err
}
