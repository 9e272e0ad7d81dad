package workflows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// keptAnchors is how long a request that is over stays known: longer than anything that it gave could still be of use.
const keptAnchors = 7 * 24 * time.Hour

// Anchors are the newest versions of requests that this replica knows of: of what it wrote, what it read, and what the
// audit log tells. A good mark says that Elevate wrote a record, and not that it wrote nothing since; a record that is
// older than its anchor was put back by somebody. It is safe for concurrent use.
type Anchors struct {
	now    func() time.Time
	mu     sync.Mutex
	newest map[access.RequestID]anchor
}

type anchor struct {
	version int64
	over    int64 // since when, Unix s; zero: it is not
}

// NewAnchors makes Anchors that know nothing. The clock is asked when a request was over.
func NewAnchors(now func() time.Time) *Anchors {
	return &Anchors{now: now, newest: map[access.RequestID]anchor{}}
}

// Read has the anchors know what the audit log in a folder tells of requests, from the files that were written to lately.
// A folder that has not been made yet tells nothing.
func (a *Anchors) Read(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the newest versions of requests: %w", err)
	}
	var paths []string
	for _, f := range files {
		if info, err := f.Info(); err == nil && filepath.Ext(f.Name()) == ".jsonl" && a.now().Sub(info.ModTime()) < keptAnchors {
			paths = append(paths, filepath.Join(dir, f.Name()))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	_, err = audit.Replay(paths, audit.Head{}, func(e audit.Entry) error {
		a.note(e.Request, e.Version, e.To, e.At)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the newest versions of requests: %w", err)
	}
	a.prune()
	return nil
}

// note knows a version, unless a later one is known: false.
func (a *Anchors) note(id access.RequestID, version int64, s access.State, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := a.newest[id]
	if version < have.version {
		return false
	}
	if version > have.version {
		n := anchor{version: version}
		if s.Terminal() {
			n.over = at.Unix()
		}
		a.newest[id] = n
	}
	return true
}

// forget has a request be what the store says next.
func (a *Anchors) forget(id access.RequestID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.newest, id)
}

// prune forgets what has long been over.
func (a *Anchors) prune() {
	before := a.now().Add(-keptAnchors).Unix()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, n := range a.newest {
		if n.over != 0 && n.over < before {
			delete(a.newest, id)
		}
	}
}

// Anchored gives a store that believes no record older than its anchor, and tells doubt of each. Where one record was
// asked for, the error is ErrForged (wrapped); lists and claims go on without it.
func Anchored(store Store, a *Anchors, doubt func(access.RequestID)) Store {
	return &anchored{Store: store, anchors: a, doubt: doubt}
}

type anchored struct {
	Store
	anchors *Anchors
	doubt   func(access.RequestID)
}

// believes tells whether a record is as new as any that is known.
func (s *anchored) believes(r *access.Record) bool {
	if s.anchors.note(r.ID, r.Version, r.State, s.anchors.now()) {
		return true
	}
	s.doubt(r.ID)
	return false
}

func (s *anchored) Get(ctx context.Context, id access.RequestID) (*access.Record, error) {
	r, err := s.Store.Get(ctx, id)
	if err == nil && !s.believes(r) {
		return nil, fmt.Errorf("request %s is in version %d again: %w", id, r.Version, ErrForged)
	}
	return r, err
}

func (s *anchored) List(ctx context.Context, q Query) ([]*access.Record, string, error) {
	records, next, err := s.Store.List(ctx, q)
	return s.believed(records), next, err
}

func (s *anchored) Sharing(ctx context.Context, right string) ([]*access.Record, error) {
	records, err := s.Store.Sharing(ctx, right)
	return s.believed(records), err
}

func (s *anchored) believed(records []*access.Record) []*access.Record {
	kept := records[:0]
	for _, r := range records {
		if s.believes(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// Claim leaves a timer of a record that is not believed to its lease: by then the record has been put right.
func (s *anchored) Claim(ctx context.Context, l Lane, limit int, lease time.Duration) ([]Claim, time.Time, error) {
	claims, next, err := s.Store.Claim(ctx, l, limit, lease)
	kept := claims[:0]
	for _, c := range claims {
		if s.believes(c.Record) {
			kept = append(kept, c)
		}
	}
	return kept, next, err
}

func (s *anchored) Take(ctx context.Context, t Transition) error {
	err := s.Store.Take(ctx, t)
	if err == nil {
		s.anchors.note(t.Record.ID, t.Record.Version, t.Record.State, s.anchors.now())
	}
	return err
}
