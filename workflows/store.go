package workflows

import (
	"context"
	"errors"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// The answers of a store that callers act on.
var (
	// ErrStale says that the record, or the claim on its timer, is no longer the one that the transition was made
	// from. Nothing was written; load again and decide again.
	ErrStale = errors.New("the record has moved on")
	// ErrTaken says that the id of a submission is in use. Draw another.
	ErrTaken = errors.New("the id is taken")
	// ErrGuard (wrapped) says that the arrow must not be taken as things are, although the table has it.
	ErrGuard = errors.New("refused by the store")
	// ErrForged (wrapped) says that something in the store was not written by Elevate, or is an older copy of what was:
	// it is not believed, and nothing is done by it.
	ErrForged = errors.New("it is not what Elevate wrote last: somebody else has changed the store")
)

// Transition is one arrow, ready to be taken: all of it is written, or nothing.
type Transition struct {
	Arrow access.Arrow
	From  access.State
	// Record is the document as it is to be. Its Version is one above the version that the store must still have;
	// its timers are Record.Due().
	Record *access.Record
	Event  audit.Event
	Notes  []Note
	// Claim is the claim on the timer that this arrow finishes; nil when a person caused it.
	Claim *Claim
}

// Requests reads records.
type Requests interface {
	// Get loads one. The error is access.ErrNotFound (wrapped) where there is none.
	Get(ctx context.Context, id access.RequestID) (*access.Record, error)
	// List gives records, newest submission first, and the cursor of the next page ("" on the last).
	List(ctx context.Context, q Query) (records []*access.Record, next string, err error)
	// Sharing gives the records whose grants may be true at the target on the same right (access.Request.Right), in
	// the states activating, active and deactivating.
	Sharing(ctx context.Context, right string) ([]*access.Record, error)
}

// Query selects records. Zero fields select everything.
type Query struct {
	Open   bool // not in a terminal state
	States []access.State
	Person access.PersonID // beneficiary or requester
	Role   access.RoleID
	Since  time.Time // submitted at or after
	Cursor string
	Limit  int // 1 to 1000; 0 is 100
}

// Arrows takes arrows.
type Arrows interface {
	// NewID draws an id whose record will live beside the others on the same right.
	NewID(now time.Time, right string) access.RequestID
	// Take writes a transition atomically: record, timers, event, notes. ErrStale or ErrTaken where it no longer fits.
	Take(ctx context.Context, t Transition) error
	// Restore writes Record, Event and Notes of a transition as the audit log has them, with the record's own Version,
	// whatever its state: false where the store has that version or a later one. It is for what was lost; no arrow is
	// taken, and Arrow, From and Claim are not read.
	Restore(ctx context.Context, t Transition) (restored bool, err error)
	// Safe tells why state could be lost (persistence, eviction), or nil. Activations wait for it; endings do not.
	Safe(ctx context.Context) error
}

// Lane is a queue of due timers with workers of its own: Clock for bookkeeping, and two for each connector, so that a
// target that hangs delays neither other targets nor, while it hangs in giving, its own endings.
type Lane string

// Clock is the lane of the timers that call no connector.
const Clock Lane = "clock"

// AnyLane stands for all lanes in a nudge.
const AnyLane Lane = ""

// ActivateLane is the lane of a connector's activations.
func ActivateLane(connector string) Lane { return Lane("on:" + connector) }

// DeactivateLane is the lane of a connector's deactivations.
func DeactivateLane(connector string) Lane { return Lane("off:" + connector) }

// LaneOf is the lane that a timer of a role's request waits in.
func LaneOf(t access.Timer, connector string) Lane {
	switch t {
	case access.TimerActivate:
		return ActivateLane(connector)
	case access.TimerEnd, access.TimerDeactivate:
		return DeactivateLane(connector)
	}
	return Clock
}

// Claim is a lease on one due timer. The timer comes due again when the lease runs out.
type Claim struct {
	Request access.RequestID
	Timer   access.Timer
	Lane    Lane
	Due     time.Time
	Fence   int64 // rises with every claim of this timer; a transition with an older one is ErrStale
	// Record is the document at the time of the claim.
	Record *access.Record
	// Alone tells that no other record may hold the same right. It stays so while the claim holds the right.
	Alone bool
}

// Timers hands out due timers.
type Timers interface {
	// Claim leases up to limit timers of the lane that are due by the store's clock and the caller's, whichever is
	// earlier. next is when the earliest of the others is due (zero: none). A timer that calls a connector is not
	// handed out while another claim on the same right is held.
	Claim(ctx context.Context, lane Lane, limit int, lease time.Duration) (claims []Claim, next time.Time, err error)
	// Renew prolongs a lease; ErrStale where it was lost. The right that an ending is at work on stays held also where
	// its record has moved on meanwhile.
	Renew(ctx context.Context, c Claim, lease time.Duration) error
	// Release gives a claim back undone, due again at once. A lost claim is no error.
	Release(ctx context.Context, c Claim) error
	// Nudges delivers the lane of every timer that became the earliest of its lane, until ctx ends, and AnyLane whenever
	// nudges from before may have been missed, as at the beginning. It may lose some; sleepers also wake by themselves.
	Nudges(ctx context.Context) <-chan Lane
}

// NoteKind says what a note tells.
type NoteKind string

// The kinds of note: the arrow that was taken, what else became of a request, or the digest.
const (
	NoteSubmitted NoteKind = "submitted"
	NoteVoted     NoteKind = "voted"
	NoteReminder  NoteKind = "reminder"
	NoteApproved  NoteKind = "approved"
	NoteDenied    NoteKind = "denied"
	NoteCancelled NoteKind = "cancelled"
	NoteLapsed    NoteKind = "lapsed"
	NoteScheduled NoteKind = "scheduled"
	NoteRetrying  NoteKind = "retrying" // an activation or deactivation did not succeed at first
	NoteActive    NoteKind = "active"
	NoteFailed    NoteKind = "failed"
	NoteEnding    NoteKind = "ending" // deactivating has begun
	NoteNearEnd   NoteKind = "near_end"
	NoteExtended  NoteKind = "extended"
	NoteOverdue   NoteKind = "overdue"
	NoteEnded     NoteKind = "ended"
	NoteRestored  NoteKind = "restored" // the store had lost it, and has it again from the audit log
	NoteDigest    NoteKind = "digest"
	NoteFactor    NoteKind = "factor" // what happened to somebody's second factor
	NoteAlarm     NoteKind = "alarm"  // how much is overdue at a connector; in steps, and when it is over
)

// Note is a thing to tell in chat about a topic (a request's id, or a digest's name). Notes of a topic are told in
// order, to each chat by its own queue.
type Note struct {
	Kind    NoteKind     `json:"kind"`
	At      time.Time    `json:"at"`
	Actor   access.Actor `json:"actor"`
	Version int64        `json:"version,omitempty"`
	// Reason, and the End of a grant, as they were when the note was written.
	Reason string    `json:"reason,omitempty"`
	EndsAt time.Time `json:"ends_at,omitzero"`
	// Body is the rest of a note that speaks of no request: the digest as JSON.
	Body []byte `json:"body,omitempty"`
}

// Errand is the claim on the notes that wait for one topic in one chat.
type Errand struct {
	Chat  string
	Topic string
	Notes []Note
	// Refs are what the chat answered to earlier messages on this topic (a message's id by the message's name).
	Refs  map[string]string
	Fence int64
	Tries int // how often the first note was tried and put off
}

// Outbox is the durable queue of messages to chats.
type Outbox interface {
	// Enqueue adds a note on a topic for the given chats, once per topic and key: false where the key was used before.
	Enqueue(ctx context.Context, chats []string, topic, key string, n Note) (bool, error)
	// ClaimErrands leases up to limit topics that have notes to tell in the chat.
	ClaimErrands(ctx context.Context, chat string, limit int, lease time.Duration) (errands []Errand, next time.Time, err error)
	// Told removes the first note of an errand and merges refs. ErrStale where the lease was lost.
	Told(ctx context.Context, e Errand, refs map[string]string) error
	// PutOff gives an errand back, to be tried again at the given time; refs of what was sent are merged.
	PutOff(ctx context.Context, e Errand, until time.Time, refs map[string]string) error
}

// Delivery is a click, command or submission that a chat handed over, recorded before it is acknowledged.
type Delivery struct {
	// Key identifies what the person did, however often the chat delivers it.
	Key     string
	Chat    string
	Payload []byte
	Fence   int64
	Tries   int
}

// Inbox is the durable queue of what people did in chats.
type Inbox interface {
	// Deliver records a delivery and remembers its key for 24 hours: false where it was delivered before.
	Deliver(ctx context.Context, d Delivery) (fresh bool, err error)
	// ClaimDeliveries leases up to limit deliveries of the chat that nobody has worked yet.
	ClaimDeliveries(ctx context.Context, chat string, limit int, lease time.Duration) (deliveries []Delivery, next time.Time, err error)
	// Worked removes a delivery. A lost lease is no error: the work is idempotent.
	Worked(ctx context.Context, d Delivery) error
}

// Events carries the audit trail from the store to its files.
type Events interface {
	// Append records an event that belongs to no arrow (a refusal).
	Append(ctx context.Context, e audit.Event) error
	// Undrained gives up to limit events that have not been drained, in order within each request.
	Undrained(ctx context.Context, limit int) ([]audit.Event, error)
	// Drained forgets events that are safe in the files.
	Drained(ctx context.Context, ids []string) error
}

// Memory is small shared state with an end.
type Memory interface {
	// Once stores value under key for ttl where there is none, and gives what is stored; first tells whether it is ours.
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	// Recall gives the value under a key; nil where there is none.
	Recall(ctx context.Context, key string) ([]byte, error)
	// Put replaces the value under a key.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Hold takes or renews a named lease for a holder; false while another holds it.
	Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
	// Drop gives a named lease up, where the holder still has it.
	Drop(ctx context.Context, name, holder string) error
}

// Gates bound what people do, over all replicas.
type Gates interface {
	// Admit counts an act under a key, unless limit of them were counted within the window: then it gives the time until
	// there is room again. first tells the first of the refusals until then from the others.
	Admit(ctx context.Context, key string, limit int, window time.Duration) (wait time.Duration, first bool, err error)
	// Reserve takes one of limit places under a key for who; for one who has a place already, that one. Where all are
	// taken, held says by whom and since when; nil where the place is had. Places that nobody asked for are given up after keep.
	Reserve(ctx context.Context, key, who string, limit int, keep time.Duration) (held map[string]time.Time, err error)
	// Vacate gives places back.
	Vacate(ctx context.Context, key string, who ...string) error
}

// Store is everything that the workflows keep. storage/redis is the one implementation; storagetest is the promise.
type Store interface {
	Requests
	Arrows
	Timers
	Outbox
	Inbox
	Events
	Memory
	Gates
}
