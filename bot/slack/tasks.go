package slack

import (
	"context"
	"sync"
	"time"
)

const (
	// Answers and afterwork have slots of their own, so that a Slack API that hangs cannot use up those that people wait for.
	answerSlots    = 256
	afterworkSlots = 256
	// afterworkLimit ends what is done after an acknowledgement.
	afterworkLimit = 10 * time.Second
	// stopGrace is how long a stop waits for what is under way before it is cut off.
	stopGrace = 3 * time.Second
)

// tasks runs what outlives the request that caused it, and knows when all of it has ended.
type tasks struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup

	answers, afterwork chan struct{}
}

func newTasks() *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &tasks{
		ctx: ctx, cancel: cancel,
		answers: make(chan struct{}, answerSlots), afterwork: make(chan struct{}, afterworkSlots),
	}
}

// answer runs what a person waits for, within limit as a whole: half of it may pass before there is a slot. False when
// none came, or the program is stopping.
func (t *tasks) answer(limit time.Duration, f func(ctx context.Context)) bool {
	began := time.Now()
	late := time.NewTimer(limit / 2)
	defer late.Stop()
	select {
	case t.answers <- struct{}{}:
	case <-late.C:
		return false
	}
	return t.start(t.answers, limit-time.Since(began), f)
}

// after runs what is done after an acknowledgement; false when there is no slot or the program is stopping.
func (t *tasks) after(f func(ctx context.Context)) bool {
	select {
	case t.afterwork <- struct{}{}:
	default:
		return false
	}
	return t.start(t.afterwork, afterworkLimit, f)
}

// start runs f in a slot that was taken, and gives the slot back.
func (t *tasks) start(slots chan struct{}, limit time.Duration, f func(ctx context.Context)) bool {
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

// stop refuses new tasks and returns when the running ones have ended.
func (t *tasks) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	cut := time.AfterFunc(stopGrace, t.cancel)
	defer cut.Stop()
	t.running.Wait()
	t.cancel()
}
