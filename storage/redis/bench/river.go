package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"elevate/storage/redis/measure"
)

// riverQueue is riverqueue/river on a PostgreSQL.
type riverQueue struct {
	pool *pgxpool.Pool
	// cooldown and poll are FetchCooldown and FetchPollInterval. Zero: river's own defaults, 100 ms and 1 s.
	cooldown, poll time.Duration
}

// riverFill is how many jobs go into one COPY.
const riverFill = 5000

// openRiver connects and makes river's tables. The caller closes the pool.
func openRiver(ctx context.Context, p *postgresServer) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(p.dsn)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 2 * workers
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("river's tables: %w", err)
	}
	return pool, nil
}

// riverJob is a job of river.
type riverJob struct {
	Due  time.Time `json:"due"`
	Text string    `json:"text"`
}

// Kind is river's name for the job.
func (riverJob) Kind() string { return "end" }

var riverText = strings.Repeat("x", payloadSize-50)

type riverWorker struct {
	river.WorkerDefaults[riverJob]
	rec *recorder
}

// Work is called for each job that is due.
func (w *riverWorker) Work(_ context.Context, job *river.Job[riverJob]) error {
	w.rec.handled(job.Args.Due)
	return nil
}

func (q *riverQueue) label() label {
	l := label{System: "river", Settings: "default", Fsync: "PostgreSQL", Default: q.poll == 0}
	if q.poll != 0 {
		l.Settings = fmt.Sprintf("cooldown %s, polls each %s", q.cooldown, q.poll)
	}
	return l
}

func (q *riverQueue) client(rec *recorder) (*river.Client[pgx.Tx], error) {
	cfg := &river.Config{FetchCooldown: q.cooldown, FetchPollInterval: q.poll, Logger: slog.New(slog.DiscardHandler)}
	if rec != nil {
		cfg.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}
		cfg.Workers = river.NewWorkers()
		river.AddWorker(cfg.Workers, &riverWorker{rec: rec})
	}
	return river.NewClient(riverpgxv5.New(q.pool), cfg)
}

func (q *riverQueue) enqueue(ctx context.Context, n int, due func(i int) time.Time) (float64, error) {
	client, err := q.client(nil)
	if err != nil {
		return 0, err
	}
	return measure.Each(ctx, workers, n, func(ctx context.Context, i int) error {
		at := due(i)
		_, err := client.Insert(ctx, riverJob{Due: at, Text: riverText}, &river.InsertOpts{ScheduledAt: at})
		return err
	})
}

func (q *riverQueue) fill(ctx context.Context, n int, due func(i int) time.Time) error {
	client, err := q.client(nil)
	if err != nil {
		return err
	}
	for first := 0; first < n; first += riverFill {
		jobs := make([]river.InsertManyParams, min(riverFill, n-first))
		for i := range jobs {
			at := due(first + i)
			jobs[i] = river.InsertManyParams{Args: riverJob{Due: at, Text: riverText}, InsertOpts: &river.InsertOpts{ScheduledAt: at}}
		}
		if _, err := client.InsertManyFast(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

func (q *riverQueue) serve(ctx context.Context, rec *recorder) (func() error, error) {
	client, err := q.client(rec)
	if err != nil {
		return nil, err
	}
	stop := func() error { return client.Stop(context.WithoutCancel(ctx)) }
	return stop, client.Start(context.WithoutCancel(ctx))
}

func (q *riverQueue) clear(ctx context.Context) error {
	_, err := q.pool.Exec(ctx, "TRUNCATE river_job")
	return err
}

// PostgreSQL works in many processes, and none of them tells.
func (q *riverQueue) cpu(context.Context) float64 { return 0 }
