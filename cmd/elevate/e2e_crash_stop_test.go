package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/redis"
	"elevate/workflows/access"
)

// grace is for how long a stop lets calls under way go on, and what else a stop may take on a busy machine.
const grace = 10*time.Second + haste

func TestStop(t *testing.T) {
	t.Parallel()
	together(t, []scenario{
		{"calls under way finish", callsUnderWayFinish},
		{"what hangs is cut off", whatHangsIsCutOff},
		{"store stops too", embeddedStoreStopsToo},
		{"store outlives a kill", embeddedStoreOutlivesAKill},
		{"folder in use", folderInUseIsRefused},
	}, func(t *testing.T, s scenario) { s.run(t) })
}

// stopping asks a bot to end, and gives what comes when it has. It returns when the bot takes no more calls.
func stopping(t *testing.T, b *e2etest.Bot) (stopped <-chan struct{}) {
	t.Helper()
	address, done := b.Address(), make(chan struct{})
	go func() {
		defer close(done)
		b.Stop()
	}()
	e2etest.Eventually(t, patient, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil
		}
		return errors.Join(errors.New("the bot takes calls still"), conn.Close())
	})
	return done
}

// callsUnderWayFinish stops the bot while the target works on an activation and while a caller of the API
// waits for the target's list of holders.
func callsUnderWayFinish(t *testing.T) {
	s := openSite(t, "a")
	resume, came := make(chan struct{}), make(chan struct{}, 2)
	hold := func(judged) bool {
		came <- struct{}{}
		select {
		case <-resume:
		case <-t.Context().Done():
		}
		return false
	}
	s.judge.once(moment{verb: "activate", done: true}, hold)
	s.judge.once(moment{verb: "holders"}, hold)
	ids := s.asks(time.Hour)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		status, err := call(s.bots[0], "aud", http.MethodGet, "/holders?role=vpn", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("answered with %d", status)
		}
		answered <- err
	}()
	<-came
	<-came
	stopped := stopping(t, s.bots[0])
	close(resume)
	s.until(stopped, "the bot has stopped")
	if err := <-answered; err != nil {
		t.Errorf("the call of the API that was under way: %v", err)
	}
	s.bots[0].Start()
	s.bots[0].WaitReady()
	s.reach(s.bots[0], access.Active, ids)
	for _, id := range ids {
		if calls := s.judge.about(string(id)); len(calls) != 1 {
			t.Errorf("the target was called %d times about %s; what was under way was not finished, or forgotten: %+v", len(calls), id, calls)
		}
	}
}

// whatHangsIsCutOff stops the bot while the target does not answer at all.
func whatHangsIsCutOff(t *testing.T) {
	s := openSite(t, "a")
	came := make(chan struct{})
	s.judge.once(moment{verb: "activate"}, func(judged) bool {
		close(came)
		<-t.Context().Done()
		return true
	})
	ids := s.asks(time.Hour)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	<-came
	asked := time.Now()
	s.until(stopping(t, s.bots[0]), "the bot has stopped")
	if took := time.Since(asked); took > grace {
		t.Errorf("the stop took %s", took)
	}
	s.bots[0].Start()
	s.reach(s.bots[0], access.Active, ids)
}

// openEmbedded starts a site whose one bot has no store configured, and gives the redis-server that it runs as a child.
func openEmbedded(t *testing.T) (s *site, child func() int) {
	t.Helper()
	redis.Quiet() // that nobody answers is what is asked about
	s = &site{T: t, judge: startJudge(t)}
	child = func() (pid int) {
		client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: filepath.Join(s.bots[0].Dir, "data", "redis.sock"), DialerRetries: 1, MaxRetries: -1})
		defer func() { _ = client.Close() }() // it was asked one thing
		info, err := client.InfoMap(context.WithoutCancel(t.Context()), "server").Result()
		if err == nil {
			_, err = fmt.Sscan(info["Server"]["process_id"], &pid)
		}
		if err != nil {
			return 0
		}
		return pid
	}
	t.Cleanup(func() { // after the bot has ended
		if pid := child(); pid != 0 {
			t.Errorf("the server of the embedded store runs still")
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may end by itself at last
		}
	})
	b := e2etest.StartBot(t, siteConfig("store: {dir: data}", s.judge.url+"a"))
	s.bots = append(s.bots, b)
	b.WaitReady()
	if child() == 0 {
		t.Fatal("the embedded store has no server")
	}
	return s, child
}

// embeddedStoreStopsToo stops the bot in the middle of grants and starts it again: all is there.
func embeddedStoreStopsToo(t *testing.T) {
	s, child := openEmbedded(t)
	ids := s.asks(6 * time.Second)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	before := s.reach(s.bots[0], access.Active, ids)
	pid := child()
	s.bots[0].Stop()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the bot left its child behind")
	}
	up := restart(t, s.bots[0])
	after, err := s.shown(s.bots[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if a, b := before[id], after[id]; b.EndsAt == nil || !a.EndsAt.Equal(*b.EndsAt) || b.Justification != a.Justification || len(b.Decisions) != 1 {
			t.Errorf("before the stop %+v, after it %+v", a, b)
		}
	}
	s.finish(ids, up)
}

// embeddedStoreOutlivesAKill: the child of a bot that was killed goes on, and the next start takes it over.
func embeddedStoreOutlivesAKill(t *testing.T) {
	s, child := openEmbedded(t)
	ids := s.asks(4 * time.Second)
	if err := s.approves(s.bots[0], ids); err != nil {
		t.Fatal(err)
	}
	s.reach(s.bots[0], access.Active, ids)
	pid := child()
	s.bots[0].Kill9()
	if child() != pid {
		t.Error("the child ended with the bot")
	}
	up := restart(t, s.bots[0])
	if child() != pid || !strings.Contains(s.bots[0].Log(), "a surviving server is adopted") {
		t.Error("the child was not adopted")
	}
	s.finish(ids, up)
}

// folderInUseIsRefused starts a second bot on the folder of one that runs.
func folderInUseIsRefused(t *testing.T) {
	s, child := openEmbedded(t)
	pid := child()
	out := e2etest.Elevate(t, s.bots[0].Dir, "serve")
	if out.Code != 1 || !strings.Contains(out.Stderr, "data") {
		t.Errorf("a second bot: %d %s", out.Code, out.Stderr)
	}
	if child() != pid {
		t.Error("the second bot ended the first one's store")
	}
	s.bots[0].Stop()
}
