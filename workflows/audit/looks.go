package audit

import (
	"context"
	"sync"
)

// looks lets others wait for a comparison of store and files.
type looks struct {
	wanted chan struct{} // somebody waits

	mu      sync.Mutex
	begun   int64
	waiting []waiter
}

type waiter struct {
	from int64 // the first look that counts
	done chan struct{}
}

func (l *looks) begin() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
	return l.begun
}

// passed notes that a look found the store to be what it was, or made it so.
func (l *looks) passed(look int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.waiting[:0]
	for _, w := range l.waiting {
		if w.from <= look {
			close(w.done)
			continue
		}
		kept = append(kept, w)
	}
	l.waiting = kept
}

func (l *looks) wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := waiter{from: l.begun + 1, done: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	select {
	case l.wanted <- struct{}{}:
	default: // it is told already
	}
	return w.done
}

// Confirm returns when store and files were compared after the call, and the store has, or was given back, all that the
// files have. The error is ctx's. It needs Run to run.
func (d *Drainer) Confirm(ctx context.Context) error {
	select {
	case <-d.looks.wait():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
