package azure

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
)

// Surplus lists what the application holds in Azure and does not need.
func (c *Connector) Surplus(ctx context.Context) ([]string, error) {
	found := map[string]bool{}
	err := c.run(ctx, "look for surplus rights", func(ctx context.Context, s *session) error {
		list, err := s.everywhere(ctx)
		for _, h := range list {
			if text := h.surplus(); text != "" {
				found[text] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// everywhere reads what we hold in the subscriptions that we can see, in their resource groups where we may look no
// higher, and above them.
func (s *session) everywhere(ctx context.Context) ([]held, error) {
	var out []held
	scopes, err := s.visible(ctx, "subscriptions", "2022-12-01")
	for len(scopes) > 0 && err == nil {
		scope := scopes[0]
		scopes = scopes[1:]
		var list []held
		list, err = s.own(ctx, scope)
		out = append(out, list...)
		if isStatus(err, http.StatusForbidden) {
			var groups []string
			err = nil
			if strings.Count(scope, "/") == 2 {
				groups, err = s.visible(ctx, scope+"/resourcegroups", "2021-04-01")
			}
			scopes = append(scopes, groups...)
		}
	}
	return out, err
}

// visible are the subscriptions, or resource groups of one, that we can see anything of.
func (s *session) visible(ctx context.Context, what, version string) ([]string, error) {
	at, query := runtime.JoinPaths(s.rest.Endpoint(), what), map[string]string{"api-version": version}
	var out []string
	for at != "" {
		var page struct {
			Value []struct {
				ID string `json:"id"`
			} `json:"value"`
			NextLink string `json:"nextLink"`
		}
		if err := s.get(ctx, at, query, &page); err != nil {
			return nil, s.told("look for "+what, err)
		}
		for _, v := range page.Value {
			out = append(out, strings.ToLower(v.ID))
		}
		at, query = page.NextLink, nil
	}
	return out, nil
}

// surplus says what is too much about an assignment of ours; empty for none.
func (h held) surplus() string {
	at := h.scope
	if at == "" {
		at = "the root of the tenant"
	}
	name := title(h.role)
	if action := needless(h.role); action != "" {
		return fmt.Sprintf("Elevate's application has %s at %s, which allows %s; give it Role Based Access Control Administrator with a condition instead", name, at, action)
	}
	if grants(h.role, needed[0]) && h.condition == "" {
		return fmt.Sprintf("Elevate's application has %s at %s without a condition, so it could give any role to anybody there; add a condition that names the roles that Elevate gives", name, at)
	}
	return ""
}

// needless is an action of a role that Elevate has no use for; all that goes at data is.
func needless(d arm2.RoleDefinition) string {
	if d.Properties == nil {
		return ""
	}
	for _, p := range d.Properties.Permissions {
		if p == nil {
			continue
		}
		for _, a := range p.Actions {
			if !harmless(str(a)) {
				return str(a)
			}
		}
		for _, a := range p.DataActions {
			return str(a)
		}
	}
	return ""
}

// harmless tells whether an action is one that Elevate needs, or reads alone.
func harmless(action string) bool {
	a := strings.ToLower(action)
	return strings.HasSuffix(a, "/read") || strings.HasPrefix(a, "microsoft.support/") ||
		strings.HasPrefix(a, "microsoft.authorization/roleassignments/") || strings.HasPrefix(a, "microsoft.authorization/roleassignmentschedule")
}
