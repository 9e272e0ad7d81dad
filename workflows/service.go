package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/policy"
)

// Config is what a Service is made of.
type Config struct {
	Store      Store
	Directory  Directory
	Policies   *policy.Set
	Roles      []access.Role
	Connectors map[string]connectors.Connector
	// Administrator tells who may end anyone's access and see everything. Nil: nobody.
	Administrator func(access.Person) bool
	// Auditor tells who may read every request and the audit log. Nil: administrators only.
	Auditor func(access.Person) bool
	// Factors are the second factors that policies may ask for. What is asked for and not among them is refused.
	Factors map[access.Method]Factor
	// AuditHealthy tells why evidence cannot be kept, or nil. Activations wait for it; endings do not. Nil: always well.
	AuditHealthy func() error
	// OverdueAfter is how long a deactivation may take before people are told. Zero: one minute.
	OverdueAfter time.Duration
	// NoticeBefore is how long before the end its holder is told. Zero: ten minutes.
	NoticeBefore time.Duration
	// Limits bound what people can put before others. Zero: nothing is bounded.
	Limits  Limits
	Metrics Metrics          // nil: not measured
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discarded
}

// Metrics is told what the operators watch.
type Metrics interface {
	ObserveConnectorCall(connector, verb, result string, d time.Duration)
	ObserveLateness(d time.Duration)
	CountDecision(verdict, via string)
	// CountLimited counts a request that came too often or too soon: by which limit, and by which way in.
	CountLimited(limit, via string)
}

type unmeasured struct{}

func (unmeasured) ObserveConnectorCall(string, string, string, time.Duration) {}
func (unmeasured) ObserveLateness(time.Duration)                              {}
func (unmeasured) CountDecision(string, string)                               {}
func (unmeasured) CountLimited(string, string)                                {}

// Service holds the verbs. Every one of them asks the directory and the policy at the moment of the act, and writes
// one arrow. It is safe for concurrent use.
type Service struct {
	cfg       Config
	catalogue catalogue
	now       func() time.Time
	log       *slog.Logger
	// administered are those who were administrators when the directory was last asked about everybody.
	administered atomic.Pointer[[]access.Person]
}

// New checks the configuration and makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Directory == nil || cfg.Policies == nil {
		return nil, errors.New("workflows: Store, Directory and Policies are required")
	}
	for _, r := range cfg.Roles {
		if cfg.Connectors[r.Connector] == nil {
			return nil, fmt.Errorf("workflows: role %s needs connector %q, which is not configured", r.ID, r.Connector)
		}
	}
	if cfg.Administrator == nil {
		cfg.Administrator = func(access.Person) bool { return false }
	}
	if cfg.Auditor == nil {
		cfg.Auditor = func(access.Person) bool { return false }
	}
	if cfg.AuditHealthy == nil {
		cfg.AuditHealthy = func() error { return nil }
	}
	if cfg.OverdueAfter == 0 {
		cfg.OverdueAfter = time.Minute
	}
	if cfg.NoticeBefore == 0 {
		cfg.NoticeBefore = 10 * time.Minute
	}
	if cfg.Limits.Window == 0 {
		cfg.Limits.Window = time.Minute
	}
	if cfg.Metrics == nil {
		cfg.Metrics = unmeasured{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, catalogue: newCatalogue(cfg.Roles), now: cfg.Now, log: cfg.Logger}
	for name, c := range cfg.Connectors {
		if b, ok := c.(binder); ok {
			if err := b.bind(s); err != nil {
				return nil, fmt.Errorf("workflows: connector %s: %w", name, err)
			}
		}
	}
	return s, nil
}

// Decision is an approver's word.
type Decision struct {
	Verdict access.Verdict
	Reason  string
	Method  string // how the approver was authenticated for it; empty: session
	// Proof is of the approver's second factor, where the policy asks for one: a code.
	Proof access.Secret
}

// May is what one person may do to a request now.
type May struct {
	Decide, Cancel, End, Extend bool
	// Room is by how much a running grant can be extended, whoever may do it.
	Room time.Duration
	// Why says, where Decide is false, why not.
	Why *access.Refusal
}

// attempts bounds how often a verb starts again because somebody else moved the record under it. Each loss means that
// another arrow was taken, and a request takes few.
const attempts = 32

// change loads a record, lets decide make a transition of it, and takes that, again from the start when the record has
// moved on in between. Refusals are put on record.
func (s *Service) change(ctx context.Context, by access.Actor, id access.RequestID, verb string, decide func(*access.Record) (Transition, error)) (*access.Record, error) {
	for range attempts {
		rec, err := s.cfg.Store.Get(ctx, id)
		if errors.Is(err, access.ErrNotFound) {
			return nil, s.refuse(ctx, by, nil, verb, &access.Refusal{Kind: access.ErrNotFound, Code: "no_such_request",
				Text: fmt.Sprintf("There is no request %s. Use `/elevate mine` to see yours.", id)})
		}
		if err != nil {
			return nil, fmt.Errorf("load request %s: %w", id, err)
		}
		t, err := decide(rec)
		if err != nil {
			return rec, s.refuse(ctx, by, rec, verb, err)
		}
		err = s.take(ctx, t)
		if errors.Is(err, ErrStale) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s request %s: %w", t.Arrow, id, err)
		}
		return t.Record, nil
	}
	return nil, fmt.Errorf("%s request %s: %w", verb, id, ErrStale)
}

// take takes an arrow, and tells the operators' log of it.
func (s *Service) take(ctx context.Context, t Transition) error {
	if journalled(t) {
		t.Event.Record = t.Record
	}
	if t.Record.Bundle != "" { // people are told of the bundle, and of a part where it does not end
		t.Notes = slices.DeleteFunc(t.Notes, func(n Note) bool { return n.Kind != NoteOverdue })
	}
	if err := s.cfg.Store.Take(ctx, t); err != nil {
		return err
	}
	r := t.Record
	s.log.InfoContext(ctx, "request moved", "request_id", r.ID, "arrow", t.Arrow, "state", r.State, "version", r.Version,
		"by", t.Event.Actor.Person, "via", t.Event.Actor.Via, "person", r.Person, "role", r.Role.ID, "connector", r.Role.Connector)
	s.wake(ctx, t)
	return nil
}

// journalled tells whether the log must hold the record that an arrow leaves, for what comes after it to be rebuilt.
func journalled(t Transition) bool {
	switch t.Arrow {
	case access.Remind, access.Notice, access.Overdue:
		return false
	}
	return !t.Record.State.Terminal()
}

// refuse records a "no" and hands it back. Errors that are no refusal pass through unrecorded.
func (s *Service) refuse(ctx context.Context, by access.Actor, rec *access.Record, verb string, err error) error {
	if access.AsksProof(err) || access.AsksKey(err) != nil { // a question back is no refusal
		return err
	}
	code := ""
	var one *access.Refusal
	var many access.Problems
	switch {
	case errors.As(err, &many) && len(many) > 0:
		code = many[0].Code
	case errors.As(err, &one):
		code = one.Code
	default:
		return err
	}
	e := audit.Event{At: s.now().UTC(), Kind: audit.Refused, Actor: by, Reason: code, Detail: map[string]string{"verb": verb}}
	if rec != nil {
		e.Request, e.Person, e.Role, e.Connector, e.From = rec.ID, rec.Person, rec.Role.ID, rec.Role.Connector, rec.State
	}
	s.log.InfoContext(ctx, "refused", "verb", verb, "code", code, "request_id", e.Request, "by", by.Person, "via", by.Via)
	if appendErr := s.cfg.Store.Append(ctx, e); appendErr != nil {
		s.log.Error("a refusal could not be put on record", "verb", verb, "code", code, "person", by.Person, "err", appendErr)
	}
	return err
}

// TurnedAway puts on record that a way in refused somebody before any verb was asked: an account that is linked to
// nobody, a guest, a stranger. code is a fixed word.
func (s *Service) TurnedAway(ctx context.Context, by access.Actor, code string) {
	_ = s.refuse(ctx, by, nil, "enter", &access.Refusal{Kind: access.ErrNotAllowed, Code: code}) // its own answer
}

// person asks the directory about who acts.
func (s *Service) person(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := s.cfg.Directory.Person(ctx, id)
	var refused *access.Refusal
	switch {
	case errors.As(err, &refused):
		return p, refused
	case errors.Is(err, access.ErrNotFound):
		return p, &access.Refusal{Kind: access.ErrNotAllowed, Code: "unknown_person", Err: err,
			Text: fmt.Sprintf("%s is not in Elevate's directory. Ask an administrator to add this person.", id)}
	case err != nil:
		return p, &access.Refusal{Kind: access.ErrUnavailable, Code: "directory_unavailable", Err: err,
			Text: "The directory could not be asked who you are, so nothing was done. Try again in a minute."}
	}
	return p, nil
}

func (s *Service) offered(role access.Role, p *policy.Policy, eligible bool) Offer {
	return Offer{
		Role:          role,
		Eligible:      eligible,
		Default:       p.Default(),
		Max:           p.Max(),
		TicketPattern: p.Rule().Justification.Ticket,
		MinLength:     p.Rule().Justification.MinLength,
		MaxLength:     p.Rule().Justification.MaxLength,
		Stages:        p.Stages(),
		StepUp:        p.StepUp(),
		Capabilities:  s.capabilities(role),
	}
}
