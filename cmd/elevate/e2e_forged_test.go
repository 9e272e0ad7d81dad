package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// fort is a bot with keys, and somebody who can write to its Redis.
type fort struct {
	*site
	redis *goredis.Client
}

const fortKeys = `secrets: {keys: [{id: k1, key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}
`

func openFort(t *testing.T, keys string) *fort {
	t.Helper()
	f := &fort{site: &site{T: t, store: e2etest.StartRedis(t), judge: startJudge(t)}}
	options, err := goredis.ParseURL(f.store.URL())
	if err != nil {
		t.Fatal(err)
	}
	f.redis = goredis.NewClient(options)
	t.Cleanup(func() { _ = f.redis.Close() })
	f.bots = append(f.bots, e2etest.StartBot(t, siteConfig(fmt.Sprintf("store: {url: %q}", f.store.URL()), f.judge.url+"a")+keys))
	f.bots[0].WaitReady()
	f.judge.swept(t)
	return f
}

// record is the key of a request's record.
func (f *fort) record(id access.RequestID) string {
	f.Helper()
	keys, err := f.redis.Keys(f.Context(), "*}:r:"+string(id)).Result()
	if err != nil || len(keys) != 1 {
		f.Fatalf("the record of %s: %v, %v", id, keys, err)
	}
	return keys[0]
}

func (f *fort) base(id access.RequestID) string {
	return strings.TrimSuffix(f.record(id), "r:"+string(id))
}

// approve has the intruder write an approval by Ben into the store, as the bot would have written it.
func (f *fort) approve(id access.RequestID) {
	f.Helper()
	k, now := f.record(id), time.Now().UTC()
	doc := f.redis.HGet(f.Context(), k, "doc").Val()
	forged := strings.Replace(doc, `"state":"pending"`, fmt.Sprintf(
		`"state":"approved","approved_at":%q,"start_by":%q,"decisions":[{"verdict":"approve","by":{"person":"ben","via":"api"},"at":%q,"stage":0,"method":"token"}]`,
		now.Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339), now.Format(time.RFC3339)), 1)
	if forged == doc {
		f.Fatalf("nothing was forged in %s", doc)
	}
	if err := errors.Join(
		f.redis.HSet(f.Context(), k, "doc", forged, "state", "approved", "timers", fmt.Sprintf("start=%d lapse=%d", now.UnixMilli(), now.Add(time.Hour).UnixMilli())).Err(),
		f.redis.ZAdd(f.Context(), f.base(id)+"due:clock", goredis.Z{Score: float64(now.UnixMilli()), Member: "start|" + string(id)}).Err()); err != nil {
		f.Fatal(err)
	}
}

// given tells how often the target gave a grant.
func (f *fort) given(id access.RequestID) int {
	given, _ := f.judge.effects(string(id))
	return len(given)
}

// isAgain waits until a request is in a state, and tells that the forgery is on record.
func (f *fort) isAgain(id access.RequestID, s access.State) {
	f.Helper()
	eventually(f, func() error {
		all, err := f.shown(f.bots[0])
		if err != nil || all[id].State != s {
			return fmt.Errorf("%s is %q, want %q (%w)", id, all[id].State, s, err)
		}
		return nil
	})
	f.onRecord(audit.Forged, id)
}

func TestWhoeverCanWriteToRedisCannotApprove(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	id := f.ask("ana", time.Minute)
	f.onRecord("submit", id)
	f.approve(id)
	f.isAgain(id, access.Pending)
	if n := f.given(id); n != 0 {
		t.Errorf("the target gave it %d times", n)
	}
	// What is put right can be decided.
	if err := f.approves(f.bots[0], []access.RequestID{id}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{id})
}

// Without keys the same forgery gives access: the test above can fail.
func TestWithoutKeysWhoeverCanWriteToRedisApproves(t *testing.T) {
	t.Parallel()
	f := openFort(t, "")
	id := f.ask("ana", time.Minute)
	f.approve(id)
	f.reach(f.bots[0], access.Active, []access.RequestID{id})
	if n := f.given(id); n != 1 {
		t.Errorf("the target gave it %d times", n)
	}
}

func TestWhoeverCanWriteToRedisCannotPutAnOlderStateBack(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	id := f.ask("ana", 2*time.Minute)
	if err := f.approves(f.bots[0], []access.RequestID{id}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{id})
	k := f.record(id)
	older := f.redis.HGetAll(t.Context(), k).Val()
	if status := f.do("ana", "end", id, nil); status != http.StatusOK {
		t.Fatalf("end: %d", status)
	}
	f.reach(f.bots[0], access.Ended, []access.RequestID{id})
	f.onRecord("close", id)
	if err := f.redis.HSet(t.Context(), k, older).Err(); err != nil {
		t.Fatal(err)
	}
	f.isAgain(id, access.Ended)
	if n := f.given(id); n != 1 || f.judge.holders() != 0 {
		t.Errorf("the target gave it %d times, and %d hold it", n, f.judge.holders())
	}
}

// The end comes although its timer was moved away: within the minute in which the guard looks.
func TestWhoeverCanWriteToRedisCannotProlong(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	id := f.ask("ana", 5*time.Second)
	if err := f.approves(f.bots[0], []access.RequestID{id}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{id})
	far := time.Now().AddDate(10, 0, 0).UnixMilli()
	k, b := f.record(id), f.base(id)
	if err := errors.Join(
		f.redis.ZAdd(t.Context(), b+"due:off:target", goredis.Z{Score: float64(far), Member: "end|" + string(id)}).Err(),
		f.redis.ZRem(t.Context(), b+"due:clock", "overdue|"+string(id)).Err(),
		f.redis.HSet(t.Context(), k, "timers", fmt.Sprintf("end=%d", far), "ends", far).Err()); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Ended, []access.RequestID{id})
	if f.judge.holders() != 0 {
		t.Error("somebody still holds it")
	}
	f.onRecord(audit.Forged, id)
}

// What Elevate remembers for itself counts for nothing where somebody else has written it, and nothing waits for it.
func TestWhoeverCanWriteToRedisStopsNothing(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	f.active("ana", time.Minute)
	keys, err := f.redis.Keys(t.Context(), "*}:m:*").Result()
	if err != nil || !slices.ContainsFunc(keys, func(k string) bool { return strings.HasSuffix(k, "audit:head") }) {
		t.Fatalf("what is remembered: %q, %v", keys, err)
	}
	for i, k := range keys {
		if err := f.redis.Set(t.Context(), k, []string{"x", "a token and more"}[i%2], 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	f.active("bea", time.Minute)
	if !strings.Contains(f.bots[0].Metrics(), `elevate_forged_total{what="memory"}`) {
		t.Error("it is not counted")
	}
}

// Keys come to a store that has been used without them, and another takes their place: what is open is what the audit log
// says of it, and Elevate goes on.
func TestKeysThatComeOrAreLostStopNothing(t *testing.T) {
	t.Parallel()
	f := openFort(t, "")
	live, pending := f.active("ana", 2*time.Minute), f.ask("bea", 2*time.Minute)
	f.onRecord("submit", pending)
	for _, change := range [][]string{
		{"auditors:", fortKeys + "auditors:"},
		{"{id: k1, key: \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}", "{id: k2, key: \"YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=\"}"},
	} {
		f.bots[0].Stop()
		f.rewrite(change...)
		restart(t, f.bots[0])
		f.isAgain(pending, access.Pending)
		f.isAgain(live, access.Active)
	}
	if err := f.approves(f.bots[0], []access.RequestID{pending}); err != nil {
		t.Fatal(err)
	}
	f.reach(f.bots[0], access.Active, []access.RequestID{pending})
	for who, id := range map[string]access.RequestID{"ana": live, "bea": pending} {
		if status := f.do(who, "end", id, nil); status != http.StatusOK {
			t.Errorf("%s ends: %d", who, status)
		}
	}
	f.reach(f.bots[0], access.Ended, []access.RequestID{live, pending})
}

const rotatedKeys = `secrets: {keys: [{id: k2, key: "YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="}, {id: k1, key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}
`

// A key is replaced on one replica after the other. What either of them writes meanwhile is believed by both, and a replica
// that lacks the key that marks does not start beside one that has it.
func TestAKeyIsReplacedOnOneReplicaAfterTheOther(t *testing.T) {
	t.Parallel()
	f := openFort(t, fortKeys)
	old := f.bots[0]
	before := f.active("cat", 2*time.Minute)
	next := e2etest.StartBot(t, siteConfig(fmt.Sprintf("store: {url: %q}", f.store.URL()), f.judge.url+"b")+rotatedKeys+
		fmt.Sprintf("audit: {dir: %q}\n", filepath.Join(old.Dir, "audit")))
	next.WaitReady()
	meanwhile := f.ask("ana", 2*time.Minute)
	if err := f.approves(next, []access.RequestID{meanwhile}); err != nil {
		t.Fatal(err)
	}
	f.reach(old, access.Active, []access.RequestID{before, meanwhile})

	old.Stop()
	f.rewrite(fortKeys, rotatedKeys)
	restart(t, old)
	after := f.active("bea", 2*time.Minute)
	f.reach(next, access.Active, []access.RequestID{before, meanwhile, after})
	next.Stop()
	restart(t, next)
	if status := f.do("ana", "end", meanwhile, nil); status != http.StatusOK {
		t.Fatalf("end: %d", status)
	}
	f.reach(next, access.Ended, []access.RequestID{meanwhile})
	if doc := f.redis.HGet(t.Context(), f.record(meanwhile), "doc").Val(); !strings.HasPrefix(doc, `{"mark":"k2:`) {
		t.Errorf("where all replicas know the new key, a record is %.40s", doc)
	}
	if metrics := old.Metrics() + next.Metrics(); strings.Contains(metrics, "elevate_forged_total{") {
		t.Error("something was taken for somebody else's")
	}

	old.Stop()
	f.rewrite(rotatedKeys, fortKeys)
	old.Start()
	eventually(f, func() error {
		if log := old.Log(); old.Running() || !strings.Contains(log, "marks with key k2, which is missing here") {
			return fmt.Errorf("a replica without the key runs: %s", log)
		}
		return nil
	})
}
