package workflows

import (
	"context"
	"log/slog"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
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
	// AuditHealthy tells why evidence cannot be kept, or nil. Activations wait for it; endings do not. Nil: always well.
	AuditHealthy func() error
	// OverdueAfter is how long a deactivation may take before people are told. Zero: one minute.
	OverdueAfter time.Duration
	// NoticeBefore is how long before the end its holder is told. Zero: ten minutes.
	NoticeBefore time.Duration
	Now          func() time.Time // nil: time.Now
	Logger       *slog.Logger     // nil: discarded
}

// Ask is what somebody fills in to request a role.
type Ask struct {
	Role          access.RoleID
	Duration      time.Duration // zero: the policy's default
	Justification string
	Ticket        string
	Start         time.Time       // zero: as soon as approved
	For           access.PersonID // empty: for oneself
}

// Offer is a role as one person sees it in the catalogue.
type Offer struct {
	Role          access.Role
	Eligible      bool
	Default, Max  time.Duration
	TicketPattern string // empty: no ticket is asked for
	MinLength     int    // of the justification
	MaxLength     int
	Stages        []access.Stage
	Auto          bool
	Capabilities  connectors.Capabilities
}

// May is what one person may do to a request now.
type May struct {
	Decide, Cancel, End, Extend bool
	// Why says, where Decide is false, why not: the code of the refusal.
	Why *access.Refusal
}

// Verbs is everything that people can do, as chats and the API see it. *Service is the one implementation.
type Verbs interface {
	Submit(ctx context.Context, by access.Actor, ask Ask) (*access.Record, error)
	Decide(ctx context.Context, by access.Actor, id access.RequestID, d Decision) (*access.Record, error)
	Cancel(ctx context.Context, by access.Actor, id access.RequestID) (*access.Record, error)
	End(ctx context.Context, by access.Actor, id access.RequestID, reason string) (*access.Record, error)
	Extend(ctx context.Context, by access.Actor, id access.RequestID, more time.Duration) (*access.Record, error)
	// Request loads one that the person may see.
	Request(ctx context.Context, viewer access.PersonID, id access.RequestID) (*access.Record, error)
	// Requests lists those that the person may see.
	Requests(ctx context.Context, viewer access.PersonID, q Query) ([]*access.Record, string, error)
	// Waiting lists pending requests that the person may decide now.
	Waiting(ctx context.Context, person access.PersonID) ([]*access.Record, error)
	// Allowed tells what the person may do to a record now.
	Allowed(ctx context.Context, person access.PersonID, r *access.Record) May
	// Approvers lists who may decide a record now.
	Approvers(ctx context.Context, r *access.Record) ([]access.Person, error)
	// Offers lists roles that match all words (prefixes, any order, any case), eligible ones first, at most limit.
	Offers(ctx context.Context, person access.PersonID, words string, limit int) ([]Offer, error)
	// Offer is one role as the person sees it.
	Offer(ctx context.Context, person access.PersonID, role access.RoleID) (Offer, error)
	// Holders asks the target who holds a role now.
	Holders(ctx context.Context, viewer access.PersonID, role access.RoleID) ([]connectors.Holder, error)
	// Digest sums up what happened in a span of time.
	Digest(ctx context.Context, from, to time.Time) (*Digest, error)
}

// Decision is an approver's word.
type Decision struct {
	Verdict access.Verdict
	Reason  string
	Method  string // how the approver was authenticated for it; empty: session
}
