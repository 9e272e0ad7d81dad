// Package policy decides who may ask for a role, for how long and with what words, and who may approve. Rules are CEL
// expressions, compiled and type-checked at start; deciding is a pure function of its arguments. A rule that fails to
// evaluate refuses.
//
// # What expressions see
//
// person and requester have id, name, email, kind ("human" or "service") and groups, and requester has manager: the id of
// the person whom the requester reports to, as in person.id == requester.manager. Where there is none, reading it is a
// failure, and has(requester.manager) is false. role has id, title, connector,
// labels (string to string) and target (as written in the configuration). request has duration, justification, ticket,
// start, weekday ("monday" to "sunday") and hour (0 to 23), the last two in UTC; for office hours elsewhere write
// request.start.getHours("Europe/Lisbon"), and getDayOfWeek, which counts from 0 for Sunday.
//
// Besides CEL's standard functions and macros there are optional values (role.labels.?team.orValue("none")) and
// sets (sets.intersects(person.groups, ["sre", "dba"])).
//
// # Labels that a role does not have
//
// In match, a missing label reads as the empty string, as in Kubernetes selectors: role.labels.env == "prod" is false
// of a role without env, and role.labels.env != "prod" is true of it. Anything else that fails in match (a missing key
// of role.target, say) is a problem at start, so no role falls to a later policy because an earlier one broke. In every
// other expression a missing label is a failure, and a failure refuses: "" would match too much there
// (person.email == role.labels.owner where both are missing). has(role.labels.env) and "env" in role.labels tell
// a missing label from an empty one everywhere.
package policy

import (
	"time"

	"elevate/workflows/access"
)

// Rule is one policy as written in the configuration.
type Rule struct {
	Name          string
	Match         string // CEL over role; true: this policy governs the role, unless an earlier one does
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
	// StepUp names the second factor that asking and approving take. Empty, or none: nothing beside the session.
	StepUp StepUp
}

// Duration bounds a grant.
type Duration struct {
	Default  time.Duration // offered; zero: Max, or an hour where that is shorter
	Max      time.Duration // required; at most 30 days
	MaxTotal time.Duration // with extensions; zero: Max; at most 30 days
}

// StepUp says which acts ask for a second factor, and for which.
type StepUp struct {
	Request access.Method // to ask for a role, and to prolong it
	Approve access.Method // to approve; denying takes none
}

// Justification says what words are asked for. Lengths are in characters of the text as CleanText leaves it.
type Justification struct {
	MinLength int    // zero: 1
	MaxLength int    // zero: 2000; at most 3000, which is what a form's input takes in Slack
	Ticket    string // regular expression that the ticket must match whole; empty: no ticket asked
}

// Approval is one stage of an approval.
type Approval struct {
	// By is CEL over person (the approver), requester, role, request. Service accounts approve only where it reads
	// person.kind, that is, where whoever wrote it thought of them.
	By     string
	Count  int           // approvals by different people; zero: 1
	Within time.Duration // zero: 8 hours
}

// Ask is what expressions see as request. Its texts are cleaned (CleanText) by the caller.
type Ask struct {
	Duration      time.Duration
	Justification string
	Ticket        string
	Start         time.Time // when it would begin; a rule that reads it refuses where it is zero
}

// Problem is one fault of the configuration, to be shown with the place of Key in the file.
type Problem struct {
	Rule int           // index into the rules; -1: the fault is of Role
	Role access.RoleID // with Rule -1: the role that no policy governs
	Key  string        // path below the rule: "eligible", "approve[0].by"
	Text string        // what is wrong and what to write instead
	// Warning marks what is probably a mistake and yet harmless: it is shown, and nothing is kept from starting.
	Warning bool
}

// The figures that stand in for what a rule leaves out, and their bounds.
const (
	maxDuration = 30 * 24 * time.Hour
	// minAsk keeps out what nobody can mean: a second is the unit in which ends are shown.
	minAsk             = time.Second
	offeredDuration    = time.Hour
	defaultWithin      = 8 * time.Hour
	defaultStartWithin = 30 * time.Minute
	defaultMaxLength   = 2000
	longestText        = 3000 // Slack: plain_text_input, max_length up to 3000
	longestTicket      = 200
	mostApprovals      = 20
	longestName        = 63
)

// noFactor is how a file says that an act asks for no second factor.
const noFactor access.Method = "none"

// withDefaults is the rule with everything filled in that it leaves out. The rule must have passed checkRule.
func (r Rule) withDefaults() Rule {
	d, j := &r.Duration, &r.Justification
	if d.Default == 0 {
		d.Default = min(d.Max, offeredDuration)
	}
	if d.MaxTotal == 0 {
		d.MaxTotal = d.Max
	}
	j.MinLength = max(j.MinLength, 1)
	if j.MaxLength == 0 {
		j.MaxLength = max(defaultMaxLength, j.MinLength)
	}
	if r.StartWithin == 0 {
		r.StartWithin = defaultStartWithin
	}
	stages := make([]Approval, len(r.Approve))
	for i, a := range r.Approve {
		a.Count = max(a.Count, 1)
		if a.Within == 0 {
			a.Within = defaultWithin
		}
		stages[i] = a
	}
	r.Approve = stages
	for _, m := range []*access.Method{&r.StepUp.Request, &r.StepUp.Approve} {
		if *m == noFactor {
			*m = access.NoFactor
		}
	}
	return r
}
