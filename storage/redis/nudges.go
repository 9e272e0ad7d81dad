package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
)

// nudgesWaiting is how many nudges wait for a slow sleeper before some are lost; sleepers wake by themselves too.
const nudgesWaiting = 256

// Nudges delivers the lane of every timer that became the earliest of its lane, "out:<chat>" for a topic that has a note
// to tell again, and "in:<chat>" for a delivery; AnyLane whenever the subscription begins anew, as after a failover. The
// channel is closed when ctx ends.
func (s *Store) Nudges(ctx context.Context) <-chan workflows.Lane {
	out := make(chan workflows.Lane, nudgesWaiting)
	sub := s.client.Subscribe(ctx, s.keys.nudges())
	go func() {
		defer close(out)
		defer func() { _ = sub.Close() }() // nothing is lost with a subscription
		messages := sub.ChannelWithSubscriptions()
		for {
			select {
			case <-ctx.Done():
				return
			case m, ok := <-messages:
				if !ok {
					return
				}
				lane := workflows.AnyLane
				if nudge, ok := m.(*goredis.Message); ok {
					lane = workflows.Lane(nudge.Payload)
				}
				select {
				case out <- lane:
				default:
				}
			}
		}
	}()
	return out
}
