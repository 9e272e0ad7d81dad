package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// expiring is a target that ends access by itself, a minute after it was told to.
type expiring struct {
	connectors.Connector
	mu   sync.Mutex
	ends map[access.RequestID]time.Time
	ill  error
	deaf bool // answers, and keeps the end that it has
}

func (e *expiring) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{NativeExpiry: true}
}

func (e *expiring) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	r, err := e.Connector.Activate(ctx, g)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil && g.Extensions > 0 && e.ill != nil {
		err = e.ill
	}
	if err != nil {
		return r, err
	}
	if e.ends[g.ID].IsZero() || !e.deaf {
		e.ends[g.ID] = g.End.Add(time.Minute)
	}
	r.NativeEnd = e.ends[g.ID]
	return r, nil
}

func (e *expiring) is(ill error, deaf bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ill, e.deaf = ill, deaf
}

func (e *expiring) end(id access.RequestID) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ends[id]
}

func expiringWorld(t *testing.T) (*world, *expiring) {
	e := &expiring{ends: map[access.RequestID]time.Time{}}
	w := newWorld(t, func(c *workflows.Config) {
		e.Connector = c.Connectors["db"]
		c.Connectors["db"] = e
	})
	w.run()
	return w, e
}

func extend(t *testing.T, w *world, id access.RequestID) *access.Record {
	t.Helper()
	rec, err := w.service.Extend(t.Context(), by("ana"), id, time.Hour, access.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestATargetThatEndsAccessByItselfIsToldOfALaterEnd(t *testing.T) {
	t.Parallel()
	w, e := expiringWorld(t)
	rec := w.active("ana", "db-admin")
	later := extend(t, w, rec.ID)
	w.eventually("the target ends it later", func() bool { return e.end(rec.ID).Equal(later.EndsAt.Add(time.Minute)) })
	w.eventually("that is on record", func() bool { return w.get(rec.ID).NextTry.IsZero() })
	if got := w.get(rec.ID); got.State != access.Active || !got.Receipt.NativeEnd.Equal(later.EndsAt.Add(time.Minute)) || !got.EndsAt.Equal(later.EndsAt) {
		t.Errorf("after the extension the record is %+v", got)
	}
	w.clock.Advance(later.EndsAt.Sub(w.clock.Now()))
	if ended := w.reaches(rec.ID, access.Ended); ended.Removal.Was != access.Removed {
		t.Errorf("it ended with %+v", ended.Removal)
	}
}

func TestALaterEndIsToldUntilTheTargetTakesIt(t *testing.T) {
	t.Parallel()
	for name, ill := range map[string]struct {
		err  error
		deaf bool
	}{
		"no answer":              {err: errors.New("connection reset")},
		"refused":                {err: &connectors.Error{Kind: connectors.Denied, Op: "prolong"}},
		"keeps the end it knows": {deaf: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, e := expiringWorld(t)
			rec := w.active("ana", "db-admin")
			e.is(ill.err, ill.deaf)
			later := extend(t, w, rec.ID)
			w.eventually("the first try is on record", func() bool { return w.get(rec.ID).Attempts == 1 })
			if got := w.get(rec.ID); got.State != access.Active || got.LastError == "" {
				t.Errorf("after a try that failed the record is %+v", got)
			}
			e.is(nil, false)
			w.clock.Advance(10 * time.Second)
			w.eventually("the target ends it later", func() bool { return e.end(rec.ID).Equal(later.EndsAt.Add(time.Minute)) })
			w.eventually("that is on record", func() bool { return w.get(rec.ID).Attempts == 0 && w.get(rec.ID).LastError == "" })
		})
	}
}

// Whatever becomes of the later end at the target, ours comes.
func TestAnEndComesAlsoWhereTheTargetNeverTookALaterOne(t *testing.T) {
	t.Parallel()
	w, e := expiringWorld(t)
	rec := w.active("ana", "db-admin")
	e.is(errors.New("connection reset"), false)
	later := extend(t, w, rec.ID)
	w.eventually("the first try is on record", func() bool { return w.get(rec.ID).Attempts == 1 })
	w.clock.Advance(later.EndsAt.Sub(w.clock.Now()))
	if ended := w.reaches(rec.ID, access.Ended); ended.Removal.Was != access.Removed {
		t.Errorf("it ended with %+v", ended.Removal)
	}
	if n := len(w.db.Entries()); n != 0 {
		t.Errorf("the target has %d entries", n)
	}
}
