package teams

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows"
	"elevate/workflows/access"
)

// perSecond is the rate of the benchmark of invokes.
const perSecond = 50

// BenchmarkInvokes sends clicks, forms, searches and refreshes, 50 a second, to a whole Elevate, and prints how long Teams
// waited, while parts of what Elevate needs hang. Beside it, the same requests go to a plain handler that does nothing but
// check the same tokens: what no program on this machine can do without. The limit is a second at p99.
//
//	go test -run - -bench Invokes -benchtime 1000x ./bot/teams
func BenchmarkInvokes(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		k, _ := benched(b)
		plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			in, _ := parse(body)
			if _, status := k.teams.admit(r, in); err != nil || status != http.StatusOK {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		b.Cleanup(plain.Close)
		k.fake.Deliver(plain.URL)
		k.measure(b, false)
	})
	b.Run("all well", func(b *testing.B) {
		k, _ := benched(b)
		k.measure(b, true)
	})
	b.Run("target and Teams hang", func(b *testing.B) {
		k, o := benched(b)
		o.Hang(b)
		k.fake.Misbehave("*", teamsfake.Fault{Times: -1, Hang: true})
		k.measure(b, true)
	})
	b.Run("store hangs", func(b *testing.B) {
		k, _ := benched(b)
		hang := make(chan struct{})
		k.store.breakDown(nil, hang)
		b.Cleanup(func() { k.store.breakDown(nil, nil); close(hang) })
		k.measure(b, true)
	})
}

// benched is a whole Elevate behind a fake Teams, with the times of production.
func benched(b *testing.B) (*kit, *bottest.Office) {
	o := bottest.NewOffice(b, bottest.Stage{
		Name: Name, Channel: teamsfake.Access, Account: func(person string) string { return account(access.PersonID(person)) },
	})
	shelf := &shelf{Store: o.Store}
	k := setup(b, func(cfg *Config) {
		cfg.Bot, cfg.Store, cfg.Directory, cfg.Now, cfg.AckWithin = o.Bot, shelf, o.Directory, o.Now, 0
	})
	k.store = shelf
	for _, p := range o.People {
		k.fake.AddUser(teamsfake.User{ObjectID: account(p.ID), Name: p.Name, Installed: true, InTeam: true})
	}
	o.Work(b, k.teams)
	_, err := o.Service.Submit(b.Context(), access.Actor{Person: bottest.Ana, Via: Name},
		workflows.Ask{Role: "db-admin", Duration: time.Hour, Justification: "fix the replication", Ticket: "INC-4711"})
	if err != nil {
		b.Fatal(err)
	}
	k.fake.Await(b, "the request's message", func() bool { return len(k.fake.Messages(teamsfake.Access)) == 1 })
	return k, o
}

// invokes are the bodies of n invokes of all kinds, none like another.
func (k *kit) invokes(b *testing.B, n int) [][]byte {
	m := k.fake.Messages(teamsfake.Access)[0]
	id := access.RequestID("")
	for word := range strings.FieldsSeq(teamsfake.Text(m.Card)) {
		if parsed, err := access.ParseID(word); err == nil {
			id = parsed
		}
	}
	on := press{Kind: pressClick, Request: id, On: "request"}
	out := make([][]byte, n)
	for i := range out {
		p, name := on, invokeAction
		switch i % 6 {
		case 0:
			p.Action = bot.ActApprove
		case 1:
			p.Action = bot.ActDetails
		case 2:
			p = press{Kind: pressView, Request: id, On: "request"}
		case 3:
			p = press{Kind: pressHome}
		case 4:
			p = press{Kind: pressSend, Form: bot.FormRequest, Nonce: fmt.Sprint(i)}
		case 5:
			name = invokeSearch
		}
		data := p.data()
		if p.Kind == pressSend {
			data["in.role"], data["in.duration"], data["in.justification"] = "db-admin", "1h", fmt.Sprint("restart the workers ", i)
		}
		value := object{"action": object{"type": "Action.Execute", "verb": p.verb(), "data": data}}
		if name == invokeSearch {
			value = object{"queryText": fmt.Sprint("db", i), "dataset": "role"}
		}
		who := account(access.PersonID([]string{bottest.Ana, bottest.Ben, bottest.Lea}[i%3]))
		body, err := json.Marshal(object{
			"type": "invoke", "id": fmt.Sprint("f:", i), "name": name, "channelId": "msteams", "serviceUrl": k.fake.URL, "value": value, "replyToId": m.ID,
			"from": object{"id": teamsfake.MRI(who), "aadObjectId": who}, "recipient": object{"id": "28:" + teamsfake.AppID},
			"conversation": object{"id": m.Place(), "conversationType": "channel", "tenantId": teamsfake.TenantID},
			"channelData":  object{"tenant": object{"id": teamsfake.TenantID}, "channel": object{"id": teamsfake.Access}},
		})
		if err != nil {
			b.Fatal(err)
		}
		out[i] = body
	}
	return out
}

// measure sends b.N invokes and reports how long the answers took.
func (k *kit) measure(b *testing.B, answers bool) {
	all := k.invokes(b, b.N)
	authorization := "Bearer " + k.fake.Identity.Token(k.fake.URL)
	bottest.Pace(b, perSecond, func(i int) {
		ack := k.fake.SendAs(all[i], authorization)
		if ack.Err != nil || ack.Status != http.StatusOK || answers && !strings.Contains(string(ack.Body), `"statusCode":200`) {
			b.Errorf("answered %d %s %v", ack.Status, ack.Body, ack.Err)
		}
	})
}
