package azure

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/workflows/access"
)

// holding is one way in which somebody holds a role at a place.
type holding struct {
	account    string    // whom the assignment names
	group      bool      // a group's object id, not a person's
	scope      string    // where it was given, in small letters
	start, end time.Time // end is zero for what has none
	activated  bool      // by the person's own activation in PIM
	narrowed   bool      // by a condition, to less than the role
	schedule   string    // the full id of what Azure ends it by

	grant access.RequestID
	ours  bool
}

// sight is what one look says of an entry.
type sight struct {
	own    *holding  // the assignment of this very account at this very scope; there is one at most
	others []holding // by groups, and from above
}

// look reads how an account holds a role at a place. What lies below the place is left out.
func (s *session) look(ctx context.Context, e entry) (sight, error) {
	var out sight
	list, err := s.list(ctx, e.place, fmt.Sprintf("assignedTo('%s')", e.account))
	if err != nil {
		return out, err
	}
	for _, h := range list {
		if h.scope == e.scope && h.account == e.account {
			if err := s.trace(ctx, e.place, &h); err != nil {
				return out, err
			}
			out.own = &h
			continue
		}
		out.others = append(out.others, h)
	}
	return out, nil
}

// lasting finds access that is not ours and will not end by itself.
func (v sight) lasting() bool {
	for _, h := range v.others {
		if h.end.IsZero() && !h.narrowed {
			return true
		}
	}
	return false
}

// list reads the holdings of a role that go for a place.
func (s *session) list(ctx context.Context, p place, filter string) ([]holding, error) {
	var out []holding
	pages := s.instances.NewListForScopePager(written(p.scope), &arm2.RoleAssignmentScheduleInstancesClientListForScopeOptions{Filter: &filter})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.told("look who holds the role", err)
		}
		for _, i := range page.Value {
			if h, ok := p.holds(i.Properties); ok {
				out = append(out, h)
			}
		}
	}
	return out, nil
}

// holds reads an instance; false for another role, or another place.
func (p place) holds(i *arm2.RoleAssignmentScheduleInstanceProperties) (holding, bool) {
	if i == nil || !strings.EqualFold(last(str(i.RoleDefinitionID)), p.role) {
		return holding{}, false
	}
	h := holding{
		account:   strings.ToLower(str(i.PrincipalID)),
		group:     str(i.PrincipalType) == string(arm2.PrincipalTypeGroup) || str(i.MemberType) == string(arm2.MemberTypeGroup),
		scope:     strings.TrimSuffix(strings.ToLower(str(i.Scope)), "/"),
		activated: str(i.AssignmentType) == string(arm2.AssignmentTypeActivated),
		narrowed:  str(i.Condition) != "",
		schedule:  str(i.RoleAssignmentScheduleID),
	}
	if i.StartDateTime != nil {
		h.start = *i.StartDateTime
	}
	if i.EndDateTime != nil {
		h.end = *i.EndDateTime
	}
	inherited := str(i.MemberType) == string(arm2.MemberTypeInherited)
	return h, h.scope == p.scope || p.above(h.scope, inherited)
}

// trace finds out whether an assignment is ours: it asks for the request that made it, or moved its end last. Ours have
// an end, so nothing else is asked about. Azure forgets old requests; what it forgot is not ours any more.
func (s *session) trace(ctx context.Context, p place, h *holding) error {
	if h.end.IsZero() || h.activated || h.group || h.schedule == "" {
		return nil
	}
	schedule, err := s.schedules.Get(ctx, written(h.scope), last(h.schedule), nil)
	err = s.told("look where an assignment comes from", err)
	switch {
	case isStatus(err, http.StatusNotFound):
		return notYet(soon, "Azure lists an assignment of %s and does not tell yet where it comes from", h.account)
	case err != nil:
		return err
	case schedule.Properties == nil || str(schedule.Properties.RoleAssignmentScheduleRequestID) == "":
		return nil
	}
	request, err := s.requests.Get(ctx, written(h.scope), last(str(schedule.Properties.RoleAssignmentScheduleRequestID)), nil)
	err = s.told("look who made an assignment", err)
	switch {
	case isStatus(err, http.StatusNotFound) && s.now.Sub(h.start) < floor:
		return notYet(soon, "Azure lists a new assignment of %s and not the request that made it", h.account)
	case isStatus(err, http.StatusNotFound):
		return nil
	case err != nil:
		return err
	}
	h.grant, h.ours = s.ours(entry{place{h.scope, p.role}, h.account}, request.RoleAssignmentScheduleRequest)
	return nil
}
