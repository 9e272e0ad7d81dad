package redis_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/seal"
)

func marks(t testing.TB, ids ...string) *seal.Marker {
	t.Helper()
	var keys []seal.Key
	for _, id := range ids {
		raw := bytes.Repeat([]byte(id), seal.KeySize)[:seal.KeySize]
		keys = append(keys, seal.Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString(raw))})
	}
	m, err := seal.NewMarker(keys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMarkedKeepsThePromise(t *testing.T) {
	t.Parallel()
	r, m := storagetest.StartRedis(t), marks(t, "k1")
	storagetest.Run(t, onServer(r, func(c *redis.Config) { c.Marks = m }))
}

// guarded is a store with marks that keeps what it was told is forged.
type guarded struct {
	*redis.Store
	mu     sync.Mutex
	forged []access.RequestID
}

func openGuarded(t *testing.T, url string, change func(*redis.Config)) *guarded {
	g := &guarded{}
	cfg := redis.Config{URL: url, Shards: 1, Marks: marks(t, "k1"), Forged: func(id access.RequestID) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.forged = append(g.forged, id)
	}}
	change(&cfg)
	g.Store = open(t, cfg)
	return g
}

func (g *guarded) told(id access.RequestID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.forged {
		if f == id {
			return true
		}
	}
	return false
}

func (g *guarded) alter(t *testing.T, id access.RequestID, field string, change func(string) string) {
	t.Helper()
	k := key(t, g.Store, "r:"+string(id))
	before, err := g.Client().HGet(t.Context(), k, field).Result()
	if err == nil {
		err = g.Client().HSet(t.Context(), k, field, change(before)).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever can write to Redis, and has no key, can change no record in any way that is believed.
func TestRecordsThatSomebodyChangedAreNotBelieved(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	other := pending(t, g.Store, false)
	for name, change := range map[string]func(string) string{
		"approved": func(doc string) string { return strings.Replace(doc, `"state":"pending"`, `"state":"approved"`, 1) },
		"for longer": func(doc string) string {
			return strings.Replace(doc, `"duration":3600000000000`, `"duration":9600000000000`, 1)
		},
		"with no mark": func(doc string) string { return "{" + doc[strings.Index(doc, `",`)+2:] },
		"with a mark of nothing": func(doc string) string {
			return `{"mark":"",` + doc[strings.Index(doc, `",`)+2:]
		},
		"with two marks": func(doc string) string { return `{"mark":"k1:AAAA",` + doc[1:] },
		"of another": func(string) string {
			return g.Client().HGet(t.Context(), key(t, g.Store, "r:"+string(other.ID)), "doc").Val()
		},
		"empty":   func(string) string { return "" },
		"no JSON": func(string) string { return "x" },
		"marked by others": func(doc string) string {
			plain := []byte("{" + doc[strings.Index(doc, `",`)+2:])
			return `{"mark":"` + strings.Replace(marks(t, "k9").Mark("record", plain), "k9", "k1", 1) + `",` + string(plain[1:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := pending(t, g.Store, false)
			g.alter(t, r.ID, "doc", change)
			if _, err := g.Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) && !(name == "empty" && errors.Is(err, access.ErrNotFound)) {
				t.Fatalf("get: %v, want ErrForged", err)
			}
			records, _, err := g.List(t.Context(), workflows.Query{Open: true, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, listed := range records {
				if listed.ID == r.ID {
					t.Error("it is listed")
				}
			}
			if name != "empty" && !g.told(r.ID) {
				t.Error("nobody was told")
			}
			gone, err := g.Disown(t.Context(), r.ID)
			if err != nil || gone != (name != "empty") {
				t.Errorf("disowned %t, %v", gone, err)
			}
		})
	}
	if gone, err := g.Disown(t.Context(), other.ID); err != nil || gone {
		t.Errorf("a record of ours was disowned: %t, %v", gone, err)
	}
}

func TestAForgedRecordIsKeptAsideAndItsTimerIsNotHandedOut(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	r := approved(t, g.Store)
	g.alter(t, r.ID, "doc", func(doc string) string { return strings.Replace(doc, `"ana"`, `"eve"`, 1) })
	claims, _, err := g.Claim(t.Context(), workflows.Clock, 10, time.Millisecond)
	if err != nil || len(claims) != 0 {
		t.Fatalf("claimed %v, %v", claims, err)
	}
	if gone, err := g.Disown(t.Context(), r.ID); err != nil || !gone {
		t.Fatalf("disowned %t, %v", gone, err)
	}
	if _, err := g.Get(t.Context(), r.ID); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if kept := g.Client().HGet(t.Context(), key(t, g.Store, "forged:"+string(r.ID)), "doc").Val(); !strings.Contains(kept, "eve") {
		t.Errorf("what was forged is not kept: %q", kept)
	}
	storagetest.Eventually(t, "its due timer is gone", func() bool {
		if _, _, err := g.Claim(t.Context(), workflows.Clock, 10, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		return errors.Is(g.Client().ZScore(t.Context(), key(t, g.Store, "due:clock"), "start|"+string(r.ID)).Err(), goredis.Nil)
	})
}

func TestEventsOfOthersCountForNothingAndAreOnRecord(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	r := pending(t, g.Store, false)
	stream := key(t, g.Store, "events")
	for _, text := range []string{`{"kind":"accept","request":"` + string(r.ID) + `","version":9,"to":"approved"}`, "no JSON", strings.Repeat("x", 10_000)} {
		if err := g.Client().XAdd(t.Context(), xadd(stream, "e", text)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Client().XAdd(t.Context(), xadd(stream, "other", "y")).Err(); err != nil {
		t.Fatal(err)
	}
	events, err := g.Undrained(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range events {
		kinds[e.Kind]++
		if e.Kind == audit.Forged && (e.Request != "" || e.Version != 0 || e.Record != nil || len(e.Detail["text"]) == 0 || len(e.Detail["text"]) > 2000) {
			t.Errorf("a forged event became %+v", e)
		}
	}
	if fmt.Sprint(kinds) != "map[forged:4 submit:1 vote:1]" {
		t.Errorf("events: %v", kinds)
	}
}

// A click that nobody made is not worked, and does not come again.
func TestDeliveriesOfOthersAreNotWorked(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	chat := storagetest.Chats()[0]
	if _, err := g.Deliver(t.Context(), workflows.Delivery{Key: "mine", Chat: chat, Payload: []byte("click")}); err != nil {
		t.Fatal(err)
	}
	box := key(t, g.Store, "in:"+chat)
	good := g.Client().HGet(t.Context(), box+":d:mine", "payload").Val()
	for name, payload := range map[string]string{"plain": "click", "moved": good} {
		if err := errors.Join(g.Client().HSet(t.Context(), box+":d:"+name, "payload", payload, "token", "x").Err(),
			g.Client().ZAdd(t.Context(), box, scored(name)).Err()); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := g.ClaimDeliveries(t.Context(), chat, 10, time.Minute)
	if err != nil || len(got) != 1 || got[0].Key != "mine" || string(got[0].Payload) != "click" {
		t.Fatalf("claimed %+v, %v", got, err)
	}
	if left := g.Client().ZCard(t.Context(), box).Val(); left != 1 {
		t.Errorf("%d deliveries are left, want the one that is ours", left)
	}
}

// What is remembered and not ours counts as never remembered: whoever can write it could have deleted it, and what waits
// for it must not wait for ever.
func TestMemoryOfOthersCountsForNothing(t *testing.T) {
	t.Parallel()
	spoiled := 0
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(c *redis.Config) { c.Spoiled = func() { spoiled++ } })
	if err := errors.Join(g.Put(t.Context(), "a", []byte("1"), time.Minute), g.Put(t.Context(), "b", []byte("2"), time.Minute)); err != nil {
		t.Fatal(err)
	}
	a, b := key(t, g.Store, "m:a"), key(t, g.Store, "m:b")
	for name, spoil := range map[string]func() error{
		"plain": func() error { return g.Client().Set(t.Context(), a, "token 1", time.Minute).Err() },
		"another's": func() error {
			return g.Client().Set(t.Context(), a, g.Client().Get(t.Context(), b).Val(), time.Minute).Err()
		},
		"short":         func() error { return g.Client().Set(t.Context(), a, "mark:k1 1", time.Minute).Err() },
		"empty":         func() error { return g.Client().Set(t.Context(), a, "", time.Minute).Err() },
		"without token": func() error { return g.Client().Set(t.Context(), a, "x", time.Minute).Err() },
	} {
		before := spoiled
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if v, err := g.Recall(t.Context(), "a"); err != nil || v != nil {
			t.Errorf("%s: recalled %q, %v", name, v, err)
		}
		if v, first, err := g.Once(t.Context(), "a", []byte("3"), time.Minute); err != nil || !first || string(v) != "3" {
			t.Errorf("%s: once gave %q, first %t, %v", name, v, first, err)
		}
		if v, err := g.Recall(t.Context(), "a"); err != nil || string(v) != "3" {
			t.Errorf("%s: recalled %q in its place, %v", name, v, err)
		}
		if v, first, err := g.Once(t.Context(), "a", []byte("4"), time.Minute); err != nil || first || string(v) != "3" {
			t.Errorf("%s: once more gave %q, first %t, %v", name, v, first, err)
		}
		if spoiled != before+2 {
			t.Errorf("%s: told of %d times", name, spoiled-before)
		}
	}
}

// Marks can be introduced, and keys replaced, while requests are open.
func TestMarksAreIntroducedUnderLiveRequests(t *testing.T) {
	t.Parallel()
	url := storagetest.StartRedis(t).URL()
	plain := open(t, redis.Config{URL: url, Shards: 1})
	r := pending(t, plain, false)
	if _, err := openGuarded(t, url, func(*redis.Config) {}).Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) {
		t.Errorf("a record without a mark: %v", err)
	}
	lenient := openGuarded(t, url, func(c *redis.Config) { c.Unmarked = true })
	if _, err := lenient.Get(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	next := *r
	next.Version, next.Decisions = 3, append(r.Decisions, decision("fay", access.Approve))
	take(t, lenient.Store, access.Vote, access.Pending, &next)
	strict := openGuarded(t, url, func(c *redis.Config) { c.Marks = marks(t, "k2", "k1") })
	if _, err := strict.Get(t.Context(), r.ID); err != nil {
		t.Errorf("an arrow taken with marks left none: %v", err)
	}
	lenient.alter(t, r.ID, "doc", func(doc string) string { return strings.Replace(doc, "fay", "gus", 1) })
	if _, err := lenient.Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) {
		t.Errorf("a wrong mark passes where none is needed: %v", err)
	}
}

// What somebody does to the timers of a record, or to what stands beside it, is put back.
func TestMendPutsBackWhatIsBesideTheRecord(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	ctx, c := t.Context(), g.Client()
	r := armed(approved(t, g.Store))
	r.Role.Connector = "pg"
	take(t, g.Store, access.Arm, access.Approved, r)
	rec := key(t, g.Store, "r:"+string(r.ID))
	base := strings.TrimSuffix(rec, "r:"+string(r.ID))
	lane, all, open, claims, right, member := base+"due:off:pg", base+"all", base+"open", base+"claims", base+"right:"+r.Right(), "end|"+string(r.ID)
	whole := func() string {
		return fmt.Sprint(c.ZScore(ctx, lane, member).Val(), c.HGetAll(ctx, rec).Val(), c.ZScore(ctx, all, string(r.ID)).Val(),
			c.ZScore(ctx, open, string(r.ID)).Val(), c.HGetAll(ctx, claims).Val(), c.SMembers(ctx, right).Val())
	}
	mend := func(want bool) {
		t.Helper()
		if mended, err := g.Mend(ctx, r); err != nil || mended != want {
			t.Fatalf("mended %t, %v", mended, err)
		}
	}
	mend(false)
	want := whole()
	far := float64(time.Now().Add(time.Hour * 9999).UnixMilli())
	for name, harm := range map[string]func() error{
		"timer moved":      func() error { return c.ZAdd(ctx, lane, scoredAt(member, far)).Err() },
		"timer early":      func() error { return c.ZAdd(ctx, lane, scoredAt(member, 1)).Err() },
		"timer removed":    func() error { return c.ZRem(ctx, lane, member).Err() },
		"state":            func() error { return c.HSet(ctx, rec, "state", "ended").Err() },
		"version":          func() error { return c.HSet(ctx, rec, "version", "99").Err() },
		"timers":           func() error { return c.HSet(ctx, rec, "timers", "").Err() },
		"end":              func() error { return c.HSet(ctx, rec, "ends", "9").Err() },
		"right held":       func() error { return c.HSet(ctx, claims, r.Right(), fmt.Sprintf("%.0f|x|1", far)).Err() },
		"nonsense held":    func() error { return c.HSet(ctx, claims, r.Right(), "x").Err() },
		"not listed":       func() error { return c.ZRem(ctx, all, string(r.ID)).Err() },
		"not open":         func() error { return c.ZRem(ctx, open, string(r.ID)).Err() },
		"not of its right": func() error { return c.SRem(ctx, right, string(r.ID)).Err() },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		mend(true)
		if got := whole(); got != want {
			t.Errorf("%s: mended to\n%s\nwant\n%s", name, got, want)
		}
		mend(false)
	}
	older := *r
	older.Version--
	if mended, err := g.Mend(ctx, &older); err != nil || mended {
		t.Errorf("by an older record: mended %t, %v", mended, err)
	}
}

// A timer that is leased, or waits for its right, is later in its lane, and is left there.
func TestMendLeavesLeasesAlone(t *testing.T) {
	t.Parallel()
	g := openGuarded(t, storagetest.StartRedis(t).URL(), func(*redis.Config) {})
	r := armed(approved(t, g.Store))
	r.Role.Connector = "pg"
	take(t, g.Store, access.Arm, access.Approved, r)
	var claims []workflows.Claim
	storagetest.Eventually(t, "the activation is due", func() bool {
		var err error
		if claims, _, err = g.Claim(t.Context(), workflows.ActivateLane("pg"), 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		return len(claims) == 1
	})
	if mended, err := g.Mend(t.Context(), r); err != nil || mended {
		t.Fatalf("mended %t, %v", mended, err)
	}
	if err := g.Renew(t.Context(), claims[0], time.Minute); err != nil {
		t.Errorf("the lease was lost: %v", err)
	}
}

func xadd(stream, field, value string) *goredis.XAddArgs {
	return &goredis.XAddArgs{Stream: stream, Values: []any{field, value}}
}

func scored(member string) goredis.Z { return scoredAt(member, 1) }

func scoredAt(member string, score float64) goredis.Z { return goredis.Z{Score: score, Member: member} }
