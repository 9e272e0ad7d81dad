package chaos_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"
)

// disruption is a time in which something was killed or paused.
type disruption struct {
	kind     string
	replica  string // empty: Redis
	from, to time.Time
}

// The kinds of disruption.
const (
	kill      = "kill"
	pause     = "pause"
	killRedis = "kill of Redis"
)

// faults says how much is to be broken.
type faults struct{ kills, pauses, redisKills int }

// step is a planned disruption: what, from when on, and for how long.
type step struct {
	kind       string
	at, length time.Duration
	within     bool // a pause: in the middle of a call to the target
}

// plan spreads the faults over a span of time at random. A pause lasts past most ends, and half of them past the lease;
// what was killed comes back soon, and Redis at once or later.
func (f faults) plan(rng *rand.Rand, span time.Duration) []step {
	var steps []step
	add := func(n int, kind string, least, most time.Duration) {
		for i := range n {
			slot := float64(span) / float64(n)
			at := time.Duration(slot * (float64(i) + rng.Float64()))
			steps = append(steps, step{kind, at, least + time.Duration(rng.Float64()*float64(most-least)), kind == pause && rng.IntN(2) == 0})
		}
	}
	add(f.kills, kill, 0, 3*time.Second)
	add(f.pauses, pause, time.Second, 2*lease-time.Second)
	add(f.redisKills, killRedis, 0, 2*time.Second)
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return steps
}

// breaker breaks things by a plan.
type breaker struct {
	*site
	target *target
	traps  []string // the verbs within which replicas are paused
	rng    *rand.Rand
	began  time.Time
	done   []disruption
	open   []repair
	fell   int // how often a replica ended by itself
	redis  bool
}

// repair is what brings something back.
type repair struct {
	due     time.Time
	n       int // of the disruption
	replica *replica
	mend    func()
}

// wreck carries a plan out, and mends everything in the end.
func (b *breaker) wreck(steps []step) {
	b.began, b.redis = time.Now(), true
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for len(steps) > 0 || len(b.open) > 0 {
		b.mend(time.Now())
		if len(steps) > 0 && time.Since(b.began) >= steps[0].at && b.strike(steps[0]) {
			steps = steps[1:]
		}
		select {
		case <-look.C:
		case <-b.Context().Done():
			return
		}
	}
}

// strike begins a disruption. It is false where everything that it could hit is broken already.
func (b *breaker) strike(s step) bool {
	d := disruption{kind: s.kind, from: time.Now()}
	r := repair{due: d.from.Add(s.length), n: len(b.done)}
	if s.kind == killRedis {
		if !b.redis {
			return false
		}
		b.redis = false
		b.store.Kill()
		r.mend = func() { b.store.Start(); b.redis = true }
	} else {
		if r.replica = b.victim(); r.replica == nil {
			return false
		}
		r.replica.wanted, d.replica = false, r.replica.name
		if s.kind == kill {
			r.replica.Kill9()
			r.mend = func() { r.replica.Start() }
		} else {
			b.pause(r.replica, s.within)
			r.mend = func() {
				b.target.unset(r.replica.name)
				r.replica.Signal(syscall.SIGCONT)
			}
		}
	}
	b.done, b.open = append(b.done, d), append(b.open, r)
	return true
}

// pause stops a replica, in the middle of a call to the target where one comes soon.
func (b *breaker) pause(r *replica, within bool) {
	if within {
		b.target.set(r.name, b.traps...).wait(time.Second)
	}
	r.Signal(syscall.SIGSTOP)
}

// victim draws a replica that is well; nil where there is none.
func (b *breaker) victim() *replica {
	var up []*replica
	for _, r := range b.replicas {
		if r.wanted && r.Running() {
			up = append(up, r)
		}
	}
	if len(up) == 0 {
		return nil
	}
	return up[b.rng.IntN(len(up))]
}

// mend brings back what is due, and starts what ended by itself, as a service manager does. Nothing can start without
// Redis.
func (b *breaker) mend(now time.Time) {
	b.open = slices.DeleteFunc(b.open, func(r repair) bool {
		if now.Before(r.due) || !b.redis && b.done[r.n].kind == kill {
			return false
		}
		r.mend()
		b.done[r.n].to = time.Now()
		if r.replica != nil {
			r.replica.wanted = true
		}
		return true
	})
	for _, r := range b.replicas {
		if r.wanted && b.redis && !r.Running() {
			b.fell++
			r.Start()
		}
	}
}
