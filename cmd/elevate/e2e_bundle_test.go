package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/activedirectory/sambatest"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

// trio is the bot between a Slack and three targets at which one role gives Ana a right each: Entra, Azure, and a domain
// with memberships that expire.
type trio struct {
	*workspace
	entra  *entraTenant
	azure  *armfake.Server
	domain *domain
	front  *sambatest.Front
	bot    *e2etest.Bot
}

func openTrio(t *testing.T) *trio {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	o := &trio{workspace: startWorkspace(t, "http://"+listen+"/slack/interactions"), entra: openDirectory(t), domain: openDomain(t)}
	o.front = o.domain.Front(t)
	o.front.ExpireMemberships()
	var azure string
	o.azure, azure = startAzure(t, "ana")
	o.bot = e2etest.StartBot(t, o.config(e2etest.StartRedis(t).URL(), listen, azure), directoryPassword, "AZURE_SECRET="+armfake.Secret)
	o.bot.WaitReady()
	return o
}

func (o *trio) config(redis, listen, azure string) string {
	return fmt.Sprintf(`
store: {url: %q}
http: {listen: %q}
slack: {bot_token: xoxb-canary, team_id: T0001, api_url: %q, signing_secret: %s}
api: {tokens: [{name: ana, person: ana, hash: %q}]}
people:
  - {id: ana, name: Ana Lima, slack: U0ANA, groups: [sre], accounts: {entra: %s, azure: %s}}
  - {id: bob, name: Bob Keller, slack: U0BOB, groups: [leads]}
connectors:
%s  azure: %s
  ad: %s
  bundles: {type: bundle}
roles:
%s  - {id: contributor, title: Contributor, connector: azure, target: %s}
  - {id: server-admin, title: Server admin, connector: ad, target: %s}
  - {id: oncall, title: On call, connector: bundles, target: {roles: [user-admin, contributor, server-admin]}}
limits: {cool_down: 0s} # she asks again at once
policies:
  - name: all
    match: "true"
    eligible: '"sre" in person.groups'
    duration: {max: 1h}
    approve: [{by: '"leads" in person.groups'}]
    channel: {slack: %s}
audit: {dir: audit}
`, redis, listen, o.url+"/api/", signingSecret, api.HashToken(tokenOf("ana")), o.entra.ana, objectOf("ana"),
		o.entra.connector(), azure, o.domain.connector(o.front.URL), o.entra.role(), azureTarget, o.domain.target(), accessChannel)
}

// TestABundleOfEntraAzureAndActiveDirectory is asked for in Slack. All of it is given and taken away; and then its third
// target refuses, and what the others gave is taken back.
func TestABundleOfEntraAzureAndActiveDirectory(t *testing.T) {
	t.Parallel()
	o := openTrio(t)
	whole := o.isGivenAndEnded()
	broken := o.isRefusedByTheThird()
	o.bot.Stop()
	log := e2etest.Events(o, e2etest.Proved(o, e2etest.AuditFolders(o.bot)))
	for _, p := range append(whole, broken[:2]...) {
		events := log[p.ID]
		if n := len(events); n == 0 || events[n-1].To != access.Ended || events[n-1].Detail["was"] != string(access.Removed) {
			t.Errorf("the audit log does not tell that the part %+v was read back as removed: %+v", p, events)
		}
	}
	refused := log[broken[2].ID]
	if n := len(refused); n == 0 || refused[n-1].To != access.Failed || !strings.Contains(refused[n-1].Reason, refusal) {
		t.Errorf("the audit log does not tell of the third's refusal: %+v", refused)
	}
}

// asks has Ana ask for the bundle, and Bob approve it.
func (o *trio) asks(why string) api.Request {
	o.Helper()
	o.types("ana", "oncall 10m "+why)
	shown := o.expect(o.inChannel, "Waiting for approval", "Ana Lima (ana) asks for On call", why, "at entra", "at azure", "at ad")
	if at := o.held(); len(at) > 0 {
		o.Errorf("before it was approved Ana has her right at %v", at)
	}
	var page api.Page
	if status, err := call(o.bot, "ana", http.MethodGet, "/requests?state=pending", nil, &page); err != nil || status != http.StatusOK || len(page.Requests) != 1 {
		o.Fatalf("the request is not listed: %d, %v, %+v", status, err, page)
	}
	o.clicks("bob", shown, "Approve")
	return page.Requests[0]
}

// held are the targets at which Ana has her right.
func (o *trio) held() (at []string) {
	o.Helper()
	for name, has := range map[string]bool{"entra": o.entra.holds(), "azure": o.azure.Holds(azureScope, armfake.Contributor, objectOf("ana")), "ad": o.domain.has(o.T)} {
		if has {
			at = append(at, name)
		}
	}
	return at
}

// age makes what Entra and Azure gave older: they take nothing away in its first five minutes.
func (o *trio) age(by time.Duration) {
	o.entra.Age(o.entra.ana, userAdministrator, by)
	o.azure.Age(azureScope, by)
}

// isGivenAndEnded gives the parts.
func (o *trio) isGivenAndEnded() []api.Part {
	o.Helper()
	asked := o.asks("cover the night")
	reaches(o, o.bot, "ana", asked.ID, access.Active)
	o.expect(o.inChannel, "Active until", "Approved by Bob Keller", "cover the night", "at entra: active", "at azure: active", "at ad: active")
	if at := o.held(); len(at) != 3 {
		o.Errorf("it is told to be active, and Ana has her right at %v alone", at)
	}
	want := map[access.RoleID]access.State{"oncall": access.Active, "user-admin": access.Active, "contributor": access.Active, "server-admin": access.Active}
	if got := o.grants(); !maps.Equal(got, want) {
		o.Errorf("`elevate grants` lists %v", got)
	}

	o.age(5 * time.Minute)
	o.clicks("ana", o.expect(o.told("ana"), "You hold On call", "End now"), "End now")
	reaches(o, o.bot, "ana", asked.ID, access.Ended)
	o.expect(o.inChannel, "Ended early by Ana Lima", "verified by reading the target back", "cover the night",
		"at entra: taken away, read back", "at azure: taken away, read back", "at ad: taken away, read back")
	o.haveEnded(asked.Parts)
	return asked.Parts
}

// grants is the state of each role that `elevate grants` lists of Ana's.
func (o *trio) grants() map[access.RoleID]access.State {
	o.Helper()
	elevate := e2etest.Program{Path: e2etest.Build(o), Env: []string{"ELEVATE_SERVER=http://" + o.bot.Address(), "ELEVATE_TOKEN=" + tokenOf("ana")}}
	said := elevate.Run(o, o.bot.Dir, "grants", "--mine", "--json")
	var page api.Page
	if err := json.Unmarshal([]byte(said.Stdout), &page); err != nil {
		o.Fatalf("`elevate grants` ends with %d, %v:\n%s%s", said.Code, err, said.Stdout, said.Stderr)
	}
	states := map[access.RoleID]access.State{}
	for _, r := range page.Requests {
		states[r.Role] = r.State
	}
	return states
}

// haveEnded looks at the parts that were given, and at the targets, where nothing is left.
func (o *trio) haveEnded(parts []api.Part) {
	o.Helper()
	for _, p := range parts {
		if r := reaches(o, o.bot, "ana", p.ID, access.Ended); r.Removal == nil || r.Removal.Was != access.Removed || r.VerifiedAt == nil {
			o.Errorf("the part %s has ended with %+v, read back at %v", p.Role, r.Removal, r.VerifiedAt)
		}
	}
	if at := o.held(); len(at) > 0 {
		o.Errorf("it is over, and Ana has her right at %v", at)
	}
}

// refusal is how a domain controller answers a change that Elevate's account may not make.
const refusal = "Insufficient Access Rights"

// isRefusedByTheThird gives the parts. The refusal comes when the others are given, ten seconds before they can be taken
// away: that is longer than one try to take them back.
func (o *trio) isRefusedByTheThird() []api.Part {
	o.Helper()
	given := make(chan struct{})
	o.front.BeforeNext(func() {
		select {
		case <-given:
		case <-o.Context().Done():
		}
	})
	o.front.AnswerNext(ldap.LDAPResultInsufficientAccessRights)
	asked := o.asks("cover the day")
	for _, p := range asked.Parts[:2] {
		reaches(o, o.bot, "ana", p.ID, access.Active)
	}
	if !o.entra.holds() || !o.azure.Holds(azureScope, armfake.Contributor, objectOf("ana")) {
		o.Error("the first two are told to be active, and are not")
	}
	o.age(5*time.Minute - 10*time.Second)
	close(given)

	reaches(o, o.bot, "ana", asked.ID, access.Failed)
	o.expect(o.inChannel, "Failed", "cover the day", "give server-admin", refusal,
		"at entra: taken away, read back", "at azure: taken away, read back", "at ad: not given")
	reaches(o, o.bot, "ana", asked.Parts[2].ID, access.Failed)
	o.haveEnded(asked.Parts[:2])
	return asked.Parts
}
