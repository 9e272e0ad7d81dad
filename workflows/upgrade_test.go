package workflows_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// TestLiveGrantsEndInTimeAfterAnUpgrade runs on from a store of each layout there ever was, with requests in every state
// and calls under way: what is live ends once, at its time, and nothing is left open.
func TestLiveGrantsEndInTimeAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	for file, made := range map[string]time.Time{
		"layout1.json": time.Date(2026, 11, 24, 4, 23, 33, 0, time.UTC),
		"layout2.json": time.Date(2026, 11, 28, 0, 45, 0, 0, time.UTC),
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			c := &clock{now: made.Add(15 * time.Minute)} // the leases of then are over
			ends := &endings{clock: c, at: map[access.RequestID][]time.Time{}}
			ends.Connector, _ = demo.New(demo.Config{})
			w := worldAt(t, c, func(cfg *workflows.Config) {
				cfg.Store = storeOf(t, c, "../storage/redis/testdata/"+file)
				cfg.Connectors["pg"] = ends
			})
			before := ends.begin(t, w)
			w.run()
			for {
				next := w.worked()
				if next.IsZero() {
					break
				}
				c.Advance(next.Sub(c.Now()))
			}
			for _, r := range before {
				got, err := w.config.Store.Get(t.Context(), r.ID)
				if err != nil || got.State != access.Ended {
					t.Fatalf("%s was %s and is %+v, %v", r.Person, r.State, got, err)
				}
				at, end := ends.of(r.ID), r.EndsAt
				if r.State == access.Activating {
					end = got.EndsAt // which counts from the activation
				}
				if len(at) != 1 || r.State != access.Deactivating && (at[0].Before(end) || at[0].Sub(end) > time.Millisecond) {
					t.Errorf("%s was %s until %s, and was taken away at %s", r.Person, r.State, end, at)
				}
			}
		})
	}
}

// storeOf is the store of a dump, with a clock that tests move. A redis-server alone can read a dump, and its clock cannot
// be moved; so the keys go through one to the server in process.
func storeOf(t *testing.T, c *clock, file string) *redis.Store {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var dump map[string]string
	if err := json.Unmarshal(text, &dump); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	cfg := server.Connect(redis.Config{Chats: []string{"slack"}, Now: c.Now, AllowUnsafe: true})
	from := goredis.NewClient(&goredis.Options{Network: "unix", Addr: storagetest.StartRedis(t).Socket(), Protocol: 2, DisableIdentity: true})
	to := goredis.NewClient(&goredis.Options{Dialer: cfg.Dial, Protocol: 2, DisableIdentity: true})
	defer func() { _, _ = from.Close(), to.Close() }() // they only carried keys over
	for key, value := range dump {
		raw, err := base64.StdEncoding.DecodeString(value)
		if err == nil {
			err = from.Restore(t.Context(), key, 0, string(raw)).Err()
		}
		if err == nil {
			err = carry(t.Context(), from, to, key)
		}
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	store, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// carry copies a key.
func carry(ctx context.Context, from, to *goredis.Client, key string) error {
	switch from.Type(ctx, key).Val() {
	case "string":
		return to.Set(ctx, key, from.Get(ctx, key).Val(), 0).Err()
	case "hash":
		return to.HSet(ctx, key, from.HGetAll(ctx, key).Val()).Err()
	case "list":
		return to.RPush(ctx, key, from.LRange(ctx, key, 0, -1).Val()).Err()
	case "set":
		return to.SAdd(ctx, key, from.SMembers(ctx, key).Val()).Err()
	case "zset":
		return to.ZAdd(ctx, key, from.ZRangeWithScores(ctx, key, 0, -1).Val()...).Err()
	}
	for _, m := range from.XRange(ctx, key, "-", "+").Val() {
		if err := to.XAdd(ctx, &goredis.XAddArgs{Stream: key, ID: m.ID, Values: m.Values}).Err(); err != nil {
			return err
		}
	}
	return nil
}

// endings is a demo target that notes when each grant was taken away.
type endings struct {
	connectors.Connector
	clock *clock
	mu    sync.Mutex
	at    map[access.RequestID][]time.Time
}

// whole is a grant with what the demo target needs and records of layout 1 do not have.
func whole(g access.Grant) access.Grant {
	g.Role.Target = map[string]any{"role": "db_admin"}
	g.Person.Accounts = map[string]string{g.Role.Connector: string(g.Person.ID)}
	return g
}

func (e *endings) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	return e.Connector.Activate(ctx, whole(g))
}

func (e *endings) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	e.mu.Lock()
	e.at[g.ID] = append(e.at[g.ID], e.clock.Now())
	e.mu.Unlock()
	return e.Connector.Deactivate(ctx, whole(g), r)
}

func (e *endings) of(id access.RequestID) []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at[id]
}

// begin makes true at the target what is live, and gives it. Everybody is known to the directory.
func (e *endings) begin(t *testing.T, w *world) (live []*access.Record) {
	t.Helper()
	for _, r := range w.open() {
		w.people.set(access.Person{ID: r.Person, Groups: []string{"sre"}})
		if !r.State.MayHold() {
			continue
		}
		if _, err := e.Activate(t.Context(), r.Grant()); err != nil {
			t.Fatal(err)
		}
		live = append(live, r)
	}
	if len(live) < 3 {
		t.Fatalf("only %d grants are live", len(live))
	}
	return live
}

func (w *world) open() []*access.Record {
	w.t.Helper()
	records, _, err := w.config.Store.List(w.t.Context(), workflows.Query{Open: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return records
}

// worked waits until nothing is due, and gives when something is next; zero where nothing is open.
func (w *world) worked() (next time.Time) {
	w.t.Helper()
	w.eventually("what is due is worked", func() bool {
		next = time.Time{}
		for _, r := range w.open() {
			for _, due := range r.Due() {
				if due = due.Truncate(time.Millisecond).Add(time.Millisecond); !due.After(w.clock.Now()) {
					return false
				}
				if next.IsZero() || due.Before(next) {
					next = due
				}
			}
		}
		return true
	})
	return next
}
