package redis_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

// tape remembers every script call of a client, with its reply.
type tape struct {
	store *redis.Store
	mu    sync.Mutex
	calls []recorded
}

type recorded struct {
	args  []any
	reply any
}

func (p *tape) add(cmd goredis.Cmder) {
	c, ok := cmd.(*goredis.Cmd)
	if !ok || c.Name() != "evalsha" && c.Name() != "eval" || c.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, recorded{args: slices.Clone(c.Args()), reply: c.Val()})
}

func (p *tape) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (p *tape) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil {
			p.add(cmd)
		}
		return err
	}
}

func (p *tape) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			p.add(cmd)
		}
		return err
	}
}

// The scripts answer and write the same on Redis and on the in-process server: what the suite does against Redis is
// played to miniredis, reply by reply, and then all keys are compared.
func TestScriptsAreTheSameInProcess(t *testing.T) {
	t.Parallel()
	server := storagetest.StartRedis(t)
	var tapes []*tape
	o := onServer(server, func(*redis.Config) {})
	plain := o.Open
	o.Open = func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
		s := plain(t, clock).(*redis.Store)
		p := &tape{store: s}
		s.Client().AddHook(p)
		s.Claims().AddHook(p)
		tapes = append(tapes, p)
		return s
	}
	// Left out is what depends on the order of things done at once, on time passing at the server, or on the ids that a
	// server gives to events.
	out := []string{"OneOfAThousandTakesWins", "ManyWorkersShareTheWork", "OnceHasOneFirst", "MemoryEnds", "PutReplaces", "HoldEnds",
		"DeliveryIsRememberedForADay", "RefusedTakeWritesNothing", "EveryArrowLeavesItsEvent", "EventsAreInOrder", "DrainedEventsAreGone",
		"RefusalsAreRecorded", "AdmitCountsWithinTheWindow", "AdmitLetsThroughAsManyAsMayBe", "AdmitHasNoEdgeToSlipThrough",
		"PlacesAreTakenOnce", "PlacesAreNeverMoreThanThereAre"}
	for _, name := range storagetest.Names() {
		if !slices.Contains(out, name) {
			if complaints := storagetest.Failures(t, o, name); len(complaints) > 0 {
				t.Errorf("%s: %v", name, complaints)
			}
		}
	}

	mini := miniredis.RunT(t)
	other := goredis.NewClient(&goredis.Options{Addr: mini.Addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = other.Close() })
	calls := 0
	for _, p := range tapes {
		for _, script := range p.store.Scripts() {
			if err := script.Load(t.Context(), other).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range p.calls {
			calls++
			reply, err := other.Do(t.Context(), c.args...).Result()
			if err != nil || !reflect.DeepEqual(reply, c.reply) {
				t.Fatalf("in process %v (%v), Redis %v, of %.2000s", reply, err, c.reply, fmt.Sprint(c.args))
			}
		}
	}
	if calls < 3000 {
		t.Errorf("only %d calls were played", calls)
	}
	compareKeys(t, client(t, server), other)
}

func compareKeys(t *testing.T, a, b *goredis.Client) {
	t.Helper()
	ctx := t.Context()
	keysA, keysB := a.Keys(ctx, "*{*").Val(), b.Keys(ctx, "*{*").Val()
	slices.Sort(keysA)
	slices.Sort(keysB)
	if !slices.Equal(keysA, keysB) {
		t.Fatalf("keys differ: %d and %d", len(keysA), len(keysB))
	}
	for _, k := range keysA {
		if va, vb := content(ctx, a, k), content(ctx, b, k); !reflect.DeepEqual(va, vb) {
			t.Errorf("%s: Redis %v, in process %v", k, va, vb)
		}
	}
}

// content is what a key holds; of a stream, the values without the ids, which are the server's own.
func content(ctx context.Context, c *goredis.Client, key string) any {
	switch kind := c.Type(ctx, key).Val(); kind {
	case "string":
		return c.Get(ctx, key).Val()
	case "hash":
		return c.HGetAll(ctx, key).Val()
	case "list":
		return c.LRange(ctx, key, 0, -1).Val()
	case "set":
		members := c.SMembers(ctx, key).Val()
		slices.Sort(members)
		return members
	case "zset":
		return c.ZRangeWithScores(ctx, key, 0, -1).Val()
	case "stream":
		var values []any
		for _, m := range c.XRange(ctx, key, "-", "+").Val() {
			values = append(values, m.Values)
		}
		return values
	default:
		return kind
	}
}
