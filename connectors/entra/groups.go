package entra

import (
	"context"
	"fmt"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/identitygovernance"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// groupPIM is PIM for the members or the owners of one group.
type groupPIM struct {
	s *session
	r right
}

func (p *groupPIM) filter(principal string) *string {
	f := fmt.Sprintf("groupId eq '%s'", p.r.group)
	if principal != "" {
		f += fmt.Sprintf(" and principalId eq '%s'", principal)
	}
	return &f
}

// ours tells whether something is about the relationship that the right names.
func (p *groupPIM) ours(as *models.PrivilegedAccessGroupRelationships) bool {
	return as != nil && as.String() == p.r.as
}

func (p *groupPIM) held(ctx context.Context, principal string) ([]held, error) {
	list := p.s.governance.PrivilegedAccess().Group().AssignmentScheduleInstances()
	values, err := pages(func(next string) (page[models.PrivilegedAccessGroupAssignmentScheduleInstanceable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &identitygovernance.PrivilegedAccessGroupAssignmentScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupAssignmentScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	})
	var out []held
	for _, v := range values {
		if !p.ours(v.GetAccessId()) {
			continue
		}
		kind, member := v.GetAssignmentType(), v.GetMemberType()
		out = append(out, held{
			principal: text(v.GetPrincipalId()), schedule: text(v.GetAssignmentScheduleId()),
			activated: kind != nil && *kind == models.ACTIVATED_PRIVILEGEDACCESSGROUPASSIGNMENTTYPE,
			direct:    member != nil && *member == models.DIRECT_PRIVILEGEDACCESSGROUPMEMBERTYPE,
			start:     moment(v.GetStartDateTime()), end: moment(v.GetEndDateTime()),
		})
	}
	return out, err
}

func (p *groupPIM) asked(ctx context.Context, principal string) ([]asked, error) {
	list := p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests()
	values, err := pages(func(next string) (page[models.PrivilegedAccessGroupAssignmentScheduleRequestable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &identitygovernance.PrivilegedAccessGroupAssignmentScheduleRequestsRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupAssignmentScheduleRequestsRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	})
	var out []asked
	for _, v := range values {
		if p.ours(v.GetAccessId()) {
			out = append(out, groupAsked(v))
		}
	}
	return out, err
}

func groupAsked(v models.PrivilegedAccessGroupAssignmentScheduleRequestable) asked {
	a := asked{
		id: text(v.GetId()), schedule: text(v.GetTargetScheduleId()),
		status: text(v.GetStatus()), why: text(v.GetJustification()),
	}
	if action := v.GetAction(); action != nil {
		a.action = action.String()
	}
	return a
}

func (p *groupPIM) send(ctx context.Context, o order) (asked, error) {
	body := models.NewPrivilegedAccessGroupAssignmentScheduleRequest()
	actions := map[string]models.ScheduleRequestActions{
		assign: models.ADMINASSIGN_SCHEDULEREQUESTACTIONS,
		update: models.ADMINUPDATE_SCHEDULEREQUESTACTIONS,
		remove: models.ADMINREMOVE_SCHEDULEREQUESTACTIONS,
	}
	action, as := actions[o.action], models.MEMBER_PRIVILEGEDACCESSGROUPRELATIONSHIPS
	if p.r.as == "owner" {
		as = models.OWNER_PRIVILEGEDACCESSGROUPRELATIONSHIPS
	}
	body.SetAction(&action)
	body.SetAccessId(&as)
	body.SetGroupId(&p.r.group)
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
	answer, err := p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests().Post(ctx, body, nil)
	if err != nil || answer == nil {
		return asked{}, err
	}
	return groupAsked(answer), nil
}

func (p *groupPIM) cancel(ctx context.Context, id string) error {
	return p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests().ByPrivilegedAccessGroupAssignmentScheduleRequestId(id).Cancel().Post(ctx, nil)
}

func (p *groupPIM) eligible(ctx context.Context, principal string) ([]string, error) {
	list := p.s.governance.PrivilegedAccess().Group().EligibilityScheduleInstances()
	values, err := pages(func(next string) (page[models.PrivilegedAccessGroupEligibilityScheduleInstanceable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &identitygovernance.PrivilegedAccessGroupEligibilityScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupEligibilityScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	})
	var out []string
	for _, v := range values {
		if p.ours(v.GetAccessId()) {
			out = append(out, text(v.GetPrincipalId()))
		}
	}
	return out, err
}

// outside reads the group's own list.
func (p *groupPIM) outside(ctx context.Context) ([]string, error) {
	if !p.s.token.may(readMembers...) {
		return nil, nil
	}
	if p.r.as == "owner" {
		return p.s.owners(ctx, p.r.group)
	}
	return p.s.members(ctx, p.r.group)
}

func (p *groupPIM) rules(ctx context.Context) (rules, error) {
	found, err := p.s.rules(ctx, fmt.Sprintf("scopeId eq '%s' and scopeType eq 'Group' and roleDefinitionId eq '%s'", p.r.group, p.r.as))
	// Before somebody is given a group by PIM for the first time, PIM does not know it.
	found.known = true
	return found, err
}

// members lists a group's members, directly.
func (s *session) members(ctx context.Context, group string) ([]string, error) {
	list := s.groups.ByGroupId(group).Members()
	return ids(func(next string) (page[models.DirectoryObjectable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &groups.ItemMembersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemMembersRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: number32(999)}})
	})
}

func (s *session) owners(ctx context.Context, group string) ([]string, error) {
	list := s.groups.ByGroupId(group).Owners()
	return ids(func(next string) (page[models.DirectoryObjectable], error) {
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &groups.ItemOwnersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemOwnersRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: number32(999)}})
	})
}

func ids(get func(next string) (page[models.DirectoryObjectable], error)) ([]string, error) {
	values, err := pages(get)
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = text(v.GetId())
	}
	return out, err
}

func number32(n int32) *int32 { return &n }
