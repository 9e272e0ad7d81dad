package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/factor"
)

var _ factor.Store = (*Store)(nil)

// factorKeys are the keys of one person's factor: all in one slot, so that each step is one script.
type factorKeys struct{ factor, enrolment, events, attempt string }

func (s *Store) factorKeys(p access.PersonID) factorKeys {
	base := s.keys.of("factor:" + string(p))
	return factorKeys{factor: base + "f:" + string(p), enrolment: base + "fe:" + string(p), events: base + "events", attempt: base + "try:" + rand.Text()}
}

// Factor loads what is kept of a person's factor.
func (s *Store) Factor(ctx context.Context, p access.PersonID) (factor.Stored, error) {
	h, err := s.factorHash(ctx, s.factorKeys(p).factor)
	if err != nil {
		return factor.Stored{}, fmt.Errorf("redis: factor: %w", err)
	}
	if len(h) == 0 {
		return factor.Stored{}, nil
	}
	n := numbers{of: h}
	out := factor.Stored{
		ID: h["id"], Sealed: h["seed"], Since: n.time("since"), Counter: n.number("counter"), LockedUntil: n.time("until"),
		Disabled: h["disabled"] != "", ResetBy: access.PersonID(h["reset_by"]), ResetAt: n.time("reset_at"),
		Doubted: h[fieldDoubted] != "", Lost: h[fieldLost] != "",
	}
	if n.err != nil || out.ID == "" && !out.Lost {
		return factor.Stored{}, fmt.Errorf("redis: the factor of %s is unreadable: %w", p, errors.Join(n.err, errors.New("no whole one")))
	}
	return out, nil
}

// Enrolment loads a person's enrolment.
func (s *Store) Enrolment(ctx context.Context, p access.PersonID) (factor.Enrolment, error) {
	h, err := s.factorHash(ctx, s.factorKeys(p).enrolment)
	if err != nil {
		return factor.Enrolment{}, fmt.Errorf("redis: enrolment: %w", err)
	}
	if len(h) == 0 {
		return factor.Enrolment{}, nil
	}
	n := numbers{of: h}
	out := factor.Enrolment{
		ID: h["id"], Step: factor.Step(h["step"]), Sealed: h["sealed"], Link: h["link"], Ticket: h["ticket"],
		Counter: n.number("counter"), Vouched: h["vouched"],
	}
	if n.err != nil {
		return factor.Enrolment{}, fmt.Errorf("redis: the enrolment of %s is unreadable: %w", p, n.err)
	}
	return out, nil
}

// numbers reads fields of a hash; the first that is none is the error.
type numbers struct {
	of  map[string]string
	err error
}

func (n *numbers) number(field string) int64 {
	text, ok := n.of[field]
	if !ok || n.err != nil {
		return 0
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n.err = fmt.Errorf("%s: %w", field, err)
	}
	return v
}

func (n *numbers) time(field string) time.Time {
	v := n.number(field)
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(v).UTC()
}

// Enrol begins an enrolment.
func (s *Store) Enrol(ctx context.Context, p access.PersonID, e factor.Enrolment, ttl time.Duration, ev audit.Event) error {
	k := s.factorKeys(p)
	_, err := s.factorStep(ctx, "factor_enrol", []string{k.enrolment, k.events, k.attempt}, []audit.Event{ev}, append([]any{millis(ttl),
		"id", e.ID, "sealed", e.Sealed, "link", e.Link}, changing(e)...)...)
	return err
}

// changing are the fields of an enrolment that its steps change.
func changing(e factor.Enrolment) []any {
	return []any{"step", string(e.Step), "ticket", e.Ticket, "counter", e.Counter, "vouched", e.Vouched}
}

// Advance moves an enrolment on.
func (s *Store) Advance(ctx context.Context, p access.PersonID, from factor.Step, e factor.Enrolment, ttl time.Duration, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_advance", []string{k.enrolment, k.events, k.attempt}, []audit.Event{ev},
		append([]any{ttl.Milliseconds(), e.ID, string(from)}, changing(e)...)...)
	return word == "ok", err
}

// Stray counts a wrong try at an enrolment.
func (s *Store) Stray(ctx context.Context, p access.PersonID, id string, most int, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_stray", []string{k.enrolment, k.events, k.attempt}, []audit.Event{ev}, id, most)
	return word == "ok", err
}

// Confirm makes the factor of an enrolment.
func (s *Store) Confirm(ctx context.Context, p access.PersonID, e factor.Enrolment, from factor.Step, at time.Time, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_confirm", []string{k.factor, k.events, k.attempt, k.enrolment}, []audit.Event{ev},
		e.ID, string(from), e.Sealed, early(at))
	return word == "ok", err
}

// Charge takes one try.
func (s *Store) Charge(ctx context.Context, p access.PersonID, l factor.Limits) (factor.Stored, factor.Verdict, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_charge", []string{k.factor, k.attempt}, nil, s.clocks.caller(), l.Tries, millis(l.Lock))
	if err != nil {
		return factor.Stored{}, "", err
	}
	stored, err := s.Factor(ctx, p)
	return stored, factor.Verdict(word), err
}

// Spend takes the code of a step.
func (s *Store) Spend(ctx context.Context, p access.PersonID, id string, step int64, l factor.Limits, ev audit.Event) (factor.Verdict, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_spend", []string{k.factor, k.events, k.attempt}, []audit.Event{ev}, id, step, l.Tries)
	return factor.Verdict(word), err
}

// Miss counts a wrong code.
func (s *Store) Miss(ctx context.Context, p access.PersonID, id string, l factor.Limits, ev factor.Misses) (factor.Verdict, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_miss", []string{k.factor, k.events, k.attempt}, []audit.Event{ev.Failed, ev.Locked, ev.Disabled},
		id, s.clocks.caller(), l.Tries, millis(l.Lock), l.Row)
	return factor.Verdict(word), err
}

// Remove takes a factor away.
func (s *Store) Remove(ctx context.Context, p access.PersonID, id string, askedBy access.PersonID, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_remove", []string{k.factor, k.events, k.attempt, k.enrolment}, []audit.Event{ev}, id, string(askedBy))
	return word == "ok", err
}

// AskReset notes that an administrator asks for the removal.
func (s *Store) AskReset(ctx context.Context, p access.PersonID, id string, by access.PersonID, at time.Time, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_ask", []string{k.factor, k.events, k.attempt}, []audit.Event{ev}, id, string(by), early(at))
	return word == "ok", err
}

// Reseal puts a seed that was sealed anew in the place of the old one.
func (s *Store) Reseal(ctx context.Context, p access.PersonID, id, old, sealed string) (bool, error) {
	word, err := s.factorRun(ctx, "factor_reseal", []string{s.factorKeys(p).factor}, nil, id, old, sealed)
	return word == "ok", err
}

// factorWords are what each script may answer.
var factorWords = map[string]map[string]bool{
	"factor_enrol":   {"ok": true},
	"factor_advance": {"ok": true, "moved": true},
	"factor_stray":   {"ok": true, "over": true},
	"factor_confirm": {"ok": true, "moved": true},
	"factor_charge":  {"open": true, "none": true, "locked": true, "disabled": true},
	"factor_spend":   {"accepted": true, "used": true, "none": true},
	"factor_miss":    {"missed": true, "locked": true, "disabled": true, "none": true},
	"factor_remove":  {"ok": true, "moved": true},
	"factor_ask":     {"ok": true, "moved": true},
}

// factorStep runs a script that takes the attempt's life, its events, and its own arguments.
func (s *Store) factorStep(ctx context.Context, script string, keys []string, events []audit.Event, args ...any) (string, error) {
	all := []any{millis(keptAttempts)}
	for i := range events {
		all = append(all, i) // it is written when what the step leaves is known
	}
	word, err := s.factorRun(ctx, script, keys, events, append(all, args...)...)
	if err == nil && !factorWords[script][word] {
		err = fmt.Errorf("redis: %w", unknown(call{script: script}, word))
	}
	return word, err
}
