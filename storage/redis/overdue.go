package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
	"elevate/workflows/access"
)

// mostOverdue bounds a reading of what is overdue: beyond it nobody reads a list, and Stats still counts all.
const mostOverdue = 10_000

// Overdue gives the records whose ending is overdue, the longest overdue first, at most 10,000 of them. It costs what is
// overdue, however many grants there are.
func (s *Store) Overdue(ctx context.Context) ([]*access.Record, error) {
	pipe := s.client.Pipeline()
	sets := make([]*goredis.StringSliceCmd, s.keys.shards)
	for shard := range s.keys.shards {
		sets[shard] = pipe.SMembers(ctx, s.keys.base(shard)+"overdue")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redis: list what is overdue: %w", err)
	}
	var docs []*goredis.StringCmd
	var ids []access.RequestID
	pipe = s.client.Pipeline()
	for _, set := range sets {
		for _, id := range set.Val() {
			if len(docs) < mostOverdue {
				ids = append(ids, access.RequestID(id))
				docs = append(docs, pipe.HGet(ctx, s.keys.record(access.RequestID(id)), "doc"))
			}
		}
	}
	if len(docs) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("redis: read what is overdue: %w", err)
	}
	var records []*access.Record
	for i, doc := range docs {
		if doc.Val() == "" {
			continue // it has gone meanwhile
		}
		r, err := s.decode(ids[i], doc.Val())
		if errors.Is(err, workflows.ErrForged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Overdue {
			records = append(records, r)
		}
	}
	slices.SortStableFunc(records, func(a, b *access.Record) int { return a.EndingAt.Compare(b.EndingAt) })
	return records, nil
}
