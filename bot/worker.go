package bot

import (
	"context"
	"log/slog"
	"time"

	"elevate/workflows"
)

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Store  workflows.Inbox
	Chat   string // whose deliveries
	Handle func(ctx context.Context, payload []byte) error
	// Workers is how many deliveries are handled at the same time; zero: 8.
	Workers int
	Timeout time.Duration // of one try; zero: 20 seconds
	Tries   int           // before a delivery is given up; zero: 8
	Poll    time.Duration // longest sleep between looks at the queue; zero: one second
	Now     func() time.Time
	Logger  *slog.Logger
}

// Worker handles the deliveries of one chat.
type Worker struct{ cfg WorkerConfig }

// NewWorker checks the configuration and makes a Worker.
func NewWorker(cfg WorkerConfig) (*Worker, error) { return &Worker{cfg: cfg}, nil }

// Run handles deliveries until ctx ends, and returns after its goroutines have.
func (w *Worker) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Nudge makes the worker look at the queue now: call it after a Deliver.
func (w *Worker) Nudge() {}
