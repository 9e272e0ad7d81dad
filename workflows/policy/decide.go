package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"elevate/workflows/access"
)

// Policy is one compiled rule. It is safe for concurrent use.
type Policy struct {
	rule     Rule // with defaults
	ticket   *regexp.Regexp
	eligible *expression
	auto     *expression // nil: never
	by       []*expression
}

// Rule is the rule with every default filled in. It must not be changed.
func (p *Policy) Rule() Rule { return p.rule }

// Name is the policy's name.
func (p *Policy) Name() string { return p.rule.Name }

// Default is the duration to offer.
func (p *Policy) Default() time.Duration { return p.rule.Duration.Default }

// Max is the longest grant.
func (p *Policy) Max() time.Duration { return p.rule.Duration.Max }

// MaxTotal is the longest grant with its extensions.
func (p *Policy) MaxTotal() time.Duration { return p.rule.Duration.MaxTotal }

// StartWithin is how long an approved request may wait for its start.
func (p *Policy) StartWithin() time.Duration { return p.rule.StartWithin }

// Stages are the approvals asked for, in order.
func (p *Policy) Stages() []access.Stage {
	stages := make([]access.Stage, len(p.rule.Approve))
	for i, a := range p.rule.Approve {
		stages[i] = access.Stage{By: a.By, Count: a.Count, Within: a.Within}
	}
	return stages
}

// StepUp is which acts ask for a second factor.
func (p *Policy) StepUp() access.StepUp {
	return access.StepUp{Request: p.rule.StepUp.Request, Approve: p.rule.StepUp.Approve}
}

// AsksManager tells whether a stage depends on who manages the requester.
func (p *Policy) AsksManager(stage int) bool {
	return stage >= 0 && stage < len(p.by) && p.by[stage].facts.readsManager
}

// TestsManager tells whether a stage may be decided by others because the requester has no manager: who that is must be
// certain then, whoever decides.
func (p *Policy) TestsManager(stage int) bool {
	return p.AsksManager(stage) && p.by[stage].facts.testsManager
}

// RemindAfter is when, from the start of a stage, its approvers are reminded; zero: they are not.
func (p *Policy) RemindAfter(stage int) time.Duration {
	if stage < 0 || stage >= len(p.rule.Approve) {
		return 0
	}
	within := p.rule.Approve[stage].Within
	switch after := p.rule.RemindAfter; {
	case after == 0:
		return within / 2
	case after < within:
		return after
	}
	return 0
}

// The codes of refusals.
const (
	CodeNotEligible   = "not_eligible"
	CodeRuleFailed    = "rule_failed"
	CodeUnknownPerson = "unknown_person"
	CodeSelfApproval  = "self_approval"
	CodeService       = "service_account"
	CodeNotApprover   = "not_approver"
	CodeNoStage       = "no_stage"
	CodeNoManager     = "no_manager"
)

// Eligible tells whether the person may hold the role that way: nil, or an *access.Refusal.
func (p *Policy) Eligible(person access.Person, role access.Role, ask Ask) error {
	if person.ID == "" {
		return unknownPerson()
	}
	ok, err := p.eligible.holds(vars{person: &person, role: &role, request: &ask})
	switch {
	case err != nil:
		return p.failed("eligible", err)
	case !ok:
		return refuse(access.ErrNotAllowed, CodeNotEligible,
			"%s is not eligible for %s as asked for. Policy “%s” decides that; whoever looks after it can say what is missing.",
			person.DisplayName(), role.DisplayTitle(), p.rule.Name)
	}
	return nil
}

// AutoApproves tells whether the policy approves by itself. Where the rule fails, people are asked.
func (p *Policy) AutoApproves(person access.Person, role access.Role, ask Ask) bool {
	if p.auto == nil || person.ID == "" {
		return false
	}
	ok, err := p.auto.holds(vars{person: &person, role: &role, request: &ask})
	return ok && err == nil
}

// MayApprove tells whether the approver may decide at a stage: nil, or an *access.Refusal. Nobody decides on what they
// asked for, or on what they would get, whatever the rule says.
func (p *Policy) MayApprove(stage int, approver, requester, beneficiary access.Person, role access.Role, ask Ask) error {
	switch {
	case approver.ID == "" || requester.ID == "" || beneficiary.ID == "":
		return unknownPerson()
	case approver.ID == requester.ID:
		return refuse(access.ErrNotAllowed, CodeSelfApproval, "You asked for this yourself, so somebody else has to decide.")
	case approver.ID == beneficiary.ID:
		return refuse(access.ErrNotAllowed, CodeSelfApproval, "You would get this access yourself, so somebody else has to decide.")
	case stage < 0 || stage >= len(p.by):
		return refuse(access.ErrUnavailable, CodeNoStage,
			"Policy “%s” has changed since this was asked for, and no longer says who decides. Please ask again.", p.rule.Name)
	case approver.Kind == access.Service && !p.by[stage].facts.readsKind:
		return refuse(access.ErrNotAllowed, CodeService, "Policy “%s” wants a person to decide, not a service account.", p.rule.Name)
	}
	ok, err := p.by[stage].holds(vars{person: &approver, requester: &requester, role: &role, request: &ask})
	switch {
	case errors.Is(err, errNoManager):
		return refuse(access.ErrNotAllowed, CodeNoManager, "Policy “%s” has the manager of %s decide, and there is none.", p.rule.Name, requester.DisplayName())
	case err != nil:
		return p.failed(fmt.Sprintf("approve[%d].by", stage), err)
	case !ok:
		return refuse(access.ErrNotAllowed, CodeNotApprover, "You are not among those who decide on %s. Policy “%s” says who is.",
			role.DisplayTitle(), p.rule.Name)
	}
	return nil
}

// Check tells what is wrong with the words and figures of a request, one refusal per input.
func (p *Policy) Check(ask Ask) access.Problems {
	var out access.Problems
	for _, r := range []*access.Refusal{p.checkDuration(ask.Duration), p.checkJustification(ask.Justification), p.checkTicket(ask.Ticket)} {
		if r != nil {
			out = append(out, r)
		}
	}
	return out
}

func (p *Policy) checkDuration(d time.Duration) *access.Refusal {
	switch {
	case d < minAsk:
		return invalid("duration", "duration_missing", "Say for how long, such as %s; the longest is %s.", spell(p.Default()), spell(p.Max()))
	case d > p.Max():
		return invalid("duration", "duration_too_long", "%s is longer than the %s that policy “%s” allows. Ask for %s or less.",
			spell(d), spell(p.Max()), p.rule.Name, spell(p.Max()))
	}
	return nil
}

func (p *Policy) checkJustification(s string) *access.Refusal {
	n, j := utf8.RuneCountInString(CleanText(s)), p.rule.Justification
	switch {
	case n == 0:
		return invalid("justification", "justification_missing", "Say what you need it for; approvers and auditors read this.")
	case n < j.MinLength:
		return invalid("justification", "justification_too_short",
			"Say a little more about what you need it for: policy “%s” asks for at least %d characters, and this is %d.", p.rule.Name, j.MinLength, n)
	case n > j.MaxLength:
		return invalid("justification", "justification_too_long", "This is %d characters, and %d is the most; please shorten it.", n, j.MaxLength)
	}
	return nil
}

func (p *Policy) checkTicket(s string) *access.Refusal {
	s = CleanText(s)
	switch {
	case utf8.RuneCountInString(s) > longestTicket:
		return invalid("ticket", "ticket_too_long", "A ticket's name has at most %d characters; put the rest into the justification.", longestTicket)
	case p.ticket == nil || p.ticket.MatchString(s):
		return nil
	case s == "":
		return invalid("ticket", "ticket_missing", "Name the ticket that this belongs to; it looks like %s.", p.ticketShape())
	}
	return invalid("ticket", "ticket_malformed", "“%s” is no ticket that policy “%s” takes; one looks like %s.", s, p.rule.Name, p.ticketShape())
}

// ticketShape is the pattern without the anchors, which say nothing to most people.
func (p *Policy) ticketShape() string {
	return strings.TrimSuffix(strings.TrimPrefix(p.rule.Justification.Ticket, "^"), "$")
}

func (p *Policy) failed(key string, err error) *access.Refusal {
	r := refuse(access.ErrUnavailable, CodeRuleFailed,
		"The rule “%s” of policy “%s” could not be worked out, so the answer is no. Please tell whoever looks after it.", key, p.rule.Name)
	r.Err = fmt.Errorf("policy %q, %s: %w", p.rule.Name, key, err)
	return r
}

func unknownPerson() *access.Refusal {
	return refuse(access.ErrUnavailable, CodeUnknownPerson, "It is not certain who everybody involved is, so the answer is no. Please try again.")
}

func invalid(field, code, format string, args ...any) *access.Refusal {
	r := refuse(access.ErrInvalid, code, format, args...)
	r.Field = field
	return r
}

func refuse(kind error, code, format string, args ...any) *access.Refusal {
	return &access.Refusal{Kind: kind, Code: code, Text: fmt.Sprintf(format, args...)}
}
