package main

import (
	"fmt"
	"testing"

	"elevate/cmd/elevate/e2etest"
)

// TestRequestMadeInSlackIsDecidedInTeams follows one request through both chats: every copy of its message stays true.
func TestRequestMadeInSlackIsDecidedInTeams(t *testing.T) {
	t.Parallel()
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	w := startWorkspace(t, "http://"+listen+"/slack/interactions")
	n := openTenant(t, listen, w)
	n.Enter(e2etest.Channel)

	w.types("ana", fmt.Sprintf("db-admin %s INC-4711 asked for in Slack", brief))
	asked := w.expect(w.inChannel, "Waiting for approval", "Ana Lima (ana) asks for Production database admin", "asked for in Slack")
	n.Expect(append(pending, "asked for in Slack")...)
	n.Shot("1-asked-in-slack", pending...)

	n.Unfolds("Approve", pending...)
	n.Clicks("bob", "Grant access", pending...)
	n.judge.await(n, "Ana holds the role", func() bool { return n.judge.holders() == 1 })
	n.Expect("Active until", "Approved by Bob Keller in Teams")
	n.Shot("2-approved-in-teams", "Active until")
	active := w.expect(w.inChannel, "Active until", "Approved by Bob Keller in Teams")
	if active.TS != asked.TS || active.offers("Approve") {
		t.Errorf("in Slack stands another message, or it still offers to approve: %s", active.says())
	}
	w.clicks("mei", asked, "Approve")
	w.expect(w.only("mei"), "Already approved by Bob Keller in Teams")

	n.judge.await(n, "the access is taken away", func() bool { return n.judge.holders() == 0 })
	n.Expect("Ana Lima (ana) asked for", "Ended. Removed at", "verified by reading the target back")
	n.Shot("3-ended", "Ana Lima (ana) asked for")
	w.expect(w.inChannel, "Ended. Removed at", "verified by reading the target back")
	n.Expect("Approved by Bob Keller in Teams.")
	w.expect(w.below(asked), "Approved by Bob Keller in Teams.")
	n.proves([]string{"ana submit in slack", "bob approve in teams", "elevate arm", "elevate confirm", "mei refused already_settled in slack", "elevate close"})
}
