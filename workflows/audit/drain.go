package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// maxBatch is how many events are written at once.
const maxBatch = 500

// Source is where events wait until they are safe in the files.
type Source interface {
	// Undrained gives up to limit events that have not been drained, in order within each request.
	Undrained(ctx context.Context, limit int) ([]Event, error)
	// Drained forgets events that are safe in the files.
	Drained(ctx context.Context, ids []string) error
}

// Shared is what the replicas agree through.
type Shared interface {
	// Once stores value under key for ttl where there is none, and gives what is stored; first tells whether it is ours.
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	// Put replaces the value under a key.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Hold takes or renews a named lease for a holder; false while another holds it.
	Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
	// Drop gives a named lease up, where the holder still has it.
	Drop(ctx context.Context, name, holder string) error
}

// Store is both.
type Store interface {
	Source
	Shared
}

// DrainConfig is how a replica drains.
type DrainConfig struct {
	// Dir is the folder of the files. Replicas may share one, or each have its own.
	Dir string
	// Holder names this replica; no two replicas have the same.
	Holder string
	// Interval is how often the store is asked for events. Zero: 500 ms.
	Interval time.Duration
	// Lease is for how long a replica that disappears keeps the others from draining. Zero: 10 s.
	Lease time.Duration
	// StaleAfter is for how long nothing may have been known to be drained before Healthy says so. Zero: 1 minute.
	StaleAfter time.Duration
	// Behind is called where the store may have lost what the files have: it is empty, or an older copy of itself, or the
	// files have lines that it does not know of. It gives back what was lost, and tells whether anything was. All up to
	// the line since was in the store, and it has kept it; the zero Head says that nothing may be there. It is called
	// before the store is told how far the files go, and called again until it succeeds, so it must bear repetition. Nil:
	// nothing is given back.
	Behind func(ctx context.Context, since Head) (lost bool, err error)
	Log    Config // of the files; its Logger and Now serve the drainer as well
}

func (c DrainConfig) withDefaults() DrainConfig {
	c.Log = c.Log.withDefaults()
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orDefault(&c.Interval, 500*time.Millisecond)
	orDefault(&c.Lease, 10*time.Second)
	orDefault(&c.StaleAfter, time.Minute)
	return c
}

// Drainer moves events from the store into the files: those of one replica at a time, each event once, in one chain
// however many replicas and folders there are.
//
// What the next lines of the chain are is settled in the store before they are written: a replica proposes the lines
// that follow the head under a key that only the first proposal sets, and writes what is stored there. So a replica
// that dies, or sleeps past its lease, at any point leaves no fork: the next one writes the same bytes.
type Drainer struct {
	cfg   DrainConfig
	store Store
	log   *slog.Logger

	// Used by Run alone.
	files   *Log     // nil: not open
	head    position // the newest known
	told    time.Time
	holding bool
	likeness

	health health
	looks  looks
}

// NewDrainer makes a drainer; Run starts it.
func NewDrainer(cfg DrainConfig, store Store) (*Drainer, error) {
	if cfg.Dir == "" || cfg.Holder == "" {
		return nil, errors.New("a drainer of the audit log needs a folder and the name of its replica")
	}
	cfg = cfg.withDefaults()
	d := &Drainer{cfg: cfg, store: store, log: cfg.Log.Logger, likeness: likeness{marks: birthmarks}, looks: looks{wanted: make(chan struct{}, 1)}}
	d.health.staleAfter = cfg.StaleAfter
	return d, nil
}

// Healthy tells why events may not be safe in files, or nil: drained by this replica or by another.
func (d *Drainer) Healthy() error { return d.health.check(d.cfg.Log.Now()) }

// Head is the newest line of the chain that this replica knows of. Noted elsewhere, it proves later that nothing up to
// it was cut off or written anew.
func (d *Drainer) Head() Head { return d.health.newest() }

// Run drains until ctx ends, then gives the folder and the lease up.
func (d *Drainer) Run(ctx context.Context) error {
	defer d.release()
	for ctx.Err() == nil {
		wait := d.cfg.Interval
		more, err := d.round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			d.fail(err)
			if errors.Is(err, errFiles) {
				wait = d.cfg.Lease / 2 // another replica, whose disk works, takes over meanwhile
			}
			if errors.Is(err, errBehind) {
				wait = d.cfg.Lease / 2 // it may have read all files
			}
		case more:
			continue
		}
		select {
		case <-ctx.Done():
		case <-d.looks.wanted:
		case <-time.After(wait):
		}
	}
	return nil
}

// Finish drains what came while the program stopped. Call it once everything that makes events has ended, and Run with
// it. Where another replica drains by now, the rest is left to that one.
func (d *Drainer) Finish(ctx context.Context) error {
	defer d.release()
	for {
		more, err := d.round(ctx)
		if err != nil {
			return fmt.Errorf("drain the last events: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// errFiles marks errors of this replica's own files.
var errFiles = errors.New("audit files")

// fail gives up what is held, so that another replica can try.
func (d *Drainer) fail(err error) {
	if d.health.failed(err) {
		d.log.Error("audit log: events cannot be drained; they wait in the store", "err", err)
	}
	d.release()
}

// release gives the folder and the lease up. A lease that is not given up runs out, so its error is only logged.
func (d *Drainer) release() {
	if d.files != nil {
		if err := d.files.Close(); err != nil {
			d.log.Warn("audit log: close the files", "err", err)
		}
		d.files = nil
	}
	if d.holding {
		d.holding = false
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := d.store.Drop(ctx, leaseName, d.cfg.Holder); err != nil {
			d.log.Warn("audit log: give the lease up", "err", err)
		}
	}
}

// round drains one batch. more tells that there is more to do at once.
func (d *Drainer) round(ctx context.Context) (more bool, err error) {
	held, err := d.store.Hold(ctx, leaseName, d.cfg.Holder, d.cfg.Lease)
	if err != nil {
		return false, fmt.Errorf("take the lease: %w", err)
	}
	if d.holding = held; !held {
		d.release()
		return false, d.learn(ctx)
	}
	if d.files == nil {
		if d.files, err = Open(d.cfg.Dir, d.cfg.Log); err != nil {
			return false, fmt.Errorf("%w: %w", errFiles, err)
		}
	}
	// The head is read before the events. What somebody else drains in between is then told by settle.
	if err := d.learn(ctx); err != nil {
		return false, err
	}
	events, err := d.store.Undrained(ctx, maxBatch)
	if err != nil {
		return false, fmt.Errorf("read events: %w", err)
	}
	fresh, err := d.forgetWritten(ctx, events)
	if err != nil {
		return false, err
	}
	if len(fresh) == 0 && d.files.Tail().Seq <= d.head.Head.Seq {
		return false, d.caughtUp(ctx)
	}
	ours, err := d.settle(ctx, fresh)
	if err != nil || !ours || len(events) == maxBatch {
		return err == nil, err
	}
	return false, d.caughtUp(ctx)
}

// learn reads how far the chain has come, and whether the store is the one that it was. A replica that drains nothing
// itself also learns that another does.
func (d *Drainer) learn(ctx context.Context) error {
	look := d.looks.begin()
	known, err := d.storedHead(ctx)
	if err != nil {
		return err
	}
	if err := d.compare(ctx, known.Head); err != nil {
		return err
	}
	d.looks.passed(look)
	if !d.holding && !known.CaughtUp.IsZero() && !known.CaughtUp.Equal(d.told) {
		at := d.cfg.Log.Now()
		if d.told.IsZero() && known.CaughtUp.Before(at) {
			at = known.CaughtUp // it may have been long ago
		}
		d.health.drained(at)
		d.told = known.CaughtUp
	}
	if known.Head.Seq > d.head.Head.Seq {
		d.head = known
		d.health.reached(known.Head)
	}
	return nil
}

// storedHead is the head that the store has: the zero one where it has none, also where it had one and lost it.
func (d *Drainer) storedHead(ctx context.Context) (position, error) {
	none, err := position{}.text()
	if err != nil {
		return position{}, err
	}
	stored, _, err := d.store.Once(ctx, headKey, none, forever)
	if err != nil {
		return position{}, fmt.Errorf("read the head: %w", err)
	}
	return parsePosition(stored)
}

// forgetWritten lets the store forget the events that are in the files already, because a crash came before it could
// be told, and gives the others.
func (d *Drainer) forgetWritten(ctx context.Context, events []Event) ([]Event, error) {
	lines, _, err := encode(d.head.Head, events)
	if err != nil {
		return nil, err
	}
	asked, err := marks(lines)
	if err != nil {
		return nil, err
	}
	written := make(map[mark]bool, len(d.head.Events)+len(d.files.tail.marks))
	for _, m := range slices.Concat(d.head.Events, d.files.tail.marks) {
		written[m] = true
	}
	var fresh []Event
	var known []mark
	for i, m := range asked {
		if written[m] {
			known = append(known, m)
			continue
		}
		fresh = append(fresh, events[i])
	}
	return fresh, d.forget(ctx, known)
}

func (d *Drainer) forget(ctx context.Context, events []mark) error {
	if len(events) == 0 {
		return nil
	}
	ids := make([]string, len(events))
	for i, m := range events {
		ids[i] = m.ID
	}
	if err := d.store.Drained(ctx, ids); err != nil {
		return fmt.Errorf("forget drained events: %w", err)
	}
	return nil
}

// settle agrees on what follows the head, writes it, and tells the store. ours tells that the events given are now in
// the files; otherwise the head has moved, and the next round begins there.
func (d *Drainer) settle(ctx context.Context, fresh []Event) (ours bool, err error) {
	proposal, err := d.proposal(fresh)
	if err != nil {
		return false, err
	}
	key := settleKey(d.head.Head)
	settled, ours, err := d.store.Once(ctx, key, proposal, settledFor)
	if err != nil {
		return false, fmt.Errorf("settle the next lines: %w", err)
	}
	if !areLines(settled) {
		return false, d.follow(ctx, settled, ours)
	}
	next, missing, err := reach(settled, d.files.Tail())
	if err != nil {
		return false, err
	}
	if err := d.files.write(missing); err != nil {
		return false, fmt.Errorf("%w: %w", errFiles, err)
	}
	// Each of these may fail or never happen; the next round, of whichever replica, does it again. The key is replaced
	// after the head is, so that the lines are never gone before the head knows of them.
	if err := d.move(ctx, next); err != nil {
		return false, err
	}
	if err := d.put(ctx, key, next, passedFor); err != nil {
		return false, err
	}
	return ours, d.forget(ctx, next.Events)
}

// follow goes to a position that was settled instead of lines. One that another replica left there is no news to the
// store.
func (d *Drainer) follow(ctx context.Context, settled []byte, ours bool) error {
	next, err := parsePosition(settled)
	if err != nil {
		return err
	}
	if ours {
		d.log.Warn("audit log: the folder has lines that the store did not know of: the store lost its newest state, or somebody added them",
			"store", d.head.Head.String(), "folder", next.Head.String())
		return d.move(ctx, next)
	}
	next.CaughtUp = d.head.CaughtUp
	d.head = next
	d.health.reached(next.Head)
	return nil
}

// proposal is the lines of the events; or, where this folder has lines that the store does not know of (a crash came
// between the two, or the store lost its newest state), the position that they lead to.
func (d *Drainer) proposal(fresh []Event) ([]byte, error) {
	if t := d.files.tail; t.head.Seq > d.head.Head.Seq {
		return position{Head: t.head, Events: t.marks}.text()
	}
	lines, _, err := encode(d.head.Head, fresh)
	return lines, err
}

// move makes a position the head, for everybody.
func (d *Drainer) move(ctx context.Context, to position) error {
	to.CaughtUp = d.head.CaughtUp
	d.head = to
	d.health.reached(to.Head)
	return d.put(ctx, headKey, to, forever)
}

// caughtUp notes that nothing is left in the store, and tells the others now and then.
func (d *Drainer) caughtUp(ctx context.Context) error {
	now := d.cfg.Log.Now()
	d.health.drained(now)
	if age := now.Sub(d.head.CaughtUp); age >= 0 && age < d.cfg.Lease/4 {
		return nil
	}
	d.head.CaughtUp = now.UTC()
	d.told = d.head.CaughtUp
	return d.put(ctx, headKey, d.head, forever)
}

func (d *Drainer) put(ctx context.Context, key string, p position, ttl time.Duration) error {
	text, err := p.text()
	if err != nil {
		return err
	}
	if err := d.store.Put(ctx, key, text, ttl); err != nil {
		return fmt.Errorf("store the position: %w", err)
	}
	return nil
}
