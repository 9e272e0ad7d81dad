package slack

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
)

// outbox is a queue of messages for one courier.
type outbox struct {
	kit *kit

	mu      sync.Mutex
	errands []workflows.Errand
	left    int
	empty   chan struct{}
}

// deliver runs a courier until the queue is empty.
func (q *outbox) deliver(t *testing.T, b *bot.Bot) {
	t.Helper()
	q.left, q.empty = len(q.errands), make(chan struct{})
	courier, err := bot.NewCourier(bot.CourierConfig{Bot: b, Store: q, Chat: q.kit.slack, Now: q.kit.clock.now, Logger: q.kit.slack.log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- courier.Run(ctx) }()
	select {
	case <-q.empty:
	case <-ctx.Done():
		t.Error("the courier did not deliver everything")
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func (q *outbox) Enqueue(context.Context, []string, string, string, workflows.Note) (bool, error) {
	return false, nil
}

func (q *outbox) ClaimErrands(_ context.Context, _ string, limit int, _ time.Duration) ([]workflows.Errand, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.errands))
	out := q.errands[:n:n]
	q.errands = q.errands[n:]
	return out, time.Time{}, nil
}

func (q *outbox) Told(_ context.Context, e workflows.Errand, _ map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(e.Notes) > 1 {
		return nil
	}
	if q.left--; q.left == 0 {
		close(q.empty)
	}
	return nil
}

func (q *outbox) PutOff(_ context.Context, e workflows.Errand, _ time.Time, refs map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.Copy(e.Refs, refs)
	e.Tries++
	q.errands = append(q.errands, e)
	return nil
}

func (q *outbox) Get(_ context.Context, id access.RequestID) (*access.Record, error) {
	return nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request", Text: string(id)}
}

func (q *outbox) Nudges(ctx context.Context) <-chan workflows.Lane {
	out := make(chan workflows.Lane)
	go func() { <-ctx.Done(); close(out) }()
	return out
}
