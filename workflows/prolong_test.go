package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// fixed is a target that ends access by itself a minute after its grant, at an end that stays.
type fixed struct{ connectors.Connector }

func (f fixed) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	r, err := f.Connector.Activate(ctx, g)
	r.NativeEnd = g.End.Add(time.Minute)
	return r, err
}

// movable is one that moves its end, or says why not.
type movable struct {
	fixed
	refuses error
}

func (m *movable) Extend(_ context.Context, g access.Grant) (access.Receipt, error) {
	return access.Receipt{Ref: "moved", NativeEnd: g.End.Add(time.Minute)}, m.refuses
}

func TestExtendingMovesTheTargetsOwnEndToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := &movable{fixed: fixed{w.connector(w.db)}}
	w.with("db", target)
	w.run()
	rec := w.active("ana", "db-admin")
	for kind, want := range map[connectors.Kind]string{
		connectors.Unavailable: "target_unavailable", connectors.TooEarly: "target_unavailable",
		connectors.NotFound: "gone_at_target", connectors.Denied: "target_refused",
	} {
		target.refuses = &connectors.Error{Kind: kind, Op: "move", Err: errors.New("no")}
		_, err := w.service.Extend(t.Context(), by("ana"), rec.ID, time.Hour)
		var refusal *access.Refusal
		if !errors.As(err, &refusal) || refusal.Code != want {
			t.Errorf("after %s: %v, want a refusal with %s", kind, err, want)
		}
	}
	if got := w.get(rec.ID); !got.EndsAt.Equal(rec.EndsAt) {
		t.Errorf("its end was moved to %v although the target's stayed", got.EndsAt)
	}
	target.refuses = nil
	longer, err := w.service.Extend(t.Context(), by("ana"), rec.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if end := rec.EndsAt.Add(time.Hour); !longer.EndsAt.Equal(end) || !w.get(rec.ID).Receipt.NativeEnd.Equal(end.Add(time.Minute)) {
		t.Errorf("it ends at %v, and at the target at %v; want %v", longer.EndsAt, longer.Receipt.NativeEnd, end)
	}
}

func TestWhatTheTargetEndsAtAFixedTimeIsNotExtended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with("db", fixed{w.connector(w.db)})
	w.run()
	rec := w.active("ana", "db-admin")
	_, err := w.service.Extend(t.Context(), by("ana"), rec.ID, time.Hour)
	refusedWith(t, err, access.ErrConflict, "fixed_end")
}

// eligibles is a target that lists, beside holders, who may make himself one.
type eligibles struct{ connectors.Connector }

func (e eligibles) Holders(ctx context.Context, r access.Role) ([]connectors.Holder, error) {
	held, err := e.Connector.Holders(ctx, r)
	return append(held, connectors.Holder{Account: "ana", How: connectors.Eligible}), err
}

// TestTheEligibleAreNoStandingHolders: they hold nothing, so nobody is told that they do.
func TestTheEligibleAreNoStandingHolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.with("db", eligibles{w.connector(w.db)})
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	w.sweepsAgain(m, "db")
	o, err := w.service.Offer(t.Context(), "ana", "db-admin")
	if err != nil || !o.HeldBesides.IsZero() {
		t.Errorf("ana is said to hold the role besides: %v, %v", o.HeldBesides, err)
	}
}
