package armfake

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// path takes apart what a request of Microsoft.Authorization is about.
var path = regexp.MustCompile(`^(.*)/providers/Microsoft\.Authorization/([A-Za-z]+)(?:/([^/]+))?(?:/([a-z]+))?$`)

// answer does what is asked.
func (s *Server) answer(r *http.Request, raw []byte) (int, any, *problem) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	me, known := s.tokens[token]
	if !known {
		return 0, nil, no(http.StatusUnauthorized, "InvalidAuthenticationToken", "The access token is invalid.")
	}
	if bad := s.checkRequest(r, raw); bad != nil {
		return 0, nil, bad
	}
	switch r.URL.Path {
	case "/tenants":
		return http.StatusOK, list([]any{map[string]any{"tenantId": Tenant}}), nil
	case "/subscriptions":
		return http.StatusOK, s.visible(me, "", 2), nil
	}
	if sub, ok := strings.CutSuffix(r.URL.Path, "/resourcegroups"); ok {
		return http.StatusOK, s.visible(me, sub, 4), nil
	}
	parts := path.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		return 0, nil, no(http.StatusNotFound, "InvalidResourceType", "There is no %s.", r.URL.Path)
	}
	scope, kind, name, verb := strings.ToLower(parts[1]), parts[2], parts[3], parts[4]
	if kind == "roleDefinitions" {
		return s.definition(name)
	}
	if !s.scopes[scope] {
		return 0, nil, no(http.StatusNotFound, "ResourceGroupNotFound", "There is no %s.", scope)
	}
	if r.Method == http.MethodGet && !s.may(me, "Microsoft.Authorization/"+kind+"/read", scope, "") {
		return 0, nil, no(http.StatusForbidden, "AuthorizationFailed", "The client '%s' does not have authorization over scope '%s'.", me, scope)
	}
	return s.about(r, me, scope, kind, name, verb, raw)
}

func (s *Server) about(r *http.Request, me, scope, kind, name, verb string, raw []byte) (int, any, *problem) {
	filter := r.URL.Query().Get("$filter")
	switch {
	case kind == "roleAssignmentScheduleRequests" && r.Method == http.MethodPut:
		return s.put(me, scope, name, raw)
	case kind == "roleAssignmentScheduleRequests":
		q := s.requests[scope+"/"+name]
		if q == nil {
			return 0, nil, no(http.StatusNotFound, "RoleAssignmentScheduleRequestNotFound", "There is no such request.")
		}
		if verb == "cancel" {
			return s.cancel(q)
		}
		return http.StatusOK, s.show(q), nil
	case kind == "roleAssignmentSchedules":
		return s.schedule(scope, name)
	case kind == "roleAssignmentScheduleInstances":
		return s.instances(scope, filter)
	case kind == "roleEligibilityScheduleInstances":
		return s.eligibles(scope, filter)
	case kind == "roleManagementPolicyAssignments":
		return s.policies(scope, filter)
	case kind == "roleAssignments" && filter == "assignedTo('"+me+"')":
		return http.StatusOK, s.rightsOf(me, scope), nil
	}
	return 0, nil, no(http.StatusBadRequest, "BadRequest", "There is no %s %s?%s here.", r.Method, kind, r.URL.RawQuery)
}

func list(values []any) map[string]any { return map[string]any{"value": values} }

// chosen says whom a filter is about; an empty account for everybody at the scope and above.
var chosen = regexp.MustCompile(`^(?:atScope\(\)|assignedTo\('([0-9a-f-]+)'\))$`)

// fits tells whether an assignment is in a list. Principals are found below the scope too.
func (s *Server) fits(a *Assignment, scope, account string) bool {
	if account == "" {
		return s.reaches(a.Scope, scope)
	}
	mine := a.Account == account || slices.Contains(s.groups[a.Account], account)
	return mine && (s.reaches(a.Scope, scope) || s.reaches(scope, a.Scope))
}

func (s *Server) instances(scope, filter string) (int, any, *problem) {
	who := chosen.FindStringSubmatch(filter)
	if who == nil {
		return 0, nil, no(http.StatusBadRequest, "InvalidFilter", "The filter %q is not supported.", filter)
	}
	out := []any{}
	for _, a := range s.assignments {
		if s.live(a) && !a.seen.After(s.now()) && s.fits(a, scope, who[1]) {
			p := s.properties(a, scope)
			p["assignmentType"] = "Assigned"
			if a.Activated {
				p["assignmentType"] = "Activated"
			}
			p["roleAssignmentScheduleId"] = a.Scope + at("roleAssignmentSchedules", a.schedule)
			out = append(out, map[string]any{"id": a.Scope + at("roleAssignmentScheduleInstances", a.schedule), "name": a.schedule, "properties": p})
		}
	}
	page := list(out)
	if s.next != "" {
		page["nextLink"] = s.next
	}
	return http.StatusOK, page, nil
}

func (s *Server) eligibles(scope, filter string) (int, any, *problem) {
	who := chosen.FindStringSubmatch(filter)
	if who == nil {
		return 0, nil, no(http.StatusBadRequest, "InvalidFilter", "The filter %q is not supported.", filter)
	}
	out := []any{}
	for _, a := range s.eligible {
		if s.live(&a) && s.fits(&a, scope, who[1]) {
			p := s.properties(&a, scope)
			p["roleEligibilityScheduleId"] = a.Scope + at("roleEligibilitySchedules", a.schedule)
			out = append(out, map[string]any{"id": a.Scope + at("roleEligibilityScheduleInstances", a.schedule), "name": a.schedule, "properties": p})
		}
	}
	return http.StatusOK, list(out), nil
}

// properties are what an instance says, seen from a scope.
func (s *Server) properties(a *Assignment, from string) map[string]any {
	p := map[string]any{"scope": a.Scope, "principalId": a.Account, "principalType": "User", "roleDefinitionId": full(a.Scope, a.Role),
		"memberType": "Direct", "status": "Provisioned", "startDateTime": a.Start.Format(time.RFC3339Nano)}
	if s.groups[a.Account] != nil {
		p["principalType"], p["memberType"] = "Group", "Group"
	}
	if a.Scope != from {
		p["memberType"] = "Inherited"
	}
	if !a.End.IsZero() {
		p["endDateTime"] = a.End.Format(time.RFC3339Nano)
	}
	if a.Condition != "" {
		p["condition"], p["conditionVersion"] = a.Condition, "2.0"
	}
	return p
}

func (s *Server) schedule(scope, name string) (int, any, *problem) {
	for _, a := range s.assignments {
		if a.Scope != scope || a.schedule != name {
			continue
		}
		p := s.properties(a, scope)
		p["assignmentType"] = "Assigned"
		if a.request != "" {
			p["roleAssignmentScheduleRequestId"] = scope + at("roleAssignmentScheduleRequests", a.request)
		}
		return http.StatusOK, map[string]any{"id": scope + at("roleAssignmentSchedules", name), "name": name, "properties": p}, nil
	}
	return 0, nil, no(http.StatusNotFound, "RoleAssignmentScheduleNotFound", "There is no such schedule.")
}

func (s *Server) policies(scope, filter string) (int, any, *problem) {
	parts := regexp.MustCompile(`^roleDefinitionId eq '(.+)'$`).FindStringSubmatch(filter)
	if parts == nil {
		return 0, nil, no(http.StatusBadRequest, "InvalidFilter", "The filter %q is not supported.", filter)
	}
	role := last(parts[1])
	if _, known := definitions[role]; !known || full(scope, role) != parts[1] {
		return http.StatusOK, list([]any{}), nil
	}
	settings := s.settings[scope+" "+role]
	longest := settings.Longest
	if longest == "" {
		longest = "P180D"
	}
	var enabled []string
	for _, e := range []struct {
		on   bool
		name string
	}{{!settings.NoJustification, "Justification"}, {settings.MFA, "MultiFactorAuthentication"}, {settings.Ticket, "Ticketing"}} {
		if e.on {
			enabled = append(enabled, e.name)
		}
	}
	return http.StatusOK, list([]any{map[string]any{"name": "p_" + role, "properties": map[string]any{
		"scope": scope, "roleDefinitionId": parts[1], "effectiveRules": []any{
			map[string]any{"id": "Expiration_Admin_Eligibility", "ruleType": "RoleManagementPolicyExpirationRule", "isExpirationRequired": true, "maximumDuration": "PT1H"},
			map[string]any{"id": "Expiration_Admin_Assignment", "ruleType": "RoleManagementPolicyExpirationRule", "isExpirationRequired": !settings.Lasting, "maximumDuration": longest},
			map[string]any{"id": "Enablement_Admin_Assignment", "ruleType": "RoleManagementPolicyEnablementRule", "enabledRules": enabled},
			map[string]any{"id": "Enablement_EndUser_Assignment", "ruleType": "RoleManagementPolicyEnablementRule", "enabledRules": []string{"MultiFactorAuthentication", "Ticketing"}},
		}}}}), nil
}

func (s *Server) definition(id string) (int, any, *problem) {
	d, known := definitions[strings.ToLower(id)]
	if !known {
		return 0, nil, no(http.StatusNotFound, "RoleDefinitionDoesNotExist", "There is no role definition %s.", id)
	}
	return http.StatusOK, map[string]any{"id": at("roleDefinitions", id), "name": id, "properties": map[string]any{"roleName": d.name,
		"permissions": []any{map[string]any{"actions": d.actions, "notActions": d.not, "dataActions": d.onData}}}}, nil
}

// rightsOf lists what an application holds at a scope, above and below it.
func (s *Server) rightsOf(me, scope string) map[string]any {
	out := []any{}
	for _, right := range s.rights[me] {
		if s.reaches(right.Scope, scope) || s.reaches(scope, right.Scope) {
			out = append(out, map[string]any{"name": "a", "properties": map[string]any{"scope": right.Scope, "principalId": me,
				"roleDefinitionId": at("roleDefinitions", right.Role), "condition": right.Condition}})
		}
	}
	return list(out)
}

// visible are the subscriptions, or the resource groups of one, that an application may read, or read something in.
func (s *Server) visible(me, below string, depth int) map[string]any {
	out := []any{}
	for scope := range s.scopes {
		sees := func(r Right) bool { return s.reaches(r.Scope, scope) || depth == 2 && s.reaches(scope, r.Scope) }
		if strings.Count(scope, "/") == depth && strings.HasPrefix(scope, "/subscriptions/") && strings.HasPrefix(scope, below) && slices.ContainsFunc(s.rights[me], sees) {
			out = append(out, map[string]any{"id": scope})
		}
	}
	return list(out)
}

// may tells whether an application may do something. A condition names the roles that it may give.
func (s *Server) may(me, action, scope, role string) bool {
	return slices.ContainsFunc(s.rights[me], func(r Right) bool {
		d := definitions[r.Role]
		return s.reaches(r.Scope, scope) && anyFits(d.actions, action) && !anyFits(d.not, action) &&
			(role == "" || r.Condition == "" || strings.Contains(r.Condition, role))
	})
}

func anyFits(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		text := "(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$"
		return regexp.MustCompile(text).MatchString(action)
	})
}
