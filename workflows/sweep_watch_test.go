package workflows_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// talker is a target that tells of changes when a test has it do so.
type talker struct {
	connectors.Connector

	mu     sync.Mutex
	roles  []access.Role
	change func(access.Role)
	cut    chan error // ends the watch; nil: nobody listens
	begun  int
	never  bool
	linger chan struct{} // where a watch that was told to end waits first
}

func (k *talker) Watch(ctx context.Context, roles []access.Role, changed func(access.Role)) error {
	k.mu.Lock()
	k.begun++
	if k.never {
		k.mu.Unlock()
		return &connectors.Error{Kind: connectors.Invalid, Op: "listen", Err: connectors.ErrNeverTells}
	}
	cut := make(chan error, 1)
	k.roles, k.change, k.cut = roles, changed, cut
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.change, k.cut = nil, nil
	}()
	for _, r := range roles {
		changed(r)
	}
	select {
	case <-ctx.Done():
		if k.linger != nil {
			k.linger <- struct{}{}
			<-k.linger
		}
		return ctx.Err()
	case err := <-cut:
		return err
	}
}

// tells of a change at the target of a role, often.
func (k *talker) tells(of string, often int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range often {
		for _, r := range k.roles {
			if r.Target["role"] == of && k.change != nil {
				k.change(r)
			}
		}
	}
}

func (k *talker) ends() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut <- errors.New("the connection is lost")
}

func (k *talker) times() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun
}

// heard is a world whose database tells of changes, swept so seldom that all that is found was told of.
type heard struct {
	*world
	*talker
	asking *asked
	m      *watched
	stop   func()
}

func listening(t *testing.T, change ...func(*workflows.SweeperConfig)) *heard {
	t.Helper()
	w := newWorld(t)
	h := &heard{world: w, asking: &asked{Connector: w.connector(w.db), by: map[string]int{}}}
	h.talker = &talker{Connector: h.asking}
	w.with("db", h.talker)
	w.run()
	h.m, h.stop = w.sweeper("one", append([]func(*workflows.SweeperConfig){func(c *workflows.SweeperConfig) { c.Every = 24 * time.Hour }}, change...)...)
	w.eventually("the first sweep is over, and somebody listens", func() bool { return h.m.swept("db") == 1 && h.hears() })
	h.settles("what was told at the beginning was looked at", func() bool { return h.prompted() == 3 && h.asking.idleAfter(6) })
	return h
}

func (h *heard) hears() (yes bool) {
	h.m.locked(func() { yes = h.m.watching["db"] })
	return yes
}

func (h *heard) prompted() (n int) {
	h.m.locked(func() { n = h.m.prompted })
	return n
}

// settles waits until something holds, in less time than it takes to the next sweep.
func (h *heard) settles(what string, holds func() bool) {
	h.t.Helper()
	began := h.clock.Now()
	h.eventually(what, func() bool {
		h.clock.Advance(100 * time.Millisecond)
		return holds()
	})
	if took := h.clock.Now().Sub(began); took > time.Hour {
		h.t.Errorf("%s: after %s", what, took)
	}
}

func TestWhatATargetTellsOfIsSweptAtOnceAndNotAtItsTurn(t *testing.T) {
	t.Parallel()
	h := listening(t)
	live := h.active("ana", "db-admin")
	h.stray(h.db, "ben", "db-admin")
	h.db.Plant("eve", "db-admin")
	h.tells("db-admin", 1)
	h.settles("what no grant explains is taken away", func() bool { return !h.db.Holds("ben", "db-admin") })
	h.settles("with evidence", func() bool { found := h.found(); return len(found) == 1 && found[0].State == access.Ended })
	h.m.locked(func() {
		if h.m.standing["db-admin"] != 1 {
			t.Errorf("standing access is %v", h.m.standing)
		}
	})
	h.db.Withdraw("ana", "db-admin")
	h.clock.Advance(time.Minute)
	h.tells("db-admin", 1)
	h.settles("the live grant that is missing is reported", func() bool {
		return slices.ContainsFunc(h.events(live.ID), func(e audit.Event) bool { return e.Kind == audit.Drift })
	})
	if got := h.get(live.ID).State; got != access.Active || h.m.swept("db") != 1 {
		t.Errorf("the grant is %s; the connector was swept %d times", got, h.m.swept("db"))
	}
}

// What was given a moment ago may not be listed yet; when it must be, somebody looks again.
func TestAFreshGrantThatIsMissingIsReportedWhenItIsNoLongerFresh(t *testing.T) {
	t.Parallel()
	h := listening(t)
	live := h.active("ana", "db-admin")
	h.db.Withdraw("ana", "db-admin")
	h.tells("db-admin", 1)
	h.settles("it is reported", func() bool {
		return slices.ContainsFunc(h.events(live.ID), func(e audit.Event) bool { return e.Kind == audit.Drift })
	})
	if took := h.clock.Now().Sub(live.ActivatedAt); took < 30*time.Second {
		t.Errorf("it was reported after %s", took)
	}
}

// A target that changes all the time is looked at now and then, others are not looked at for that, and never two at once.
func TestAFloodOfChangesIsFewLooks(t *testing.T) {
	t.Parallel()
	h := listening(t, func(c *workflows.SweeperConfig) { c.Apart = time.Minute })
	h.asking.mu.Lock()
	h.asking.by = map[string]int{}
	h.asking.mu.Unlock()
	began := h.clock.Now()
	h.settles("ten minutes are over", func() bool {
		h.tells("db-owner", 100)
		return h.clock.Now().Sub(began) >= 10*time.Minute
	})
	h.asking.mu.Lock()
	defer h.asking.mu.Unlock()
	if n := h.asking.by["db-owner"]; n == 0 || n > 11 || len(h.asking.by) != 1 || h.asking.most > 1 {
		t.Errorf("%d looks, want 1 to 11; asked %v, %d questions at once", n, h.asking.by, h.asking.most)
	}
}

func TestAWatchThatEndsIsBegunAgainAndWhatWasMissedIsLookedAt(t *testing.T) {
	t.Parallel()
	h := listening(t)
	before := h.prompted()
	h.ends()
	h.stray(h.db, "ben", "db-admin") // nobody hears it
	h.settles("it is found", func() bool { return !h.db.Holds("ben", "db-admin") })
	h.settles("every target was looked at once more", func() bool { return h.prompted() == before+3 })
	if h.times() != 2 {
		t.Errorf("somebody listened %d times", h.times())
	}
}

func TestASweeperStopsWhenItsWatchesHave(t *testing.T) {
	t.Parallel()
	h := listening(t)
	h.linger = make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		h.stop()
	}()
	<-h.linger // it has been told to end
	for range 200 {
		h.found()
	}
	select {
	case <-stopped:
		t.Error("the sweeper has stopped, and its watch goes on")
	default:
	}
	h.linger <- struct{}{}
	<-stopped
	if h.hears() {
		t.Error("a connector that nobody listens to any more counts as heard")
	}
}

func TestATargetThatNeverTellsIsSweptAsOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silent := &talker{Connector: w.connector(w.db), never: true}
	w.with("db", silent)
	m, _ := w.sweeper("one")
	w.sweepsAgain(m, "db")
	m.locked(func() {
		if _, shown := m.watching["db"]; m.prompted != 0 || shown || silent.times() != 1 {
			t.Errorf("%d looks, hears %v, listened %d times", m.prompted, m.watching, silent.times())
		}
	})
}

// hang has questions not be answered from now on.
func (h *heard) hang() {
	h.asking.mu.Lock()
	defer h.asking.mu.Unlock()
	h.asking.hang, h.asking.most = true, 0
}

// atOnce is how many questions there were at the same time since then.
func (h *heard) atOnce() int {
	h.asking.mu.Lock()
	defer h.asking.mu.Unlock()
	return h.asking.most
}

func TestAConnectorIsAskedOneThingAtATimeAlsoAboutWhatItTold(t *testing.T) {
	t.Parallel()
	h := listening(t, func(c *workflows.SweeperConfig) { c.Every = 10 * time.Minute })
	before := h.prompted()
	h.hang()
	h.settles("the regular sweep hangs", func() bool { return h.atOnce() == 1 })
	h.tells("db-owner", 1)
	h.settles("it is to be looked at", func() bool { return h.prompted() == before+1 })
	h.sweepsAgain(h.m, "web")
	if n := h.atOnce(); n != 1 {
		t.Errorf("%d questions at once", n)
	}
}

// A target that hangs when it is asked about what it told of delays neither endings nor another's sweep.
func TestAHangingLookDelaysNoTimer(t *testing.T) {
	t.Parallel()
	h := listening(t)
	own, other := h.active("ana", "db-admin"), h.active("ana", "web-admin")
	h.hang()
	h.tells("db-admin", 1)
	h.settles("the target hangs", func() bool { return h.atOnce() == 1 })
	h.clock.Advance(time.Hour)
	h.reaches(own.ID, access.Ended)
	h.reaches(other.ID, access.Ended)
}
