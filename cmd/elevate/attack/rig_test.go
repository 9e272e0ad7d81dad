package attack_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
)

const (
	// patience is how long anything may take that the machine's speed decides.
	patience = 90 * time.Second
	// keys are what the product marks and seals with; whoever attacks does not have them.
	keys = `secrets: {keys: [{id: k1, key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}`
	// unlimited is for attacks that are not on the limits: they would stop them before what they are about.
	unlimited = `limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 0}`
	// channel is where requests are shown.
	channel = "C0ACCESS"
)

// The people: ana and ben ask and approve, bea only asks, cat only approves, dan is in no group, lea and leo are the
// administrators, and aud reads everything.
var groups = map[string]string{
	"ana": "sre, leads", "ben": "sre, leads", "bea": "sre", "cat": "leads", "dan": "", "lea": "admins", "leo": "admins", "aud": "",
}

func everybody() (all []string) {
	for who := range groups {
		all = append(all, who)
	}
	slices.Sort(all)
	return all
}

// tokensEach is how many tokens of the API each person has: each may be used so often a second.
const tokensEach = 100

// tokenOf is the n-th token of somebody.
func tokenOf(who string, n int) string { return fmt.Sprintf("token-of-%s-%d", who, n) }

// member is somebody's account in Slack.
func member(who string) string { return "U0" + strings.ToUpper(who) }

// setting is what an attack has otherwise than the others.
type setting struct {
	limits, secrets string // the sections
	// Lines of the configuration beside those that are there: of people, their tokens, roles, policies (before the others), and
	// whole sections.
	people, tokens, roles, policies, more string
	// Keys beside those that are there: of Slack, the connector, and each policy.
	slack, connector, policy string
	approve, stepUp          string   // who approves, and the factor that vault asks of them, otherwise than usual
	accounts                 []string // of Slack, beside everybody's
	replicas                 int      // zero: one
	oidc                     bool     // people sign in, by which they are known
	unlinked                 bool     // people have no accounts of chats in the configuration
}

// rig is the product at work: a Redis, its replicas, and the fakes around it.
type rig struct {
	*assault
	set    setting
	redis  *e2etest.Redis
	slack  *slackfake.Server
	teams  *teamsfake.Server
	target *target
	bots   []*e2etest.Bot
	listen []string
	at     string // where the first replica is to listen; empty: anywhere
	client *http.Client
	turns  atomic.Int64
}

// open starts a rig and waits until it works.
func (s *assault) open(edits ...func(*setting)) *rig {
	s.Helper()
	r := s.prepare(edits...)
	r.begin()
	return r
}

// begin starts what was prepared, and waits until it works.
func (r *rig) begin() {
	r.Helper()
	for range max(1, r.set.replicas) {
		r.start()
	}
	r.slack.OverHTTP(r.url())
	r.teams.Deliver(r.url() + "/api/messages")
}

// prepare makes everything around the product.
func (s *assault) prepare(edits ...func(*setting)) *rig {
	s.Helper()
	r := &rig{assault: s, set: setting{limits: unlimited, secrets: keys}, redis: e2etest.StartRedis(s), slack: slackfake.New(s), teams: teamsfake.New(s), target: startTarget(s)}
	for _, edit := range edits {
		edit(&r.set)
	}
	for _, account := range r.set.accounts {
		r.slack.AddUser(slackfake.User{ID: account, Name: strings.ToLower(account[2:])})
	}
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	s.Cleanup(r.client.CloseIdleConnections)
	r.slack.Scopes = append(r.slack.Scopes, "users:read.email", "usergroups:read")
	for _, who := range everybody() {
		r.slack.AddUser(slackfake.User{ID: member(who), Name: who, RealName: who, Email: who + "@example.com"})
		if !containsAny("ana ben cat", who) {
			r.teams.AddUser(teamsfake.User{ObjectID: teamsfake.ObjectID(who), Name: who, Installed: true, InTeam: true})
		}
	}
	return r
}

// start starts a replica.
func (r *rig) start() {
	r.Helper()
	listen := r.at
	if r.at = ""; listen == "" {
		listen = fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(r))
	}
	b := r.program.StartBot(r, r.config(listen))
	b.WaitReady()
	r.bots, r.listen = append(r.bots, b), append(r.listen, listen)
}

// restart starts the first replica anew, with a changed configuration where there is a change.
func (r *rig) restart() {
	r.Helper()
	r.bots[0].Stop()
	r.again()
}

// again starts the first replica where it was stopped or killed.
func (r *rig) again() {
	r.Helper()
	r.rewrite()
	r.bots[0].Start()
	r.bots[0].WaitReady()
}

// rewrite writes the first replica's configuration as it is to be from its next start on.
func (r *rig) rewrite() {
	r.Helper()
	if err := os.WriteFile(r.bots[0].Config(), []byte(r.config(r.listen[0])), 0o600); err != nil {
		r.Fatal(err)
	}
}

// alive waits until the first replica answers, whether or not it does all of its work.
func (r *rig) alive() {
	r.Helper()
	e2etest.Eventually(r, patience, func() error {
		res, err := r.client.Get(r.url() + "/healthz")
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
}

func (r *rig) url() string { return "http://" + r.listen[0] }

func (r *rig) config(listen string) string {
	var tokens, people strings.Builder
	for _, who := range everybody() {
		for n := range tokensEach {
			fmt.Fprintf(&tokens, "    - {name: %s-%d, person: %s, hash: %q}\n", who, n, who, api.HashToken(tokenOf(who, n)))
		}
		accounts := fmt.Sprintf("slack: %s, teams: %s, ", member(who), teamsfake.ObjectID(who))
		if r.set.unlinked {
			accounts = ""
		}
		if r.set.oidc {
			accounts += "oidc: 00u-" + who + ", "
		}
		fmt.Fprintf(&people, "  - {id: %s, name: %s, email: %s@example.com, %sgroups: [%s]}\n", who, who, who, accounts, groups[who])
	}
	tokens.WriteString(r.set.tokens)
	policy := func(name, match, approve, more string) string {
		return fmt.Sprintf("  - {name: %s, match: '%s', eligible: '\"sre\" in person.groups', duration: {max: 10h, max_total: 100h}, approve: [%s], channel: {slack: %s, teams: %q}%s%s}\n",
			name, match, approve, channel, teamsfake.Access, more, r.set.policy)
	}
	leads, two := `{by: '"leads" in person.groups'}`, `{by: '"leads" in person.groups', count: 2}`
	if r.set.approve != "" {
		leads, two = r.set.approve, r.set.approve
	}
	return fmt.Sprintf(`store: {url: %q}
http: {listen: %q, public_url: "http://%s"}
slack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q%s}
teams: {app_id: %s, tenant_id: %s, client_secret: %s, service_urls: [%q], openid_metadata_url: %q, token_url: %q}
api:
  tokens:
%speople:
%s%s
%s
%s
connectors: {target: {type: webhook, url: "%s/%d", secret: %s, timeout: 3s%s}}
roles:
  - {id: vpn, title: VPN, connector: target, target: {role: vpn}}
  - {id: twin, title: Twin, connector: target, target: {role: twin}}
  - {id: vault, title: Vault, connector: target, target: {role: vault}}
  - {id: root, title: Root, connector: target, target: {role: root}}
%spolicies:
%s%s%s%s%sadministrators: '"admins" in person.groups'
auditors: person.id == "aud"
sweep: {every: 2s}
%s
`, r.redis.URL(), listen, listen, slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, r.slack.URL, r.set.slack,
		teamsfake.AppID, teamsfake.TenantID, teamsfake.ClientSecret, r.teams.URL, r.teams.Identity.MetadataURL(), r.teams.Identity.TokenURL(),
		tokens.String(), people.String(), r.set.people, r.set.secrets, r.set.limits, r.target.url, slices.Index(append(slices.Clone(r.listen), listen), listen), targetSecret, r.set.connector, r.set.roles,
		r.set.policies, policy("two", `role.id == "twin"`, two, ""),
		policy("vault", `role.id == "vault"`, leads, ", step_up: {approve: "+cmp.Or(r.set.stepUp, "totp")+"}"),
		policy("root", `role.id == "root"`, leads, ", step_up: {request: totp}"),
		policy("one", "true", leads, ""), r.set.more)
}
