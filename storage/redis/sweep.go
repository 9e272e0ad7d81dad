package redis

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// largestBatch is how many items one script leases at most: it blocks the server while it runs, for about 3 ms.
const largestBatch = 128

// sweep leases up to limit items over all shards by calls that answer as answer in prologue.lua. The first round asks
// every shard when it is next and gives each a fair part of the limit, beginning at another shard each time; later
// rounds give what is left to those that have more due. The error joins those of the shards that failed.
func (s *Store) sweep(ctx context.Context, limit int, ask func(shard, quota int) call, take func(item any) error) (time.Time, error) {
	n := s.keys.shards
	asked := make([]int, n)
	start := int(s.turn.Add(1) % uint64(n))
	for i := range asked {
		asked[i] = (start + i) % n
	}
	next := make([]time.Time, n)
	var failed []error
	for first := true; first || (limit > 0 && len(asked) > 0); first = false {
		calls := make([]call, len(asked))
		for i, shard := range asked {
			calls[i] = ask(shard, quota(limit, len(asked), i))
		}
		replies, err := s.runAll(ctx, s.claims, calls)
		failed = append(failed, err)
		var hungry []int
		for i, reply := range replies {
			if reply == nil {
				continue
			}
			a, err := readAnswer(reply)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", calls[i].script, err))
				continue
			}
			next[asked[i]] = a.next
			if a.more {
				hungry = append(hungry, asked[i])
			}
			limit -= len(a.items)
			for _, item := range a.items {
				if err := take(item); err != nil {
					s.cfg.Log.ErrorContext(ctx, "what the store gave cannot be read", "script", calls[i].script, "err", err)
				}
			}
		}
		asked = hungry
	}
	err := errors.Join(failed...)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "part of the store did not answer", "err", err)
	}
	return earliest(next), err
}

// quota is the part of the limit that the i-th of n shards gets: they differ by one at most.
func quota(limit, n, i int) int {
	part := limit / n
	if i < limit%n {
		part++
	}
	return min(part, largestBatch)
}

// answered is the reply of a script that leases.
type answered struct {
	next  time.Time
	more  bool
	items []any
}

func readAnswer(reply any) (answered, error) {
	parts, err := list(reply)
	if err != nil || len(parts) < 2 {
		return answered{}, errors.Join(err, errors.New("too short an answer"))
	}
	head, err := texts(parts[:2])
	if err != nil {
		return answered{}, err
	}
	next, err := atMillis(head[0])
	if err != nil {
		return answered{}, err
	}
	if head[1] != "" && head[1] != "more" {
		return answered{}, fmt.Errorf("unknown answer %q", head[1])
	}
	return answered{next: next, more: head[1] == "more", items: parts[2:]}, nil
}

func earliest(times []time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
