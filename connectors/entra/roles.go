package entra

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
)

// rolePIM is PIM for one directory role at one scope.
type rolePIM struct {
	s *session
	r right
}

// filter asks for the role, and for a principal where there is one. The scope is not asked for: who holds a role in the
// whole tenant holds it in every unit.
func (p *rolePIM) filter(principal string) *string {
	f := fmt.Sprintf("roleDefinitionId eq '%s'", p.r.role)
	if principal != "" {
		f = fmt.Sprintf("principalId eq '%s' and %s", principal, f)
	}
	return &f
}

// covers tells whether a scope reaches ours.
func (p *rolePIM) covers(scope string) bool { return scope == p.r.scope || scope == wholeTenant }

func (p *rolePIM) held(ctx context.Context, principal string) ([]held, error) {
	values, err := listed(ctx, p.s.roles.Directory().RoleAssignmentScheduleInstances(),
		&rolemanagement.DirectoryRoleAssignmentScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &rolemanagement.DirectoryRoleAssignmentScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	var out []held
	for _, v := range values {
		scope := text(v.GetDirectoryScopeId())
		if !p.covers(scope) {
			continue
		}
		out = append(out, held{
			principal: text(v.GetPrincipalId()), schedule: text(v.GetRoleAssignmentScheduleId()),
			activated: text(v.GetAssignmentType()) == "Activated",
			direct:    text(v.GetMemberType()) == "Direct" && scope == p.r.scope,
			above:     scope != p.r.scope,
			start:     moment(v.GetStartDateTime()), end: moment(v.GetEndDateTime()),
		})
	}
	return out, err
}

func (p *rolePIM) asked(ctx context.Context, principal string) ([]asked, error) {
	values, err := listed(ctx, p.s.roles.Directory().RoleAssignmentScheduleRequests(),
		&rolemanagement.DirectoryRoleAssignmentScheduleRequestsRequestBuilderGetRequestConfiguration{
			QueryParameters: &rolemanagement.DirectoryRoleAssignmentScheduleRequestsRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	var out []asked
	for _, v := range values {
		if scope := text(v.GetDirectoryScopeId()); p.covers(scope) {
			a := askedOf(v, v.GetAction())
			a.above = scope != p.r.scope
			out = append(out, a)
		}
	}
	return out, err
}

func (p *rolePIM) send(ctx context.Context, o order) (asked, error) {
	body := models.NewUnifiedRoleAssignmentScheduleRequest()
	actions := map[string]models.UnifiedRoleScheduleRequestActions{
		assign: models.ADMINASSIGN_UNIFIEDROLESCHEDULEREQUESTACTIONS,
		update: models.ADMINUPDATE_UNIFIEDROLESCHEDULEREQUESTACTIONS,
		remove: models.ADMINREMOVE_UNIFIEDROLESCHEDULEREQUESTACTIONS,
	}
	action := actions[o.action]
	body.SetAction(&action)
	body.SetRoleDefinitionId(&p.r.role)
	body.SetDirectoryScopeId(&p.r.scope)
	o.write(body)
	answer, err := p.s.roles.Directory().RoleAssignmentScheduleRequests().Post(ctx, body, nil)
	if err != nil || answer == nil {
		return asked{}, err
	}
	return askedOf(answer, answer.GetAction()), nil
}

// request is what Graph's requests for roles and for groups have in common.
type request interface {
	GetId() *string
	GetTargetScheduleId() *string
	GetStatus() *string
	GetJustification() *string
	GetCreatedDateTime() *time.Time
	GetScheduleInfo() models.RequestScheduleable
	SetPrincipalId(*string)
	SetJustification(*string)
	SetScheduleInfo(models.RequestScheduleable)
	SetTargetScheduleId(*string)
	SetTicketInfo(models.TicketInfoable)
}

// askedOf reads what was asked for; the actions are of another type for each.
func askedOf[A fmt.Stringer](v request, action *A) asked {
	a := asked{
		id: text(v.GetId()), schedule: text(v.GetTargetScheduleId()),
		status: text(v.GetStatus()), why: text(v.GetJustification()), created: moment(v.GetCreatedDateTime()),
	}
	if s := v.GetScheduleInfo(); s != nil && s.GetExpiration() != nil {
		a.end = moment(s.GetExpiration().GetEndDateTime())
	}
	if action != nil {
		a.action = (*action).String()
	}
	return a
}

// write fills in a request what is the same for roles and for groups.
func (o order) write(body request) {
	body.SetPrincipalId(&o.principal)
	body.SetJustification(&o.why)
	if o.action != remove {
		body.SetScheduleInfo(schedule(o.start, o.end))
	}
	if o.schedule != "" {
		body.SetTargetScheduleId(&o.schedule)
	}
	if o.ticket != "" {
		body.SetTicketInfo(ticket(o.ticket))
	}
}

// schedule says from when until when, as a time: the SDK spells durations in ways that are not Graph's.
func schedule(start, end time.Time) models.RequestScheduleable {
	start, end = start.UTC(), end.UTC()
	until := models.AFTERDATETIME_EXPIRATIONPATTERNTYPE
	expiration := models.NewExpirationPattern()
	expiration.SetTypeEscaped(&until)
	expiration.SetEndDateTime(&end)
	s := models.NewRequestSchedule()
	s.SetStartDateTime(&start)
	s.SetExpiration(expiration)
	return s
}

func ticket(number string) models.TicketInfoable {
	system := "Elevate"
	t := models.NewTicketInfo()
	t.SetTicketNumber(&number)
	t.SetTicketSystem(&system)
	return t
}

func (p *rolePIM) cancel(ctx context.Context, id string) error {
	return p.s.roles.Directory().RoleAssignmentScheduleRequests().ByUnifiedRoleAssignmentScheduleRequestId(id).Cancel().Post(ctx, nil)
}

func (p *rolePIM) eligible(ctx context.Context, principal string) ([]string, error) {
	values, err := listed(ctx, p.s.roles.Directory().RoleEligibilityScheduleInstances(),
		&rolemanagement.DirectoryRoleEligibilityScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &rolemanagement.DirectoryRoleEligibilityScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	var out []string
	for _, v := range values {
		if p.covers(text(v.GetDirectoryScopeId())) {
			out = append(out, text(v.GetPrincipalId()))
		}
	}
	return out, err
}

// outside compares the directory's own list of assignments with PIM's.
func (p *rolePIM) outside(ctx context.Context) ([]string, error) {
	if !p.s.token.may(readRoleDirectory...) {
		return nil, nil
	}
	values, err := listed(ctx, p.s.roles.Directory().RoleAssignments(),
		&rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetRequestConfiguration{
			QueryParameters: &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetQueryParameters{Filter: p.filter("")}})
	var out []string
	for _, v := range values {
		if p.covers(text(v.GetDirectoryScopeId())) {
			out = append(out, text(v.GetPrincipalId()))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

func (p *rolePIM) rules(ctx context.Context) (rules, error) {
	return p.s.rules(ctx, fmt.Sprintf("scopeId eq '/' and scopeType eq 'DirectoryRole' and roleDefinitionId eq '%s'", p.r.role))
}

// page is a part of a list, as the SDK reads it.
type page[T any] interface {
	GetValue() []T
	GetOdataNextLink() *string
}

// mostPages bounds a list that never ends.
const mostPages = 1000

// list is what the SDK makes for each list: R is what it answers with, C what can be asked of it.
type list[R, C, B any] interface {
	Get(context.Context, *C) (R, error)
	WithUrl(string) B
}

// listed reads a list of the SDK's to its end.
func listed[T any, R page[T], C any, B list[R, C, B]](ctx context.Context, of B, first *C) ([]T, error) {
	return pages(func(next string) (page[T], error) {
		if next != "" {
			return of.WithUrl(next).Get(ctx, nil)
		}
		return of.Get(ctx, first)
	})
}

// pages reads a list to its end.
func pages[T any](get func(next string) (page[T], error)) ([]T, error) {
	var out []T
	for next, n := "", 0; ; n++ {
		p, err := get(next)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, fmt.Errorf("Graph answered with nothing where a list was asked for")
		}
		out = append(out, p.GetValue()...)
		if next = text(p.GetOdataNextLink()); next == "" {
			return out, nil
		}
		if n >= mostPages {
			return nil, fmt.Errorf("the list is longer than %d pages", mostPages)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
