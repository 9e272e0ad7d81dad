package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	return readFactor(p, h)
}

// Glance tells what lies in the store as a person's factor, and why it is not believed, without settling that.
func (s *Store) Glance(ctx context.Context, p access.PersonID) (factor.Stored, string, error) {
	key := s.factorKeys(p).factor
	known := s.factors.of(nameOf(key))
	stored, err := s.client.HGetAll(ctx, key).Result()
	if err != nil {
		return factor.Stored{}, "", fmt.Errorf("redis: factor: %w", err)
	}
	h := s.look(key, stored, known)
	if h.how != "" {
		return factor.Stored{}, h.how, nil
	}
	out, err := readFactor(p, h.fields)
	return out, "", err
}

func readFactor(p access.PersonID, h map[string]string) (factor.Stored, error) {
	n := numbers{of: h}
	out := factor.Stored{
		ID: h["id"], Sealed: h["seed"], Since: n.time("since"), Counter: n.number("counter"), LockedUntil: n.time("until"),
		Disabled: h["disabled"] != "", ResetBy: access.PersonID(h["reset_by"]), ResetAt: n.time("reset_at"), Keys: n.keys(),
		Doubted: h[fieldDoubted] != "", Lost: h[fieldLost] != "", Removed: h[fieldRemoved] != "",
	}
	if n.err != nil || out.ID == "" && out.Sealed != "" {
		return factor.Stored{}, fmt.Errorf("redis: the factor of %s is unreadable: %w", p, errors.Join(n.err, errors.New("no whole one")))
	}
	return out, nil
}

// keys are the security keys of a person's hash. Each has fields of its own, by its id.
func (n *numbers) keys() []factor.StoredKey {
	var out []factor.StoredKey
	for field, sealed := range n.of {
		id, ok := strings.CutPrefix(field, "k:")
		if !ok {
			continue
		}
		out = append(out, factor.StoredKey{
			ID: id, Sealed: sealed, Number: n.number("kn:" + id), Since: n.time("ks:" + id), Count: n.number("kc:" + id),
			Suspended: n.of["kx:"+id] != "",
		})
	}
	slices.SortFunc(out, func(a, b factor.StoredKey) int { return cmp.Compare(a.Number, b.Number) })
	return out
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
		ID: h["id"], Step: factor.Step(h["step"]), Kind: access.Method(h["kind"]), Sealed: h["sealed"], Link: h["link"], Ticket: h["ticket"],
		Counter: n.number("counter"), Vouched: h["vouched"], Again: h["again"] != "",
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
		"id", e.ID, "link", e.Link}, changing(e)...)...)
	return err
}

// changing are the fields of an enrolment that its steps change.
func changing(e factor.Enrolment) []any {
	again := ""
	if e.Again {
		again = "1"
	}
	return []any{"step", string(e.Step), "kind", string(e.Kind), "sealed", e.Sealed, "ticket", e.Ticket, "counter", e.Counter, "vouched", e.Vouched, "again", again}
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
	script := "factor_confirm"
	if e.Kind == access.WebAuthn {
		script = "factor_key"
	}
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, script, []string{k.factor, k.events, k.attempt, k.enrolment}, []audit.Event{ev},
		e.ID, string(from), e.Sealed, early(at), e.Vouched)
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

// keptActs is how long it is known of an act that a key has vouched for it: longer than one waits.
const keptActs = 30 * time.Minute

// actKey is of an act that waits for a key, in the slot of the person's factors.
func (s *Store) actKey(p access.PersonID, id string) string {
	return s.keys.of("factor:"+string(p)) + "fa:" + string(p) + ":" + id
}

// AwaitKey keeps an act that waits for a key.
func (s *Store) AwaitKey(ctx context.Context, p access.PersonID, id, sealed string, ttl time.Duration, ev audit.Event) error {
	k := s.factorKeys(p)
	_, err := s.factorStep(ctx, "factor_enrol", []string{s.actKey(p, id), k.events, k.attempt}, []audit.Event{ev}, millis(ttl), "id", id, "sealed", sealed)
	return err
}

// Awaiting gives an act that waits for a key.
func (s *Store) Awaiting(ctx context.Context, p access.PersonID, id string) (string, error) {
	h, err := s.factorHash(ctx, s.actKey(p, id))
	if err != nil {
		return "", fmt.Errorf("redis: an act that waits for a key: %w", err)
	}
	return h["sealed"], nil
}

// Sign takes a key's signature for an act.
func (s *Store) Sign(ctx context.Context, p access.PersonID, act, key string, count int64, ev factor.Signatures) (factor.Verdict, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_sign", []string{k.factor, k.events, k.attempt, s.actKey(p, act)}, []audit.Event{ev.Used, ev.Cloned, ev.Failed},
		key, count, act, s.clocks.caller(), millis(keptActs))
	return factor.Verdict(word), err
}

// StrayAct counts a try that does not count.
func (s *Store) StrayAct(ctx context.Context, p access.PersonID, act string, most int, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_stray", []string{s.actKey(p, act), k.events, k.attempt}, []audit.Event{ev}, act, most)
	return word == "ok", err
}

// Remove takes a factor away.
func (s *Store) Remove(ctx context.Context, p access.PersonID, id string, askedBy access.PersonID, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_remove", []string{k.factor, k.events, k.attempt, k.enrolment}, []audit.Event{ev}, id, string(askedBy))
	return word == "ok", err
}

// Clear takes all there is away.
func (s *Store) Clear(ctx context.Context, p access.PersonID, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_clear", []string{k.factor, k.events, k.attempt, k.enrolment}, []audit.Event{ev})
	return word == "ok", err
}

// AskReset notes that an administrator asks for the removal.
func (s *Store) AskReset(ctx context.Context, p access.PersonID, id string, by access.PersonID, at time.Time, ev audit.Event) (bool, error) {
	k := s.factorKeys(p)
	word, err := s.factorStep(ctx, "factor_ask", []string{k.factor, k.events, k.attempt}, []audit.Event{ev}, id, string(by), early(at))
	return word == "ok", err
}

// Reseal puts a seed or a key that was sealed anew in the place of the old one.
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
	"factor_key":     {"ok": true, "moved": true},
	"factor_sign":    {"accepted": true, "used": true, "none": true, "cloned": true},
	"factor_charge":  {"open": true, "none": true, "locked": true, "disabled": true},
	"factor_spend":   {"accepted": true, "used": true, "none": true},
	"factor_miss":    {"missed": true, "locked": true, "disabled": true, "none": true},
	"factor_remove":  {"ok": true, "moved": true},
	"factor_ask":     {"ok": true, "moved": true},
	"factor_clear":   {"ok": true, "none": true},
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
