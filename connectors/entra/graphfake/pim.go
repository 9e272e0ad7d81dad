package graphfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// floor is the age below which nothing is removed, and the shortest assignment.
const floor = 5 * time.Minute

// assignment is an active assignment.
type assignment struct {
	schedule, principal string
	right               Right
	activated           bool
	through             bool // a group
	start, end          time.Time
	hidden              int  // lists that do not show it yet
	gone                bool // removed
	ghost               int  // lists that show it although it is removed
}

// request is a request for an assignment.
type request struct {
	id, schedule, principal string
	right                   Right
	action, status, why     string
	created, begins, ends   time.Time
	slow                    int         // lists until it is done
	granted                 bool        // it waits for its beginning
	hidden                  int         // lists that do not show it yet
	then                    *assignment // what is there when it is done, or what gets another end
}

// pass lets what was granted begin when its time has come, and ends what has come to its end. The last Global
// Administrator does not end.
func (f *Tenant) pass() {
	now := f.now()
	for _, r := range f.requests {
		if r.granted && !r.begins.After(now) {
			f.provision(r)
		}
	}
	for _, a := range f.assigned {
		if !a.gone && !a.end.IsZero() && !a.end.After(now) && !f.last(a) {
			a.gone = true
		}
	}
}

func (f *Tenant) last(a *assignment) bool {
	return a.right.Role == GlobalAdministrator && !slices.ContainsFunc(f.assigned, func(o *assignment) bool {
		return o != a && !o.gone && o.right.Role == GlobalAdministrator
	})
}

// find is the direct assignment that a removal would hit.
func (f *Tenant) find(right Right, principal string) *assignment {
	for _, a := range f.assigned {
		if !a.gone && a.right == right && a.principal == principal && !a.activated && !a.through {
			return a
		}
	}
	return nil
}

// ask is the body of a request.
type ask struct {
	Action, PrincipalID, RoleDefinitionID, DirectoryScopeID, GroupID, AccessID, Justification, TargetScheduleID string
	TicketInfo                                                                                                  struct{ TicketNumber string }
	ScheduleInfo                                                                                                struct {
		StartDateTime time.Time
		Expiration    struct {
			Type        string
			EndDateTime time.Time
		}
	}
}

func (a ask) right() Right {
	return Right{a.RoleDefinitionID, a.DirectoryScopeID, a.GroupID, a.AccessID}
}

// take does what a request asks for.
func (f *Tenant) take(w http.ResponseWriter, body []byte) {
	var in ask
	if err := json.Unmarshal(body, &in); err != nil {
		fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	f.pass()
	if f.people[in.PrincipalID] == nil {
		fail(w, http.StatusBadRequest, "SubjectNotFound", "The subject is not found.")
		return
	}
	r := &request{id: f.id(), principal: in.PrincipalID, right: in.right(), action: in.Action, why: in.Justification, created: f.now(), status: "Provisioned",
		begins: in.ScheduleInfo.StartDateTime, ends: in.ScheduleInfo.Expiration.EndDateTime, hidden: f.Late}
	r.schedule = r.id
	code := ""
	switch in.Action {
	case "adminAssign":
		code = f.assign(in, r)
	case "adminUpdate":
		code = f.update(in, r)
	case "adminRemove":
		code = f.remove(in, r)
	default:
		code = "InvalidAction"
	}
	if code != "" {
		fail(w, http.StatusBadRequest, strings.Split(code, " ")[0], code)
		return
	}
	if f.Denies != "" {
		r.status, r.then = f.Denies, nil
	}
	f.requests = append(f.requests, r)
	say(w, http.StatusCreated, r.document())
}

// refuses says what the right's settings have against a request.
func (f *Tenant) refuses(in ask) string {
	rules, lasts := f.rules[in.right().settings()], in.ScheduleInfo.Expiration.EndDateTime.Sub(f.now())
	const refused = "RoleAssignmentRequestPolicyValidationFailed "
	switch {
	case in.ScheduleInfo.Expiration.Type != "afterDateTime":
		return "InvalidRoleAssignmentRequestSchedule"
	case lasts < floor-time.Second:
		return "InvalidRoleAssignmentRequestSchedule"
	case slices.Contains(rules.Enabled, "MultiFactorAuthentication"):
		return refused + `["MfaRule"]`
	case slices.Contains(rules.Enabled, "Ticketing") && in.TicketInfo.TicketNumber == "":
		return refused + `["TicketingRule"]`
	case rules.Longest != "" && lasts > days(rules.Longest):
		return refused + `["ExpirationRule"]`
	}
	return ""
}

// days reads P15D and PT4H.
func days(text string) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(text, "P"), "D")); err == nil {
		return time.Duration(n) * 24 * time.Hour
	}
	d, _ := time.ParseDuration(strings.ToLower(strings.TrimPrefix(text, "PT")))
	return d
}

func (f *Tenant) assign(in ask, r *request) string {
	if code := f.refuses(in); code != "" {
		return code
	}
	for _, a := range f.assigned {
		if !a.gone && a.right == r.right && a.principal == r.principal && !a.through {
			return "RoleAssignmentExists"
		}
	}
	if slices.ContainsFunc(f.requests, func(o *request) bool {
		return (o.slow > 0 || o.granted) && o.right == r.right && o.principal == r.principal
	}) {
		return "PendingRoleAssignmentRequest"
	}
	a := &assignment{schedule: r.id, principal: r.principal, right: r.right, start: f.now(), end: in.ScheduleInfo.Expiration.EndDateTime, hidden: f.Lag}
	switch {
	case f.Denies != "":
	case f.Slow > 0:
		r.status, r.slow, r.then = "PendingProvisioning", f.Slow, a
	case r.begins.After(f.now()):
		r.status, r.granted, r.then = "Granted", true, a
	default:
		r.then = a
		f.provision(r)
	}
	return ""
}

func (f *Tenant) update(in ask, r *request) string {
	a := f.find(r.right, r.principal)
	if a == nil || in.TargetScheduleID != a.schedule {
		return "RoleAssignmentDoesNotExist"
	}
	if code := f.refuses(in); code != "" {
		return code
	}
	r.schedule, r.then = a.schedule, a
	if f.Slow > 0 {
		r.status, r.slow = "PendingProvisioning", f.Slow
	} else if f.Denies == "" {
		f.provision(r)
	}
	return ""
}

func (f *Tenant) remove(in ask, r *request) string {
	a := f.find(r.right, r.principal)
	switch {
	case a == nil:
		return "RoleAssignmentDoesNotExist"
	case f.now().Sub(a.start) < floor:
		return "ActiveDurationTooShort"
	case f.last(a):
		return "LastGlobalAdministrator"
	}
	r.schedule, r.status = a.schedule, "Revoked"
	if !f.Lies && f.Denies == "" {
		a.gone, a.ghost = true, f.Lag
	}
	return ""
}

// work does requests that were accepted and take their time; each list of requests is a step.
func (f *Tenant) work() {
	f.pass()
	for _, r := range f.requests {
		if r.slow == 0 {
			continue
		}
		if r.slow--; r.slow == 0 {
			f.provision(r)
		}
	}
}

// provision does what a request asks for. What was to get another end may be gone meanwhile.
func (f *Tenant) provision(r *request) {
	r.granted, r.status = false, "Provisioned"
	switch {
	case r.then.gone:
		r.status = "Failed"
	case f.Vague:
		r.status = "Granted"
	}
	if r.then.end = r.ends; r.action == "adminAssign" {
		r.then.start = f.now()
		f.assigned = append(f.assigned, r.then)
	}
}

func (f *Tenant) cancel(w http.ResponseWriter, id string) {
	for _, r := range f.requests {
		if r.id == id && (r.granted || r.slow > 0 && !f.Firm) {
			r.slow, r.granted, r.status = 0, false, "Canceled"
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	fail(w, http.StatusBadRequest, "BadRequest", "It is in no state to be cancelled.")
}

func (r *request) document() map[string]any {
	doc := map[string]any{"id": r.id, "targetScheduleId": r.schedule, "principalId": r.principal, "action": r.action, "status": r.status,
		"justification": r.why, "createdDateTime": stamp(r.created)}
	if r.action != "adminRemove" {
		doc["scheduleInfo"] = map[string]any{"startDateTime": stamp(r.begins), "expiration": map[string]any{"type": "afterDateTime", "endDateTime": stamp(r.ends)}}
	}
	r.right.describe(doc)
	return doc
}

func (r Right) describe(doc map[string]any) {
	if r.Group != "" {
		doc["groupId"], doc["accessId"] = r.Group, r.As
		return
	}
	doc["roleDefinitionId"], doc["directoryScopeId"] = r.Role, r.Scope
}

// settings is the right whose settings count: those of a role are for all scopes.
func (r Right) settings() Right {
	r.Scope = ""
	return r
}

func (a *assignment) document() map[string]any {
	doc := map[string]any{"id": "instance-" + a.schedule, "principalId": a.principal, "startDateTime": stamp(a.start), "endDateTime": nil}
	if !a.end.IsZero() {
		doc["endDateTime"] = stamp(a.end)
	}
	kind, member := "Assigned", "Direct"
	if a.activated {
		kind = "Activated"
	}
	if a.through {
		member = "Group"
	}
	if a.right.Group != "" {
		kind, member = strings.ToLower(kind), strings.ToLower(member)
		doc["assignmentScheduleId"] = a.schedule
	} else {
		doc["roleAssignmentScheduleId"] = a.schedule
	}
	doc["assignmentType"], doc["memberType"] = kind, member
	a.right.describe(doc)
	return doc
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

// instances lists active assignments as they show.
func (f *Tenant) instances(groups bool) []map[string]any {
	f.pass()
	var out []map[string]any
	for _, a := range f.assigned {
		shows := !a.gone
		if a.gone && a.ghost > 0 {
			a.ghost--
			shows = true
		}
		if a.hidden > 0 {
			a.hidden--
			shows = false
		}
		if shows && (a.right.Group != "") == groups {
			out = append(out, a.document())
		}
	}
	return out
}

func (f *Tenant) asked(groups bool) []map[string]any {
	f.work()
	var out []map[string]any
	for _, r := range f.requests {
		if r.hidden > 0 {
			r.hidden--
		} else if (r.right.Group != "") == groups {
			out = append(out, r.document())
		}
	}
	return out
}

// listed turns lists of principals by right into documents.
func listed(of map[Right][]string, groups bool) []map[string]any {
	var out []map[string]any
	for right, principals := range of {
		for _, p := range principals {
			if (right.Group != "") == groups {
				doc := map[string]any{"id": right.Role + right.Group + p, "principalId": p}
				right.describe(doc)
				out = append(out, doc)
			}
		}
	}
	slices.SortFunc(out, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	return out
}

// policies lists settings.
func (f *Tenant) policies() []map[string]any {
	var out []map[string]any
	for right, rules := range f.rules {
		doc := map[string]any{"id": "policy-of-" + right.Role + right.Group + right.As, "policyId": "p", "scopeId": "/", "scopeType": "DirectoryRole", "roleDefinitionId": right.Role}
		if right.Group != "" {
			doc["scopeId"], doc["scopeType"], doc["roleDefinitionId"] = right.Group, "Group", right.As
		}
		longest := rules.Longest
		if longest == "" {
			longest = "P180D"
		}
		doc["policy"] = map[string]any{"id": "p", "rules": []map[string]any{
			{"@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyExpirationRule", "id": "Expiration_Admin_Assignment",
				"isExpirationRequired": rules.Longest != "", "maximumDuration": longest},
			{"@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyExpirationRule", "id": "Expiration_EndUser_Assignment",
				"isExpirationRequired": true, "maximumDuration": "PT1H"},
			{"@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyEnablementRule", "id": "Enablement_Admin_Assignment", "enabledRules": rules.Enabled},
			{"@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyEnablementRule", "id": "Enablement_EndUser_Assignment",
				"enabledRules": []string{"MultiFactorAuthentication", "Justification", "Ticketing"}},
		}}
		out = append(out, doc)
	}
	return out
}

// pageSize is small, so that every list has several pages.
const pageSize = 3

// list answers with a page of what a filter lets through.
func (f *Tenant) list(w http.ResponseWriter, r *http.Request, all []map[string]any) {
	q := r.URL.Query()
	kept, err := filter(all, q.Get("$filter"))
	if err != nil {
		f.problems = append(f.problems, err.Error())
		fail(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	f.page(w, r, kept)
}

// page answers with a page of a list.
func (f *Tenant) page(w http.ResponseWriter, r *http.Request, all []map[string]any) {
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("$skiptoken"))
	from = min(from, len(all))
	to := min(from+pageSize, len(all))
	out := map[string]any{"value": append([]map[string]any{}, all[from:to]...)}
	if to < len(all) {
		q.Del("$top")
		q.Set("$skiptoken", strconv.Itoa(to))
		out["@odata.nextLink"] = f.URL + r.URL.Path + "?" + q.Encode()
	}
	say(w, http.StatusOK, out)
}

// filter understands "a eq 'x' and b eq 'y'".
func filter(all []map[string]any, text string) ([]map[string]any, error) {
	kept := slices.Clone(all)
	if text == "" {
		return kept, nil
	}
	for part := range strings.SplitSeq(text, " and ") {
		key, value, ok := strings.Cut(part, " eq ")
		if !ok || len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
			return nil, fmt.Errorf("the filter %q is not understood", text)
		}
		kept = slices.DeleteFunc(kept, func(doc map[string]any) bool { return doc[key] != value[1:len(value)-1] })
	}
	return kept, nil
}
