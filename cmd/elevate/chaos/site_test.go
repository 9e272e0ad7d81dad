package chaos_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
)

const (
	// patience is how long anything may take that the machine's speed decides.
	patience = 90 * time.Second
	// lease is for how long a replica that died keeps the others from what it had in hand.
	lease = 5 * time.Second
	// connectorTimeout is how long the connector waits for the target.
	connectorTimeout = 3 * time.Second
	// sweepEvery is how often the target's word is compared with the grants.
	sweepEvery = 5 * time.Second
	// undecided is how long a request waits for approvals.
	undecided = 6 * time.Second
	// crowd is how many people there are. The API lets each of their tokens act twice a second.
	crowd = 60
)

// auditor reads everything and asks for nothing.
const auditor = "aud"

// site is a store, the replicas of the bot on it, and their targets.
type site struct {
	*testing.T
	store    *e2etest.Redis
	replicas []*replica
	client   *http.Client
	names    []string // of the people
	roles    int      // at each target
	audit    string   // the folder of the log, shared by all replicas
}

// replica is a bot that listens at the same address after every start.
type replica struct {
	*e2etest.Bot
	name, address string
	// wanted tells that nobody has killed or paused it.
	wanted bool
}

// openSite starts three replicas and waits until each does its work. Targets are connectors by name; each has the roles
// NAME-0, NAME-1 and so on, of which two and two are the same right, and the odd ones need two approvals.
func openSite(t *testing.T, roles int, targets map[string]*target) *site {
	t.Helper()
	s := &site{T: t, roles: roles, store: e2etest.StartRedis(t), client: &http.Client{Timeout: connectorTimeout}}
	t.Cleanup(s.client.CloseIdleConnections)
	for i := range crowd {
		s.names = append(s.names, fmt.Sprintf("p%02d", i))
	}
	s.audit = t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		r := &replica{name: name, address: fmt.Sprintf("127.0.0.1:%d", e2etest.FreePort(t)), wanted: true}
		r.Bot = e2etest.StartBot(t, s.config(r, targets))
		s.replicas = append(s.replicas, r)
		s.ready(r)
	}
	return s
}

// roleOf names the n-th role of a target.
func roleOf(connector string, n int) string { return fmt.Sprintf("%s-%d", connector, n) }

func (s *site) config(r *replica, targets map[string]*target) string {
	var tokens, people, connectors, roles strings.Builder
	for _, who := range append([]string{auditor}, s.names...) {
		fmt.Fprintf(&tokens, "    - {name: %s, person: %s, hash: %q}\n", who, who, api.HashToken(tokenOf(who)))
		fmt.Fprintf(&people, "  - {id: %s, name: %s}\n", who, who)
	}
	for name, target := range targets {
		fmt.Fprintf(&connectors, "  %s: {type: webhook, url: %q, secret: %s, timeout: %s}\n", name, target.url+r.name, secret, connectorTimeout)
		for n := range s.roles {
			fmt.Fprintf(&roles, "  - {id: %s, title: Role, connector: %s, target: {role: %[2]s-r%[3]d}, labels: {approvals: \"%[4]d\"}}\n",
				roleOf(name, n), name, n/2, n%2+1)
		}
	}
	return fmt.Sprintf(`store: {url: %q}
http: {listen: %q}
log: {level: warn}
secrets: {keys: [{id: k1, key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}]}
sweep: {every: %s}
audit: {dir: %s}
limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 0} # many do much at once here
api:
  tokens:
%speople:
%sconnectors:
%sroles:
%spolicies:
  - {name: one, match: 'role.labels.approvals == "1"', %s, approve: [{by: 'person.id != "%s"', within: %s}]}
  - {name: two, match: "true", %[9]s, approve: [{by: 'person.id != "%[10]s"', count: 2, within: %[11]s}]}
auditors: person.id == "%[10]s"
`, s.store.URL(), r.address, sweepEvery, s.audit, tokens.String(), people.String(), connectors.String(), roles.String(),
		`eligible: "true", duration: {max: 1h, max_total: 2h}, start_within: 30s`, auditor, undecided)
}

func tokenOf(who string) string { return "token-canary-of-" + who }

// ready waits until a replica does its work.
func (s *site) ready(r *replica) {
	s.Helper()
	e2etest.Eventually(s, patience, func() error {
		if !r.Running() {
			r.Start() // it came up while Redis was down
		}
		res, err := s.client.Get("http://" + r.address + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("replica %s is not ready: %s", r.name, res.Status)
		}
		return nil
	})
}

// eventually looks a few times a second until there is no error.
func (s *site) eventually(within time.Duration, try func() error) {
	s.Helper()
	late := time.After(within)
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for err := try(); err != nil; err = try() {
		select {
		case <-late:
			s.Fatalf("not within %s: %v", within, err)
		case <-again.C:
		}
	}
}

// pass lets time pass, unless the test ends first.
func (s *site) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Context().Done():
	}
}
