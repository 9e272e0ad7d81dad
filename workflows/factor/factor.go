// Package factor is the second factor of people: codes of an authenticator app (TOTP), and security keys (WebAuthn). It
// enrols them on a page of the bot, never through chat, has each code and each signature count once, bounds the guessing,
// and replaces, removes and resets factors. What asks for a factor, and for which act, is decided elsewhere; here it is
// only proved.
package factor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
	"elevate/workflows/passkey"
	"elevate/workflows/seal"
)

// The bounds of guessing: five wrong codes lock for half an hour (PCI DSS 8.3.4), twenty in a row disable. With three
// codes good at a time, twenty guesses find one with a probability of six in 100,000.
var bounds = Limits{Tries: 5, Lock: 30 * time.Minute, Row: 20}

// The events of factors; Person is whose factor it is.
const (
	EventLink     = "factor_link"     // a link to the enrolment page was given out
	EventShown    = "factor_shown"    // the page showed the seed
	EventProved   = "factor_proved"   // a code of the app was typed on the page
	EventStray    = "factor_stray"    // a wrong code on the page, or a wrong word in chat
	EventNamed    = "factor_named"    // the page's word was typed in chat
	EventSet      = "factor_set"      // it counts from now on
	EventUsed     = "factor_used"     // a code vouched for an act
	EventFailed   = "factor_failed"   // a wrong code
	EventLocked   = "factor_locked"   // too many of them
	EventDisabled = "factor_disabled" // far too many
	EventRemoved  = "factor_removed"  // by its owner
	EventAsked    = "factor_asked"    // an administrator asks for its removal
	EventReset    = "factor_reset"    // the second one does, or whoever holds the keys, and it is gone

	EventKeyLink   = "key_link"   // a link was given out, for a key to vouch for an act
	EventKeyUsed   = "key_used"   // a key vouched for an act
	EventKeyFailed = "key_failed" // what came in its place did not count
	EventKeyCloned = "key_cloned" // a key has counted backwards, and is suspended
)

// codeUnreadable refuses because a factor does not open with the keys there are.
const codeUnreadable = "factor_unreadable"

// Directory tells who somebody is, as of now.
type Directory interface {
	Person(ctx context.Context, id access.PersonID) (access.Person, error)
	People(ctx context.Context) ([]access.Person, error)
}

// Notice is something that people must hear of.
type Notice struct {
	Event  string          `json:"event"`
	ID     string          `json:"id"` // of the factor or the enrolment
	Person access.PersonID `json:"person"`
	By     access.Actor    `json:"by"`
	At     time.Time       `json:"at"`
	Until  time.Time       `json:"until,omitzero"` // of a lock
	// Key is what its owner calls a security key; empty: it is about an app, or about all there is.
	Key string `json:"key,omitempty"`
	// Waits says that an administrator has to confirm, or a second one to ask too.
	Waits bool `json:"waits,omitempty"`
	// Again says that it waits in the place of another that the administrators were told of.
	Again bool `json:"again,omitempty"`
	// Enrolment says that it is of the making of a factor, or of an act that waits for a key: either has to begin anew.
	Enrolment bool `json:"enrolment,omitempty"`
}

// Config is what Factors are made of.
type Config struct {
	Store     Store      // required
	Directory Directory  // required
	Keys      []seal.Key // required: seal the seeds
	// PageURL is where the enrolment page is served; a link's token follows. Required.
	PageURL string
	// Party is whom security keys answer to. Nil: there are none here.
	Party *passkey.Party
	// KeyURL is where the page that asks for a key is served; a link's token follows. Required with Party.
	KeyURL string
	// Administrator tells who may confirm an enrolment and ask for a reset. Nil: nobody.
	Administrator func(access.Person) bool
	// Issuer is the name that apps show. Empty: Elevate.
	Issuer string
	// Strict takes the code of the current step alone. Otherwise those beside it count too: phones' clocks differ.
	Strict bool
	// Tell tells the person and the administrators. Nil: nobody is told.
	Tell   func(ctx context.Context, n Notice) error
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// Factors are everybody's. They are safe for concurrent use.
type Factors struct {
	cfg    Config
	box    *seal.Box // of seeds and enrolments
	keyBox *seal.Box // of security keys, and of what waits for them
	skew   int64
	now    func() time.Time
	log    *slog.Logger
}

// New checks the configuration and makes Factors.
func New(cfg Config) (*Factors, error) {
	if cfg.Store == nil || cfg.Directory == nil || cfg.PageURL == "" {
		return nil, errors.New("factor: Store, Directory and PageURL are required")
	}
	if cfg.Party != nil && cfg.KeyURL == "" {
		return nil, errors.New("factor: Party needs KeyURL")
	}
	if cfg.Issuer == "" {
		cfg.Issuer = "Elevate"
	}
	if err := CheckIssuer(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("factor: the issuer %w", err)
	}
	if cfg.Administrator == nil {
		cfg.Administrator = func(access.Person) bool { return false }
	}
	if cfg.Tell == nil {
		cfg.Tell = func(context.Context, Notice) error { return nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	box, err := seal.New(cfg.Keys, "totp")
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	keyBox, err := seal.New(cfg.Keys, "webauthn")
	if err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	f := &Factors{cfg: cfg, box: box, keyBox: keyBox, skew: 1, now: cfg.Now, log: cfg.Logger}
	if cfg.Strict {
		f.skew = 0
	}
	return f, nil
}

// Status is how somebody stands with their factor.
type Status struct {
	Since       time.Time // zero: there is none
	LockedUntil time.Time // zero: not locked
	Disabled    bool
	Keys        []KeyStatus
	Step        Step // of an enrolment that is under way; empty: there is none
}

// KeyStatus is how somebody stands with one of their security keys.
type KeyStatus struct {
	Name      string // what Remove takes: key-1, key-2, …
	Label     string // what its owner calls it; may be empty
	Since     time.Time
	Suspended bool
}

// Status tells how somebody stands.
func (f *Factors) Status(ctx context.Context, p access.PersonID) (Status, error) {
	stored, err := f.stored(ctx, p)
	if err != nil {
		return Status{}, err
	}
	e, err := f.enrolment(ctx, p)
	if err != nil {
		return Status{}, err
	}
	s := Status{Since: stored.Since, Disabled: stored.Disabled, Step: e.Step}
	if stored.LockedUntil.After(f.now()) {
		s.LockedUntil = stored.LockedUntil
	}
	for _, k := range stored.Keys {
		h, err := f.openKey(ctx, p, k)
		if err != nil {
			return Status{}, err
		}
		s.Keys = append(s.Keys, KeyStatus{Name: k.name(), Label: h.Label, Since: k.Since, Suspended: k.Suspended})
	}
	return s, nil
}

// name is what people call a key by.
func (k StoredKey) name() string { return fmt.Sprintf("key-%d", k.Number) }

func (f *Factors) stored(ctx context.Context, p access.PersonID) (Stored, error) {
	s, err := f.cfg.Store.Factor(ctx, p)
	if err != nil {
		return s, unavailable(err)
	}
	return s, nil
}

func (f *Factors) enrolment(ctx context.Context, p access.PersonID) (Enrolment, error) {
	e, err := f.cfg.Store.Enrolment(ctx, p)
	if err != nil {
		return e, unavailable(err)
	}
	return e, nil
}

// Prove accepts a code of a person for one act, once, or refuses with the way out. Without a code it says that one is
// asked for (access.AsksProof), or why none could help.
func (f *Factors) Prove(ctx context.Context, by access.Actor, act access.Act, code access.Secret) error {
	stored, err := f.stored(ctx, by.Person)
	if err != nil {
		return err
	}
	if err := f.usable(stored); err != nil {
		return err
	}
	if strings.TrimSpace(code.Reveal()) == "" {
		return refusal(access.ErrInvalid, access.CodeProofMissing, "This needs a code of your authenticator app. Write the six digits that it shows for Elevate.")
	}
	digits, ok := sixDigits(code)
	if !ok { // no guess: it is not counted
		return refusal(access.ErrInvalid, access.CodeProofWrong, "A code has six digits. Write what your authenticator app shows for Elevate.")
	}
	return f.try(ctx, by, act, digits)
}

// doubted refuses whatever a factor would prove that the store lost, or that somebody else has changed there.
func doubted(s Stored) error {
	switch {
	case s.Lost && s.none():
		return refusal(access.ErrNotAllowed, access.CodeFactorMissing,
			"Your second factor is gone from Elevate's store, and nobody took it away, so nothing was done. Set up another with `/elevate mfa`; an administrator has to confirm it.")
	case s.Doubted:
		return refusal(access.ErrNotAllowed, access.CodeFactorLocked,
			"Your second factor was changed in Elevate's store, and not by Elevate. It is switched off, and nothing was done. Two administrators can reset it with `/elevate mfa reset`; then set up a new one.")
	}
	return nil
}

// usable refuses what no code of a factor could help.
func (f *Factors) usable(s Stored) error {
	if err := doubted(s); err != nil {
		return err
	}
	switch {
	case s.ID == "" && len(s.Keys) > 0:
		return refusal(access.ErrNotAllowed, access.CodeFactorMissing,
			"This needs a code of an authenticator app, and you have none yet, so nothing was done. Set one up with `/elevate mfa new`, then try again.")
	case s.ID == "":
		return refusal(access.ErrNotAllowed, access.CodeFactorMissing,
			"This needs a second factor, and you have none yet, so nothing was done. Set one up with `/elevate mfa`, then try again.")
	case s.Disabled:
		return refusal(access.ErrNotAllowed, access.CodeFactorLocked,
			"Your second factor is switched off after too many wrong codes, so nothing was done. Two administrators can reset it with `/elevate mfa reset`; then set up a new one.")
	case s.LockedUntil.After(f.now()):
		return refusal(access.ErrNotAllowed, access.CodeFactorLocked,
			"Your second factor is locked after %d wrong codes, until %s UTC, so nothing was done. If the codes were not yours, tell an administrator now.",
			bounds.Tries, s.LockedUntil.UTC().Format("15:04"))
	}
	return nil
}

// try looks at one guess that was charged for.
func (f *Factors) try(ctx context.Context, by access.Actor, act access.Act, digits string) error {
	stored, verdict, err := f.cfg.Store.Charge(ctx, by.Person, bounds)
	if err != nil {
		return unavailable(err)
	}
	if verdict != Open {
		if verdict == None {
			stored.ID = ""
		}
		return f.refused(ctx, by, stored, verdict)
	}
	seed, err := f.box.Open(stored.Sealed, string(by.Person), stored.ID)
	if err == nil {
		err = checkSeed(seed)
	}
	if err != nil {
		return f.unreadable(ctx, by.Person, "the seed of a second factor", "second factor", err)
	}
	step, ok, err := match(seed, digits, f.now(), f.skew)
	if err != nil {
		return unavailable(err)
	}
	if !ok {
		return f.miss(ctx, by, stored)
	}
	ev := f.event(EventUsed, by, by.Person)
	ev.Request = act.Request
	ev.Detail = map[string]string{"verb": act.Verb, "act": act.Digest(), "factor": stored.ID}
	if verdict, err = f.cfg.Store.Spend(ctx, by.Person, stored.ID, step, bounds, ev); err != nil {
		return unavailable(err)
	}
	if verdict == None {
		stored.ID = ""
	}
	return f.refused(ctx, by, stored, verdict)
}

// miss counts a wrong code.
func (f *Factors) miss(ctx context.Context, by access.Actor, stored Stored) error {
	verdict, err := f.cfg.Store.Miss(ctx, by.Person, stored.ID, bounds, Misses{
		Failed: f.event(EventFailed, by, by.Person), Locked: f.event(EventLocked, by, by.Person), Disabled: f.event(EventDisabled, by, by.Person),
	})
	if err != nil {
		return unavailable(err)
	}
	switch verdict {
	case Locked:
		f.tell(ctx, Notice{Event: EventLocked, ID: stored.ID, Person: by.Person, By: by, Until: f.now().Add(bounds.Lock).UTC()})
	case Disabled:
		f.tell(ctx, Notice{Event: EventDisabled, ID: stored.ID, Person: by.Person, By: by})
	}
	return f.refused(ctx, by, stored, verdict)
}

// refused is a verdict in words; nil where the code was accepted.
func (f *Factors) refused(ctx context.Context, by access.Actor, stored Stored, v Verdict) error {
	switch v {
	case Accepted:
		return nil
	case Used, Missed:
		return refusal(access.ErrInvalid, access.CodeProofWrong,
			"That code does not count: it is wrong, or it was used already. Wait until your app shows the next one.")
	case Locked:
		if !stored.LockedUntil.After(f.now()) {
			stored.LockedUntil = f.now().Add(bounds.Lock)
		}
	case Disabled:
		stored.Disabled = true
	case None:
		stored.ID = ""
	default:
		return unavailable(fmt.Errorf("unknown verdict %q", v))
	}
	if err := f.usable(stored); err != nil {
		return err
	}
	return unavailable(fmt.Errorf("verdict %q of a factor in order", v))
}

// roll is a Directory that can also say who people are without their groups.
type roll interface {
	Known(ctx context.Context, id access.PersonID) (access.Person, error)
	AllKnown(ctx context.Context) ([]access.Person, error)
}

// everybody is who there is, and who is known and may do nothing at present: what is theirs must open when they may again.
func (f *Factors) everybody(ctx context.Context) ([]access.Person, error) {
	people, err := f.cfg.Directory.People(ctx)
	r, ok := f.cfg.Directory.(roll)
	if err != nil || !ok {
		return people, err
	}
	known, err := r.AllKnown(ctx)
	for _, p := range known {
		if !slices.ContainsFunc(people, func(q access.Person) bool { return q.ID == p.ID }) {
			people = append(people, p)
		}
	}
	return people, err
}

func (f *Factors) event(kind string, by access.Actor, whose access.PersonID) audit.Event {
	return audit.Event{At: f.now().UTC(), Kind: kind, Actor: by, Person: whose}
}

// tell tells people. What happened stands in the audit log whether or not they could be told.
func (f *Factors) tell(ctx context.Context, n Notice) {
	n.At = f.now().UTC()
	if err := f.cfg.Tell(ctx, n); err != nil {
		f.log.ErrorContext(ctx, "people could not be told what happened to a second factor", "event", n.Event, "person", n.Person, "err", err)
	}
}

func refusal(kind error, code, format string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: kind, Code: code, Field: "code", Text: fmt.Sprintf(format, args...)}
}

// unreadable refuses because something of a person's does not open with the keys there are: what names it to operators, and
// yours to its owner.
func (f *Factors) unreadable(ctx context.Context, p access.PersonID, what, yours string, err error) error {
	f.log.ErrorContext(ctx, what+" does not open; put its key back among secrets.keys, or reset the factor", "person", p, "err", err)
	r := refusal(access.ErrUnavailable, codeUnreadable, "Your %s cannot be read, so nothing was done. Ask an administrator to look at Elevate's log.", yours)
	r.Err = err
	return r
}

// unavailable refuses because of something that could not be asked. What has been refused already stays so.
func unavailable(err error) *access.Refusal {
	var refused *access.Refusal
	if errors.As(err, &refused) {
		return refused
	}
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "factor_unavailable", Err: err,
		Text: "The second factor could not be checked, so nothing was done. Try again in a minute."}
}
