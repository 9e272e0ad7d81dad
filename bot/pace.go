package bot

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// An act costs as much as ten looks: searching while somebody types is many.
	actCost, lookCost = 10, 1
	// mostPaced bounds the memory; beyond it those who do nothing are forgotten.
	mostPaced = 20_000
)

// Pace bounds what each account of a chat does, so that nobody's flood keeps others waiting: not for slots, not for
// workers, and not behind it in a queue. It is one replica's, and asks nobody. A nil Pace bounds nothing.
type Pace struct {
	acts   int
	window time.Duration

	mu    sync.Mutex
	known map[string]*paced
}

type paced struct {
	left *rate.Limiter
	told bool // that there is no room
}

// NewPace allows an account so many acts within a window; nil where acts is 0.
func NewPace(acts int, window time.Duration) *Pace {
	if acts <= 0 {
		return nil
	}
	return &Pace{acts: acts, window: window, known: map[string]*paced{}}
}

// Act counts an act of an account. Where it is one too many, it gives the sentence for the person; first is true for the
// first of those, which is to be put on record and told.
func (p *Pace) Act(account string, now time.Time) (says string, first bool) {
	return p.take(account, now, actCost)
}

// Look counts what only shows something, and is done in passing.
func (p *Pace) Look(account string, now time.Time) (says string, first bool) {
	return p.take(account, now, lookCost)
}

// Urgent counts an act that decides, takes back or ends. It is not kept waiting by what the account does besides.
func (p *Pace) Urgent(account string, now time.Time) (says string, first bool) {
	return p.take("urgent "+account, now, actCost)
}

func (p *Pace) take(account string, now time.Time, cost int) (says string, first bool) {
	if p == nil {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.known[account]
	if k == nil {
		p.tidy(now)
		perSecond := rate.Limit(float64(p.acts*actCost) / p.window.Seconds())
		k = &paced{left: rate.NewLimiter(perSecond, p.acts*actCost)}
		p.known[account] = k
	}
	if k.left.AllowN(now, cost) {
		k.told = false
		return "", false
	}
	first, k.told = !k.told, true
	short := float64(cost) - k.left.TokensAt(now)
	wait := int(short/float64(k.left.Limit())) + 1
	return fmt.Sprintf("You are doing more than %d things within %s, so this was not done. Try again in %s.", p.acts, howLong(p.window), count(wait, "second")), first
}

// tidy makes room for another account: those who have done nothing for a window have all their acts left, as if they were
// new.
func (p *Pace) tidy(now time.Time) {
	if len(p.known) < mostPaced {
		return
	}
	maps.DeleteFunc(p.known, func(_ string, k *paced) bool { return k.left.TokensAt(now) >= float64(p.acts*actCost) })
	for account := range p.known { // a crowd at work: any of them starts anew
		if len(p.known) < mostPaced {
			return
		}
		delete(p.known, account)
	}
}
