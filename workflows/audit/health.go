package audit

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrNotDrained says that events may not be safe in files: nothing may be activated that would not be on record.
var ErrNotDrained = errors.New("the audit log is behind")

// health is what the drainer lets others know while it runs.
type health struct {
	staleAfter time.Duration

	mu      sync.Mutex
	drainAt time.Time // when nothing was left to drain; zero: never
	err     error     // of the last round
	head    Head
}

// drained notes that nothing was left.
func (h *health) drained(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drainAt, h.err = now, nil
}

// failed notes an error; true where the round before had none.
func (h *health) failed(err error) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.err == nil
	h.err = err
	return first
}

func (h *health) reached(head Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.head = head
}

func (h *health) newest() Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

func (h *health) check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return fmt.Errorf("%w: %w", ErrNotDrained, h.err)
	case h.drainAt.IsZero():
		return fmt.Errorf("%w: nothing was drained since the start", ErrNotDrained)
	case now.Sub(h.drainAt) > h.staleAfter:
		return fmt.Errorf("%w: it was up to date last at %s", ErrNotDrained, h.drainAt.UTC().Format(time.RFC3339))
	}
	return nil
}
