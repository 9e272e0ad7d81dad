package azure_test

import (
	"strings"
	"testing"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
)

// only is a condition as Azure's own pages make it.
func only(roles ...string) string {
	return "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {" +
		strings.Join(roles, ", ") + "}))"
}

func TestLeastRightsPassAndSuffice(t *testing.T) {
	t.Parallel()
	s, c, g := setup(t)
	s.May(armfake.Right{Scope: group, Role: armfake.Administrator, Condition: only(armfake.Reader)})
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.CheckRole(t.Context(), g.Role); err != nil {
		t.Error(err)
	}
	if surplus, err := c.Surplus(t.Context()); err != nil || len(surplus) != 0 {
		t.Errorf("the least rights have a surplus: %q, %v", surplus, err)
	}
	r := give(t, c, g)
	if _, err := c.Holders(t.Context(), g.Role); err != nil {
		t.Error(err)
	}
	s.Advance(3600e9)
	if _, err := c.Deactivate(t.Context(), g, r); err != nil {
		t.Error(err)
	}
	wantHolds(t, s, g, false)
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rights   []armfake.Right
		settings armfake.Settings
		role     string
		kind     connectors.Kind
		words    []string
	}{
		"no right to give":      {[]armfake.Right{{Scope: group, Role: armfake.Reader}}, armfake.Settings{}, armfake.Reader, connectors.Denied, []string{"roleAssignments/write", "roleAssignments/delete", group, "Role Based Access Control Administrator"}},
		"nothing at the scope":  {[]armfake.Right{{Scope: vault, Role: armfake.Owner}}, armfake.Settings{}, armfake.Reader, connectors.Denied, []string{"403"}},
		"a contributor":         {[]armfake.Right{{Scope: subscription, Role: armfake.Contributor}}, armfake.Settings{}, armfake.Reader, connectors.Denied, []string{"roleAssignments/write"}},
		"limited to another":    {[]armfake.Right{{Scope: group, Role: armfake.Administrator, Condition: only(armfake.Contributor)}}, armfake.Settings{}, armfake.Reader, connectors.Denied, []string{"condition", group, "Reader"}},
		"multifactor":           {[]armfake.Right{{Scope: group, Role: armfake.Administrator}}, armfake.Settings{MFA: true}, armfake.Reader, connectors.Denied, []string{"multifactor"}},
		"shorter than possible": {[]armfake.Right{{Scope: group, Role: armfake.Administrator}}, armfake.Settings{Longest: "PT0H"}, armfake.Reader, "", nil},
		"no such role":          {[]armfake.Right{{Scope: group, Role: armfake.Administrator}}, armfake.Settings{}, idOf("x"), connectors.NotFound, []string{"target.role"}},
	} {
		s := tenant(t)
		s.May(test.rights...)
		s.Set(group, armfake.Reader, test.settings)
		err := connect(t, s).CheckRole(t.Context(), role(group, test.role))
		if test.kind == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantKind(t, err, test.kind, test.words...)
	}
}

func TestCheckSaysWhatIsSuperfluous(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		right armfake.Right // beside the least
		words []string
	}{
		"owner":           {armfake.Right{Scope: subscription, Role: armfake.Owner}, []string{"Owner", subscription, "allows *"}},
		"access admin":    {armfake.Right{Scope: armfake.Management, Role: armfake.AccessAdmin}, []string{"User Access Administrator", armfake.Management, "Microsoft.Authorization/*"}},
		"data":            {armfake.Right{Scope: vault, Role: armfake.KeyOfficer}, []string{"Key Vault Crypto Officer", vault, "keys/*"}},
		"no condition":    {armfake.Right{Scope: group, Role: armfake.Administrator}, []string{"without a condition", group}},
		"at the very top": {armfake.Right{Scope: "", Role: armfake.Administrator}, []string{"the root of the tenant"}},
	} {
		s := tenant(t)
		s.May(test.right, armfake.Right{Scope: group, Role: armfake.Administrator, Condition: only(armfake.Reader)})
		surplus, err := connect(t, s).Surplus(t.Context())
		if err != nil || len(surplus) != 1 {
			t.Errorf("%s: %q, %v", name, surplus, err)
			continue
		}
		for _, w := range test.words {
			if !strings.Contains(surplus[0], w) {
				t.Errorf("%s: it does not say %q: %s", name, w, surplus[0])
			}
		}
	}
}

func TestSignInIsRefusedInWords(t *testing.T) {
	t.Parallel()
	s := tenant(t)
	err := connect(t, s, func(cfg *azure.Config) { cfg.ClientID = idOf("nobody") }).Check(t.Context())
	wantKind(t, err, connectors.Denied, "client_id", "AADSTS7000215")
}

func TestCheckAdvisesCare(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scope, role string
		settings    armfake.Settings
		want        []string // a part of each line
	}{
		"as it comes":         {group, armfake.Reader, armfake.Settings{}, []string{"longer than 180 days"}},
		"no end asked for":    {group, armfake.Reader, armfake.Settings{Lasting: true}, nil},
		"ticket":              {group, armfake.Reader, armfake.Settings{Lasting: true, Ticket: true}, []string{"without a ticket"}},
		"owner":               {group, armfake.Owner, armfake.Settings{Lasting: true}, []string{"Owner lets its holder give any role there for ever"}},
		"access admin":        {group, armfake.AccessAdmin, armfake.Settings{Lasting: true}, []string{"User Access Administrator lets its holder give any role"}},
		"contributor":         {group, armfake.Contributor, armfake.Settings{Lasting: true}, []string{"Contributor lets its holder read keys"}},
		"data":                {group, armfake.KeyOfficer, armfake.Settings{Lasting: true}, nil},
		"at management group": {armfake.Management, armfake.Reader, armfake.Settings{Lasting: true}, []string{"every subscription"}},
	} {
		s := tenant(t)
		s.Set(test.scope, test.role, test.settings)
		lines, err := connect(t, s).Advise(t.Context(), role(test.scope, test.role))
		if err != nil || len(lines) != len(test.want) {
			t.Errorf("%s: %q, %v", name, lines, err)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q does not say %q", name, lines[i], want)
			}
		}
	}
	_, err := connect(t, tenant(t)).Advise(t.Context(), role(group, idOf("x")))
	wantKind(t, err, connectors.NotFound)
}
