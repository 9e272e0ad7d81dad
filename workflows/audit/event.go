// Package audit is the evidence: events in order, chained by hash in files that anybody can verify offline, and their
// export. It does not decide what is an event; workflows does.
package audit

import (
	"time"

	"elevate/workflows/access"
)

// The kinds of event that are no arrow.
const (
	// Refused records a "no": to a submission, a click, an API call.
	Refused = "refused"
	// Restored records that the store had lost a request, or what became of it lately, and was given it again as the log
	// has it. Its version is that of the last arrow before the loss.
	Restored = "restored"
	// GivenAgain records that a grant's access was given a second time, because the deactivation of another grant on the
	// same right had come late.
	GivenAgain = "given_again"
	// Undone records that access was taken away that was given too late: its request is gone from the store, and nothing
	// else accounts for it.
	Undone = "undone"
	// Drift records that a target does not list what a live grant gave.
	Drift = "drift"
	// Forged records that something in the store was not what Elevate wrote: an event, a record, or the timers of one.
	Forged = "forged"
	// Linked records that a chat account counts as a person's from now on: they signed in, or the chat confirmed an e-mail
	// address of theirs.
	Linked = "linked"
	// LinkSuspended records that a link counts for nothing any more, because what it rested on changed.
	LinkSuspended = "link_suspended"
	// LinkConfirmed records that an administrator vouched for a suspended link.
	LinkConfirmed = "link_confirmed"
	// Unlinked records that a link was taken away.
	Unlinked = "unlinked"
)

// Event is one thing that happened: an arrow taken, or a refusal. It answers who, what, when, why and from where.
type Event struct {
	// ID is given by the store: unique, and rising within one request.
	ID string    `json:"id"`
	At time.Time `json:"at"` // UTC
	// Kind is the arrow's name, or one of the words above.
	Kind    string           `json:"kind"`
	Request access.RequestID `json:"request,omitempty"`
	Version int64            `json:"version,omitempty"`
	From    access.State     `json:"from,omitempty"`
	To      access.State     `json:"to,omitempty"`
	Actor   access.Actor     `json:"actor"`
	// Person is who holds, or is to hold, the role.
	Person    access.PersonID `json:"person,omitempty"`
	Role      access.RoleID   `json:"role,omitempty"`
	Connector string          `json:"connector,omitempty"`
	// Reason is the justification, the reason of a denial, the error of an attempt, or the code of a refusal.
	Reason string `json:"reason,omitempty"`
	// Detail holds what else the arrow knows, in short words: ends_at, policy, stage, sessions_ended, lateness_ms …
	Detail map[string]string `json:"detail,omitempty"`
	// Record is the request as the arrow left it, so that a store that lost its state can be rebuilt from the log. Arrows
	// that close a request, and those that only tell people something, carry none.
	Record *access.Record `json:"record,omitempty"`
}
