package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// ErrGuard says that a transition is in the table of arrows but must not be taken as it is. Workflows checks the same
// before, so that it is a race or a fault of the program.
var ErrGuard = workflows.ErrGuard

// tokenLength is how many letters tell one attempt from another: 60 random bits, among the last attempts on one record.
const tokenLength = 12

// NewID draws an id that falls to the shard of the right.
func (s *Store) NewID(now time.Time, right string) access.RequestID {
	home := s.keys.shard(right)
	for {
		if id := access.NewID(now); s.keys.shard(string(id)) == home {
			return id
		}
	}
}

// Take writes a transition by the rule of its arrow. Besides ErrStale and ErrTaken it returns a *access.MoveError where
// the table has no such arrow, ErrGuard where the rule refuses it, and ErrNotDurable where an arm was written but not as
// durably as Config.Wait asks. What a person ends, refuses or extends waits for the same, and goes on without it.
func (s *Store) Take(ctx context.Context, t workflows.Transition) error {
	a, err := s.arrow(t)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	arms := t.Arrow == access.Arm || t.Arrow == access.Part
	var word string
	if s.waits() && (arms || promised(t)) {
		word, err = s.wordWaited(ctx, s.taking([]*arrow{a}))
	} else {
		word, err = s.takeTogether(ctx, a)
	}
	if errors.Is(err, ErrNotDurable) && !arms {
		s.cfg.Log.WarnContext(ctx, "what somebody did was written, but not as durably as asked; a failover now may undo it", "request_id", t.Record.ID, "arrow", t.Arrow, "err", err)
		return nil
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
	return guarded(t, word)
}

// promised tells whether somebody is told that access will end, end later or not begin, which a failover must not take back.
func promised(t workflows.Transition) bool {
	switch t.Arrow {
	case access.End, access.Undo, access.Cancel, access.Refuse, access.Extend:
		return t.Claim == nil && t.Event.Actor.Person != access.System
	}
	return false
}

// Restore writes a record as the audit log has it, unless the store has that version or a later one.
func (s *Store) Restore(ctx context.Context, t workflows.Transition) (bool, error) {
	t.Arrow, t.From, t.Claim = restore, access.None, nil
	a, err := s.arrow(t)
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	word, err := s.takeTogether(ctx, a)
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	switch word {
	case "ok", "newer":
		return word == "ok", nil
	}
	return false, guarded(t, word)
}

// guarded is the error for a word that no caller expects.
func guarded(t workflows.Transition, word string) error {
	if why, ok := guards[word]; ok {
		return fmt.Errorf("redis: %s %s: %w: %s", t.Arrow, t.Record.ID, ErrGuard, why)
	}
	return fmt.Errorf("redis: %s %s: unknown answer %q", t.Arrow, t.Record.ID, word)
}

// arrow is a transition as take.lua wants it.
type arrow struct {
	id    string
	shard int
	args  []any
}

func (s *Store) takeTogether(ctx context.Context, a *arrow) (string, error) {
	reply, err := s.batches.do(ctx, call{arrow: a})
	if err != nil {
		return "", err
	}
	word, ok := reply.(string)
	if !ok {
		return "", fmt.Errorf("take: answered %T, not a word", reply)
	}
	return word, nil
}

// taking is the call that takes arrows of one shard.
func (s *Store) taking(arrows []*arrow) call {
	base := s.keys.base(arrows[0].shard)
	keys := []string{base + "claims", base + "events", base + "all", base + "open", base + "overdue"}
	for _, chat := range s.cfg.Chats {
		keys = append(keys, outbox(base, chat))
	}
	size := 4
	for _, a := range arrows {
		size += len(a.args)
	}
	args := append(make([]any, 0, size), base, s.keys.nudges(), s.clocks.caller(), len(arrows))
	for _, a := range arrows {
		args = append(args, a.args...)
	}
	return call{script: take, keys: keys, args: args}
}

// arrow makes the arguments of a transition; they are those that take.lua names.
func (s *Store) arrow(t workflows.Transition) (*arrow, error) {
	if t.Record == nil {
		return nil, errors.New("a transition without a record")
	}
	if !s.rules[string(t.Arrow)] {
		return nil, fmt.Errorf("no rule for the arrow %q", t.Arrow)
	}
	r := t.Record
	if t.Claim != nil && t.Claim.Request != r.ID {
		return nil, fmt.Errorf("a claim on %s does not cover %s", t.Claim.Request, r.ID)
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.ID, err)
	}
	event, err := json.Marshal(t.Event)
	if err != nil {
		return nil, fmt.Errorf("encode the event of %s: %w", r.ID, err)
	}
	args := append(s.fields(t, s.markDoc(markRecord, doc), s.markDoc(markEvent, event)), len(t.Notes))
	for _, n := range t.Notes {
		note, err := json.Marshal(n)
		if err != nil {
			return nil, fmt.Errorf("encode a note of %s: %w", r.ID, err)
		}
		args = append(args, note)
	}
	return &arrow{id: string(r.ID), shard: s.keys.shard(string(r.ID)), args: args}, nil
}

func (s *Store) fields(t workflows.Transition, doc, event []byte) []any {
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
		string(t.Arrow), rand.Text()[:tokenLength], string(r.ID), string(t.From), string(r.State), r.Version, doc, event,
		string(timer), fence, early(r.SubmittedAt), ends, overdue, r.Right(), r.Role.Connector, string(r.Person),
		string(r.Requester), string(r.Role.ID), timers(r),
	}
}

// timers writes a record's timers as the scripts keep them.
func timers(r *access.Record) string {
	due := r.Due()
	var b strings.Builder
	for _, timer := range access.Timers() {
		at, armed := due[timer]
		if !armed {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(timer) + "=" + strconv.FormatInt(late(at), 10))
	}
	return b.String()
}
