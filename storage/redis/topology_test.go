package redis_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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

// listening starts a server that listens at a port too.
func listening(t testing.TB, args ...string) (*storagetest.Redis, int) {
	t.Helper()
	n := storagetest.ReservePorts(t).StartListening(args...)
	return n.Redis, n.Port
}

func client(t testing.TB, r *storagetest.Redis) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.Socket(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// fresh is a request that was not submitted yet.
func fresh(s *redis.Store, account string) *access.Record {
	now := time.Now()
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(time.Hour),
		Request: access.Request{Requester: "ana", Person: "ana", Account: account, SubmittedAt: now, Duration: time.Hour,
			Role: access.Role{ID: "db-admin", Connector: "pg"}}}
	r.ID = s.NewID(now, r.Right())
	return r
}

// accepted is a fresh request after bob's approval.
func accepted(r *access.Record) *access.Record {
	next := *r
	next.State, next.Version, next.ApprovedAt, next.StartBy = access.Approved, 2, r.SubmittedAt, r.SubmittedAt.Add(time.Hour)
	next.Decisions = []access.Decision{decision("bob", access.Approve)}
	return &next
}

// approved stores a request that is ready to be armed.
func approved(t testing.TB, s *redis.Store) *access.Record {
	t.Helper()
	r := fresh(s, "ana")
	take(t, s, access.Submit, access.None, r)
	next := accepted(r)
	take(t, s, access.Accept, access.Pending, next)
	return next
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

// What somebody was told to be done waits for the replicas; where there is none it is done all the same, and logged. The
// program's own does not wait, or endings would.
func TestWhatPeopleDoWaitsForReplicasAndIsDoneWithoutThem(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t).URL()
	var log bytes.Buffer
	plain := open(t, redis.Config{URL: url})
	s := open(t, redis.Config{URL: url, Wait: redis.Wait{Replicas: 1, Timeout: 50 * time.Millisecond}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for arrow, way := range map[access.Arrow]struct {
		before []access.Arrow
		to     access.State
	}{
		access.Refuse: {nil, access.Denied},
		access.Cancel: {nil, access.Cancelled},
		access.Undo:   {[]access.Arrow{access.Accept, access.Arm}, access.Deactivating},
		access.End:    {[]access.Arrow{access.Accept, access.Arm, access.Confirm}, access.Deactivating},
		access.Extend: {[]access.Arrow{access.Accept, access.Arm, access.Confirm}, access.Active},
	} {
		for _, who := range []access.PersonID{"ben", access.System} {
			r := fresh(plain, rand.Text())
			r.Auto = who == access.System // it decides by itself
			take(t, plain, access.Submit, access.None, r)
			for _, a := range way.before {
				next := accepted(r)
				if a != access.Accept {
					next = onward(r, a)
				}
				take(t, plain, a, r.State, next)
				r = next
			}
			next := onward(r, arrow)
			next.State = way.to
			switch arrow {
			case access.Refuse:
				next.Decisions = []access.Decision{decision(who, access.Deny)}
			case access.Undo:
				next.NextTry, next.EndingAt = time.Now(), time.Now()
			}
			tr := transition(arrow, r.State, next)
			tr.Event.Actor.Person = who
			log.Reset()
			if err := s.Take(t.Context(), tr); err != nil {
				t.Errorf("%s by %s: %v", arrow, who, err)
			}
			if waited := strings.Contains(log.String(), string(r.ID)); waited != (who != access.System) {
				t.Errorf("%s by %s: waited %v, log %q", arrow, who, waited, &log)
			}
		}
	}
}
