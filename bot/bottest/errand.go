package bottest

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
)

// SendDigest has a courier send the digest of a busy day to a channel of a chat.
func (c *Cast) SendDigest(t T, chat bot.Chat, channel string) {
	t.Helper()
	day, err := c.Digest(t.Context(), noon, noon)
	must(t, err)
	body, err := json.Marshal(map[string]any{"channel": channel, "digest": day})
	must(t, err)
	o := &outbox{told: make(chan struct{}), errands: []workflows.Errand{{
		Chat: chat.Name(), Topic: "digest/" + channel + "/2026-11-23", Refs: map[string]string{},
		Notes: []workflows.Note{{Kind: workflows.NoteDigest, At: noon, Body: body}},
	}}}
	courier, err := bot.NewCourier(bot.CourierConfig{Bot: c.Bot(t), Store: o, Chat: chat, Now: func() time.Time { return noon }})
	must(t, err)
	ctx, stop := context.WithTimeout(t.Context(), Patience)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- courier.Run(ctx) }()
	select {
	case <-o.told:
	case <-ctx.Done():
		t.Errorf("the courier did not send the digest")
	}
	stop()
	must(t, <-ran)
}

// outbox is a queue with one errand.
type outbox struct {
	told chan struct{} // closed when it is done

	mu      sync.Mutex
	errands []workflows.Errand
}

func (o *outbox) Enqueue(context.Context, []string, string, string, workflows.Note) (bool, error) {
	return false, nil
}

func (o *outbox) ClaimErrands(context.Context, string, int, time.Duration) ([]workflows.Errand, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.errands
	o.errands = nil
	return all, time.Time{}, nil
}

func (o *outbox) Told(context.Context, workflows.Errand, map[string]string) error {
	close(o.told)
	return nil
}

func (o *outbox) PutOff(_ context.Context, e workflows.Errand, _ time.Time, refs map[string]string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e.Refs = refs
	e.Tries++
	o.errands = append(o.errands, e)
	return nil
}

func (o *outbox) Get(_ context.Context, id access.RequestID) (*access.Record, error) {
	return nil, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request", Text: string(id)}
}

func (o *outbox) Nudges(ctx context.Context) <-chan workflows.Lane {
	lanes := make(chan workflows.Lane)
	go func() { <-ctx.Done(); close(lanes) }()
	return lanes
}
