// Package policy decides who may ask for a role, for how long and with what words, and who may approve. Rules are CEL
// expressions, compiled and type-checked at start; deciding is a pure function of its arguments. A rule that fails to
// evaluate refuses.
package policy

import (
	"time"

	"elevate/workflows/access"
)

// Rule is one policy as written in the configuration.
type Rule struct {
	Name          string
	Match         string // CEL over role; true: this policy governs the role
	Eligible      string // CEL over person, role, request
	Duration      Duration
	Justification Justification
	Approve       []Approval // stages, in order; all must be met
	AutoApprove   string     // CEL over person, role, request; true: no stage is asked
	// StartWithin is how long an approved request may wait for its start before it lapses. Zero: 30 minutes.
	StartWithin time.Duration
	// RemindAfter is when approvers are reminded of an undecided request. Zero: half of the stage's time.
	RemindAfter time.Duration
	Channel     map[string]string // chat → channel for the request's messages
}

// Duration bounds a grant.
type Duration struct {
	Default  time.Duration // offered; zero: Max, or an hour where that is shorter
	Max      time.Duration // required
	MaxTotal time.Duration // with extensions; zero: twice Max
}

// Justification says what words are asked for.
type Justification struct {
	MinLength int    // in characters after cleaning; zero: 1
	MaxLength int    // zero: 2000
	Ticket    string // regular expression that the ticket must match whole; empty: no ticket asked
}

// Approval is one stage of an approval.
type Approval struct {
	By     string        // CEL over person (the approver), requester, role, request
	Count  int           // approvals by different people; zero: 1
	Within time.Duration // zero: 8 hours
}

// Ask is what expressions see as request.
type Ask struct {
	Duration      time.Duration
	Justification string
	Ticket        string
	Start         time.Time // when it would begin; weekday and hour are those of this moment, in UTC
}

// Problem is one fault of the configuration, to be shown with the place of Key in the file.
type Problem struct {
	Rule int    // index into the rules
	Key  string // path below the rule: "eligible", "approve[0].by"
	Text string // what is wrong and what to write instead
}

// Decider is what workflows asks. *Set is the one implementation.
var _ = access.Role{}
