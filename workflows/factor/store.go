package factor

import (
	"context"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Stored is a person's factor as the store keeps it. The zero value is none.
type Stored struct {
	ID      string
	Sealed  string // the seed
	Since   time.Time
	Counter int64 // the latest step whose code was taken; only later ones count
	// LockedUntil is set after too many wrong codes, Disabled after far too many in a row.
	LockedUntil time.Time
	Disabled    bool
	// ResetBy is the administrator who asked for its removal first, at ResetAt.
	ResetBy access.PersonID
	ResetAt time.Time
	// Doubted says that it stands for one that somebody else has changed in the store: it is switched off. Lost says that
	// there was one that nobody has taken away, and that the store has no more: there is none now.
	Doubted, Lost bool
}

// Step is how far an enrolment has come.
type Step string

// The steps of an enrolment, in order.
const (
	Opened Step = "opened" // there is a link
	Shown  Step = "shown"  // the seed was shown, once
	Proved Step = "proved" // a code of the app was typed on the page, which shows a word now
	Named  Step = "named"  // the word was typed in chat; an administrator is waited for
)

// Enrolment is the making of a factor. The zero value is none.
type Enrolment struct {
	ID     string
	Step   Step
	Sealed string // seed and word
	Link   string // hash of the link's token
	Ticket string // hash of what the page that showed the seed holds
	// Counter is the step of the code typed on the page: it is not taken a second time.
	Counter int64
	// Vouched says what tells that it is the person: their old factor, or a sign-in. Empty: an administrator must.
	Vouched string
}

// Verdict is what became of a try.
type Verdict string

// The verdicts.
const (
	Open     Verdict = "open"     // the try may be looked at
	None     Verdict = "none"     // there is no such factor, or no longer
	Locked   Verdict = "locked"   // this try, or an earlier one, was one too many
	Disabled Verdict = "disabled" // far too many
	Accepted Verdict = "accepted"
	Used     Verdict = "used"   // its step, or a later one, was taken already
	Missed   Verdict = "missed" // wrong, and counted
)

// Limits bound the guessing. The figures are those of Limits' only value, see bounds.
type Limits struct {
	Tries int           // wrong codes, one after the other, that lock
	Lock  time.Duration // for how long
	Row   int           // wrong codes in a row, locks or not, that disable
}

// Misses are the events of a wrong code: of itself, and of what it may lead to.
type Misses struct{ Failed, Locked, Disabled audit.Event }

// Store keeps factors. Each method but the first two is one atomic step that also records its event; a repeated call of
// the store's own making, after a lost reply, changes nothing more.
type Store interface {
	Factor(ctx context.Context, p access.PersonID) (Stored, error)
	Enrolment(ctx context.Context, p access.PersonID) (Enrolment, error)

	// Enrol begins an enrolment, in the place of any other of the person, and forgets it after ttl.
	Enrol(ctx context.Context, p access.PersonID, e Enrolment, ttl time.Duration, ev audit.Event) error
	// Advance moves an enrolment that stands at from, and takes its Step, Ticket, Counter and Vouched from e; ttl counts
	// anew, or goes on where it is zero. False where it stands elsewhere, or is another one.
	Advance(ctx context.Context, p access.PersonID, from Step, e Enrolment, ttl time.Duration, ev audit.Event) (bool, error)
	// Stray counts a wrong try at an enrolment, and forgets it after most of them: false then.
	Stray(ctx context.Context, p access.PersonID, id string, most int, ev audit.Event) (left bool, err error)
	// Confirm makes a factor of an enrolment that stands at from, in the place of any other. Its Sealed is the seed alone.
	Confirm(ctx context.Context, p access.PersonID, e Enrolment, from Step, at time.Time, ev audit.Event) (bool, error)

	// Charge takes one try off those that are left, before it is looked at, so that no number of connections gets more.
	Charge(ctx context.Context, p access.PersonID, l Limits) (Stored, Verdict, error)
	// Spend takes the code of a step, once and never an earlier one: Accepted, Used or None. Accepted and Used give the
	// try back.
	Spend(ctx context.Context, p access.PersonID, id string, step int64, l Limits, ev audit.Event) (Verdict, error)
	// Miss counts a wrong code: Missed, Locked or Disabled for the one that made it so, None.
	Miss(ctx context.Context, p access.PersonID, id string, l Limits, ev Misses) (Verdict, error)

	// Remove takes a factor away; with askedBy, only where that administrator has asked for it. False where not.
	Remove(ctx context.Context, p access.PersonID, id string, askedBy access.PersonID, ev audit.Event) (bool, error)
	// AskReset notes that an administrator asks for the removal.
	AskReset(ctx context.Context, p access.PersonID, id string, by access.PersonID, at time.Time, ev audit.Event) (bool, error)
	// Reseal puts a seed that was sealed anew in the place of the old one. False where that has changed.
	Reseal(ctx context.Context, p access.PersonID, id, old, sealed string) (bool, error)

	// Put and Recall keep the way from a link to its person.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Recall(ctx context.Context, key string) ([]byte, error)
}
