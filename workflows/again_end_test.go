package workflows_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// unwilling is a target that answers with an error once it was told to.
type unwilling struct {
	*lateRemoval
	answer atomic.Pointer[connectors.Error]
	asked  atomic.Int32
}

func (u *unwilling) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	if e := u.answer.Load(); e != nil {
		u.asked.Add(1)
		return access.Receipt{}, e
	}
	return u.lateRemoval.Activate(ctx, g)
}

// Giving again keeps a worker of the endings: it is not done for ever, and where the target says no, once.
func TestAccessIsNotGivenAgainForEver(t *testing.T) {
	t.Parallel()
	for kind, want := range map[connectors.Kind]int32{connectors.Denied: 1, connectors.Unavailable: 6} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := bubbled(t)
				target := &unwilling{lateRemoval: &lateRemoval{Connector: w.connector(w.db), paused: make(chan struct{}), resumed: make(chan struct{})}}
				w.with("db", target)
				w.run()
				w.quick("db-admin", 30*time.Minute)
				<-target.paused
				time.Sleep(time.Minute) // the lease is lost, and another has ended it
				next := w.quick("db-admin-oncall", 2*time.Hour)
				target.answer.Store(&connectors.Error{Kind: kind, Op: "give", Err: errors.New("not now")})
				close(target.resumed)
				time.Sleep(time.Hour)
				if got := target.asked.Load(); got != want {
					t.Errorf("asked %d times to give it again, want %d", got, want)
				}
				if now := w.get(next); now.State != access.Active {
					t.Errorf("the grant is %s", now.State)
				}
			})
		})
	}
}
