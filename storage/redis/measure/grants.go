package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

const (
	connector    = "bench"
	roleID       = access.RoleID("orders-db-admin")
	policyName   = "bench"
	longest      = 24 * time.Hour
	overdueAfter = time.Minute
	// behind is how far the clock of a store that only sets up is behind, so that an end may be near, or past, when the
	// last grant of a large number is stored.
	behind = time.Hour
	// putOff is by how much the timers of starting and activating are put off, so that a runner at work leaves both to us.
	putOff = time.Hour
)

func role() access.Role {
	return access.Role{ID: roleID, Title: "Administrator of the order database", Connector: connector,
		Target: map[string]any{"role": "orders_admin"}, Labels: map[string]string{"env": "prod", "risk": "high"}}
}

func justification() string {
	return "INC-4711 fix the replication of the order database before the morning shift"
}

func stages() []access.Stage {
	return []access.Stage{{By: approveRule, Count: 1, Within: 8 * time.Hour}}
}

// draft is the request of one of many people.
func draft(store *redis.Store, i int, now time.Time) *access.Record {
	who := requester(i)
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(8 * time.Hour),
		Request: access.Request{
			Requester: who, Person: who, Account: string(who), Email: string(who) + "@example.com", Role: role(), Duration: longest,
			Justification: justification(), Ticket: "INC-4711", SubmittedAt: now, Policy: policyName, Stages: stages(),
			By: access.Actor{Person: who, Via: Chat, Account: string(who)},
		}}
	r.ID = store.NewID(now, r.Right())
	return r
}

// onward makes the transition of an arrow on the way to a running grant, as workflows makes it. Notes are left out: by
// the time that a grant ends they were told long ago.
func onward(rec *access.Record, a access.Arrow, change func(*access.Record)) (workflows.Transition, error) {
	to, err := access.Next(rec.State, a)
	if err != nil {
		return workflows.Transition{}, err
	}
	next := *rec
	next.Decisions = slices.Clone(rec.Decisions)
	next.State = to
	next.Version++
	change(&next)
	return transition(a, rec.State, &next), nil
}

func transition(a access.Arrow, from access.State, r *access.Record) workflows.Transition {
	at := time.Now().UTC()
	return workflows.Transition{Arrow: a, From: from, Record: r, Event: audit.Event{
		At: at, Kind: string(a), Request: r.ID, Version: r.Version, From: from, To: r.State, Actor: access.BySystem(),
		Person: r.Person, Role: r.Role.ID, Connector: r.Role.Connector, Record: r,
	}}
}

func approved(i int) func(*access.Record) {
	return func(r *access.Record) {
		now := time.Now().UTC()
		by := access.Actor{Person: approver(i), Via: Chat, Account: string(approver(i))}
		r.Decisions = append(r.Decisions, access.Decision{Verdict: access.Approve, By: by, At: now, Method: "session"})
		r.ApprovedAt, r.StartBy = now.Add(putOff), now.Add(putOff+30*time.Minute)
	}
}

func armed(end time.Time) func(*access.Record) {
	return func(r *access.Record) {
		r.NextTry, r.EndsAt, r.OverdueAt = time.Now().Add(putOff).UTC(), end.UTC(), end.Add(overdueAfter).UTC()
	}
}

func confirmed(r *access.Record) {
	r.Receipt, r.ActivatedAt, r.NextTry = &access.Receipt{Ref: "bench"}, time.Now().UTC(), time.Time{}
}

// grants are records on their way to a common end.
type grants struct {
	place   *place
	store   *redis.Store
	first   int // number of the first person
	records []*access.Record
}

// newGrants begins n grants of people from number first on. The store is one to set up with: see behind.
func (p *place) newGrants(store *redis.Store, first, n int) *grants {
	return &grants{place: p, store: store, first: first, records: make([]*access.Record, n)}
}

// submit stores the requests, and gives the rate.
func (g *grants) submit(ctx context.Context) (float64, error) {
	now := time.Now().UTC()
	return g.place.timed(ctx, "submit", len(g.records), func(ctx context.Context, i int) error {
		for {
			r := draft(g.store, g.first+i, now)
			err := g.store.Take(ctx, transition(access.Submit, access.None, r))
			if errors.Is(err, workflows.ErrTaken) {
				continue
			}
			g.records[i] = r
			return err
		}
	})
}

// all takes an arrow for all grants, and gives the rate.
func (g *grants) all(ctx context.Context, a access.Arrow, change func(i int) func(*access.Record)) (float64, error) {
	return g.place.timed(ctx, string(a), len(g.records), func(ctx context.Context, i int) error {
		t, err := onward(g.records[i], a, change(i))
		if err != nil {
			return err
		}
		g.records[i] = t.Record
		return g.store.Take(ctx, t)
	})
}

// Stored is how quickly what grants consist of is stored, per second.
type Stored struct {
	Requests float64 `json:"requests_per_second"` // stored: submit
	Endings  float64 `json:"endings_per_second"`  // armed: arm, the arrow that stores an end before the target is called
}

// activate makes the grants active. Their ends are what ends gives, which is told by when the last of them will be
// stored, roughly.
func (g *grants) activate(ctx context.Context, ends func(ready time.Time) func(i int) time.Time) (Stored, error) {
	var s Stored
	var err error
	if s.Requests, err = g.submit(ctx); err != nil {
		return s, fmt.Errorf("store requests: %w", err)
	}
	approve, err := g.all(ctx, access.Accept, approved)
	if err != nil {
		return s, fmt.Errorf("approve requests: %w", err)
	}
	toGo := 2 * float64(len(g.records)) / min(s.Requests, approve) // arm and confirm
	end := ends(time.Now().Add(time.Duration(1.25 * toGo * float64(time.Second))))
	if s.Endings, err = g.all(ctx, access.Arm, func(i int) func(*access.Record) { return armed(end(i)) }); err != nil {
		return s, fmt.Errorf("arm endings: %w", err)
	}
	if _, err = g.all(ctx, access.Confirm, func(int) func(*access.Record) { return confirmed }); err != nil {
		return s, fmt.Errorf("confirm activations: %w", err)
	}
	return s, nil
}
