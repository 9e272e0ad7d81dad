package graphfake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	ofRoles  = "/roleManagement/directory/"
	ofGroups = "/identityGovernance/privilegedAccess/group/"
)

// route answers a request of Graph.
func (f *Tenant) route(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	if !f.may(w, r.Method, path) {
		return
	}
	get, post := r.Method == http.MethodGet, r.Method == http.MethodPost
	groups := strings.HasPrefix(path, ofGroups)
	switch name := strings.TrimPrefix(strings.TrimPrefix(path, ofRoles), ofGroups); {
	case get && (name == "roleAssignmentScheduleInstances" || name == "assignmentScheduleInstances"):
		f.list(w, r, f.instances(groups))
	case get && (name == "roleAssignmentScheduleRequests" || name == "assignmentScheduleRequests"):
		f.list(w, r, f.asked(groups))
	case post && (name == "roleAssignmentScheduleRequests" || name == "assignmentScheduleRequests"):
		f.take(w, body)
	case post && strings.HasSuffix(name, "/cancel"):
		f.cancel(w, strings.Split(name, "/")[1])
	case get && (name == "roleEligibilityScheduleInstances" || name == "eligibilityScheduleInstances"):
		f.list(w, r, listed(f.eligible, groups))
	case get && name == "roleAssignments":
		f.list(w, r, listed(f.past, false))
	case get && path == "/policies/roleManagementPolicyAssignments":
		f.list(w, r, f.policies())
	case get && path == "/users":
		f.search(w, r)
	case strings.HasPrefix(path, "/users/"):
		f.user(w, r, strings.TrimPrefix(path, "/users/"))
	case strings.HasPrefix(path, "/groups/"):
		f.group(w, r, strings.Split(strings.TrimPrefix(path, "/groups/"), "/"), body)
	default:
		fail(w, http.StatusNotFound, "ResourceNotFound", r.Method+" "+path)
	}
}

// may holds a request to the application's permissions.
func (f *Tenant) may(w http.ResponseWriter, method, path string) bool {
	var enough []string
	read := method == http.MethodGet
	switch {
	case strings.HasPrefix(path, ofRoles+"roleEligibility"):
		enough = []string{"RoleEligibilitySchedule.Read.Directory"}
	case strings.HasPrefix(path, ofRoles+"roleAssignments"):
		enough = []string{"RoleManagement.Read.Directory"}
	case strings.HasPrefix(path, ofRoles):
		enough = []string{"RoleAssignmentSchedule.ReadWrite.Directory"}
	case strings.HasPrefix(path, ofGroups+"eligibility"):
		enough = []string{"PrivilegedEligibilitySchedule.Read.AzureADGroup"}
	case strings.HasPrefix(path, ofGroups):
		enough = []string{"PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"}
	case strings.HasPrefix(path, "/policies/"):
		enough = []string{"RoleManagementPolicy.Read.Directory", "RoleManagementPolicy.Read.AzureADGroup"}
	case strings.HasPrefix(path, "/groups/") && read:
		enough = []string{"GroupMember.Read.All", "GroupMember.ReadWrite.All"}
	case strings.HasPrefix(path, "/groups/"):
		enough = []string{"GroupMember.ReadWrite.All"}
	case strings.HasSuffix(path, "/revokeSignInSessions"):
		enough = []string{"User.RevokeSessions.All"}
	default:
		enough = []string{"User.Read.All"}
	}
	if slices.ContainsFunc(enough, func(p string) bool { return slices.Contains(f.permissions, p) }) {
		return true
	}
	fail(w, http.StatusForbidden, "PermissionScopeNotGranted", "Authorization failed due to missing permission scope "+enough[0]+".")
	return false
}

func (f *Tenant) user(w http.ResponseWriter, r *http.Request, path string) {
	id, verb, _ := strings.Cut(path, "/")
	p, method := f.people[id], r.Method
	switch {
	case p == nil:
		fail(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+"' does not exist.")
	case method == http.MethodGet && verb == "":
		say(w, http.StatusOK, f.account(id, r))
	case method == http.MethodGet && verb == "manager":
		f.manager(w, r, p)
	case method == http.MethodGet && verb == "transitiveMemberOf/graph.group":
		f.groupsOf(w, r, id)
	case method == http.MethodPost && verb == "revokeSignInSessions":
		p.generation++
		say(w, http.StatusOK, map[string]any{"value": true})
	default:
		fail(w, http.StatusNotFound, "ResourceNotFound", verb)
	}
}

// group is GET members, POST members/$ref and DELETE members/ID/$ref.
func (f *Tenant) group(w http.ResponseWriter, r *http.Request, parts []string, body []byte) {
	members := f.groups[parts[0]]
	if members != nil && r.Method == http.MethodGet && len(parts) == 2 && parts[1] == "owners" {
		f.list(w, r, nil) // PIM's owners alone
		return
	}
	if members != nil && r.Method == http.MethodGet && len(parts) == 3 && parts[1]+"/"+parts[2] == "transitiveMembers/graph.user" {
		f.everyoneIn(w, r, parts[0])
		return
	}
	if members == nil || len(parts) < 2 || parts[1] != "members" {
		fail(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+parts[0]+"' does not exist.")
		return
	}
	switch {
	case r.Method == http.MethodGet && len(parts) == 2:
		var all []map[string]any
		for id := range f.shown(parts[0]) {
			all = append(all, map[string]any{"@odata.type": "#microsoft.graph.user", "id": id})
		}
		slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
		f.list(w, r, all)
	case r.Method == http.MethodPost && len(parts) == 3 && parts[2] == "$ref":
		f.addMember(w, parts[0], body)
	case r.Method == http.MethodDelete && len(parts) == 4 && parts[3] == "$ref":
		if !members[parts[2]] {
			fail(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+parts[2]+"' does not exist.")
			return
		}
		if !f.Lies {
			delete(members, parts[2])
			f.changed(parts[0], parts[2])
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusNotFound, "ResourceNotFound", r.URL.Path)
	}
}

// changed has lists of a group show for a while what was before. What is changed back meanwhile was never seen.
func (f *Tenant) changed(group, id string) {
	if at := [2]string{group, id}; f.late[at] > 0 {
		delete(f.late, at)
	} else {
		f.late[at] = f.Late
	}
}

// shown are the members of a group as a list shows them.
func (f *Tenant) shown(group string) map[string]bool {
	out := maps.Clone(f.groups[group])
	for at, left := range f.late {
		if at[0] != group || left == 0 {
			continue
		}
		f.late[at]--
		if out[at[1]] {
			delete(out, at[1])
		} else {
			out[at[1]] = true
		}
	}
	return out
}

func (f *Tenant) addMember(w http.ResponseWriter, group string, body []byte) {
	members := f.groups[group]
	var in struct {
		ID string `json:"@odata.id"`
	}
	id, ok := "", json.Unmarshal(body, &in) == nil
	if ok {
		id, ok = strings.CutPrefix(in.ID, f.URL+"/v1.0/directoryObjects/")
	}
	switch {
	case !ok:
		fail(w, http.StatusBadRequest, "Request_BadRequest", "Invalid URL format specified in @odata.bind.")
	case f.people[id] == nil:
		fail(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource '"+id+"' does not exist.")
	case members[id]:
		fail(w, http.StatusBadRequest, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'members'.")
	default:
		members[id] = true
		f.changed(group, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

// Person makes a user.
func (f *Tenant) Person(id string) { f.Do(func() { f.people[id] = &person{} }) }

// Disable disables a user.
func (f *Tenant) Disable(id string) { f.Do(func() { f.people[id].disabled = true }) }

// Right makes a right known, with its settings.
func (f *Tenant) Right(r Right, rules Rules) { f.Do(func() { f.rules[r.settings()] = rules }) }

// Group makes a group.
func (f *Tenant) Group(id string) {
	f.Do(func() {
		if f.groups[id] == nil {
			f.groups[id] = map[string]bool{}
		}
	})
}

// Put puts somebody into a group, past everything.
func (f *Tenant) Put(id, group string) { f.Do(func() { f.groups[group][id] = true }) }

// In tells whether somebody is in a group.
func (f *Tenant) In(id, group string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups[group][id]
}

// Plant is how access is planted.
type Plant struct {
	End       time.Time // zero: none
	Activated bool      // by the person
	Through   bool      // a group
}

// Plant gives a right past the connector.
func (f *Tenant) Plant(id string, r Right, how Plant) {
	f.Do(func() {
		f.assigned = append(f.assigned, &assignment{schedule: f.id(), principal: id, right: r, activated: how.Activated, through: how.Through,
			start: f.now().Add(-time.Hour), end: how.End})
	})
}

// PlantPast gives a right past PIM.
func (f *Tenant) PlantPast(id string, r Right) { f.Do(func() { f.past[r] = append(f.past[r], id) }) }

// MakeEligible lets somebody activate a right.
func (f *Tenant) MakeEligible(id string, r Right) {
	f.Do(func() { f.eligible[r] = append(f.eligible[r], id) })
}

// Holds tells who holds what, whatever lists show.
func (f *Tenant) Holds(id string, r Right) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pass()
	return slices.ContainsFunc(f.assigned, func(a *assignment) bool { return !a.gone && a.principal == id && a.right == r })
}

// Holders is how many hold a right.
func (f *Tenant) Holders(r Right) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pass()
	n := 0
	for _, a := range f.assigned {
		if !a.gone && a.right == r {
			n++
		}
	}
	return n
}

// Drop takes away whatever somebody holds, as an administrator would.
func (f *Tenant) Drop(id string, r Right) {
	f.Do(func() {
		for _, a := range f.assigned {
			if a.principal == id && a.right == r {
				a.gone = true
			}
		}
	})
}

// Age makes an assignment older.
func (f *Tenant) Age(id string, r Right, by time.Duration) {
	f.Do(func() {
		for _, a := range f.assigned {
			if a.principal == id && a.right == r {
				a.start = a.start.Add(-by)
			}
		}
	})
}

// SignIn signs somebody in; the answer tells whether that sign-in is good still.
func (f *Tenant) SignIn(id string) func() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	generation := f.people[id].generation
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.people[id].generation == generation
	}
}
