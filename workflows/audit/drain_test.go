package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

var errKilled = errors.New("killed")

// mortal is what a replica that is killed at its nth step sees of store and disk: nothing works after that. A step is
// the moment before a call has its effect, or the moment between its effect and its answer.
type mortal struct {
	Store
	left atomic.Int64
}

func newMortal(s Store, left int64) *mortal {
	m := &mortal{Store: s}
	m.left.Store(left)
	return m
}

func (m *mortal) step() error {
	if m.left.Add(-1) <= 0 {
		return errKilled
	}
	return nil
}

func around[T any](m *mortal, call func() (T, error)) (T, error) {
	var zero T
	if err := m.step(); err != nil {
		return zero, err
	}
	v, err := call()
	return v, errors.Join(err, m.step())
}

func (m *mortal) Undrained(ctx context.Context, limit int) ([]Event, error) {
	return around(m, func() ([]Event, error) { return m.Store.Undrained(ctx, limit) })
}

func (m *mortal) Drained(ctx context.Context, ids []string) error {
	_, err := around(m, func() (any, error) { return nil, m.Store.Drained(ctx, ids) })
	return err
}

func (m *mortal) Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error) {
	stored, err = around(m, func() (s []byte, err error) { s, first, err = m.Store.Once(ctx, key, value, ttl); return s, err })
	return stored, first, err
}

func (m *mortal) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := around(m, func() (any, error) { return nil, m.Store.Put(ctx, key, value, ttl) })
	return err
}

func (m *mortal) Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	return around(m, func() (bool, error) { return m.Store.Hold(ctx, name, holder, lease) })
}

func (m *mortal) Drop(ctx context.Context, name, holder string) error {
	_, err := around(m, func() (any, error) { return nil, m.Store.Drop(ctx, name, holder) })
	return err
}

func (m *mortal) open(path string, fresh bool) (file, error) {
	return around(m, func() (file, error) {
		f, err := hasty(path, fresh)
		return mortalFile{f, m}, err
	})
}

// mortalFile writes half of the bytes in each of two steps.
type mortalFile struct {
	file
	m *mortal
}

func (f mortalFile) Write(b []byte) (int, error) {
	n, err := around(f.m, func() (int, error) { return f.file.Write(b[:len(b)/2]) })
	if err != nil {
		return n, err
	}
	rest, err := around(f.m, func() (int, error) { return f.file.Write(b[len(b)/2:]) })
	return n + rest, err
}

func (f mortalFile) Sync() error {
	_, err := around(f.m, func() (any, error) { return nil, f.file.Sync() })
	return err
}

// A replica is killed at every step of draining; another one (in the same folder or in one of its own) takes over, then
// the first comes back.
func TestEachEventIsWrittenOnceWhereverAReplicaIsKilled(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"the same folder", "another folder"} {
		for _, survivor := range []string{"another replica, then the first", "the first"} {
			kills := 0
			for step := int64(1); ; step++ {
				if !killAt(t, step, folder == "another folder", survivor == "the first") {
					break
				}
				kills++
				if t.Failed() {
					t.Fatalf("killed at step %d; %s goes on in %s", step, survivor, folder)
				}
			}
			if kills < 50 {
				t.Errorf("only %d steps were tried", kills)
			}
		}
	}
}

// killAt tells false where there is no such step.
func killAt(t *testing.T, step int64, ownFolder, alone bool) bool {
	t.Helper()
	c := newClock()
	store := newMemory(c.Now)
	dirA := t.TempDir()
	dirB := dirA
	if ownFolder {
		dirB = t.TempDir()
	}
	m := newMortal(store, step)
	a := replica(t, "a", dirA, m, Config{Now: c.Now, MaxBytes: 2500, open: m.open})
	var err error
	for batch := range 3 {
		store.add(samples(batch*3+1, batch*3+3)...)
		for more := true; more && err == nil; {
			more, err = a.round(t.Context())
		}
	}
	a.release()
	if err == nil {
		return false
	}
	if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	c.Add(time.Minute) // the lease runs out
	n := 9
	more := func() { n += 2; store.add(samples(n-1, n)...) }
	if !alone {
		b := replica(t, "b", dirB, store, Config{Now: c.Now})
		drainAll(t, b)
		more()
		drainAll(t, b)
		b.release()
	}
	more()
	again := replica(t, "a", dirA, store, Config{Now: c.Now})
	drainAll(t, again)
	if left := store.waiting(); left > 0 {
		t.Errorf("%d events are still in the store", left)
	}
	requireWhole(t, n, dirA, dirB)
	return true
}

// turns lets goroutines that use a store run one call at a time, in an order drawn from a seed.
type turns struct {
	Store
	ask chan chan struct{}
}

func (s turns) Undrained(ctx context.Context, limit int) ([]Event, error) {
	s.wait()
	return s.Store.Undrained(ctx, limit)
}

func (s turns) Drained(ctx context.Context, ids []string) error {
	s.wait()
	return s.Store.Drained(ctx, ids)
}

func (s turns) Once(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	s.wait()
	return s.Store.Once(ctx, key, value, ttl)
}

func (s turns) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.wait()
	return s.Store.Put(ctx, key, value, ttl)
}

func (s turns) wait() {
	grant := make(chan struct{})
	s.ask <- grant
	<-grant
}

// grant lets one goroutine after the other go on until all have ended; before says what happens in between.
func grant(r *rand.Rand, alive int, ask chan chan struct{}, ended chan struct{}, before func()) {
	var blocked []chan struct{}
	for alive > 0 {
		for len(blocked) < alive {
			select {
			case g := <-ask:
				blocked = append(blocked, g)
			case <-ended:
				alive--
			}
		}
		if alive > 0 {
			before()
			i := r.IntN(len(blocked))
			close(blocked[i])
			blocked = slices.Delete(blocked, i, i+1)
		}
	}
}

// hasty opens files that leave syncing to the system.
func hasty(path string, fresh bool) (file, error) {
	f, err := openFile(path, fresh)
	return unsynced{f}, err
}

type unsynced struct{ file }

func (unsynced) Sync() error { return nil }

// Three replicas all believe that they hold the lease, as after long pauses, and their calls are interleaved at random.
func TestReplicasThatAllHoldTheLeaseWriteOneChain(t *testing.T) {
	t.Parallel()
	copies := int64(0)
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newClock()
		store := newMemory(c.Now)
		store.leaky = true
		ask, ended := make(chan chan struct{}), make(chan struct{})
		dirs := []string{t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()}
		for i, dir := range dirs[:3] {
			d := replica(t, fmt.Sprint("replica-", i), dir, turns{Store: store, ask: ask}, Config{Now: c.Now, open: hasty})
			go func() {
				defer func() { ended <- struct{}{} }()
				for range 25 {
					if _, err := d.round(context.Background()); err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
			}()
		}
		n := 0
		grant(r, 3, ask, ended, func() {
			if r.IntN(3) == 0 {
				n++
				store.add(sample(n))
			}
		})
		drainAll(t, replica(t, "last", dirs[3], store, Config{Now: c.Now}))
		copies += requireWhole(t, n, dirs...).Copies
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if copies == 0 {
		t.Error("no replica ever wrote what another had settled: this test tries nothing")
	}
}

func TestChainGoesOnWhereTheStoreLostItsHead(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	store.add(samples(1, 4)...)
	first := replica(t, "a", dir, store, Config{Now: c.Now})
	drainAll(t, first)
	first.release()

	emptied := newMemory(c.Now)
	emptied.add(samples(3, 6)...) // two of them came back with an older copy of the store
	second := replica(t, "a", dir, emptied, Config{Now: c.Now})
	drainAll(t, second)
	requireWhole(t, 6, dir)
	if emptied.waiting() != 0 {
		t.Errorf("%d events are left", emptied.waiting())
	}
}

func TestEventsThatTheStoreBringsBackAreNotWrittenAgain(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	d := replica(t, "a", dir, store, Config{Now: c.Now})
	for n := 1; n <= 5; n++ {
		store.add(sample(n))
		drainAll(t, d)
	}
	store.add(samples(2, 6)...) // as after a failover to a copy that had not heard of the last second
	drainAll(t, d)
	requireWhole(t, 6, dir)
}

func TestNewEventUnderAnOldIDIsWritten(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	d := replica(t, "a", dir, store, Config{Now: c.Now})
	store.add(sample(1))
	drainAll(t, d)
	second := sample(2)
	second.ID = sample(1).ID
	store.add(second)
	drainAll(t, d)
	if report, err := Verify([]string{dir}, Expect{}); err != nil || !report.OK() || report.Lines != 2 {
		t.Errorf("%+v, %v; want two lines", report, err)
	}
}

func TestStoreKeepsNoLinesThatAreWritten(t *testing.T) {
	t.Parallel()
	c := newClock()
	store := newMemory(c.Now)
	store.add(samples(1, 3)...)
	drainAll(t, replica(t, "a", t.TempDir(), store, Config{Now: c.Now}))
	settled, ours, err := store.Once(t.Context(), settleKey(Head{}), nil, time.Minute)
	if err != nil || ours || areLines(settled) {
		t.Errorf("the store has %.80q (set now: %v, %v); want a position", settled, ours, err)
	}
}

func TestEditedLastLineIsLeftAsEvidence(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	store.add(samples(1, 2)...)
	d := replica(t, "a", dir, store, Config{Now: c.Now})
	drainAll(t, d)
	d.release()
	path := filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(raw, []byte(`"ana"`))
	copy(raw[at:], `"bob"`)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	store.add(samples(3, 3)...)
	var logged bytes.Buffer
	drainAll(t, replica(t, "a", dir, store, Config{Now: c.Now, Logger: textLogger(&logged)}))
	if !strings.Contains(logged.String(), "the last line in the folder is not the one that was written") {
		t.Errorf("logged: %s", logged.String())
	}
	report, err := Verify([]string{dir}, Expect{})
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Text, "line 3 of the chain does not fit to line 2 before it") {
		t.Errorf("%v, %v", report.Problems, err)
	}
}

// failing gives files that write some bytes and then answer with an error, as a full disk does.
type failing struct {
	room atomic.Int64
	err  error
	sync error
}

func newFailing(room int64, err error) *failing {
	f := &failing{err: err}
	f.room.Store(room)
	return f
}

func (f *failing) open(path string, fresh bool) (file, error) {
	file, err := openFile(path, fresh)
	return failingFile{file, f}, err
}

type failingFile struct {
	file
	f *failing
}

func (w failingFile) Write(b []byte) (int, error) {
	n, err := w.file.Write(b[:min(int64(len(b)), w.f.room.Load())])
	w.f.room.Add(int64(-n))
	if n < len(b) {
		err = errors.Join(err, w.f.err)
	}
	return n, err
}

func (w failingFile) Sync() error { return errors.Join(w.file.Sync(), w.f.sync) }

func TestFullDiskIsToldAndNothingIsLost(t *testing.T) {
	t.Parallel()
	for room := int64(0); room < 2000; room += 97 {
		c, dir := newClock(), t.TempDir()
		store := newMemory(c.Now)
		disk := newFailing(room, syscall.ENOSPC)
		d := replica(t, "a", dir, store, Config{Now: c.Now, open: disk.open})
		store.add(samples(1, 5)...)
		for range 3 {
			_, err := d.round(t.Context())
			if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, errFiles) {
				t.Fatalf("room %d: %v", room, err)
			}
			d.fail(err)
		}
		if err := d.Healthy(); !errors.Is(err, ErrNotDrained) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("room %d: Healthy says %v", room, err)
		}
		disk.room.Store(1 << 20)
		drainAll(t, d)
		if err := d.Healthy(); err != nil {
			t.Errorf("room %d, disk mended: %v", room, err)
		}
		requireWhole(t, 5, dir)
	}
}

func TestWhatWasNotSyncedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	store.add(samples(1, 5)...)
	disk := newFailing(1<<20, nil)
	disk.sync = syscall.EIO
	d := replica(t, "a", dir, store, Config{Now: c.Now, open: disk.open})
	_, err := d.round(t.Context())
	if !errors.Is(err, syscall.EIO) || store.waiting() != 5 {
		t.Errorf("%v, and %d of 5 events wait in the store", err, store.waiting())
	}
}

// start runs a drainer in a bubble of synctest.
func start(t *testing.T, d *Drainer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	}
}

func TestReplicaWithAWorkingDiskTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(time.Now)
		dirA, dirB := t.TempDir(), t.TempDir()
		disk := newFailing(1<<20, syscall.ENOSPC)
		a := replica(t, "a", dirA, store, Config{open: disk.open})
		b := replica(t, "b", dirB, store, Config{})
		if err := a.Healthy(); !errors.Is(err, ErrNotDrained) {
			t.Errorf("before the first round: %v", err)
		}
		stopA := start(t, a)
		time.Sleep(time.Second)
		stopB := start(t, b)
		store.add(samples(1, 3)...)
		time.Sleep(10 * time.Second)
		if err := errors.Join(a.Healthy(), b.Healthy()); err != nil || a.Head() != b.Head() || a.Head().Seq != 3 {
			t.Errorf("%v; heads %v and %v", err, a.Head(), b.Head())
		}
		disk.room.Store(100)
		store.add(samples(4, 6)...)
		time.Sleep(600 * time.Millisecond)
		if a.Healthy() == nil {
			t.Error("a full disk is not told at once")
		}
		time.Sleep(10 * time.Second)
		if err := errors.Join(a.Healthy(), b.Healthy()); err != nil || store.waiting() > 0 {
			t.Errorf("10 s later: %v, %d events wait", err, store.waiting())
		}
		stopA()
		stopB()
		report, err := Verify([]string{dirA, dirB}, Expect{})
		if err != nil || report.Lines != 6 {
			t.Errorf("%+v, %v", report, err)
		}
		for _, p := range report.Problems {
			if !strings.Contains(p.Text, "ends in the middle of a line") {
				t.Errorf("problem: %v", p)
			}
		}
	})
}

func TestHealthTellsWhenNobodyDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(time.Now)
		a := replica(t, "a", t.TempDir(), store, Config{})
		b := replica(t, "b", t.TempDir(), store, Config{})
		stopA := start(t, a)
		time.Sleep(time.Second)
		stopB := start(t, b)
		defer stopB()
		time.Sleep(time.Minute)
		if err := b.Healthy(); err != nil {
			t.Errorf("while another drains: %v", err)
		}
		stopA()
		store.seize(leaseName, "somebody who sleeps", time.Hour)
		time.Sleep(50 * time.Second)
		if err := b.Healthy(); err != nil {
			t.Errorf("within a minute: %v", err)
		}
		time.Sleep(15 * time.Second)
		if err := b.Healthy(); !errors.Is(err, ErrNotDrained) {
			t.Errorf("after a minute: %v", err)
		}
	})
}

// TestHealthIsKnownAtOnce: a replica that starts beside one that drains, or after one that was killed with the lease,
// need not wait to see the chain move before anything may be activated.
func TestHealthIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(time.Now)
		stopA := start(t, replica(t, "a", t.TempDir(), store, Config{}))
		time.Sleep(10 * time.Second)
		b, ahead, late := replica(t, "b", t.TempDir(), store, Config{}), replica(t, "c", t.TempDir(), store, Config{
			Now: func() time.Time { return time.Now().Add(-time.Hour) },
		}), replica(t, "d", t.TempDir(), store, Config{})
		for _, d := range []*Drainer{b, ahead} {
			if _, err := d.round(t.Context()); err != nil || d.Healthy() != nil {
				t.Errorf("%s, after one round beside a replica that drains: %v, %v", d.cfg.Holder, err, d.Healthy())
			}
		}
		stopA()
		if held, err := store.Hold(t.Context(), leaseName, "somebody who sleeps", time.Hour); err != nil || !held {
			t.Fatalf("the lease was not given up (%v)", err)
		}
		time.Sleep(61 * time.Second)
		if _, err := late.round(t.Context()); err != nil || !errors.Is(late.Healthy(), ErrNotDrained) {
			t.Errorf("a minute after anybody drained: %v, %v", err, late.Healthy())
		}
	})
}

func TestStoreThatCannotBeAskedIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		m := newMortal(newMemory(time.Now), 40)
		d := replica(t, "a", t.TempDir(), m, Config{Logger: textLogger(&logged)})
		stop := start(t, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := d.Healthy(); !errors.Is(err, errKilled) {
			t.Errorf("Healthy says %v", err)
		}
		m.left.Store(1 << 20)
		time.Sleep(time.Second)
		if err := d.Healthy(); err != nil {
			t.Errorf("the store answers again: %v", err)
		}
		stop()
		if n := strings.Count(logged.String(), "events cannot be drained"); n != 1 {
			t.Errorf("the outage was logged %d times; want once:\n%s", n, logged.String())
		}
	})
}

func TestDrainerNeedsAFolderAndAName(t *testing.T) {
	t.Parallel()
	for _, cfg := range []DrainConfig{{Dir: "x"}, {Holder: "a"}} {
		if _, err := NewDrainer(cfg, newMemory(time.Now)); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestBacklogIsDrainedInBatches(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	store := newMemory(c.Now)
	n := 2*maxBatch + 7
	store.add(samples(1, n)...)
	d := replica(t, "a", dir, store, Config{Now: c.Now})
	for _, want := range []bool{true, true, false} {
		if more, err := d.round(t.Context()); err != nil || more != want {
			t.Fatalf("more is %v, %v; want %v", more, err, want)
		}
	}
	requireWhole(t, n, dir)
}

func TestWhatHappensDuringAStopIsDrainedByTheOneThatDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(time.Now)
		dirA, dirB := t.TempDir(), t.TempDir()
		a, b := replica(t, "a", dirA, store, Config{}), replica(t, "b", dirB, store, Config{})
		stopA := start(t, a)
		synctest.Wait()
		stopA()
		store.add(samples(1, maxBatch+3)...)
		if err := a.Finish(t.Context()); err != nil || store.waiting() > 0 {
			t.Errorf("finish: %v, %d events wait", err, store.waiting())
		}
		stopB := start(t, b)
		synctest.Wait()
		store.add(samples(maxBatch+4, maxBatch+5)...)
		if err := a.Finish(t.Context()); err != nil || store.waiting() != 2 {
			t.Errorf("beside a replica that drains: %v, %d events wait", err, store.waiting())
		}
		time.Sleep(time.Second)
		stopB()
		requireWhole(t, maxBatch+5, dirA, dirB)
	})
}
