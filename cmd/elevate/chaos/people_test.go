package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"elevate/workflows/access"
)

// The verbs of the API.
const (
	submit  = "submit"
	approve = "approve"
	deny    = "deny"
	cancel  = "cancel"
	end     = "end"
	extend  = "extend"
	show    = "show"
)

// people is a crowd that asks for roles, decides, and changes its mind, at random and all at once.
type people struct {
	*site
	history  *history
	seed     uint64
	name     string        // of the connector that its roles are at
	longest  time.Duration // of a grant
	asked    atomic.Int64
	approved atomic.Int64
	all      sync.WaitGroup
}

// live begins lives at a pace, until so many requests are approved or it takes too long, and returns when all are over.
func (p *people) live(every time.Duration, grants int64, most time.Duration) {
	defer p.all.Wait()
	pace, late := time.NewTicker(every), time.After(most)
	defer pace.Stop()
	for p.approved.Load() < grants {
		select {
		case <-pace.C:
			p.begin("", 0)
		case <-late:
			p.Errorf("%d requests were approved in %s, not %d", p.approved.Load(), most, grants)
			return
		case <-p.Context().Done():
			return
		}
	}
}

// begin begins the life of a request. What it comes to is drawn from the seed and its number. Where nobody is named,
// somebody asks for something.
func (p *people) begin(who string, role int) {
	n := p.asked.Add(1)
	l := &life{people: p, n: n, rng: rand.New(rand.NewPCG(p.seed, uint64(n))), who: who, role: role}
	if who == "" {
		l.who, l.role = p.names[l.rng.IntN(crowd)], l.rng.IntN(p.roles)
	}
	p.all.Go(l.live)
}

// life is one request's, as those live it who have to do with it.
type life struct {
	*people
	n      int64
	rng    *rand.Rand
	who    string
	role   int
	length time.Duration
	id     access.RequestID
}

// chance is true that often.
func (l *life) chance(share float64) bool { return l.rng.Float64() < share }

// within draws a time.
func (l *life) within(d time.Duration) time.Duration {
	return time.Duration(l.rng.Float64() * float64(d))
}

// anywhere draws a replica, which may be dead or paused.
func (l *life) anywhere() *replica { return l.replicas[l.rng.IntN(len(l.replicas))] }

// other draws somebody who is not the requester.
func (l *life) other() string {
	for {
		if who := l.names[l.rng.IntN(crowd)]; who != l.who {
			return who
		}
	}
}

func (l *life) live() {
	l.length = (time.Second + l.within(l.longest-time.Second)).Round(time.Millisecond)
	if !l.submit() || !l.decide() {
		return
	}
	l.approved.Add(1)
	if l.chance(0.15) {
		l.begin(l.who, l.role^1) // the same right by another role
	}
	l.use()
}

// submit asks, again and again with one key where no answer comes, which is one act.
func (l *life) submit() bool {
	o := op{Who: l.who, Verb: submit, Called: time.Now(), Words: fmt.Sprintf("for life %d of seed %d", l.n, l.seed)}
	body := map[string]string{"role": roleOf(l.name, l.role), "duration": l.length.String(), "justification": o.Words}
	for try := range 8 {
		if try > 0 {
			l.pass(200 * time.Millisecond)
		}
		if o.settle(l.call(l.anywhere(), l.who, http.MethodPost, "/requests", o.Words, body)) {
			break
		}
	}
	l.id = o.Request
	if o.unknown() || o.Seen != nil {
		l.history.add(o)
	}
	return o.Seen != nil
}

// decide has others decide, or nobody, or several against each other. It tells whether the request was approved.
func (l *life) decide() bool {
	switch {
	case l.chance(0.04):
		return false // it lapses
	case l.chance(0.05):
		l.act(l.other(), deny, nil)
		return false
	case l.chance(0.05):
		l.act(l.who, cancel, nil)
		return false
	case l.chance(0.05):
		l.atOnce(func(l *life) { l.act(l.other(), approve, nil) }, func(l *life) { l.act(l.other(), deny, nil) },
			func(l *life) { l.act(l.who, cancel, nil) })
	}
	for range 6 { // twice where two are needed, and again where no answer comes
		if out, known := l.act(l.other(), approve, nil); known && out.request.State != access.Pending && out.problem.Code != "already_decided" {
			return out.request.State == access.Approved
		}
	}
	return false
}

// use does something with an approved request, or lets it run.
func (l *life) use() {
	switch {
	case l.chance(0.10):
		l.act(l.who, cancel, nil)
	case l.chance(0.12):
		l.pass(l.within(l.length))
		l.act(l.who, end, map[string]string{"reason": "done early"})
	case l.chance(0.06):
		l.extend(l.within(l.length))
	case l.chance(0.12):
		l.extendLate()
	case l.chance(0.06):
		l.pass(l.within(l.length))
		l.atOnce(func(l *life) { l.act(l.who, extend, map[string]string{"duration": "1s"}) }, func(l *life) { l.act(l.who, end, nil) },
			func(l *life) { l.act(l.other(), end, nil) }, func(l *life) { l.act(l.other(), extend, map[string]string{"duration": "1s"}) })
	}
	if l.chance(0.3) {
		l.pass(l.within(l.length))
		l.act(l.who, show, nil)
	}
}

// extend moves the end after a while.
func (l *life) extend(after time.Duration) {
	l.pass(after)
	l.act(l.who, extend, map[string]string{"duration": (time.Second + l.within(l.longest/2)).Round(time.Millisecond).String()})
}

// extendLate moves the end when it has all but come, or has just come, or was taken up by a target that is slow.
func (l *life) extendLate() {
	for range 20 {
		l.pass(100 * time.Millisecond)
		out, _ := l.act(l.who, show, nil)
		if out.request.State == access.Active {
			off := l.within(8*time.Millisecond) - 4*time.Millisecond
			if l.chance(0.3) {
				off = l.within(time.Second)
			}
			l.extend(time.Until(*out.request.EndsAt) + off)
			return
		}
	}
}

// act has somebody do something at any replica.
func (l *life) act(who, verb string, body map[string]string) (reply, bool) {
	return l.do(l.history, l.anywhere(), who, verb, l.id, body)
}

// atOnce does several things at the same time, each with its own luck.
func (l *life) atOnce(acts ...func(*life)) {
	var all sync.WaitGroup
	for _, act := range acts {
		mine := *l
		mine.rng = rand.New(rand.NewPCG(l.rng.Uint64(), l.rng.Uint64()))
		all.Go(func() { act(&mine) })
	}
	all.Wait()
}
