package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
)

// TestTeamsStory is the product's main job in Teams, with the authentication that it has in production.
func TestTeamsStory(t *testing.T) {
	t.Parallel()
	n := openTenant(t, fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t)), nil)
	n.turnsForgeriesAway()
	n.asks()
	n.decides()
	n.works()
	n.ends()
	n.proves([]string{
		"ana submit in teams", "ana refused self_approval in teams", "bob approve in teams", "elevate arm", "elevate confirm",
		"mei refused already_settled in teams", "elevate close",
	})
}

// turnsForgeriesAway sends the bot what only the Bot Framework may: words in Ana's name.
func (n *tenant) turnsForgeriesAway() {
	n.Helper()
	other, expired := n.Claims(n.ServiceURL()), n.Claims(n.ServiceURL())
	other["aud"] = teamsfake.TenantID
	expired["exp"] = other["nbf"].(int64) - 3600
	for name, header := range map[string]string{
		"nothing": "", "a password": "Basic YW5hOmFuYQ==", "no token": "Bearer x",
		"a token for another bot":         "Bearer " + n.Sign(n.Header(), other),
		"a token that has expired":        "Bearer " + n.Sign(n.Header(), expired),
		"a token for another service URL": "Bearer " + n.Token("https://smba.trafficmanager.net/teams/"),
	} {
		req, err := http.NewRequestWithContext(n.Context(), http.MethodPost, "http://"+n.bot.Address()+"/api/messages", strings.NewReader(n.words()))
		if err != nil {
			n.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			n.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			n.Errorf("with %s the bot answers %s", name, res.Status)
		}
	}
}

// words is an activity by which Ana asks for the role, personally.
func (n *tenant) words() string {
	ana := teamsfake.ObjectID("ana")
	return fmt.Sprintf(`{"type":"message","id":"1","channelId":"msteams","serviceUrl":%q,"text":"db-admin 1h INC-1 forged by somebody",
		"from":{"id":%q,"aadObjectId":%q},"recipient":{"id":%q},"channelData":{"tenant":{"id":%[5]q}},
		"conversation":{"id":"a:personal","conversationType":"personal","tenantId":%[5]q}}`,
		n.ServiceURL(), teamsfake.MRI(ana), ana, teamsfake.Bot, teamsfake.TenantID)
}

// pending is how the channel's message begins.
var pending = []string{"Waiting for approval", "Ana Lima (ana) asks for Production database admin"}

// asks mentions the bot in the channel; the request waits for somebody, and gives nothing.
func (n *tenant) asks() {
	n.Helper()
	n.Enter(e2etest.Personal)
	n.Expect("You hold no access")
	n.Shot("1-home", "You hold no access")
	n.Asks(e2etest.Channel, fmt.Sprintf("db-admin %s INC-4711 fix <replication> & *lag*", brief))
	n.Expect(append(pending, "INC-4711", "fix <replication> & *lag*", "Bob Keller and Mei Tanaka", "No access has been granted yet.")...)
	n.Shot("2-pending", pending...)
	if held := n.judge.holders(); held > 0 {
		n.Errorf("%d people hold the role before it was approved", held)
	}
}

// decides clicks as the requester, who may not, and as an approver.
func (n *tenant) decides() {
	n.Helper()
	n.Unfolds("Approve", pending...)
	n.Expect("Grant this access?", "Ana Lima gets Production database admin at pg-prod for 15 seconds.")
	n.Shot("3-asked-back", pending...)
	n.Clicks("ana", "Grant access", pending...)
	n.Expect(append(pending, "You asked for this yourself, so somebody else has to decide.")...)
	n.Shot("4-refused", pending...)
	if held := n.judge.holders(); held > 0 {
		n.Errorf("%d people hold the role by the requester's own click", held)
	}
	if answer := n.Repeats("bob"); !strings.Contains(answer, "Approved") {
		n.Errorf("Bob is answered: %s", answer)
	}
	n.judge.await(n, "Ana holds the role", func() bool { return n.judge.holders() == 1 })
}

// works looks at what is told while Ana holds the role; another approver comes too late.
func (n *tenant) works() {
	n.Helper()
	n.Expect("Active until", "Approved by Bob Keller", "Ana Lima (ana) asked for")
	n.Shot("5-active", "Active until")
	if answer := n.Repeats("mei"); !strings.Contains(answer, "Already approved by Bob Keller") {
		n.Errorf("Mei is answered: %s", answer)
	}
	n.Expect("Ana Lima holds the role now")
	n.Enter(e2etest.Personal)
	n.Expect("was approved by Bob Keller")
	n.Expect("You hold Production database admin", "Use it at pg-prod with your account ana", "End now")
	n.Shot("6-active-personal", "You hold Production database admin")
}

// ends waits for the end, and looks at what it left.
func (n *tenant) ends() {
	n.Helper()
	n.judge.await(n, "the access is taken away", func() bool { return n.judge.holders() == 0 })
	n.Expect("Access has ended", "verified by reading the target back")
	n.Shot("7-ended-personal", "Access has ended")
	n.Enter(e2etest.Channel)
	n.Expect("Ana Lima (ana) asked for", "Ended. Removed at", "verified by reading the target back")
	n.Shot("8-ended", "Ana Lima (ana) asked for")
	if posts := n.Posts(); !slices.Equal(posts, []e2etest.Post{{By: "Elevate", Cards: 4}, {By: "Ana Lima"}}) {
		n.Errorf("the channel has %v, not one message of the request, three answers below it and what Ana wrote", posts)
	}
	updates := n.Calls(http.MethodPut)
	for _, u := range updates {
		if u.Status != http.StatusOK || u.Path != updates[0].Path {
			n.Errorf("not an update of the request's one message: %s %d", u.Path, u.Status)
		}
	}
	if len(updates) < 2 {
		n.Errorf("the message was updated %d times", len(updates))
	}
}

// proves stops the bot, and compares what the target saw and what is on record with one grant.
func (n *tenant) proves(recorded []string) {
	n.Helper()
	n.bot.Stop()
	log := e2etest.Events(n, e2etest.Proved(n, e2etest.AuditFolders(n.bot)))
	if len(log) != 1 {
		n.Fatalf("the audit log tells of %d requests", len(log))
	}
	for id, events := range log {
		var happened []string
		for _, e := range events {
			said := string(e.Actor.Person) + " " + e.Kind
			if e.Kind == "refused" {
				said += " " + e.Reason
			}
			if e.Actor.Via != "elevate" {
				said += " in " + e.Actor.Via
			}
			happened = append(happened, said)
		}
		if !slices.Equal(happened, recorded) {
			n.Errorf("the audit log tells of\n%s\nwant\n%s", strings.Join(happened, "\n"), strings.Join(recorded, "\n"))
		}
		given, taken := n.judge.effects(string(id))
		if len(given) != 1 || len(taken) != 1 {
			n.Fatalf("the role was given %d times and taken %d times", len(given), len(taken))
		}
		if lasted := taken[0].At.Sub(given[0].At); lasted < brief-late || lasted > brief+late {
			n.Errorf("the role was held for %s, of %s granted", lasted, brief)
		}
	}
}
