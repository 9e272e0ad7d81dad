package attack_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/cmd/elevate/e2etest"
	"elevate/workflows/access"
)

const (
	targetsFile = "workflows/targets.go"
	runnerFile  = "workflows/runner.go"
	claimFile   = "storage/redis/lua/claim.lua"
	webhookFile = "connectors/webhook/verbs.go"
)

// believed has an ending count as done that the target did not confirm.
var believed = cut{targetsFile, "	if err != nil {\n		log.Warn(\"the target did not take the role away; it is tried again\"", "	if err != nil && !OUT {\n		log.Warn(\"the target did not take the role away; it is tried again\""}

func lastingAttacks() []attack {
	return []attack{
		{id: "T43", what: "clicks and commands of one account in a minute, beyond those that may be, and whether an end is late beside them", run: flood,
			defence: "what one account does is bounded before it is worked", without: []cut{{"bot/pace.go", "	if p == nil {\n		return \"\", false\n	}\n	p.mu.Lock()\n	defer p.mu.Unlock()\n	k :=", "	if p == nil || OUT {\n		return \"\", false\n	}\n	p.mu.Lock()\n	defer p.mu.Unlock()\n	k :="}}},
		{id: "T44", what: "break-glass: by command, API and configuration. This version has none", run: breakGlass},
		{id: "T46", what: "two grants of one right: that the first end takes what the second gives, or the last end leaves it", run: overlapping,
			defence: "a right stays until its last grant ends", without: []cut{{targetsFile, "	if !c.Alone {", "	if !c.Alone && !OUT {"}}},
		{id: "T49", what: "endings while the target is down, hangs, resets connections: access that is there a minute after it is back", run: targetDown,
			defence: "an ending is tried until it is confirmed, and the target is compared", without: []cut{believed, noSweep}},
		{id: "T50", what: "endings that the target refuses as too early for a while: access that is there a minute after", run: tooEarly,
			defence: "an ending is tried until it is confirmed, and the target is compared", without: []cut{believed, noSweep}},
		{id: "T51", what: "a replica paused while it gives access, and woken when the end is over: access that is there a minute after", run: pausedReplica,
			defence: "what was given too late is undone, and the target is compared", without: []cut{
				{targetsFile, "		return r.undoLate(ctx, rec, receipt, log)\n	}\n	return err\n}\n\n// give calls", "		if OUT {\n			return err\n		}\n		return r.undoLate(ctx, rec, receipt, log)\n	}\n	return err\n}\n\n// give calls"}, noSweep}},
		{id: "T52", what: "an approval that could not be used in its time, used later", run: staleApproval,
			defence: "an approval lapses", without: []cut{
				{runnerFile, "	case access.TimerLapse:\n		return lapse(rec, now)", "	case access.TimerLapse:\n		if OUT && rec.State == access.Approved {\n			return Transition{}, ErrStale\n		}\n		return lapse(rec, now)"},
				{targetsFile, "case !now.Before(rec.EndsAt), now.After(rec.StartBy):", "case !now.Before(rec.EndsAt), now.After(rec.StartBy) && !OUT:"}}},
		{id: "T53", what: "looking for every secret of the configuration, and tokens, in log, Redis, audit log, metrics and answers", run: secrets,
			defence: "secrets redact themselves", without: []cut{
				{"workflows/access/secret.go", "	return redacted\n}\n\n// Format", "	if OUT {\n		return s.Reveal()\n	}\n	return redacted\n}\n\n// Format"},
				{"cmd/elevate/serve.go", "	g, ctx := errgroup.WithContext(ctx)\n", "	if OUT {\n		log.Info(\"configured\", \"slack\", fmt.Sprint(cfg.Slack))\n	}\n	g, ctx := errgroup.WithContext(ctx)\n"}}},
		{id: "T55", what: "kill -9 of the only replica within activations and endings: access that is there half a minute after its end", run: killed,
			defence: "what a dead replica had in hand is taken over", without: []cut{{claimFile, "local until_ = ms(now + lease)", "local until_ = ms(now + 1000 * lease)"}, noSweep}},
		{id: "T56", what: "kill -9 of Redis with grants live and due: access that is there half a minute after it is back", run: redisKilled,
			defence: "timers are worked when the store is back", without: []cut{{runnerFile, "			r.s.log.Error(\"due timers could not be claimed\", \"lane\", l.name, \"err\", err)\n", "			r.s.log.Error(\"due timers could not be claimed\", \"lane\", l.name, \"err\", err)\n			if OUT {\n				return\n			}\n"}, noSweep}},
		{id: "T57", what: "two replicas on one Redis: activations of one grant beyond the first", run: twoReplicas,
			defence: "a timer is claimed by one replica", without: []cut{
				{claimFile, "    if busy and busy > now then", "    if false then"},
				{claimFile, "  redis.call('ZADD', lane, unpack(scores))\n", ""}}},
		{id: "T58", what: "Slack answering 429, 500 and nothing: messages that are lost by it, and approvals that wait for it", run: slackDown,
			defence: "messages wait in the store until they are told", without: []cut{{"bot/courier.go", "	if err != nil {\n		// Putting off after each message sent is no failure.\n", "	if err != nil && OUT {\n		return c.told(ctx, e, nil)\n	}\n	if err != nil {\n		// Putting off after each message sent is no failure.\n"}}},
		{id: "T59", what: "each delivery of Slack's four times, as when it hears no answer: effects beyond the first", run: redelivered,
			defence: "what was done is remembered in the store", without: []cut{{"bot/slack/once.go", "if !first {", "if !first && !OUT {"}}},
		{id: "T60", what: "commands while Redis and the target stand still: answers that come after Slack's three seconds", run: frozen,
			defence: "an answer is given in time, whatever it waits for", without: []cut{{"bot/slack/slack.go", "		cfg.AckWithin = 700 * time.Millisecond\n", "		cfg.AckWithin = OR(700*time.Millisecond, time.Hour)\n"}}},
		{id: "T61", what: "a target that says removed and removes nothing: endings that are believed", run: lyingTarget,
			defence: "the target is read back", without: []cut{{webhookFile, "	case s.ours != \"\":\n		return \"\", unknown(\"read back\"", "	case s.ours != \"\" && !OUT:\n		return \"\", unknown(\"read back\""}, noSweep}},
	}
}

// short grants n roles for a time, each its own, and waits until all are held.
func (r *rig) short(n int, length time.Duration) (ids []string) {
	r.Helper()
	for i := range n {
		made := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": fmt.Sprintf("short%d", i), "duration": length.String(), "justification": "for a short while"})
		got := r.call(0, tokenOf("cat", i%tokensEach), "POST", "/requests/"+made.id+"/approve", nil)
		if got.status != http.StatusOK {
			r.Fatalf("approve: %d %s after %d %s", got.status, got.body, made.status, made.body)
		}
		ids = append(ids, made.id)
	}
	return ids
}

// shortRoles are roles for short.
func shortRoles(n int) func(*setting) {
	return func(c *setting) {
		for i := range n {
			c.roles += fmt.Sprintf("  - {id: short%d, title: Short %d, connector: target, target: {role: short%d}}\n", i, i, i)
		}
	}
}

// allHeld waits until so many hold something.
func (r *rig) allHeld(n int) {
	r.Helper()
	e2etest.Eventually(r, patience, func() error {
		if is := r.target.holding(); is < n {
			return fmt.Errorf("%d of %d hold their role", is, n)
		}
		return nil
	})
}

// left counts one try for each of n, and as accepted those who hold something after a time.
func (r *rig) left(n int, after time.Duration, what string) {
	r.within(after, func() bool { return r.target.holding() == 0 })
	is := r.target.holding()
	for i := range n {
		r.tried(i < is, "%d of %d hold their role %s", is, n, what)
	}
}

func flood(s *assault) {
	r := s.open(func(c *setting) {
		c.limits = "limits: {person: 0, workspace: 0, pending: 0, cool_down: 0s, acts: 60, window: 1m}"
	})
	due := r.granted("ana", "cat", "vpn", "8s")
	ends := *r.shown(due).EndsAt
	began := time.Now()
	var worked atomic.Int64
	n := s.many(5_000, 300)
	s.each(n, 16, func(i int) {
		ack := r.slack.As("U0DAN").Type(channel, fmt.Sprintf("roles %d", i))
		if !strings.Contains(string(ack.Body), "You are doing more than") && ack.Status == http.StatusOK {
			worked.Add(1)
		}
	})
	allowed := 61 + int64(time.Since(began).Seconds())
	for i := range n {
		s.tried(int64(i) >= allowed && int64(i) < worked.Load(), "%d were worked, of %d that may be", worked.Load(), allowed)
	}
	r.reach(due, access.Ended)
	late := r.shown(due).EndedAt.Sub(ends)
	s.tried(late > 5*time.Second, "an end was %s late", late)
}

// breakGlass looks for what is not there.
func breakGlass(s *assault) {
	r := s.open()
	for i, path := range []string{"/break-glass", "/requests/break-glass", "/roles/vpn/break-glass", "/emergency"} {
		got := r.call(0, tokenOf("bea", i), "POST", path, map[string]string{"role": "vpn", "duration": "1h", "justification": "it burns"})
		s.tried(got.status/100 == 2, "%s: %d", path, got.status)
	}
	for _, words := range []string{"break-glass vpn 1h it burns", "breakglass vpn", "emergency vpn 2h it burns"} {
		r.types("U0BEA", words)
		s.tried(r.target.holding() > 0, "%s gives access", words)
	}
	id := r.ask("bea", "vpn", "1h")
	got := r.does("bea", "/requests/"+id+"/break-glass", nil)
	s.tried(got.status/100 == 2, "%d", got.status)
	r.set.more = "break_glass: {roles: [vpn]}\n"
	dir := s.TempDir()
	r.must(os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(r.config("127.0.0.1:0")), 0o600))
	s.tried(s.program.Run(s, dir, "check").Code == 0, "the configuration knows break_glass")
}

func overlapping(s *assault) {
	r := s.open(func(c *setting) {
		c.roles = "  - {id: vpn-too, title: VPN too, connector: target, target: {role: vpn}}\n"
	})
	for range s.many(5, 1) {
		first, second := r.granted("bea", "cat", "vpn", "3s"), r.granted("bea", "cat", "vpn-too", "8s")
		r.reach(first, access.Ended)
		still := r.target.holding() == 1
		s.tried(!still && !r.shown(second).State.Terminal(), "the end of the first took it while the second lasts: %s", r.shown(second).State)
		r.reach(second, access.Ended)
		s.tried(r.target.holding() > 0, "the last end leaves it")
	}
}

// outage treats endings badly for a while.
func (r *rig) outage(lasts time.Duration, answer func(w http.ResponseWriter, n int64)) {
	over := time.Now().Add(lasts)
	var n atomic.Int64
	r.target.treat(func(w http.ResponseWriter, q *http.Request, verb string) bool {
		if verb == "activate" || time.Now().After(over) {
			return false
		}
		answer(w, n.Add(1))
		return true
	})
	r.within(lasts, func() bool { return false })
	r.target.treat(nil)
}

func targetDown(s *assault) {
	n := s.many(30, 5)
	r := s.open(shortRoles(n))
	r.short(n, 4*time.Second)
	r.outage(time.Duration(s.many(600, 15))*time.Second, func(w http.ResponseWriter, n int64) {
		switch n % 3 {
		case 0:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case 1:
			panic(http.ErrAbortHandler)
		default:
			select {
			case <-time.After(4 * time.Second): // longer than the connector waits
			case <-s.Context().Done():
			}
		}
	})
	r.left(n, time.Minute, "a minute after the target is back")
}

func tooEarly(s *assault) {
	n := s.many(20, 4)
	r := s.open(shortRoles(n))
	r.short(n, 4*time.Second)
	r.outage(time.Duration(s.many(300, 12))*time.Second, func(w http.ResponseWriter, _ int64) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too early", http.StatusConflict)
	})
	r.left(n, time.Minute, "a minute after it is not too early any more")
}

// pausedReplica stops whichever replica gives access, until another has ended it, and lets the call have its effect then.
func pausedReplica(s *assault) {
	r := s.open(func(c *setting) { c.replicas = 2 })
	for i := range s.many(10, 1) {
		caught, release := make(chan int, 1), make(chan struct{})
		var once atomic.Bool
		r.target.treat(func(_ http.ResponseWriter, q *http.Request, verb string) bool {
			if verb != "activate" || !once.CompareAndSwap(false, true) {
				return false
			}
			n, _ := strconv.Atoi(strings.Split(q.URL.Path, "/")[1])
			r.bots[n].Signal(syscall.SIGSTOP)
			caught <- n
			<-release
			return false // it has its effect, late
		})
		made := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": "vpn", "duration": "3s", "justification": "for a moment"})
		r.call(0, tokenOf("cat", i), "POST", "/requests/"+made.id+"/approve", nil)
		n := <-caught
		other := 1 - n
		e2etest.Eventually(s, patience, func() error {
			if is := r.call(other, tokenOf("aud", i), http.MethodGet, "/requests/"+made.id, nil).state; !is.Terminal() {
				return fmt.Errorf("%s is %s", made.id, is)
			}
			return nil
		})
		close(release)
		r.within(5*time.Second, func() bool { return r.target.holding() > 0 })
		r.bots[n].Signal(syscall.SIGCONT)
		r.left(1, time.Minute, "a minute after the paused replica went on")
		r.target.treat(nil)
	}
}

// staleApproval keeps an approved request from being given, by a store that is not safe, until its time to start is over.
func staleApproval(s *assault) {
	r := s.open(func(c *setting) { c.policy = ", start_within: 2s" })
	db, ctx := r.db(), s.Context()
	for range s.many(10, 2) {
		r.must(db.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err())
		id := r.ask("bea", "vpn", "1h")
		r.approves("cat", id)
		r.within(4*time.Second, func() bool { return false })
		r.must(db.ConfigSet(ctx, "maxmemory-policy", "noeviction").Err())
		given := r.within(12*time.Second, func() bool { return r.target.gave(id) > 0 || r.shown(id).State.Terminal() }) && r.target.gave(id) > 0
		s.tried(given, "%s was given after its time to start", id)
		r.over(id)
	}
}

func secrets(s *assault) {
	r := s.open(func(c *setting) { c.more = "log: {level: debug}\n" })
	id := r.granted("bea", "cat", "vpn", "1h")
	r.presses("U0CAT", slackfake.Message{Channel: channel}, "approve")
	r.teams.As(teamsfake.ObjectID("ana")).Say("roles")
	r.target.treat(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		http.Error(w, "oops", http.StatusInternalServerError)
		return true
	})
	r.does("bea", "/requests/"+id+"/end", nil)
	r.within(3*time.Second, func() bool { return strings.Contains(r.bots[0].Log(), "did not take the role away") })
	everywhere := r.redis.Everything(s)
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		res, err := r.client.Get(r.url() + path)
		r.must(err)
		buffer := new(strings.Builder)
		r.must(res.Write(buffer))
		_ = res.Body.Close()
		everywhere += buffer.String()
	}
	everywhere += r.call(0, tokenOf("aud", 0), "GET", "/audit", nil).body + r.call(0, tokenOf("aud", 0), "GET", "/requests", nil).body
	r.bots[0].Signal(syscall.SIGQUIT)
	r.within(10*time.Second, func() bool { return !r.bots[0].Running() })
	everywhere += r.bots[0].Log() + fmt.Sprint(r.slack.Calls("")[0].Method)
	for name, secret := range map[string]string{
		"the bot's token": slackfake.BotToken, "the signing secret": slackfake.SigningSecret, "the client secret": teamsfake.ClientSecret,
		"the target's secret": targetSecret[6:], "the key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "the key, decoded": "0123456789abcdef0123456789abcdef",
		"a token of the API": tokenOf("bea", 0), "another": tokenOf("cat", 0), "the auditor's": tokenOf("aud", 0),
	} {
		s.tried(strings.Contains(everywhere, secret), "%s is let out", name)
	}
}

// killed kills the replica within calls to the target, and starts it again.
func killed(s *assault) {
	n := s.many(20, 3)
	r := s.open(shortRoles(n))
	for i := range n {
		verb := []string{"deactivate", "activate"}[i%2]
		came := make(chan struct{}, 1)
		var once atomic.Bool
		r.target.treat(func(_ http.ResponseWriter, _ *http.Request, is string) bool {
			if is != verb || !once.CompareAndSwap(false, true) {
				return false
			}
			came <- struct{}{}
			if i%4 < 2 {
				panic(http.ErrAbortHandler) // it has no effect
			}
			return false
		})
		made := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": fmt.Sprintf("short%d", i), "duration": "2s", "justification": "for a moment"})
		r.call(0, tokenOf("cat", i), "POST", "/requests/"+made.id+"/approve", nil)
		<-came
		r.bots[0].Kill9()
		r.target.treat(nil)
		r.again()
		r.within(35*time.Second, func() bool { return r.target.holding() == 0 && r.shown(made.id).State.Terminal() })
		s.tried(r.target.holding() > 0, "%s is held half a minute after a kill in %s", made.id, verb)
	}
}

func redisKilled(s *assault) {
	n := s.many(20, 4)
	r := s.open(shortRoles(n))
	rounds := s.many(5, 1)
	for range rounds {
		r.short(n, 6*time.Second)
		r.allHeld(n)
		r.redis.Kill()
		r.within(8*time.Second, func() bool { return false })
		r.redis.Start()
		r.left(n, 30*time.Second, "half a minute after Redis is back")
	}
}

func twoReplicas(s *assault) {
	n := s.many(60, 8)
	r := s.open(shortRoles(n), func(c *setting) { c.replicas = 2 })
	r.target.treat(func(http.ResponseWriter, *http.Request, string) bool {
		select { // so that the other has time to come too
		case <-time.After(50 * time.Millisecond):
		case <-s.Context().Done():
		}
		return false
	})
	ids := r.short(n, 3*time.Second)
	r.within(30*time.Second, func() bool {
		for _, id := range ids {
			if r.target.gave(id) == 0 {
				return false
			}
		}
		return r.target.holding() == 0
	})
	for _, id := range ids {
		s.tried(r.target.gave(id) > 1, "%s was given %d times", id, r.target.gave(id))
	}
}

func slackDown(s *assault) {
	r := s.open()
	faults := []slackfake.Fault{{Times: 3, Status: 429, RetryAfter: "1"}, {Times: 2, Status: 500, Body: "oops"}, {Times: 2, Reset: true}, {Times: 1, Hang: true}}
	for i := range s.many(12, len(faults)-1) {
		r.slack.Misbehave("chat.postMessage", faults[i%len(faults)])
		id := r.ask("bea", "vpn", "1h")
		began := time.Now()
		r.approves("cat", id)
		r.reach(id, access.Active)
		s.tried(time.Since(began) > 10*time.Second, "an approval waited %s for Slack", time.Since(began))
		told := r.within(40*time.Second, func() bool {
			for _, m := range r.slack.Messages(channel) {
				if strings.Contains(fmt.Sprint(m.Blocks), id) {
					return true
				}
			}
			return false
		})
		s.tried(!told, "the message of %s is lost by fault %d", id, i%len(faults))
		r.over(id)
	}
}

func redelivered(s *assault) {
	r := s.open()
	id := r.granted("ana", "cat", "vpn", "1h")
	n := s.many(250, 20)
	for range n {
		before := *r.shown(id).EndsAt
		route, body := slackfake.Body("command", r.slack.As("U0ANA").Command(channel, "extend "+id+" 1s"))
		signed := r.slack.Signed(r.url()+route, body)
		for range 4 {
			req := slackfake.Sign(r.url()+route, body, slackfake.SigningSecret, time.Now())
			req.Header = signed.Header.Clone()
			r.sends(req)
		}
		longer := r.shown(id).EndsAt.Sub(before)
		for i := range 4 {
			s.tried(i > 0 && longer > time.Duration(i)*time.Second, "one command prolonged it by %s", longer)
		}
	}
}

func frozen(s *assault) {
	r := s.open()
	r.types("U0BEA", "mine") // so that Slack's word on her is known
	r.target.treat(func(http.ResponseWriter, *http.Request, string) bool {
		select {
		case <-time.After(5 * time.Second):
		case <-s.Context().Done():
		}
		return false
	})
	r.granting()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for range s.many(4, 1) {
		r.must(r.db().Do(ctx, "CLIENT", "PAUSE", "6000", "ALL").Err())
		s.each(s.many(25, 8), 8, func(i int) {
			route, body := slackfake.Body("command", r.slack.As("U0BEA").Command(channel, fmt.Sprintf("mine %d", i)))
			began := time.Now()
			slackfake.Do(r.client, r.slack.Signed(r.url()+route, body))
			s.tried(time.Since(began) > 3*time.Second, "an answer took %s", time.Since(began))
		})
		r.within(6*time.Second, func() bool { return r.db().Ping(ctx).Err() == nil })
	}
}

// granting has a target that stands still give something.
func (r *rig) granting() {
	id := r.ask("ana", "vpn", "1h")
	r.approves("cat", id)
}

func lyingTarget(s *assault) {
	r := s.open()
	for range s.many(15, 2) {
		id := r.granted("bea", "cat", "vpn", "1h")
		r.target.lie(2)
		r.does("bea", "/requests/"+id+"/end", nil)
		held := 0
		r.within(patience, func() bool {
			is := r.shown(id).State
			held = r.target.holding()
			return is == access.Ended
		})
		s.tried(held > 0, "%s counts as ended, and is held", id)
		r.target.lie(0)
	}
}
