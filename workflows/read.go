package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"elevate/workflows/access"
)

// oversees tells whether the person may see everything.
func (s *Service) oversees(p access.Person) bool {
	return s.cfg.Administrator(p) || s.cfg.Auditor(p)
}

// Administrators lists the people who are administrators now, by id, for them to be told something. While the directory
// cannot be asked, they are those who were it last, and those who are it by what is known without asking: what keeps the
// directory from answering may be what an alarm is about.
func (s *Service) Administrators(ctx context.Context) ([]access.Person, error) {
	people, err := s.everybody(ctx)
	if err == nil {
		return s.administrators(people), nil
	}
	var left []access.Person
	if last := s.administered.Load(); last != nil {
		left = slices.Clone(*last)
	}
	known, knownErr := allKnown(ctx, s.cfg.Directory)
	if knownErr == nil {
		for _, p := range s.administrators(known) {
			if !slices.ContainsFunc(left, func(q access.Person) bool { return q.ID == p.ID }) {
				left = append(left, p)
			}
		}
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("list administrators: %w", err)
	}
	s.log.WarnContext(ctx, "the directory could not be asked who the administrators are; those who were it last are told", "err", err)
	return left, nil
}

// everybody asks the directory who there is, and remembers who of them is an administrator.
func (s *Service) everybody(ctx context.Context) ([]access.Person, error) {
	people, err := s.cfg.Directory.People(ctx)
	if err == nil {
		last := s.administrators(people)
		s.administered.Store(&last)
	}
	return people, err
}

// administrators are those among people, by id.
func (s *Service) administrators(people []access.Person) []access.Person {
	people = slices.DeleteFunc(slices.Clone(people), func(p access.Person) bool { return !s.cfg.Administrator(p) })
	slices.SortFunc(people, func(a, b access.Person) int { return cmp.Compare(a.ID, b.ID) })
	return people
}

// Request loads a request that the person may see: their own, one they may decide or end, or any for administrators
// and auditors. Others are told that there is none.
func (s *Service) Request(ctx context.Context, viewer access.PersonID, id access.RequestID) (*access.Record, error) {
	missing := &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request",
		Text: fmt.Sprintf("There is no request %s that you may see. Use `/elevate mine` to see yours.", id)}
	rec, err := s.cfg.Store.Get(ctx, id)
	if errors.Is(err, access.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, fmt.Errorf("load request %s: %w", id, err)
	}
	p, err := s.person(ctx, viewer)
	if err != nil {
		return nil, err
	}
	if concerns(rec, viewer) || rec.Decided(viewer) || s.oversees(p) || s.approvesAny(ctx, p, rec) {
		return rec, nil
	}
	return nil, missing
}

// Requests lists the requests that the person may see. Administrators and auditors see everybody's; others see their
// own and nothing else, whatever q.Person says.
func (s *Service) Requests(ctx context.Context, viewer access.PersonID, q Query) ([]*access.Record, string, error) {
	p, err := s.person(ctx, viewer)
	if err != nil {
		return nil, "", err
	}
	if !s.oversees(p) {
		if q.Person != "" && q.Person != viewer {
			return nil, "", &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_yours", Field: "person",
				Text: "You may list your own requests only. Ask an administrator or an auditor for others'."}
		}
		q.Person = viewer
	}
	records, next, err := s.cfg.Store.List(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list requests: %w", err)
	}
	return records, next, nil
}

// Audits tells whether the person may read the audit log.
func (s *Service) Audits(ctx context.Context, viewer access.PersonID) error {
	p, err := s.person(ctx, viewer)
	if err != nil {
		return err
	}
	if !s.oversees(p) {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_auditor",
			Text: "Only auditors and administrators may read the audit log."}
	}
	return nil
}

// Waiting lists the pending requests that the person may decide now, oldest first.
func (s *Service) Waiting(ctx context.Context, person access.PersonID) ([]*access.Record, error) {
	var waiting []*access.Record
	err := s.each(ctx, Query{Open: true, States: []access.State{access.Pending}}, func(rec *access.Record) {
		if !rec.Auto && s.mayDecide(ctx, person, rec, s.now()) == nil {
			waiting = append([]*access.Record{rec}, waiting...)
		}
	})
	return waiting, err
}

// Allowed tells what the person may do to a record now.
func (s *Service) Allowed(ctx context.Context, person access.PersonID, rec *access.Record) May {
	var may May
	now := s.now()
	if rec.State == access.Pending && !rec.Auto {
		may.Why = s.mayDecide(ctx, person, rec, now)
		may.Decide = may.Why == nil
	}
	switch rec.State {
	case access.Pending, access.Approved, access.Scheduled:
		may.Cancel = concerns(rec, person)
	case access.Activating, access.Active:
		may.End = !rec.Ending(now) && s.mayEnd(ctx, person, rec) == nil
		may.Extend = s.mayExtend(ctx, person, rec, now) == nil
		may.Room = s.room(rec)
	}
	return may
}
