package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"elevate/workflows/access"
)

// Set is every policy, compiled, and the one that governs each role. It is safe for concurrent use.
type Set struct {
	policies []*Policy
	byRole   map[access.RoleID]*Policy
	hash     string
}

// For is the policy that governs a role: the first whose match is true of it. Nil for a role outside the catalogue that
// the set was compiled for.
func (s *Set) For(role access.RoleID) *Policy { return s.byRole[role] }

// Channel is where the policy of that name wants its messages in a chat; empty: nowhere, also where there is no policy of
// that name any more.
func (s *Set) Channel(policy, chat string) string {
	i := slices.IndexFunc(s.policies, func(p *Policy) bool { return p.rule.Name == policy })
	if i < 0 {
		return ""
	}
	return s.policies[i].rule.Channel[chat]
}

// AsksManager tells whether a stage of a rule, by their places in the file, depends on who manages the requester.
func (s *Set) AsksManager(rule, stage int) bool { return s.policies[rule].AsksManager(stage) }

// Hash identifies the rules as they were written: equal hashes, equal rules in equal order.
func (s *Set) Hash() string { return s.hash }

// Compile checks and compiles the rules and finds the policy of every role. It reports every problem at once; with one
// that is no warning, the set is nil. A rule that governs no role, and a label that no role has, are warnings: they are
// likely slips of the pen, but a catalogue that lost its last such role must not keep the program from starting.
func Compile(rules []Rule, roles []access.Role) (*Set, []Problem) {
	scopes, err := newScopes()
	if err != nil {
		return nil, []Problem{{Rule: -1, Text: err.Error()}}
	}
	c := &compiler{scopes: scopes, set: &Set{byRole: make(map[access.RoleID]*Policy, len(roles))}}
	matches := make([]*expression, len(rules))
	for i, r := range rules {
		c.rule = i
		p, match := c.compile(r)
		matches[i] = match
		c.set.policies = append(c.set.policies, p)
	}
	c.findNamesakes(rules)
	if !slices.Contains(matches, nil) { // otherwise nobody knows what the broken ones would govern
		c.govern(matches, roles)
		c.warn(rules, roles, matches)
	}
	if slices.ContainsFunc(c.problems, func(p Problem) bool { return !p.Warning }) {
		return nil, c.problems
	}
	c.set.hash = hash(rules)
	return c.set, c.problems
}

type compiler struct {
	scopes   *scopes
	set      *Set
	rule     int // the one at hand
	problems []Problem
}

func (c *compiler) problem(key, format string, args ...any) {
	c.problems = append(c.problems, Problem{Rule: c.rule, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) expression(s scope, key, text string) *expression {
	e, faults := s.compile(text)
	for _, f := range faults {
		c.problem(key, "%s", f)
	}
	return e
}

func (c *compiler) compile(r Rule) (*Policy, *expression) {
	before := len(c.problems)
	c.checkRule(r)
	match := c.expression(c.scopes.match, "match", r.Match)
	p := &Policy{eligible: c.expression(c.scopes.ask, "eligible", r.Eligible)}
	if r.AutoApprove != "" {
		p.auto = c.expression(c.scopes.ask, "auto_approve", r.AutoApprove)
	}
	for i, a := range r.Approve {
		p.by = append(p.by, c.expression(c.scopes.approve, fmt.Sprintf("approve[%d].by", i), a.By))
	}
	if t := r.Justification.Ticket; t != "" {
		if _, err := regexp.Compile(t); err != nil {
			c.problem("justification.ticket", "is no regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		} else {
			p.ticket = regexp.MustCompile(`\A(?:` + t + `)\z`)
		}
	}
	if len(c.problems) == before {
		p.rule = r.withDefaults()
	}
	return p, match
}

func (c *compiler) findNamesakes(rules []Rule) {
	first := map[string]int{}
	for i, r := range rules {
		c.rule = i
		if j, taken := first[r.Name]; taken && r.Name != "" {
			c.problem("name", "%q is the name of policies[%d] too; audit and messages tell policies apart by their names", r.Name, j)
			continue
		}
		first[r.Name] = i
	}
}

// govern finds the policy of every role.
func (c *compiler) govern(matches []*expression, roles []access.Role) {
	failed := make([][]string, len(matches)) // by rule: the roles on which its match fails
	causes := make([]error, len(matches))
	for _, r := range roles {
		v := vars{role: &r}
		at, err := firstMatch(matches, v)
		switch {
		case err != nil:
			failed[at], causes[at] = append(failed[at], string(r.ID)), err
		case at < 0:
			c.problems = append(c.problems, Problem{Rule: -1, Role: r.ID, Text: fmt.Sprintf(
				"no policy governs role %s: add one whose match is true of it, or end the list with a strict one whose match is true", r.ID)})
		default:
			c.set.byRole[r.ID] = c.set.policies[at]
		}
	}
	for i, ids := range failed {
		if len(ids) > 0 {
			c.rule = i
			c.problem("match", "fails on %s: %v; guard it, as in has(role.target.name) && role.target.name == \"x\"", some(ids), causes[i])
		}
	}
}

// firstMatch is the index of the first match that is true; -1 for none. The error is of the rule at the index.
func firstMatch(matches []*expression, v vars) (int, error) {
	for i, m := range matches {
		ok, err := m.holds(v)
		if ok || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// warn finds what is allowed and yet can hardly be meant.
func (c *compiler) warn(rules []Rule, roles []access.Role, matches []*expression) {
	governs := map[*Policy]bool{}
	for _, p := range c.set.byRole {
		governs[p] = true
	}
	labels := map[string]bool{}
	for _, r := range roles {
		for l := range r.Labels {
			labels[l] = true
		}
	}
	known := "no role has labels"
	if len(labels) > 0 {
		known = "roles have: " + strings.Join(slices.Sorted(maps.Keys(labels)), ", ")
	}
	for i, p := range c.set.policies {
		c.rule = i
		// A last resort that is not needed is nothing to warn of.
		if !governs[p] && strings.TrimSpace(rules[i].Match) != "true" && len(roles) > 0 {
			c.warning("match", "governs no role: it is true of none, or earlier policies govern all of them")
		}
		for key, e := range p.expressions(matches[i]) {
			for _, l := range e.facts.labels {
				if !labels[l] && len(roles) > 0 {
					c.warning(key, "reads label %q, which no role has; %s", l, known)
				}
			}
		}
	}
}

func (c *compiler) warning(key, format string, args ...any) {
	c.problem(key, format, args...)
	c.problems[len(c.problems)-1].Warning = true
}

// expressions yields the compiled ones by key, in the order of the file.
func (p *Policy) expressions(match *expression) func(yield func(string, *expression) bool) {
	return func(yield func(string, *expression) bool) {
		keys := []string{"match", "eligible"}
		all := []*expression{match, p.eligible}
		for i, by := range p.by {
			keys, all = append(keys, fmt.Sprintf("approve[%d].by", i)), append(all, by)
		}
		keys, all = append(keys, "auto_approve"), append(all, p.auto)
		for i, e := range all {
			if e != nil && !yield(keys[i], e) {
				return
			}
		}
	}
}

// some names the first few of many.
func some(ids []string) string {
	const few = 3
	if len(ids) <= few {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:few], ", "), len(ids)-few)
}

func hash(rules []Rule) string {
	text, err := json.Marshal(rules) // field order is fixed and map keys are sorted
	if err != nil {
		panic("rules are plain data: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
