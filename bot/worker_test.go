package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
)

// hands handle deliveries as a test wants.
type hands struct {
	mu     sync.Mutex
	tries  map[string]int
	handle func(ctx context.Context, payload string, try int) error
}

func (h *hands) do(ctx context.Context, payload []byte) error {
	h.mu.Lock()
	h.tries[string(payload)]++
	try := h.tries[string(payload)]
	h.mu.Unlock()
	if h.handle == nil {
		return nil
	}
	return h.handle(ctx, string(payload), try)
}

func (h *hands) tried(payload string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tries[payload]
}

// shift is a worker at work in a bubble of its own time.
func shift(t *testing.T, q *queue, h *hands, change ...func(*WorkerConfig)) (w *Worker, log *notebook, end func()) {
	t.Helper()
	h.tries, log = map[string]int{}, &notebook{}
	cfg := WorkerConfig{Store: q, Chat: "web", Handle: h.do, Logger: slog.New(slog.NewTextHandler(log, nil))}
	for _, f := range change {
		f(&cfg)
	}
	w, err := NewWorker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	return w, log, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func deliver(t *testing.T, q *queue, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if _, err := q.Deliver(t.Context(), workflows.Delivery{Key: p, Chat: "web", Payload: []byte(p)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeliveriesAreHandledOnceAndTakenOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, h := newQueue(), &hands{}
		w, _, end := shift(t, q, h, func(c *WorkerConfig) { c.Poll = time.Hour })
		synctest.Wait()
		deliver(t, q, "a", "b", "a")
		w.Nudge()
		synctest.Wait()
		if h.tried("a") != 1 || h.tried("b") != 1 || q.left() != 0 {
			t.Errorf("tries %v, %d left", h.tries, q.left())
		}
		end()
	})
}

func TestAnErrorIsTriedAgainAfterAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, h := newQueue(), &hands{handle: func(_ context.Context, _ string, try int) error {
			if try < 4 {
				return errors.New("not yet")
			}
			return nil
		}}
		_, _, end := shift(t, q, h)
		deliver(t, q, "a")
		time.Sleep(2 * time.Second)
		if n := h.tried("a"); n < 1 || n > 2 {
			t.Errorf("%d tries in two seconds", n)
		}
		time.Sleep(20 * time.Second)
		if h.tried("a") != 4 || q.left() != 0 {
			t.Errorf("%d tries, %d left", h.tried("a"), q.left())
		}
		end()
	})
}

func TestPoisonIsGivenUpAndDoesNotStopTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, h := newQueue(), &hands{handle: func(_ context.Context, payload string, _ int) error {
			switch payload {
			case "poison":
				panic("cannot read this")
			case "error":
				return errors.New("cannot do this")
			}
			return nil
		}}
		_, log, end := shift(t, q, h, func(c *WorkerConfig) { c.Tries = 3 })
		deliver(t, q, "poison", "error", "good")
		time.Sleep(10 * time.Minute)
		if q.left() != 0 || h.tried("good") != 1 || h.tried("poison") < 3 {
			t.Errorf("tries %v, %d left", h.tries, q.left())
		}
		if n := strings.Count(log.String(), "given up"); n != 2 {
			t.Errorf("%d deliveries were given up in the log:\n%s", n, log)
		}
		end()
	})
}

func TestAHandlerThatHangsIsCutOffAndLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, h := newQueue(), &hands{handle: func(ctx context.Context, payload string, _ int) error {
			if payload == "hangs" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		_, _, end := shift(t, q, h, func(c *WorkerConfig) { c.Workers = 2 })
		deliver(t, q, "hangs", "a", "b", "c", "d")
		time.Sleep(time.Second)
		if q.left() != 1 {
			t.Errorf("%d deliveries wait for one that hangs", q.left()-1)
		}
		end()
	})
}

func TestManyDeliveriesAreBoundedInWhatRunsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		q, h := newQueue(), &hands{handle: func(context.Context, string, int) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}}
		for i := range 40 {
			deliver(t, q, fmt.Sprint(i))
		}
		_, _, end := shift(t, q, h, func(c *WorkerConfig) { c.Workers = 4 })
		time.Sleep(1100 * time.Millisecond)
		if q.left() != 0 || most != 4 {
			t.Errorf("%d left after the time that four at once need; at most %d ran", q.left(), most)
		}
		end()
	})
}

func TestWorkInHandIsFinishedAtAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finished := false
		q, h := newQueue(), &hands{handle: func(ctx context.Context, _ string, _ int) error {
			time.Sleep(5 * time.Second)
			finished = ctx.Err() == nil
			return nil
		}}
		deliver(t, q, "a")
		_, _, end := shift(t, q, h)
		time.Sleep(time.Second)
		end()
		if !finished || q.left() != 0 {
			t.Errorf("finished %t, %d left", finished, q.left())
		}
	})
}

func TestADeliveryThatCouldNotBeTakenOffIsHandledAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, h := newQueue(), &hands{}
		q.failTold = errors.New("redis: connection refused")
		deliver(t, q, "a")
		_, log, end := shift(t, q, h)
		time.Sleep(time.Second)
		q.mu.Lock()
		q.failTold = nil
		q.mu.Unlock()
		time.Sleep(time.Minute)
		if h.tried("a") != 2 || q.left() != 0 || !strings.Contains(log.String(), "handled once more") {
			t.Errorf("%d tries, %d left, log %s", h.tried("a"), q.left(), log)
		}
		end()
	})
}

func TestAWorkerNeedsItsParts(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, []byte) error { return nil }
	for _, cfg := range []WorkerConfig{{}, {Store: newQueue(), Chat: "web"}, {Store: newQueue(), Handle: handle}, {Chat: "web", Handle: handle}} {
		if _, err := NewWorker(cfg); err == nil {
			t.Errorf("a worker was made of %+v", cfg)
		}
	}
}
