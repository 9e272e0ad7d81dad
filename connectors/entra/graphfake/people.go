package graphfake

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The bounds of Graph: values of "in", and objects on a page.
const (
	mostIn   = 15
	mostPage = 999
)

// User is what a test says of somebody's account.
type User struct {
	Name, Mail string
	Guest      bool
	Manager    string // an id
}

// User makes a user, or changes one.
func (f *Tenant) User(id string, u User) {
	f.Do(func() {
		if f.people[id] == nil {
			f.people[id] = &person{}
		}
		p := f.people[id]
		p.name, p.mail, p.guest, p.manager = u.Name, u.Mail, u.Guest, u.Manager
	})
}

// Enable takes Disable back.
func (f *Tenant) Enable(id string) { f.Do(func() { f.people[id].disabled = false }) }

// Delete deletes a user, who is then in no group and nobody's manager.
func (f *Tenant) Delete(id string) {
	f.Do(func() {
		delete(f.people, id)
		for _, members := range f.groups {
			delete(members, id)
		}
		for _, p := range f.people {
			if p.manager == id {
				p.manager = ""
			}
		}
	})
}

// Leave takes somebody out of a group.
func (f *Tenant) Leave(id, group string) { f.Do(func() { delete(f.groups[group], id) }) }

// Nest makes a group a member of another.
func (f *Tenant) Nest(inner, outer string) {
	f.Do(func() { f.inside[outer] = append(f.inside[outer], inner) })
}

// members are the people in a group, and in the groups in it.
func (f *Tenant) members(group string, seen map[string]bool) map[string]bool {
	all := map[string]bool{}
	if seen[group] {
		return all
	}
	seen[group] = true
	maps.Copy(all, f.groups[group])
	for _, inner := range f.inside[group] {
		maps.Copy(all, f.members(inner, seen))
	}
	return all
}

// account is a user as Graph shows it: what was asked for, and what the application may see.
func (f *Tenant) account(id string, r *http.Request) map[string]any {
	p, kind := f.people[id], "Member"
	if p.guest {
		kind = "Guest"
	}
	all := map[string]any{"id": id, "displayName": p.name, "mail": p.mail, "accountEnabled": !p.disabled, "userType": kind}
	wanted := strings.Split(r.URL.Query().Get("$select"), ",")
	sees := slices.Contains(f.permissions, "User.Read.All")
	doc := map[string]any{"@odata.type": "#microsoft.graph.user"}
	for key, value := range all {
		if slices.Contains(wanted, key) {
			doc[key] = value
			if !sees && key != "id" {
				doc[key] = nil
			}
		}
	}
	return doc
}

func (f *Tenant) manager(w http.ResponseWriter, r *http.Request, p *person) {
	if f.people[p.manager] == nil {
		fail(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource 'manager' does not exist or one of its queried reference-property objects are not present.")
		return
	}
	say(w, http.StatusOK, f.account(p.manager, r))
}

// search answers /users?$filter=id in ('…','…').
func (f *Tenant) search(w http.ResponseWriter, r *http.Request) {
	text, ok := strings.CutPrefix(r.URL.Query().Get("$filter"), "id in ('")
	text, closed := strings.CutSuffix(text, "')")
	ids := strings.Split(text, "','")
	if !ok || !closed || len(ids) > mostIn {
		fail(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Too many child clauses specified in search filter expression, or none that is understood.")
		return
	}
	var all []map[string]any
	for _, id := range ids {
		if f.people[id] != nil {
			all = append(all, f.account(id, r))
		}
	}
	f.page(w, r, all)
}

// groupsOf lists the groups that a user is in, directly or through others.
func (f *Tenant) groupsOf(w http.ResponseWriter, r *http.Request, id string) {
	if !f.advanced(w, r) {
		return
	}
	var all []map[string]any
	for _, group := range slices.Sorted(maps.Keys(f.groups)) {
		if f.members(group, map[string]bool{})[id] {
			all = append(all, map[string]any{"@odata.type": "#microsoft.graph.group", "id": group})
		}
	}
	f.page(w, r, all)
}

// everyoneIn lists the people in a group, directly or through others.
func (f *Tenant) everyoneIn(w http.ResponseWriter, r *http.Request, group string) {
	if !f.advanced(w, r) {
		return
	}
	var all []map[string]any
	for _, id := range slices.Sorted(maps.Keys(f.members(group, map[string]bool{}))) {
		all = append(all, f.account(id, r))
	}
	f.page(w, r, all)
}

// advanced holds a request to what Graph asks of advanced queries: the header on every page, and a count.
func (f *Tenant) advanced(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	top, err := strconv.Atoi(q.Get("$top"))
	switch {
	case !strings.EqualFold(r.Header.Get("ConsistencyLevel"), "eventual"), q.Get("$count") != "true":
		fail(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Request needs the header ConsistencyLevel: eventual, and $count=true: "+unescaped(r.URL))
	case q.Has("$top") && (err != nil || top < 1 || top > mostPage):
		fail(w, http.StatusBadRequest, "Request_BadRequest", "Invalid page size specified: "+q.Get("$top"))
	default:
		return true
	}
	return false
}

func unescaped(u *url.URL) string {
	text, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		return u.RawQuery
	}
	return text
}
