package workflows

import (
	"cmp"
	"context"
	"slices"
	"time"

	"elevate/workflows/access"
)

// Digest is the sum of a span of time, for a channel's daily message.
type Digest struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Outcomes counts the requests submitted in the span by the state that they are in now, Found left out.
	Outcomes map[access.State]int `json:"outcomes"`
	// Holding are the grants that are true now, the one that ends first in front.
	Holding []DigestGrant `json:"holding"`
	// Late ended in the span more than a minute after they were due; Overdue are due and have not ended yet.
	Late    []DigestGrant `json:"late"`
	Overdue []DigestGrant `json:"overdue"`
	// Approvers decided in the span, the busiest first.
	Approvers []DigestApprover `json:"approvers"`
	// Found was given by Elevate, had no live grant that explained it, and was, or is being, taken away.
	Found []DigestGrant `json:"found,omitempty"`
	// Standing are the roles that somebody holds, or held in the span, by nothing that Elevate gave, by role.
	Standing []DigestStanding `json:"standing,omitempty"`
}

// DigestStanding is a line about standing access to a role, as the last sweep saw it.
type DigestStanding struct {
	Role    access.RoleID `json:"role"`
	At      time.Time     `json:"at"`
	Holders int           `json:"holders"`
	// New and Gone are the accounts that sweeps saw come and go in the span.
	New  []string `json:"new,omitempty"`
	Gone []string `json:"gone,omitempty"`
}

// DigestGrant is a line of a digest.
type DigestGrant struct {
	Request  access.RequestID `json:"request"`
	Person   access.PersonID  `json:"person"`
	Role     access.RoleID    `json:"role"`
	EndsAt   time.Time        `json:"ends_at"`
	Lateness time.Duration    `json:"lateness,omitempty"`
}

// DigestApprover is a line about an approver.
type DigestApprover struct {
	Person    access.PersonID `json:"person"`
	Decisions int             `json:"decisions"`
	// Median is the time from the request to the person's decision.
	Median time.Duration `json:"median"`
}

// lateAfter is from when on a digest names an ending as late.
const lateAfter = time.Minute

// digestReach is how far before the span a request may have been submitted and still end in it.
const digestReach = 90 * 24 * time.Hour

// Digest sums up what happened from one moment to another, and what is true now.
func (s *Service) Digest(ctx context.Context, from, to time.Time) (*Digest, error) {
	d := &Digest{From: from, To: to, Outcomes: map[access.State]int{}}
	took := map[access.PersonID][]time.Duration{}
	within := func(t time.Time) bool { return !t.Before(from) && t.Before(to) }
	err := s.each(ctx, Query{Since: from.Add(-digestReach)}, func(r *access.Record) {
		if r.Bundle != "" && !r.Overdue {
			return // its bundle stands for it
		}
		line := DigestGrant{Request: r.ID, Person: r.Person, Role: r.Role.ID, EndsAt: r.EndsAt, Lateness: r.Lateness()}
		switch {
		case !within(r.SubmittedAt):
		case r.Found():
			d.Found = append(d.Found, line)
		default:
			d.Outcomes[r.State]++
		}
		switch {
		case r.Overdue && r.State == access.Deactivating:
			line.Lateness = to.Sub(r.EndingAt)
			d.Overdue = append(d.Overdue, line)
		case !r.Found() && (r.State == access.Active || r.State == access.Deactivating):
			d.Holding = append(d.Holding, line)
		case r.State == access.Ended && within(r.EndedAt) && line.Lateness > lateAfter:
			d.Late = append(d.Late, line)
		}
		for _, dec := range r.Decisions {
			if within(dec.At) && dec.By.Person != access.System {
				took[dec.By.Person] = append(took[dec.By.Person], dec.At.Sub(r.SubmittedAt))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if d.Standing, err = s.standingLines(ctx, within); err != nil {
		return nil, err
	}
	for p, times := range took {
		slices.Sort(times)
		d.Approvers = append(d.Approvers, DigestApprover{Person: p, Decisions: len(times), Median: times[len(times)/2]})
	}
	slices.SortFunc(d.Approvers, func(a, b DigestApprover) int {
		return cmp.Or(cmp.Compare(b.Decisions, a.Decisions), cmp.Compare(a.Person, b.Person))
	})
	slices.SortFunc(d.Holding, func(a, b DigestGrant) int {
		return cmp.Or(a.EndsAt.Compare(b.EndsAt), cmp.Compare(a.Request, b.Request))
	})
	return d, nil
}
