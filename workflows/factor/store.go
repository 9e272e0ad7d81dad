package factor

import (
	"context"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Stored is what a person proves things by, as the store keeps it: an app, and keys. The zero value is nothing.
type Stored struct {
	ID      string // of the app; empty: there is none
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
	// Removed says that its owner took away the last that there was.
	Removed bool
	// Keys are the person's security keys, in the order in which they came.
	Keys []StoredKey
}

// none tells whether the person has nothing to prove anything by.
func (s Stored) none() bool { return s.ID == "" && len(s.Keys) == 0 }

// StoredKey is a security key as the store keeps it.
type StoredKey struct {
	ID     string
	Number int64 // what people call it by; never given twice to one person
	Sealed string
	Since  time.Time
	Count  int64 // how often it has signed, by its own count; 0: it does not count
	// Suspended is set when its count went backwards, as that of a copy does.
	Suspended bool
}

func (k StoredKey) usable() bool { return !k.Suspended }

// Step is how far an enrolment has come.
type Step string

// The steps of an enrolment, in order.
const (
	Opened Step = "opened" // there is a link
	Shown  Step = "shown"  // the seed was shown, or a key asked for, once
	Proved Step = "proved" // a code of the app was typed on the page, or a key was registered there; it shows a word now
	Named  Step = "named"  // the word was typed in chat; an administrator is waited for
)

// Enrolment is the making of a factor. The zero value is none.
type Enrolment struct {
	ID     string
	Step   Step
	Kind   access.Method // TOTP or WebAuthn, from Proved on; empty is TOTP
	Sealed string        // what is kept secret of it
	Link   string        // hash of the link's token
	Ticket string        // hash of what the page that showed the seed holds
	// Counter is the step of the code typed on the page: it is not taken a second time. Of a key it is its count.
	Counter int64
	// Vouched says what tells that it is the person: what they have proved things by so far, or a sign-in. Empty: an
	// administrator must.
	Vouched string
	// Again says that administrators were told of another one before it, and that none was confirmed since.
	Again bool
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
	Cloned   Verdict = "cloned" // the key has counted backwards, and is suspended
)

// Limits bound the guessing. The figures are those of Limits' only value, see bounds.
type Limits struct {
	Tries int           // wrong codes, one after the other, that lock
	Lock  time.Duration // for how long
	Row   int           // wrong codes in a row, locks or not, that disable
}

// Misses are the events of a wrong code: of itself, and of what it may lead to.
type Misses struct{ Failed, Locked, Disabled audit.Event }

// Signatures are the events of a signature: which of them it is, the store tells.
type Signatures struct{ Used, Cloned, Failed audit.Event }

// Store keeps factors. Each method but the first three is one atomic step that also records its event; a repeated call of
// the store's own making, after a lost reply, changes nothing more.
type Store interface {
	Factor(ctx context.Context, p access.PersonID) (Stored, error)
	Enrolment(ctx context.Context, p access.PersonID) (Enrolment, error)
	// Glance is Factor that changes nothing: what is not believed is not settled, but told of: Altered, Older or Gone.
	Glance(ctx context.Context, p access.PersonID) (s Stored, how string, err error)

	// Enrol begins an enrolment, in the place of any other of the person, and forgets it after ttl.
	Enrol(ctx context.Context, p access.PersonID, e Enrolment, ttl time.Duration, ev audit.Event) error
	// Advance moves an enrolment that stands at from, and takes all but its ID and Link from e; ttl counts
	// anew, or goes on where it is zero. False where it stands elsewhere, or is another one.
	Advance(ctx context.Context, p access.PersonID, from Step, e Enrolment, ttl time.Duration, ev audit.Event) (bool, error)
	// Stray counts a wrong try at an enrolment, and forgets it after most of them: false then.
	Stray(ctx context.Context, p access.PersonID, id string, most int, ev audit.Event) (left bool, err error)
	// Confirm makes an app's factor of an enrolment that stands at from, in the place of any other, or one more key. Its
	// Sealed is the seed or the key alone. False too beside what is doubted, and by a sign-in where one is lost or was
	// removed by its owner.
	Confirm(ctx context.Context, p access.PersonID, e Enrolment, from Step, at time.Time, ev audit.Event) (bool, error)

	// Charge takes one try off those that are left, before it is looked at, so that no number of connections gets more.
	Charge(ctx context.Context, p access.PersonID, l Limits) (Stored, Verdict, error)
	// Spend takes the code of a step, once and never an earlier one: Accepted, Used or None. Accepted and Used give the
	// try back.
	Spend(ctx context.Context, p access.PersonID, id string, step int64, l Limits, ev audit.Event) (Verdict, error)
	// Miss counts a wrong code: Missed, Locked or Disabled for the one that made it so, None.
	Miss(ctx context.Context, p access.PersonID, id string, l Limits, ev Misses) (Verdict, error)

	// AwaitKey keeps an act that waits for a key, and Awaiting gives it; empty where there is none.
	AwaitKey(ctx context.Context, p access.PersonID, id, sealed string, ttl time.Duration, ev audit.Event) error
	Awaiting(ctx context.Context, p access.PersonID, id string) (sealed string, err error)
	// Sign takes a key's signature for an act, once: Accepted; Used, where the act waits no longer; None, where the key is
	// gone or suspended; Cloned, where its count is not above the last one, which suspends it.
	Sign(ctx context.Context, p access.PersonID, act, key string, count int64, ev Signatures) (Verdict, error)
	// StrayAct counts a try that does not count, and forgets the act after most of them: false then.
	StrayAct(ctx context.Context, p access.PersonID, act string, most int, ev audit.Event) (left bool, err error)

	// Remove takes the app's factor or a key away. With askedBy it takes all there is, only where that administrator has
	// asked for it. False where not.
	Remove(ctx context.Context, p access.PersonID, id string, askedBy access.PersonID, ev audit.Event) (bool, error)
	// Clear takes all there is away, in whatever state it is. False where there is none.
	Clear(ctx context.Context, p access.PersonID, ev audit.Event) (bool, error)
	// AskReset notes that an administrator asks for the removal of all there is; id is of the app, or empty.
	AskReset(ctx context.Context, p access.PersonID, id string, by access.PersonID, at time.Time, ev audit.Event) (bool, error)
	// Reseal puts a seed or a key that was sealed anew in the place of the old one. False where that has changed.
	Reseal(ctx context.Context, p access.PersonID, id, old, sealed string) (bool, error)

	// Put and Recall keep the way from a link to its person, and what administrators were told of first.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Recall(ctx context.Context, key string) ([]byte, error)
}
