package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// freePort gives a port that nobody listens at, low enough for a cluster's bus 10,000 above it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if port < 55000 {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func listening(t testing.TB, args ...string) (*storagetest.Redis, int) {
	t.Helper()
	port := freePort(t)
	return storagetest.StartRedis(t, append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1"}, args...)...), port
}

func client(t testing.TB, r *storagetest.Redis) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.Socket(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// startCluster gives the URL of a cluster of three masters.
func startCluster(t testing.TB) string {
	t.Helper()
	var ports []string
	var nodes []*goredis.Client
	for i := range 3 {
		r, port := listening(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000")
		nodes = append(nodes, client(t, r))
		ports = append(ports, fmt.Sprintf("127.0.0.1:%d", port))
		first, last := i*16384/3, (i+1)*16384/3-1
		if err := nodes[i].ClusterAddSlotsRange(t.Context(), first, last).Err(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if err := nodes[0].ClusterMeet(t.Context(), "127.0.0.1", strconv.Itoa(port)).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	storagetest.Eventually(t, "the cluster forms", func() bool {
		for _, n := range nodes {
			info := n.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return "redis+cluster://" + strings.Join(ports, ",")
}

// approved stores a request that is ready to be armed.
func approved(t testing.TB, s *redis.Store) *access.Record {
	t.Helper()
	now := time.Now()
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(time.Hour),
		Request: access.Request{Requester: "ana", Person: "ana", Account: "ana", SubmittedAt: now, Duration: time.Hour,
			Role: access.Role{ID: "db-admin", Connector: "pg"}}}
	r.ID = s.NewID(now, r.Right())
	take(t, s, access.Submit, access.None, r)
	next := *r
	next.State, next.Version, next.ApprovedAt, next.StartBy = access.Approved, 2, now, now.Add(time.Hour)
	next.Decisions = []access.Decision{{Verdict: access.Approve, By: access.Actor{Person: "bob"}, At: now}}
	take(t, s, access.Accept, access.Pending, &next)
	return &next
}

func transition(a access.Arrow, from access.State, r *access.Record) workflows.Transition {
	return workflows.Transition{Arrow: a, From: from, Record: r, Event: audit.Event{Kind: string(a), Request: r.ID, At: time.Now()},
		Notes: []workflows.Note{{Kind: workflows.NoteKind(a), At: time.Now()}}}
}

func take(t testing.TB, s *redis.Store, a access.Arrow, from access.State, r *access.Record) {
	t.Helper()
	if err := s.Take(t.Context(), transition(a, from, r)); err != nil {
		t.Fatal(err)
	}
}

func armed(r *access.Record) *access.Record {
	next := *r
	next.State, next.Version, next.NextTry, next.EndsAt = access.Activating, r.Version+1, time.Now(), time.Now().Add(time.Hour)
	return &next
}

func TestArmWaitsForReplicas(t *testing.T) {
	t.Parallel()
	master, port := listening(t)
	s := open(t, redis.Config{URL: master.URL(), Wait: redis.Wait{Replicas: 1, AOF: true, Timeout: 100 * time.Millisecond}})
	r := approved(t, s)
	if err := s.Take(t.Context(), transition(access.Arm, access.Approved, armed(r))); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("arming without a replica: %v, want ErrNotDurable", err)
	}
	if got, err := s.Get(t.Context(), r.ID); err != nil || got.State != access.Activating {
		t.Errorf("what was armed is there to be ended by its timer: %v, %v", got, err)
	}
	if err := s.Safe(t.Context()); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("safe without a replica: %v, want ErrNotDurable", err)
	}

	replica, _ := listening(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", port))
	storagetest.Eventually(t, "the replica follows", func() bool {
		return strings.Contains(client(t, replica).Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	storagetest.Eventually(t, "it is safe", func() bool { return s.Safe(t.Context()) == nil })
	if st, err := s.Status(t.Context()); err != nil || st.Class != redis.Replicated {
		t.Errorf("status: %+v, %v", st, err)
	}
	r = approved(t, s)
	take(t, s, access.Arm, access.Approved, armed(r))
	id := string(r.ID)
	if n, err := client(t, replica).Exists(t.Context(), key(t, s, "r:"+id)).Result(); err != nil || n != 1 {
		t.Errorf("the armed request is not at the replica: %d, %v", n, err)
	}
}

// key finds the one key that ends so.
func key(t testing.TB, s *redis.Store, suffix string) string {
	t.Helper()
	keys, err := s.Client().Keys(t.Context(), "*}:"+suffix).Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys that end in %s: %v, %v", suffix, keys, err)
	}
	return keys[0]
}

// A repeated arm must wait for its replicas too, though it writes nothing new.
func TestRepeatedArmWaitsToo(t *testing.T) {
	t.Parallel()
	master, _ := listening(t)
	s := open(t, redis.Config{URL: master.URL(), Wait: redis.Wait{Replicas: 1, Timeout: 50 * time.Millisecond}})
	s.RunTwice()
	r := approved(t, s)
	if err := s.Take(t.Context(), transition(access.Arm, access.Approved, armed(r))); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("arming without a replica: %v, want ErrNotDurable", err)
	}
}

func TestClusterArmsWithWait(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: startCluster(t), Wait: redis.Wait{AOF: true}})
	if err := s.Safe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r := approved(t, s)
		take(t, s, access.Arm, access.Approved, armed(r))
	}
	short := open(t, redis.Config{URL: startCluster(t), Wait: redis.Wait{Replicas: 1, Timeout: 50 * time.Millisecond}})
	r := approved(t, short)
	if err := short.Take(t.Context(), transition(access.Arm, access.Approved, armed(r))); !errors.Is(err, redis.ErrNotDurable) {
		t.Errorf("arming without a replica: %v, want ErrNotDurable", err)
	}
}

func TestSentinelLeadsToTheMaster(t *testing.T) {
	t.Parallel()
	_, port := listening(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	sentinel := freePort(t)
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n", sentinel, dir, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it was only asked the way
		_ = cmd.Wait()
	})
	var s *redis.Store
	storagetest.Eventually(t, "the sentinel answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		s, err = redis.Open(ctx, redis.Config{URL: fmt.Sprintf("redis+sentinel://127.0.0.1:1,127.0.0.1:%d/2?master_name=main", sentinel)})
		return err == nil
	})
	t.Cleanup(func() { _ = s.Close() })
	r := approved(t, s)
	if err := s.Safe(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := s.Get(t.Context(), r.ID); err != nil || got.State != access.Approved {
		t.Errorf("got %v, %v", got, err)
	}
}
