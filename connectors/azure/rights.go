package azure

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/connectors"
	"elevate/workflows/access"
)

// needed is what the application must be allowed at each role's scope.
var needed = []string{
	"Microsoft.Authorization/roleAssignments/write",
	"Microsoft.Authorization/roleAssignments/delete",
	"Microsoft.Authorization/roleAssignments/read",
	"Microsoft.Authorization/roleDefinitions/read",
	"Microsoft.Authorization/roleAssignmentScheduleInstances/read",
	"Microsoft.Authorization/roleAssignmentSchedules/read",
	"Microsoft.Authorization/roleAssignmentScheduleRequests/read",
	"Microsoft.Authorization/roleManagementPolicyAssignments/read",
}

const forEligible = "Microsoft.Authorization/roleEligibilityScheduleInstances/read"

// Check signs in and asks Azure Resource Manager who we are to it. CheckRole says what is missing for a role.
func (c *Connector) Check(ctx context.Context) error {
	return c.run(ctx, "check", func(ctx context.Context, s *session) error {
		var tenants struct{} // that we are answered at all is what counts
		at := runtime.JoinPaths(s.rest.Endpoint(), "tenants")
		return s.told("look who we are", s.get(ctx, at, map[string]string{"api-version": "2022-12-01"}, &tenants))
	})
}

// CheckRole proves that the role exists, that the application may give and take it at its scope, and that its PIM
// settings let a program do so. It changes nothing.
func (c *Connector) CheckRole(ctx context.Context, role access.Role) error {
	return c.run(ctx, "check role", func(ctx context.Context, s *session) error {
		p, err := placeOf(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "%v", err)
		}
		def, err := s.role(ctx, p)
		if err != nil {
			return err
		}
		problems, err := s.lacks(ctx, p, title(def))
		if err != nil {
			return err
		}
		r, err := s.rules(ctx, p)
		if err != nil {
			return err
		}
		problems = append(problems, r.problems()...)
		if len(problems) > 0 {
			return refuse(connectors.Denied, "%s", strings.Join(problems, "; "))
		}
		return nil
	})
}

// problems are the settings by which Azure would refuse every grant.
func (r rules) problems() []string {
	var out []string
	if r.mfa {
		out = append(out, "the role's PIM settings refuse it: "+mfaInWords)
	}
	if r.longest > 0 && r.longest < floor {
		out = append(out, fmt.Sprintf("the role's PIM settings refuse it: they allow %s at most, and an assignment lasts five minutes at least", connectors.Spoken(r.longest)))
	}
	return out
}

func title(d arm2.RoleDefinition) string {
	if d.Properties == nil || str(d.Properties.RoleName) == "" {
		return last(str(d.ID))
	}
	return str(d.Properties.RoleName)
}

// held is an assignment of our own, with its role.
type held struct {
	scope, condition string
	role             arm2.RoleDefinition
}

// own reads what we hold at a place and above it; at a subscription, below it too.
func (s *session) own(ctx context.Context, scope string) ([]held, error) {
	filter := fmt.Sprintf("assignedTo('%s')", s.me)
	definitions := map[string]arm2.RoleDefinition{}
	var out []held
	pages := s.permanent.NewListForScopePager(written(scope), &arm2.RoleAssignmentsClientListForScopeOptions{Filter: &filter})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.told("look what Elevate's application may do", err)
		}
		for _, a := range page.Value {
			if a.Properties == nil {
				continue
			}
			id := str(a.Properties.RoleDefinitionID)
			if _, known := definitions[id]; !known {
				d, err := s.roles.GetByID(ctx, id, nil)
				if err != nil {
					return nil, s.told("look what a role of Elevate's application may do", err)
				}
				definitions[id] = d.RoleDefinition
			}
			out = append(out, held{strings.TrimSuffix(strings.ToLower(str(a.Properties.Scope)), "/"), str(a.Properties.Condition), definitions[id]})
		}
	}
	return out, nil
}

// lacks lists what we may not do at a place, each with the way to mend it.
func (s *session) lacks(ctx context.Context, p place, role string) ([]string, error) {
	list, err := s.own(ctx, p.scope)
	if err != nil {
		return nil, err
	}
	actions := needed
	if s.requireEligible {
		actions = append(slices.Clone(needed), forEligible)
	}
	var missing, conditions []string
	for _, action := range actions {
		may := false
		for _, h := range list {
			if h.scope != p.scope && !p.above(h.scope, true) || !grants(h.role, action) {
				continue
			}
			if strings.HasSuffix(action, "/read") || !excludes(h.condition, p.role) {
				may = true
				continue
			}
			conditions = append(conditions, h.scope)
		}
		if !may {
			missing = append(missing, action)
		}
	}
	switch {
	case len(missing) == 0:
		return nil, nil
	case len(conditions) > 0:
		return []string{fmt.Sprintf("the condition on what Elevate's application holds at %s does not name %s (%s); add it there", conditions[0], role, p.role)}, nil
	}
	return []string{fmt.Sprintf("Elevate's application (%s) may not %s at %s; give it Role Based Access Control Administrator there, limited to %s by a condition, as its page on Azure shows",
		s.me, strings.Join(missing, ", "), p.scope, role)}, nil
}

// excludes tells whether a condition of the form that Azure's pages and ours make lets us assign other roles alone.
func excludes(condition, role string) bool {
	c := strings.ToLower(condition)
	return strings.Contains(c, "guidequals") && !strings.Contains(c, "guidnotequals") && strings.Contains(c, "roledefinitionid") &&
		!strings.Contains(c, role)
}

// grants tells whether a role definition allows an action.
func grants(d arm2.RoleDefinition, action string) bool {
	if d.Properties == nil {
		return false
	}
	for _, p := range d.Properties.Permissions {
		if p != nil && covers(p.Actions, action) && !covers(p.NotActions, action) {
			return true
		}
	}
	return false
}

func covers(patterns []*string, action string) bool {
	return slices.ContainsFunc(patterns, func(p *string) bool { return p != nil && glob(strings.ToLower(*p), strings.ToLower(action)) })
}

// glob matches a pattern whose only sign is the star.
func glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for i := 0; i <= len(text); i++ {
		if glob(rest, text[i:]) {
			return true
		}
	}
	return false
}
