package main

import (
	"context"
	"errors"
	"fmt"

	"elevate/storage/redis"
	"elevate/storage/redis/measure"
)

// prefix begins our keys on a server of our own.
const prefix = "bench:"

// ours measures the product on a Redis.
func ours(ctx context.Context, r *redisServer, o options) (_ row, err error) {
	found := row{label: label{System: "elevate", Settings: "default", Fsync: r.fsync, Default: true}, Late: map[int]measure.Spread{}}
	b, err := measure.Open(ctx, measure.Config{Store: redis.Config{URL: r.url(), Prefix: prefix}, Workers: workers,
		Stretch: func(name string) func() {
			if name != "drain" {
				return func() {}
			}
			profiled, counted := o.profiled(ctx, r), found.stretch(o.n, func() float64 { return r.cpu(ctx) })
			return func() {
				counted()
				profiled()
			}
		}})
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	d, err := b.Drain(ctx, o.n)
	if err != nil {
		return found, fmt.Errorf("elevate: drain: %w", err)
	}
	if d.Calls != o.n || d.Early != 0 {
		return found, fmt.Errorf("elevate: drain: %d calls for %d endings, %d of them early", d.Calls, o.n, d.Early)
	}
	found.Enqueue, found.Drain = d.Stored.Endings, d.PerSecond
	fmt.Printf("elevate (%s): %.0f requests and %.0f endings stored per second, %.0f bytes per grant\n", r.fsync, d.Stored.Requests, d.Stored.Endings, d.Bytes)
	for _, n := range o.timers {
		l, err := b.Lateness(ctx, n, o.over)
		if err != nil {
			return found, fmt.Errorf("elevate: lateness: %w", err)
		}
		found.Late[n] = l.Called
	}
	return found, nil
}
