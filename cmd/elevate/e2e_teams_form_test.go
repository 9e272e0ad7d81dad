package main

import (
	"fmt"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

// TestTeamsFormsAreFilledIn asks by the form, which complains once, denies by the form for a reason, and finds a role.
func TestTeamsFormsAreFilledIn(t *testing.T) {
	t.Parallel()
	n := openTenant(t, fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t)), nil)
	n.Asks(e2etest.Personal, "db-admin 15m")
	form := []string{"Why do you need it?", "15 minutes"}
	n.Shot("1-form", form...)
	n.Fills("Why do you need it?", "too short", form...)
	n.Fills("Ticket", "INC-12", form...)
	n.Clicks("ana", "Send request", form...)
	n.Expect(append(form, "10 characters")...)
	n.Shot("2-complaint", form...)
	n.Fills("Why do you need it?", "rotate the <signing> keys", form...)
	n.Clicks("ana", "Send request", form...)
	n.Expect("Request sent", "Production database admin", "15 minutes")
	n.Shot("3-sent", "Request sent")

	n.Enter(e2etest.Channel)
	n.Expect(append(pending, "rotate the <signing> keys", "INC-12")...)
	n.Clicks("mei", "Deny…", pending...)
	n.Expect("Deny request", "rotate the <signing> keys")
	n.Shot("4-deny", "Deny request")
	n.Fills("Why not?", "Use the runbook *instead*", "Deny request")
	n.Clicks("mei", "Deny", "Deny request")
	n.Expect("Denied by Mei Tanaka", "Use the runbook *instead*", "No access was granted.")
	n.Shot("5-denied", "Denied by Mei Tanaka", "rotate")
	n.Enter(e2etest.Personal)
	told := []string{"Mei Tanaka denied the request", "Use the runbook *instead*"}
	n.Expect(told...)
	n.Shot("6-told", told...)
	if held := n.judge.holders(); held > 0 {
		t.Errorf("%d people hold the role that was denied", held)
	}

	n.Clicks("ana", "Request access…", "You hold no access")
	empty := "Left empty: what is usual for the role."
	n.Finds("Role", "Prod", "Production database admin (db-admin)", empty)
	n.Clicks("ana", "Update the form for this role", empty)
	n.Expect("The policy allows up to 1 hour.")
	n.Shot("7-role-chosen", "The policy allows up to 1 hour.")
}
