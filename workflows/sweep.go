package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/workflows/access"
)

// The kinds of note that a sweep writes.
const (
	NoteFound   NoteKind = "found"   // access of ours that no live grant explains; it is being taken away
	NoteMissing NoteKind = "missing" // the target does not list what a live grant gave
)

// SweeperConfig says how targets are compared with the grants.
type SweeperConfig struct {
	// Every is how often each target is asked who holds its roles. Zero: five minutes.
	Every time.Duration
	// CallTimeout bounds one question to a target. Zero: 30 seconds.
	CallTimeout time.Duration
	// Lease is for how long a connector stays with a replica that died. Zero: 15 seconds.
	Lease time.Duration
	// Pause is the least wait between two questions to one connector. Zero: 100 milliseconds.
	Pause time.Duration
	// Grace is how long access of ours must have been without a live grant before it is taken away: another replica may
	// be about to give back to the store what it lost. Zero: ten seconds.
	Grace time.Duration
	// Settle is how long after a target told of a change it is looked at: changes seldom come alone. Zero: one second.
	Settle time.Duration
	// Apart is the least time between two looks at a target that were asked for by what it told. Zero: ten seconds.
	Apart time.Duration
	// MaxSleep bounds the sleep between looks at the clock. Zero: one second.
	MaxSleep time.Duration
	// Holder names this replica among those on the store. Required.
	Holder string
	// Chats are told of what is found.
	Chats []string
	// Believe returns when somebody has looked whether the store has lost grants, and it has them back, or tells why that
	// is not so. It is asked before anything is taken away, at least once a second. Nil: the store loses nothing.
	Believe func(context.Context) error
	Metrics SweepMetrics // nil: not measured
}

// SweepMetrics is told what the operators watch of sweeps.
type SweepMetrics interface {
	// SweepBegins tells that this replica sweeps the connector from then on.
	SweepBegins(connector string, at time.Time)
	// Swept tells that every target of the connector answered, in the round that ended then.
	Swept(connector string, at time.Time)
	// SweepFailed counts a question that was not answered.
	SweepFailed(connector string)
	// SweepFound counts access that was found and is taken away, again where it had been reported gone before.
	SweepFound(connector string, again bool)
	// SweepMissed counts grants whose access the target does not list.
	SweepMissed(connector string)
	// Standing is how many hold a role by nothing that Elevate gave.
	Standing(connector string, role access.RoleID, holders int)
	// Watching tells whether the connector hears from its target when something changes there.
	Watching(connector string, hears bool)
	// SweepPrompted counts looks at a target because it told of a change.
	SweepPrompted(connector string)
	// SweptElsewhere tells that this replica sweeps the connector no more, so that its figures are another's to give.
	SweptElsewhere(connector string)
}

type unswept struct{}

func (unswept) SweepBegins(string, time.Time)       {}
func (unswept) Swept(string, time.Time)             {}
func (unswept) SweepFailed(string)                  {}
func (unswept) SweepFound(string, bool)             {}
func (unswept) SweepMissed(string)                  {}
func (unswept) Standing(string, access.RoleID, int) {}
func (unswept) Watching(string, bool)               {}
func (unswept) SweepPrompted(string)                {}
func (unswept) SweptElsewhere(string)               {}

// Sweeper compares targets with the grants: what is ours and has no live grant is taken away like any grant that has
// ended, what a live grant should have and has not is reported, and standing access is counted. It is the last line: it
// finds what a lost store, a target that lied or an activation that came late has left behind. Each connector is swept by
// one replica at a time, with one question at a time, beside the lanes of the timers; what a target tells of by itself is
// looked at in between. It is safe to run on any number of replicas.
type Sweeper struct {
	s       *Service
	cfg     SweeperConfig
	targets map[string][]sweepTarget // by connector
	asking  map[string]*sync.Mutex   // by connector: held while it is asked something
}

// sweepTarget is what one question is about: catalogue entries that lead to the same target share its answer.
type sweepTarget struct {
	key   string
	role  access.Role // any of them
	roles []access.RoleID
}

// NewSweeper makes a sweeper for every role of the service.
func NewSweeper(s *Service, cfg SweeperConfig) (*Sweeper, error) {
	if cfg.Holder == "" {
		return nil, errors.New("workflows: a sweeper needs a Holder")
	}
	for _, d := range []struct {
		of        *time.Duration
		byDefault time.Duration
	}{
		{&cfg.Every, 5 * time.Minute}, {&cfg.CallTimeout, 30 * time.Second}, {&cfg.Lease, 15 * time.Second},
		{&cfg.Pause, 100 * time.Millisecond}, {&cfg.Grace, 10 * time.Second}, {&cfg.MaxSleep, time.Second},
		{&cfg.Settle, time.Second}, {&cfg.Apart, 10 * time.Second},
	} {
		if *d.of == 0 {
			*d.of = d.byDefault
		}
	}
	if cfg.Believe == nil {
		cfg.Believe = func(context.Context) error { return nil }
	}
	if cfg.Metrics == nil {
		cfg.Metrics = unswept{}
	}
	w := &Sweeper{s: s, cfg: cfg, targets: map[string][]sweepTarget{}, asking: map[string]*sync.Mutex{}}
	for _, row := range s.catalogue.rows {
		w.add(row.role)
	}
	return w, nil
}

func (w *Sweeper) add(role access.Role) {
	key, targets := targetKey(role), w.targets[role.Connector]
	for i := range targets {
		if targets[i].key == key {
			targets[i].roles = append(targets[i].roles, role.ID)
			return
		}
	}
	w.targets[role.Connector] = append(targets, sweepTarget{key: key, role: role, roles: []access.RoleID{role.ID}})
	if w.asking[role.Connector] == nil {
		w.asking[role.Connector] = new(sync.Mutex)
	}
}

// targetKey names a target of a connector, as rights do (access.Request.Right).
func targetKey(role access.Role) string {
	text, err := json.Marshal(role.Target) // sorts keys
	if err != nil {
		return string(role.ID)
	}
	return string(text)
}

// Run sweeps at once and then again and again, until ctx ends. It returns when its last question has been answered or
// given up.
func (w *Sweeper) Run(ctx context.Context) error {
	var g errgroup.Group
	for connector := range w.targets {
		g.Go(func() error {
			w.stand(ctx, connector)
			return nil
		})
	}
	return g.Wait()
}

// stand waits until no other replica sweeps the connector, and then does.
func (w *Sweeper) stand(ctx context.Context, connector string) {
	lease, log := "sweep:"+connector, w.s.log.With("connector", connector)
	for {
		held, err := w.s.cfg.Store.Hold(ctx, lease, w.cfg.Holder, w.cfg.Lease)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Warn("it cannot be settled which replica sweeps a connector; it is tried again", "err", err)
		case held:
			w.lead(ctx, connector, lease, log)
		}
		if pause(ctx, w.cfg.Lease/3) != nil {
			return
		}
	}
}

// lead sweeps the connector while this replica holds the lease.
func (w *Sweeper) lead(ctx context.Context, connector, lease string, log *slog.Logger) {
	w.cfg.Metrics.SweepBegins(connector, w.s.now())
	leading, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		defer cancel()
		w.renew(leading, lease)
	})
	beside.Go(func() { w.heed(leading, connector, log) })
	w.sweep(leading, connector, log)
	cancel()
	beside.Wait()
	w.cfg.Metrics.SweptElsewhere(connector)
	late, cancelDrop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancelDrop()
	if err := w.s.cfg.Store.Drop(late, lease, w.cfg.Holder); err != nil {
		log.Warn("the sweep of a connector could not be handed over; another replica takes it when the lease ends", "err", err)
	}
}

// renew keeps the lease, and returns when it is lost or could be.
func (w *Sweeper) renew(ctx context.Context, lease string) {
	for renewed := time.Now(); time.Since(renewed) < w.cfg.Lease; {
		if pause(ctx, w.cfg.Lease/3) != nil {
			return
		}
		asked := time.Now()
		held, err := w.s.cfg.Store.Hold(ctx, lease, w.cfg.Holder, w.cfg.Lease)
		if err == nil && !held {
			return
		}
		if err == nil {
			renewed = asked
		}
	}
}

// sweep goes round the connector's targets until ctx ends: the first time in a hurry, later spread over the interval.
func (w *Sweeper) sweep(ctx context.Context, connector string, log *slog.Logger) {
	targets := w.targets[connector]
	step := w.cfg.Every / time.Duration(len(targets))
	for hurry := true; ; hurry = false {
		began := w.s.now()
		r := newRound(connector, log)
		for i, t := range targets {
			at := began.Add(time.Duration(i) * step)
			if hurry || i == 0 {
				at = began
			}
			if w.until(ctx, at) != nil {
				return
			}
			w.guard(ctx, r, t, func() error { return w.look(ctx, r, t) })
			if !hurry {
				w.takeAway(ctx, r)
			}
		}
		w.takeAway(ctx, r)
		w.finish(ctx, r)
		// A tenth of jitter, so that connectors and installations drift apart.
		if w.until(ctx, began.Add(w.cfg.Every-rand.N(w.cfg.Every/10+1))) != nil { //nolint:gosec // keeps no secret
			return
		}
	}
}

// until waits for a time of the service's clock.
func (w *Sweeper) until(ctx context.Context, at time.Time) error {
	for {
		left := at.Sub(w.s.now())
		if left <= 0 {
			return ctx.Err()
		}
		if err := pause(ctx, min(left, w.cfg.MaxSleep)); err != nil {
			return err
		}
	}
}

// round is one way round a connector's targets.
type round struct {
	connector string
	log       *slog.Logger
	// asked is when each target that answered was asked.
	asked map[string]time.Time
	// held are the rights that the targets list, those of the grants that explain them, and their references.
	held map[string]bool
	// unexplained is what was found and not taken away yet.
	unexplained []stray
	// fresh are the targets that do not list what was given a moment ago, and may yet.
	fresh  map[string]bool
	failed int
	err    error // the first
}

// stray is a target at which some rights of ours had no live grant.
type stray struct {
	sweepTarget
	rights map[string]bool
	seen   time.Time
}

func newRound(connector string, log *slog.Logger) *round {
	return &round{connector: connector, log: log, asked: map[string]time.Time{}, held: map[string]bool{}, fresh: map[string]bool{}}
}

func (r *round) holds(s sighting) {
	r.held[s.right] = true
	if s.Ours {
		r.held[s.Ref] = true
	}
	for _, rec := range s.shares {
		r.held[rec.Right()] = true
	}
}

// guard does something about one target, when it is its turn. Nothing is concluded from one that gives no answer.
func (w *Sweeper) guard(ctx context.Context, r *round, t sweepTarget, do func() error) {
	w.asking[r.connector].Lock()
	defer w.asking[r.connector].Unlock()
	if pause(ctx, w.cfg.Pause) != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			w.note(ctx, r, fmt.Errorf("the sweep of %s panicked: %v", t.role.ID, p))
		}
	}()
	if err := do(); err != nil {
		w.note(ctx, r, fmt.Errorf("sweep %s: %w", t.role.ID, err))
	}
}

func (w *Sweeper) note(ctx context.Context, r *round, err error) {
	if ctx.Err() != nil {
		return // we are stopping
	}
	if r.failed++; r.err == nil {
		r.err = err
	}
	w.cfg.Metrics.SweepFailed(r.connector)
}

// finish looks for grants that the targets do not list, and tells the operators how the round went.
func (w *Sweeper) finish(ctx context.Context, r *round) {
	w.lookForMissing(ctx, r, "")
	switch {
	case ctx.Err() != nil:
	case r.err != nil:
		r.tellFailure()
	default:
		w.cfg.Metrics.Swept(r.connector, w.s.now())
		r.log.Debug("swept", "targets", len(r.asked), "holders", len(r.held))
	}
}

func (r *round) tellFailure() {
	r.log.Warn("part of a sweep failed; it is tried again", "failed", r.failed, "answered", len(r.asked), "err", r.err)
}
