package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// guards are the words of the scripts' own second line of defence, and what they mean.
var guards = map[string]string{
	"guard-request": "the request itself must never change",
	"guard-timer":   "the timers do not fit the state",
	"guard-decider": "a decision needs one new word, by somebody who neither asked nor benefits and has not decided",
	"guard-end":     "the end is not ahead, or it has come",
	"guard-receipt": "there is no receipt of the activation",
	"guard-removal": "there is no word of what the deactivation found",
}

// ErrGuard says that a transition is in the table of arrows but must not be taken as it is. It is a fault of the
// program: workflows checks the same before.
var ErrGuard = errors.New("refused by the store")

// NewID draws an id that falls to the shard of the right.
func (s *Store) NewID(now time.Time, right string) access.RequestID {
	home := s.keys.shard(right)
	for {
		if id := access.NewID(now); s.keys.shard(string(id)) == home {
			return id
		}
	}
}

// Take writes a transition by the script of its arrow. Besides ErrStale and ErrTaken it returns a *access.MoveError
// where the table has no such arrow, ErrGuard where the scripts refuse it, and ErrNotDurable where an arm was written but
// not as durably as Config.Wait asks.
func (s *Store) Take(ctx context.Context, t workflows.Transition) error {
	c, err := s.arrow(t)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	var word string
	if t.Arrow == access.Arm && s.waits() {
		word, err = s.wordWaited(ctx, c)
	} else {
		word, err = s.word(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	switch word {
	case "ok":
		return nil
	case "stale":
		return fmt.Errorf("redis: %s %s: %w", t.Arrow, t.Record.ID, workflows.ErrStale)
	case "taken":
		return fmt.Errorf("redis: %s %s: %w", t.Arrow, t.Record.ID, workflows.ErrTaken)
	case "move":
		return fmt.Errorf("redis: %s: %w", t.Record.ID, &access.MoveError{From: t.From, Arrow: t.Arrow})
	}
	if why, ok := guards[word]; ok {
		return fmt.Errorf("redis: %s %s: %w: %s", t.Arrow, t.Record.ID, ErrGuard, why)
	}
	return fmt.Errorf("redis: %w", unknown(c, word))
}

// Restore writes a record as the audit log has it, unless the store has that version or a later one.
func (s *Store) Restore(ctx context.Context, t workflows.Transition) (bool, error) {
	t.Arrow = restore
	c, err := s.arrow(t)
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	word, err := s.word(ctx, c)
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	switch word {
	case "ok", "newer":
		return word == "ok", nil
	}
	if why, ok := guards[word]; ok {
		return false, fmt.Errorf("redis: restore %s: %w: %s", t.Record.ID, ErrGuard, why)
	}
	return false, fmt.Errorf("redis: %w", unknown(c, word))
}

// arrow makes the call of a transition; keys and arguments are those that arrow.lua names.
func (s *Store) arrow(t workflows.Transition) (call, error) {
	if t.Record == nil {
		return call{}, errors.New("a transition without a record")
	}
	if _, ok := s.scripts[string(t.Arrow)]; !ok {
		return call{}, fmt.Errorf("no script for the arrow %q", t.Arrow)
	}
	r := t.Record
	if t.Claim != nil && t.Claim.Request != r.ID {
		return call{}, fmt.Errorf("a claim on %s does not cover %s", t.Claim.Request, r.ID)
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return call{}, fmt.Errorf("encode %s: %w", r.ID, err)
	}
	event, err := json.Marshal(t.Event)
	if err != nil {
		return call{}, fmt.Errorf("encode the event of %s: %w", r.ID, err)
	}
	args := append(s.fixedArgs(t, doc, event), s.timerArgs(r)...)
	args = append(args, len(t.Notes))
	for _, n := range t.Notes {
		note, err := json.Marshal(n)
		if err != nil {
			return call{}, fmt.Errorf("encode a note of %s: %w", r.ID, err)
		}
		args = append(args, note)
	}
	for _, chat := range s.cfg.Chats {
		args = append(args, chat)
	}
	return call{script: string(t.Arrow), keys: s.arrowKeys(r), args: args}, nil
}

func (s *Store) arrowKeys(r *access.Record) []string {
	base := s.keys.of(string(r.ID))
	keys := []string{
		base + "r:" + string(r.ID),
		lane(base, workflows.Clock),
		lane(base, workflows.ActivateLane(r.Role.Connector)),
		lane(base, workflows.DeactivateLane(r.Role.Connector)),
		base + "events",
		base + "all",
		base + "open",
		base + "p:" + string(r.Person),
		base + "p:" + string(r.Requester),
		base + "right:" + r.Right(),
		base + "busy",
		base + "overdue",
	}
	for _, chat := range s.cfg.Chats {
		box := outbox(base, chat)
		keys = append(keys, box, box+":q:"+string(r.ID))
	}
	return keys
}

func (s *Store) fixedArgs(t workflows.Transition, doc, event []byte) []any {
	r, timer, fence := t.Record, access.Timer(""), int64(0)
	if t.Claim != nil {
		timer, fence = t.Claim.Timer, t.Claim.Fence
	}
	ends, overdue := int64(0), ""
	if !r.EndsAt.IsZero() {
		ends = late(r.EndsAt)
	}
	if r.State == access.Deactivating && r.Overdue {
		overdue = "1"
	}
	return []any{
		rand.Text(), string(r.ID), string(t.From), string(r.State),
		r.Version, doc, event, early(s.cfg.Now()),
		string(timer), fence, early(r.SubmittedAt), ends,
		overdue, r.Right(), r.Role.Connector, string(r.Person),
		string(r.Requester), string(r.Role.ID), s.keys.of(string(r.ID)),
		s.keys.nudges(),
	}
}

func (s *Store) timerArgs(r *access.Record) []any {
	due := r.Due()
	args := []any{len(due)}
	for timer, at := range due {
		args = append(args, string(timer), late(at))
	}
	return args
}
