package entra

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"elevate/connectors"
	"elevate/workflows/access"
)

// permission is an application permission of Graph, and what holds it, too.
type permission struct {
	name   string
	covers []string // wider ones that are enough; they are superfluous all the same
	why    string
}

// What lists are read with, if the application may.
var (
	readRoleDirectory = []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All"}
	readMembers       = []string{"GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All"}
)

func (s *session) readEligible() []string {
	if s.cfg.Gives == givesGroups {
		return []string{"PrivilegedEligibilitySchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"}
	}
	return []string{"RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory", "RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"}
}

// may tells whether the token carries one of some permissions.
func (t token) may(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(t.roles, n) })
}

// seeUsers is the permission to see users.
func seeUsers() permission {
	return permission{"User.Read.All", []string{"User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}, "to see that an account is a user's, and enabled"}
}

// needs lists what a connector that is configured so cannot do without, and what it makes use of.
func (cfg Config) needs() (required, useful []permission) {
	required = []permission{seeUsers()}
	switch cfg.Gives {
	case givesRoles:
		required = append(required,
			permission{"RoleAssignmentSchedule.ReadWrite.Directory", []string{"RoleManagement.ReadWrite.Directory"}, "to give and take roles"},
			permission{"RoleManagementPolicy.Read.Directory", []string{"RoleManagementPolicy.ReadWrite.Directory", "RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All"}, "to read the roles' settings in PIM"})
		useful = append(useful,
			permission{"RoleEligibilitySchedule.Read.Directory", nil, "to list who is eligible"},
			permission{"RoleManagement.Read.Directory", nil, "to list who holds a role past PIM"})
	case givesGroups:
		required = append(required,
			permission{"PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup", nil, "to give and take memberships"},
			permission{"RoleManagementPolicy.Read.AzureADGroup", []string{"RoleManagementPolicy.ReadWrite.AzureADGroup"}, "to read the groups' settings in PIM"})
		useful = append(useful,
			permission{"PrivilegedEligibilitySchedule.Read.AzureADGroup", nil, "to list who is eligible"},
			permission{"GroupMember.Read.All", nil, "to list who is in a group past PIM"})
	case givesPlain:
		required = append(required, permission{"GroupMember.ReadWrite.All", []string{"Group.ReadWrite.All", "Directory.ReadWrite.All"}, "to read and change members"})
	}
	if cfg.RequireEligible {
		required, useful = append(required, useful[0]), useful[1:]
	}
	if cfg.RevokeSessions {
		required = append(required, permission{"User.RevokeSessions.All", []string{"User.ReadWrite.All", "Directory.ReadWrite.All"}, "to end sign-ins (revoke_sessions)"})
	}
	return required, useful
}

// lacks lists what the application may not do and must.
func (s *session) lacks(required []permission) error {
	if !s.token.told {
		return nil // Graph will say
	}
	var missing []string
	for _, p := range required {
		if !s.token.may(append([]string{p.name}, p.covers...)...) {
			missing = append(missing, fmt.Sprintf("the application lacks the application permission %s, %s; add it under API permissions, and grant admin consent", p.name, p.why))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return refuse(connectors.Denied, "%s", strings.Join(missing, "; "))
}

// Check signs in and lists what the application lacks.
func (c *Connector) Check(ctx context.Context) error {
	return c.run(ctx, "check", func(ctx context.Context, s *session) error {
		required, _ := c.cfg.needs()
		if err := s.lacks(required); err != nil {
			return err
		}
		return s.knock(ctx)
	})
}

// knock makes a call that changes nothing, since it is Graph that decides and not the token. There is no such user.
func (s *session) knock(ctx context.Context) error {
	err := s.person(ctx, "00000000-0000-0000-0000-000000000000")
	if kind, _ := kindOf(err); kind == connectors.NotFound {
		return nil
	}
	return err
}

// CheckRole proves that the role is there, that its members can be read, and that its settings would let Elevate give it.
func (c *Connector) CheckRole(ctx context.Context, role access.Role) error {
	return c.run(ctx, "check role", func(ctx context.Context, s *session) error {
		r, err := c.target(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "%v", err)
		}
		if c.cfg.Gives == givesPlain {
			_, err := s.membership(ctx, r, "")
			return err
		}
		p := s.pim(r)
		found, err := p.rules(ctx)
		if err != nil {
			return err
		}
		if !found.known {
			return refuse(connectors.NotFound, "the tenant has no %s", r)
		}
		if err := found.refuses(shortest, true); err != nil {
			return err
		}
		if _, err := p.held(ctx, ""); err != nil {
			return fmt.Errorf("look who holds it: %w", err)
		}
		if r.lastMatters() {
			return c.wouldEnd(ctx, p, "")
		}
		return nil
	})
}

// Advise tells which grants the role's or group's settings in PIM would refuse: CheckRole supposes a short one with a ticket.
func (c *Connector) Advise(ctx context.Context, role access.Role) ([]string, error) {
	if c.cfg.Gives == givesPlain {
		return nil, nil
	}
	var out []string
	err := c.run(ctx, "look at the role", func(ctx context.Context, s *session) error {
		r, err := c.target(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "%v", err)
		}
		found, err := s.pim(r).rules(ctx)
		out = found.advice()
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Surplus lists permissions that the application has and this connector makes no use of.
func (c *Connector) Surplus(ctx context.Context) ([]string, error) {
	var out []string
	err := c.run(ctx, "look for surplus rights", func(_ context.Context, s *session) error {
		required, useful := c.cfg.needs()
		out = s.token.beyond(append(required, useful...))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// beyond lists what a token carries and nothing makes use of.
func (t token) beyond(used []permission) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(t.roles)) {
		if !slices.ContainsFunc(used, func(p permission) bool { return p.name == name }) {
			out = append(out, fmt.Sprintf("the application permission %s; remove it under API permissions", name))
		}
	}
	return out
}

// breakGlass is how many accounts should be Global Administrator for good, whatever happens to Elevate.
const breakGlass = 2

// Advice tells what is unwise in the tenant where Elevate gives directory roles.
func (c *Connector) Advice(ctx context.Context) ([]string, error) {
	if c.cfg.Gives != givesRoles {
		return nil, nil
	}
	var out []string
	err := c.run(ctx, "look at the Global Administrators", func(ctx context.Context, s *session) error {
		holding, err := s.pim(right{role: globalAdministrator, scope: wholeTenant}).held(ctx, "")
		if err != nil {
			return err
		}
		permanent := map[string]bool{}
		for _, h := range holding {
			if h.end.IsZero() && !h.activated {
				permanent[h.principal] = true
			}
		}
		if len(permanent) < breakGlass {
			out = append(out, fmt.Sprintf("%d of the tenant's Global Administrators are so for good, and %d should be: break-glass accounts that need neither PIM nor Elevate", len(permanent), breakGlass))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
