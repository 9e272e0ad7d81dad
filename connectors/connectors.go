// Package connectors is the contract that every target fulfils. Each target is a package below this one, and each
// passes connectortest. A connector makes one call true or says why not: it never retries, sleeps or starts goroutines
// that outlive the call; the runner and the sweeper in workflows do that.
package connectors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"elevate/workflows/access"
)

// Connector gives and takes away roles at one target. It is safe for concurrent use. Every method honours ctx.
type Connector interface {
	// Activate gives the person the role until g.End. It is idempotent by g.ID: a second call with the same grant
	// gives the same Receipt, also when the first one's answer was lost. It looks before it writes: access that was
	// there before and is none of ours is reported as Receipt.Already and left as it is. Where the target ends access by
	// itself, a second call with a later end moves that end, and only that and its NativeEnd change. An *Error says why it did not
	// succeed; unless its kind is Denied, Invalid or NotFound, the access may have been given.
	Activate(ctx context.Context, g access.Grant) (access.Receipt, error)
	// Deactivate takes it away, ends live sessions where it can, reads back, and reports what tail remains. It is
	// idempotent, and nil error means that the target was read and the access is gone (or was standing and stays).
	// It takes all that Elevate gave on this right (access.Request.Right), whichever grant it was given for; callers
	// call it for the last live grant on a right only. The receipt may be empty: the answer to Activate can be lost.
	Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error)
	// Holders lists who holds the role at the target now, marking what is ours.
	Holders(ctx context.Context, role access.Role) ([]Holder, error)
	// Check proves credentials and rights without changing anything. The error lists every missing right.
	Check(ctx context.Context) error
}

// Holder is somebody who holds a role at the target.
type Holder struct {
	Account string           // the account's name at the target
	Person  access.PersonID  // where the target knows it
	Grant   access.RequestID // the grant that gave it, where the target keeps it
	Ours    bool             // given by Elevate
	// Ref is what the receipt of an activation would say now of what is ours, where that is built of names that never
	// change: whoever is renamed meanwhile is known by it, and nobody else has it. Empty: the target has no such names.
	Ref string
	// How says in a few words how the access comes about, where the target tells: by a group, inherited from above.
	How string
	// Eligible is somebody who does not hold the role, and may take it at the target, past Elevate. Sweeps pass over them.
	Eligible bool
}

// Capabilities is what approvers and operators should know of a target.
type Capabilities struct {
	// NativeExpiry: the target ends the access by itself, a little after g.End, whether or not Elevate is running.
	NativeExpiry bool
	// EndsSessions: Deactivate also ends the sessions that use the role.
	EndsSessions bool
	// Tail is the longest time for which access may survive a confirmed Deactivate. Zero: none.
	Tail time.Duration
	// MinDuration is the shortest grant that the target takes. Zero: any.
	MinDuration time.Duration
}

// Describer is a connector that declares its capabilities; without it, a connector has none.
type Describer interface {
	Capabilities() Capabilities
}

// TargetChecker is a connector that can tell, without asking the target, whether a role's target is well formed. The
// error says which key is wrong and what it should be.
type TargetChecker interface {
	CheckTarget(target map[string]any) error
}

// RoleChecker is a connector that can prove, changing nothing at the target, that it could give and take a role. The
// error lists every right that is missing for it.
type RoleChecker interface {
	CheckRole(ctx context.Context, role access.Role) error
}

// RoleAdviser is a connector that can tell, changing nothing at the target, what deserves care about giving a role: which
// grants the target's own settings would refuse, and what a holder could do beyond the grant. It is no reason not to start.
type RoleAdviser interface {
	Advise(ctx context.Context, role access.Role) ([]string, error)
}

// SurplusLister is a connector that can tell which of its own rights at the target it does not need, each with the way
// to take it away. They break nothing, but whoever steals the connector's credentials has them too.
type SurplusLister interface {
	Surplus(ctx context.Context) ([]string, error)
}

// Adviser is a connector that can tell what at its target is unwise, though nothing is missing for it to work.
type Adviser interface {
	Advice(ctx context.Context) ([]string, error)
}

// Watcher is a connector that hears from its target when something changes there, so that the target is swept at once and
// not at its next turn. It hears what it can: the regular sweep stays the truth, and what is not heard of costs time alone.
type Watcher interface {
	// Watch calls changed with a role, one of those given, when its holders may have changed; too often is no harm. When it
	// begins to listen it does so for all of them, because nobody heard what came before. changed may be called by several
	// goroutines at once, and returns at once. Watch returns when ctx ends, which is an error as any other, or when nothing
	// more can be heard, and nothing of it goes on then. The *Error is of ErrNeverTells where listening is of no use.
	Watch(ctx context.Context, roles []access.Role, changed func(access.Role)) error
}

// ErrNeverTells says that a target does not tell of changes.
var ErrNeverTells = errors.New("the target does not tell of changes")

// Describe gives a connector's capabilities.
func Describe(c Connector) Capabilities {
	if d, ok := c.(Describer); ok {
		return d.Capabilities()
	}
	return Capabilities{}
}

// Account is the name that a grant's person has at the target. The error, of kind Invalid, is for a name that would not
// arrive there as it is written here: an empty one, or one with control characters or bytes that are no UTF-8.
func Account(g access.Grant) (string, error) {
	name := g.Person.Account(g.Role.Connector)
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", &Error{Kind: Invalid, Op: "read account", Err: fmt.Errorf(
			"%q is no account name; correct accounts.%s of %s in the directory", name, g.Role.Connector, g.Person.ID)}
	}
	return name, nil
}

// OnlyText reads a target that has one key, with a text, and gives that text. The error lists everything that is wrong,
// each part beginning with the key.
func OnlyText(target map[string]any, key, example string) (string, error) {
	var problems []error
	for _, k := range slices.Sorted(maps.Keys(target)) {
		if k != key {
			problems = append(problems, fmt.Errorf("target.%s: there is no such key here; a target of this connector has %s alone", k, key))
		}
	}
	text, ok := target[key].(string)
	if !ok || text == "" {
		problems = append(problems, fmt.Errorf("target.%s: is missing or no text; write one, such as %s: %s", key, key, example))
	}
	return text, errors.Join(problems...)
}

// Spoken is a duration in the largest unit that says it.
func Spoken(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}

// Kind says what an error of a target means for the runner.
type Kind string

// The kinds of error.
const (
	Denied      Kind = "denied"      // the target refuses us or this grant; trying again will not help
	Invalid     Kind = "invalid"     // the target does not understand the grant
	NotFound    Kind = "not found"   // the person, role or target does not exist there
	TooEarly    Kind = "too early"   // not yet; try at RetryAfter
	Throttled   Kind = "throttled"   // too much; try at RetryAfter
	Unavailable Kind = "unavailable" // no answer, or one that says nothing; the effect is unknown
)

// Error is the error of every connector.
type Error struct {
	Kind       Kind
	Op         string        // what was tried: "grant role", "read back"
	RetryAfter time.Duration // wait before the next try; zero: the runner's own backoff
	Err        error         // the cause; carries no secret
}

func (e *Error) Error() string {
	if e.Op == "" && e.Err != nil { // within another error, which says what was tried
		return e.Err.Error()
	}
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Op, e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Op, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of an error; Unavailable for one that is no *Error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unavailable
}

// Final tells whether trying the same again cannot help.
func (k Kind) Final() bool { return k == Denied || k == Invalid || k == NotFound }
