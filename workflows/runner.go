package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/workflows/access"
)

// RunnerConfig says how due timers are worked.
type RunnerConfig struct {
	// Clock bounds the timers that call no connector worked at once. Zero: 64.
	Clock int
	// PerConnector bounds the calls to one connector at once, for giving and for taking away each. Zero: 8.
	PerConnector int
	// Lease is how long a claimed timer is ours without renewal. Zero: five seconds. A crash delays what was in hand by
	// this.
	Lease time.Duration
	// CallTimeout bounds one call to a connector. Zero: 30 seconds.
	CallTimeout time.Duration
	// MaxSleep bounds the sleep between looks at the store. Zero: one second.
	MaxSleep time.Duration
	// Grace is how long work in hand may go on after Run was told to stop. Zero: ten seconds.
	Grace time.Duration
	// Recovered is how long a record that the store has lost may take to be there again, before what came of it at its
	// target is undone. Zero: 15 seconds.
	Recovered time.Duration
	// ConnectorOpen is told when calls to a connector begin or cease to be held back because it does not answer;
	// direction is activate or deactivate. Nil: nobody is told.
	ConnectorOpen func(connector, direction string, open bool)
}

func (c RunnerConfig) withDefaults() RunnerConfig {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setD := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Clock, 64)
	set(&c.PerConnector, 8)
	setD(&c.Lease, 5*time.Second)
	setD(&c.CallTimeout, 30*time.Second)
	setD(&c.MaxSleep, time.Second)
	setD(&c.Grace, 10*time.Second)
	setD(&c.Recovered, 15*time.Second)
	if c.ConnectorOpen == nil {
		c.ConnectorOpen = func(string, string, bool) {}
	}
	return c
}

// Runner works due timers: one lane of bookkeeping, and two lanes for each connector. Any number of runners may work
// on one store.
type Runner struct {
	s     *Service
	cfg   RunnerConfig
	lanes map[Lane]*lane
}

// lane is a queue with its own workers.
type lane struct {
	name    Lane
	slots   chan struct{} // one for each worker at work
	nudge   chan struct{}
	breaker *breaker // stays closed on the lane that calls no target
}

// Lanes lists every lane that the service's timers wait in.
func (s *Service) Lanes() []Lane {
	lanes := []Lane{Clock}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Connectors)) {
		lanes = append(lanes, ActivateLane(name), DeactivateLane(name))
	}
	return lanes
}

// NewRunner makes a runner for every connector of the service.
func NewRunner(s *Service, cfg RunnerConfig) *Runner {
	cfg = cfg.withDefaults()
	r := &Runner{s: s, cfg: cfg, lanes: map[Lane]*lane{}}
	r.add(Clock, cfg.Clock, func(bool) {})
	for name := range s.cfg.Connectors {
		for direction, l := range map[string]Lane{"activate": ActivateLane(name), "deactivate": DeactivateLane(name)} {
			shown := func(open bool) { cfg.ConnectorOpen(name, direction, open) }
			shown(false)
			r.add(l, cfg.PerConnector, shown)
		}
	}
	return r
}

func (r *Runner) add(name Lane, workers int, shown func(open bool)) {
	r.lanes[name] = &lane{name: name, slots: make(chan struct{}, workers), nudge: make(chan struct{}, 1),
		breaker: &breaker{log: r.s.log.With("lane", name), shown: shown}}
}

// Held tells whether the timers of a lane are held back because its target does not answer: they are due, and wait for
// it.
func (r *Runner) Held(l Lane) bool {
	found := r.lanes[l]
	return found != nil && found.breaker.held()
}

// Run works timers until ctx ends, and returns when its last worker has. Work in hand is given Grace to finish; what
// has not by then is cancelled and comes due again, here or at another replica.
func (r *Runner) Run(ctx context.Context) error {
	inHand, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(r.cfg.Grace, stop) })()
	var g errgroup.Group
	g.Go(func() error {
		r.deliverNudges(r.s.cfg.Store.Nudges(ctx))
		return nil
	})
	g.Go(func() error {
		r.tellOfUnreachable(ctx)
		return nil
	})
	for name := range r.lanes {
		g.Go(func() error {
			r.work(ctx, inHand, r.lanes[name])
			return nil
		})
	}
	return g.Wait()
}

func (r *Runner) deliverNudges(nudges <-chan Lane) {
	for name := range nudges {
		for _, l := range r.lanes {
			if name == AnyLane || name == l.name {
				l.wake()
			}
		}
	}
}

func (l *lane) wake() {
	select {
	case l.nudge <- struct{}{}:
	default: // it is awake already
	}
}

// work claims the timers of one lane until ctx ends, and handles them within inHand.
func (r *Runner) work(ctx, inHand context.Context, l *lane) {
	var busy sync.WaitGroup
	defer busy.Wait()
	for ctx.Err() == nil {
		free := l.take(ctx)
		if free == 0 {
			return
		}
		n, probe, again := l.breaker.admit(r.s.now(), free)
		l.give(free - n)
		if n == 0 {
			r.sleep(ctx, l, again)
			continue
		}
		claims, next, err := r.s.cfg.Store.Claim(ctx, l.name, n, r.cfg.Lease)
		if err != nil && ctx.Err() == nil {
			r.s.log.Error("due timers could not be claimed", "lane", l.name, "err", err)
		}
		l.give(n - len(claims))
		if probe && len(claims) == 0 {
			l.breaker.probed(r.s.now())
		}
		for _, c := range claims {
			busy.Go(func() {
				r.handle(inHand, c)
				l.give(1)
				if probe {
					l.breaker.probed(r.s.now())
					l.wake()
				}
			})
		}
		if len(claims) < n {
			r.sleep(ctx, l, next)
		}
	}
}

// take waits for a free slot and takes all that are free, at most 128 (the store's batch); 0 when ctx ended.
func (l *lane) take(ctx context.Context) int {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; ; n++ {
		if n == 128 {
			return n
		}
		select {
		case l.slots <- struct{}{}:
		default:
			return n
		}
	}
}

func (l *lane) give(n int) {
	for range n {
		<-l.slots
	}
}

// sleep waits for the next due time, a nudge, or MaxSleep.
func (r *Runner) sleep(ctx context.Context, l *lane, next time.Time) {
	d := r.cfg.MaxSleep
	if !next.IsZero() {
		d = min(d, max(next.Sub(r.s.now()), time.Millisecond))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.nudge:
	case <-ctx.Done():
	}
}

// handle works one claim. A claim that could not be finished is left to its lease, which is its backoff; one that was
// overtaken by another arrow, or cut off by a stop, is given back at once.
func (r *Runner) handle(ctx context.Context, c Claim) {
	log := r.s.log.With("request_id", c.Request, "timer", c.Timer, "person", c.Record.Person, "role", c.Record.Role.ID,
		"connector", c.Record.Role.Connector)
	defer func() {
		if p := recover(); p != nil {
			log.Error("a timer's handler panicked; the timer comes due again", "panic", fmt.Sprint(p))
		}
	}()
	err := r.dispatch(ctx, c, log)
	switch {
	case err == nil:
	case errors.Is(err, ErrStale), ctx.Err() != nil:
		r.release(ctx, c, log)
	default:
		log.Error("a due timer could not be worked; it is tried again", "err", err)
	}
}

func (r *Runner) release(ctx context.Context, c Claim, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.s.cfg.Store.Release(ctx, c); err != nil {
		log.Warn("a claim could not be given back; it comes due again when its lease ends", "err", err)
	}
}

func (r *Runner) dispatch(ctx context.Context, c Claim, log *slog.Logger) error {
	switch c.Timer {
	case access.TimerActivate:
		if c.Record.State == access.Active {
			return r.prolong(ctx, c, log)
		}
		return r.activate(ctx, c, log)
	case access.TimerDeactivate:
		return r.deactivate(ctx, c, log)
	case access.TimerEnd:
		if c.Record.State == access.Active {
			return r.deactivate(ctx, c, log)
		}
	}
	t, err := r.bookkeep(ctx, c)
	return r.settle(ctx, c, t, err)
}

// settle takes the arrow that finishes a claim, unless making it failed.
func (r *Runner) settle(ctx context.Context, c Claim, t Transition, err error) error {
	if err != nil {
		return err
	}
	t.Claim = &c
	return r.s.take(ctx, t)
}

// timeUp is the reason of an ending that nobody asked for.
const timeUp = "its time is up"

// bookkeep makes the transition of a due timer that calls no connector.
func (r *Runner) bookkeep(ctx context.Context, c Claim) (Transition, error) {
	rec, now, by := c.Record, r.s.now().UTC(), access.BySystem()
	switch c.Timer {
	case access.TimerAuto:
		return r.autoApprove(ctx, rec, now)
	case access.TimerRemind:
		t, err := move(rec, access.Remind, by, now, NoteReminder)
		if err == nil {
			t.Record.RemindAt = time.Time{}
		}
		return t, err
	case access.TimerLapse:
		return lapse(rec, now)
	case access.TimerStart:
		return r.start(ctx, rec, now)
	case access.TimerNotice:
		t, err := move(rec, access.Notice, by, now, NoteNearEnd)
		if err == nil {
			t.Record.NoticeAt, t.Notes[0].EndsAt = time.Time{}, rec.EndsAt
		}
		return t, err
	case access.TimerEnd:
		return r.s.finish(rec, by, timeUp)
	case access.TimerOverdue:
		return r.overdue(c, now)
	}
	return Transition{}, fmt.Errorf("there is no timer %q", c.Timer)
}

// autoApprove approves by the policy's own word, asked again now.
func (r *Runner) autoApprove(ctx context.Context, rec *access.Record, now time.Time) (Transition, error) {
	holder, err := r.s.person(ctx, rec.Person)
	switch {
	case errors.Is(err, access.ErrNotAllowed):
		return r.s.cancel(rec, access.BySystem(), noLonger(rec, err))
	case err != nil:
		return Transition{}, err
	}
	pol := r.s.cfg.Policies.For(rec.Role.ID)
	if pol == nil || !pol.AutoApproves(holder, rec.Role, asked(&rec.Request, now)) {
		return r.s.cancel(rec, access.BySystem(), "the policy no longer approves it by itself")
	}
	return r.s.accept(rec, access.Decision{Verdict: access.Approve, By: access.BySystem(), At: now, Method: "policy",
		Reason: "approved by policy " + pol.Name()}, now)
}

func lapse(rec *access.Record, now time.Time) (Transition, error) {
	t, err := move(rec, access.Lapse, access.BySystem(), now, NoteLapsed)
	if err != nil {
		return t, err
	}
	reason := "nobody decided in time"
	if rec.State != access.Pending {
		reason = "it was not started in time"
	}
	t.close(access.BySystem(), now, reason)
	return t, nil
}

// start arms an approved request whose hour has come: the end is written before the connector is called. It waits, by
// leaving the claim to its lease, while state or evidence could be lost.
func (r *Runner) start(ctx context.Context, rec *access.Record, now time.Time) (Transition, error) {
	if rec.State == access.Approved && rec.Start.After(now) {
		t, err := move(rec, access.Schedule, access.BySystem(), now, NoteScheduled)
		if err == nil {
			t.detail(map[string]string{"start": stamp(rec.Start)})
		}
		return t, err
	}
	holder, err := r.s.person(ctx, rec.Person)
	if err != nil && !errors.Is(err, access.ErrNotAllowed) {
		return Transition{}, err
	}
	_, pol, refusal := r.s.role(rec.Role.ID)
	if err != nil || refusal != nil || pol.Eligible(holder, rec.Role, asked(&rec.Request, now)) != nil {
		return r.s.cancel(rec, access.BySystem(), noLonger(rec, err))
	}
	if err := r.ready(ctx); err != nil {
		return Transition{}, err
	}
	t, err := move(rec, access.Arm, access.BySystem(), now)
	if err != nil {
		return t, err
	}
	t.Record.NextTry = now
	t.until(now.Add(rec.Duration), r.s.cfg.OverdueAfter)
	t.detail(map[string]string{"ends_at": stamp(t.Record.EndsAt)})
	return t, nil
}

// noLonger says that whoever was to hold a role may not any more, and why where the directory has said so.
func noLonger(rec *access.Record, err error) string {
	text := fmt.Sprintf("%s may no longer hold this role", rec.Person)
	var refused *access.Refusal
	if errors.As(err, &refused) {
		text += ": " + refused.Text
	}
	return text
}

// ready tells why nothing may be activated now, or nil. It is asked before arming, and again before the target is
// called, when it also proves that the arming itself is as durable as the store was told to make it.
func (r *Runner) ready(ctx context.Context) error {
	if err := r.s.cfg.Store.Safe(ctx); err != nil {
		return fmt.Errorf("not activated, because state could be lost: %w", err)
	}
	if err := r.s.cfg.AuditHealthy(); err != nil {
		return fmt.Errorf("not activated, because evidence could be lost: %w", err)
	}
	return nil
}

// overdue flags an ending that takes too long, and flags it again in growing steps until it is confirmed. Where this
// timer itself comes late nobody was there to end anything, and the endings get their time first.
func (r *Runner) overdue(c Claim, now time.Time) (Transition, error) {
	rec := c.Record
	t, err := r.pastDue(rec)
	if err != nil {
		return t, err
	}
	if rec.State != access.Deactivating && now.Sub(c.Due) > 2*r.cfg.Lease {
		return t, nil
	}
	late := now.Sub(t.Record.EndingAt)
	t.Notes = append(t.Notes, Note{Kind: NoteOverdue, At: now, Actor: access.BySystem(), Version: t.Record.Version})
	t.Record.Overdue, t.Record.OverdueAt = true, now.Add(overdueAgain(late, r.s.cfg.OverdueAfter))
	if r.s.unreachable(rec) {
		t.Record.LastError = fmt.Sprintf("connector %q is not configured any more; put it back so that its grants can be ended", rec.Role.Connector)
	}
	t.because(t.Record.LastError)
	t.detail(map[string]string{"late": late.Round(time.Millisecond).String()})
	return t, nil
}

// pastDue starts the transition of an ending that takes too long: one that has not begun by now begins.
func (r *Runner) pastDue(rec *access.Record) (Transition, error) {
	if rec.State == access.Deactivating {
		return move(rec, access.Overdue, access.BySystem(), r.s.now().UTC())
	}
	return r.s.finish(rec, access.BySystem(), timeUp)
}
