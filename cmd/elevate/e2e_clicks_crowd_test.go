package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/api"
	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

// deciders is how many people may approve.
const deciders = 10

// crowd is two replicas in a Slack with many people, all of whom have a token for the API too.
type crowd struct {
	*site
	slack  *slackfake.Server
	client *http.Client
	heard  int // messages for one person alone that were judged
}

func gather(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{
		site: &site{T: t, store: e2etest.StartRedis(t), judge: startJudge(t)}, slack: slackfake.New(t),
		client: &http.Client{Timeout: patient, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}},
	}
	t.Cleanup(c.client.CloseIdleConnections)
	for _, who := range everybody() {
		c.slack.AddUser(slackfake.User{ID: member(who), Name: who})
	}
	for _, name := range []string{"a", "b"} {
		b := e2etest.StartBot(t, crowdConfig(c.store.URL(), c.judge.url+name, c.slack.URL))
		b.WaitReady()
		c.bots = append(c.bots, b)
	}
	for _, b := range c.bots { // so that Slack's word on everybody is known: the fake is no faster than Elevate
		c.slack.OverHTTP("http://" + b.Address())
		for _, who := range everybody() {
			eventually(t, func() error {
				ack := c.slack.As(member(who)).Type("C0ACCESS", "mine")
				if ack.Err == nil && !strings.Contains(ack.Text(), "open requests") {
					return fmt.Errorf("%s is not known: %s", who, ack.Body)
				}
				return ack.Err
			})
		}
	}
	c.heard = len(c.slack.Whispers("C0ACCESS"))
	return c
}

func everybody() []string { return append(append([]string{"aud"}, requesters...), leads()...) }

func leads() (all []string) {
	for i := range deciders {
		all = append(all, fmt.Sprintf("lead%d", i))
	}
	return all
}

// member is a person's account in Slack.
func member(who string) string { return "U0" + strings.ToUpper(who) }

func crowdConfig(store, target, slack string) string {
	var tokens, people strings.Builder
	for _, who := range everybody() {
		group := strings.TrimRight(who, "0123456789")
		fmt.Fprintf(&tokens, "    - {name: %s, person: %s, hash: %q}\n", who, who, api.HashToken(tokenOf(who)))
		fmt.Fprintf(&people, "  - {id: %s, name: %s, slack: %s, groups: [%s]}\n", who, who, member(who), group)
	}
	return fmt.Sprintf(`store: {url: %q}
http: {listen: 127.0.0.1:0}
slack: {bot_token: %s, signing_secret: %s, team_id: %s, api_url: %q}
api:
  tokens:
%speople:
%sconnectors: {target: {type: webhook, url: %q, secret: %s}}
roles:
  - {id: vpn, title: VPN, connector: target}
  - {id: vault, title: Vault, connector: target}
policies:
  - {name: one, match: role.id == "vpn", eligible: "true", duration: {max: 1h}, channel: {slack: C0ACCESS}, approve: [{by: '"lead" in person.groups'}]}
  - {name: two, match: "true", eligible: "true", duration: {max: 1h}, channel: {slack: C0ACCESS}, approve: [{by: '"lead" in person.groups', count: 2}]}
limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 0} # many do much at once here
auditors: person.id == "aud"
`, store, slackfake.BotToken, slackfake.SigningSecret, slackfake.Team, slack, tokens.String(), people.String(), target, judgeSecret)
}

// posted asks for a role by typing, and gives the request with the message that the channel sees of it.
func (c *crowd) posted(who, role string) (access.RequestID, slackfake.Message) {
	c.Helper()
	c.slack.As(member(who)).Type("C0ACCESS", role+" 1h many people click at once")
	return c.only(who + " asks for")
}

// only waits for the one message about a request that waits for approval.
func (c *crowd) only(words string) (access.RequestID, slackfake.Message) {
	c.Helper()
	var found []slackfake.Message
	c.slack.Await(c, "a message with "+words, func() bool {
		found = slices.DeleteFunc(c.slack.Messages("C0ACCESS"), func(m slackfake.Message) bool {
			return !strings.Contains(m.Text, words) || slackfake.Button(m.Blocks, "approve") == nil
		})
		return len(found) > 0
	})
	id, _ := slackfake.Button(found[0].Blocks, "approve")["value"].(string)
	if len(found) != 1 || id == "" {
		c.Fatalf("%d messages with %s, of request %q", len(found), words, id)
	}
	return access.RequestID(id), found[0]
}

// click is one thing that one person does, and what they were told.
type click struct {
	kind, who string
	send      func() (told string, err error)
	told      string
	err       error
	took      time.Duration
}

// over makes a click that arrives as Slack signs it, at any of the replicas. Read gives the answer from the body.
func (c *crowd) over(kind, payloadKind, who string, payload map[string]any, read func(slackfake.Ack) string) *click {
	route, body := slackfake.Body(payloadKind, payload)
	bot := c.bots[rand.IntN(len(c.bots))]
	return &click{kind: kind, who: who, send: func() (string, error) {
		ack := slackfake.Do(c.client, c.slack.Signed("http://"+bot.Address()+route, body))
		if ack.Err == nil && ack.Status != http.StatusOK {
			ack.Err = fmt.Errorf("acknowledged with %d", ack.Status)
		}
		return read(ack), ack.Err
	}}
}

// storm makes a thousand clicks on a message: 400 approvals, 250 denials, 250 cancellations by whoever may and whoever
// may not, and 100 decisions through the API.
func (c *crowd) storm(id access.RequestID, shown slackfake.Message, requester string) []*click {
	c.Helper()
	var all []*click
	for i := range 400 {
		who := leads()[i%deciders]
		all = append(all, c.over("approve", "block_actions", who, c.slack.As(member(who)).Press(shown, "approve"), func(slackfake.Ack) string { return "" }))
	}
	all = append(all, c.denials(shown, 250/deciders)...)
	for i := range 250 {
		who := requester
		if i%5 == 0 {
			who = leads()[i%deciders]
		}
		all = append(all, c.over("cancel", "command", who, c.slack.As(member(who)).Command("C0ACCESS", "cancel "+string(id)), slackfake.Ack.Text))
	}
	for i := range 100 {
		who, verb := leads()[i%deciders], []string{"approve", "deny"}[i/50]
		bot := c.bots[i%len(c.bots)]
		all = append(all, &click{kind: "api " + verb, who: who, send: func() (string, error) {
			var answer struct{ State, Detail string }
			status, err := call(bot, who, http.MethodPost, "/requests/"+string(id)+"/"+verb, nil, &answer)
			if err == nil && status >= http.StatusInternalServerError {
				err = fmt.Errorf("answered with %d", status)
			}
			return answer.State + answer.Detail, err
		}})
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// denials has every lead open the form for a denial, each times over, and fill it in.
func (c *crowd) denials(shown slackfake.Message, each int) (forms []*click) {
	c.Helper()
	var mu sync.Mutex
	var people sync.WaitGroup
	for _, who := range leads() {
		people.Go(func() {
			for range each {
				form := c.over("deny", "view_submission", who, c.denialOf(who, shown), func(a slackfake.Ack) string { return string(a.Body) })
				mu.Lock()
				forms = append(forms, form)
				mu.Unlock()
			}
		})
	}
	people.Wait()
	return forms
}

// denialOf opens the form for a denial and fills it in, ready to be sent off.
func (c *crowd) denialOf(who string, shown slackfake.Message) map[string]any {
	c.Helper()
	p := c.slack.As(member(who))
	defer p.Close()
	c.slack.Send("block_actions", p.Press(shown, "deny"))
	c.slack.Await(c, "the form for a denial opens", func() bool { return c.slack.Dialog(p.ID) != nil })
	_, err := p.Fill("reason", "not now")
	payload, submitErr := p.Submission()
	if err := errors.Join(err, submitErr); err != nil {
		c.Errorf("fill in a denial: %v", err)
	}
	return payload
}
