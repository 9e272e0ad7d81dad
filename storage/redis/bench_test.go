package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// pings is the rate at which one client gets pipelined answers from the server, the scale for the other figures.
func pings(b *testing.B, r *storagetest.Redis) float64 {
	b.Helper()
	c := client(b, r)
	const rounds, size = 50, 64
	began := time.Now()
	for range rounds {
		_, err := c.Pipelined(b.Context(), func(p goredis.Pipeliner) error {
			for range size {
				p.Ping(b.Context())
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return rounds * size / time.Since(began).Seconds()
}

// BenchmarkEndings claims due deactivations and closes them, as runners do after an outage: 8 workers, batches of 64.
func BenchmarkEndings(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		b.Run(fsync, func(b *testing.B) {
			r := storagetest.StartRedis(b, "--appendfsync", fsync)
			s := open(b, redis.Config{URL: r.URL(), Prefix: prefix()})
			ping := pings(b, r)
			store(b, s, b.N)
			var closed atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 8 {
				wg.Go(func() { closeAll(b, s, &closed) })
			}
			wg.Wait()
			b.StopTimer()
			if closed.Load() != int64(b.N) {
				b.Fatalf("%d of %d were closed", closed.Load(), b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "endings/s")
			b.ReportMetric(ping, "pings/s")
		})
	}
}

// store makes grants whose deactivation is due.
func store(b *testing.B, s *redis.Store, n int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := ending(b.Context(), s, fmt.Sprintf("p%d", i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func ending(ctx context.Context, s *redis.Store, who string) error {
	now := time.Now().Add(-time.Minute)
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(time.Hour),
		Request: access.Request{Requester: access.PersonID(who), Person: access.PersonID(who), Account: who, SubmittedAt: now, Duration: time.Hour,
			Role: access.Role{ID: "db-admin", Connector: "pg"}, Justification: "INC-4711 fix the replication of the order database"}}
	for taken := true; taken; {
		r.ID = s.NewID(time.Now(), r.Right())
		err := s.Take(ctx, transition(access.Submit, access.None, r))
		if taken = errors.Is(err, workflows.ErrTaken); err != nil && !taken {
			return err
		}
	}
	from := r.State
	next := *r
	for _, a := range []access.Arrow{access.Accept, access.Arm, access.Confirm, access.End} {
		if a == access.Accept {
			next = *accepted(r)
		} else {
			next = *onward(&next, a)
		}
		if err := s.Take(ctx, transition(a, from, &next)); err != nil {
			return err
		}
		from = next.State
	}
	return nil
}

func closeAll(b testing.TB, s *redis.Store, closed *atomic.Int64) {
	for {
		claims, next, err := s.Claim(b.Context(), workflows.DeactivateLane("pg"), 64, time.Minute)
		if err != nil {
			b.Error(err)
			return
		}
		if len(claims) == 0 && (next.IsZero() || next.After(time.Now().Add(time.Second))) {
			return
		}
		var wg sync.WaitGroup
		for _, c := range claims {
			wg.Go(func() {
				t := transition(access.Close, access.Deactivating, onward(c.Record, access.Close))
				t.Claim = &c
				if err := s.Take(b.Context(), t); err != nil {
					b.Error(err)
					return
				}
				closed.Add(1)
			})
		}
		wg.Wait()
	}
}

// BenchmarkIdleClaim asks for work where there is none, as each lane does once a second.
func BenchmarkIdleClaim(b *testing.B) {
	r := storagetest.StartRedis(b)
	s := open(b, redis.Config{URL: r.URL(), Prefix: prefix()})
	for b.Loop() {
		if _, _, err := s.Claim(b.Context(), workflows.Clock, 64, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
