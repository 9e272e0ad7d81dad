package azure

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Advise tells which grants the role's PIM settings would refuse, and which roles let their holder keep access.
func (c *Connector) Advise(ctx context.Context, role access.Role) ([]string, error) {
	var out []string
	err := c.run(ctx, "look at the role", func(ctx context.Context, s *session) error {
		p, err := placeOf(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "%v", err)
		}
		def, err := s.role(ctx, p)
		if err != nil {
			return err
		}
		r, err := s.rules(ctx, p)
		if err != nil {
			return err
		}
		if r.longest > 0 {
			out = append(out, fmt.Sprintf("its PIM settings refuse grants longer than %s", connectors.Spoken(r.longest)))
		}
		if r.ticket {
			out = append(out, "its PIM settings refuse grants without a ticket; let its policy ask for one (justification.ticket)")
		}
		if text := keeps(def); text != "" {
			out = append(out, text)
		}
		if strings.HasPrefix(p.scope, "/providers/") {
			out = append(out, "it goes for every subscription below the management group, and for data Azure may keep it for hours after its end")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// role reads the definition of a place's role.
func (s *session) role(ctx context.Context, p place) (arm2.RoleDefinition, error) {
	def, err := s.roles.GetByID(ctx, p.definition(), nil)
	err = s.told("look for the role", err)
	if isStatus(err, http.StatusNotFound) {
		err = refuse(connectors.NotFound, "there is no role with id %s in the tenant; correct target.role (az role definition list --name NAME --query [].name)", p.role)
	}
	return def.RoleDefinition, err
}

// keeps says how the holder of a role could keep access beyond the grant; empty for no way that shows in its actions.
func keeps(d arm2.RoleDefinition) string {
	name := title(d)
	for _, way := range []struct{ action, text string }{
		{"Microsoft.Authorization/roleAssignments/write", "lets its holder give any role there for ever, to themselves too; give it by break-glass, or never"},
		{"Microsoft.Storage/storageAccounts/listKeys/action", "lets its holder read keys that outlive the grant; prefer a role that goes at data"},
		{"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "lets its holder act as other identities"},
		{"Microsoft.Compute/virtualMachines/runCommand/action", "lets its holder act as the identities of machines"},
	} {
		if grants(d, way.action) {
			return name + " " + way.text
		}
	}
	return ""
}
