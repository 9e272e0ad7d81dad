package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// given notes when a replica was to give back what the store lost.
type given struct {
	since []Head
	heads []Head // that the store had then
	lost  bool
	err   error
}

func (g *given) to(d *Drainer, store *memory) {
	d.cfg.Behind = func(ctx context.Context, since Head) (bool, error) {
		stored, _, err := store.Once(ctx, headKey, nil, forever)
		if err != nil {
			return false, err
		}
		p, err := parsePosition(stored)
		if err != nil {
			return false, err
		}
		g.since, g.heads = append(g.since, since), append(g.heads, p.Head)
		return g.lost, g.err
	}
}

// drained is a replica that has drained n events.
func drained(t *testing.T, n int) (c *clock, store *memory, dir string, d *Drainer, g *given) {
	t.Helper()
	c, dir, g = newClock(), t.TempDir(), &given{}
	store = newMemory(c.Now)
	d = replica(t, "a", dir, store, Config{Now: c.Now})
	g.to(d, store)
	store.add(samples(1, n)...)
	drainAll(t, d)
	if len(g.since) > 0 {
		t.Fatalf("a store that is well is behind %v", g.since)
	}
	return c, store, dir, d, g
}

func TestEmptiedStoreIsGivenBackBeforeTheHeadIs(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		c, store, dir, d, g := drained(t, 3)
		store.become(newMemory(nil))
		if restarted {
			d.release()
			d = replica(t, "a", dir, store, Config{Now: c.Now})
			g.to(d, store)
		}
		g.err = errors.New("no")
		var logged bytes.Buffer
		d.log = textLogger(&logged)
		for range 2 {
			if _, err := d.round(t.Context()); !errors.Is(err, errBehind) {
				t.Errorf("restarted %v: %v", restarted, err)
			}
		}
		if n := strings.Count(logged.String(), "could not be given back"); n != 1 {
			t.Errorf("told %d times: %s", n, logged.String())
		}
		if err := d.Healthy(); err == nil {
			t.Error("healthy with a store that has lost everything")
		}
		g.err, g.lost = nil, true
		store.add(samples(4, 5)...)
		drainAll(t, d)
		c.Add(time.Minute)
		drainAll(t, d)
		if !slices.Equal(g.since, make([]Head, 3)) || !slices.Equal(g.heads, make([]Head, 3)) || d.Healthy() != nil {
			t.Errorf("restarted %v: given back since %v while the head was %v; %v", restarted, g.since, g.heads, d.Healthy())
		}
		requireWhole(t, 5, dir)
	}
}

func TestOlderCopyIsGivenBackWhatCameSince(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		c, store, dir, d, g := drained(t, 3)
		store.add(samples(4, 5)...) // they wait in the copy, and are in the files by the time it comes back
		older, since := store.backup(), d.Head()
		drainAll(t, d)
		for n := 6; n < 30; n++ {
			store.add(samples(n, n)...)
			drainAll(t, d)
		}
		store.become(older)
		if restarted {
			d.release()
			d = replica(t, "a", dir, store, Config{Now: c.Now})
			g.to(d, store)
		}
		g.lost = true
		drainAll(t, d)
		store.add(samples(30, 31)...)
		drainAll(t, d)
		if !slices.Equal(g.since, []Head{since}) || !slices.Equal(g.heads, []Head{since}) {
			t.Errorf("restarted %v: given back since %v while the head was %v; want %v", restarted, g.since, g.heads, since)
		}
		requireWhole(t, 31, dir)
	}
}

// A write of the head may be on its way while the store becomes an older copy, and make that look up to date.
func TestOlderCopyWithANewHeadIsNoticedByItsWitnesses(t *testing.T) {
	t.Parallel()
	c, store, _, d, g := drained(t, 3)
	older := store.backup()
	for range 3 {
		c.Add(markedEvery)
		drainAll(t, d)
	}
	store.add(samples(4, 4)...)
	drainAll(t, d)
	store.become(older)
	if err := d.put(t.Context(), headKey, d.head, forever); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.Add(markedEvery)
		drainAll(t, d)
	}
	if !slices.Equal(g.since, []Head{{}}) {
		t.Errorf("given back since %v; want once, all", g.since)
	}
}

// Replicas with folders of their own each have a part of the log to give back.
func TestEveryReplicaGivesBack(t *testing.T) {
	t.Parallel()
	c, store, _, a, of := drained(t, 3)
	a.release()
	b, dirB, from := replica(t, "b", t.TempDir(), store, Config{Now: c.Now}), "", &given{lost: true}
	from.to(b, store)
	dirB = b.cfg.Dir
	older := store.backup()
	store.add(samples(4, 6)...)
	drainAll(t, b)
	if _, err := a.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.become(older)
	drainAll(t, b) // and moves the head, before a looks again
	if _, err := a.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(from.since) != 1 || len(of.since) != 1 {
		t.Errorf("b gave back since %v, a since %v; want once each", from.since, of.since)
	}
	store.become(newMemory(nil))
	for _, d := range []*Drainer{b, a, b, a} {
		if _, err := d.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(from.since) != 2 || len(of.since) != 2 {
		t.Errorf("the store was emptied: b gave back since %v, a since %v; want once more each", from.since, of.since)
	}
	if report, err := Verify([]string{a.cfg.Dir, dirB}, Expect{}); err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Problems, err)
	}
}

// A process that is killed between writing lines and saying so leaves a store that only does not know their number.
func TestLinesOfAKilledProcessAreCompared(t *testing.T) {
	t.Parallel()
	c, store, dir, d, g := drained(t, 3)
	since := d.Head()
	if err := d.files.Append(samples(4, 4)); err != nil {
		t.Fatal(err)
	}
	store.add(samples(4, 4)...)
	d.release()
	d = replica(t, "a", dir, store, Config{Now: c.Now})
	g.to(d, store)
	drainAll(t, d)
	if !slices.Equal(g.since, []Head{since}) {
		t.Errorf("compared since %v; want %v", g.since, since)
	}
	requireWhole(t, 4, dir)
}

func TestFolderThatKnowsNoStoreIsCompared(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", `["one"]`} {
		c, store, dir, d, g := drained(t, 3)
		d.release()
		path := filepath.Join(dir, birthFile)
		err := os.Remove(path)
		if content != "" {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			d = replica(t, "a", dir, store, Config{Now: c.Now})
			g.to(d, store)
			drainAll(t, d)
			d.release()
		}
		if !slices.Equal(g.since, []Head{{}}) {
			t.Errorf("%q: compared since %v; want once, all", content, g.since)
		}
	}
}

func TestConfirmWaitsForALookThatBeganLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(time.Now)
		d := replica(t, "a", t.TempDir(), store, Config{})
		late, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Confirm(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("confirmed by nobody: %v", err)
		}
		stop := start(t, d)
		defer stop()
		synctest.Wait()
		began := time.Now()
		if err := d.Confirm(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		store.become(newMemory(time.Now))
		release := make(chan struct{})
		d.cfg.Behind = func(context.Context, Head) (bool, error) { <-release; return true, nil }
		confirmed := make(chan error, 1)
		go func() { confirmed <- d.Confirm(t.Context()) }()
		store.add(samples(1, 1)...)
		synctest.Wait()
		select {
		case <-confirmed:
			t.Error("confirmed before the store was given back what it lost")
		default:
		}
		close(release)
		if err := <-confirmed; err != nil {
			t.Error(err)
		}
	})
}
