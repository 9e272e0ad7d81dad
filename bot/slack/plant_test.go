package slack

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/slack/slackfake"
	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// plant is a whole Elevate behind a fake Slack: the real conversation, the real verbs, the real store's scripts, a demo
// target and a clock that tests move.
type plant struct {
	fake   *slackfake.Server
	clock  *clock
	target *demo.Target
	slack  *Slack
	url    string
}

// staff is a directory in memory; accounts are ids in capitals.
type staff map[access.PersonID][]string

func (s staff) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	groups, ok := s[id]
	if !ok {
		return access.Person{}, fmt.Errorf("person %s: %w", id, access.ErrNotFound)
	}
	return access.Person{ID: id, Name: strings.ToUpper(string(id[:1])) + string(id[1:]), Groups: groups}, nil
}

func (s staff) ByAccount(ctx context.Context, _, account string) (access.Person, error) {
	return s.Person(ctx, access.PersonID(strings.ToLower(strings.TrimPrefix(account, "U0"))))
}

func (s staff) AccountOf(_ context.Context, id access.PersonID, _ string) (string, error) {
	return "U0" + strings.ToUpper(string(id)), nil
}

func (s staff) People(ctx context.Context) ([]access.Person, error) {
	var out []access.Person
	for id := range s {
		p, err := s.Person(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func build(t testing.TB) *plant {
	t.Helper()
	p := &plant{fake: slackfake.New(t), clock: &clock{}}
	p.fake.Now = p.clock.now
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: p.clock.now})
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{Name}, Now: p.clock.now, AllowUnsafe: true}))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })

	p.target = demo.NewTarget(demo.TargetConfig{Now: p.clock.now})
	connector, err := demo.New(demo.Config{Target: p.target})
	must(t, err)
	people := staff{"ana": {"sre"}, "ben": {"leads"}, "cat": {"sre"}}
	roles := []access.Role{{ID: "prod-db-admin", Title: "Production database admin", Connector: "db", Target: map[string]any{"role": "db_admin"}}}
	set, problems := policy.Compile([]policy.Rule{{
		Name: "production", Match: "true", Eligible: `"sre" in person.groups`, Duration: policy.Duration{Default: time.Hour, Max: 4 * time.Hour},
		Approve: []policy.Approval{{By: `"leads" in person.groups`, Within: 30 * time.Minute}},
	}}, roles)
	if set == nil {
		t.Fatal(problems)
	}
	service, err := workflows.New(workflows.Config{
		Store: store, Directory: people, Policies: set, Roles: roles, Now: p.clock.now,
		Connectors: map[string]connectors.Connector{"db": connector},
	})
	must(t, err)
	talk, err := bot.New(bot.Config{
		Service: service, Directory: people, Now: p.clock.now, Channel: func(string, string) string { return "C0ACCESS" },
	})
	must(t, err)
	p.slack, err = New(Config{
		BotToken: secret(slackfake.BotToken), AppToken: secret(slackfake.AppToken), SigningSecrets: []access.Secret{secret(slackfake.SigningSecret)},
		TeamID: slackfake.Team, APIURL: p.fake.URL, Bot: talk, Store: store, Directory: people, Now: p.clock.now,
		AckWithin: ackForTests(t), Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	courier, err := bot.NewCourier(bot.CourierConfig{Bot: talk, Store: store, Chat: p.slack, Now: p.clock.now, Poll: 5 * time.Millisecond})
	must(t, err)
	runner := workflows.NewRunner(service, workflows.RunnerConfig{MaxSleep: 5 * time.Millisecond, Lease: time.Minute, Grace: time.Millisecond})
	h := httptest.NewServer(p.slack.Handler())
	p.url = h.URL
	p.fake.OverHTTP(h.URL)
	p.run(t, h.Close, runner.Run, courier.Run, p.slack.Run)
	return p
}

// ackForTests leaves tests time on a slow machine, and benchmarks what there is in production.
func ackForTests(t testing.TB) time.Duration {
	if _, ok := t.(*testing.B); ok {
		return 0
	}
	return 10 * time.Second
}

// run runs everything until the end of the test.
func (p *plant) run(t testing.TB, closeHTTP func(), all ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, f := range all {
		running.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		p.fake.Behave()
		p.fake.Close()
		p.target.SetFaults(demo.Faults{})
		closeHTTP()
		cancel()
		running.Wait()
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds waits until the target says so.
func (p *plant) holds(t *testing.T, account string, want bool) {
	t.Helper()
	p.fake.Await(t, fmt.Sprintf("%s holds the role: %t", account, want), func() bool { return p.target.Holds(account, "db_admin") == want })
}

// shows waits until the n-th message of the channel says something.
func (p *plant) shows(t *testing.T, n int, what string) slackfake.Message {
	t.Helper()
	p.fake.Await(t, what, func() bool {
		all := p.fake.Messages("C0ACCESS")
		return len(all) > n && strings.Contains(fmt.Sprint(all[n].Blocks), what)
	})
	return p.fake.Messages("C0ACCESS")[n]
}

// TestStory: a request by form, the requester's own click refused, the approval, the access, its end; the message tells
// the truth at each step, and every message, form and page passes the fake's checks.
func TestStory(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"http", "socket"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			p := build(t)
			if way == "socket" {
				ctx, cancel := context.WithCancel(context.Background())
				ran := make(chan error, 1)
				go func() { ran <- p.slack.RunSocket(ctx) }()
				t.Cleanup(func() { cancel(); must(t, <-ran) })
				p.fake.OverSocket()
			}
			ana, ben := p.fake.As("U0ANA"), p.fake.As("U0BEN")
			ok(t, ana.Type("C0ACCESS", ""))
			p.fake.Await(t, "the form", func() bool { return p.fake.Dialog("U0ANA") != nil })
			found, err := ana.Suggest("role", "prod")
			if err != nil || len(found) != 1 {
				t.Fatalf("found %v, %v", found, err)
			}
			before := p.fake.Dialog("U0ANA").Hash
			fill(t, ana, "role", found[0])
			p.fake.Await(t, "the form for the role", func() bool { return p.fake.Dialog("U0ANA").Hash != before })
			fill(t, ana, "justification", hostile)
			submit(t, ana)
			if d := p.fake.Dialog("U0ANA"); d == nil || len(d.Errors) > 0 {
				t.Fatalf("the form says %+v", d)
			}
			ana.Close()
			m := p.shows(t, 0, "Approve")
			p.holds(t, "ana", false)

			ok(t, p.fake.Send("block_actions", ana.Press(m, "approve")))
			p.fake.Await(t, "the refusal of the requester's own click", func() bool { return len(p.fake.Whispers("C0ACCESS")) == 1 })
			p.holds(t, "ana", false)

			ok(t, p.fake.Send("block_actions", ben.Press(p.shows(t, 0, "Approve"), "approve")))
			p.holds(t, "ana", true)
			m = p.shows(t, 0, "Active")
			if slackfake.Button(m.Blocks, "approve") != nil {
				t.Error("a request that was decided can still be approved")
			}
			ok(t, ana.OpenHome())
			p.fake.Await(t, "the page with a button to end the access", func() bool {
				home := p.fake.Home("U0ANA")
				return home != nil && slackfake.Button(home.Blocks(), "end") != nil
			})
			p.clock.advance(time.Hour + time.Second)
			p.holds(t, "ana", false)
			p.shows(t, 0, "Ended")
			p.fake.Await(t, "personal messages", func() bool { return len(p.fake.Messages(p.fake.DM("U0ANA"))) >= 2 })
		})
	}
}
