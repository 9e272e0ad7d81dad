package workflows

import (
	"maps"
	"runtime"
	"strconv"
	"testing"
	"time"

	"elevate/workflows/access"
)

// What is kept by numbers is kept as if it were by ids, also by those that nobody here has made.
func TestWhatIsKeptByIDIsThere(t *testing.T) {
	t.Parallel()
	m, want := newByID[int](), map[access.RequestID]int{}
	for n := range 300 {
		id := access.NewID(time.Now().Add(time.Duration(n) * time.Minute))
		if n%3 == 0 {
			id = access.RequestID("r" + strconv.Itoa(n))
		}
		m.put(id, n)
		want[id] = n
		if n%5 == 0 {
			m.drop(id)
			delete(want, id)
		}
	}
	gone := func(n int) bool { return n%7 == 0 }
	m.dropIf(gone)
	maps.DeleteFunc(want, func(_ access.RequestID, n int) bool { return gone(n) })
	if got := maps.Collect(m.all()); !maps.Equal(got, want) {
		t.Errorf("got %d, want %d", len(got), len(want))
	}
	for id, n := range want {
		if got := m.get(id); got != n {
			t.Errorf("%s is %d, want %d", id, got, n)
		}
	}
	if n := m.get("r0"); n != 0 {
		t.Errorf("what was dropped is %d", n)
	}
}

// A million live requests must fit beside everything else: an anchor with its id takes no more than 64 bytes. Nothing else
// runs meanwhile.
func TestAnchorsAreSmall(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const count = 100_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, now := heap(), time.Now()
	a := NewAnchors(time.Now)
	for range count {
		a.note(access.NewID(now), 4, access.Active, now)
	}
	each := (heap() - before) / count
	t.Logf("%d bytes each", each)
	if each > 64 {
		t.Errorf("an anchor takes %d bytes, want 64 at most", each)
	}
	runtime.KeepAlive(a)
}
