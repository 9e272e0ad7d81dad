package workflows

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// longestDoubt bounds how long timers wait to be vouched for: an audit log that cannot be read must not keep access from
// ending.
const longestDoubt = 10 * time.Second

// lateBy is how much earlier than possible a timer may seem to be due, for clocks to differ and for arrows to overlap.
const lateBy = 2 * time.Second

// Vouched gives a store whose timers are handed out only by a store that is known to be what it was. Redis may come back
// as an older copy of itself, in which grants that have ended are due, and ends that were moved are not; recovery
// notices within a second, but a timer needs a millisecond. So timers that cannot be due at last by what the lane looked
// like before, and the first after the store did not answer, wait for confirm, which returns when somebody has looked.
// On a healthy store nothing waits.
func Vouched(store Store, confirm func(context.Context) error, now func() time.Time, log *slog.Logger) Store {
	return &vouched{Store: store, confirm: confirm, now: now, log: log, lanes: map[Lane]*vouchedLane{}}
}

type vouched struct {
	Store
	confirm func(context.Context) error
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	lanes map[Lane]*vouchedLane
	// trusting is until when nothing is doubted, because nobody could look lately.
	trusting time.Time
}

// vouchedLane is what is known of a lane.
type vouchedLane struct {
	// emptied is when nothing that was due was left in it last; zero: what comes may be late.
	emptied time.Time
	// doubted: the store did not answer.
	doubted bool
}

// Claim leases due timers as the store does, but gives those back that somebody has to vouch for first.
func (v *vouched) Claim(ctx context.Context, lane Lane, limit int, lease time.Duration) ([]Claim, time.Time, error) {
	at := v.now()
	claims, next, err := v.Store.Claim(ctx, lane, limit, lease)
	if !v.doubts(lane, claims, err) {
		if err == nil && len(claims) < limit {
			v.know(lane, vouchedLane{emptied: at})
		}
		return claims, next, err
	}
	for _, c := range claims {
		if err := v.Release(ctx, c); err != nil {
			v.log.WarnContext(ctx, "a claim could not be given back; it comes due again when its lease ends", "request_id", c.Request, "err", err)
		}
	}
	wait, cancel := context.WithTimeout(ctx, longestDoubt)
	defer cancel()
	if err := v.confirm(wait); err != nil && ctx.Err() == nil {
		v.trust()
		v.log.ErrorContext(ctx, "timers are late, and nobody can tell whether the store went back to an older copy of itself; going on with it", "lane", lane, "err", err)
	}
	v.know(lane, vouchedLane{})
	return nil, v.now(), ctx.Err()
}

// doubts tells whether claims may be those of an older copy of the store.
func (v *vouched) doubts(lane Lane, claims []Claim, err error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.lanes[lane]
	if l == nil {
		l = &vouchedLane{} // at the start somebody has looked, or could not
		v.lanes[lane] = l
	}
	l.doubted = l.doubted || err != nil
	if v.now().Before(v.trusting) {
		return false
	}
	for _, c := range claims {
		if l.doubted || !l.emptied.IsZero() && c.Due.Before(l.emptied.Add(-lateBy)) {
			return true
		}
	}
	return false
}

// trust has what comes handed out for a while: part of the store may answer while the rest, which looking needs, does not.
func (v *vouched) trust() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trusting = v.now().Add(6 * longestDoubt)
}

func (v *vouched) know(lane Lane, l vouchedLane) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if old := v.lanes[lane]; old != nil && !l.emptied.IsZero() {
		l.doubted = old.doubted // until something was claimed and vouched for
	}
	v.lanes[lane] = &l
}
