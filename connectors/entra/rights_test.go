package entra_test

import (
	"net/http"
	"strings"
	"testing"

	"elevate/connectors"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
)

// least are the permissions that README.md lists as needed, by what the connector gives.
func least() map[string][]string {
	return map[string][]string{
		"roles":        {"User.Read.All", "RoleAssignmentSchedule.ReadWrite.Directory", "RoleManagementPolicy.Read.Directory"},
		"groups":       {"User.Read.All", "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup", "RoleManagementPolicy.Read.AzureADGroup"},
		"plain_groups": {"User.Read.All", "GroupMember.ReadWrite.All"},
	}
}

// TestTheLeastPermissionsAreEnough, for everything: checking, giving, listing and taking.
func TestTheLeastPermissionsAreEnough(t *testing.T) {
	for gives, permissions := range least() {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
			s.Permit(permissions...)
			g := s.grant()
			if err := c.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			if err := c.CheckRole(t.Context(), g.Role); err != nil {
				t.Errorf("CheckRole: %v", err)
			}
			r := s.give(t, c, g)
			if _, err := c.Holders(t.Context(), g.Role); err != nil {
				t.Errorf("Holders: %v", err)
			}
			s.old(g)
			if _, err := c.Deactivate(t.Context(), g, r); err != nil {
				t.Errorf("Deactivate: %v", err)
			}
			if surplus, err := c.Surplus(t.Context()); err != nil || len(surplus) > 0 {
				t.Errorf("superfluous: %q, %v", surplus, err)
			}
		})
	}
}

func TestEveryMissingPermissionIsNamed(t *testing.T) {
	for gives, permissions := range least() {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives, cfg.RevokeSessions = gives, true })
			s.Permit()
			err := c.Check(t.Context())
			for _, p := range append(permissions, "User.RevokeSessions.All") {
				wantError(t, err, connectors.Denied, p)
			}
		})
	}
}

func TestEligibilityAsksForItsPermission(t *testing.T) {
	c, s := setup(t, func(cfg *entra.Config) { cfg.RequireEligible = true })
	s.Permit(least()["roles"]...)
	wantError(t, c.Check(t.Context()), connectors.Denied, "RoleEligibilitySchedule.Read.Directory")
}

func TestWiderPermissionsWorkAndAreSuperfluous(t *testing.T) {
	c, s := setup(t, plainly)
	s.Permit("User.Read.All", "RoleAssignmentSchedule.ReadWrite.Directory", "RoleManagement.ReadWrite.Directory", "Mail.Read")
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	surplus, err := c.Surplus(t.Context())
	if err != nil || len(surplus) != 2 || !strings.Contains(surplus[0], "Mail.Read") || !strings.Contains(surplus[1], "RoleManagement.ReadWrite.Directory") {
		t.Errorf("superfluous: %q, %v", surplus, err)
	}
}

// TestGraphsWordCountsMoreThanTheTokens: consent may have been taken back since.
func TestGraphsWordCountsMoreThanTheTokens(t *testing.T) {
	c, s := setup(t, plainly)
	s.Feel(graphfake.On(http.MethodGet, "/users/", 0, graphfake.Says(http.StatusForbidden, "Authorization_RequestDenied")))
	wantError(t, c.Check(t.Context()), connectors.Denied, "Authorization_RequestDenied")
}

func TestSettingsThatWouldRefuseUsAreFoundBeforeAnybodyAsks(t *testing.T) {
	c, s := setup(t, plainly)
	role := s.role()
	s.Right(rightOf(role), graphfake.Rules{Enabled: []string{"MultiFactorAuthentication"}})
	wantError(t, c.CheckRole(t.Context(), role), connectors.Denied, "no program can do")
	role.Target["role"] = "dddddddd-0000-4000-8000-ffffffffffff"
	wantError(t, c.CheckRole(t.Context(), role), connectors.NotFound, "the tenant has no role")
}

// TestSettingsThatWouldRefuseSomeGrantsAreToldOf: the role can be given, and not as its policy in Elevate may think.
func TestSettingsThatWouldRefuseSomeGrantsAreToldOf(t *testing.T) {
	for gives, permissions := range least() {
		t.Run(gives, func(t *testing.T) {
			c, s := setup(t, func(cfg *entra.Config) { cfg.Gives = gives })
			s.Permit(permissions...)
			for name, test := range map[string]struct {
				rules graphfake.Rules
				want  []string // a part of each line
			}{
				"nothing asked for": {graphfake.Rules{Enabled: []string{"Justification"}}, nil},
				"ticket":            {graphfake.Rules{Enabled: []string{"Ticketing"}}, []string{"without a ticket"}},
				"longest":           {graphfake.Rules{Longest: "PT30M"}, []string{"longer than 30m"}},
				"both":              {graphfake.Rules{Enabled: []string{"Ticketing"}, Longest: "P15D"}, []string{"longer than 15 days", "without a ticket"}},
			} {
				role := s.role()
				want := test.want
				if gives == "plain_groups" {
					want = nil // PIM knows nothing of them
				} else {
					s.Right(rightOf(role), test.rules)
				}
				if err := c.CheckRole(t.Context(), role); err != nil {
					t.Errorf("%s: CheckRole: %v", name, err)
				}
				lines, err := c.Advise(t.Context(), role)
				if err != nil || len(lines) != len(want) {
					t.Errorf("%s: %q, %v", name, lines, err)
					continue
				}
				for i, part := range want {
					if !strings.Contains(lines[i], part) {
						t.Errorf("%s: %q does not say %q", name, lines[i], part)
					}
				}
			}
		})
	}
}

func TestFewBreakGlassAccountsAreToldOf(t *testing.T) {
	c, s := setup(t, plainly)
	glass := graphfake.Right{Role: graphfake.GlobalAdministrator, Scope: "/"}
	s.Plant(s.person("visitor").Account("entra"), glass, graphfake.Plant{End: s.Now().AddDate(0, 0, 1)})
	for n, id := range []string{"glass-1", "glass-2"} {
		advice, err := c.Advice(t.Context())
		if err != nil || len(advice) != 1 || !strings.HasPrefix(advice[0], string(rune('0'+n))+" of the tenant's") {
			t.Errorf("with %d: %q, %v", n, advice, err)
		}
		s.Plant(s.person(id).Account("entra"), glass, graphfake.Plant{})
	}
	if advice, err := c.Advice(t.Context()); err != nil || len(advice) > 0 {
		t.Errorf("with two: %q, %v", advice, err)
	}
}
