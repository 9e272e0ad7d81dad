package workflows

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
)

// tried is a breaker with its clock, its log and its lamp.
type tried struct {
	*breaker
	now  time.Time
	logs bytes.Buffer
	lamp []bool
}

func newTried() *tried {
	t := &tried{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	t.breaker = &breaker{log: slog.New(slog.NewTextHandler(&t.logs, nil)), shown: func(open bool) { t.lamp = append(t.lamp, open) }}
	return t
}

var errSilent = errors.New("no answer")

// hears lets n calls in a row end in the same way.
func (t *tried) hears(n int, err error) {
	for range n {
		t.heard(t.now, err)
	}
}

// probe waits until a probe is admitted, and lets it end in a way.
func (t *tried) probe(test *testing.T, err error) (waited time.Duration) {
	test.Helper()
	n, probe, again := t.admit(t.now, 8)
	if n == 0 && again.After(t.now) {
		waited = again.Sub(t.now)
		t.now = again
		n, probe, _ = t.admit(t.now, 8)
	}
	if n != 1 || !probe {
		test.Fatalf("after %s %d were admitted, probe %v", waited, n, probe)
	}
	if n, _, again := t.admit(t.now, 8); n != 0 || !again.IsZero() {
		test.Fatalf("beside a probe %d more were admitted", n)
	}
	t.heard(t.now, err)
	t.probed(t.now)
	return waited
}

func TestASilentTargetIsProbedInGrowingDistances(t *testing.T) {
	t.Parallel()
	b := newTried()
	b.hears(breakAfter-1, errSilent)
	b.hears(1, nil)
	b.hears(breakAfter-1, errSilent)
	if n, probe, _ := b.admit(b.now, 8); n != 8 || probe {
		t.Fatalf("with fewer than %d in a row %d were admitted", breakAfter, n)
	}
	b.hears(4, errSilent) // one trips it, the others were under way
	var waits []time.Duration
	for range 6 {
		waits = append(waits, b.probe(t, errSilent).Round(time.Second)/time.Second)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if waits[i] != want {
			t.Fatalf("waited %v seconds between probes", waits)
		}
	}
	b.probe(t, nil)
	if n, probe, _ := b.admit(b.now, 8); n != 8 || probe {
		t.Errorf("after an answer %d were admitted, probe %v", n, probe)
	}
	if len(b.lamp) != 2 || !b.lamp[0] || b.lamp[1] {
		t.Errorf("the lamp showed %v", b.lamp)
	}
	if lines := strings.Count(b.logs.String(), "\n"); lines != 2 {
		t.Errorf("%d lines of log, want one for the opening and one for the closing:\n%s", lines, &b.logs)
	}
}

func TestATargetThatSaysNoIsThere(t *testing.T) {
	t.Parallel()
	for _, kind := range []connectors.Kind{connectors.Denied, connectors.Invalid, connectors.NotFound, connectors.TooEarly} {
		b := newTried()
		b.hears(100, &connectors.Error{Kind: kind, Op: "try"})
		if n, _, _ := b.admit(b.now, 8); n != 8 {
			t.Errorf("%s: %d were admitted", kind, n)
		}
		b.hears(breakAfter, errSilent)
		b.probe(t, &connectors.Error{Kind: kind, Op: "try"})
		if n, _, _ := b.admit(b.now, 8); n != 8 {
			t.Errorf("after %s to a probe %d were admitted", kind, n)
		}
	}
}

func TestATargetThatAsksForARestGetsIt(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{0: probeFirst, 20 * time.Second: 20 * time.Second, time.Hour: longestRest} {
		b := newTried()
		b.hears(1, &connectors.Error{Kind: connectors.Throttled, Op: "try", RetryAfter: asked})
		if n, _, again := b.admit(b.now, 8); n != 0 || again.Sub(b.now) != want {
			t.Errorf("asked for %s it gets %s, %d were admitted", asked, again.Sub(b.now), n)
		}
		b.probe(t, nil)
		if n, _, _ := b.admit(b.now, 8); n != 8 {
			t.Errorf("rested, %d were admitted", n)
		}
	}
}

func TestAProbeThatFoundNothingToDoIsNotCounted(t *testing.T) {
	t.Parallel()
	b := newTried()
	b.hears(breakAfter, errSilent)
	b.now = b.now.Add(time.Minute)
	for range 3 {
		if n, probe, _ := b.admit(b.now, 8); n != 1 || !probe {
			t.Fatalf("%d were admitted, probe %v", n, probe)
		}
		b.probed(b.now)
	}
}
