package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

const (
	// patient is how long a test waits for anything, on a machine that is busy with all of them.
	patient = 90 * time.Second
	// lease is for how long a replica that died keeps the others from what it had in hand.
	lease = 5 * time.Second
	// haste is what an ending may take beyond that. It is generous to machines, not to Elevate: the test logs what it took.
	haste = 10 * time.Second
)

// requesters ask, ben approves, and aud looks on.
var requesters = []string{"ana", "bea", "cat"}

// site is a target, a store, and the replicas of the bot between them. It is called by its API.
type site struct {
	*testing.T
	store *e2etest.Redis
	judge *judge
	bots  []*e2etest.Bot
}

// openSite starts a site with replicas, and waits until each does its work: the first one first, so that it is the one
// that keeps the audit log.
func openSite(t *testing.T, replicas ...string) *site {
	t.Helper()
	s := &site{T: t, store: e2etest.StartRedis(t), judge: startJudge(t)}
	for _, name := range replicas {
		b := e2etest.StartBot(t, siteConfig(fmt.Sprintf("store: {url: %q}", s.store.URL()), s.judge.url+name))
		b.WaitReady()
		s.bots = append(s.bots, b)
	}
	s.judge.swept(t)
	return s
}

// siteConfig is the configuration of a replica with its own address at the target.
func siteConfig(store, target string) string {
	var tokens, people strings.Builder
	for _, who := range append([]string{"ben", "aud"}, requesters...) {
		fmt.Fprintf(&tokens, "    - {name: %s, person: %s, hash: %q}\n", who, who, api.HashToken(tokenOf(who)))
		fmt.Fprintf(&people, "  - {id: %s, name: %s}\n", who, who)
	}
	return fmt.Sprintf(`%s
http: {listen: 127.0.0.1:0}
api:
  tokens:
%speople:
%sconnectors: {target: {type: webhook, url: %q, secret: %s}}
roles: [{id: vpn, title: VPN, connector: target}]
policies:
  - {name: all, match: "true", eligible: 'person.id != "ben"', duration: {max: 1h}, approve: [{by: 'person.id == "ben"'}]}
limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 0} # many do much at once here
auditors: person.id == "aud"
`, store, tokens.String(), people.String(), target, judgeSecret)
}

func tokenOf(who string) string { return "token-canary-of-" + who }

// call calls a replica's API as somebody. The error is of the network: nobody knows what was done.
func call(b *e2etest.Bot, who, method, path string, body map[string]string, answer any) (status int, err error) {
	content := []byte("{}")
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(method, "http://"+b.Address()+api.Prefix+path, bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf(who))
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patient}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if answer == nil {
		answer = &struct{}{}
	}
	return res.StatusCode, json.NewDecoder(res.Body).Decode(answer)
}

// asks submits a request of each requester's.
func (s *site) asks(length time.Duration) []access.RequestID {
	s.Helper()
	var ids []access.RequestID
	for _, who := range requesters {
		var made api.Request
		status, err := call(s.bots[0], who, http.MethodPost, "/requests",
			map[string]string{"role": "vpn", "duration": length.String(), "justification": "kill -9"}, &made)
		if err != nil || status != http.StatusCreated {
			s.Fatalf("submit: %d, %v", status, err)
		}
		ids = append(ids, made.ID)
	}
	return ids
}

// approves has every request approved. Where the bot is killed under it some are not, and the answer is lost of others;
// those are approved when it is called again.
func (s *site) approves(b *e2etest.Bot, ids []access.RequestID) (err error) {
	s.Helper()
	for _, id := range ids {
		var answer api.Problem
		status, callErr := call(b, "ben", http.MethodPost, "/requests/"+string(id)+"/approve", nil, &answer)
		switch {
		case callErr != nil:
			err = callErr
		case status != http.StatusOK && answer.Code != "already_settled":
			s.Fatalf("approve: %d %+v", status, answer)
		}
	}
	return err
}

// shown gives the requests as a replica knows them.
func (s *site) shown(b *e2etest.Bot) (map[access.RequestID]api.Request, error) {
	var page api.Page
	status, err := call(b, "aud", http.MethodGet, "/requests", nil, &page)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("list: %d, %w", status, err)
	}
	shown := map[access.RequestID]api.Request{}
	for _, r := range page.Requests {
		shown[r.ID] = r
	}
	return shown, nil
}

// reach waits until all requests are in a state, and gives them.
func (s *site) reach(b *e2etest.Bot, state access.State, ids []access.RequestID) map[access.RequestID]api.Request {
	s.Helper()
	var shown map[access.RequestID]api.Request
	eventually(s, func() (err error) {
		if shown, err = s.shown(b); err != nil {
			return err
		}
		for _, id := range ids {
			if got := shown[id].State; got != state {
				return fmt.Errorf("%s is %s, not %s", id, got, state)
			}
		}
		return nil
	})
	return shown
}

// reaches waits until a request is in a state, as somebody is shown it, and gives it.
func reaches(t testing.TB, b *e2etest.Bot, who string, id access.RequestID, state access.State) api.Request {
	t.Helper()
	var now api.Request
	eventually(t, func() error {
		now = api.Request{}
		status, err := call(b, who, http.MethodGet, "/requests/"+string(id), nil, &now)
		if err != nil || status != http.StatusOK || now.State != state {
			return fmt.Errorf("request %s is %q, not %s: %d, %w", id, now.State, state, status, err)
		}
		return nil
	})
	return now
}

// eventually tries ten times a second, which is half of what the API lets one token do, until there is no error.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	late := time.After(patient)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for err := try(); err != nil; err = try() {
		select {
		case <-late:
			t.Fatalf("not within %s: %v", patient, err)
		case <-again.C:
		}
	}
}

// restart starts a replica that was killed, and gives the time from which on it worked again.
func restart(t testing.TB, b *e2etest.Bot) time.Time {
	t.Helper()
	b.Start()
	e2etest.Eventually(t, patient, func() error {
		if b.Address() == "" {
			return fmt.Errorf("the bot does not run again:\n%s", b.Log())
		}
		return nil
	})
	return time.Now()
}

// evidence waits until the last word on every request is in the audit log, stops the replicas as a service manager does,
// has the binary prove the log that they kept together, and gives it by request.
func (s *site) evidence(ids []access.RequestID) map[access.RequestID][]audit.Event {
	s.Helper()
	eventually(s, func() error {
		log := s.events()
		for _, id := range ids {
			if !slices.ContainsFunc(log[id], func(e audit.Event) bool { return e.To.Terminal() }) {
				return fmt.Errorf("the log does not tell how %s ended: %s", id, kinds(log[id]))
			}
		}
		return nil
	})
	for _, b := range s.bots {
		b.Stop()
	}
	return e2etest.Events(s, e2etest.Proved(s, e2etest.AuditFolders(s.bots...)))
}

// events are those in the log as it is now.
func (s *site) events() map[access.RequestID][]audit.Event {
	s.Helper()
	return e2etest.Logged(s, e2etest.AuditFolders(s.bots...))
}

// together runs subtests side by side, all of them at once: they mostly wait.
func together[C fmt.Stringer](t *testing.T, cases []C, run func(*testing.T, C)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range cases {
		all.Go(func() { t.Run(c.String(), func(t *testing.T) { run(t, c) }) })
	}
}

// until waits for something that a step signals.
func (s *site) until(done <-chan struct{}, what string) {
	s.Helper()
	select {
	case <-done:
	case <-time.After(patient):
		s.Fatalf("not within %s: %s", patient, what)
	}
}

// past waits until a time is over.
func (s *site) past(at time.Time) {
	ctx, cancel := context.WithDeadline(s.Context(), at)
	defer cancel()
	<-ctx.Done()
}

// scenario is a test among those that run together.
type scenario struct {
	name string
	run  func(*testing.T)
}

func (s scenario) String() string { return s.name }
