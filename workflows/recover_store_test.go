package workflows_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// liveGrant is a record of an active grant, and the transition that a store gets it by.
func liveGrant(store workflows.Arrows, n int, now time.Time) workflows.Transition {
	r := role("db-admin", "db")
	req := access.Request{Person: access.PersonID("p" + strconv.Itoa(n)), Requester: "lea", Role: r, Account: "a" + strconv.Itoa(n),
		Duration: time.Hour, Justification: "INC-4711 fix replication", SubmittedAt: now, Policy: "one", By: by("lea")}
	req.ID = store.NewID(now, req.Right())
	rec := &access.Record{Schema: access.Schema, Request: req, State: access.Active, Version: 4, ActivatedAt: now,
		ApprovedAt: now, EndsAt: now.Add(time.Hour), OverdueAt: now.Add(61 * time.Minute), Receipt: &access.Receipt{Ref: "ref"},
		Decisions: []access.Decision{{Verdict: access.Approve, By: by("lea"), At: now, Method: "session"}}}
	return workflows.Transition{Record: rec, Event: audit.Event{
		At: now, Kind: string(access.Confirm), Request: req.ID, Version: 4, From: access.Activating, To: access.Active,
		Actor: access.BySystem(), Person: req.Person, Role: r.ID, Connector: r.Connector, Record: rec,
	}}
}

// realStore is a store on a redis-server, and what empties it.
func realStore(t *testing.T) (store *redis.Store, flush func()) {
	t.Helper()
	server := storagetest.StartRedis(t)
	store, err := redis.Open(t.Context(), redis.Config{URL: server.URL(), Chats: []string{"test"}})
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Socket()})
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		_ = client.Close() // it was asked one thing
	})
	return store, func() {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAThousandLiveGrantsComeBackAfterFlush(t *testing.T) {
	t.Parallel()
	const grants = 1000
	store, flush := realStore(t)
	dir, now := t.TempDir(), time.Now().UTC()
	drainer, err := audit.NewDrainer(audit.DrainConfig{Dir: dir, Holder: "a", Behind: recovery(t, store, dir).Behind}, store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- drainer.Run(ctx) }()
	ends := map[access.RequestID]time.Time{}
	var all sync.WaitGroup
	for n := range grants {
		g := liveGrant(store, n, now)
		for ; !ends[g.Record.ID].IsZero(); g = liveGrant(store, n, now) { // an id that is taken is drawn again, as Submit does
		}
		g.Record.Version, g.Event.Version = 1, 1 // the log has no step before this one
		ends[g.Record.ID] = g.Record.EndsAt
		all.Go(func() {
			if fresh, err := store.Restore(t.Context(), g); err != nil || !fresh {
				t.Errorf("%v, %v", fresh, err)
			}
		})
	}
	all.Wait()
	drained := func() bool { return drainer.Head().Seq == grants }
	storagetest.Eventually(t, "every grant is on record", drained)
	flush()
	began := time.Now()
	if err := drainer.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d live grants came back in %s", grants, time.Since(began).Round(time.Millisecond))
	for id, end := range ends {
		if r, err := store.Get(t.Context(), id); err != nil || r.State != access.Active || !r.EndsAt.Equal(end) {
			t.Fatalf("%s is %+v (%v)", id, r, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	report, err := audit.Verify([]string{dir}, audit.Expect{})
	if err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Problems, err)
	}
}

// BenchmarkReadLog reads a log of ELEVATE_LINES lines (20,000) of which one request in ten is open at the end.
func BenchmarkReadLog(b *testing.B) {
	lines := 20_000
	if n, err := strconv.Atoi(os.Getenv("ELEVATE_LINES")); err == nil {
		lines = n
	}
	dir := b.TempDir()
	log, err := audit.Open(dir, audit.Config{})
	if err != nil {
		b.Fatal(err)
	}
	open := 0
	var events []audit.Event
	for n := 0; n < lines; {
		id := access.RequestID(fmt.Sprintf("r%09d", n))
		for v := int64(1); v <= 6 && n < lines; v, n = v+1, n+1 {
			e := liveGrant(namer(id), n, noon).Event
			e.ID, e.Version, e.Record.Version = fmt.Sprint(n), v, v
			if v == 6 && n%10 > 0 {
				e.Kind, e.To, e.Record = string(access.Close), access.Ended, nil
			} else if v == 6 {
				open++
			}
			events = append(events, e)
		}
		if len(events) > 2000 || n >= lines {
			if err := log.Append(events); err != nil {
				b.Fatal(err)
			}
			events = events[:0]
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	r, err := workflows.NewRecovery(workflows.RecoveryConfig{Store: newShelf(), Paths: []string{dir}, DryRun: true})
	if err != nil {
		b.Fatal(err)
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	b.SetBytes(size)
	for b.Loop() {
		done, err := r.Run(b.Context(), audit.Head{})
		if err != nil || done.Restored < open {
			b.Fatalf("%+v of %d, %v", done, open, err)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// namer gives one id.
type namer access.RequestID

func (n namer) NewID(time.Time, string) access.RequestID                  { return access.RequestID(n) }
func (namer) Take(context.Context, workflows.Transition) error            { return nil }
func (namer) Safe(context.Context) error                                  { return nil }
func (namer) Restore(context.Context, workflows.Transition) (bool, error) { return false, nil }
