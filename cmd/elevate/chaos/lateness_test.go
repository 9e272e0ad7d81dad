package chaos_test

import (
	"fmt"
	"slices"
	"time"

	"elevate/workflows/access"
)

// lateness is how late the grants ended whose time ended them, counted from their ends; and counted from when what stood
// in the way was over, where something did: a kill, a pause, or a target that would not.
type lateness struct{ fromEnd, fromOutage spread }

// spread is durations in order.
type spread []time.Duration

func (s spread) at(quantile float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(quantile*float64(len(s))))]
}

func (s spread) String() string {
	round := func(q float64) time.Duration { return s.at(q).Round(time.Millisecond / 10) }
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, max %s, of %d", round(0.5), round(0.99), round(0.999), round(1), len(s))
}

// lateness measures the endings at the targets by the ledger.
func (e *evidence) lateness() lateness {
	ends := map[access.RequestID]time.Time{}
	for _, grants := range e.grants() {
		for _, g := range grants {
			if g.timely {
				ends[g.id] = g.endsAt
			}
		}
	}
	var out lateness
	refused := map[access.RequestID]time.Time{}
	for _, c := range e.ledger {
		if c.Verb == deactivate && !c.answered() {
			refused[c.Grant] = c.Came
		}
		due, known := ends[c.Grant]
		if !known || c.Verb != deactivate || !c.Changed {
			continue
		}
		out.fromEnd = append(out.fromEnd, c.At.Sub(due))
		out.fromOutage = append(out.fromOutage, c.At.Sub(later(e.clear(due, c.At), earlier(c.At, refused[c.Grant]))))
	}
	slices.Sort(out.fromEnd)
	slices.Sort(out.fromOutage)
	return out
}

// clear is when the last disruption was over that touched a span of time; its beginning where none did.
func (e *evidence) clear(from, to time.Time) time.Time {
	clear := from
	for _, d := range e.broken {
		if d.from.Before(to) && d.to.After(from) {
			clear = later(clear, earlier(d.to, to))
		}
	}
	return clear
}
