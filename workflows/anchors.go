package workflows

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// keptAnchors is how long a request that is over stays known: longer than an older record of it could still be of use. It may
// have been for a start a month ahead, and for a month.
const keptAnchors = farthestStart + 30*24*time.Hour + 7*24*time.Hour

// Anchors are the newest versions of requests that this replica knows of: of what it wrote, what it read, and what the
// audit log tells. A good mark says that Elevate wrote a record, and not that it wrote nothing since; a record that is
// older than its anchor was put back by somebody. It is safe for concurrent use.
type Anchors struct {
	now    func() time.Time
	mu     sync.Mutex
	newest byID[anchor]
}

// anchor is small, because there may be millions.
type anchor struct {
	version uint32 // a request that moved every second would take a hundred years to more
	over    uint32 // since when, Unix s (until 2106); zero: it is not
}

func anchorOf(version int64, s access.State, at time.Time) anchor {
	n := anchor{version: uint32(min(version, math.MaxUint32))}
	if s.Terminal() {
		n.over = uint32(at.Unix())
	}
	return n
}

// NewAnchors makes Anchors that know nothing. The clock is asked when a request was over.
func NewAnchors(now func() time.Time) *Anchors {
	return &Anchors{now: now, newest: newByID[anchor]()}
}

// Lesson has the anchors know what the audit log tells of requests, from the files that were written to lately.
func (a *Anchors) Lesson() audit.Lesson {
	return audit.Lesson{Since: a.now().Add(-keptAnchors), Entry: func(e audit.Entry) { a.note(e.Request, e.Version, e.To, e.At) }}
}

// note knows a version, unless a later one is known: false.
func (a *Anchors) note(id access.RequestID, version int64, s access.State, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := int64(a.newest.get(id).version)
	if version > have {
		a.newest.put(id, anchorOf(version, s, at))
	}
	return version >= have
}

// set has a request's anchor be what the store says now, whatever was known before.
func (a *Anchors) set(r *access.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest.put(r.ID, anchorOf(r.Version, r.State, a.now()))
}

// bury has a request be over, in the version that is known: no older one is believed.
func (a *Anchors) bury(id access.RequestID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.newest.get(id)
	n.over = uint32(a.now().Unix())
	a.newest.put(id, n)
}

// of is the anchor of a request; the zero one where nothing is known.
func (a *Anchors) of(id access.RequestID) anchor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newest.get(id)
}

// lives tells whether a request is known, and not to be over.
func (a *Anchors) lives(id access.RequestID) bool {
	n := a.of(id)
	return n.version > 0 && n.over == 0
}

// live are the requests that are not over as far as is known, with their versions.
func (a *Anchors) live() byID[anchor] {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := a.newest.clone()
	ids.dropIf(func(n anchor) bool { return n.over != 0 })
	return ids
}

// looksAgain is how often a record that seems old is read again: an arrow taken between reading it and comparing it makes
// it seem so.
const looksAgain = 3

// current gives the record, or what it is by now where an arrow was taken meanwhile; nil where it is older than it should
// be, or is not there any more.
func (a *Anchors) current(ctx context.Context, store Requests, r *access.Record) (*access.Record, error) {
	for range looksAgain {
		if a.note(r.ID, r.Version, r.State, a.now()) {
			return r, nil
		}
		again, err := store.Get(ctx, r.ID)
		if errors.Is(err, access.ErrNotFound) || errors.Is(err, ErrForged) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if again.Version == r.Version {
			return nil, nil
		}
		r = again
	}
	return r, nil // it moves all the time
}

// prune forgets what has long been over.
func (a *Anchors) prune() {
	before := uint32(a.now().Add(-keptAnchors).Unix())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest.dropIf(func(n anchor) bool { return n.over != 0 && n.over < before })
}

// Anchored gives a store that believes no record older than its anchor, and tells doubt of each. Where one record was
// asked for, or who shares a right, the error is ErrForged (wrapped); lists go on without it, and so do claims. Nothing is
// held back for longer than it takes to put a record right: access must end. While unknown tells why the anchors may not
// be the newest, the store takes nothing but what ends access, or a request.
func Anchored(store Store, a *Anchors, unknown func() error, doubt func(access.RequestID)) Store {
	return &anchored{Store: store, anchors: a, unknown: unknown, doubt: doubt, since: map[access.RequestID]time.Time{}}
}

type anchored struct {
	Store
	anchors *Anchors
	unknown func() error
	doubt   func(access.RequestID)

	mu    sync.Mutex
	since map[access.RequestID]time.Time // that a request is doubted
}

// believed gives a record as it is now; nil where it is doubted.
func (s *anchored) believed(ctx context.Context, r *access.Record) (*access.Record, error) {
	now, err := s.anchors.current(ctx, s.Store, r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now != nil {
		delete(s.since, r.ID)
		return now, nil
	}
	if s.since[r.ID].IsZero() {
		s.since[r.ID] = s.anchors.now()
	}
	s.doubt(r.ID)
	return nil, nil
}

// long tells whether a request has been doubted for longer than it should take to put it right.
func (s *anchored) long(id access.RequestID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.since[id]
	return !since.IsZero() && s.anchors.now().Sub(since) > longestDoubt
}

func (s *anchored) Get(ctx context.Context, id access.RequestID) (*access.Record, error) {
	r, err := s.Store.Get(ctx, id)
	if err != nil {
		return r, err
	}
	now, err := s.believed(ctx, r)
	if err == nil && now == nil {
		err = fmt.Errorf("request %s is in version %d again: %w", id, r.Version, ErrForged)
	}
	return now, err
}

func (s *anchored) List(ctx context.Context, q Query) ([]*access.Record, string, error) {
	records, next, err := s.Store.List(ctx, q)
	if err != nil {
		return nil, "", err
	}
	kept := records[:0]
	for _, r := range records {
		now, err := s.believed(ctx, r)
		if err != nil {
			return nil, "", err
		}
		if now != nil {
			kept = append(kept, r)
		}
	}
	return kept, next, nil
}

func (s *anchored) Sharing(ctx context.Context, right string) ([]*access.Record, error) {
	records, err := s.Store.Sharing(ctx, right)
	if err != nil {
		return nil, err
	}
	kept := records[:0]
	for _, r := range records {
		now, err := s.believed(ctx, r)
		switch {
		case err != nil:
			return nil, err
		case now != nil && now.State.MayHold():
			kept = append(kept, now)
		case now == nil && !s.long(r.ID):
			return nil, fmt.Errorf("request %s is in version %d again: %w", r.ID, r.Version, ErrForged)
		}
	}
	return kept, nil
}

// Claim leaves a timer of a record that is doubted to its lease: by then the record has been put right. What ends access
// does not wait for that any longer than longestDoubt. While the newest versions are not known, nothing else is worked.
func (s *anchored) Claim(ctx context.Context, l Lane, limit int, lease time.Duration) ([]Claim, time.Time, error) {
	claims, next, err := s.Store.Claim(ctx, l, limit, lease)
	blind := s.unknown() != nil
	kept := claims[:0]
	for _, c := range claims {
		now, unread := s.believed(ctx, c.Record)
		ends := c.Timer == access.TimerEnd || c.Timer == access.TimerDeactivate
		if now != nil && (!blind || ends || c.Timer == access.TimerOverdue) || ends && (unread != nil || s.long(c.Request)) {
			kept = append(kept, c)
		}
	}
	return kept, next, err
}

// Take takes an arrow. While the newest versions are not known, only those that end something, or begin it: an older record
// that somebody has put back would otherwise move on, until it is newer than its anchor.
func (s *anchored) Take(ctx context.Context, t Transition) error {
	begins, ends := t.From == access.None, t.Record.State.Terminal() || t.Record.State == access.Deactivating
	if err := s.unknown(); err != nil && !begins && !ends {
		return NotKnown(err, "whether this request is what it was", "It can be denied, cancelled or ended.")
	}
	err := s.Store.Take(ctx, t)
	if err == nil {
		s.anchors.note(t.Record.ID, t.Record.Version, t.Record.State, s.anchors.now())
	}
	return err
}

// NotKnown refuses what rests on something that only the audit log could tell, which err says why it does not. The text
// names what that is, and ends with what is left to do.
func NotKnown(err error, what, rest string) *access.Refusal {
	r := &access.Refusal{Kind: access.ErrUnavailable, Code: "audit_unreadable", Err: err, Text: "Elevate cannot read its audit log, so it cannot tell " +
		what + ", and nothing was done. Please tell whoever looks after Elevate. " + rest}
	if errors.Is(err, audit.ErrReading) {
		r.Code, r.Text = "audit_reading", "Elevate has just started and is still reading its audit log; try again in a moment. Nothing was done. "+rest
	}
	return r
}
