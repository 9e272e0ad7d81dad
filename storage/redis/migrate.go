package redis

import (
	"context"
	"errors"
	"fmt"

	"elevate/workflows"
	"elevate/workflows/access"
)

// migrate brings a store of layout 1 into the present one: every request that is open keeps its timers. It may be cut off
// and run again, also by several processes at once; but no process of the version before may run beside it.
func (s *Store) migrate(ctx context.Context) error {
	for shard := range s.keys.shards {
		base := s.keys.base(shard)
		ids, err := s.client.ZRange(ctx, base+"open", 0, -1).Result()
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		for _, id := range ids {
			err := s.migrateOne(ctx, access.RequestID(id), base)
			if errors.Is(err, workflows.ErrForged) || errors.Is(err, access.ErrNotFound) {
				s.cfg.Log.ErrorContext(ctx, "a request was left out of the upgrade of the store; if it is live, the audit log tells", "request_id", id, "err", err)
				continue // or nothing would end
			}
			if err != nil {
				return fmt.Errorf("migrate request %s: %w", id, err)
			}
		}
	}
	if err := s.client.HSet(ctx, s.keys.meta(), "schema", schema).Err(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (s *Store) migrateOne(ctx context.Context, id access.RequestID, base string) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	return s.done(ctx, call{script: "migrate", keys: []string{s.keys.record(id)},
		args: []any{string(id), r.Role.Connector, timers(r), base, s.keys.nudges()}})
}
