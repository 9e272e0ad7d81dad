package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// RecoveryStore is what a recovery needs of the store.
type RecoveryStore interface {
	Requests
	// Restore is Arrows.Restore.
	Restore(ctx context.Context, t Transition) (restored bool, err error)
}

// RecoveryConfig is what a Recovery is made of.
type RecoveryConfig struct {
	Store RecoveryStore // required
	// Paths are the folders and files of the audit log. A folder that is not there yet has nothing to tell.
	Paths []string
	// DryRun only finds out what would be restored.
	DryRun bool
	// Tell is told of each request that was, or would be, restored, one after the other. Nil: nobody is.
	Tell func(Restoration)
	// OverdueAfter is as in Config. Zero: one minute.
	OverdueAfter time.Duration
	Now          func() time.Time // nil: time.Now
	Logger       *slog.Logger     // nil: discarded
}

// Restoration is a request that the store had lost, or what became of it lately.
type Restoration struct {
	Record *access.Record // as it is restored
	Had    int64          // the version that the store had; zero: none
}

// Recovered is what a recovery found and did.
type Recovered struct {
	// Restored counts the requests given back to the store, and Live those of them that may be true at their targets.
	Restored, Live int
	// Unknown are requests that are open by the log, which does not say what they are: the lines that do were written
	// by an early version of Elevate, or to another replica's folder.
	Unknown []access.RequestID
	// Log is what was found out about the log itself in the reading that came last.
	Log audit.Replayed
	// Took is how long it took.
	Took time.Duration
}

// Recovery rebuilds from the audit log what the store has lost: requests that are open by the log and that the store
// does not have, or has in an older version; and those that are over by the log and open in a store that went back to an
// older copy. What the store knows better is left alone. It bears repetition, and any number may run at once.
type Recovery struct {
	cfg RecoveryConfig
	log *slog.Logger
}

// NewRecovery checks the configuration and makes a Recovery.
func NewRecovery(cfg RecoveryConfig) (*Recovery, error) {
	if cfg.Store == nil {
		return nil, errors.New("workflows: a recovery needs a Store")
	}
	if cfg.OverdueAfter == 0 {
		cfg.OverdueAfter = time.Minute
	}
	if cfg.Tell == nil {
		cfg.Tell = func(Restoration) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Recovery{cfg: cfg, log: cfg.Logger}, nil
}

// Behind is Run in the form that audit.DrainConfig asks for.
func (r *Recovery) Behind(ctx context.Context, since audit.Head) (lost bool, err error) {
	done, err := r.Run(ctx, since)
	return done.Restored > 0, err
}

// Run gives the store back what it lost. All up to the line since was in the store, which has kept it; the zero Head says
// that nothing may be there. After an error something may have been restored, and the next run does the rest.
func (r *Recovery) Run(ctx context.Context, since audit.Head) (done Recovered, err error) {
	began := r.cfg.Now()
	defer func() { done.Took = r.cfg.Now().Sub(began) }()
	paths := existing(r.cfg.Paths)
	if len(paths) == 0 {
		return done, nil
	}
	if since != (audit.Head{}) {
		whole, err := r.kept(ctx, paths, since)
		if err != nil || whole {
			return done, err
		}
	}
	r.log.Warn("the store may have lost what the audit log has; the log is read", "since", since.String())
	return r.rerun(ctx, paths, nil)
}

// Doubtful is Run for a store in which these requests may not be what they should be, whatever it lists as open.
func (r *Recovery) Doubtful(ctx context.Context, ids []access.RequestID) error {
	paths := existing(r.cfg.Paths)
	if len(paths) == 0 {
		return nil
	}
	_, err := r.rerun(ctx, paths, ids)
	return err
}

// rerun compares the store with the whole log, and gives it back what it lost.
func (r *Recovery) rerun(ctx context.Context, paths []string, doubtful []access.RequestID) (done Recovered, err error) {
	lost, err := r.compare(ctx, paths, doubtful)
	if err != nil {
		return done, err
	}
	done.Log, done.Unknown = lost.log, lost.unknown
	err = r.restore(ctx, lost, &done)
	r.report(done, err)
	return done, err
}

// existing drops folders that have not been made yet.
func existing(paths []string) []string {
	var there []string
	for _, p := range paths {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			there = append(there, p)
		}
	}
	return there
}

// kept tells whether the store has everything that the lines after since tell of, so that it is only their number that it
// does not know: the process was killed between writing and saying so.
func (r *Recovery) kept(ctx context.Context, paths []string, since audit.Head) (bool, error) {
	late := newTraces(nil)
	found, err := audit.Replay(paths, since, late.addAny)
	if errors.Is(err, errTooMany) {
		return false, nil
	}
	if err != nil || !found.Found {
		return false, err
	}
	for id, t := range late.byID {
		have, err := r.stored(ctx, id)
		if err != nil || t.lacking(have) {
			return false, err
		}
	}
	return true, nil
}

// storedAs is what the store has of a request; the zero one where it has nothing.
type storedAs struct {
	version int64
	state   access.State
}

func (r *Recovery) stored(ctx context.Context, id access.RequestID) (storedAs, error) {
	rec, err := r.cfg.Store.Get(ctx, id)
	if errors.Is(err, access.ErrNotFound) || errors.Is(err, ErrForged) {
		return storedAs{}, nil
	}
	if err != nil {
		return storedAs{}, fmt.Errorf("look what the store has of %s: %w", id, err)
	}
	return storedAs{rec.Version, rec.State}, nil
}

// open lists what is open in the store.
func (r *Recovery) open(ctx context.Context) (map[access.RequestID]storedAs, error) {
	open := map[access.RequestID]storedAs{}
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := r.cfg.Store.List(ctx, Query{Open: true, Cursor: cursor, Limit: 1000})
		if err != nil {
			return nil, fmt.Errorf("list what is open in the store: %w", err)
		}
		for _, rec := range page {
			open[rec.ID] = storedAs{rec.Version, rec.State}
		}
		cursor = next
	}
	return open, nil
}

// losses is what the store has lost.
type losses struct {
	traces  *traces
	lost    []loss
	unknown []access.RequestID
	log     audit.Replayed
}

// loss is a request that the store has not as the log has it.
type loss struct {
	id  access.RequestID
	had storedAs
}

// atOnce is how many requests are asked for and restored side by side.
const atOnce = 32

// compare reads the whole log and finds what the store has lost. Nothing is written.
func (r *Recovery) compare(ctx context.Context, paths []string, doubtful []access.RequestID) (losses, error) {
	open, err := r.open(ctx)
	if err != nil {
		return losses{}, err
	}
	for _, id := range doubtful {
		if open[id], err = r.stored(ctx, id); err != nil {
			return losses{}, err
		}
	}
	l := losses{traces: newTraces(open)}
	if l.log, err = audit.Replay(paths, audit.Head{}, l.traces.add); err != nil {
		return losses{}, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for id, t := range l.traces.byID {
		g.Go(func() error {
			had, known := open[id]
			if !known {
				var err error
				if had, err = r.stored(ctx, id); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case !t.lacking(had):
			case t.schema > access.Schema:
				return fmt.Errorf("the audit log has %s in schema %d, and this program knows up to %d: run the version of Elevate that wrote it, or a newer one; nothing was restored",
					id, t.schema, access.Schema)
			case t.schema == 0 && had.version == 0:
				l.unknown = append(l.unknown, id)
			default:
				l.lost = append(l.lost, loss{id, had})
			}
			return nil
		})
	}
	return l, g.Wait()
}

// restore gives the store back what it lost.
func (r *Recovery) restore(ctx context.Context, l losses, done *Recovered) error {
	var mu sync.Mutex
	var failed atomic.Int64
	var first error
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, lost := range l.lost {
		g.Go(func() error {
			t, err := r.rebuild(ctx, lost, l.traces)
			restored := err == nil
			if restored && !r.cfg.DryRun {
				restored, err = r.cfg.Store.Restore(ctx, t)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errUnknown):
				done.Unknown = append(done.Unknown, lost.id)
			case err != nil:
				failed.Add(1)
				first = err
			case restored:
				done.Restored++
				if t.Record.State.MayHold() {
					done.Live++
				}
				r.cfg.Tell(Restoration{t.Record, lost.had.version})
			}
			return nil // the others are restored all the same
		})
	}
	_ = g.Wait() // its functions give none
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d requests could not be restored: %w", n, len(l.lost), first)
	}
	return nil
}

// report tells the operators' log what was found and done, in one line each.
func (r *Recovery) report(done Recovered, err error) {
	for _, p := range done.Log.Problems {
		r.log.Error("the audit log is not what was written; what can be read of it is restored. Run elevate audit verify", "problem", p.String())
	}
	if done.Log.Missing > 0 {
		r.log.Warn("not all of the audit log is here: what stands only in other replicas' folders is for them to restore, and what was archived is not needed",
			"lines", done.Log.Lines, "missing", done.Log.Missing)
	}
	if n := len(done.Unknown); n > 0 {
		r.log.Error("requests are open by the audit log, which does not say what they are; the comparison with the targets finds what they left",
			"requests", n, "such_as", done.Unknown[0])
	}
	if done.Restored > 0 && !r.cfg.DryRun {
		r.log.Error("THE STORE HAD LOST STATE, and was given it back from the audit log", "restored", done.Restored, "live", done.Live, "lines", done.Log.Lines)
	} else if err == nil {
		r.log.Info("the store has all that the audit log has", "lines", done.Log.Lines)
	}
}
