package armfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// floor is how long an assignment lasts at least, and how long it cannot be removed.
const floor = 5 * time.Minute

// request is a role assignment schedule request.
type request struct {
	name, scope, kind, role, account, justification, ticket, by string
	created, decided                                            time.Time // decided: when it comes true
	end                                                         time.Time
	schedule                                                    string
	status                                                      string // empty: by the clock
}

// body is what a PUT brings.
type body struct {
	Properties struct {
		PrincipalID, RoleDefinitionID, RequestType, Justification, TargetRoleAssignmentScheduleID string
		TicketInfo                                                                                struct{ TicketNumber string }
		ScheduleInfo                                                                              struct {
			StartDateTime time.Time
			Expiration    struct {
				Type        string
				EndDateTime time.Time
			}
		}
	}
}

func (s *Server) status(r *request) string {
	switch {
	case r.status != "":
		return r.status
	case r.decided.After(s.now()):
		return "PendingProvisioning"
	case r.kind == "AdminRemove":
		return "Revoked"
	}
	return "Provisioned"
}

// put takes a request.
func (s *Server) put(me, scope, name string, raw []byte) (int, any, *problem) {
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return 0, nil, no(http.StatusBadRequest, "BadRequestFormat", "%v", err)
	}
	p := b.Properties
	now := s.now()
	r := &request{name: name, scope: scope, kind: p.RequestType, role: strings.ToLower(last(p.RoleDefinitionID)), account: p.PrincipalID,
		justification: p.Justification, ticket: p.TicketInfo.TicketNumber, by: me, created: now, decided: now.Add(s.delay),
		end: p.ScheduleInfo.Expiration.EndDateTime}
	if bad := s.mayPut(me, r); bad != nil {
		return 0, nil, bad
	}
	if s.requests[scope+"/"+name] != nil {
		return 0, nil, no(http.StatusBadRequest, "RoleAssignmentExists", "The Role assignment already exists.")
	}
	do := map[string]func(*request, body) *problem{"AdminAssign": s.assign, "AdminUpdate": s.update, "AdminRemove": s.remove}[r.kind]
	if do == nil {
		return 0, nil, no(http.StatusForbidden, "AuthorizationFailed", "%s is for people", r.kind)
	}
	if bad := do(r, b); bad != nil {
		return 0, nil, bad
	}
	s.requests[scope+"/"+name] = r
	return http.StatusCreated, s.show(r), nil
}

// mayPut holds to rights and to what there is.
func (s *Server) mayPut(me string, r *request) *problem {
	action := "Microsoft.Authorization/roleAssignments/write"
	if r.kind == "AdminRemove" {
		action = "Microsoft.Authorization/roleAssignments/delete"
	}
	switch _, known := definitions[r.role]; {
	case !s.may(me, action, r.scope, r.role):
		return no(http.StatusForbidden, "AuthorizationFailed", "The client '%s' does not have authorization to perform action '%s' over scope '%s'.", me, action, r.scope)
	case !known:
		return no(http.StatusBadRequest, "RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist.", r.role)
	case !s.people[r.account] && s.groups[r.account] == nil:
		return no(http.StatusBadRequest, "SubjectNotFound", "The subject is not found.")
	}
	return nil
}

// assign makes an assignment.
func (s *Server) assign(r *request, b body) *problem {
	if s.direct(r.scope, r.role, r.account) != nil {
		return no(http.StatusBadRequest, "RoleAssignmentExists", "The Role assignment already exists.")
	}
	if bad := s.rules(r, b); bad != nil {
		return bad
	}
	r.schedule = r.name
	if r.status = s.fate(r); r.status != "" {
		return nil
	}
	s.assignments = append(s.assignments, &Assignment{Scope: r.scope, Role: r.role, Account: r.account, Start: r.decided, End: r.end,
		schedule: r.name, request: r.name, seen: r.decided.Add(s.lag)})
	return nil
}

// fate is the status of a request that does not come true.
func (s *Server) fate(r *request) string {
	settings := s.settings[r.scope+" "+r.role]
	switch {
	case settings.Approval:
		return "PendingApproval"
	case settings.Fails:
		return "Failed"
	}
	return ""
}

// update moves an assignment's end.
func (s *Server) update(r *request, b body) *problem {
	a := s.direct(r.scope, r.role, r.account)
	if a == nil || !strings.EqualFold(last(b.Properties.TargetRoleAssignmentScheduleID), a.schedule) {
		return no(http.StatusBadRequest, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
	}
	if bad := s.rules(r, b); bad != nil {
		return bad
	}
	r.schedule = a.schedule
	a.End, a.request = r.end, r.name
	return nil
}

// remove removes an assignment. It is named by account, role and scope alone, so whoever made it.
func (s *Server) remove(r *request, _ body) *problem {
	a := s.direct(r.scope, r.role, r.account)
	switch {
	case a == nil:
		return no(http.StatusBadRequest, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
	case s.now().Sub(a.Start) < floor:
		return no(http.StatusBadRequest, "ActiveDurationTooShort", "The active duration is too short. Minimum required is 5 minutes.")
	case a.Activated:
		return no(http.StatusBadRequest, "RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
	}
	r.schedule = a.schedule
	if !s.lies {
		a.gone = r.decided.Add(s.lag)
	}
	return nil
}

// rules holds to the role's settings and to the five minutes.
func (s *Server) rules(r *request, b body) *problem {
	settings, from := s.settings[r.scope+" "+r.role], b.Properties.ScheduleInfo.StartDateTime
	if b.Properties.ScheduleInfo.Expiration.Type != "AfterDateTime" && !settings.Lasting {
		return s.failed("ExpirationRule")
	}
	if r.end.Sub(s.now()) < floor {
		return no(http.StatusBadRequest, "InvalidRoleAssignmentRequestSchedule", "The schedule is shorter than 5 minutes.")
	}
	var rules []string
	if longest := days(settings.Longest); !settings.Lasting && r.end.Sub(from) > longest {
		rules = append(rules, "ExpirationRule")
	}
	if settings.MFA {
		rules = append(rules, "MfaRule")
	}
	if settings.Ticket && r.ticket == "" {
		rules = append(rules, "TicketingRule")
	}
	if !settings.NoJustification && r.justification == "" {
		rules = append(rules, "JustificationRule")
	}
	if len(rules) > 0 {
		return s.failed(rules...)
	}
	return nil
}

func (s *Server) failed(rules ...string) *problem {
	text, _ := json.Marshal(rules) // strings can be marshalled
	return no(http.StatusBadRequest, "RoleAssignmentRequestPolicyValidationFailed", "The following policy rules failed: %s", text)
}

// days reads the few durations that tests set.
func days(text string) time.Duration {
	var n int
	switch {
	case text == "":
		return 180 * 24 * time.Hour
	case strings.HasPrefix(text, "PT"):
		_, _ = fmt.Sscanf(text, "PT%dH", &n)
		return time.Duration(n) * time.Hour
	}
	_, _ = fmt.Sscanf(text, "P%dD", &n)
	return time.Duration(n) * 24 * time.Hour
}

// cancel takes a request back that has not come true.
func (s *Server) cancel(r *request) (int, any, *problem) {
	if st := s.status(r); !strings.HasPrefix(st, "Pending") {
		return 0, nil, no(http.StatusBadRequest, "RoleAssignmentRequestCannotBeCancelled", "The request is %s.", st)
	}
	r.status = "Canceled"
	for _, a := range s.assignments {
		if a.request == r.name {
			a.gone = s.now()
		}
	}
	return http.StatusOK, map[string]any{}, nil
}

func (s *Server) show(r *request) map[string]any {
	p := map[string]any{
		"scope": r.scope, "principalId": r.account, "principalType": "User", "requestType": r.kind, "roleDefinitionId": full(r.scope, r.role),
		"status": s.status(r), "justification": r.justification, "requestorId": r.by, "createdOn": r.created.Format(time.RFC3339Nano),
		"targetRoleAssignmentScheduleId": r.scope + at("roleAssignmentSchedules", r.schedule),
	}
	if !r.end.IsZero() {
		p["scheduleInfo"] = map[string]any{"startDateTime": r.created.Format(time.RFC3339Nano),
			"expiration": map[string]any{"type": "AfterDateTime", "endDateTime": r.end.Format(time.RFC3339Nano)}}
	}
	return map[string]any{"id": r.scope + at("roleAssignmentScheduleRequests", r.name), "name": r.name, "type": "Microsoft.Authorization/RoleAssignmentScheduleRequests", "properties": p}
}

func at(kind, name string) string { return "/providers/Microsoft.Authorization/" + kind + "/" + name }

func last(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

func full(scope, role string) string {
	if parts := strings.Split(scope, "/"); len(parts) > 2 && parts[1] == "subscriptions" {
		return strings.Join(parts[:3], "/") + at("roleDefinitions", role)
	}
	return at("roleDefinitions", role)
}
