package azure

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The text of each kind of scope, as it is written in a target: Azure reads any case, and one place must have one
// spelling here, or two grants of one right would not know of each other.
const guid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

var (
	managementGroup = regexp.MustCompile(`^/providers/microsoft\.management/managementgroups/[\pL\pN._()-]{1,90}$`)
	subscription    = regexp.MustCompile(`^/subscriptions/` + guid)
	resourceGroup   = `/resourcegroups/[\pL\pN._()-]{1,90}`
	resource        = `(/providers/[a-z0-9.]+(/[a-z0-9.]+/[^/\s?#%\\]+)+)+`
	below           = regexp.MustCompile(`^(` + resourceGroup + `)?(` + resource + `)?$`)
	isID            = regexp.MustCompile(`^` + guid + `$`)
)

const exampleScope = "/subscriptions/0f6e8a3c-…/resourcegroups/prod"

// place is what a role's target names: a role, somewhere.
type place struct {
	scope string // in lower case
	role  string // the role definition's id
}

// entry is somebody's place: the one thing that Azure keeps at most one assignment of.
type entry struct {
	place
	account string // the person's object id
}

// CheckTarget accepts {scope: …, role: …} and nothing else.
func (c *Connector) CheckTarget(target map[string]any) error {
	_, err := placeOf(target)
	return err
}

func placeOf(target map[string]any) (place, error) {
	var problems []error
	for _, k := range slices.Sorted(maps.Keys(target)) {
		if k != "scope" && k != "role" {
			problems = append(problems, fmt.Errorf("target.%s: there is no such key here; a target of this connector has scope and role", k))
		}
	}
	p := place{}
	p.scope, _ = target["scope"].(string)
	p.role, _ = target["role"].(string)
	problems = append(problems, checkScope(p.scope), checkRole(p.role))
	return p, errors.Join(problems...)
}

func checkScope(scope string) error {
	lower := strings.TrimSuffix(strings.ToLower(scope), "/")
	at := subscription.FindString(lower)
	known := managementGroup.MatchString(lower) || at != "" && below.MatchString(lower[len(at):])
	switch {
	case scope == "":
		return fmt.Errorf("target.scope: is missing or no text; write where the role is given, such as scope: %s", exampleScope)
	case slices.Contains(strings.Split(lower, "/"), "..") || slices.Contains(strings.Split(lower, "/"), ".") || !known:
		return errors.New("target.scope: is neither a management group (/providers/microsoft.management/managementgroups/NAME), a subscription (/subscriptions/ID), a resource group (/subscriptions/ID/resourcegroups/NAME) nor a resource below one")
	case scope != lower:
		return fmt.Errorf("target.scope: write it in small letters, so that one place has one spelling (Azure takes any): %s", lower)
	}
	return nil
}

func checkRole(role string) error {
	switch {
	case role == "":
		return errors.New("target.role: is missing or no text; write the role's id, which az role definition list --name NAME --query [].name prints")
	case isGUID(role):
		return nil
	case isGUID(strings.ToLower(last(role))):
		return fmt.Errorf("target.role: write the id alone and in small letters: %s", strings.ToLower(last(role)))
	}
	return errors.New("target.role: is no role's id; names can change, so write what az role definition list --name NAME --query [].name prints")
}

// isGUID tells whether a text is an id as Entra and Azure write them, in small letters.
func isGUID(text string) bool { return isID.MatchString(text) }

// last is the last part of an Azure id.
func last(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// entryOf reads what a grant gives to whom.
func entryOf(g access.Grant) (entry, error) {
	p, err := placeOf(g.Role.Target)
	if err != nil {
		return entry{}, refuse(connectors.Invalid, "role %s: %v", g.Role.ID, err)
	}
	account, err := connectors.Account(g)
	if err != nil {
		return entry{}, err
	}
	if !isGUID(account) {
		return entry{}, refuse(connectors.Invalid, "%q is no object id; let accounts.%s of %s in the directory be the user's object id in Entra, in small letters (az ad user show --id USER --query id)",
			account, g.Role.Connector, g.Person.ID)
	}
	return entry{p, account}, nil
}

// written is a scope in the case in which Azure's own specification has it.
func written(scope string) string {
	for _, word := range []string{"/resourceGroups/", "/providers/Microsoft.Management/managementGroups/"} {
		if lower := strings.ToLower(word); strings.Contains(scope, lower) {
			scope = strings.Replace(scope, lower, word, 1)
		}
	}
	return scope
}

// definition is the full id of the role's definition. Built-in roles are everywhere, and custom ones in the tenant.
func (p place) definition() string {
	return subscription.FindString(p.scope) + "/providers/Microsoft.Authorization/roleDefinitions/" + p.role
}

// above tells whether what is given at another scope goes for this place too. What lies below does not. Ids do not tell
// which management group is above what, so Azure's own word is taken for those.
func (p place) above(scope string, inherited bool) bool {
	scope = strings.TrimSuffix(strings.ToLower(scope), "/")
	if strings.HasPrefix(scope, "/subscriptions/") {
		return strings.HasPrefix(p.scope, scope+"/")
	}
	return scope == "" || strings.HasPrefix(p.scope, "/subscriptions/") || inherited
}
