package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"elevate/workflows"
)

// keptDeliveries is how long the key of a delivery is remembered.
const keptDeliveries = 24 * time.Hour

// Deliver records a delivery, once per chat and key.
func (s *Store) Deliver(ctx context.Context, d workflows.Delivery) (bool, error) {
	box := inbox(s.keys.of(d.Key), d.Chat)
	ask := call{script: "deliver", keys: []string{box, box + ":d:" + d.Key, box + ":k:" + d.Key}, args: []any{
		rand.Text(), d.Key, s.markBytes(markDelivery, d.Chat+" "+d.Key, d.Payload), s.clocks.caller(), millis(keptDeliveries), s.keys.nudges(), d.Chat,
	}}
	return s.either(ctx, ask, "known")
}

// ClaimDeliveries leases deliveries of the chat that nobody has worked yet. Tries is how often each was claimed before.
func (s *Store) ClaimDeliveries(ctx context.Context, chat string, limit int, lease time.Duration) ([]workflows.Delivery, time.Time, error) {
	var deliveries []workflows.Delivery
	next, err := s.sweep(ctx, "in:"+chat, limit, func(shard, quota int) call {
		box := inbox(s.keys.base(shard), chat)
		return call{script: "deliveries", keys: []string{box},
			args: []any{box + ":d:", s.clocks.caller(), millis(lease), quota}}
	}, func(item any) error {
		d, err := s.readDelivery(chat, item)
		if errors.Is(err, workflows.ErrForged) {
			err = errors.Join(err, s.Worked(ctx, d)) // what somebody else put there would only come again
		} else if err == nil {
			deliveries = append(deliveries, d)
		}
		return err
	})
	if err != nil && len(deliveries) == 0 {
		return nil, time.Time{}, fmt.Errorf("redis: %w", err)
	}
	return deliveries, next, nil
}

func (s *Store) readDelivery(chat string, item any) (workflows.Delivery, error) {
	f, err := texts(item)
	if err != nil || len(f) != 3 {
		return workflows.Delivery{}, errors.Join(err, errors.New("not a delivery"))
	}
	fence, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return workflows.Delivery{}, fmt.Errorf("fence of %s: %w", f[0], err)
	}
	payload, err := s.readBytes(markDelivery, chat+" "+f[0], f[2])
	return workflows.Delivery{Key: f[0], Chat: chat, Payload: payload, Fence: fence, Tries: int(fence) - 1}, err
}

// Worked removes a delivery, also where another holds it by now.
func (s *Store) Worked(ctx context.Context, d workflows.Delivery) error {
	box := inbox(s.keys.of(d.Key), d.Chat)
	err := s.done(ctx, call{script: "worked", keys: []string{box, box + ":d:" + d.Key}, args: []any{d.Key}})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}
