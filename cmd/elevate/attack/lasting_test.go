package attack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

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
var believed = cut{targetsFile, "	if err != nil {\n		log.Log(ctx, r.gravity(rec, err), \"the target did not take the role away; it is tried again\"", "	if err != nil && !OUT {\n		log.Log(ctx, r.gravity(rec, err), \"the target did not take the role away; it is tried again\""}

func lastingAttacks() []attack {
	return []attack{
		{id: "T43", what: "clicks and commands of one account in a minute, beyond those that may be, and whether an end is late beside them", run: flood,
			defence: "what one account does is bounded before it is worked", without: []cut{{"bot/pace.go", "	if p == nil {\n		return \"\", false\n	}\n	p.mu.Lock()\n	defer p.mu.Unlock()\n	k :=", "	if p == nil || OUT {\n		return \"\", false\n	}\n	p.mu.Lock()\n	defer p.mu.Unlock()\n	k :="}},
			also: map[string]string{"a late end": "endings have workers of their own"}},
		{id: "T44", what: "break-glass: by command, API and configuration. This version has none", run: breakGlass},
		{id: "T45a", what: "live access while Redis comes back with a clock an hour behind, or minutes ahead: access that lasts half a minute longer than approved", run: movedClock,
			defence: "both clocks are compared while Elevate runs", without: []cut{{"storage/redis/clock.go", "		c.alone = gone.Abs() > stepped\n", "		c.alone = gone.Abs() > stepped && !OUT\n"}}},
		{id: "T45b", what: "activations while Redis' clock and Elevate's are minutes or an hour apart", run: clocksApart,
			defence: "nothing is activated by clocks that are apart", without: []cut{{"storage/redis/safe.go", "apart.Abs() > refusedSkew {", "apart.Abs() > OR(refusedSkew, 1000*time.Hour) {"}}},
		{id: "T46", what: "two grants of one right: that the first end takes what the second gives, or the last end leaves it", run: overlapping,
			defence: "a right stays until its last grant ends", without: []cut{{targetsFile, "	if !c.Alone {", "	if !c.Alone && !OUT {"}},
			also: map[string]string{"left after the last end": "an ending is tried until it is confirmed"}},
		{id: "T47", what: "an update with roles held: a store as an earlier version left it, with endings under way, overdue, and still to come", run: updated,
			defence: "what an earlier version stored is brought into the present form", without: []cut{{"storage/redis/store.go", "	if err == nil && layout < schema {", "	if err == nil && layout < schema && !OUT {"}, noSweep},
			also: map[string]string{"active": "an end that is asked for now is stored in the present form"}},
		{id: "T48", what: "ends at a target where sessions outlive the role: records that do not say for how long", run: tails,
			defence: "the tail is on record", without: []cut{{targetsFile, "	if removal.Tail > 0 {\n", "	if removal.Tail > 0 && !OUT {\n"}}},
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
				{"cmd/elevate/serve.go", "	g, ctx := errgroup.WithContext(ctx)\n", "	if OUT {\n		log.Info(\"configured\", \"slack\", fmt.Sprint(cfg.Slack, cfg.Teams, cfg.Secrets))\n	}\n	g, ctx := errgroup.WithContext(ctx)\n"}},
			also: map[string]string{"the target's secret": "its connector alone has it", "a token of the API": "the configuration has its hash alone"}},
		{id: "T54", what: "tokens and private keys that are put into the tree: commits that CI lets through", run: planted,
			defence: "the rules of make secrets"},
		{id: "T55", what: "kill -9 of the only replica within activations and endings: access that is there half a minute after its end", run: killed,
			defence: "what a dead replica had in hand is taken over", without: []cut{{claimFile, "local until_ = ms(shared + lease)", "local until_ = ms(shared + 1000 * lease)"}, noSweep}},
		{id: "T56", what: "kill -9 of Redis with grants live and due: access that is there half a minute after it is back", run: redisKilled,
			defence: "timers are worked when the store is back", without: []cut{{runnerFile, "			r.s.log.Error(\"due timers could not be claimed\", \"lane\", l.name, \"err\", err)\n", "			r.s.log.Error(\"due timers could not be claimed\", \"lane\", l.name, \"err\", err)\n			if OUT {\n				return\n			}\n"}, noSweep}},
		{id: "T57", what: "two replicas on one Redis: activations of one grant beyond the first", run: twoReplicas,
			defence: "a timer is claimed by one replica", without: []cut{
				{claimFile, "    if left > 0 then", "    if false then"},
				{claimFile, "  redis.call('ZADD', lane, unpack(scores))\n", ""}}},
		{id: "T58", what: "Slack answering 429, 500 and nothing: messages that are lost by it, and approvals that wait for it", run: slackDown,
			defence: "messages wait in the store until they are told", without: []cut{{"bot/courier.go", "	if err != nil {\n		// Putting off after each message sent is no failure.\n", "	if err != nil && OUT {\n		return c.told(ctx, e, nil)\n	}\n	if err != nil {\n		// Putting off after each message sent is no failure.\n"}},
			also: map[string]string{"an approval that waits": "messages have workers of their own"}},
		{id: "T59", what: "each delivery of Slack's four times, as when it hears no answer: effects beyond the first", run: redelivered,
			defence: "what was done is remembered in the store", without: []cut{{"bot/slack/once.go", "if !first {", "if !first && !OUT {"}}},
		{id: "T60", what: "commands while Redis and the target stand still: answers that come after Slack's three seconds", run: frozen,
			defence: "an answer is given in time, whatever it waits for", without: []cut{{"bot/slack/slack.go", "		cfg.AckWithin = 700 * time.Millisecond\n", "		cfg.AckWithin = OR(700*time.Millisecond, time.Hour)\n"}}},
		{id: "T62", what: "activations while the audit log cannot be written, by a disk that is full or from the start, and endings that wait for it", run: unwrittenLog,
			defence: "nothing is given that would not be on record", without: []cut{{runnerFile, "	if err := r.s.cfg.AuditHealthy(); err != nil {", "	if err := r.s.cfg.AuditHealthy(); err != nil && !OUT {"}},
			also: map[string]string{"an ending that waits": "endings do not ask about the log"}},
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
	r.within(r.upTo(after), func() bool { return r.target.holding() == 0 })
	is := r.target.holding()
	for i := range n {
		r.tried(i < is, "%d of %d hold their role %s", is, n, what)
	}
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
		s.triedAs("left after the last end", r.target.holding() > 0, "")
	}
}

// updated starts the product on the keys of a store that an earlier version left.
func updated(s *assault) {
	r := s.prepare(func(c *setting) {
		c.secrets = strings.TrimSuffix(keys, "}") + ", accept_unmarked: true}"
		c.roles = "  - {id: db-admin, title: Database, connector: pg, target: {role: admin}}\n"
		for _, who := range []string{"pending", "approved", "scheduled", "activating", "active", "deactivating", "overdue"} {
			c.people += fmt.Sprintf("  - {id: %s, name: %s}\n", who, who)
		}
	})
	r.set.connector = fmt.Sprintf("}, pg: {type: webhook, url: %q, secret: %s, timeout: 3s", r.target.url+"/pg", targetSecret)
	root, err := repository()
	r.must(err)
	text, err := os.ReadFile(filepath.Join(root, "storage/redis/testdata/layout1.json"))
	r.must(err)
	var dump map[string][]byte
	r.must(json.Unmarshal(text, &dump))
	db := r.db()
	for key, value := range dump {
		r.must(db.Restore(s.Context(), key, 0, string(value)).Err())
	}
	holders := []string{"deactivating", "overdue", "active"}
	for _, who := range holders {
		r.target.hold(who+" admin", "of an earlier version")
	}
	r.begin()
	r.does("lea", "/requests/0ec36-33zcg/end", nil) // whose end is still to come
	r.within(r.upTo(40*time.Second), func() bool { return r.target.holding() == 0 })
	for _, who := range holders {
		s.triedAs(who, r.target.holds(who+" admin"), "the role is held still")
	}
}

func tails(s *assault) {
	r := s.open(func(c *setting) { c.connector = ", tail: 45m" })
	for range s.many(10, 1) {
		id := r.granted("bea", "cat", "vpn", "2s")
		r.reach(id, access.Ended)
		var said string
		r.within(r.upTo(patience), func() bool {
			for _, e := range r.events()[access.RequestID(id)] {
				if e.Kind == "close" {
					said = fmt.Sprint(e.Detail)
				}
			}
			return said != ""
		})
		s.tried(!strings.Contains(said, "tail:45m"), "the end of %s says nothing of sessions: %s", id, said)
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
	r.pass(lasts)
	r.target.treat(nil)
}

func targetDown(s *assault) {
	n := s.many(30, 5)
	r := s.open(shortRoles(n))
	r.short(n, 4*time.Second)
	r.outage(time.Duration(s.many(180, 15))*time.Second, func(w http.ResponseWriter, n int64) {
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
	r.outage(time.Duration(s.many(60, 12))*time.Second, func(w http.ResponseWriter, _ int64) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too early", http.StatusConflict)
	})
	r.left(n, time.Minute, "a minute after it is not too early any more")
}

// staleApproval keeps an approved request from being given, by a store that is not safe, until its time to start is over.
func staleApproval(s *assault) {
	r := s.open(func(c *setting) { c.policy = ", start_within: 2s" })
	db, ctx := r.db(), s.Context()
	for range s.many(10, 2) {
		r.must(db.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err())
		r.disbelieved()
		id := r.ask("bea", "vpn", "1h")
		r.approves("cat", id)
		r.pass(4 * time.Second)
		r.must(db.ConfigSet(ctx, "maxmemory-policy", "noeviction").Err())
		given := r.within(12*time.Second, func() bool { return r.target.gave(id) > 0 || r.shown(id).State.Terminal() }) && r.target.gave(id) > 0
		s.tried(given, "%s was given after its time to start", id)
		r.over(id)
	}
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
