package chaos_test

import (
	"math/rand/v2"
	"slices"
	"time"
)

// fault is how a target treats a call.
type fault string

const (
	well   fault = ""
	down   fault = "answers 503"
	hang   fault = "never answers"
	reset  fault = "resets the connection"
	lost   fault = "does it and resets the connection"
	slow   fault = "does it and answers late"
	early  fault = "answers 409, too early"
	busy   fault = "answers 429"
	denied fault = "answers 403"
	lie    fault = "answers and does nothing"
	held   fault = "does it after its caller was paused" // see trap
)

// hasEffect tells whether the target does what the call says.
func (f fault) hasEffect() bool { return f == well || f == slow || f == lost || f == held }

// mood is how a target behaves. It is asked about one call at a time, and says how late a late answer is.
type mood interface {
	of(c *call) (fault, time.Duration)
}

// calm treats all calls well.
type calm struct{}

func (calm) of(*call) (fault, time.Duration) { return well, 0 }

// steady treats every call of some verbs in one way, and others well.
type steady struct {
	fault fault
	verbs []string
	late  time.Duration
}

func (m steady) of(c *call) (fault, time.Duration) {
	if slices.Contains(m.verbs, c.Verb) {
		return m.fault, m.late
	}
	return well, 0
}

// moody treats a share of the calls badly, at random.
type moody struct {
	*rand.Rand
	share float64
	lies  bool
}

func (m moody) of(c *call) (fault, time.Duration) {
	if m.Float64() >= m.share {
		return well, 0
	}
	faults := []fault{down, down, down, hang, reset, lost, lost, slow, early, busy}
	switch {
	case c.Verb == activate:
		faults = append(faults, denied)
	case c.Verb == holders:
		faults = []fault{down, reset, hang, slow}
	case m.lies && c.Verb == deactivate:
		faults = append(faults, lie)
	}
	// Late is also what comes after the connector has given up.
	return faults[m.IntN(len(faults))], time.Duration(1.2 * m.Float64() * float64(connectorTimeout))
}
