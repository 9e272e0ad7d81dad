package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/policy"
)

// shop is all of Elevate with a wall for a chat: real verbs, runner, store, bot and courier, a demo target, and a clock
// that tests move.
type shop struct {
	bot     *Bot
	service *workflows.Service
	store   *redis.Store
	target  *demo.Target
	wall    *wall
	ahead   atomic.Int64
}

func (s *shop) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *shop) advance(d time.Duration) { s.ahead.Add(int64(d)) }

// nap is how long everything sleeps between looks, because the clock leaps.
const nap = 5 * time.Millisecond

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{wall: newWall()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: s.now})
	must(err)
	t.Cleanup(func() { must(server.Close()) })
	s.store, err = redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{"web"}, AllowUnsafe: true, Now: s.now}))
	must(err)
	t.Cleanup(func() { must(s.store.Close()) })
	s.target = demo.NewTarget(demo.TargetConfig{Now: s.now})
	target, err := demo.New(demo.Config{Target: s.target})
	must(err)
	people := directory.New(shopPeople())
	rules, roles := shopRules()
	set, problems := policy.Compile(rules, roles)
	if set == nil {
		t.Fatal(problems)
	}
	s.service, err = workflows.New(workflows.Config{Store: s.store, Directory: people, Policies: set, Roles: roles, Now: s.now,
		Connectors: map[string]connectors.Connector{"demo": target}, Administrator: func(p access.Person) bool { return p.ID == "carol" }})
	must(err)
	s.bot, err = New(Config{Service: s.service, Directory: people, Channel: set.Channel, Administrators: s.service.Administrators,
		Overdue: s.store.Overdue, Now: s.now})
	must(err)
	alarm, err := NewAlarm(AlarmConfig{Store: s.store, Chats: []string{"web"}, Poll: nap, Now: s.now})
	must(err)
	// Leases are long, because time leaps.
	courier, err := NewCourier(CourierConfig{Bot: s.bot, Store: s.store, Chat: s.wall, Poll: nap, Send: 1000 * time.Hour, Now: s.now})
	must(err)
	runner := workflows.NewRunner(s.service, workflows.RunnerConfig{MaxSleep: nap, Lease: 1000 * time.Hour, Grace: time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{courier.Run, runner.Run, alarm.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); running.Wait() })
	return s
}

func shopPeople() []directory.Entry {
	person := func(id access.PersonID, name, group string) directory.Entry {
		return directory.Entry{Person: access.Person{ID: id, Name: name, Groups: []string{group}}, Chats: map[string]string{"web": string(id)}}
	}
	// Dora may approve, and has no account here.
	dora := person("dora", "Dora Quist", "leads")
	dora.Chats = nil
	return []directory.Entry{person("ana", "Ana Lima", "sre"), person("bob", "Bob Stone", "leads"), person("carol", "Carol Díaz", "leads"), dora}
}

// shopRules: db needs one approval, vault two in two stages, logs none; hidden has no channel.
func shopRules() ([]policy.Rule, []access.Role) {
	lead := func(n int) policy.Approval {
		return policy.Approval{By: `"leads" in person.groups`, Count: n, Within: 30 * time.Minute}
	}
	var rules []policy.Rule
	var roles []access.Role
	for _, r := range []struct {
		id      access.RoleID
		approve []policy.Approval
	}{{"db", []policy.Approval{lead(1)}}, {"vault", []policy.Approval{lead(1), lead(1)}}, {"logs", nil}, {"hidden", []policy.Approval{lead(1)}}} {
		rule := policy.Rule{Name: "for " + string(r.id), Match: fmt.Sprintf("role.id == %q", r.id), Eligible: `"sre" in person.groups`,
			Duration: policy.Duration{Default: time.Hour, Max: 4 * time.Hour}, Approve: r.approve, Channel: map[string]string{"web": "access"}}
		if r.approve == nil {
			rule.AutoApprove = "true"
		}
		if r.id == "hidden" {
			rule.Channel = nil
		}
		rules = append(rules, rule)
		roles = append(roles, access.Role{ID: r.id, Connector: "demo", Target: map[string]any{"role": string(r.id)}})
	}
	return rules, roles
}

// until waits, and fails where it was in vain.
func (s *shop) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in vain: %s; told was\n%s", what, s.wall.told())
		}
	}
}

// asks has Ana ask for a role, and gives the request's id once the message is there.
func (s *shop) asks(t *testing.T, role string) access.RequestID {
	t.Helper()
	a := s.bot.Command(t.Context(), Who{Chat: "web", Account: "ana"}, role+" 1h look into it")
	if a.Card == nil || a.Card.Name != "sent" {
		t.Fatalf("asked, and was answered %s", words(a))
	}
	id := s.record(t).ID
	s.until(t, "the message", func() bool { return s.wall.status("m1") != "" })
	return id
}

func (s *shop) record(t *testing.T) *access.Record {
	t.Helper()
	all, _, err := s.store.List(context.WithoutCancel(t.Context()), workflows.Query{})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d requests, %v", len(all), err)
	}
	return all[0]
}

func (s *shop) state(t *testing.T, want access.State) {
	t.Helper()
	s.until(t, "the request is "+string(want), func() bool { return s.record(t).State == want })
}

func (s *shop) click(t *testing.T, person string, a Action, id access.RequestID) Answer {
	t.Helper()
	return s.bot.Click(t.Context(), Who{Chat: "web", Account: person}, Click{Action: a, Request: id, Message: "m1"})
}

// says waits until the request's message says something.
func (s *shop) says(t *testing.T, want string) {
	t.Helper()
	s.until(t, "the message says "+want, func() bool { return strings.Contains(s.wall.status("m1"), want) })
}

// tells waits until messages of these names were posted, in this order, and checks that there were no others.
func (s *shop) tells(t *testing.T, want ...string) {
	t.Helper()
	posts := func() []string {
		var got []string
		for line := range strings.SplitSeq(s.wall.told(), "\n") {
			if post, ok := strings.CutPrefix(line, "post "); ok {
				got = append(got, post)
			}
		}
		return got
	}
	s.until(t, fmt.Sprintf("posted are %q", want), func() bool { return len(posts()) >= len(want) })
	if got := posts(); !slices.Equal(got, want) {
		t.Errorf("posted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTwoStagesAreToldStepByStep(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "vault")
	s.says(t, "stage 1 of 2, 0 of 1 given")
	s.click(t, "bob", ActApprove, id)
	s.says(t, "stage 2 of 2, 0 of 1 given")
	mustSay(t, s.click(t, "bob", ActApprove, id), "You have decided")
	s.click(t, "carol", ActApprove, id)
	s.says(t, "**Active**")
	s.says(t, "@Bob Stone and @Carol Díaz")
	s.tells(t, "request access", "thread-voted access/m1", "thread-approved access/m1", "told-approved @ana", "thread-active access/m1", "told-active @ana")
}

func TestWhatPolicyApprovesIsToldOnceItIsActive(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.asks(t, "logs")
	s.says(t, "**Active**")
	s.tells(t, "request access", "thread-approved access/m1", "thread-active access/m1", "told-active @ana")
	if !s.target.Holds("ana", "logs") {
		t.Error("the message says active, and the target does not give it")
	}
}

func TestApproversAreRemindedOnceAndThenItLapses(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "db")
	s.advance(s.record(t).RemindAt.Sub(s.now()))
	s.tells(t, "request access", "reminder access/m1")
	s.advance(s.record(t).DecideBy.Sub(s.now()))
	s.says(t, "**Lapsed**")
	s.tells(t, "request access", "reminder access/m1", "thread-lapsed access/m1", "told-lapsed @ana")
	mustSay(t, s.click(t, "bob", ActApprove, id), "This request lapsed", "nobody decided in time")
}

func TestWithoutAChannelApproversGetTheRequestThemselves(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "hidden")
	s.until(t, "the second copy", func() bool { return s.wall.status("m2") != "" })
	s.click(t, "carol", ActApprove, id)
	s.says(t, "**Active**")
	s.until(t, "the second copy is true too", func() bool { return strings.Contains(s.wall.status("m2"), "**Active**") })
	s.tells(t, "request @bob", "request @carol", "told-approved @ana", "told-active @ana")
}

func TestAccessThatDoesNotEndIsToldUntilItDoes(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "db")
	s.click(t, "bob", ActApprove, id)
	s.state(t, access.Active)
	s.tells(t, "request access", "thread-approved access/m1", "told-approved @ana", "thread-active access/m1", "told-active @ana")
	s.target.SetFaults(demo.Faults{UnavailableUntil: s.now().Add(1000 * time.Hour)})
	s.click(t, "ana", ActEnd, id)
	s.state(t, access.Deactivating)
	s.advance(90 * time.Second)
	s.says(t, "**Overdue**")
	s.until(t, "Ana is told", func() bool { return strings.Contains(s.wall.told(), "told-overdue @ana") })
	s.until(t, "the administrator is told", func() bool { return strings.Contains(s.wall.told(), "post alarm @carol") })
	s.target.SetFaults(demo.Faults{})
	s.advance(2 * time.Minute)
	s.state(t, access.Ended)
	s.says(t, "**Ended** early by @Ana Lima")
	s.until(t, "Ana is told", func() bool { return strings.Contains(s.wall.told(), "told-ended @ana") })
	s.until(t, "the administrator is told", func() bool { return strings.Contains(s.wall.told(), "post alarm-over @carol") })
	if s.target.Holds("ana", "db") {
		t.Error("the message says ended, and the target still gives it")
	}
}

func TestATargetThatRefusesIsTold(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "db")
	s.target.SetFaults(demo.Faults{Refuse: true})
	s.click(t, "bob", ActApprove, id)
	s.until(t, "the activation is given up", func() bool {
		return !slices.Contains([]access.State{access.Pending, access.Approved, access.Activating}, s.record(t).State)
	})
	s.target.SetFaults(demo.Faults{})
	s.until(t, "it is over", func() bool {
		s.advance(time.Second)
		return s.record(t).State.Terminal()
	})
	s.until(t, "Ana is told", func() bool {
		s.wall.mu.Lock()
		defer s.wall.mu.Unlock()
		for _, c := range s.wall.cards {
			if c.Title == "Access could not be given" {
				return true
			}
		}
		return false
	})
}

func TestAChatThatWasDownIsToldWhatIsTrueAndNothingElse(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "db")
	var down atomic.Bool
	down.Store(true)
	s.wall.mu.Lock()
	s.wall.fault = func(string, Card) error {
		if down.Load() {
			return fmt.Errorf("503 service unavailable")
		}
		return nil
	}
	s.wall.mu.Unlock()
	s.click(t, "bob", ActApprove, id)
	s.state(t, access.Active)
	s.advance(s.record(t).NoticeAt.Sub(s.now()))
	s.until(t, "the notice is due", func() bool { return s.record(t).NoticeAt.IsZero() })
	s.advance(s.record(t).EndsAt.Sub(s.now()))
	s.state(t, access.Ended)
	if s.target.Holds("ana", "db") {
		t.Error("the access waited for the chat")
	}
	down.Store(false)
	s.until(t, "the message tells the truth", func() bool {
		s.advance(10 * time.Second)
		return strings.Contains(s.wall.status("m1"), "**Ended**") && strings.Contains(s.wall.told(), "told-ended")
	})
	s.tells(t, "request access", "thread-approved access/m1", "told-approved @ana", "thread-ended access/m1", "told-ended @ana")
}

func TestDigestersOnARealStoreSendOneDigest(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	id := s.asks(t, "db")
	s.click(t, "bob", ActApprove, id)
	s.tells(t, "request access", "thread-approved access/m1", "told-approved @ana", "thread-active access/m1", "told-active @ana")
	due := s.now().UTC().Truncate(time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 3 {
		d, err := NewDigester(DigestConfig{At: due.Format("15:04"), Channels: map[string]string{"web": "news"}, Service: s.service, Store: s.store, Now: s.now, Poll: nap})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	s.until(t, "the digest", func() bool { return strings.Contains(s.wall.told(), "post digest news") })
	stop()
	running.Wait()
	s.tells(t, "request access", "thread-approved access/m1", "told-approved @ana", "thread-active access/m1", "told-active @ana", "digest news")
}
