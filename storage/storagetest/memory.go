package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// soon is a time to live that a check waits for, at true speed where the server's clock cannot be moved.
const soon = 60 * time.Millisecond

func memoryChecks() []check {
	return []check{
		{name: "OnceKeepsTheFirst", run: onceKeepsTheFirst},
		{name: "OnceHasOneFirst", run: onceHasOneFirst},
		{name: "MemoryEnds", run: memoryEnds},
		{name: "PutReplaces", run: putReplaces},
		{name: "RecallGivesWhatIsKept", run: recallGivesWhatIsKept},
		{name: "HoldHasOneHolder", run: holdHasOneHolder},
		{name: "HoldEnds", run: holdEnds},
		{name: "DropIsForTheHolder", run: dropIsForTheHolder},
	}
}

func (e *env) once(key, value string, ttl time.Duration) (string, bool) {
	e.Helper()
	stored, first, err := e.Once(e.Context(), key, []byte(value), ttl)
	e.ok(err, "once")
	return string(stored), first
}

func (e *env) hold(name, holder string, lease time.Duration) bool {
	e.Helper()
	held, err := e.Hold(e.Context(), name, holder, lease)
	e.ok(err, "hold")
	return held
}

func onceKeepsTheFirst(e *env) {
	for i, c := range []struct {
		key, value, stored string
		first              bool
	}{{"a", "x y\x00\xff", "x y\x00\xff", true}, {"a", "z", "x y\x00\xff", false}, {"b", "", "", true}, {"b", "z", "", false}} {
		stored, first := e.once(c.key, c.value, time.Hour)
		want(e, fmt.Sprintf("stored %d", i), stored, c.stored)
		want(e, fmt.Sprintf("first %d", i), first, c.first)
	}
}

func onceHasOneFirst(e *env) {
	var firsts atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			_, first, err := e.Once(e.Context(), "k", []byte{byte(i)}, time.Hour)
			if err != nil {
				e.Errorf("once: %v", err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	want(e, "firsts of fifty at once", firsts.Load(), int64(1))
}

func memoryEnds(e *env) {
	e.once("a", "x", soon)
	e.once("b", "x", time.Hour)
	e.pass(2 * soon)
	stored, first := e.once("a", "y", time.Hour)
	want(e, "stored after the end", stored, "y")
	want(e, "first after the end", first, true)
	_, first = e.once("b", "y", time.Hour)
	want(e, "first before the end", first, false)
}

func putReplaces(e *env) {
	e.once("a", "x", soon)
	e.ok(e.Put(e.Context(), "a", []byte("y z"), time.Hour), "put")
	e.ok(e.Put(e.Context(), "b", []byte("w"), soon), "put")
	e.pass(2 * soon)
	stored, first := e.once("a", "v", time.Hour)
	want(e, "stored after put", stored, "y z")
	want(e, "first after put", first, false)
	_, first = e.once("b", "v", time.Hour)
	want(e, "first after the end of what was put", first, true)
}

func holdHasOneHolder(e *env) {
	want(e, "hold", e.hold("digest", "one", time.Hour), true)
	want(e, "hold by another", e.hold("digest", "two", time.Hour), false)
	want(e, "renewal", e.hold("digest", "one", time.Hour), true)
	want(e, "hold of another name", e.hold("sweep", "two", time.Hour), true)
}

func holdEnds(e *env) {
	e.hold("digest", "one", soon)
	e.pass(2 * soon)
	want(e, "hold after the end", e.hold("digest", "two", time.Hour), true)
	want(e, "renewal of a lost hold", e.hold("digest", "one", time.Hour), false)
	e.hold("sweep", "one", soon)
	e.hold("sweep", "one", time.Hour)
	e.pass(2 * soon)
	want(e, "hold of a renewed name", e.hold("sweep", "two", time.Hour), false)
}

func dropIsForTheHolder(e *env) {
	e.hold("digest", "one", time.Hour)
	e.ok(e.Drop(e.Context(), "digest", "two"), "drop by another")
	want(e, "hold after a drop by another", e.hold("digest", "two", time.Hour), false)
	e.ok(e.Drop(e.Context(), "digest", "one"), "drop")
	want(e, "hold after a drop", e.hold("digest", "two", time.Hour), true)
	e.ok(e.Drop(e.Context(), "nothing", "one"), "drop of what nobody holds")
}

func recallGivesWhatIsKept(e *env) {
	recalled := func() []byte {
		e.Helper()
		value, err := e.Recall(e.Context(), "k")
		e.ok(err, "recall")
		return value
	}
	if got := recalled(); got != nil {
		e.Errorf("what was never stored is recalled as %q", got)
	}
	e.once("k", "a b\x00\xff", time.Hour)
	want(e, "recalled after once", string(recalled()), "a b\x00\xff")
	e.ok(e.Put(e.Context(), "k", nil, time.Hour), "put")
	if got := recalled(); got == nil || len(got) > 0 {
		e.Errorf("what is kept empty is recalled as %v", got)
	}
}
