package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// promptly is what an approval or an ending may take beside a flood. It is generous to machines: the test logs what it took.
const promptly = 5 * time.Second

// TestAFloodOfOnePersonDelaysNobody: cat sends requests, and clicks on what she may not decide, as fast as the machine
// lets her. Meanwhile bea asks, is approved, and gives back; and what ana holds ends by itself.
func TestAFloodOfOnePersonDelaysNobody(t *testing.T) {
	t.Parallel()
	c := quietCrowd(t)
	held, err := c.requestFor("ana", "20s")
	if err != nil {
		t.Fatal(err)
	}
	_, shown := c.only("ana asks for")
	c.presses("lead1", shown)
	c.reach(c.bots[0], access.Active, []access.RequestID{held})
	flood := c.flood("cat", shown)
	flood.under(t)

	asked := time.Now()
	id, message := c.posted("bea", "vpn")
	told := time.Since(asked)
	c.presses("lead0", message)
	began := time.Now()
	c.reach(c.bots[0], access.Active, []access.RequestID{id})
	approved := time.Since(began)
	began = time.Now()
	if ack := c.slack.As(member("bea")).Type("C0ACCESS", "end "+string(id)); !strings.Contains(ack.Text(), "is being taken away") {
		t.Errorf("an ending is answered: %d %s %v", ack.Status, ack.Body, ack.Err)
	}
	c.reach(c.bots[0], access.Ended, []access.RequestID{id})
	ended := time.Since(began)
	c.reach(c.bots[0], access.Ended, []access.RequestID{held})
	sent := flood.stop()

	all, err := c.shown(c.bots[0])
	if err != nil {
		t.Fatal(err)
	}
	late := all[held].EndedAt.Sub(*all[held].EndsAt)
	t.Logf("beside %d requests and clicks of cat's: told of after %s, active %s after the click, gone %s after the word; an end was %s late", sent, told, approved, ended, late)
	for what, took := range map[string]time.Duration{"the message": told, "the approval": approved, "the word to end": ended, "the end": late} {
		if took > promptly {
			t.Errorf("%s took %s", what, took)
		}
	}
	if sent < 500 {
		t.Errorf("only %d came in: that is no flood", sent)
	}
	c.bounded("cat")
}

// quietCrowd is one replica with the limits that a configuration has by default.
func quietCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{
		site: &site{T: t, store: e2etest.StartRedis(t), judge: startJudge(t)}, slack: slackfake.New(t),
		client: &http.Client{Timeout: patient, Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
	t.Cleanup(c.client.CloseIdleConnections)
	for _, who := range everybody() {
		c.slack.AddUser(slackfake.User{ID: member(who), Name: who})
	}
	var lines []string
	for _, line := range strings.Split(crowdConfig(c.store.URL(), c.judge.url+"a", c.slack.URL), "\n") {
		if !strings.HasPrefix(line, "limits: ") {
			lines = append(lines, line)
		}
	}
	b := e2etest.StartBot(t, strings.Join(lines, "\n"))
	b.WaitReady()
	c.bots = append(c.bots, b)
	c.slack.OverHTTP("http://" + b.Address())
	return c
}

func (c *crowd) requestFor(who, duration string) (access.RequestID, error) {
	var made struct{ ID access.RequestID }
	status, err := call(c.bots[0], who, http.MethodPost, "/requests", map[string]string{"role": "vpn", "duration": duration, "justification": "look at it"}, &made)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("answered %d", status)
	}
	return made.ID, err
}

// presses approves.
func (c *crowd) presses(who string, shown slackfake.Message) {
	c.Helper()
	if ack := c.slack.Send("block_actions", c.slack.As(member(who)).Press(shown, "approve")); ack.Err != nil || ack.Status != http.StatusOK {
		c.Fatalf("a click is answered %d, %v", ack.Status, ack.Err)
	}
}

// flood is somebody who does things as fast as they can.
type flood struct {
	sent atomic.Int64
	end  chan struct{}
	all  sync.WaitGroup
}

func (c *crowd) flood(who string, shown slackfake.Message) *flood {
	f := &flood{end: make(chan struct{})}
	p, address := c.slack.As(member(who)), "http://"+c.bots[0].Address()
	for i := range 16 {
		f.all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-f.end:
					return
				default:
				}
				kind, payload := "block_actions", p.Press(shown, "approve")
				if i%2 == 0 {
					kind, payload = "command", p.Command("C0ACCESS", fmt.Sprintf("vpn 1h flood %d of %d", n, i))
				}
				route, body := slackfake.Body(kind, payload)
				if ack := slackfake.Do(c.client, c.slack.Signed(address+route, body)); ack.Err == nil {
					f.sent.Add(1)
				}
			}
		})
	}
	return f
}

// under waits until the flood is one.
func (f *flood) under(t *testing.T) {
	t.Helper()
	e2etest.Eventually(t, patient, func() error {
		if n := f.sent.Load(); n < 200 {
			return fmt.Errorf("only %d came in", n)
		}
		return nil
	})
}

func (f *flood) stop() int64 {
	close(f.end)
	f.all.Wait()
	return f.sent.Load()
}

// bounded makes sure that a flood has left little behind: in the audit log, and before the approvers.
func (c *crowd) bounded(who string) {
	c.Helper()
	b := c.bots[0]
	b.Stop() // so that the last events are in the files
	var refused, asked []audit.Event
	for _, events := range e2etest.Logged(c, e2etest.AuditFolders(b)) {
		for _, e := range events {
			switch {
			case e.Actor.Account != member(who):
			case e.Kind == audit.Refused:
				refused = append(refused, e)
			default:
				asked = append(asked, e)
			}
		}
	}
	if len(refused) > 200 || len(asked) > 3 {
		c.Errorf("%d refusals and %d others are on record", len(refused), len(asked))
	}
	if !slices.ContainsFunc(refused, func(e audit.Event) bool { return e.Reason == "too_many_acts" }) {
		c.Error("the flood is not on record")
	}
}
