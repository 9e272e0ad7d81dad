package armfake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The built-in roles that there are here.
const (
	Owner         = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	Contributor   = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	Reader        = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	AccessAdmin   = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	Administrator = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
	KeyOfficer    = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"
)

// definition is a role.
type definition struct {
	name                 string
	actions, not, onData []string
}

var definitions = map[string]definition{
	Owner:       {name: "Owner", actions: []string{"*"}},
	Contributor: {name: "Contributor", actions: []string{"*"}, not: []string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"}},
	Reader:      {name: "Reader", actions: []string{"*/read"}},
	AccessAdmin: {name: "User Access Administrator", actions: []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"}},
	Administrator: {name: "Role Based Access Control Administrator", actions: []string{"Microsoft.Authorization/roleAssignments/write",
		"Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*"}},
	KeyOfficer: {name: "Key Vault Crypto Officer", onData: []string{"Microsoft.KeyVault/vaults/keys/*"}},
}

// Right is what an application may do.
type Right struct {
	Scope, Role, Condition string
}

// Settings are PIM's of a role at a scope. The zero value is what a new tenant has: a justification, 180 days at most.
type Settings struct {
	Longest         string // empty: P180D
	Lasting         bool   // assignments need not end
	MFA, Ticket     bool
	NoJustification bool
	Approval        bool // the request waits for somebody
	Fails           bool // the request is taken, and fails then
}

// Assignment is a role that somebody holds.
type Assignment struct {
	Scope, Role, Account string
	Start, End           time.Time // End is zero for none
	Activated            bool
	Condition            string

	schedule, request string
	seen, gone        time.Time // when lists show it first, and not any more; gone is zero for never
}

// Set gives a role at a scope other settings.
func (s *Server) Set(scope, role string, settings Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings[scope+" "+role] = settings
}

// May says what our application may do, instead of assigning all roles everywhere.
func (s *Server) May(rights ...Right) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rights[Object] = rights
}

// AddApplication makes another application that may do all that ours may.
func (s *Server) AddApplication(client, secret, object string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applications[client] = [2]string{secret, object}
	s.rights[object] = s.rights[Object]
}

// AddPerson makes somebody.
func (s *Server) AddPerson(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people[id] = true
}

// AddGroup makes a group.
func (s *Server) AddGroup(id string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[id] = append([]string{}, members...) // never nil: one without members is a group too
}

// AddScope makes a subscription, resource group or resource, and what is above it.
func (s *Server) AddScope(scope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; scope != ""; scope = s.parent(scope) {
		s.scopes[scope] = true
	}
}

// parent is the scope above one, in small letters. Subscriptions are in the management group.
func (s *Server) parent(scope string) string {
	parts := strings.Split(scope, "/")
	switch {
	case strings.HasPrefix(scope, "/providers/microsoft.management/"):
		return s.parents[scope]
	case len(parts) == 3:
		return Management
	case len(parts) == 5:
		return strings.Join(parts[:3], "/")
	}
	return strings.Join(parts[:5], "/")
}

// reaches tells whether what is given at one scope goes for another.
func (s *Server) reaches(from, to string) bool {
	for ; to != from; to = s.parent(to) {
		if to == "" {
			return false
		}
	}
	return true
}

// Plant gives access past everybody. A zero End is none.
func (s *Server) Plant(a Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	a.schedule = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, s.number)).String()
	if a.Start.IsZero() {
		a.Start = s.now()
	}
	s.assignments = append(s.assignments, &a)
}

// Takeover has an administrator move the end of an assignment, whoever made it.
func (s *Server) Takeover(scope, role, account string, end time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.direct(scope, role, account)
	s.number++
	name := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, s.number)).String()
	s.requests[scope+"/"+name] = &request{name: name, scope: scope, kind: "AdminUpdate", role: role, account: account, justification: "prolonged by hand",
		by: "99999999-aaaa-4bbb-8ccc-000000000009", created: s.now(), end: end, schedule: a.schedule}
	a.request, a.End = name, end
}

// MakeEligible lets somebody activate a role.
func (s *Server) MakeEligible(a Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	a.schedule = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, s.number)).String()
	a.Start = s.now()
	s.eligible = append(s.eligible, a)
}

// Age makes everything at a scope older, and leaves its ends.
func (s *Server) Age(scope string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.assignments {
		if a.Scope == scope {
			a.Start = a.Start.Add(-d)
		}
	}
	for _, r := range s.requests {
		if r.scope == scope {
			r.created, r.decided = r.created.Add(-d), r.decided.Add(-d)
		}
	}
}

// Forget has the server forget requests, as Azure does with old ones.
func (s *Server) Forget(scope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.requests {
		if r.scope == scope {
			delete(s.requests, key)
		}
	}
}

// Holds tells whether somebody holds a role at a scope now, whatever lists say.
func (s *Server) Holds(scope, role, account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.assignments, func(a *Assignment) bool {
		return a.Role == role && s.reaches(a.Scope, scope) && s.live(a) && (a.Account == account || slices.Contains(s.groups[a.Account], account))
	})
}

// live tells whether an assignment is in force: it ends by itself, whoever is running.
func (s *Server) live(a *Assignment) bool {
	now := s.now()
	return !a.Start.After(now) && (a.End.IsZero() || a.End.After(now)) && (a.gone.IsZero() || a.gone.After(now))
}

// direct is the one assignment of an account at a scope, or nil.
func (s *Server) direct(scope, role, account string) *Assignment {
	for _, a := range s.assignments {
		if a.Scope == scope && a.Role == role && a.Account == account && s.live(a) {
			return a
		}
	}
	return nil
}
