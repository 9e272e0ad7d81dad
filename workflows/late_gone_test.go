package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// losing is a store that loses a request, until it is given back.
type losing struct {
	workflows.Store
	mu    sync.Mutex
	lost  access.RequestID
	asked int // for what is lost
}

func (l *losing) lose(id access.RequestID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = id
}

func (l *losing) misses(id access.RequestID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost == id
}

func (l *losing) looks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

func (l *losing) Get(ctx context.Context, id access.RequestID) (*access.Record, error) {
	if l.misses(id) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked++
		return nil, fmt.Errorf("request %s: %w", id, access.ErrNotFound)
	}
	return l.Store.Get(ctx, id)
}

func (l *losing) Claim(ctx context.Context, lane workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	claims, next, err := l.Store.Claim(ctx, lane, limit, lease)
	return slices.DeleteFunc(claims, func(c workflows.Claim) bool { return l.misses(c.Request) }), next, err
}

func (l *losing) Take(ctx context.Context, t workflows.Transition) error {
	if l.misses(t.Record.ID) {
		return workflows.ErrStale
	}
	return l.Store.Take(ctx, t)
}

func (l *losing) Sharing(ctx context.Context, right string) ([]*access.Record, error) {
	records, err := l.Store.Sharing(ctx, right)
	return slices.DeleteFunc(records, func(r *access.Record) bool { return l.misses(r.ID) }), err
}

// lostWhileGiven is a world in which a request is gone from the store while its target gives it.
func lostWhileGiven(t *testing.T, recovered time.Duration) (*world, *losing, *scripted, *access.Record) {
	t.Helper()
	store := &losing{}
	w := newWorld(t, func(c *workflows.Config) { store.Store, c.Store = c.Store, store })
	called, resume := make(chan struct{}, 10), make(chan struct{})
	slow := &scripted{connector: w.connector(w.db), activate: func(context.Context) error {
		called <- struct{}{}
		<-resume
		return nil
	}}
	w.with("db", slow)
	w.runner.Recovered = recovered
	w.run()
	rec := w.submit("ana", "db-admin")
	w.approve("lea", rec.ID)
	<-called
	store.lose(rec.ID)
	close(resume)
	return w, store, slow, rec
}

func TestALateActivationWhoseRequestComesBackIsNotUndone(t *testing.T) {
	t.Parallel()
	w, store, slow, rec := lostWhileGiven(t, time.Hour)
	w.eventually("it is looked for again", func() bool { return store.looks() > 1 })
	store.lose("")
	w.reaches(rec.ID, access.Active)
	if n := slow.deactivations(); n != 0 || !w.db.Holds("ana", "db-admin") {
		t.Errorf("it was taken back %d times; held: %v", n, w.db.Holds("ana", "db-admin"))
	}
}

func TestALateActivationWhoseRequestIsGoneForGoodIsUndone(t *testing.T) {
	t.Parallel()
	w, _, _, rec := lostWhileGiven(t, time.Millisecond)
	w.eventually("that is on record", func() bool {
		return slices.ContainsFunc(w.events(rec.ID), func(e audit.Event) bool { return e.Kind == audit.Undone })
	})
	if w.db.Holds("ana", "db-admin") {
		t.Error("nobody accounts for the access, and it is there")
	}
}
