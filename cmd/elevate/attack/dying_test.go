package attack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"elevate/cmd/elevate/e2etest"
)

// clock has the time of a server be another.
const clock = `#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long off(void) { const char *s = getenv("CLOCK_OFF"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t c, struct timespec *at) {
	int r = syscall(SYS_clock_gettime, c, at);
	if (r == 0 && c == CLOCK_REALTIME) at->tv_sec += off();
	return r;
}
int gettimeofday(struct timeval *at, void *zone) {
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);
	at->tv_sec = now.tv_sec, at->tv_usec = now.tv_nsec / 1000;
	return r;
}
time_t time(time_t *at) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (at) *at = now.tv_sec;
	return now.tv_sec;
}
`

// setClock has Redis come back with a clock so far from ours. It takes a C compiler.
func (r *rig) setClock(off time.Duration) {
	r.Helper()
	dir := r.TempDir()
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	r.must(os.WriteFile(source, []byte(clock), 0o600))
	if out, err := exec.CommandContext(r.Context(), "cc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		r.Fatalf("cc: %v: %s", err, out)
	}
	r.redis.Kill()
	r.redis.Env = []string{"LD_PRELOAD=" + library, fmt.Sprintf("CLOCK_OFF=%d", int(off.Seconds()))}
	r.redis.Start()
}

func movedClock(s *assault) {
	n := s.many(10, 3)
	for _, off := range []time.Duration{-time.Hour, 5 * time.Minute, -5 * time.Minute}[:s.many(3, 1)] {
		r := s.open(shortRoles(n))
		r.short(n, 12*time.Second)
		r.allHeld(n)
		r.setClock(off)
		r.left(n, 45*time.Second, fmt.Sprintf("long after its end, with Redis' clock %s off", off))
	}
}

func clocksApart(s *assault) {
	r := s.open()
	for _, off := range []time.Duration{-time.Hour, 5 * time.Minute, -5 * time.Minute}[:s.many(3, 1)] {
		r.setClock(off)
		for range s.many(5, 1) {
			r.disbelieved()
			made := r.does("bea", "/requests", map[string]string{"role": "vpn", "duration": "1h", "justification": "what time is it"})
			r.does("cat", "/requests/"+made.id+"/approve", nil)
			given := r.soon(func() bool { return r.target.gave(made.id) > 0 })
			s.tried(given, "%s was given with Redis' clock %s off", made.id, off)
			r.does("bea", "/requests/"+made.id+"/cancel", nil)
			r.does("bea", "/requests/"+made.id+"/end", nil)
		}
	}
}

// full has the files of the first replica not grow any more, as on a full disk, until it is given room again.
func (r *rig) full(is bool) {
	r.Helper()
	pid := r.bots[0].Pid()
	var limit unix.Rlimit
	r.must(unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit))
	limit.Cur = limit.Max
	if is {
		limit.Cur = 1
	}
	r.must(unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil))
}

// ready tells whether the first replica says that it does all of its work.
func (r *rig) ready() bool {
	res, err := r.client.Get(r.url() + "/readyz")
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	var is struct{ Status string }
	return json.NewDecoder(res.Body).Decode(&is) == nil && is.Status == "ready"
}

// unwrittenLog keeps the audit log from being written while somebody holds a role: by a disk that is full while the bot
// runs, and by a folder that cannot be made when it starts.
func unwrittenLog(s *assault) {
	r := s.open()
	for i := range s.many(10, 2) {
		kind := []string{"while it runs", "at the start"}[i%2]
		r.granted("bea", "cat", "vpn", "6s")
		if i%2 == 0 {
			r.full(true)
		} else {
			r.set.more = "audit: {dir: /proc/elevate/audit}\n"
			r.bots[0].Stop()
			r.rewrite()
			r.bots[0].Start()
			r.alive()
		}
		id := r.ask("ana", "vpn", "1h") // there is something to write by that
		if !r.within(patience, func() bool { return !r.ready() }) {
			s.Fatalf("%s: it says that it does all of its work", kind)
		}
		r.approves("cat", id)
		given := r.soon(func() bool { return r.target.gave(id) > 0 })
		s.triedAs(kind, given, "%s was given, and is on no record", id)
		ends := r.within(30*time.Second, func() bool { return !r.target.holds("bea vpn") })
		s.triedAs("an ending that waits", !ends, "%s", kind)
		r.does("ana", "/requests/"+id+"/cancel", nil)
		r.does("ana", "/requests/"+id+"/end", nil)
		if i%2 == 0 {
			r.full(false)
			r.bots[0].WaitReady()
			continue
		}
		r.bots[0].Stop()
		r.set.more = ""
		r.again()
	}
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
		made := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": "vpn", "duration": "5s", "justification": "for a moment"})
		r.call(0, tokenOf("cat", i), "POST", "/requests/"+made.id+"/approve", nil)
		n := take(s, caught, "nothing was given")
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
		made := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": fmt.Sprintf("short%d", i), "duration": "5s", "justification": "for a moment"})
		r.call(0, tokenOf("cat", i), "POST", "/requests/"+made.id+"/approve", nil)
		take(s, came, "nothing came to the target")
		r.bots[0].Kill9()
		r.target.treat(nil)
		r.again()
		r.within(35*time.Second, func() bool { return r.target.holding() == 0 && r.shown(made.id).State.Terminal() })
		held := r.target.holding() > 0
		s.tried(held, "%s is held half a minute after a kill in %s", made.id, verb)
		if held {
			return
		}
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
		r.pass(8 * time.Second)
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
