package redis

import (
	"context"
	"fmt"
	"sync"
)

// mostSenders is how many pipelines of calls are on their way at once. Two keep the server busy while replies are read.
const mostSenders = 2

// mostArrows is how many arrows one call takes: a script's commands take their members as arguments, of which Lua
// allows some thousand.
const mostArrows = 64

// batches sends calls that are made at about the same time in one pipeline: a call that finds a sender free goes at
// once, and what arrives while all are busy goes together in the next pipeline.
// (go-redis' own AutoPipeliner is experimental in the version in use.)
type batches struct {
	send func(ctx context.Context, calls []call) []result

	mu      sync.Mutex
	waiting []*waiter
	senders int
}

// waiter is a call on its way, and who waits for its reply.
type waiter struct {
	call call
	done chan result
}

// result is the reply to a call, or why there is none.
type result struct {
	reply any
	err   error
}

// do sends a call and waits for its reply. Where ctx ends before, the call may have been made all the same.
func (b *batches) do(ctx context.Context, c call) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{call: c, done: make(chan result, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	idle := b.senders < mostSenders
	if idle {
		b.senders++
	}
	b.mu.Unlock()
	if idle {
		go b.work(context.WithoutCancel(ctx))
	}
	select {
	case r := <-w.done:
		return r.reply, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// work sends what waits until nothing does.
func (b *batches) work(ctx context.Context) {
	for {
		group := b.next()
		if len(group) == 0 {
			return
		}
		calls := make([]call, len(group))
		for i, w := range group {
			calls[i] = w.call
		}
		for i, r := range b.send(ctx, calls) {
			group[i].done <- r
		}
	}
}

// next takes the calls that wait, at most a batch; where none does, the sender is free.
func (b *batches) next() []*waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), largestBatch)
	group := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	if n == 0 {
		b.waiting = nil
		b.senders--
	}
	return group
}

// sendTogether sends calls in one pipeline. Arrows of one shard become one call; of two on the same record, the later one
// goes in a call behind it.
func (s *Store) sendTogether(ctx context.Context, asked []call) []result {
	type place struct{ call, at int }
	type group struct{ shard, turn int }
	places := make([]place, len(asked))
	var calls []call
	var arrows [][]*arrow // of each call
	turns, open := map[string]int{}, map[group]int{}
	for i, c := range asked {
		if c.arrow == nil {
			places[i] = place{call: len(calls), at: -1}
			calls, arrows = append(calls, c), append(arrows, nil)
			continue
		}
		g := group{shard: c.arrow.shard, turn: turns[c.arrow.id]}
		turns[c.arrow.id]++
		n, ok := open[g]
		if !ok || len(arrows[n]) == mostArrows {
			n = len(calls)
			open[g] = n
			calls, arrows = append(calls, call{}), append(arrows, nil)
		}
		places[i] = place{call: n, at: len(arrows[n])}
		arrows[n] = append(arrows[n], c.arrow)
	}
	for n := range calls {
		if len(arrows[n]) > 0 {
			calls[n] = s.taking(arrows[n])
		}
	}
	replies := s.pipe(ctx, s.client, calls)
	results := make([]result, len(asked))
	for i, p := range places {
		results[i] = replies[p.call]
		if p.at >= 0 && results[i].err == nil {
			results[i] = nth(replies[p.call].reply, p.at, len(arrows[p.call]))
		}
	}
	return results
}

// nth reads the reply to one of n arrows.
func nth(reply any, i, n int) result {
	words, err := list(reply)
	if err == nil && len(words) != n {
		err = fmt.Errorf("%d answers to %d arrows", len(words), n)
	}
	if err != nil {
		return result{err: fmt.Errorf("take: %w", err)}
	}
	return result{reply: words[i]}
}
