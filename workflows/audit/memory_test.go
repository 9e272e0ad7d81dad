package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"elevate/workflows/access"
)

// noon is when the tests begin.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: noon} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// sample makes the nth event of a test.
func sample(n int) Event {
	return Event{
		ID:   fmt.Sprintf("e-%06d", n),
		At:   noon.Add(time.Duration(n) * time.Second),
		Kind: "confirm", Request: "07kq4-m2xp9", Version: int64(n), From: access.Activating, To: access.Active,
		Actor:  access.Actor{Person: "ana", Via: "slack", Account: "U0ANA"},
		Person: "ana", Role: "prod-db-admin", Connector: "pg-prod",
		Reason: "INC-4711 fix \"replication\"\nnow", Detail: map[string]string{"ends_at": "2026-11-23T13:00:00Z"},
	}
}

func samples(from, to int) []Event {
	var out []Event
	for n := from; n <= to; n++ {
		out = append(out, sample(n))
	}
	return out
}

// memory is a Store in memory, with leases and ends of keys by its clock.
type memory struct {
	now func() time.Time
	// leaky lets everybody hold every lease at once, as if all of them had slept past it.
	leaky bool

	mu     sync.Mutex
	events []Event
	values map[string]kept
	leases map[string]kept
}

type kept struct {
	value []byte
	until time.Time
}

var _ Store = (*memory)(nil)

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, values: map[string]kept{}, leases: map[string]kept{}}
}

func (m *memory) add(events ...Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, events...)
}

// backup copies what the store holds.
func (m *memory) backup() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{events: slices.Clone(m.events), values: maps.Clone(m.values), leases: maps.Clone(m.leases)}
}

// become replaces what the store holds by a copy; an empty one is what is left after FLUSHALL.
func (m *memory) become(b *memory) {
	b = b.backup()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events, m.values, m.leases = b.events, b.values, b.leases
}

func (m *memory) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events)
}

func (m *memory) Undrained(_ context.Context, limit int) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events[:min(limit, len(m.events))]), nil
}

func (m *memory) Drained(_ context.Context, ids []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = slices.DeleteFunc(m.events, func(e Event) bool { return slices.Contains(ids, e.ID) })
	return nil
}

func (m *memory) Once(_ context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.values[key]; ok && m.now().Before(k.until) {
		return slices.Clone(k.value), false, nil
	}
	m.values[key] = kept{slices.Clone(value), m.now().Add(ttl)}
	return value, true, nil
}

func (m *memory) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = kept{slices.Clone(value), m.now().Add(ttl)}
	return nil
}

func (m *memory) Hold(_ context.Context, name, holder string, lease time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.leases[name]; ok && string(k.value) != holder && m.now().Before(k.until) && !m.leaky {
		return false, nil
	}
	m.leases[name] = kept{[]byte(holder), m.now().Add(lease)}
	return true, nil
}

// seize gives a lease to a holder, whoever had it.
func (m *memory) seize(name, holder string, lease time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leases[name] = kept{[]byte(holder), m.now().Add(lease)}
}

func (m *memory) Drop(_ context.Context, name, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if string(m.leases[name].value) == holder {
		delete(m.leases, name)
	}
	return nil
}

// replica makes a drainer on a folder; it is driven by rounds, not by Run.
func replica(t *testing.T, name, dir string, s Store, cfg Config) *Drainer {
	t.Helper()
	d, err := NewDrainer(DrainConfig{Dir: dir, Holder: name, Log: cfg}, s)
	if err != nil {
		t.Fatal(err)
	}
	d.marks = 2 // so that there are fewer steps to be killed at
	t.Cleanup(d.release)
	return d
}

// drainAll runs rounds until nothing is left to do.
func drainAll(t *testing.T, d *Drainer) {
	t.Helper()
	for range 1000 {
		more, err := d.round(t.Context())
		if err != nil {
			t.Fatalf("replica %s: %v", d.cfg.Holder, err)
		}
		if !more {
			return
		}
	}
	t.Fatal("a thousand rounds, and still more to do")
}

// requireWhole verifies folders and wants each of the first n samples in them exactly once.
func requireWhole(t *testing.T, n int, dirs ...string) Report {
	t.Helper()
	report, err := Verify(dirs, Expect{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("problem: %s", p)
	}
	count := map[string]int{}
	x := exporter{}
	if err := x.each(dirs, func(_ int64, l rawLine) error {
		line, err := decode(l.raw)
		count[line.ID]++
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, e := range samples(1, n) {
		if count[e.ID] != 1 {
			t.Errorf("event %s is in the log %d times", e.ID, count[e.ID])
		}
	}
	if report.Lines != int64(n) || len(count) != n {
		t.Errorf("the log has %d lines of %d events; want %d", report.Lines, len(count), n)
	}
	return report
}

// writeLog writes the first n samples to a folder in small files.
func writeLog(t testing.TB, dir string, n int, maxBytes int64) Head {
	t.Helper()
	l, err := Open(dir, Config{MaxBytes: maxBytes, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i += maxBatch {
		if err := l.Append(samples(i, min(n, i+maxBatch-1))); err != nil {
			t.Fatal(err)
		}
	}
	head := l.Tail()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return head
}
