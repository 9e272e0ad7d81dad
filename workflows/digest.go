package workflows

import (
	"time"

	"elevate/workflows/access"
)

// Digest is the sum of a span of time, for a channel's daily message.
type Digest struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Outcomes counts the requests submitted in the span by the state that they are in now.
	Outcomes map[access.State]int `json:"outcomes"`
	// Holding are the grants that are true now, the one that ends first in front.
	Holding []DigestGrant `json:"holding"`
	// Late ended more than a minute after they were due; Overdue have not ended yet.
	Late    []DigestGrant `json:"late"`
	Overdue []DigestGrant `json:"overdue"`
	// Approvers decided most, with the median time from the request to their decision.
	Approvers []DigestApprover `json:"approvers"`
}

// DigestGrant is a line of a digest.
type DigestGrant struct {
	Request  access.RequestID `json:"request"`
	Person   access.PersonID  `json:"person"`
	Name     string           `json:"name"`
	Role     access.RoleID    `json:"role"`
	EndsAt   time.Time        `json:"ends_at"`
	Lateness time.Duration    `json:"lateness,omitempty"`
}

// DigestApprover is a line about an approver.
type DigestApprover struct {
	Person    access.PersonID `json:"person"`
	Name      string          `json:"name"`
	Decisions int             `json:"decisions"`
	Median    time.Duration   `json:"median"`
}
