package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Clicks is how quickly people are served.
type Clicks struct {
	// Submits and Decisions are what was asked and approved per second, by people who all do it at once.
	Submits   float64 `json:"submits_per_second"`
	Decisions float64 `json:"clicks_per_second"`
	// Submit and Decide are how long one of them waited for it.
	Submit Spread `json:"submit"`
	Decide Spread `json:"click"`
}

// Clicks lets n people ask for a role and approvers approve it, through the verbs.
func (b *Bench) Clicks(ctx context.Context, n int) (c Clicks, err error) {
	p := b.newPlace()
	defer func() { err = errors.Join(err, p.clear(ctx)) }()
	store, err := p.open(ctx, nil)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := service(store, newTarget(0), newEndings(0))
	if err != nil {
		return c, err
	}
	ids := make([]access.RequestID, n)
	waited := make([]time.Duration, n)
	c.Submits, err = b.timed(ctx, "ask", n, func(ctx context.Context, i int) error {
		began := time.Now()
		r, err := s.Submit(ctx, actor(requester(i)), workflows.Ask{Role: roleID, Duration: time.Hour, Justification: justification(), Ticket: "INC-4711"})
		if err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		ids[i], waited[i] = r.ID, time.Since(began)
		return nil
	})
	if err != nil {
		return c, err
	}
	c.Submit = SpreadOf(waited)
	c.Decisions, err = b.timed(ctx, "click", n, func(ctx context.Context, i int) error {
		began := time.Now()
		_, err := s.Decide(ctx, actor(approver(i)), ids[i], workflows.Decision{Verdict: access.Approve})
		waited[i] = time.Since(began)
		return err
	})
	c.Decide = SpreadOf(waited)
	return c, err
}

func actor(id access.PersonID) access.Actor {
	return access.Actor{Person: id, Via: Chat, Account: string(id)}
}
