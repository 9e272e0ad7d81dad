package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// besieged is a world on a store that somebody without keys can write to, and what guards it.
func besieged(t *testing.T, every time.Duration) (*world, *fort) {
	t.Helper()
	f := newFort(t, every)
	w := worldAt(t, &clock{}, func(c *workflows.Config) { c.Store, c.AuditHealthy = f.store, f.drainer.Healthy })
	w.store = f.raw
	w.runner = workflows.RunnerConfig{Lease: 2 * time.Second}
	return w, f
}

// base begins the keys of the store, which has one shard.
func (f *fort) base() string { return strings.TrimSuffix(f.key("events"), "events") }

// write does what the intruder does, at once.
func (f *fort) write(do func(p goredis.Pipeliner)) {
	f.t.Helper()
	if _, err := f.intruder.TxPipelined(f.t.Context(), func(p goredis.Pipeliner) error { do(p); return nil }); err != nil {
		f.t.Fatal(err)
	}
}

// putBack has a key be what the intruder saved of it.
func (f *fort) putBack(k string, fields map[string]string) {
	f.t.Helper()
	f.write(func(p goredis.Pipeliner) { p.Del(f.t.Context(), k); p.HSet(f.t.Context(), k, fields) })
}

// ended is a grant that was given and ended early, and how its record was at each of two moments before.
func (w *world) ended(f *fort) (rec *access.Record, approved, active map[string]string) {
	w.t.Helper()
	rec = w.submit("ana", "db-admin")
	k := f.key("r:" + string(rec.ID))
	w.approve("lea", rec.ID)
	approved = f.intruder.HGetAll(w.t.Context(), k).Val()
	w.reaches(rec.ID, access.Active)
	active = f.intruder.HGetAll(w.t.Context(), k).Val()
	if _, err := w.service.End(w.t.Context(), by("root"), rec.ID, "an incident"); err != nil {
		w.t.Fatal(err)
	}
	rec = w.reaches(rec.ID, access.Ended)
	w.eventually("the end is on record", func() bool { return len(f.logged(rec.ID, "close")) == 1 })
	return rec, approved, active
}

// logged are the events of a request and a kind that are in the files.
func (f *fort) logged(id access.RequestID, kind string) (found []audit.Entry) {
	f.t.Helper()
	if _, err := audit.Replay([]string{f.dir}, audit.Head{}, func(e audit.Entry) error {
		if e.Request == id && e.Kind == kind {
			found = append(found, e)
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return found
}

// Whoever writes another grant among those of a right does not keep it from being taken away.
func TestAStrangersGrantExplainsNothing(t *testing.T) {
	t.Parallel()
	w, f := besieged(t, time.Minute)
	w.run()
	rec, other := w.active("ana", "db-admin"), w.active("ben", "web-admin")
	f.write(func(p goredis.Pipeliner) { p.SAdd(t.Context(), f.key("right:"+rec.Right()), string(other.ID)) })
	if _, err := w.service.End(t.Context(), by("root"), rec.ID, "an incident"); err != nil {
		t.Fatal(err)
	}
	if ended := w.reaches(rec.ID, access.Ended); w.db.Holds("ana", "db-admin") || ended.Removal.Was != access.Removed {
		t.Errorf("it is held still, and ended with %+v", ended.Removal)
	}
}

// A timer that a record does not have gives nothing, is told of, and is gone.
func TestATimerThatTheRecordDoesNotHaveGivesNothing(t *testing.T) {
	t.Parallel()
	w, f := besieged(t, time.Minute)
	w.run()
	rec, _, _ := w.ended(f)
	lane := f.base() + "due:on:db"
	f.write(func(p goredis.Pipeliner) {
		p.HSet(t.Context(), f.key("r:"+string(rec.ID)), "timers", "activate=1")
		p.ZAdd(t.Context(), lane, goredis.Z{Score: 1, Member: "activate|" + string(rec.ID)})
	})
	f.finds("timers")
	w.eventually("its timer is gone", func() bool {
		return errors.Is(f.intruder.ZScore(t.Context(), lane, "activate|"+string(rec.ID)).Err(), goredis.Nil)
	})
	if w.db.Holds("ana", "db-admin") {
		t.Error("it was given again")
	}
}

func TestWhatIsScheduledBeginsAtItsTimeWhateverItsTimersSay(t *testing.T) {
	t.Parallel()
	w, f := besieged(t, time.Minute)
	w.run()
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Justification: "INC-4711 fix replication", Start: time.Now().Add(30 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Scheduled)
	k := f.key("r:" + string(rec.ID))
	timers := f.intruder.HGet(t.Context(), k, "timers").Val()
	f.write(func(p goredis.Pipeliner) {
		p.HSet(t.Context(), k, "timers", strings.Replace(timers, "start=", "start=1 x=", 1))
		p.ZAdd(t.Context(), f.base()+"due:clock", goredis.Z{Score: 1, Member: "start|" + string(rec.ID)})
	})
	f.finds("timers")
	if got := w.get(rec.ID); got.State != access.Scheduled || f.intruder.HGet(t.Context(), k, "timers").Val() != timers {
		t.Errorf("it is %s", got.State)
	}
}

// What is no record at all, in the place of one that was over, makes nobody forget that it was.
func TestAnApprovalIsUsedOnceWhateverStoodInItsPlace(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]func(approved, active map[string]string) map[string]string{
		"approved": func(approved, _ map[string]string) map[string]string { return approved },
		"active":   func(_, active map[string]string) map[string]string { return active },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := besieged(t, 100*time.Millisecond)
			w.run()
			rec, approved, active := w.ended(f)
			k := f.key("r:" + string(rec.ID))
			f.write(func(p goredis.Pipeliner) { p.HSet(t.Context(), k, "doc", `{"mark":"k1:xx","state":"x"}`) })
			if _, err := f.store.Get(t.Context(), rec.ID); !errors.Is(err, workflows.ErrForged) {
				t.Fatal(err)
			}
			f.finds("record")
			f.putBack(k, which(approved, active))
			f.write(func(p goredis.Pipeliner) {
				p.ZAdd(t.Context(), f.base()+"open", goredis.Z{Score: 1, Member: string(rec.ID)})
				p.ZAdd(t.Context(), f.base()+"due:clock", goredis.Z{Score: 1, Member: "start|" + string(rec.ID)})
			})
			f.finds("version")
			w.eventually("it is over again", func() bool { r := w.get(rec.ID); return r.State.Terminal() && r.Version >= rec.Version })
			if w.db.Holds("ana", "db-admin") || len(f.logged(rec.ID, "arm")) != 1 {
				t.Errorf("it was given %d times", len(f.logged(rec.ID, "arm")))
			}
		})
	}
}

// Events whose ids are used up keep nobody from deciding, and nothing is given without being on record.
func TestAStreamWithoutIdsLeavesNothingOffTheRecord(t *testing.T) {
	t.Parallel()
	w, f := besieged(t, time.Minute)
	w.run()
	rec := w.submit("ana", "db-admin")
	if err := f.intruder.Do(t.Context(), "XSETID", f.key("events"), "18446744073709551615-18446744073709551615").Err(); err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Active)
	w.eventually("it is on record", func() bool { return len(f.logged(rec.ID, "confirm")) == 1 && len(f.logged(rec.ID, "approve")) == 1 })
}

// A request that was cancelled stays so for as long as an older record of it could still begin.
func TestWhatIsOverStaysKnownAsLongAsItCouldHaveBegun(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	anchors, f := workflows.NewAnchors(c.Now), newFort(t, time.Hour)
	store := workflows.Anchored(f.raw, anchors, known, func(access.RequestID) {})
	w := worldAt(t, &clock{}, func(c *workflows.Config) { c.Store = store })
	w.store = f.raw
	w.run()
	rec, err := w.service.Submit(t.Context(), by("ana"), workflows.Ask{Role: "db-admin", Justification: "INC-4711 fix replication", Start: time.Now().Add(20 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w.approve("lea", rec.ID)
	w.reaches(rec.ID, access.Scheduled)
	k := f.key("r:" + string(rec.ID))
	older := f.intruder.HGetAll(t.Context(), k).Val()
	if _, err := w.service.Cancel(t.Context(), by("root"), rec.ID); err != nil {
		t.Fatal(err)
	}
	f.putBack(k, older)
	f.write(func(p goredis.Pipeliner) {
		p.ZAdd(t.Context(), f.base()+"open", goredis.Z{Score: 1, Member: string(rec.ID)})
	})
	c.Advance(21 * 24 * time.Hour)
	doubted := make(chan struct{}, 1)
	g, err := workflows.NewGuard(workflows.GuardConfig{Store: f.raw, Anchors: anchors, Holder: "z", Every: time.Millisecond, Now: c.Now,
		Found: func(string) {}, Recover: func(context.Context, []access.RequestID) error {
			doubted <- struct{}{}
			return errors.New("the log is away")
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	select {
	case <-doubted:
	case <-time.After(time.Minute):
		t.Error("nobody doubts the older record")
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if is, err := store.Get(t.Context(), rec.ID); !errors.Is(err, workflows.ErrForged) {
		t.Errorf("three weeks later it is %+v, %v", is, err)
	}
}
