package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Claim leases due timers of all shards, beginning at another one each time. Where a shard fails, what the others gave
// is returned, and the error only where none gave any.
func (s *Store) Claim(ctx context.Context, l workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	var claims []workflows.Claim
	next, err := s.sweep(ctx, "due:"+string(l), limit, func(shard, quota int) call {
		base := s.keys.base(shard)
		exclusive := ""
		if connectorOf(l) != "" {
			exclusive = "1"
		}
		return call{script: "claim", keys: []string{lane(base, l), base + "claims", base + "fences"},
			args: []any{base, s.clocks.caller(), millis(lease), quota, exclusive}}
	}, func(item any) error {
		c, err := s.readClaim(item)
		if err != nil {
			return err
		}
		c.Lane = l
		claims = append(claims, c)
		return nil
	})
	slices.SortStableFunc(claims, func(a, b workflows.Claim) int { return a.Due.Compare(b.Due) })
	if err != nil && len(claims) == 0 {
		return nil, time.Time{}, fmt.Errorf("redis: %w", err)
	}
	return claims, next, nil
}

// connectorOf is the connector whose calls wait in a lane; "" for the lane of the clock.
func connectorOf(l workflows.Lane) string {
	for _, prefix := range []workflows.Lane{workflows.ActivateLane(""), workflows.DeactivateLane("")} {
		if name, ok := strings.CutPrefix(string(l), string(prefix)); ok {
			return name
		}
	}
	return ""
}

func (s *Store) readClaim(item any) (workflows.Claim, error) {
	f, err := texts(item)
	if err != nil || len(f) != 6 {
		return workflows.Claim{}, errors.Join(err, errors.New("not a claim"))
	}
	due, err := atMillis(f[2])
	if err != nil {
		return workflows.Claim{}, err
	}
	fence, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return workflows.Claim{}, fmt.Errorf("fence of %s: %w", f[0], err)
	}
	r, err := s.decode(access.RequestID(f[0]), f[4])
	if err != nil {
		return workflows.Claim{}, err
	}
	// The script goes by a text that nobody vouches for.
	if at, armed := r.Due()[access.Timer(f[1])]; s.cfg.Marks != nil && (!armed || late(at) != due.UnixMilli()) {
		s.cfg.Forged(r.ID)
		return workflows.Claim{}, fmt.Errorf("redis: the timer %s of %s, due %s, is not what its record says: %w", f[1], f[0], due, workflows.ErrForged)
	}
	return workflows.Claim{Request: access.RequestID(f[0]), Timer: access.Timer(f[1]), Due: due, Fence: fence, Record: r, Alone: f[5] == "1"}, nil
}

// Renew prolongs a lease.
func (s *Store) Renew(ctx context.Context, c workflows.Claim, lease time.Duration) error {
	base, exclusive := s.keys.of(string(c.Request)), ""
	if connectorOf(c.Lane) != "" {
		exclusive = "1"
	}
	ask := call{script: "renew", keys: []string{s.keys.record(c.Request), lane(base, c.Lane), base + "claims"},
		args: []any{string(c.Timer), string(c.Request), c.Fence, s.clocks.caller(), millis(lease), exclusive}}
	held, err := s.either(ctx, ask, "stale")
	if err == nil && !held {
		err = fmt.Errorf("redis: renew %s of %s: %w", c.Timer, c.Request, workflows.ErrStale)
	}
	return err
}

// Release gives a claim back undone.
func (s *Store) Release(ctx context.Context, c workflows.Claim) error {
	base, connector := s.keys.of(string(c.Request)), connectorOf(c.Lane)
	err := s.done(ctx, call{script: "release",
		keys: []string{s.keys.record(c.Request), lane(base, c.Lane), base + "claims"},
		args: []any{string(c.Timer), string(c.Request), c.Fence, string(c.Lane), connector, base, s.keys.nudges()},
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}
