package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

func TestOpenKeepsTheRecordedShards(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t).URL()
	first := open(t, redis.Config{URL: url, Shards: 4})
	r := approved(t, first)
	second := open(t, redis.Config{URL: url, Shards: 64})
	if first.Shards() != 4 || second.Shards() != 4 {
		t.Errorf("shards %d and %d, want 4 for both", first.Shards(), second.Shards())
	}
	if _, err := second.Get(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
	if other := open(t, redis.Config{URL: url, Prefix: "other:"}); other.Shards() != 16 {
		t.Errorf("an empty store has %d shards, want 16", other.Shards())
	}
}

func TestOpenRefusesANewerLayout(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t).URL()
	s := open(t, redis.Config{URL: url})
	for field, value := range map[string]string{"schema": "99", "shards": "0"} {
		if err := s.Client().HSet(t.Context(), "elevate:meta", field, value).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := redis.Open(t.Context(), redis.Config{URL: url}); err == nil {
			t.Errorf("a store with %s %s was opened", field, value)
		}
		if err := s.Client().Del(t.Context(), "elevate:meta").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGetRefusesANewerForm(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	r := approved(t, s)
	k := key(t, s, "r:"+string(r.ID))
	for _, doc := range []string{`{"schema":99}`, `{"schema":`} {
		if err := s.Client().HSet(t.Context(), k, "doc", doc).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), r.ID); err == nil || errors.Is(err, access.ErrNotFound) {
			t.Errorf("get of %s: %v", doc, err)
		}
	}
}

// One request that cannot be read must not hold up the others.
func TestClaimPassesOverWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL(), Shards: 1})
	bad, good := approved(t, s), approved(t, s)
	if err := s.Client().HSet(t.Context(), key(t, s, "r:"+string(bad.ID)), "doc", "{").Err(); err != nil {
		t.Fatal(err)
	}
	var claims []workflows.Claim
	storagetest.Eventually(t, "the timers are due", func() bool {
		got, _, err := s.Claim(t.Context(), workflows.Clock, 10, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, got...)
		return len(claims) > 0
	})
	if len(claims) != 1 || claims[0].Request != good.ID {
		t.Errorf("claims %+v, want that of %s", claims, good.ID)
	}
}

// A timer whose request is gone is no work for anybody.
func TestClaimDropsTimersOfNothing(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL(), Shards: 1})
	r := approved(t, s)
	if err := s.Client().Del(t.Context(), key(t, s, "r:"+string(r.ID))).Err(); err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, "the timers are dropped", func() bool {
		claims, next, err := s.Claim(t.Context(), workflows.Clock, 10, time.Hour)
		if err != nil || len(claims) > 0 {
			t.Fatalf("claims %v, %v", claims, err)
		}
		return next.IsZero() || next.After(time.Now().Add(time.Minute)) // the lapse is for later
	})
}

func TestURLs(t *testing.T) {
	t.Parallel()
	r, port := listening(t, "--requirepass", "s3cret")
	for url, works := range map[string]bool{
		fmt.Sprintf("redis://:s3cret@127.0.0.1:%d/1", port): true,
		"unix://:s3cret@" + r.Socket() + "?db=3":            true,
		fmt.Sprintf("redis://:wr0ng@127.0.0.1:%d", port):    false,
		"":                           false,
		"s3cret":                     false,
		"http://:s3cret@h":           false,
		"redis://:s3cret@h:port":     false,
		"redis://:s3cret%@h":         false,
		"redis://:s3cret@h/x":        false,
		"redis+x://:s3cret@h":        false,
		"redis://:s3cret@h?nope=1":   false,
		"redis+sentinel://:s3cret@h": false,
		fmt.Sprintf("redis+cluster://:s3cret@127.0.0.1:%d", port): false, // it is no cluster
	} {
		patience := time.Second
		if works {
			patience = time.Minute
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s, err := redis.Open(ctx, redis.Config{URL: url})
		cancel()
		if (err == nil) != works {
			t.Errorf("%q: %v", url, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		for _, secret := range []string{"s3cret", "wr0ng"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error for %q tells the password: %v", url, err)
			}
		}
	}
}

func TestConfigProblemsAreNamed(t *testing.T) {
	t.Parallel()
	_, err := redis.Open(t.Context(), redis.Config{Shards: -1, Prefix: "{x}", Wait: redis.Wait{Replicas: -1}})
	for _, key := range []string{"store.url", "store.shards", "store.prefix", "store.wait"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
}

func TestSafeTellsWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		class redis.Class
		word  string // in the error; empty: safe
		warns bool
	}{
		"synced at each write":     {[]string{"--appendfsync", "always"}, redis.Durable, "", false},
		"synced each second":       {nil, redis.Durable, "", true},
		"without append-only file": {[]string{"--appendonly", "no"}, redis.Ephemeral, "appendonly", false},
		"that evicts":              {[]string{"--maxmemory-policy", "allkeys-lru"}, redis.Durable, "noeviction", true},
		"that evicts what ends":    {[]string{"--maxmemory-policy", "volatile-ttl"}, redis.Durable, "noeviction", true},
		"that forbids CONFIG":      {[]string{"--rename-command", "CONFIG", ""}, redis.Durable, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storagetest.StartRedis(t, c.args...).URL()
			s := open(t, redis.Config{URL: url})
			err := s.Safe(t.Context())
			if (err == nil) != (c.word == "") || err != nil && !strings.Contains(err.Error(), c.word) {
				t.Errorf("safe says %v, want %q", err, c.word)
			}
			st, err := s.Status(t.Context())
			if err != nil || st.Class != c.class || (len(st.Warnings) > 0) != c.warns {
				t.Errorf("status %+v, %v; want class %s", st, err, c.class)
			}
			if err := open(t, redis.Config{URL: url, AllowUnsafe: true}).Safe(t.Context()); err != nil {
				t.Errorf("allowed to be unsafe, and still: %v", err)
			}
		})
	}
}

func TestStatusTellsOfClocksApart(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t, "--appendfsync", "always").URL()
	for apart, problem := range map[time.Duration]bool{-time.Minute: true, time.Minute: true, 2 * time.Second: false, -2 * time.Second: false} {
		s := open(t, redis.Config{URL: url, Now: func() time.Time { return time.Now().Add(apart) }})
		st, err := s.Status(t.Context())
		told := slices.Concat(st.Problems, st.Warnings)
		if err != nil || len(told) != 1 || !strings.Contains(told[0], "clock") || (len(st.Problems) == 1) != problem {
			t.Errorf("clocks %s apart: %+v, %v", apart, st, err)
		}
		if err := s.Safe(t.Context()); (err != nil) != problem {
			t.Errorf("clocks %s apart: safe says %v", apart, err)
		}
	}
}

func TestSafeSaysNoWhenItCannotTell(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	s := open(t, redis.Config{URL: r.URL(), AllowUnsafe: true})
	r.Kill()
	if err := s.Safe(t.Context()); err == nil {
		t.Error("a server that is gone is safe")
	}
}

func TestSafeSeesAReplica(t *testing.T) {
	t.Parallel()
	_, port := listening(t)
	r := storagetest.StartRedis(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", port), "--replica-read-only", "no")
	s := open(t, redis.Config{URL: r.URL()})
	if err := s.Safe(t.Context()); err == nil || !strings.Contains(err.Error(), "role") {
		t.Errorf("a replica: %v", err)
	}
}

func TestStatusSeesAStoreThatWasLaidOutAnew(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t).URL()
	s := open(t, redis.Config{URL: url, Shards: 4})
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	open(t, redis.Config{URL: url, Shards: 8})
	if err := s.Safe(t.Context()); err == nil {
		t.Error("a store whose shards changed under it is safe")
	}
}

func TestStatsCount(t *testing.T) {
	t.Parallel()
	now := time.Now().Add(-24 * time.Hour)
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL(), Now: func() time.Time { return now }})
	on, off := workflows.ActivateLane("pg"), workflows.DeactivateLane("pg")
	if st, err := s.Stats(t.Context(), workflows.Clock, on, off); err != nil || st.Open != 0 || st.Lanes[on].Armed != 0 {
		t.Errorf("an empty store: %+v, %v", st, err)
	}
	for range 3 {
		approved(t, s)
	}
	r := approved(t, s)
	for _, a := range []access.Arrow{access.Arm, access.Confirm, access.End} {
		next := onward(r, a)
		next.Overdue = a == access.End
		take(t, s, a, r.State, next)
		r = next
	}
	if _, err := s.Deliver(t.Context(), workflows.Delivery{Chat: "slack", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(25 * time.Hour)
	st, err := s.Stats(t.Context(), workflows.Clock, on, off)
	if err != nil {
		t.Fatal(err)
	}
	if st.Open != 4 || st.Overdue != 1 || st.Events != 2*4+3 {
		t.Errorf("open %d overdue %d events %d", st.Open, st.Overdue, st.Events)
	}
	if l := st.Lanes[workflows.Clock]; l.Armed != 6 || l.Due < 3 || l.Behind <= 0 {
		t.Errorf("clock: %+v", l)
	}
	if l := st.Lanes[off]; l.Armed != 1 || l.Due != 1 {
		t.Errorf("off: %+v", l)
	}
	if q := st.Outbox["teams"]; q.Waiting != 4 || q.Due != 4 {
		t.Errorf("outbox: %+v", q)
	}
	if q := st.Inbox["slack"]; q.Waiting != 1 || q.Due != 1 {
		t.Errorf("inbox: %+v", q)
	}
}

func TestNudgesTellOfChatsToo(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL(), Shards: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	nudges := s.Nudges(ctx)
	missing := map[workflows.Lane]bool{"out:slack": true, "out:teams": true, "in:slack": true, "clock": true}
	for i := 0; len(missing) > 0; i++ {
		approved(t, s)
		if _, err := s.Deliver(ctx, workflows.Delivery{Chat: "slack", Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		for waiting := true; waiting; {
			select {
			case l, ok := <-nudges:
				if !ok {
					t.Fatalf("no nudge of %v", missing)
				}
				delete(missing, l)
			default:
				waiting = false
			}
		}
		if err := s.Client().FlushDB(ctx).Err(); err != nil { // so that each is the earliest again
			t.Fatal(err)
		}
	}
}

// What was missed while the subscription was broken is looked for when it stands again.
func TestABrokenSubscriptionNudgesAnyLane(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	nudges := s.Nudges(ctx)
	for begins := range 2 {
		if l, ok := <-nudges; !ok || l != workflows.AnyLane {
			t.Fatalf("beginning %d: nudge of %q (%v), want one of any lane", begins, l, ok)
		}
		if err := s.Client().Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeysEnd(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Config{URL: storagetest.StartRedis(t).URL()})
	if _, err := s.Deliver(t.Context(), workflows.Delivery{Chat: "slack", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enqueue(t.Context(), storagetest.Chats(), "digest", "k", workflows.Note{}); err != nil {
		t.Fatal(err)
	}
	for suffix, want := range map[string]time.Duration{"in:slack:k:k": 24 * time.Hour, "in:slack:d:k": -1, "told:digest": 90 * 24 * time.Hour, "out:slack:q:digest": -1} {
		got, err := s.Client().PTTL(t.Context(), key(t, s, suffix)).Result()
		if err != nil || got > want || want > 0 && got < want-time.Minute {
			t.Errorf("%s ends in %s, want %s (%v)", suffix, got, want, err)
		}
	}
}
