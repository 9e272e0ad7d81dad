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
	Requests
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

// look goes through all that is open. One replica at a time does, and it leaves the store four fifths of the time.
func (g *Guard) look(ctx context.Context) error {
	g.cfg.Anchors.prune()
	held, err := g.cfg.Store.Hold(ctx, "guard", g.cfg.Holder, g.cfg.Lease)
	if err != nil || !held {
		return err
	}
	for q := (Query{Open: true, Limit: 200}); ; {
		began := time.Now()
		page, next, err := g.cfg.Store.List(ctx, q)
		if err != nil {
			return fmt.Errorf("list what is open: %w", err)
		}
		for _, r := range page {
			if err := g.mend(ctx, r); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
		if err := pause(ctx, 4*time.Since(began)); err != nil {
			return err
		}
	}
}

// mend puts a record's timers back.
func (g *Guard) mend(ctx context.Context, r *access.Record) error {
	if !g.cfg.Anchors.note(r.ID, r.Version, r.State, g.cfg.Now()) {
		g.Doubt(r.ID)
		return nil
	}
	mended, err := g.cfg.Store.Mend(ctx, r)
	if err != nil {
		return fmt.Errorf("mend request %s: %w", r.ID, err)
	}
	if !mended {
		return nil
	}
	return g.tell(ctx, r.ID, "timers", "somebody else has changed its timers, or what the store keeps beside its record; they were put back")
}

// settle puts right what is in doubt.
func (g *Guard) settle(ctx context.Context) error {
	g.mu.Lock()
	delete(g.doubtful, "")
	ids := slices.Sorted(maps.Keys(g.doubtful))
	g.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	found := map[access.RequestID]string{}
	for _, id := range ids {
		gone, err := g.cfg.Store.Disown(ctx, id)
		if err != nil {
			return fmt.Errorf("remove the record of %s that is not ours: %w", id, err)
		}
		if found[id] = "version"; gone {
			found[id] = "record"
		}
	}
	if err := g.cfg.Recover(ctx, ids); err != nil {
		return fmt.Errorf("put back what the audit log has: %w", err)
	}
	for _, id := range ids {
		if err := g.settled(ctx, id, found[id]); err != nil {
			return err
		}
	}
	return nil
}

// settled puts on record what became of a doubtful record.
func (g *Guard) settled(ctx context.Context, id access.RequestID, what string) error {
	now, err := g.cfg.Store.Get(ctx, id)
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		return fmt.Errorf("load request %s: %w", id, err)
	}
	text := "an older record stood in the place of this one: somebody else has put it there, or the store went back"
	if what == "record" {
		text = "somebody else has written its record"
	}
	if now == nil {
		text += "; the audit log knows of no such request that is open, so it was removed"
	} else {
		text += fmt.Sprintf("; it is in version %d, as the audit log has it", now.Version)
	}
	g.cfg.Anchors.forget(id)
	g.mu.Lock()
	delete(g.doubtful, id)
	g.mu.Unlock()
	return g.tell(ctx, id, what, text)
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
