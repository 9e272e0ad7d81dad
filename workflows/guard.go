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

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// NoteForged tells that somebody other than Elevate has changed a request in the store, and that it was put right.
const NoteForged NoteKind = "forged"

// GuardStore is what a Guard needs of the store. Its records are those that lie there, whatever anchors say.
type GuardStore interface {
	RecoveryStore
	// Disown removes a record that is not ours: false where what is stored is ours, or nothing.
	Disown(ctx context.Context, id access.RequestID) (bool, error)
	// Mend puts a record's timers, and what else the store keeps beside it, back to what the record says: false where
	// they are that already, and where the record has moved on.
	Mend(ctx context.Context, r *access.Record) (bool, error)
	Append(ctx context.Context, e audit.Event) error
	Enqueue(ctx context.Context, chats []string, topic, key string, n Note) (bool, error)
	Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
}

// GuardConfig is what a Guard is made of.
type GuardConfig struct {
	Store   GuardStore // required
	Anchors *Anchors   // required
	// Recover gives the store back what the audit log has and it has not: of these requests and of any other. Required.
	Recover func(context.Context, []access.RequestID) error
	// Holder names this replica among those on the store. Required.
	Holder string
	Chats  []string // that are told
	// Every is how often all that is open is looked at. Zero: one minute.
	Every time.Duration
	// Lease is for how long a replica that died keeps the others from looking. Zero: Every.
	Lease time.Duration
	// Found is told of each thing found, by what it was: record, version or timers. Nil: nobody is.
	Found  func(what string)
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// Guard puts right what somebody who can write to the store has changed in it behind Elevate's back: records that are not
// ours or older than they should be are replaced by what the audit log has, timers that were moved or removed are armed
// again, and all of it goes on record and to the administrators. What nobody asked for is removed; if a target gave
// anything by it, the sweep takes that away.
type Guard struct {
	cfg  GuardConfig
	log  *slog.Logger
	wake chan struct{}

	mu       sync.Mutex
	doubtful map[access.RequestID]struct{}
}

// mostDoubtful bounds what waits to be put right; the next look at all that is open finds the rest.
const mostDoubtful = 10_000

// NewGuard checks the configuration and makes a Guard.
func NewGuard(cfg GuardConfig) (*Guard, error) {
	if cfg.Store == nil || cfg.Anchors == nil || cfg.Recover == nil || cfg.Holder == "" {
		return nil, errors.New("workflows: a guard needs a Store, Anchors, Recover and a Holder")
	}
	if cfg.Every == 0 {
		cfg.Every = time.Minute
	}
	if cfg.Lease == 0 {
		cfg.Lease = cfg.Every
	}
	if cfg.Found == nil {
		cfg.Found = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Guard{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), doubtful: map[access.RequestID]struct{}{}}, nil
}

// Doubt has a record looked at soon. It does not wait.
func (g *Guard) Doubt(id access.RequestID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.doubtful) < mostDoubtful {
		g.doubtful[id] = struct{}{}
	}
	select {
	case g.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Run guards until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.report(ctx, g.look(ctx))
		case <-g.wake:
		}
		if g.report(ctx, g.settle(ctx)) != nil && pause(ctx, time.Second) == nil {
			g.Doubt("") // what is left is tried again
		}
	}
}

func (g *Guard) report(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil {
		g.log.Error("what somebody may have changed in the store could not be put right; it is tried again", "err", err)
	}
	return err
}

// look goes through all that is open, or should be. One replica at a time looks at what the store lists; each looks for
// what itself knows to be live. Both leave the store four fifths of the time.
func (g *Guard) look(ctx context.Context) error {
	g.cfg.Anchors.prune()
	held, err := g.cfg.Store.Hold(ctx, "guard", g.cfg.Holder, g.cfg.Lease)
	if err != nil {
		return err
	}
	missing := g.cfg.Anchors.live()
	if held {
		err := pages(ctx, g.cfg.Store, Query{Open: true, Limit: 200}, resting, func(r *access.Record) error {
			missing.drop(r.ID)
			return g.mend(ctx, r)
		})
		if err != nil {
			return err
		}
	}
	for id := range missing.all() {
		if !g.cfg.Anchors.lives(id) { // it was over meanwhile
			continue
		}
		began := time.Now()
		if err := g.unlisted(ctx, id); err != nil {
			return err
		}
		if err := pause(ctx, resting*time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// unlisted looks for a request that should be open, and that the store does not list.
func (g *Guard) unlisted(ctx context.Context, id access.RequestID) error {
	r, err := g.cfg.Store.Get(ctx, id)
	switch {
	case errors.Is(err, access.ErrNotFound), errors.Is(err, ErrForged):
		g.Doubt(id)
		return nil
	case err != nil:
		return fmt.Errorf("load request %s: %w", id, err)
	case r.State.Terminal():
		g.cfg.Anchors.note(id, r.Version, r.State, g.cfg.Now()) // another replica ended it
		return nil
	}
	return g.mend(ctx, r)
}

// mend puts a record's timers back.
func (g *Guard) mend(ctx context.Context, r *access.Record) error {
	now, err := g.cfg.Anchors.current(ctx, g.cfg.Store, r)
	if err != nil {
		return fmt.Errorf("load request %s: %w", r.ID, err)
	}
	if now == nil {
		g.Doubt(r.ID)
		return nil
	}
	mended, err := g.cfg.Store.Mend(ctx, now)
	if err != nil {
		return fmt.Errorf("mend request %s: %w", r.ID, err)
	}
	if !mended {
		return nil
	}
	return g.tell(ctx, r.ID, "timers", "somebody else has changed its timers, or what the store keeps beside its record; they were put back")
}

// settle puts right what is in doubt. What cannot be settled is tried again with the next.
func (g *Guard) settle(ctx context.Context) error {
	g.mu.Lock()
	delete(g.doubtful, "")
	ids := slices.Sorted(maps.Keys(g.doubtful))
	g.mu.Unlock()
	found := map[access.RequestID]string{}
	var problems []error
	for _, id := range ids {
		what, err := g.judge(ctx, id)
		switch {
		case err != nil:
			problems = append(problems, err)
		case what == "":
			g.settled(id)
		default:
			found[id] = what
		}
	}
	if len(found) == 0 {
		return errors.Join(problems...)
	}
	if err := g.cfg.Recover(ctx, slices.Collect(maps.Keys(found))); err != nil {
		return errors.Join(append(problems, fmt.Errorf("put back what the audit log has: %w", err))...)
	}
	for id, what := range found {
		if err := g.conclude(ctx, id, what); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// judge tells what is wrong with a record: that it is not ours, and then it is put aside, that it is older than it should
// be, or gone; nothing where it is as it should be, with its timers, which are put right.
func (g *Guard) judge(ctx context.Context, id access.RequestID) (what string, err error) {
	r, err := g.cfg.Store.Get(ctx, id)
	switch {
	case errors.Is(err, ErrForged):
		if _, err := g.cfg.Store.Disown(ctx, id); err != nil {
			return "", fmt.Errorf("put the record of %s aside that is not ours: %w", id, err)
		}
		return "record", nil
	case errors.Is(err, access.ErrNotFound):
		return "record", nil
	case err != nil:
		return "", fmt.Errorf("load request %s: %w", id, err)
	}
	now, err := g.cfg.Anchors.current(ctx, g.cfg.Store, r)
	switch {
	case err != nil:
		return "", err
	case now == nil:
		return "version", nil
	}
	return "", g.mend(ctx, now)
}

func (g *Guard) settled(id access.RequestID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.doubtful, id)
}

// conclude puts on record what became of a doubtful record. One that was over, and is open although the log here does not
// say better, is ended.
func (g *Guard) conclude(ctx context.Context, id access.RequestID, what string) error {
	known := g.cfg.Anchors.of(id)
	now, err := g.cfg.Store.Get(ctx, id)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("load request %s: %w", id, err)
	}
	text := "an older record stood in the place of this one: somebody else has put it there, or the store went back"
	if what == "record" {
		text = "somebody else has written its record, or taken it away"
	}
	switch {
	case now == nil:
		g.cfg.Anchors.bury(id)
		text += "; the audit log here knows of no such request that is open, so there is none, and what it gave is taken away by the sweep"
	case now.Version < int64(known.version) && known.over != 0 && !now.State.Terminal():
		if now, err = g.end(ctx, now, int64(known.version)+1); err != nil {
			return err
		}
		text += "; it was over, and is ended again"
		g.cfg.Anchors.set(now)
	default:
		text += fmt.Sprintf("; it goes on from version %d", now.Version)
		g.cfg.Anchors.set(now)
	}
	g.settled(id)
	return g.tell(ctx, id, what, text)
}

// end brings a request that was over, and is not any more, to its end again.
func (g *Guard) end(ctx context.Context, r *access.Record, version int64) (*access.Record, error) {
	now, by := g.cfg.Now().UTC(), access.BySystem()
	from := r.State
	r.Version, r.Closed, r.ClosedAt, r.Reason = version, &by, now, "it was over already when an older record was put in its place"
	r.NextTry, r.RemindAt, r.NoticeAt, r.OverdueAt, r.Attempts, r.LastError = time.Time{}, time.Time{}, time.Time{}, time.Time{}, 0, ""
	r.State = access.Cancelled
	if from.MayHold() {
		r.State, r.EndingAt, r.NextTry, r.OverdueAt = access.Deactivating, now, now, now.Add(time.Minute)
	}
	t := Transition{Record: r, Event: audit.Event{At: now, Kind: audit.Restored, Request: r.ID, Version: version, From: from, To: r.State,
		Actor: by, Person: r.Person, Role: r.Role.ID, Connector: r.Role.Connector, Reason: r.Reason}}
	if !r.State.Terminal() {
		t.Event.Record = r
	}
	if _, err := g.cfg.Store.Restore(ctx, t); err != nil {
		return nil, fmt.Errorf("end request %s again: %w", r.ID, err)
	}
	return r, nil
}

// tell puts what was found on record, and tells people where there is a request to tell of.
func (g *Guard) tell(ctx context.Context, id access.RequestID, what, text string) error {
	at := g.cfg.Now().UTC()
	g.cfg.Found(what)
	g.log.Error("THE STORE WAS CHANGED, AND NOT BY ELEVATE; it was put right. Find out who can write to Redis", "request_id", id, "what", what, "reason", text)
	if err := g.cfg.Store.Append(ctx, audit.Event{At: at, Kind: audit.Forged, Request: id, Actor: access.BySystem(), Reason: text,
		Detail: map[string]string{"what": what}}); err != nil {
		return fmt.Errorf("put on record that %s was changed: %w", id, err)
	}
	r, err := g.cfg.Store.Get(ctx, id)
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	if err == nil {
		_, err = g.cfg.Store.Enqueue(ctx, g.cfg.Chats, string(id), "forged:"+stamp(at.Truncate(g.cfg.Every)), Note{Kind: NoteForged, At: at,
			Actor: access.BySystem(), Version: r.Version, Reason: text})
	}
	if err != nil {
		return fmt.Errorf("tell that %s was changed: %w", id, err)
	}
	return nil
}
