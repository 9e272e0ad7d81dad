package redis_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// TestLiveGrantsSurviveAnUpgrade begins with the keys of a store as the version before left it, with requests in every
// state and a call under way: each has the timers that its record asks for, and a grant of then can be ended now.
func TestLiveGrantsSurviveAnUpgrade(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	c := client(t, r)
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
