package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

// userAdministrator is the directory role of these stories.
var userAdministrator = graphfake.Right{Role: "fe930be7-5e62-47db-91af-98c3a49a38b1", Scope: "/"}

// entraTenant is a tenant of Entra that knows Ana, by the object id that Teams knows her by.
type entraTenant struct {
	*graphfake.Tenant
	ana string
	ca  string
}

func openDirectory(t *testing.T) *entraTenant {
	t.Helper()
	d := &entraTenant{Tenant: graphfake.New(t), ana: teamsfake.ObjectID("ana"), ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(d.ca, d.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Person(d.ana)
	d.Right(userAdministrator, graphfake.Rules{Enabled: []string{"Justification"}, Longest: "P1D"})
	return d
}

func (d *entraTenant) connector() string {
	return fmt.Sprintf("  entra: {type: entra, tenant_id: %s, client_id: %s, client_secret: %q, graph_url: %q, login_url: %q, ca_file: %q}\n",
		graphfake.TenantID, graphfake.ClientID, graphfake.Secret, d.URL, d.URL, d.ca)
}

func (d *entraTenant) role() string {
	return fmt.Sprintf("  - {id: user-admin, title: User Administrator, connector: entra, target: {role: %s, scope: /}, labels: {env: prod}}\n", userAdministrator.Role)
}

func (d *entraTenant) holds() bool { return d.Holds(d.ana, userAdministrator) }

// grownOld makes what Ana holds old enough for Entra to take it away.
func (d *entraTenant) grownOld() { d.Age(d.ana, userAdministrator, 5*time.Minute) }

// TestEntraRoleThroughSlackAndTeams asks for a directory role in each chat, and has it approved there.
func TestEntraRoleThroughSlackAndTeams(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	listen := fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t))
	w := startWorkspace(t, "http://"+listen+"/slack/interactions")
	n := openTenant(t, listen, w, func(n *tenant) {
		n.extra.connectors, n.extra.roles = d.connector(), d.role()
		n.extra.ana = fmt.Sprintf(", accounts: {entra: %s}", d.ana)
	})

	w.types("ana", "user-admin 10m INC-4711 unlock an account, asked in Slack")
	shown := w.expect(w.inChannel, "Waiting for approval", "Ana Lima (ana) asks for User Administrator", "asked in Slack")
	w.clicks("bob", shown, "Approve")
	w.expect(w.inChannel, "Active until", "Approved by Bob Keller")
	mine := w.expect(w.told("ana"), "You hold User Administrator", "End now")
	if !d.holds() {
		t.Error("Ana was told that she holds the role, and Entra has nothing of it")
	}
	d.grownOld()
	w.clicks("ana", mine, "End now")
	w.expect(w.inChannel, "Ended early by Ana Lima", "verified by reading the target back", "may live on for up to 1 hour 30 minutes")
	if d.holds() {
		t.Error("the role was told to have ended, and Entra has it still")
	}

	n.Asks(e2etest.Channel, "user-admin 10m INC-4712 unlock an account, asked in Teams")
	pending := []string{"Waiting for approval", "Ana Lima (ana) asks for User Administrator", "asked in Teams"}
	n.Expect(pending...)
	n.Unfolds("Approve", pending...)
	n.Clicks("bob", "Grant access", pending...)
	n.Expect("Active until", "Approved by Bob Keller", "asked in Teams")
	if !d.holds() {
		t.Error("in Teams it is active, and Entra has nothing of it")
	}
	n.Shot("1-entra-active", "Active until", "asked in Teams")
	d.grownOld()
	n.Unfolds("End now", "Active until", "asked in Teams")
	n.Clicks("ana", "End access", "Active until", "asked in Teams")
	n.Expect("Ended early by Ana Lima", "verified by reading the target back", "asked in Teams")
	if d.holds() {
		t.Error("in Teams it has ended, and Entra has it still")
	}
	n.Shot("2-entra-ended", "Ended early by Ana Lima", "asked in Teams")
}

// config is a bot that is spoken to by its API alone.
func (d *entraTenant) config(store string) string {
	return fmt.Sprintf(`%s
http: {listen: 127.0.0.1:0}
api: {tokens: [{name: ana, person: ana, hash: %q}, {name: aud, person: aud, hash: %q}]}
people: [{id: ana, accounts: {entra: %s}}, {id: aud}]
connectors:
%sroles:
%spolicies: [{name: all, match: "true", eligible: "true", duration: {max: 1h}, auto_approve: "true", approve: [{by: "true"}]}]
auditors: person.id == "aud"
`, store, api.HashToken(tokenOf("ana")), api.HashToken(tokenOf("aud")), d.ana, d.connector(), d.role())
}

// TestEntraEndsTheRoleWhileTheBotIsDead, a little after the time at which the bot would have.
func TestEntraEndsTheRoleWhileTheBotIsDead(t *testing.T) {
	t.Parallel()
	d := openDirectory(t)
	s := &site{T: t}
	b := e2etest.StartBot(t, d.config(fmt.Sprintf("store: {url: %q}", e2etest.StartRedis(t).URL())))
	b.WaitReady()
	var made api.Request
	status, err := call(b, "ana", http.MethodPost, "/requests", map[string]string{"role": "user-admin", "duration": "5m", "justification": "unlock an account"}, &made)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("submit: %d, %v", status, err)
	}
	active := s.reach(b, access.Active, []access.RequestID{made.ID})[made.ID]
	b.Kill9()
	d.Advance(5 * time.Minute)
	if !d.holds() {
		t.Error("Entra ended it at the bot's own end already")
	}
	d.Advance(2*time.Minute + time.Second)
	if d.holds() {
		t.Error("nobody ended it")
	}
	if active.Receipt == nil || active.Receipt.NativeEnd == nil {
		t.Errorf("the request does not tell when Entra ends it: %+v", active.Receipt)
	}
	b.Start()
	b.WaitReady()
	if status, err := call(b, "ana", http.MethodPost, "/requests/"+string(made.ID)+"/end", nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("end: %d, %v", status, err)
	}
	s.reach(b, access.Ended, []access.RequestID{made.ID})
}

// mostMemory is what the bot may have just after its start, the Graph SDK in it.
const mostMemory = 64 << 20

func TestStartingWithEntraTakesLittleMemory(t *testing.T) {
	t.Parallel()
	b := e2etest.StartBot(t, openDirectory(t).config(fmt.Sprintf("store: {url: %q}", e2etest.StartRedis(t).URL())))
	b.WaitReady()
	has := b.Memory()
	t.Logf("just started, the bot has %.1f MB", float64(has)/(1<<20))
	if has > mostMemory {
		t.Errorf("just started, the bot has %d bytes of memory, more than %d", has, mostMemory)
	}
}

func TestCheckOnlineSaysWhatIsWrongInEntra(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*entraTenant)
		code   int
		says   []string
	}{
		"nothing": {func(d *entraTenant) {
			for n := range 2 {
				d.Plant(fmt.Sprintf("glass-%d", n), graphfake.Right{Role: graphfake.GlobalAdministrator, Scope: "/"}, graphfake.Plant{})
			}
		}, 0, []string{"ok       connectors.entra: entra"}},
		"too few Global Administrators": {func(*entraTenant) {}, 0, []string{"warning  connectors.entra: 0 of the tenant's Global Administrators", "ok       connectors.entra"}},
		"a permission":                  {func(d *entraTenant) { d.Permit("User.Read.All") }, 1, []string{"problem  connectors.entra: ", "lacks the application permission RoleAssignmentSchedule.ReadWrite.Directory"}},
		"a permission too much": {func(d *entraTenant) {
			d.Permit("User.Read.All", "RoleAssignmentSchedule.ReadWrite.Directory", "RoleManagementPolicy.Read.Directory", "Mail.ReadWrite")
		}, 0, []string{"warning  connectors.entra: superfluous: the application permission Mail.ReadWrite"}},
		"the role's settings": {func(d *entraTenant) {
			d.Right(userAdministrator, graphfake.Rules{Enabled: []string{"MultiFactorAuthentication"}})
		}, 1, []string{"problem  connectors.entra: role user-admin: ", "no program can do"}},
		"settings that refuse some grants": {func(d *entraTenant) {
			d.Right(userAdministrator, graphfake.Rules{Enabled: []string{"Ticketing"}, Longest: "PT30M"})
		}, 0, []string{"warning  connectors.entra: role user-admin: its PIM settings refuse grants longer than 30m0s", "refuse grants without a ticket", "ok       connectors.entra"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDirectory(t)
			// Each asks for what it is about; the fake's application has what all kinds of connector need.
			d.Permit("User.Read.All", "RoleAssignmentSchedule.ReadWrite.Directory", "RoleManagementPolicy.Read.Directory")
			c.change(d)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(d.config("store: {}")), 0o600); err != nil {
				t.Fatal(err)
			}
			got := e2etest.Elevate(t, dir, "check", "--online")
			said := got.Stdout + got.Stderr
			if lacks := lacking(said, c.says); got.Code != c.code || len(lacks) > 0 {
				t.Errorf("code %d, want %d; lacks %q in\n%s", got.Code, c.code, lacks, said)
			}
			if strings.Contains(said, "canary") {
				t.Errorf("a secret is told:\n%s", said)
			}
		})
	}
}
