package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// largestBatch is how many items one script leases at most: it blocks the server while it runs, for about 3 ms.
const largestBatch = 128

// otherShards is for how long the shards of a queue that had more due may be asked alone before the others are again.
const otherShards = 10 * time.Millisecond

// perShard is how many items one shard is asked for before a second one is, where only those with more due are asked.
const perShard = 16

// backlog is what is known of a queue that is behind: which shards had more due when they were last asked, so that small
// claims need not ask every shard.
type backlog struct {
	mu     sync.Mutex
	shards []int
	asked  time.Time // when all shards were asked last
}

// alone gives shards to ask instead of all, and forgets them; none where all must be asked.
func (b *backlog) alone(limit int) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.asked) > otherShards {
		return nil
	}
	n := min(len(b.shards), 1+limit/perShard)
	some := b.shards[:n:n]
	b.shards = b.shards[n:]
	return some
}

// had notes shards that have more due; all tells that every shard was asked.
func (b *backlog) had(shards []int, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if all {
		b.asked, b.shards = time.Now(), nil
	}
	b.shards = append(b.shards, shards...)
}

// sweep leases up to limit items of a queue over all shards by calls that answer as answer in prologue.lua. A round asks
// every shard when it is next and gives each a fair part of the limit, beginning at another shard each time; later rounds
// give what is left to those that have more due. A queue that is behind is asked where it was found to be so first. The
// error joins those of the shards that failed.
func (s *Store) sweep(ctx context.Context, queue string, limit int, ask func(shard, quota int) call, take func(item any) error) (time.Time, error) {
	s.watchClocks(ctx)
	known, _ := s.backlogs.LoadOrStore(queue, &backlog{})
	b := known.(*backlog)
	r := round{store: s, limit: limit, ask: ask, take: take, next: make([]time.Time, s.keys.shards)}
	if some := b.alone(limit); len(some) > 0 {
		hungry := r.put(ctx, some)
		b.had(hungry, false)
		if r.limit <= 0 {
			return time.Time{}, nil
		}
	}
	all := make([]int, s.keys.shards)
	start := int(s.turn.Add(1) % uint64(len(all)))
	for i := range all {
		all[i] = (start + i) % len(all)
	}
	asked := r.put(ctx, all)
	for r.limit > 0 && len(asked) > 0 {
		asked = r.put(ctx, asked)
	}
	b.had(asked, true)
	err := errors.Join(r.failed...)
	if err != nil {
		s.cfg.Log.WarnContext(ctx, "part of the store did not answer", "err", err)
	}
	return earliest(r.next), err
}

// round asks shards for due items.
type round struct {
	store  *Store
	limit  int // how many are still wanted
	ask    func(shard, quota int) call
	take   func(item any) error
	next   []time.Time // when the earliest of each shard is due
	failed []error
}

// put asks some shards, and gives those that have more due.
func (r *round) put(ctx context.Context, shards []int) (hungry []int) {
	calls := make([]call, len(shards))
	for i, shard := range shards {
		calls[i] = r.ask(shard, quota(r.limit, len(shards), i))
	}
	replies, err := r.store.runAll(ctx, r.store.claims, calls)
	r.failed = append(r.failed, err)
	for i, reply := range replies {
		if reply == nil {
			continue
		}
		a, err := readAnswer(reply)
		if err != nil {
			r.failed = append(r.failed, fmt.Errorf("%s: %w", calls[i].script, err))
			continue
		}
		r.next[shards[i]] = a.next
		if a.more {
			hungry = append(hungry, shards[i])
		}
		r.limit -= len(a.items)
		for _, item := range a.items {
			if err := r.take(item); err != nil {
				r.store.cfg.Log.ErrorContext(ctx, "what the store gave cannot be read", "script", calls[i].script, "err", err)
			}
		}
	}
	return hungry
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
