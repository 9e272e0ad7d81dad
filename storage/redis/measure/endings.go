package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"elevate/connectors"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

const approveRule = `"leads" in person.groups`

// service puts the product together on a store.
func service(store workflows.Store, t connectors.Connector, m workflows.Metrics) (*workflows.Service, error) {
	roles := []access.Role{role()}
	rules, problems := policy.Compile([]policy.Rule{{
		Name: policyName, Match: `role.labels.env == "prod"`, Eligible: `"engineers" in person.groups`,
		Duration:      policy.Duration{Default: time.Hour, Max: longest},
		Justification: policy.Justification{MinLength: 10, Ticket: `^(INC|CHG)-[0-9]+$`},
		Approve:       []policy.Approval{{By: approveRule}},
	}}, roles)
	if len(problems) > 0 {
		return nil, fmt.Errorf("policy: %s", problems[0].Text)
	}
	return workflows.New(workflows.Config{Store: store, Directory: company{}, Policies: rules, Roles: roles,
		Connectors: map[string]connectors.Connector{connector: t}, OverdueAfter: overdueAfter, Metrics: m})
}

// runner is the product at work on a place's endings.
type runner struct {
	store   *redis.Store
	target  *target
	endings *endings
	run     *workflows.Runner
}

// newRunner makes a runner that n endings are expected of. The caller closes its store.
func (p *place) newRunner(ctx context.Context, n int) (*runner, error) {
	store, err := p.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	r := &runner{store: store, target: newTarget(n), endings: newEndings(n)}
	s, err := service(store, r.target, r.endings)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	r.run = workflows.NewRunner(s, workflows.RunnerConfig{PerConnector: p.cfg.Workers})
	return r, nil
}

// stall is how long a runner may go without writing down an ending that is due.
const stall = 30 * time.Second

// work runs until as many endings as expected are written down, and gives how long that took.
func (r *runner) work(ctx context.Context, within time.Duration) (time.Duration, error) {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- r.run.Run(running) }()
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	var err error
	select {
	case <-r.endings.all:
	case <-timeout.C:
		err = fmt.Errorf("of %d endings, %d were written down within %s", r.endings.want, len(r.endings.confirmed()), within)
	case <-ctx.Done():
		err = ctx.Err()
	}
	took := time.Since(began)
	stop()
	return took, errors.Join(err, <-ended)
}

// Drain is a crowd of endings that were due at once.
type Drain struct {
	Grants    int           `json:"grants"`
	Took      time.Duration `json:"took_ns"`
	PerSecond float64       `json:"per_second"`
	Calls     int           `json:"calls"` // of the target
	Early     int           `json:"early"`
	Stored    Stored        `json:"stored"`
	// Bytes is by how much each grant grew the server's memory while it was active, with its record, timers and
	// indexes, and without what waits for the audit log's files and the chats.
	Bytes float64 `json:"bytes_per_grant"`
}

// Drain makes n grants that end at the same time, and measures how quickly a runner that starts then ends them all.
func (b *Bench) Drain(ctx context.Context, n int) (d Drain, err error) {
	p := b.newPlace()
	defer func() { err = errors.Join(err, p.clear(ctx)) }()
	return p.drain(ctx, 0, n)
}

// drain does the work of Drain beside what is in the place already, with people from number first on.
func (p *place) drain(ctx context.Context, first, n int) (d Drain, err error) {
	before, err := p.usedMemory(ctx)
	if err != nil {
		return d, err
	}
	var due time.Time
	d.Stored, err = p.setUp(ctx, first, n, func(ready time.Time) func(int) time.Time {
		due = ready
		return func(int) time.Time { return due }
	})
	if err != nil {
		return d, err
	}
	after, err := p.usedMemory(ctx)
	if err != nil {
		return d, err
	}
	d.Grants, d.Bytes = n, float64(after-before)/float64(n)
	r, err := p.newRunner(ctx, n)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()
	if err := until(ctx, due); err != nil {
		return d, err
	}
	over := p.cfg.Stretch("drain")
	d.Took, err = r.work(ctx, stall+time.Duration(n)*time.Millisecond)
	over()
	lates, calls := r.target.seen()
	d.PerSecond, d.Calls, d.Early = perSecond(n, d.Took), calls, SpreadOf(lates).Early
	return d, err
}

// setUp makes n active grants of people from number first on, and forgets their events.
func (p *place) setUp(ctx context.Context, first, n int, ends func(ready time.Time) func(int) time.Time) (s Stored, err error) {
	store, err := p.open(ctx, func() time.Time { return time.Now().Add(-behind) })
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if s, err = p.newGrants(store, first, n).activate(ctx, ends); err != nil {
		return s, err
	}
	return s, p.forgetEvents(ctx)
}

// until waits for a time.
func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lateness is how late endings come that are due one after the other.
type Lateness struct {
	Over time.Duration `json:"over_ns"` // the time that they are spread over
	// Called is by how much the target was called after the end.
	Called Spread `json:"called"`
	// Confirmed is by how much the target's answer came after the end. What came early counts as zero here.
	Confirmed Spread `json:"confirmed"`
	Calls     int    `json:"calls"`
}

// Lateness makes n grants whose ends are spread over a time, and measures how late a runner ends them.
func (b *Bench) Lateness(ctx context.Context, n int, over time.Duration) (l Lateness, err error) {
	p := b.newPlace()
	defer func() { err = errors.Join(err, p.clear(ctx)) }()
	turns := rand.Perm(n) //nolint:gosec // no secret: who is stored first must not end first
	var last time.Time
	_, err = p.setUp(ctx, 0, n, func(ready time.Time) func(int) time.Time {
		begin := ready.Add(2*time.Second + time.Duration(n)*20*time.Microsecond) // the events are forgotten first
		last = begin.Add(over)
		return func(i int) time.Time { return begin.Add(over * time.Duration(turns[i]) / time.Duration(n)) }
	})
	if err != nil {
		return l, err
	}
	r, err := p.newRunner(ctx, n)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, r.store.Close()) }()
	stretch := b.cfg.Stretch("lateness")
	_, err = r.work(ctx, time.Until(last)+stall)
	stretch()
	lates, calls := r.target.seen()
	return Lateness{Over: over, Called: SpreadOf(lates), Confirmed: SpreadOf(r.endings.confirmed()), Calls: calls}, err
}
