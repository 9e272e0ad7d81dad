package attack_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
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
	store  string // the section, in place of the real Redis with keys
	keys   string
	limits string
	slack  string // more keys of the section
	people string // more lines
	tokens string // more lines
	// accounts are more members of Slack.
	accounts []string
	roles    string // more lines
	more     string // more sections
	// policies are more lines, before the others; approve is who approves instead, and stepUp what vault asks of them.
	policies, approve, stepUp string
	policy                    string // more keys of each policy
	// replicas is how many there are; zero: one.
	replicas int
	oidc     bool // people sign in, by which they are known
	// unlinked people have no accounts of chats in the configuration.
	unlinked bool
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
	r := &rig{assault: s, set: setting{keys: keys, limits: unlimited}, redis: e2etest.StartRedis(s), slack: slackfake.New(s), teams: teamsfake.New(s), target: startTarget(s)}
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
	if err := os.WriteFile(r.bots[0].Config(), []byte(r.config(r.listen[0])), 0o600); err != nil {
		r.Fatal(err)
	}
	r.bots[0].Start()
	r.bots[0].WaitReady()
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
	store := fmt.Sprintf("store: {url: %q}", r.redis.URL())
	if r.set.store != "" {
		store = r.set.store
	}
	policy := func(name, match, approve, more string) string {
		return fmt.Sprintf("  - {name: %s, match: '%s', eligible: '\"sre\" in person.groups', duration: {max: 10h, max_total: 100h}, approve: [%s], channel: {slack: %s, teams: %q}%s%s}\n",
			name, match, approve, channel, teamsfake.Access, more, r.set.policy)
	}
	leads, two := `{by: '"leads" in person.groups'}`, `{by: '"leads" in person.groups', count: 2}`
	if r.set.approve != "" {
		leads, two = r.set.approve, r.set.approve
	}
	return fmt.Sprintf(`%s
http: {listen: %q, public_url: "http://%s"}
slack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q%s}
teams: {app_id: %s, tenant_id: %s, client_secret: %s, service_urls: [%q], openid_metadata_url: %q, token_url: %q}
api:
  tokens:
%speople:
%s%s
%s
%s
connectors: {target: {type: webhook, url: "%s/%d", secret: %s, timeout: 3s}}
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
`, store, listen, listen, slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, r.slack.URL, r.set.slack,
		teamsfake.AppID, teamsfake.TenantID, teamsfake.ClientSecret, r.teams.URL, r.teams.Identity.MetadataURL(), r.teams.Identity.TokenURL(),
		tokens.String(), people.String(), r.set.people, r.set.keys, r.set.limits, r.target.url, slices.Index(append(slices.Clone(r.listen), listen), listen), targetSecret, r.set.roles,
		r.set.policies, policy("two", `role.id == "twin"`, two, ""),
		policy("vault", `role.id == "vault"`, leads, ", step_up: {approve: "+cmp.Or(r.set.stepUp, "totp")+"}"),
		policy("root", `role.id == "root"`, leads, ", step_up: {request: totp}"),
		policy("one", "true", leads, ""), r.set.more)
}

// reply is an answer of the API.
type reply struct {
	status int
	code   string // of a refusal
	id     string // of the request
	state  access.State
	body   string
}

// call calls the API of the n-th replica with a token.
func (r *rig) call(n int, token, method, path string, body map[string]string, headers ...string) reply {
	if body == nil {
		body = map[string]string{}
	}
	content, err := json.Marshal(body)
	if err != nil {
		r.Errorf("encode a call: %v", err)
	}
	req, err := http.NewRequestWithContext(r.Context(), method, "http://"+r.listen[n]+api.Prefix+path, bytes.NewReader(content))
	if err != nil {
		r.Errorf("make a call: %v", err)
		return reply{}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body) // a cut answer is an answer
	var is struct {
		ID    string
		State access.State
		Code  string
	}
	_ = json.Unmarshal(text, &is) // not all answers are objects
	return reply{status: res.StatusCode, code: is.Code, id: is.ID, state: is.State, body: string(text)}
}

// does has somebody post to the API.
func (r *rig) does(who, path string, body map[string]string) reply {
	return r.call(0, r.turnOf(who), http.MethodPost, path, body)
}

// ask is a request of somebody's, by the API.
func (r *rig) ask(who, role, duration string) string {
	r.Helper()
	got := r.does(who, "/requests", map[string]string{"role": role, "duration": duration, "justification": "look at what is broken"})
	if got.status != http.StatusCreated {
		r.Fatalf("%s asks for %s: %d %s", who, role, got.status, got.body)
	}
	return got.id
}

// approves approves, as it should be done.
func (r *rig) approves(who, id string) {
	r.Helper()
	if got := r.does(who, "/requests/"+id+"/approve", nil); got.status != http.StatusOK {
		r.Fatalf("%s approves: %d %s", who, got.status, got.body)
	}
}

// shown is a request as the auditor sees it.
func (r *rig) shown(id string) api.Request {
	var d api.Request
	got := r.call(0, r.turnOf("aud"), http.MethodGet, "/requests/"+id, nil)
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || got.status != http.StatusOK {
		d.State = access.State(fmt.Sprint("unknown: ", got.status, " ", got.code))
	}
	return d
}

// reach waits until a request is in a state.
func (r *rig) reach(id string, s access.State) {
	r.Helper()
	e2etest.Eventually(r, patience, func() error {
		if is := r.shown(id).State; is != s {
			return fmt.Errorf("%s is %s, not %s", id, is, s)
		}
		return nil
	})
}

// over has bea's request be over, however it stands.
func (r *rig) over(id string) {
	r.Helper()
	gone := r.within(patience, func() bool {
		for _, verb := range []string{"cancel", "end"} {
			r.call(0, r.turnOf("bea"), http.MethodPost, "/requests/"+id+"/"+verb, nil)
		}
		return r.shown(id).State.Terminal()
	})
	if !gone {
		r.Fatalf("%s is %s", id, r.shown(id).State)
	}
}

// turnOf is somebody's next token: each may be used so often a second.
func (r *rig) turnOf(who string) string { return tokenOf(who, int(r.turns.Add(1))%tokensEach) }

// granted has somebody hold a role.
func (r *rig) granted(who, by, role, duration string) string {
	r.Helper()
	id := r.ask(who, role, duration)
	r.approves(by, id)
	r.reach(id, access.Active)
	return id
}

// within waits for something that may come or not, and tells whether it did.
func (r *rig) within(d time.Duration, is func() bool) bool {
	late := time.After(d)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-late:
			return is()
		case <-r.Context().Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// message is what the channel in Slack sees of a request.
func (r *rig) message(id string) slackfake.Message {
	r.Helper()
	var found slackfake.Message
	r.slack.Await(r, "the message of "+id, func() bool {
		for _, m := range r.slack.Messages(channel) {
			if b := slackfake.Button(m.Blocks, "approve"); b != nil && b["value"] == id {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// whispers are what people alone were told in the channel so far.
func (r *rig) whispers() int { return len(r.slack.Whispers(channel)) }

// clicks sends something to Slack's endpoint that changes a request or is told off, and tells whether it changed it.
func (r *rig) clicks(id string, send func()) (changed bool) {
	was, heard := r.shown(id), r.whispers()
	send()
	r.within(10*time.Second, func() bool {
		is := r.shown(id)
		changed = is.State != was.State || len(is.Decisions) != len(was.Decisions)
		return changed || r.whispers() > heard
	})
	return changed
}

// presses has an account in Slack press a button of a message.
func (r *rig) presses(account string, m slackfake.Message, button string) slackfake.Ack {
	return r.slack.Send("block_actions", r.slack.As(account).Press(m, button))
}

// types has somebody type a command in Slack, and gives all that they are answered.
func (r *rig) types(account, words string) string {
	r.Helper()
	for range 20 { // a busy machine is told to try again
		ack := r.slack.As(account).Type(channel, words)
		if body := string(ack.Body); ack.Err == nil && !containsAny(body, "just now", "in time") {
			return body
		}
	}
	r.Fatalf("%s %s: there is never an answer in time", account, words)
	return ""
}

// db is the Redis, in the hand of somebody who can write to it.
func (r *rig) db() *goredis.Client {
	r.Helper()
	options, err := goredis.ParseURL(r.redis.URL())
	if err != nil {
		r.Fatal(err)
	}
	c := goredis.NewClient(options)
	r.Cleanup(func() { _ = c.Close() })
	return c
}

// events is the audit log as it is now, by request.
func (r *rig) events() map[access.RequestID][]audit.Event {
	r.Helper()
	return e2etest.Logged(r, e2etest.AuditFolders(r.bots...))
}

// onRecord waits until an event of a kind, and with a reason where one is given, is in the log.
func (r *rig) onRecord(kind, reason string) bool {
	return r.within(20*time.Second, func() bool {
		for _, events := range r.events() {
			for _, e := range events {
				if e.Kind == kind && (reason == "" || strings.Contains(e.Reason, reason)) {
					return true
				}
			}
		}
		return false
	})
}

// count is how many events of a kind a request has.
func count(events []audit.Event, kind string) (n int) {
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
