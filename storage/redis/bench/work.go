package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"elevate/storage/redis/measure"
)

const (
	// workers is how many goroutines enqueue, and how many handlers run at once.
	workers = measure.DefaultWorkers
	// payloadSize is about that of the words in a grant.
	payloadSize = 600
	// settle is how long a queue may take to come up (river elects a leader) before the first of its timers is due.
	settle = 7 * time.Second
	// patience is how long after its last timer was due a queue may still work on it.
	patience = 5 * time.Minute
)

// queue is a job queue to compare with. Its jobs carry when they are due.
type queue interface {
	label() label
	// enqueue stores n jobs one by one, by as many goroutines as there are workers, and gives the rate per second.
	enqueue(ctx context.Context, n int, due func(i int) time.Time) (float64, error)
	// fill stores n jobs as quickly as it can.
	fill(ctx context.Context, n int, due func(i int) time.Time) error
	// serve works jobs until it is stopped. The handler tells the recorder and nothing else.
	serve(ctx context.Context, rec *recorder) (stop func() error, err error)
	// cpu is the time, in seconds, that the main thread of the server has worked; 0 where it is not told.
	cpu(ctx context.Context) float64
	// clear removes all jobs.
	clear(ctx context.Context) error
}

// label says what a row of the comparison is about.
type label struct {
	System   string `json:"system"`
	Settings string `json:"settings"`
	Fsync    string `json:"fsync"`
	// MayBeEarly tells that these settings can call before a timer is due.
	MayBeEarly bool `json:"may_be_early,omitempty"`
	// Default tells that these are the settings that the system comes with.
	Default bool `json:"default,omitempty"`
}

// row is what was measured of one system with one set of settings.
type row struct {
	label
	Enqueue float64 `json:"enqueue_per_second"`
	Drain   float64 `json:"drain_per_second"`
	// Server and Process are the time, in microseconds, that the main thread of Redis (0: not told) and this process
	// worked for one job of the drain. They say more than rates where the machine has other things to do.
	Server  float64 `json:"drain_redis_us"`
	Process float64 `json:"drain_process_us"`
	// Late is the lateness by the number of timers.
	Late map[int]measure.Spread `json:"lateness"`
}

// measured does all the work on a queue.
func measured(ctx context.Context, q queue, o options) (row, error) {
	r := row{label: q.label(), Late: map[int]measure.Spread{}}
	var err error
	if r.Enqueue, err = enqueued(ctx, q, o.n); err != nil {
		return r, fmt.Errorf("%s (%s): enqueue: %w", r.System, r.Settings, err)
	}
	if err = drained(ctx, q, o.n, &r); err != nil {
		return r, fmt.Errorf("%s (%s): drain: %w", r.System, r.Settings, err)
	}
	for _, n := range o.timers {
		if r.Late[n], err = lateness(ctx, q, n, o); err != nil {
			return r, fmt.Errorf("%s (%s): lateness: %w", r.System, r.Settings, err)
		}
	}
	return r, nil
}

// enqueued stores timers that are due later.
func enqueued(ctx context.Context, q queue, n int) (float64, error) {
	later := time.Now().Add(time.Hour)
	rate, err := q.enqueue(ctx, n, func(int) time.Time { return later })
	return rate, errors.Join(err, q.clear(ctx))
}

// drained stores jobs that are due already and works them off. The rate is from the first call to the last: the time
// before a queue looks for the first time does not count against it, and neither does finishing the last jobs.
func drained(ctx context.Context, q queue, n int, r *row) error {
	due := time.Now()
	if err := q.fill(ctx, n, func(int) time.Time { return due }); err != nil {
		return err
	}
	rec := newRecorder(n)
	over := r.stretch(n, func() float64 { return q.cpu(ctx) })
	if err := served(ctx, q, rec, patience); err != nil {
		return err
	}
	over()
	r.Drain = float64(n) / rec.last.Sub(rec.first).Seconds()
	return q.clear(ctx)
}

// stretch takes down what the server and this process work for n jobs, until over is called.
func (r *row) stretch(n int, server func() float64) (over func()) {
	const micro = 1e6
	there, here := server(), processTime()
	return func() {
		r.Server = (server() - there) * micro / float64(n)
		r.Process = (processTime() - here) * micro / float64(n)
	}
}

// processTime is the time, in seconds, that this process has worked.
func processTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// lateness stores timers that are due one after the other, while the queue is at work.
func lateness(ctx context.Context, q queue, n int, o options) (measure.Spread, error) {
	rec := newRecorder(n)
	begin := time.Now().Add(o.settle + time.Duration(n)*250*time.Microsecond)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return q.fill(ctx, n, spreadOut(begin, n, o.over)) })
	g.Go(func() error { return served(ctx, q, rec, time.Until(begin)+o.over+patience) })
	if err := g.Wait(); err != nil {
		return measure.Spread{}, err
	}
	return measure.SpreadOf(rec.lates), q.clear(context.WithoutCancel(ctx))
}

// served serves until the recorder has all.
func served(ctx context.Context, q queue, rec *recorder, within time.Duration) error {
	stop, err := q.serve(ctx, rec)
	if err != nil {
		return err
	}
	return errors.Join(rec.wait(ctx, within), stop())
}

// recorder takes down when handlers were called.
type recorder struct {
	mu          sync.Mutex
	want        int
	lates       []time.Duration
	first, last time.Time
	all         chan struct{} // closed when as many as wanted were handled
}

func newRecorder(n int) *recorder {
	return &recorder{want: n, lates: make([]time.Duration, 0, n), all: make(chan struct{})}
}

func (r *recorder) handled(due time.Time) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lates) == 0 {
		r.first = now
	}
	r.lates = append(r.lates, now.Sub(due))
	if len(r.lates) == r.want {
		r.last = now
		close(r.all)
	}
}

func (r *recorder) wait(ctx context.Context, within time.Duration) error {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case <-r.all:
		return nil
	case <-timeout.C:
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("%d of %d were handled within %s", len(r.lates), r.want, within)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// spreadOut gives n times over a span, in no order.
func spreadOut(begin time.Time, n int, over time.Duration) func(i int) time.Time {
	turns := rand.Perm(n)
	return func(i int) time.Time { return begin.Add(over * time.Duration(turns[i]) / time.Duration(n)) }
}
