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
	values, err := listed(ctx, p.s.governance.PrivilegedAccess().Group().AssignmentScheduleInstances(),
		&identitygovernance.PrivilegedAccessGroupAssignmentScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupAssignmentScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
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
	values, err := listed(ctx, p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests(),
		&identitygovernance.PrivilegedAccessGroupAssignmentScheduleRequestsRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupAssignmentScheduleRequestsRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
	var out []asked
	for _, v := range values {
		if p.ours(v.GetAccessId()) {
			out = append(out, askedOf(v, v.GetAction()))
		}
	}
	return out, err
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
	o.write(body)
	answer, err := p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests().Post(ctx, body, nil)
	if err != nil || answer == nil {
		return asked{}, err
	}
	return askedOf(answer, answer.GetAction()), nil
}

func (p *groupPIM) cancel(ctx context.Context, id string) error {
	return p.s.governance.PrivilegedAccess().Group().AssignmentScheduleRequests().ByPrivilegedAccessGroupAssignmentScheduleRequestId(id).Cancel().Post(ctx, nil)
}

func (p *groupPIM) eligible(ctx context.Context, principal string) ([]string, error) {
	values, err := listed(ctx, p.s.governance.PrivilegedAccess().Group().EligibilityScheduleInstances(),
		&identitygovernance.PrivilegedAccessGroupEligibilityScheduleInstancesRequestBuilderGetRequestConfiguration{
			QueryParameters: &identitygovernance.PrivilegedAccessGroupEligibilityScheduleInstancesRequestBuilderGetQueryParameters{Filter: p.filter(principal)}})
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
	return ids(ctx, s.groups.ByGroupId(group).Members(),
		&groups.ItemMembersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemMembersRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: number32(999)}})
}

func (s *session) owners(ctx context.Context, group string) ([]string, error) {
	return ids(ctx, s.groups.ByGroupId(group).Owners(),
		&groups.ItemOwnersRequestBuilderGetRequestConfiguration{
			QueryParameters: &groups.ItemOwnersRequestBuilderGetQueryParameters{Select: []string{"id"}, Top: number32(999)}})
}

func ids[R page[models.DirectoryObjectable], C any, B list[R, C, B]](ctx context.Context, of B, first *C) ([]string, error) {
	values, err := listed(ctx, of, first)
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = text(v.GetId())
	}
	return out, err
}

func number32(n int32) *int32 { return &n }
