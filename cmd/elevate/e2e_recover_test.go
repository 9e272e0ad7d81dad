package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/bot/api"
	"elevate/cmd/elevate/e2etest"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

func TestStoreThatLostState(t *testing.T) {
	t.Parallel()
	redis.Quiet()
	together(t, []scenario{
		{"emptied under a running bot", emptiedUnderARunningBot},
		{"emptied while the bot is down", emptiedWhileTheBotIsDown},
		{"an older copy under a running bot", func(t *testing.T) { olderCopy(t, false) }},
		{"an older copy while the bot is down", func(t *testing.T) { olderCopy(t, true) }},
		{"killed while it is given back", killedWhileItIsGivenBack},
		{"by hand", recoveredByHand},
	}, func(t *testing.T, s scenario) { s.run(t) })
}

// flush empties the store, as somebody does who takes it for another one.
func (s *site) flush() {
	s.Helper()
	options, err := goredis.ParseURL(s.store.URL())
	if err != nil {
		s.Fatal(err)
	}
	client := goredis.NewClient(options)
	defer func() { _ = client.Close() }() // it was asked one thing
	if err := client.FlushAll(s.Context()).Err(); err != nil {
		s.Fatalf("FLUSHALL: %v", err)
	}
}

// ask submits one request.
func (s *site) ask(who string, length time.Duration) access.RequestID {
	s.Helper()
	var made api.Request
	status, err := call(s.bots[0], who, http.MethodPost, "/requests",
		map[string]string{"role": "vpn", "duration": length.String(), "justification": "before the loss"}, &made)
	if err != nil || status != http.StatusCreated {
		s.Fatalf("submit: %d, %v", status, err)
	}
	return made.ID
}

// do has somebody do something to a request, and gives the status of the answer.
func (s *site) do(who, verb string, id access.RequestID, body map[string]string) int {
	s.Helper()
	status, err := call(s.bots[0], who, http.MethodPost, "/requests/"+string(id)+"/"+verb, body, nil)
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// onRecord waits until the log on disk has an event of a kind for each request.
func (s *site) onRecord(kind string, ids ...access.RequestID) {
	s.Helper()
	eventually(s, func() error {
		log := s.events()
		for _, id := range ids {
			if !slices.ContainsFunc(log[id], func(e audit.Event) bool { return e.Kind == kind }) {
				return fmt.Errorf("the log has no %s of %s", kind, id)
			}
		}
		return nil
	})
}

// fates are requests that a store is to lose: ana's runs and is extended, bea's waits for a decision, cat's runs for a
// short time.
type fates struct{ extended, pending, short access.RequestID }

func (s *site) fates(short time.Duration) fates {
	s.Helper()
	f := fates{extended: s.ask("ana", 25*time.Minute), pending: s.ask("bea", 3*time.Second), short: s.ask("cat", short)}
	if err := s.approves(s.bots[0], []access.RequestID{f.extended, f.short}); err != nil {
		s.Fatal(err)
	}
	s.reach(s.bots[0], access.Active, []access.RequestID{f.extended, f.short})
	if status := s.do("ana", "extend", f.extended, map[string]string{"duration": "5m"}); status != http.StatusOK {
		s.Fatalf("extend: %d", status)
	}
	s.onRecord("extend", f.extended)
	s.onRecord("confirm", f.short)
	s.onRecord("submit", f.pending)
	return f
}

// restored waits until the store has been given back what it lost, and tells how long that took from a moment on.
func (s *site) restored(f fates, before map[access.RequestID]api.Request, from time.Time) {
	s.Helper()
	eventually(s, func() error {
		now, err := s.shown(s.bots[0])
		if err != nil {
			return err
		}
		a, p := now[f.extended], now[f.pending]
		if a.State != access.Active || p.State != access.Pending {
			return fmt.Errorf("%s is %q and %s is %q", f.extended, a.State, f.pending, p.State)
		}
		if !a.EndsAt.Equal(*before[f.extended].EndsAt) || a.Justification != before[f.extended].Justification || len(a.Decisions) != 1 {
			return fmt.Errorf("restored as %+v, and was %+v", a, before[f.extended])
		}
		return nil
	})
	s.Logf("given back %s after the loss or the start", time.Since(from).Round(time.Millisecond))
}

// outcome judges what was lost in the end: all of it ended, in time, once; and the one that waited was approved after.
func (s *site) outcome(f fates, up time.Time) {
	s.Helper()
	live := s.bots[len(s.bots)-1]
	s.reach(live, access.Ended, []access.RequestID{f.short})
	if err := s.approves(live, []access.RequestID{f.pending}); err != nil {
		s.Fatal(err)
	}
	s.reach(live, access.Ended, []access.RequestID{f.pending})
	if status := s.do("ana", "end", f.extended, nil); status != http.StatusOK {
		s.Errorf("end: %d", status)
	}
	ids := []access.RequestID{f.extended, f.pending, f.short}
	shown := s.reach(live, access.Ended, ids)
	log := s.evidence(ids)
	for _, id := range ids {
		given, taken := s.judge.effects(string(id))
		if len(given) != 1 || len(taken) != 1 {
			s.Errorf("%s was given %d times and taken %d times", id, len(given), len(taken))
		}
		told(s, log[id])
		s.Logf("%s: %s", id, kinds(log[id]))
	}
	_, taken := s.judge.effects(string(f.short))
	s.onTime(shown[f.short], taken[0], up)
}

func emptiedUnderARunningBot(t *testing.T) {
	s := openSite(t, "a")
	f := s.fates(8 * time.Second)
	before, err := s.shown(s.bots[0])
	if err != nil {
		t.Fatal(err)
	}
	s.flush()
	lost := time.Now()
	s.restored(f, before, lost)
	s.outcome(f, lost)
}

func emptiedWhileTheBotIsDown(t *testing.T) {
	s := openSite(t, "a")
	f := s.fates(3 * time.Second)
	before, err := s.shown(s.bots[0])
	if err != nil {
		t.Fatal(err)
	}
	s.bots[0].Kill9()
	s.flush()
	s.past(before[f.short].EndsAt.Add(time.Second))
	if s.judge.holders() != 2 {
		t.Errorf("%d people hold the role while the bot is down", s.judge.holders())
	}
	up := restart(t, s.bots[0])
	s.restored(f, before, up)
	s.outcome(f, up)
}

// backup copies the files of the store while it runs: an append-only file may be copied at any time.
func (s *site) backup() string {
	s.Helper()
	dir := s.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.aof())); err != nil {
		s.Fatalf("copy the store's files: %v", err)
	}
	return dir
}

// aof is the folder of the store's append-only file.
func (s *site) aof() string { return filepath.Join(filepath.Dir(s.store.Socket()), "appendonlydir") }

// goBack kills the store, puts an older copy of its files in their place, and starts it again.
func (s *site) goBack(older string) {
	s.Helper()
	s.store.Kill()
	if err := os.RemoveAll(s.aof()); err != nil {
		s.Fatal(err)
	}
	if err := os.CopyFS(s.aof(), os.DirFS(older)); err != nil {
		s.Fatalf("put the older copy in place: %v", err)
	}
	s.store.Start()
}

// olderCopy brings back a copy in which what was denied waits for a decision, what has ended is active, what was
// extended is not, and what came since is not there at all.
func olderCopy(t *testing.T, down bool) {
	s := openSite(t, "a")
	running, denied := s.ask("ana", 6*time.Second), s.ask("bea", time.Hour)
	ending := s.ask("cat", 4*time.Second)
	if err := s.approves(s.bots[0], []access.RequestID{running, ending}); err != nil {
		t.Fatal(err)
	}
	s.reach(s.bots[0], access.Active, []access.RequestID{running, ending})
	s.onRecord("confirm", running, ending)
	older := s.backup()
	if status := s.do("ana", "extend", running, map[string]string{"duration": "20m"}); status != http.StatusOK {
		t.Fatalf("extend: %d", status)
	}
	if status := s.do("ben", "deny", denied, map[string]string{"reason": "no"}); status != http.StatusOK {
		t.Fatalf("deny: %d", status)
	}
	s.reach(s.bots[0], access.Ended, []access.RequestID{ending})
	since := s.ask("bea", 30*time.Minute)
	if err := s.approves(s.bots[0], []access.RequestID{since}); err != nil {
		t.Fatal(err)
	}
	before := s.reach(s.bots[0], access.Active, []access.RequestID{since, running})
	s.onRecord("confirm", since)
	s.onRecord("deny", denied)
	s.onRecord("close", ending)
	// By the copy both grants are over, and for longer than a timer may be late: 2 s that are never doubted, and a nap.
	s.past(before[ending].SubmittedAt.Add(12 * time.Second))
	if down {
		s.bots[0].Kill9()
	}
	s.goBack(older)
	if down {
		restart(t, s.bots[0])
	}
	back := time.Now()
	eventually(t, func() error {
		now, err := s.shown(s.bots[0])
		if err != nil {
			return err
		}
		if now[since].State != access.Active || now[running].State != access.Active || now[denied].State != access.Denied || now[ending].State != access.Ended {
			return fmt.Errorf("%s, %s, %s, %s", now[since].State, now[running].State, now[denied].State, now[ending].State)
		}
		if !now[running].EndsAt.Equal(*before[running].EndsAt) || !now[since].EndsAt.Equal(*before[since].EndsAt) {
			return fmt.Errorf("ends have moved")
		}
		return nil
	})
	t.Logf("given back %s after the copy answered or the bot was up", time.Since(back).Round(time.Millisecond))
	if status := s.do("ben", "approve", denied, nil); status != http.StatusConflict {
		t.Errorf("what was denied can be approved: %d", status)
	}
	s.judgeOlderCopy(running, since, ending, denied)
}

func (s *site) judgeOlderCopy(running, since, ending, denied access.RequestID) {
	s.Helper()
	for who, id := range map[string]access.RequestID{"ana": running, "bea": since} {
		if status := s.do(who, "end", id, nil); status != http.StatusOK {
			s.Errorf("end: %d", status)
		}
	}
	ids := []access.RequestID{running, since, ending}
	s.reach(s.bots[0], access.Ended, ids)
	log := s.evidence(append(ids, denied))
	for _, id := range append(ids, denied) {
		told(s, log[id])
		s.Logf("%s: %s", id, kinds(log[id]))
	}
	for _, id := range ids {
		calls := 0
		for _, c := range s.judge.about(string(id)) {
			if c.Verb == "deactivate" {
				calls++
			}
		}
		if given, taken := s.judge.effects(string(id)); len(given) != 1 || len(taken) != 1 || calls != 1 {
			s.Errorf("%s was given %d times and taken %d times by %d calls", id, len(given), len(taken), calls)
		}
	}
}

// killedWhileItIsGivenBack kills the bot as soon as it has noticed, at different moments after that.
func killedWhileItIsGivenBack(t *testing.T) {
	s := openSite(t, "a")
	f := s.fates(20 * time.Second)
	before, err := s.shown(s.bots[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		seen := strings.Count(s.bots[0].Log(), "the log is read")
		s.flush()
		e2etest.Eventually(t, patient, func() error {
			if strings.Count(s.bots[0].Log(), "the log is read") == seen {
				return fmt.Errorf("the loss is not noticed")
			}
			return nil
		})
		s.past(time.Now().Add(time.Duration(n) * 2 * time.Millisecond))
		s.bots[0].Kill9()
		restart(t, s.bots[0])
	}
	up := time.Now()
	s.restored(f, before, up)
	s.outcome(f, up)
}

// recoveredByHand tries the command on a folder without a log, beside a running bot, and on a store that was emptied
// while no bot runs.
func recoveredByHand(t *testing.T) {
	s := openSite(t, "a")
	bot := s.bots[0]
	elsewhere := t.TempDir()
	config, err := os.ReadFile(bot.Config())
	if err == nil {
		err = os.WriteFile(filepath.Join(elsewhere, "elevate.yaml"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := e2etest.Elevate(t, elsewhere, "recover")
	if out.Code != 1 || !strings.Contains(out.Stderr, filepath.Join(elsewhere, "audit")) || !strings.Contains(out.Stderr, "copy the log's files there") {
		t.Errorf("without a log: %d %s%s", out.Code, out.Stdout, out.Stderr)
	}
	if out := e2etest.Elevate(t, bot.Dir, "recover", "everything"); out.Code != 2 {
		t.Errorf("an argument: %d %s%s", out.Code, out.Stdout, out.Stderr)
	}
	f := s.fates(5 * time.Second)
	if out := e2etest.Elevate(t, bot.Dir, "recover"); out.Code != 0 || !strings.Contains(out.Stdout, "0 requests restored") {
		t.Errorf("beside a bot on a store that is well: %d %s%s", out.Code, out.Stdout, out.Stderr)
	}
	before, err := s.shown(bot)
	if err != nil {
		t.Fatal(err)
	}
	bot.Kill9()
	s.flush()
	for _, dry := range []bool{true, true, false} {
		args, want := []string{"recover"}, "3 requests restored, 2 of them live access"
		if dry {
			args, want = append(args, "--dry-run"), "3 requests would be restored, 2 of them live access"
		}
		out := e2etest.Elevate(t, bot.Dir, args...)
		if out.Code != 0 || !strings.Contains(out.Stdout, want) || !strings.Contains(out.Stdout, string(f.extended)+"  ana") {
			t.Errorf("%v: %d %s%s", args, out.Code, out.Stdout, out.Stderr)
		}
	}
	up := restart(t, bot)
	s.restored(f, before, up)
	s.outcome(f, up)
}
