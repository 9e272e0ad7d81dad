package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// TestThousandClicksAreOneDecision lets people approve, deny and cancel one request at the same time through two
// replicas: all of them at once, and so that the approvals or the denials come first.
func TestThousandClicksAreOneDecision(t *testing.T) {
	t.Parallel()
	c := gather(t)
	var ids []access.RequestID
	rounds := []struct{ first, requester string }{{"", "ana"}, {"approve", "bea"}, {"deny", "cat"}}
	for _, r := range rounds {
		id, shown := c.posted(r.requester, "vpn")
		clicks := c.storm(id, shown, r.requester)
		if len(clicks) != 1000 {
			t.Fatalf("%d clicks", len(clicks))
		}
		c.unleash(clicks, r.first, id)
		c.answered(id, clicks)
		ids = append(ids, id)
		// What the approvals came to is given back, so that the log can be read to its end.
		if status, err := call(c.bots[0], r.requester, http.MethodPost, "/requests/"+string(id)+"/end", nil, nil); err != nil {
			t.Fatalf("end: %d, %v", status, err)
		}
	}
	log := c.evidence(ids)
	for i, id := range ids {
		told(t, log[id])
		given, taken := c.judge.effects(string(id))
		count := tally(log[id])
		if count["approve"]+count["deny"] > 1 || count["cancel"] > 1 || len(given) > count["arm"] || len(given) != len(taken) {
			t.Errorf("%s was given %d times and taken %d times: %s", id, len(given), len(taken), kinds(log[id]))
		}
		if first := rounds[i].first; first != "" && settledBy(log[id]) != first || first == "approve" && len(given) != 1 {
			t.Errorf("where the first to come was %s, it was given %d times: %s", first, len(given), kinds(log[id]))
		}
		t.Logf("%s: %s", id, kinds(log[id]))
	}
	if n := c.judge.holders(); n > 0 {
		t.Errorf("%d people hold the role still", n)
	}
}

// settledBy is what a request was decided by.
func settledBy(events []audit.Event) string {
	for _, e := range events {
		if e.From == access.Pending && e.To != access.Pending && e.Kind != audit.Refused {
			return e.Kind
		}
	}
	return ""
}

func tally(events []audit.Event) map[string]int {
	count := map[string]int{}
	for _, e := range events {
		count[e.Kind]++
	}
	return count
}

// unleash lets all clicks go at once; or those of one kind first, and the others when they have settled the request.
func (c *crowd) unleash(clicks []*click, first string, id access.RequestID) {
	c.Helper()
	now, then := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for _, k := range clicks {
		gate := now
		if first != "" && !strings.HasSuffix(k.kind, first) {
			gate = then
		}
		all.Go(func() {
			<-gate
			began := time.Now()
			k.told, k.err = k.send()
			k.took = time.Since(began)
		})
	}
	close(now)
	switch first {
	case "approve":
		c.reach(c.bots[0], access.Active, []access.RequestID{id})
	case "deny":
		c.reach(c.bots[0], access.Denied, []access.RequestID{id})
	}
	close(then)
	all.Wait()
}

// right are the beginnings of what may be said to a click that changed something, or came too late.
var right = []string{
	"Already approved by ", "Already denied", "Already cancelled", "This access is being taken away already.", "This access has ended already.",
	" is cancelled. No access was granted.", " is denied. No access was granted.", "The access was being set up, so it is being taken back.",
	" was already approved by ", " was already denied by ", " was cancelled by ", " is over: it is ", " is active already.", " is being ended already.",
	" or an administrator can cancel request ", "This request is approved already.",
}

// excuses are said instead when there are more clicks than this machine can take in at once. They are true, and on an
// idle machine nobody hears them.
var excuses = []string{"Elevate is very busy", "Elevate could not answer in time.", "Elevate could not record your click in time.",
	"Elevate got this before and is still at it.", "Elevate cannot reach its store just now"}

func says(told string, any []string) bool {
	return slices.ContainsFunc(any, func(words string) bool { return strings.Contains(told, words) })
}

// answered judges what people were told: every click is answered, by what is true. That an approval did something is told
// by the message itself, and that it did nothing by a message that only the one who clicked sees.
func (c *crowd) answered(id access.RequestID, clicks []*click) {
	c.Helper()
	approvals, excused := 0, 0
	var took []time.Duration
	for _, k := range clicks {
		took = append(took, k.took)
		switch {
		case k.err != nil:
			c.Errorf("%s by %s: %v", k.kind, k.who, k.err)
		case k.kind == "approve":
			approvals++
		case k.told == "approved" || k.told == "denied": // the state that the API shows
		case says(k.told, excuses):
			excused++
		case !says(k.told, right):
			c.Errorf("%s by %s is told: %s", k.kind, k.who, k.told)
		}
	}
	effective := 0
	if shown, err := c.shown(c.bots[0]); err != nil {
		c.Error(err)
	} else if d := shown[id].Decisions; len(d) == 1 && d[0].Verdict == access.Approve && d[0].Via == "slack" {
		effective = 1
	}
	e2etest.Eventually(c, patient, func() error {
		told := 0 // more than once where a click was said to be perhaps not recorded, and was
		for _, m := range c.slack.Whispers("C0ACCESS")[c.heard:] {
			if says(m.Text, right) || says(m.Text, excuses) {
				told++
			}
		}
		if told < approvals-effective {
			return fmt.Errorf("of %d approvals %d had an effect, and %d people were told that theirs had none", approvals, effective, told)
		}
		return nil
	})
	c.heard = len(c.slack.Whispers("C0ACCESS"))
	slices.Sort(took)
	c.Logf("%d excuses; answered within %s (half), %s (99 of 100), %s (all)", excused, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}

// TestReplaysHaveNoSecondEffect delivers the same signed request a thousand times, to either replica: a command, a click
// and a form, on a request that needs two approvals, so that a second effect would show.
func TestReplaysHaveNoSecondEffect(t *testing.T) {
	t.Parallel()
	c := gather(t)
	lead := c.slack.As(member("lead0"))
	command := c.slack.As(member("ana")).Command("C0ACCESS", "vault 1h the same words again and again")
	answers := c.replay("command", command)
	if len(answers) > 2 { // the answer, and that it is on its way
		t.Errorf("the same command got %d answers: %q", len(answers), answers)
	}
	id, shown := c.only("ana asks for")
	answers = c.replay("block_actions", lead.Press(shown, "approve"))
	if len(answers) > 1 {
		t.Errorf("the same click got %d answers: %q", len(answers), answers)
	}
	eventually(t, func() error {
		all, err := c.shown(c.bots[0])
		if err == nil && len(all[id].Decisions) != 1 {
			err = fmt.Errorf("the click is not worked yet: %+v", all[id])
		}
		return err
	})
	denial := c.denialOf("lead1", shown)
	c.replay("view_submission", denial)
	log := c.evidence([]access.RequestID{id})
	if got := kinds(log[id]); got != "submit(pending) vote(pending) deny(denied) and 0 refusals" {
		t.Errorf("a command, a click and a form, each a thousand times: %s", got)
	}
	if len(log) != 1 {
		t.Errorf("there is more in the log: %+v", log)
	}
}

// replay delivers a payload a thousand times under one signature, and gives the different answers.
func (c *crowd) replay(kind string, payload map[string]any) []string {
	c.Helper()
	route, body := slackfake.Body(kind, payload)
	signed := c.slack.Signed("http://replica"+route, body)
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]bool{}
	deliver := func(to *e2etest.Bot) {
		req := slackfake.Sign("http://"+to.Address()+route, body, slackfake.SigningSecret, time.Now())
		req.Header = signed.Header.Clone()
		ack := slackfake.Do(c.client, req)
		if ack.Err != nil || ack.Status != http.StatusOK {
			c.Errorf("a replay is answered with %d, %v", ack.Status, ack.Err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[string(ack.Body)] = true
	}
	deliver(c.bots[0])
	for i := range 999 {
		all.Go(func() { deliver(c.bots[i%len(c.bots)]) })
	}
	all.Wait()
	return slices.Sorted(maps.Keys(answers))
}
