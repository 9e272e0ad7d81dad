package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"elevate/workflows"
)

const (
	// keptTopics is how long the keys and refs of a topic are kept after its last use: longer than anybody comes back
	// to a message.
	keptTopics = 90 * 24 * time.Hour
	// largestErrand is how many notes of a topic are handed out at once.
	largestErrand = 64
)

// Enqueue adds a note on a topic for chats, once per topic and key.
func (s *Store) Enqueue(ctx context.Context, chats []string, topic, key string, n workflows.Note) (bool, error) {
	note, err := json.Marshal(n)
	if err != nil {
		return false, fmt.Errorf("redis: encode a note of %s: %w", topic, err)
	}
	base := s.keys.of(topic)
	ask := call{script: "enqueue", keys: []string{base + "told:" + topic}, args: []any{
		rand.Text(), topic, key, note, s.clocks.caller(), millis(keptTopics), s.keys.nudges(),
	}}
	for _, chat := range chats {
		box := outbox(base, chat)
		ask.keys = append(ask.keys, box, box+":q:"+topic)
		ask.args = append(ask.args, chat)
	}
	return s.either(ctx, ask, "used")
}

// ClaimErrands leases topics that have notes to tell in the chat.
func (s *Store) ClaimErrands(ctx context.Context, chat string, limit int, lease time.Duration) ([]workflows.Errand, time.Time, error) {
	var errands []workflows.Errand
	next, err := s.sweep(ctx, "out:"+chat, limit, func(shard, quota int) call {
		box := outbox(s.keys.base(shard), chat)
		return call{script: "errands", keys: []string{box},
			args: []any{box + ":", s.clocks.caller(), millis(lease), quota, largestErrand}}
	}, func(item any) error {
		e, err := readErrand(item)
		e.Chat = chat
		if err == nil {
			errands = append(errands, e)
		}
		return err
	})
	if err != nil && len(errands) == 0 {
		return nil, time.Time{}, fmt.Errorf("redis: %w", err)
	}
	return errands, next, nil
}

func readErrand(item any) (workflows.Errand, error) {
	parts, err := list(item)
	if err != nil || len(parts) != 5 {
		return workflows.Errand{}, errors.Join(err, errors.New("not an errand"))
	}
	head, err := texts(parts[:3])
	if err != nil {
		return workflows.Errand{}, err
	}
	e := workflows.Errand{Topic: head[0], Refs: map[string]string{}}
	if e.Fence, err = strconv.ParseInt(head[1], 10, 64); err != nil {
		return workflows.Errand{}, fmt.Errorf("fence of %s: %w", e.Topic, err)
	}
	if e.Tries, err = strconv.Atoi(head[2]); err != nil {
		return workflows.Errand{}, fmt.Errorf("tries of %s: %w", e.Topic, err)
	}
	notes, err := texts(parts[3])
	if err != nil {
		return workflows.Errand{}, err
	}
	for _, note := range notes {
		var n workflows.Note
		if err := json.Unmarshal([]byte(note), &n); err != nil {
			return workflows.Errand{}, fmt.Errorf("note of %s: %w", e.Topic, err)
		}
		e.Notes = append(e.Notes, n)
	}
	refs, err := texts(parts[4])
	for i := 0; i+1 < len(refs); i += 2 {
		e.Refs[refs[i]] = refs[i+1]
	}
	return e, err
}

// Told removes the first note of an errand and prolongs the lease by what it was claimed for, until the last note that
// was handed out is told. Notes that came in the meantime are another errand, due at once.
func (s *Store) Told(ctx context.Context, e workflows.Errand, refs map[string]string) error {
	base := s.keys.of(e.Topic)
	box := outbox(base, e.Chat)
	return s.report(ctx, e, call{script: "told",
		keys: []string{box, box + ":q:" + e.Topic, box + ":t:" + e.Topic},
		args: withRefs([]any{
			rand.Text(), e.Topic, e.Fence, s.clocks.caller(), millis(keptTopics), s.keys.nudges(), e.Chat,
		}, refs),
	})
}

// PutOff gives an errand back, to be tried again at the given time.
func (s *Store) PutOff(ctx context.Context, e workflows.Errand, until time.Time, refs map[string]string) error {
	box := outbox(s.keys.of(e.Topic), e.Chat)
	return s.report(ctx, e, call{script: "putoff",
		keys: []string{box, box + ":t:" + e.Topic},
		args: withRefs([]any{rand.Text(), e.Topic, e.Fence, late(until), s.keys.nudges(), e.Chat}, refs),
	})
}

func withRefs(args []any, refs map[string]string) []any {
	for name, ref := range refs {
		args = append(args, name, ref)
	}
	return args
}

// report sends a call that ends part of an errand.
func (s *Store) report(ctx context.Context, e workflows.Errand, c call) error {
	held, err := s.either(ctx, c, "stale")
	if err == nil && !held {
		err = fmt.Errorf("redis: errand on %s in %s: %w", e.Topic, e.Chat, workflows.ErrStale)
	}
	return err
}
