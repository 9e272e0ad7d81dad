package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"elevate/workflows"
)

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Store  workflows.Inbox                                 // required
	Chat   string                                          // whose deliveries; required
	Handle func(ctx context.Context, payload []byte) error // required; an error means: try again
	// Workers is how many deliveries are handled at the same time. Zero: 8.
	Workers int
	// Timeout bounds the work on a delivery that was claimed, with the tries that fit in. Zero: 20 seconds. A crash
	// delays a delivery by a little more.
	Timeout time.Duration
	// Tries is how often a delivery is claimed before it is given up. Zero: 5.
	Tries  int
	Poll   time.Duration    // longest sleep between looks at the queue; zero: one second
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// Worker handles what people did in one chat, as it was recorded before it was acknowledged. Any number of workers may
// serve one chat; each delivery is handled by one of them, and again where that one did not finish: Handle must be
// able to take the same delivery twice.
type Worker struct {
	cfg  WorkerConfig
	log  *slog.Logger
	pump *pump
}

// NewWorker checks the configuration and makes a Worker.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	if cfg.Store == nil || cfg.Chat == "" || cfg.Handle == nil {
		return nil, errors.New("bot: a worker needs Store, Chat and Handle")
	}
	cfg.Workers = cmp.Or(cfg.Workers, 8)
	cfg.Timeout = cmp.Or(cfg.Timeout, 20*time.Second)
	cfg.Tries = cmp.Or(cfg.Tries, 5)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	log := cfg.Logger.With("chat", cfg.Chat)
	return &Worker{cfg: cfg, log: log, pump: newPump(cfg.Workers, cfg.Poll, cfg.Now, log)}, nil
}

// Nudge makes the worker look at the queue now: call it after a Deliver.
func (w *Worker) Nudge() { w.pump.nudge() }

// Run handles deliveries until ctx ends, and returns after its goroutines have. Work in hand is finished.
func (w *Worker) Run(ctx context.Context) error {
	w.pump.run(ctx, func(ctx context.Context, limit int) ([]func(), time.Time, error) {
		deliveries, next, err := w.cfg.Store.ClaimDeliveries(ctx, w.cfg.Chat, limit, w.cfg.Timeout+leaseMargin)
		jobs := make([]func(), len(deliveries))
		for i, d := range deliveries {
			jobs[i] = func() { w.work(ctx, d) }
		}
		return jobs, next, err
	})
	return nil
}

// work handles one delivery, again while its time lasts. What is not done by then comes due when its lease ends.
func (w *Worker) work(stop context.Context, d workflows.Delivery) {
	log := w.log.With("delivery", d.Key, "attempt", d.Tries+1)
	if d.Tries >= w.cfg.Tries {
		log.Error("a delivery is given up: it was tried too often", "payload_bytes", len(d.Payload))
		w.done(stop, d, log)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(stop), w.cfg.Timeout)
	defer cancel()
	for n := 0; ; n++ {
		err := w.handle(ctx, d.Payload)
		if err == nil {
			w.done(stop, d, log)
			return
		}
		log.Warn("a delivery was not handled; it is tried again", "err", err)
		if !pause(stop, ctx, backoff(n)) {
			return
		}
	}
}

// handle is Handle with a panic as an error.
func (w *Worker) handle(ctx context.Context, payload []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return w.cfg.Handle(ctx, payload)
}

func (w *Worker) done(ctx context.Context, d workflows.Delivery, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin/2)
	defer cancel()
	if err := w.cfg.Store.Worked(ctx, d); err != nil {
		log.Error("a delivery that was handled could not be taken off; it is handled once more", "err", err)
	}
}

// pause waits; false when one of the contexts ended first.
func pause(stop, ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop.Done():
	case <-ctx.Done():
	}
	return false
}
