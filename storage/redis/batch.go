package redis

import (
	"context"
	"sync"
)

// mostSenders is how many pipelines of calls are on their way at once. Two keep the server busy while replies are read.
const mostSenders = 2

// batches sends calls that are made at about the same time in one pipeline: a call that finds a sender free goes at
// once, and what arrives while all are busy goes together in the next pipeline. Each call stays a script of its own.
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
