package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
)

// Limits bound what people can put before others. What is zero is not bounded. Decisions and endings are never limited.
type Limits struct {
	// Person is how many requests one person may send off within Window, those that are refused among them.
	Person int
	// Workspace is how many requests may come by one way in (Slack's workspace, Teams' tenant, the API) within Window.
	Workspace int
	Window    time.Duration // zero: one minute
	// Pending is how many requests of one person may wait for a decision at the same time.
	Pending int
	// CoolDown is how long after a denial nobody may ask for the same right for the same person again. It doubles with each
	// further denial within longestCoolDown, and is no longer than that.
	CoolDown time.Duration
}

const (
	longestCoolDown = 24 * time.Hour
	// deniedWithin is how old the request of a denial that counts may be: approvals are awaited for days at most.
	deniedWithin = 7 * 24 * time.Hour
	// placesKept is how long the places of somebody who asks for nothing more are kept.
	placesKept = 30 * 24 * time.Hour
	// placeWithout is how long a place may be had without a record: from before it is stored until it is.
	placeWithout = time.Minute
)

// admit counts a request that is sent off. Of the refusals of a flood the first is put on record and the others are
// counted, so that it fills neither the store nor the audit log.
func (s *Service) admit(ctx context.Context, by access.Actor, ask Ask) error {
	for _, l := range []struct {
		name, key string
		most      int
		says      string
	}{
		{"person", "person:" + string(by.Person), s.cfg.Limits.Person, "You have sent off %d requests within %s, which is as many as may be. Try again %s."},
		{"workspace", "via:" + by.Via, s.cfg.Limits.Workspace, "%d requests have come from here within %s, from all people together, which is as many as may be. Try again %s."},
	} {
		if l.most <= 0 {
			continue
		}
		wait, first, err := s.cfg.Store.Admit(ctx, "requests:"+l.key, l.most, s.cfg.Limits.Window)
		if err != nil {
			return uncounted(fmt.Errorf("count the request: %w", err))
		}
		if wait <= 0 {
			continue
		}
		s.cfg.Metrics.CountLimited(l.name, by.Via)
		refusal := limited("too_many_requests", wait, l.says, l.most, s.cfg.Limits.Window, s.in(wait))
		if first {
			return s.refuse(ctx, by, asking(by, ask, s.now().UTC()), "submit", refusal)
		}
		return refusal
	}
	return nil
}

// cooled refuses to ask again for a right so soon after it was denied.
func (s *Service) cooled(ctx context.Context, rec *access.Record) error {
	if s.cfg.Limits.CoolDown <= 0 {
		return nil
	}
	now := rec.SubmittedAt
	denied, _, err := s.cfg.Store.List(ctx, Query{States: []access.State{access.Denied}, Person: rec.Person, Since: now.Add(-deniedWithin), Limit: 100})
	if err != nil {
		return uncounted(fmt.Errorf("look for denials: %w", err))
	}
	right := rec.Right()
	denied = slices.DeleteFunc(denied, func(r *access.Record) bool {
		return r.Right() != right || now.Sub(r.ClosedAt) >= longestCoolDown
	})
	if len(denied) == 0 {
		return nil
	}
	last := slices.MaxFunc(denied, func(a, b *access.Record) int { return a.ClosedAt.Compare(b.ClosedAt) })
	wait := last.ClosedAt.Add(coolDown(s.cfg.Limits.CoolDown, len(denied))).Sub(now)
	if wait <= 0 {
		return nil
	}
	s.cfg.Metrics.CountLimited("cool_down", rec.By.Via)
	who := "somebody"
	if last.Closed != nil {
		who = string(last.Closed.Person)
	}
	refusal := limited("denied_before", wait, "Request %s for this was denied by %s at %s UTC. Try again %s, or talk to them before.",
		last.ID, who, last.ClosedAt.UTC().Format("15:04"), s.in(wait))
	refusal.Field = "role"
	return refusal
}

// uncounted refuses where the store does not say how much somebody has asked for.
func uncounted(err error) *access.Refusal {
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "store_unavailable", Err: err,
		Text: "Elevate cannot reach its store just now, so nothing was done. Try again in a minute."}
}

// coolDown is how long to wait after the n-th denial.
func coolDown(first time.Duration, n int) time.Duration {
	d := first
	for range n - 1 {
		if d >= longestCoolDown {
			break
		}
		d *= 2
	}
	return min(d, longestCoolDown)
}

// reserve takes one of the requester's places for undecided requests. Places are not given back when a request is decided:
// who has one in vain is found out when somebody needs it.
func (s *Service) reserve(ctx context.Context, rec *access.Record) error {
	if s.cfg.Limits.Pending <= 0 || rec.Auto {
		return nil
	}
	for tries := 0; ; tries++ {
		held, err := s.cfg.Store.Reserve(ctx, placesOf(rec.Requester), string(rec.ID), s.cfg.Limits.Pending, placesKept)
		if err != nil {
			return uncounted(fmt.Errorf("look for requests that wait: %w", err))
		}
		if held == nil {
			return nil
		}
		waiting, free, err := s.waiting(ctx, held)
		if err != nil {
			return err
		}
		if len(free) == 0 || tries == 2 {
			return s.tooManyPending(rec, waiting)
		}
		if err := s.cfg.Store.Vacate(ctx, placesOf(rec.Requester), free...); err != nil {
			return fmt.Errorf("give places back: %w", err)
		}
	}
}

// vacate gives the place of a request back that was not stored.
func (s *Service) vacate(ctx context.Context, rec *access.Record) {
	if s.cfg.Limits.Pending <= 0 || rec.Auto {
		return
	}
	if err := s.cfg.Store.Vacate(ctx, placesOf(rec.Requester), string(rec.ID)); err != nil {
		s.log.Warn("a place could not be given back; it is when somebody needs it", "request_id", rec.ID, "err", err)
	}
}

func placesOf(p access.PersonID) string { return "pending:" + string(p) }

// waiting parts those who have places into requests that wait for a decision, and what is none.
func (s *Service) waiting(ctx context.Context, held map[string]time.Time) (waiting []*access.Record, free []string, err error) {
	for id, since := range held {
		r, err := s.cfg.Store.Get(ctx, access.RequestID(id))
		switch {
		case errors.Is(err, access.ErrNotFound):
			if s.now().Sub(since) > placeWithout {
				free = append(free, id)
			}
		case err != nil:
			return nil, nil, fmt.Errorf("load request %s: %w", id, err)
		case r.State != access.Pending:
			free = append(free, id)
		default:
			waiting = append(waiting, r)
		}
	}
	slices.SortFunc(waiting, func(a, b *access.Record) int { return a.DecideBy.Compare(b.DecideBy) })
	return waiting, free, nil
}

func (s *Service) tooManyPending(rec *access.Record, waiting []*access.Record) *access.Refusal {
	s.cfg.Metrics.CountLimited("pending", rec.By.Via)
	if len(waiting) == 0 { // all of them are just being stored
		return limited("too_many_pending", time.Second, "You have sent off %d requests at once, which is as many as may wait. Try again %s.", s.cfg.Limits.Pending, s.in(time.Second))
	}
	ids := make([]string, len(waiting))
	for i, r := range waiting {
		ids[i] = string(r.ID)
	}
	wait := max(time.Second, waiting[0].DecideBy.Sub(s.now()))
	return limited("too_many_pending", wait, "%d requests of yours may wait for a decision at the same time, and so many do: %s. Try again when one is decided, or %s, or take one back with `/elevate cancel %s`.",
		s.cfg.Limits.Pending, strings.Join(ids, ", "), s.in(wait), waiting[0].ID)
}

func limited(code string, wait time.Duration, says string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: access.ErrLimited, Code: code, Wait: wait, Text: fmt.Sprintf(says, args...)}
}

// in says when a wait is over.
func (s *Service) in(wait time.Duration) string {
	seconds := (wait + time.Second - 1) / time.Second
	switch {
	case seconds == 1:
		return "in a second"
	case seconds < 100:
		return fmt.Sprintf("in %d seconds", seconds)
	}
	at := s.now().UTC().Add(wait)
	if wait > 20*time.Hour {
		return "from " + at.Format("2 Jan, 15:04") + " UTC on"
	}
	// Rounded up, so that whoever comes at the minute said is not too early.
	return "from " + at.Add(time.Minute-1).Truncate(time.Minute).Format("15:04") + " UTC on"
}
