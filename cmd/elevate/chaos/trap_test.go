package chaos_test

import (
	"net/http"
	"slices"
	"time"
)

// trap waits for the next call of a replica that is to change something, and holds it up, so that the replica can be
// paused in the middle of it. The call has its effect when it is let go, however late that is: as after a long way
// through a network.
type trap struct {
	verbs  []string
	sprung chan struct{} // closed when the call has come
	let    chan struct{} // closed when it is let go
}

// set lays a trap for a replica's calls of some verbs.
func (g *target) set(replica string, verbs ...string) *trap {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &trap{verbs: verbs, sprung: make(chan struct{}), let: make(chan struct{})}
	g.traps[replica] = t
	return t
}

// unset takes the trap of a replica away, and lets go what is in it.
func (g *target) unset(replica string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.traps[replica]; t != nil {
		close(t.let)
		delete(g.traps, replica)
	}
}

// spring holds a call up that falls into a trap. It is false where its caller has given up by then.
func (g *target) spring(r *http.Request, c *call) bool {
	g.mu.Lock()
	t := g.traps[c.Replica]
	if t != nil && !slices.Contains(t.verbs, c.Verb) {
		t = nil
	}
	if t != nil {
		select {
		case <-t.sprung: // by another call
			t = nil
		default:
			close(t.sprung)
		}
	}
	g.mu.Unlock()
	if t == nil {
		return true
	}
	c.Fault = held
	select {
	case <-t.let:
		return true
	case <-r.Context().Done():
	case <-g.t.Context().Done():
	}
	return false
}

// wait gives a call some time to come into the trap.
func (t *trap) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.sprung:
	case <-timer.C:
	}
}
