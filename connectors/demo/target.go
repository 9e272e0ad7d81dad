package demo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"elevate/workflows/access"
)

// Entry is one person's hold on one role at a Target.
type Entry struct {
	Account string           `json:"account"`
	Role    string           `json:"role"`
	Person  access.PersonID  `json:"person,omitempty"`
	Grant   access.RequestID `json:"grant,omitempty"` // empty: standing
	Since   time.Time        `json:"since"`
}

// Faults makes a Target misbehave. The zero value is good health.
type Faults struct {
	UnavailableUntil time.Time // every call fails before then, by the Target's clock
	Hang             bool      // no call is ever answered
	Lie              bool      // removals are confirmed and not done
	Refuse           bool      // the connector's credentials are refused
}

// Event is something that happened at a Target, for whoever watches.
type Event struct {
	At    time.Time
	What  What
	Entry Entry
}

// What happened.
type What string

// What can happen at a Target.
const (
	Given        What = "given"
	Taken        What = "taken"
	SessionEnded What = "session ended"
	Refused      What = "refused" // a call that a fault stopped; the entry says for whom
)

// The answers of a Target to a connector.
var (
	errUnavailable = errors.New("the demo target is switched off")
	errRefused     = errors.New("the demo target refuses the connector's credentials")
	errNoAccount   = errors.New("no such account at the demo target")
	errNoRole      = errors.New("no such role at the demo target")
)

// TargetConfig sets up a Target.
type TargetConfig struct {
	Accounts []string         // the accounts that exist; none: any name does
	Roles    []string         // the roles that exist; none: any name does
	Latency  time.Duration    // what every call takes; zero: nothing
	Now      func() time.Time // nil: time.Now
	Observe  func(Event)      // told of every change, in order, while the Target is locked: it must not call back; nil: nobody
}

type key struct{ account, role string }

// Target stands for the system behind a connector: a table of who holds what, in memory. Its methods are the truth that
// tests and the playground look at; the connector reaches it through call alone, as it would a server.
type Target struct {
	cfg TargetConfig

	mu       sync.Mutex
	faults   Faults
	ours     map[key]Entry
	standing map[key]Entry
	sessions map[key][]*Session
}

// NewTarget makes a Target that nobody holds anything at.
func NewTarget(cfg TargetConfig) *Target {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Target{cfg: cfg, ours: map[key]Entry{}, standing: map[key]Entry{}, sessions: map[key][]*Session{}}
}

// SetFaults makes the Target misbehave from the next call on.
func (t *Target) SetFaults(f Faults) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = f
}

// Plant gives standing access, as an administrator of the target would, past Elevate.
func (t *Target) Plant(account, role string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(t.standing, Entry{Account: account, Role: role})
}

// Withdraw takes everything away, past Elevate.
func (t *Target) Withdraw(account, role string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(t.standing, key{account, role})
	t.drop(t.ours, key{account, role})
}

// Holds tells whether the account holds the role now.
func (t *Target) Holds(account, role string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holds(key{account, role})
}

// Entries lists who holds what now, by role and account.
func (t *Target) Entries() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list(func(key) bool { return true })
}

// Session is somebody at work at a Target in a role.
type Session struct {
	target *Target
	ended  bool
}

// Open starts a session; it lasts until its right is taken away by the connector.
func (t *Target) Open(account, role string) *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &Session{target: t}
	k := key{account, role}
	t.sessions[k] = append(t.sessions[k], s)
	return s
}

// Alive tells whether the session goes on.
func (s *Session) Alive() bool {
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	return !s.ended
}

// call stands for the way to the server and back: it takes its time, can fail, and runs f with the Target locked.
func (t *Target) call(ctx context.Context, on Entry, f func() error) error {
	if err := t.travel(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.faults.Refuse:
		t.tell(Refused, on)
		return errRefused
	case t.cfg.Now().Before(t.faults.UnavailableUntil):
		t.tell(Refused, on)
		return errUnavailable
	}
	return f()
}

// travel waits as long as the way to the Target takes: for ever where it hangs.
func (t *Target) travel(ctx context.Context) error {
	t.mu.Lock()
	hang := t.faults.Hang
	t.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
	if t.cfg.Latency <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(t.cfg.Latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// knows tells what is missing for an account to hold a role. The Target is locked.
func (t *Target) knows(k key) error {
	if len(t.cfg.Roles) > 0 && !slices.Contains(t.cfg.Roles, k.role) {
		return errNoRole
	}
	if len(t.cfg.Accounts) > 0 && !slices.Contains(t.cfg.Accounts, k.account) {
		return errNoAccount
	}
	return nil
}

func (t *Target) holds(k key) bool {
	_, ours := t.ours[k]
	_, standing := t.standing[k]
	return ours || standing
}

func (t *Target) put(table map[key]Entry, e Entry) {
	k := key{e.Account, e.Role}
	if old, ok := table[k]; ok && old.Grant == e.Grant {
		return
	}
	e.Since = t.cfg.Now()
	table[k] = e
	t.tell(Given, e)
}

func (t *Target) drop(table map[key]Entry, k key) bool {
	e, ok := table[k]
	if !ok {
		return false
	}
	delete(table, k)
	t.tell(Taken, e)
	return true
}

// endSessions ends every session of a right that is not held any more.
func (t *Target) endSessions(k key) int {
	open := t.sessions[k]
	delete(t.sessions, k)
	for _, s := range open {
		s.ended = true
		t.tell(SessionEnded, Entry{Account: k.account, Role: k.role})
	}
	return len(open)
}

func (t *Target) list(want func(key) bool) []Entry {
	var out []Entry
	for _, table := range []map[key]Entry{t.standing, t.ours} {
		for k, e := range table {
			if want(k) {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if c := strings.Compare(a.Role, b.Role); c != 0 {
			return c
		}
		if c := strings.Compare(a.Account, b.Account); c != 0 {
			return c
		}
		return strings.Compare(string(a.Grant), string(b.Grant))
	})
	return out
}

func (t *Target) tell(what What, e Entry) {
	if t.cfg.Observe != nil {
		t.cfg.Observe(Event{At: t.cfg.Now(), What: what, Entry: e})
	}
}
