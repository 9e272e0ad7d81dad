package entra

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// right is what a role's target names.
type right struct {
	role  string // roleDefinitionId of a directory role
	scope string // how far it reaches: "/", or an administrative unit
	group string
	as    string // member or owner
	marks string // the group whose members are those that Elevate put into a plain group
}

func (r right) String() string {
	if r.group == "" {
		return fmt.Sprintf("role %s at %s", r.role, r.scope)
	}
	return fmt.Sprintf("%s of group %s", r.as, r.group)
}

const wholeTenant = "/"

var unit = regexp.MustCompile(`^/administrativeUnits/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// CheckTarget accepts what the connector's gives asks for, with every key there and in one spelling.
func (c *Connector) CheckTarget(target map[string]any) error {
	_, err := c.target(target)
	return err
}

// target reads a role's target.
func (c *Connector) target(target map[string]any) (right, error) {
	var r right
	keys := map[string]field{
		"role":  {&r.role, guid.MatchString, "the role's template ID in small letters, such as fdd7a751-b60b-444a-984c-02652fe8fa1c"},
		"scope": {&r.scope, func(s string) bool { return s == wholeTenant || unit.MatchString(s) }, `"/" for the whole tenant, or /administrativeUnits/ and the unit's object ID in small letters`},
		"group": {&r.group, guid.MatchString, "the group's object ID in small letters"},
		"as":    {&r.as, func(s string) bool { return s == "member" || s == "owner" }, "member or owner"},
		"marks": {&r.marks, guid.MatchString, "the object ID, in small letters, of an empty group that Elevate alone changes: its members are those whom Elevate put into the group"},
	}
	wanted := map[string][]string{givesRoles: {"role", "scope"}, givesGroups: {"as", "group"}, givesPlain: {"group", "marks"}}[c.cfg.Gives]
	var problems []error
	for _, k := range slices.Sorted(maps.Keys(target)) {
		if !slices.Contains(wanted, k) {
			problems = append(problems, fmt.Errorf("target.%s: there is no such key where the connector gives %s; a target has %s and %s", k, c.cfg.Gives, wanted[0], wanted[1]))
		}
	}
	for _, k := range wanted {
		if text, ok := target[k].(string); !ok || !keys[k].good(text) {
			problems = append(problems, fmt.Errorf("target.%s: must be %s", k, keys[k].what))
		} else {
			*keys[k].into = text
		}
	}
	if c.cfg.Gives == givesPlain {
		r.as = "member"
		if r.group == r.marks && r.group != "" {
			problems = append(problems, errors.New("target.marks: is the group itself; name another one"))
		}
	}
	return r, errors.Join(problems...)
}

// field is one key of a target.
type field struct {
	into *string
	good func(string) bool
	what string
}
