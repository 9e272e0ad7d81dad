package workflows_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// lateRemoval holds the first deactivation up on its way to the target.
type lateRemoval struct {
	connectors.Connector
	called          atomic.Bool
	paused, resumed chan struct{}
}

func (l *lateRemoval) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	if l.called.CompareAndSwap(false, true) {
		close(l.paused)
		<-l.resumed
	}
	return l.Connector.Deactivate(context.WithoutCancel(ctx), g, r)
}

// A process is paused while it takes a right away, until the same person has been given it by another grant. When the call
// arrives after that, whoever was told to have access has it again.
func TestAccessThatALateDeactivationTookIsGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &lateRemoval{Connector: w.connector(w.db), paused: make(chan struct{}), resumed: make(chan struct{})}
	w.with("db", target)
	resume := sync.OnceFunc(func() { close(target.resumed) })
	t.Cleanup(resume)
	w.runner.Lease = time.Minute
	w.run()
	w.active("ana", "db-admin")
	w.clock.Advance(time.Hour)
	<-target.paused
	next := w.submit("ana", "db-admin-oncall")
	w.approve("lea", next.ID)
	w.reaches(next.ID, access.Activating)
	w.clock.Advance(2 * time.Minute) // the lease is lost
	w.reaches(next.ID, access.Active)
	resume()
	w.eventually("the access is given again", func() bool { return w.db.Holds("ana", "db-admin") })
	w.eventually("that is on record", func() bool {
		for _, e := range w.events(next.ID) {
			if e.Kind == audit.GivenAgain {
				return true
			}
		}
		return false
	})
	w.clock.Advance(2 * time.Hour)
	w.reaches(next.ID, access.Ended)
	if w.db.Holds("ana", "db-admin") {
		t.Error("after the last end the right is still held")
	}
}
