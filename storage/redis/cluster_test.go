package redis_test

import (
	"errors"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows/access"
)

// patientWait is as durable as a replica, on a machine that is busy with other tests.
func patientWait(c *redis.Config) { c.Wait = patiently }

func TestClusterKeepsThePromise(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, onServer(storagetest.StartCluster(t, 3, 1), patientWait))
}

func TestClusterArmsWithWait(t *testing.T) {
	t.Parallel()
	cluster := storagetest.StartCluster(t, 3, 0)
	s := open(t, redis.Config{URL: cluster.URL(), Wait: redis.Wait{AOF: true}})
	if err := s.Safe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r := approved(t, s)
		take(t, s, access.Arm, access.Approved, armed(r))
	}
	short := open(t, redis.Config{URL: cluster.URL(), Wait: redis.Wait{Replicas: 1, Timeout: 50 * time.Millisecond}})
	r := approved(t, short)
	if err := short.Take(t.Context(), transition(access.Arm, access.Approved, armed(r))); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("arming without a replica: %v, want ErrNotDurable", err)
	}
	if err := short.Safe(t.Context()); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("safe without a replica: %v, want ErrNotDurable", err)
	}
}
