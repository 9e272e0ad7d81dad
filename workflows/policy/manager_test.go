package policy

import (
	"errors"
	"strings"
	"testing"

	"elevate/workflows/access"
)

// TestTheManagerDecides: the requester's own and nobody else's, and nobody at all where there is none, whatever two people
// without managers have in common.
func TestTheManagerDecides(t *testing.T) {
	t.Parallel()
	managed, alone := ana, ana
	managed.Manager = "ben"
	own := ana
	own.Manager = "ana"
	for _, c := range []struct {
		by                  string
		approver, requester access.Person
		want                string // code; empty: may
	}{
		{`person.id == requester.manager`, ben, managed, ""},
		{`person.id == requester.manager`, cleo, managed, CodeNotApprover},
		{`person.id == requester.manager`, ben, alone, CodeNoManager},
		{`person.id == requester.manager`, ana, own, CodeSelfApproval},
		{`requester.manager != person.id`, ben, alone, CodeNoManager},
		{`!(requester.manager == "cleo")`, ben, alone, CodeNoManager},
		{`person.id == requester.manager || "dba" in person.groups`, cleo, alone, ""},
		{`person.id == requester.manager || "dba" in person.groups`, ben, alone, CodeNoManager},
		{`has(requester.manager) && person.id == requester.manager`, ben, alone, CodeNotApprover},
		{`has(requester.manager) ? person.id == requester.manager : "dba" in person.groups`, cleo, alone, ""},
		{`has(requester.manager) ? person.id == requester.manager : "dba" in person.groups`, ben, managed, ""},
		{`["x"].exists(x, requester.manager == person.id)`, ben, alone, CodeNoManager},
	} {
		p := compiled(t, with(func(r *Rule) { r.Approve = []Approval{{By: c.by}} }))
		if !p.AsksManager(0) || p.AsksManager(1) || p.AsksManager(-1) {
			t.Errorf("%s: it is not known that the manager is asked for", c.by)
		}
		kind, code := kind(t, p.MayApprove(0, c.approver, c.requester, c.requester, db, ask))
		if code != c.want || code != "" && !errors.Is(kind, access.ErrNotAllowed) {
			t.Errorf("%s: %s on %s's: %q (%v), want %q", c.by, c.approver.ID, c.requester.ID, code, kind, c.want)
		}
	}
	if p := compiled(t, rule()); p.AsksManager(0) || p.TestsManager(0) {
		t.Error("a rule about groups asks for the manager")
	}
}

// TestItIsKnownWhichRulesAreTrueForWantOfAManager, however they are written: those are not to be asked where nobody can tell.
func TestItIsKnownWhichRulesAreTrueForWantOfAManager(t *testing.T) {
	t.Parallel()
	for by, tests := range map[string]bool{
		`person.id == requester.manager`:                                                           false,
		`person.id == requester.manager || "dba" in person.groups`:                                 false,
		`!(person.id != requester.manager && !("dba" in person.groups))`:                           false,
		`[requester].exists(r, r.manager == person.id) || "dba" in person.groups`:                  false,
		`has(requester.manager) ? person.id == requester.manager : "dba" in person.groups`:         true,
		`!has(requester.manager) && "dba" in person.groups`:                                        true,
		`[requester].exists(r, !has(r.manager)) && "dba" in person.groups`:                         true,
		`(person.id == "x" ? person : requester).?manager.orValue("") == "" && person.id != "ana"`: true,
		`requester.?manager.hasValue() ? person.id == requester.manager : "dba" in person.groups`:  true,
	} {
		p := compiled(t, with(func(r *Rule) { r.Approve = []Approval{{By: by}} }))
		if !p.AsksManager(0) || p.TestsManager(0) != tests || p.TestsManager(1) {
			t.Errorf("%s: asks %t, tests %t", by, p.AsksManager(0), p.TestsManager(0))
		}
		managed := ana
		managed.Manager = "ben"
		alone := p.MayApprove(0, cleo, ana, ana, db, ask) == nil
		with := p.MayApprove(0, cleo, managed, managed, db, ask) == nil
		if alone && !with && !tests {
			t.Errorf("%s: cleo may because there is no manager, and that is not known", by)
		}
	}
}

// TestManagersAreOfRequestersAlone: of approvers none is looked up, so a rule that reads theirs is no rule.
func TestManagersAreOfRequestersAlone(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rule{
		"eligible":      with(func(r *Rule) { r.Eligible = `person.manager == "ben"` }),
		"approve[0].by": with(func(r *Rule) { r.Approve[0].By = `person.manager == requester.manager` }),
	} {
		s, problems := Compile([]Rule{r}, []access.Role{db})
		if s != nil || len(problems) != 1 || problems[0].Key != name || !strings.Contains(problems[0].Text, "person.id == requester.manager") {
			t.Errorf("%s: %+v", name, problems)
		}
	}
	if _, err := People(`person.manager == "ben"`); err == nil {
		t.Error("administrators can be chosen by their managers")
	}
}
