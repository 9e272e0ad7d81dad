package redis_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// undump puts the keys of a store of layout 1 into a server.
func undump(t *testing.T, c *goredis.Client) {
	t.Helper()
	text, err := os.ReadFile("testdata/layout1.json")
	if err != nil {
		t.Fatal(err)
	}
	var dump map[string]string
	if err := json.Unmarshal(text, &dump); err != nil {
		t.Fatal(err)
	}
	for key, value := range dump {
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Restore(t.Context(), key, 0, string(raw)).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLiveGrantsSurviveAnUpgrade begins with the keys of a store as the version before left it, with requests in every
// state and a call under way: each has the timers that its record asks for, and a grant of then can be ended now.
func TestLiveGrantsSurviveAnUpgrade(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	c := client(t, r)
	undump(t, c)
	var s *redis.Store
	for range 2 { // the second start finds nothing to do
		s = open(t, redis.Config{URL: r.URL(), Prefix: "elevate:", Chats: []string{"slack"}, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	}
	records, _, err := s.List(t.Context(), workflows.Query{Open: true})
	if err != nil || len(records) != 7 {
		t.Fatalf("%d requests are open, %v; want 7", len(records), err)
	}
	want := map[string]bool{}
	for _, rec := range records {
		for timer, due := range rec.Due() {
			if due.Before(time.Now()) {
				want[string(rec.ID)+" "+string(timer)] = true
			}
		}
	}
	s = open(t, redis.Config{URL: r.URL(), Prefix: "elevate:", Chats: []string{"slack"}})
	var ending *workflows.Claim
	for _, l := range []workflows.Lane{workflows.Clock, workflows.ActivateLane("pg"), workflows.DeactivateLane("pg")} {
		claims, _, err := s.Claim(t.Context(), l, 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range claims {
			name := string(c.Request) + " " + string(c.Timer)
			if !want[name] {
				t.Errorf("the timer %s was handed out, and its record does not ask for it", name)
			}
			delete(want, name)
			if c.Record.Person == "deactivating" && c.Timer == access.TimerDeactivate {
				ending = &c
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("these timers are not due: %v", want)
	}
	if ending == nil {
		t.Fatal("the deactivation that was under way is not due")
	}
	end := transition(access.Close, access.Deactivating, onward(ending.Record, access.Close))
	end.Claim = ending
	if err := s.Take(t.Context(), end); err != nil {
		t.Error(err)
	}
	i := slices.IndexFunc(records, func(r *access.Record) bool { return r.State == access.Active })
	if err := s.Take(t.Context(), transition(access.End, access.Active, onward(records[i], access.End))); err != nil {
		t.Error(err)
	}
}

// One request that is not there, or not ours, does not keep the store from being opened, or nothing would end.
func TestUpgradeGoesOnWithoutWhatIsGoneOrForged(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	c := client(t, r)
	undump(t, c)
	if err := c.ZAdd(t.Context(), "elevate:{2}:open", goredis.Z{Member: "0ec36-gone0"}).Err(); err != nil {
		t.Fatal(err)
	}
	cfg := redis.Config{URL: r.URL(), Prefix: "elevate:", Chats: []string{"slack"}}
	cfg.Marks = marks(t, "k1")
	open(t, cfg) // none has a mark
	if err := c.HSet(t.Context(), "elevate:meta", "schema", 1).Err(); err != nil {
		t.Fatal(err)
	}
	cfg.Marks = nil
	if records, _, err := open(t, cfg).List(t.Context(), workflows.Query{Open: true}); err != nil || len(records) != 7 {
		t.Errorf("%d requests are open, %v; want 7", len(records), err)
	}
	if claims, _, err := open(t, cfg).Claim(t.Context(), workflows.DeactivateLane("pg"), 10, time.Minute); err != nil || len(claims) == 0 {
		t.Errorf("%d deactivations are due, %v", len(claims), err)
	}
}

var dumped = flag.String("dump", "", "write a store of the present layout, with requests in every state and calls under way, to this file")

// Every layout that a store was ever written in has its dump, from which the tests of upgrades run on.
func TestEveryLayoutHasItsDump(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	s := open(t, redis.Config{URL: r.URL(), Chats: []string{"slack"}, Shards: 4})
	if *dumped != "" {
		fill(t, s)
		dump(t, client(t, r), *dumped)
	}
	layout, err := s.Client().HGet(t.Context(), "elevate:meta", "schema").Int()
	if err != nil {
		t.Fatal(err)
	}
	for n := range layout {
		if _, err := os.Stat(fmt.Sprintf("testdata/layout%d.json", n+1)); err != nil {
			t.Errorf("%v; make it with -dump before that layout changes", err)
		}
	}
}

// fill makes a request in every state, each of a person named after it, and claims what is due.
func fill(t *testing.T, s *redis.Store) {
	t.Helper()
	live := []access.Arrow{access.Accept, access.Arm, access.Confirm}
	for name, arrows := range map[access.PersonID][]access.Arrow{
		"pending": nil, "denied": {access.Refuse}, "approved": live[:1], "scheduled": {access.Accept, access.Schedule}, "activating": live[:2], "active": live,
		"extended": append(slices.Clip(live), access.Extend), "deactivating": append(slices.Clip(live), access.End),
		"overdue": append(slices.Clip(live), access.End, access.Overdue), "ended": append(slices.Clip(live), access.End, access.Close),
	} {
		r := fresh(s, string(name))
		r.Person, r.Requester, r.Role.Target = name, name, map[string]any{"role": "db_admin"}
		r.ID = s.NewID(r.SubmittedAt, r.Right())
		take(t, s, access.Submit, access.None, r)
		for _, a := range arrows {
			next := onward(r, a)
			switch a {
			case access.Accept:
				next = accepted(r)
			case access.Refuse:
				next.State, next.Decisions = access.Denied, []access.Decision{decision("bob", access.Deny)}
			case access.Schedule:
				next.State, next.Start = access.Scheduled, r.SubmittedAt.Add(30*time.Minute)
			case access.Overdue:
				next.Overdue, next.OverdueAt = true, time.Now().Add(time.Minute)
			}
			take(t, s, a, r.State, next)
			r = next
		}
	}
	for _, l := range []workflows.Lane{workflows.ActivateLane("pg"), workflows.DeactivateLane("pg")} {
		if _, _, err := s.Claim(t.Context(), l, 10, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
}

func dump(t *testing.T, c *goredis.Client, file string) {
	t.Helper()
	values := map[string]string{}
	for _, key := range c.Keys(t.Context(), "*").Val() {
		values[key] = base64.StdEncoding.EncodeToString([]byte(c.Dump(t.Context(), key).Val()))
	}
	text, err := json.MarshalIndent(values, "", "\t")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
