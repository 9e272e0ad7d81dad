package bot

import (
	"context"
	"sync"
	"time"
)

const (
	// Answers, urgent answers and afterwork have slots of their own, so that neither a chat that hangs nor a crowd that asks
	// can use up those that deciding and ending wait for.
	answerSlots = 256
	urgentSlots = 256
	// AfterworkSlots is how much may be under way after acknowledgements.
	AfterworkSlots = 256
	// afterworkLimit ends what is done after an acknowledgement.
	afterworkLimit = 10 * time.Second
	// stopGrace is how long a stop waits for what is under way before it is cut off.
	stopGrace = 3 * time.Second
)

// What people are told where an answer takes too long, where there is no room for it, and where the store does not answer.
const (
	SaysLate  = "Elevate could not answer in time. It may have been done all the same: look with /elevate mine before you try again."
	SaysBusy  = "Elevate is very busy or restarting, so nothing was done. Try again in a minute."
	SaysStore = "Elevate cannot reach its store just now, so nothing was done. Try again in a minute."
)

// SaysOnce answers a second delivery of what was answered with something that must not be kept.
const SaysOnce = "Elevate has answered this already, with something that it shows once. Ask again for a new one."

// Tasks runs what outlives the request that caused it, and knows when all of it has ended.
type Tasks struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup

	answers, urgent, afterwork chan struct{}
}

// NewTasks makes Tasks; Stop ends them.
func NewTasks() *Tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &Tasks{
		ctx: ctx, cancel: cancel,
		answers: make(chan struct{}, answerSlots), urgent: make(chan struct{}, urgentSlots),
		afterwork: make(chan struct{}, AfterworkSlots),
	}
}

// Answer runs what a person waits for, within limit as a whole: half of it may pass before there is a slot. False when
// none came, or the program is stopping.
func (t *Tasks) Answer(urgent bool, limit time.Duration, f func(ctx context.Context)) bool {
	slots := t.answers
	if urgent {
		slots = t.urgent
	}
	began := time.Now()
	late := time.NewTimer(limit / 2)
	defer late.Stop()
	select {
	case slots <- struct{}{}:
	case <-late.C:
		return false
	}
	return t.start(slots, limit-time.Since(began), f)
}

// After runs what is done after an acknowledgement; false when there is no slot or the program is stopping.
func (t *Tasks) After(f func(ctx context.Context)) bool {
	select {
	case t.afterwork <- struct{}{}:
	default:
		return false
	}
	return t.start(t.afterwork, afterworkLimit, f)
}

// answerSlack is how much longer than its limit an answer may take: the time for one that was cut off to come back as one.
const answerSlack = 100 * time.Millisecond

// Within gives what f answers within limit, or what is said in its place: busy where there is no room, late where f takes
// longer, which then goes on. It is the zero T where ctx ends first: whoever asked has hung up.
func Within[T any](ctx context.Context, t *Tasks, urgent bool, limit time.Duration, f func(ctx context.Context) T, busy, late func() T) T {
	patience := time.NewTimer(limit + answerSlack)
	defer patience.Stop()
	answers := make(chan T, 1)
	if !t.Answer(urgent, limit, func(ctx context.Context) {
		a := f(ctx)
		if ctx.Err() != nil {
			a = late()
		}
		answers <- a
	}) {
		return busy()
	}
	select {
	case a := <-answers:
		return a
	case <-patience.C:
		return late()
	case <-ctx.Done():
		var none T
		return none
	}
}

// start runs f in a slot that was taken, and gives the slot back.
func (t *Tasks) start(slots chan struct{}, limit time.Duration, f func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		<-slots
		return false
	}
	t.running.Go(func() {
		defer func() { <-slots }()
		ctx, cancel := context.WithTimeout(t.ctx, limit)
		defer cancel()
		f(ctx)
	})
	return true
}

// Stop refuses new tasks and returns when the running ones have ended.
func (t *Tasks) Stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	cut := time.AfterFunc(stopGrace, t.cancel)
	defer cut.Stop()
	t.running.Wait()
	t.cancel()
}
