package slack

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

// TestStories: what people do, from its beginning to its end, over HTTP and through Socket Mode.
func TestStories(t *testing.T) {
	t.Parallel()
	for way, socket := range map[string]bool{"http": false, "socket": true} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			bottest.Tell(t, bottest.Stage{
				Name: Name, Channel: "C0ACCESS", Account: account,
				Open: func(t bottest.T, o *bottest.Office) bottest.Rig { return newOfficeRig(t.(testing.TB), o, socket) },
			})
		})
	}
}

// officeRig is a rig with an office behind the adapter.
type officeRig struct{ *rig }

func newOfficeRig(t testing.TB, o *bottest.Office, socket bool) officeRig {
	t.Helper()
	k := setup(t, func(cfg *Config) { cfg.Bot, cfg.Store, cfg.Directory, cfg.Now = o.Bot, o.Store, o.Directory, o.Now })
	k.fake.Now = o.Now
	for _, p := range o.People {
		k.fake.AddUser(slackfake.User{ID: account(string(p.ID)), Name: p.Name})
	}
	if socket {
		k.socket(t)
	}
	return officeRig{&rig{kit: k}}
}

func (r officeRig) Posted() []bottest.Shown { return r.calling("C0ACCESS") }

func (r officeRig) Personal(person string) []bottest.Shown {
	return r.calling(r.fake.DM(account(person)))
}

// Told is also what somebody was told beside a personal message.
func (r officeRig) Told(person string) []bottest.Shown {
	out := r.rig.Told(person)
	if dm := r.fake.DM(account(person)); dm != "" {
		out = append(out, shown(r.fake.Whispers(dm))...)
	}
	return out
}

// Break makes messages fail. Dialogs and pages go on, as they did in Slack's outages of messages.
func (r officeRig) Break(down bool) {
	r.fake.Behave()
	if !down {
		return
	}
	for _, method := range []string{"chat.postMessage", "chat.update", "chat.postEphemeral", "conversations.open", "hooks"} {
		r.fake.Misbehave(method, slackfake.Fault{Times: -1, Status: http.StatusServiceUnavailable})
	}
}

// calling are the messages of a channel, with those whom Slack notifies of them.
func (r officeRig) calling(channel string) []bottest.Shown {
	messages := r.fake.Messages(channel)
	out := shown(messages)
	for i, m := range messages {
		out[i].Calls = called(m)
	}
	return out
}

// summons is what Slack makes a notification of in what it parses.
var summons = regexp.MustCompile(`<@(U[A-Z0-9]+)[^>]*>|<!(channel|here|everyone|subteam)[^>]*>`)

// called reads mentions out of rich text, and out of text that Slack parses: mrkdwn, and the text beside blocks.
func called(m slackfake.Message) []string {
	var out []string
	parse := func(text string) {
		for _, found := range summons.FindAllStringSubmatch(text, -1) {
			if found[1] == "" {
				out = append(out, bottest.Everybody)
				continue
			}
			out = append(out, person(found[1]))
		}
	}
	parse(m.Text)
	slackfake.Walk(m.Blocks, func(e map[string]any) {
		text, _ := e["text"].(string)
		user, _ := e["user_id"].(string)
		switch e["type"] {
		case "mrkdwn":
			parse(text)
		case "user":
			out = append(out, person(user))
		case "broadcast", "usergroup":
			out = append(out, bottest.Everybody)
		}
	})
	return out
}

// person is whose account it is.
func person(account string) string { return strings.ToLower(strings.TrimPrefix(account, "U0")) }
