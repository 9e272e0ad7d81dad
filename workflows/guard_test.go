package workflows_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"strings"
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

// fort is a store with marks that a guard watches, and whoever can write to its server.
type fort struct {
	t        *testing.T
	raw      *redis.Store
	store    workflows.Store // as the workflows see it
	guard    *workflows.Guard
	drainer  *audit.Drainer
	dir      string
	intruder *goredis.Client
	found    chan string
}

func newFort(t *testing.T, every time.Duration) *fort {
	t.Helper()
	server := storagetest.StartRedis(t)
	m, err := seal.NewMarker([]seal.Key{{ID: "k1", Key: access.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab"), 16)))}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fort{t: t, dir: t.TempDir(), found: make(chan string, 100)}
	f.raw, err = redis.Open(t.Context(), redis.Config{URL: server.URL(), Chats: []string{"test"}, Shards: 1, Marks: m,
		Forged: func(id access.RequestID) { f.guard.Doubt(id) }})
	if err != nil {
		t.Fatal(err)
	}
	f.intruder = goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Socket()})
	r := recovery(t, f.raw, f.dir)
	f.drainer, err = audit.NewDrainer(audit.DrainConfig{Dir: f.dir, Holder: "a", Behind: r.Behind, Interval: 10 * time.Millisecond}, f.raw)
	if err != nil {
		t.Fatal(err)
	}
	anchors := workflows.NewAnchors(time.Now)
	f.guard, err = workflows.NewGuard(workflows.GuardConfig{Store: f.raw, Anchors: anchors, Holder: "a", Chats: []string{"test"}, Every: every,
		Found:   func(what string) { f.found <- what },
		Recover: r.Doubtful})
	if err != nil {
		t.Fatal(err)
	}
	f.store = workflows.Anchored(f.raw, anchors, known, f.guard.Doubt)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- f.drainer.Run(ctx) }()
	go func() { ended <- f.guard.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, <-ended, f.raw.Close(), f.intruder.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// known says that all of the audit log was read.
func known() error { return nil }

// live is an active grant that is on record.
func (f *fort) live(n int) *access.Record {
	f.t.Helper()
	g := liveGrant(f.raw, n, time.Now().UTC())
	before := f.drainer.Head().Seq
	if fresh, err := f.raw.Restore(f.t.Context(), g); err != nil || !fresh {
		f.t.Fatal(fresh, err)
	}
	f.recorded(before + 1)
	return g.Record
}

func (f *fort) recorded(seq int64) {
	f.t.Helper()
	storagetest.Eventually(f.t, "it is on record", func() bool { return f.drainer.Head().Seq >= seq })
}

func (f *fort) key(suffix string) string {
	f.t.Helper()
	keys, err := f.intruder.Keys(f.t.Context(), "*}:"+suffix).Result()
	if err != nil || len(keys) != 1 {
		f.t.Fatalf("keys that end in %s: %v, %v", suffix, keys, err)
	}
	return keys[0]
}

// finds waits until the guard has found what was done.
func (f *fort) finds(what string) {
	f.t.Helper()
	select {
	case got := <-f.found:
		if got != what {
			f.t.Fatalf("the guard found %q, want %q", got, what)
		}
	case <-time.After(time.Minute):
		f.t.Fatalf("the guard has not found the %s", what)
	}
}

// evidence waits for the line that tells of it.
func (f *fort) evidence(id access.RequestID, words string) {
	f.t.Helper()
	storagetest.Eventually(f.t, "it is on record that "+words, func() bool {
		found := false
		_, err := audit.Replay([]string{f.dir}, audit.Head{}, func(e audit.Entry) error {
			if e.Kind == audit.Forged && e.Request == id {
				line, err := e.Read()
				found = found || err == nil && strings.Contains(line.Reason, words)
			}
			return nil
		})
		return err == nil && found
	})
}

func (f *fort) is(id access.RequestID, s access.State, version int64) *access.Record {
	f.t.Helper()
	r, err := f.store.Get(f.t.Context(), id)
	if err != nil || r.State != s || r.Version != version {
		f.t.Fatalf("%s is %+v (%v), want %s in version %d", id, r, err, s, version)
	}
	return r
}

func TestARecordThatSomebodyWroteIsReplacedByTheLogs(t *testing.T) {
	t.Parallel()
	f := newFort(t, time.Hour)
	r := f.live(1)
	k := f.key("r:" + string(r.ID))
	doc := f.intruder.HGet(t.Context(), k, "doc").Val()
	longer := strings.ReplaceAll(doc, r.EndsAt.Format(time.RFC3339Nano), r.EndsAt.AddDate(10, 0, 0).Format(time.RFC3339Nano))
	if longer == doc {
		t.Fatal("nothing was changed")
	}
	if err := f.intruder.HSet(t.Context(), k, "doc", longer, "version", "999").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) {
		t.Fatalf("get: %v", err)
	}
	f.finds("record")
	if now := f.is(r.ID, access.Active, 4); !now.EndsAt.Equal(r.EndsAt) {
		t.Errorf("it ends at %s, want %s", now.EndsAt, r.EndsAt)
	}
	f.evidence(r.ID, "from version 4")
}

// Its mark is good: Elevate wrote it once.
func TestAnOlderRecordIsReplacedByTheLogs(t *testing.T) {
	t.Parallel()
	f := newFort(t, time.Hour)
	r := f.live(1)
	k := f.key("r:" + string(r.ID))
	older := f.intruder.HGetAll(t.Context(), k).Val()
	next := *r
	next.State, next.Version, next.Removal = access.Ended, 5, &access.Removal{Was: access.Removed}
	now := time.Now().UTC()
	next.EndsAt, next.EndedAt, next.OverdueAt = now, now, time.Time{}
	at := f.drainer.Head().Seq
	if err := f.store.Take(t.Context(), workflows.Transition{Arrow: access.Close, From: access.Active, Record: &next, Event: audit.Event{At: now,
		Kind: string(access.Close), Request: r.ID, Version: 5, From: access.Active, To: access.Ended, Actor: access.BySystem(),
		Detail: map[string]string{"was": "removed"}}}); err != nil {
		t.Fatal(err)
	}
	f.recorded(at + 1)
	if err := f.intruder.HSet(t.Context(), k, older).Err(); err != nil {
		t.Fatal(err)
	}
	lane := strings.TrimSuffix(k, "r:"+string(r.ID)) + "due:off:db"
	if err := f.intruder.ZAdd(t.Context(), lane, goredis.Z{Score: 1, Member: "end|" + string(r.ID)}).Err(); err != nil {
		t.Fatal(err)
	}
	claims, _, err := f.store.Claim(t.Context(), workflows.DeactivateLane("db"), 10, time.Second)
	if err != nil || len(claims) > 0 {
		t.Fatalf("claimed %+v, %v", claims, err)
	}
	// The guard may have put it right by now: Claim told it.
	if is, err := f.store.Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) && (err != nil || is.Version < 5) {
		t.Fatalf("get: %+v, %v", is, err)
	}
	f.finds("version")
	storagetest.Eventually(t, "it is over again", func() bool {
		r, err := f.raw.Get(t.Context(), r.ID)
		return err == nil && r.State == access.Ended
	})
	f.evidence(r.ID, "an older record")
}

func TestARequestThatNobodyMadeIsRemoved(t *testing.T) {
	t.Parallel()
	f := newFort(t, 50*time.Millisecond)
	r := f.live(1)
	invented := f.raw.NewID(time.Now(), r.Right())
	k := f.key("r:" + string(r.ID))
	fields := f.intruder.HGetAll(t.Context(), k).Val()
	fields["doc"] = strings.ReplaceAll(fields["doc"], string(r.ID), string(invented))
	at := strings.TrimSuffix(k, "r:"+string(r.ID))
	if err := errors.Join(f.intruder.HSet(t.Context(), at+"r:"+string(invented), fields).Err(),
		f.intruder.ZAdd(t.Context(), at+"open", goredis.Z{Score: 1, Member: string(invented)}).Err()); err != nil {
		t.Fatal(err)
	}
	f.finds("record") // by looking, though nobody asked for it
	if _, err := f.store.Get(t.Context(), invented); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	f.evidence(invented, "knows of no such request")
	f.is(r.ID, access.Active, 4)
}

func TestATimerThatSomebodyMovedIsPutBack(t *testing.T) {
	t.Parallel()
	f := newFort(t, 50*time.Millisecond)
	r := f.live(1)
	lane, member := f.key("due:off:db"), "end|"+string(r.ID)
	want := f.intruder.ZScore(t.Context(), lane, member).Val()
	for _, harm := range []func() error{
		func() error {
			return f.intruder.ZAdd(t.Context(), lane, goredis.Z{Score: want + 1e12, Member: member}).Err()
		},
		func() error { return f.intruder.ZRem(t.Context(), lane, member).Err() },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		f.finds("timers")
		if got := f.intruder.ZScore(t.Context(), lane, member).Val(); got != want {
			t.Errorf("it is due at %.0f, want %.0f", got, want)
		}
	}
	f.evidence(r.ID, "its timers")
}

func TestAnchorsKnowWhatTheLogTells(t *testing.T) {
	t.Parallel()
	f := newFort(t, time.Hour)
	r := f.live(1)
	k := f.key("r:" + string(r.ID))
	older := f.intruder.HGetAll(t.Context(), k).Val()
	running, starting := workflows.NewAnchors(time.Now), workflows.NewAnchors(time.Now)
	study := audit.NewStudy(f.dir, []audit.Lesson{running.Lesson()})
	if err := study.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := *r
	next.Version, next.NoticeAt = 5, time.Time{}
	at := f.drainer.Head().Seq
	if err := f.raw.Take(t.Context(), workflows.Transition{Arrow: access.Notice, From: access.Active, Record: &next, Event: audit.Event{At: time.Now().UTC(),
		Kind: string(access.Notice), Request: r.ID, Version: 5, From: access.Active, To: access.Active, Actor: access.BySystem()}}); err != nil {
		t.Fatal(err)
	}
	f.recorded(at + 1)
	if err := f.intruder.HSet(t.Context(), k, older).Err(); err != nil {
		t.Fatal(err)
	}
	// Neither another replica that runs, nor one that starts now, has written or read that version.
	if err := errors.Join(study.Read(t.Context()), audit.NewStudy(f.dir, []audit.Lesson{starting.Lesson()}).Read(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, anchors := range []*workflows.Anchors{running, starting} {
		var doubted []access.RequestID
		other := workflows.Anchored(f.raw, anchors, known, func(id access.RequestID) { doubted = append(doubted, id) })
		if _, err := other.Get(t.Context(), r.ID); !errors.Is(err, workflows.ErrForged) {
			t.Errorf("get: %v", err)
		}
		if records, _, err := other.List(t.Context(), workflows.Query{Open: true}); err != nil || len(records) > 0 {
			t.Errorf("listed %d, %v", len(records), err)
		}
		if shares, err := other.Sharing(t.Context(), r.Right()); !errors.Is(err, workflows.ErrForged) {
			t.Errorf("sharing %d, %v", len(shares), err)
		}
		if len(doubted) != 3 {
			t.Errorf("doubted %v, want three times", doubted)
		}
	}
}

// slow is a store whose lists are of before what was written since.
type slow struct {
	workflows.Store
	listed *access.Record
}

func (s slow) List(context.Context, workflows.Query) ([]*access.Record, string, error) {
	old := *s.listed
	return []*access.Record{&old}, "", nil
}

// An arrow may be taken between reading a record and comparing it with its anchor.
func TestARecordThatMovesWhileItIsReadIsNotDoubted(t *testing.T) {
	t.Parallel()
	f := newFort(t, time.Hour)
	r := f.live(1)
	next := *r
	next.Version, next.NoticeAt = 5, time.Time{}
	anchors, doubted := workflows.NewAnchors(time.Now), 0
	store := workflows.Anchored(slow{f.raw, r}, anchors, known, func(access.RequestID) { doubted++ })
	if err := store.Take(t.Context(), workflows.Transition{Arrow: access.Notice, From: access.Active, Record: &next, Event: audit.Event{At: time.Now().UTC(),
		Kind: string(access.Notice), Request: r.ID, Version: 5, From: access.Active, To: access.Active, Actor: access.BySystem()}}); err != nil {
		t.Fatal(err)
	}
	records, _, err := store.List(t.Context(), workflows.Query{Open: true})
	if err != nil || len(records) != 1 || doubted != 0 {
		t.Errorf("listed %d, doubted %d times, %v", len(records), doubted, err)
	}
}

// The timers and the lists may be gone as well: whoever knows that it was live misses it.
func TestALiveGrantThatSomebodyDeletedComesBack(t *testing.T) {
	t.Parallel()
	f := newFort(t, 50*time.Millisecond)
	r := f.live(1)
	if _, err := f.store.Get(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	k := f.key("r:" + string(r.ID))
	if err := errors.Join(f.intruder.ZRem(t.Context(), strings.TrimSuffix(k, "r:"+string(r.ID))+"open", string(r.ID)).Err(), f.intruder.Del(t.Context(), k).Err()); err != nil {
		t.Fatal(err)
	}
	f.finds("record")
	f.is(r.ID, access.Active, 4)
	if n := f.intruder.ZScore(t.Context(), f.key("due:off:db"), "end|"+string(r.ID)).Val(); n != float64(r.EndsAt.UnixMilli()) && n != float64(r.EndsAt.UnixMilli()+1) {
		t.Errorf("its end is due at %.0f, want %d", n, r.EndsAt.UnixMilli())
	}
}
