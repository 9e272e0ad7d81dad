package main

import (
	"fmt"
	"testing"
	"time"

	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
)

// brief is how long a grant of these stories lasts: time enough to look at it on a busy machine.
const brief = 15 * time.Second

// tenant is the whole product at work in Teams: a bot with its Playground, whose page is Ana's, its Redis and its target.
type tenant struct {
	*testing.T
	*e2etest.Playground
	bot   *e2etest.Bot
	judge *judge
	// extra is configuration of connectors and roles beside the judge's, and of Ana's accounts there; and what stands beside
	// http.listen, in the policy, and at the top.
	extra struct{ connectors, roles, ana, http, policy, top string }
}

// openTenant starts everything. With a workspace the bot is in Slack too, which calls it at the address.
func openTenant(t *testing.T, listen string, w *workspace, change ...func(*tenant)) *tenant {
	t.Helper()
	n := &tenant{T: t, judge: startJudge(t), Playground: e2etest.StartPlayground(t, listen, members...)}
	for _, c := range change {
		c(n)
	}
	n.bot = e2etest.StartBot(t, n.config(e2etest.StartRedis(t).URL(), listen, w), "TEAMS_SECRET="+teamsfake.ClientSecret)
	n.bot.WaitReady()
	n.Open()
	return n
}

// members are in the tenant; the page is the first one's.
var members = []e2etest.Member{
	{ID: "ana", Name: "Ana Lima"}, {ID: "bob", Name: "Bob Keller"}, {ID: "mei", Name: "Mei Tanaka"},
	{ID: "dan", Name: "Dan Osei"}, {ID: "eve", Name: "Eve Stranger"}, {ID: "kim", Name: "Kim Park"},
}

func (n *tenant) config(redis, listen string, w *workspace) string {
	slack, channel := "", ""
	if w != nil {
		slack = fmt.Sprintf("slack: {bot_token: xoxb-canary, team_id: T0001, api_url: %q, signing_secret: %s}", w.url+"/api/", signingSecret)
		channel = "slack: " + accessChannel + ", "
	}
	return fmt.Sprintf(`
store: {url: %q}
http: {listen: %q%s}
%s
%steams:
  app_id: %s
  tenant_id: %s
  client_secret: "${TEAMS_SECRET}"
  service_urls: [%q]
  openid_metadata_url: %q
  token_url: %q
people:
  - {id: ana, name: Ana Lima, slack: U0ANA, teams: %s, groups: [sre]%s}
  - {id: bob, name: Bob Keller, slack: U0BOB, teams: %s, groups: [sre, sre-leads]}
  - {id: mei, name: Mei Tanaka, slack: U0MEI, teams: %s, groups: [sre-leads]}
connectors:
  pg-prod: {type: webhook, url: %q, secret: %s}
%sroles:
  - {id: db-admin, title: Production database admin, connector: pg-prod, target: {role: db_admin}, labels: {env: prod, risk: high}}
%spolicies:
  - name: production
    match: role.labels.env == "prod"
    eligible: '"sre" in person.groups'
    duration: {default: 10m, max: 1h}
    justification: {min_length: 10, ticket: "^INC-[0-9]+$"}
    approve: [{by: '"sre-leads" in person.groups', within: 30m}]
%s    channel: {%steams: %q}
audit: {dir: audit}
`, redis, listen, n.extra.http, slack, n.extra.top, teamsfake.AppID, teamsfake.TenantID, n.ServiceURL(), n.MetadataURL(), n.TokenURL(),
		teamsfake.ObjectID("ana"), n.extra.ana, teamsfake.ObjectID("bob"), teamsfake.ObjectID("mei"), n.judge.url+"bot", judgeSecret,
		n.extra.connectors, n.extra.roles, n.extra.policy, channel, teamsfake.Access)
}
