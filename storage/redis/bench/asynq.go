package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"elevate/storage/redis/measure"
)

// asynqQueue is hibiken/asynq on a Redis.
type asynqQueue struct {
	redis *redisServer
	// poll is TaskCheckInterval and DelayedTaskCheckInterval. Zero: asynq's own defaults, 1 and 5 seconds.
	poll time.Duration
	// roundUp asks for the next whole second: asynq keeps the second that a time is in, and so may be early.
	roundUp bool
}

const asynqTask = "end"

func (q *asynqQueue) label() label {
	l := label{System: "asynq", Settings: "default", Fsync: q.redis.fsync, Default: q.poll == 0, MayBeEarly: !q.roundUp}
	if q.poll != 0 {
		l.Settings = "polls each " + q.poll.String()
	}
	if q.roundUp {
		l.Settings += ", rounded up"
	}
	return l
}

func (q *asynqQueue) connect() asynq.RedisClientOpt {
	return asynq.RedisClientOpt{Network: "unix", Addr: q.redis.socket(), PoolSize: 2 * workers}
}

func (q *asynqQueue) enqueue(ctx context.Context, n int, due func(i int) time.Time) (float64, error) {
	client := asynq.NewClient(q.connect())
	rate, err := measure.Each(ctx, workers, n, func(ctx context.Context, i int) error {
		at := due(i)
		payload := make([]byte, payloadSize)
		binary.BigEndian.PutUint64(payload, uint64(at.UnixNano()))
		if whole := at.Truncate(time.Second); q.roundUp && whole.Before(at) {
			at = whole.Add(time.Second)
		}
		_, err := client.EnqueueContext(ctx, asynq.NewTask(asynqTask, payload), asynq.ProcessAt(at))
		return err
	})
	return rate, errors.Join(err, client.Close())
}

func (q *asynqQueue) fill(ctx context.Context, n int, due func(i int) time.Time) error {
	_, err := q.enqueue(ctx, n, due)
	return err
}

func (q *asynqQueue) serve(_ context.Context, rec *recorder) (func() error, error) {
	server := asynq.NewServer(q.connect(), asynq.Config{Concurrency: workers, TaskCheckInterval: q.poll, DelayedTaskCheckInterval: q.poll,
		LogLevel: asynq.FatalLevel})
	mux := asynq.NewServeMux()
	mux.HandleFunc(asynqTask, func(_ context.Context, t *asynq.Task) error {
		rec.handled(time.Unix(0, int64(binary.BigEndian.Uint64(t.Payload()))))
		return nil
	})
	stop := func() error {
		server.Shutdown()
		return nil
	}
	return stop, server.Start(mux)
}

func (q *asynqQueue) clear(ctx context.Context) error { return q.redis.client.FlushAll(ctx).Err() }

func (q *asynqQueue) cpu(ctx context.Context) float64 { return q.redis.cpu(ctx) }
