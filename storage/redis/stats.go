package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
)

// Stats are counts for readiness, metrics and the digest.
type Stats struct {
	Open    int64 // requests that are not in a terminal state
	Overdue int64 // deactivations flagged overdue
	Events  int64 // events that are not drained
	Lanes   map[workflows.Lane]LaneStats
	Outbox  map[string]QueueStats // by chat: topics
	Inbox   map[string]QueueStats // by chat: deliveries
}

// LaneStats counts the timers of a lane. A claimed timer counts as due when its lease ends.
type LaneStats struct {
	Armed int64
	Due   int64
	// Behind is by how much the earliest timer is overdue; zero where none is.
	Behind time.Duration
}

// QueueStats counts what waits in a chat's queue. What is leased or put off is not due.
type QueueStats struct {
	Waiting int64
	Due     int64
}

// Stats counts over all shards, for the given lanes and the configured chats, in one pipeline.
func (s *Store) Stats(ctx context.Context, lanes ...workflows.Lane) (Stats, error) {
	now := s.cfg.Now()
	pipe := s.client.Pipeline()
	st := Stats{Lanes: map[workflows.Lane]LaneStats{}, Outbox: map[string]QueueStats{}, Inbox: map[string]QueueStats{}}
	var read []func()
	add := func(to *int64, cmd *goredis.IntCmd) { read = append(read, func() { *to += cmd.Val() }) }
	for shard := range s.keys.shards {
		base := s.keys.base(shard)
		add(&st.Open, pipe.ZCard(ctx, base+"open"))
		add(&st.Overdue, pipe.SCard(ctx, base+"overdue"))
		add(&st.Events, pipe.XLen(ctx, base+"events"))
		for _, l := range lanes {
			armed, due, first := count(ctx, pipe, lane(base, l), now)
			read = append(read, func() { st.Lanes[l] = st.Lanes[l].plus(armed.Val(), due.Val(), behind(first.Val(), now)) })
		}
		for _, chat := range s.cfg.Chats {
			for queue, key := range map[*map[string]QueueStats]string{&st.Outbox: outbox(base, chat), &st.Inbox: inbox(base, chat)} {
				waiting, due, _ := count(ctx, pipe, key, now)
				read = append(read, func() { (*queue)[chat] = (*queue)[chat].plus(waiting.Val(), due.Val()) })
			}
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		return Stats{}, fmt.Errorf("redis: stats: %w", err)
	}
	for _, f := range read {
		f()
	}
	return st, nil
}

func count(ctx context.Context, pipe goredis.Pipeliner, key string, now time.Time) (all, due *goredis.IntCmd, first *goredis.ZSliceCmd) {
	all = pipe.ZCard(ctx, key)
	due = pipe.ZCount(ctx, key, "-inf", strconv.FormatInt(early(now), 10))
	return all, due, pipe.ZRangeWithScores(ctx, key, 0, 0)
}

func behind(first []goredis.Z, now time.Time) time.Duration {
	if len(first) == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMilli(int64(first[0].Score))))
}

func (l LaneStats) plus(armed, due int64, behind time.Duration) LaneStats {
	return LaneStats{Armed: l.Armed + armed, Due: l.Due + due, Behind: max(l.Behind, behind)}
}

func (q QueueStats) plus(waiting, due int64) QueueStats {
	return QueueStats{Waiting: q.Waiting + waiting, Due: q.Due + due}
}
