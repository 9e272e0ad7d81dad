package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/entra/graphfake"
)

// The groups of these stories: who is in oncall is in leads by that. Whoever is in staff is a person.
const (
	sreGroup    = "dddddddd-0000-4000-8000-000000000001"
	leadsGroup  = "dddddddd-0000-4000-8000-000000000002"
	oncallGroup = "dddddddd-0000-4000-8000-000000000003"
	staffGroup  = "dddddddd-0000-4000-8000-000000000004"
)

// company is the whole product at work for people whose accounts and groups are in Entra: a bot with its Teams, its Redis and
// its tenant. Ana, Ben and Dan are written down, and link to their accounts; Cat, whom Ana reports to, is in the tenant alone.
type company struct {
	*testing.T
	entra *graphfake.Tenant
	teams *teamsfake.Server
	bot   *e2etest.Bot
	ca    string
}

func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{T: t, entra: graphfake.New(t), teams: teamsfake.New(t), ca: filepath.Join(t.TempDir(), "ca.pem")}
	c.entra.ID = teamsfake.TenantID
	c.entra.Permit("User.Read.All", "GroupMember.Read.All")
	if err := os.WriteFile(c.ca, c.entra.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, g := range []string{sreGroup, leadsGroup, oncallGroup, staffGroup} {
		c.entra.Group(g)
	}
	c.entra.Nest(oncallGroup, leadsGroup)
	for who, u := range map[string]graphfake.User{
		"ana": {Name: "Ana Lima", Manager: teamsfake.ObjectID("cat")}, "ben": {Name: "Ben Stone"}, "dan": {Name: "Dan Osei"}, "cat": {Name: "Cat Berg"},
	} {
		c.entra.User(teamsfake.ObjectID(who), u)
	}
	c.entra.Put(teamsfake.ObjectID("ana"), sreGroup)
	c.entra.Put(teamsfake.ObjectID("ben"), oncallGroup)
	c.entra.Put(teamsfake.ObjectID("dan"), leadsGroup)
	c.entra.Put(teamsfake.ObjectID("cat"), staffGroup)
	c.teams.AddUser(teamsfake.User{ObjectID: teamsfake.ObjectID("dan"), Name: "dan", Installed: true, InTeam: true})
	c.teams.AddUser(teamsfake.User{ObjectID: teamsfake.ObjectID("eve"), Name: "eve", Installed: true, InTeam: true})
	return c
}

func (c *company) start() {
	c.Helper()
	c.bot = e2etest.StartBot(c, c.config(fmt.Sprintf("store: {url: %q}", e2etest.StartRedis(c).URL())))
	c.bot.WaitReady()
	c.teams.Deliver("http://" + c.bot.Address() + "/api/messages")
}

func (c *company) config(store string) string {
	return fmt.Sprintf(`%s
http: {listen: 127.0.0.1:0}
teams: {app_id: %s, tenant_id: %s, client_secret: %s, service_urls: [%q], openid_metadata_url: %q, token_url: %q}
entra: {tenant_id: %s, client_id: %s, client_secret: %q, people_group: %s, graph_url: %q, login_url: %q, ca_file: %q}
people:
  - {id: ana, name: Ana Lima, teams: %s}
  - {id: ben, name: Ben Stone, entra: %s}
  - {id: dan, name: Dan Osei, entra: %s}
groups:
  sre: {entra: %s}
  leads: {entra: %s}
connectors:
  demo: {type: demo}
roles:
  - {id: vault-admin, title: Vault admin, connector: demo, target: {role: vault-admin}}
  - {id: payroll, title: Payroll, connector: demo, target: {role: payroll}}
policies:
  - {name: vault, match: role.id == "vault-admin", eligible: '"sre" in person.groups', duration: {max: 1h}, approve: [{by: '"leads" in person.groups'}], channel: {teams: %q}}
  - {name: payroll, match: "true", eligible: "true", duration: {max: 1h}, approve: [{by: person.id == requester.manager}], channel: {teams: %q}}
`, store, teamsfake.AppID, teamsfake.TenantID, teamsfake.ClientSecret, c.teams.URL, c.teams.Identity.MetadataURL(), c.teams.Identity.TokenURL(),
		teamsfake.TenantID, graphfake.ClientID, graphfake.Secret, staffGroup, c.entra.URL, c.entra.URL, c.ca,
		teamsfake.ObjectID("ana"), teamsfake.ObjectID("ben"), teamsfake.ObjectID("dan"), sreGroup, leadsGroup, teamsfake.Access, teamsfake.Access)
}

func (c *company) as(who string) *teamsfake.Person { return c.teams.As(teamsfake.ObjectID(who)) }

// says has somebody write to the bot.
func (c *company) says(who, words string) {
	c.Helper()
	if ack := c.as(who).Say(words); ack.Err != nil || ack.Status >= http.StatusBadRequest {
		c.Fatalf("%s says %q: %d, %v", who, words, ack.Status, ack.Err)
	}
}

// among waits for a message with all of these words, the latest that there is.
func (c *company) among(what string, messages func() []teamsfake.Message, words ...string) (found teamsfake.Message) {
	c.Helper()
	c.teams.Await(c, fmt.Sprintf("%s with %q", what, words), func() bool {
		for _, m := range slices.Backward(messages()) {
			if len(lacking(m.Text+teamsfake.Text(m.Card), words)) == 0 {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// posted is the message in the channel.
func (c *company) posted(words ...string) teamsfake.Message {
	c.Helper()
	return c.among("a message in the channel", func() []teamsfake.Message { return c.teams.Messages(teamsfake.Access) }, words...)
}

// told is what somebody alone is shown, and what is written to them.
func (c *company) told(who string, words ...string) {
	c.Helper()
	c.among("an answer to "+who, func() []teamsfake.Message {
		return append(c.as(who).Told(), c.teams.Messages(c.teams.Chat(teamsfake.ObjectID(who)))...)
	}, words...)
}

// presses has somebody press a button as they see it.
func (c *company) presses(who, label string, m teamsfake.Message) {
	c.Helper()
	if ack := c.as(who).Press(m, label); ack.Err != nil || ack.Status >= http.StatusBadRequest {
		c.Fatalf("%s presses %q: %d, %v", who, label, ack.Status, ack.Err)
	}
}

// TestApproversComeFromEntra: somebody in a group by way of another approves; somebody whose account is disabled does not,
// although they are linked and in the group; and while Entra does not answer, nobody does.
func TestApproversComeFromEntra(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.entra.Disable(teamsfake.ObjectID("dan"))
	c.start()
	c.says("ana", "vault-admin 30m unseal the vault")
	asked := c.posted("Waiting for approval", "Ana Lima (ana) asks for Vault admin")

	c.presses("dan", "Approve", asked)
	c.told("dan", "Dan Osei (dan) can do nothing here: the account is disabled in Entra")
	c.presses("eve", "Approve", asked)
	c.told("eve", "This account is not linked to anybody in Elevate")

	c.entra.Feel(graphfake.Says(http.StatusServiceUnavailable, ""))
	c.presses("ben", "Approve", asked)
	c.told("ben", "The directory could not be asked who you are, so nothing was done. Try again in a minute.")
	c.posted("Waiting for approval", "Ana Lima (ana) asks for Vault admin")

	c.entra.Feel(nil)
	c.presses("ben", "Approve", asked)
	c.posted("Active until", "Approved by Ben Stone")
}

// TestTheManagerInEntraApproves, who is a person by a group of the tenant alone, and whose own request nobody could decide.
func TestTheManagerInEntraApproves(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.start()
	c.says("ana", "payroll 30m correct the run of May")
	asked := c.posted("Waiting for approval", "Ana Lima (ana) asks for Payroll")
	c.presses("ben", "Approve", asked)
	c.told("ben", "You are not among those who decide on Payroll")
	c.presses("cat", "Approve", asked)
	c.posted("Active until", "Approved by Cat Berg")

	c.says("cat", "payroll 30m correct the run of June")
	c.told("cat", "Nobody could approve this. Policy “payroll” has the manager decide. Entra names no manager of Cat Berg")
}

func TestCheckOnlineSaysWhatIsWrongWithPeopleInEntra(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*company)
		code   int
		says   []string
	}{
		"nothing":               {func(*company) {}, 0, []string{"ok       entra: tenant " + teamsfake.TenantID}},
		"a permission":          {func(c *company) { c.entra.Permit("User.Read.All") }, 1, []string{"problem  entra: ", "lacks the application permission GroupMember.Read.All"}},
		"a permission too much": {func(c *company) { c.entra.Permit("User.Read.All", "GroupMember.Read.All", "Mail.Read") }, 0, []string{"warning  entra: superfluous: the application permission Mail.Read"}},
		"people who cannot act": {func(c *company) {
			c.entra.Disable(teamsfake.ObjectID("dan"))
			c.entra.User(teamsfake.ObjectID("ben"), graphfake.User{Guest: true})
		}, 0, []string{"warning  people: dan: the account is disabled", "warning  people: ben: the account is a guest's", "ok       entra"}},
		"somebody who is gone": {func(c *company) { c.entra.Delete(teamsfake.ObjectID("ben")) }, 1, []string{"problem  people: ben: Entra has no user with object ID"}},
		"an empty group":       {func(c *company) { c.entra.Leave(teamsfake.ObjectID("cat"), staffGroup) }, 0, []string{"warning  entra.people_group: the group has no members"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			company := newCompany(t)
			c.change(company)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(company.config("store: {}")), 0o600); err != nil {
				t.Fatal(err)
			}
			got := e2etest.Elevate(t, dir, "check", "--online")
			said := got.Stdout + got.Stderr
			others := 0 // of Teams' own findings
			for line := range strings.Lines(said) {
				if strings.HasPrefix(line, "problem  teams") {
					others++
				}
			}
			if lacks := lacking(said, c.says); (got.Code != c.code && others == 0) || len(lacks) > 0 {
				t.Errorf("code %d, want %d; lacks %q in\n%s", got.Code, c.code, lacks, said)
			}
			if strings.Contains(said, "canary") {
				t.Errorf("a secret is told:\n%s", said)
			}
		})
	}
}

func TestCheckShowsTheLineOfWhatIsWrongWithTheTenant(t *testing.T) {
	t.Parallel()
	c, dir := newCompany(t), t.TempDir()
	config := strings.Replace(c.config("store: {}"), "people_group", "cloud: moon, people_group", 1)
	if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	got := e2etest.Elevate(t, dir, "check")
	if said := got.Stdout + got.Stderr; got.Code != 1 || !strings.Contains(said, "elevate.yaml:4: entra.cloud: write public") {
		t.Errorf("code %d:\n%s", got.Code, said)
	}
}
