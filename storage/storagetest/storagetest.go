// Package storagetest is the promise of a store: what workflows.Store says in words, as checks that every
// implementation passes. Its own test tries the checks on stores that are broken on purpose.
package storagetest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/workflows"
)

// Chats are the chats that a store under test must be configured with.
func Chats() []string { return []string{"slack", "teams"} }

// Options say how to get a store.
type Options struct {
	// Open gives an empty store that reads the clock as its caller's, with Chats. Required. It must close the store
	// by itself at the end of the test.
	Open func(t TB, clock *Clock) workflows.Store
	// Pass lets time pass at the store's server, which the caller's clock need not move. Required.
	Pass func(clock *Clock, d time.Duration)
	// NoHours is the reason why Pass cannot let hours pass. Empty: it can.
	NoHours string
}

// T is the part of a test that a check needs.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// TB is the part of a test that opens a store.
type TB interface {
	T
	Fatal(args ...any)
	Cleanup(f func())
}

// check is one promise.
type check struct {
	name  string
	hours bool // lets hours pass at the server
	run   func(e *env)
}

// env is what a check works with.
type env struct {
	T
	workflows.Store
	clock *Clock
	pass  func(d time.Duration)
	drawn sync.Map // ids that were drawn, by id
}

func checks() []check {
	var all []check
	for _, group := range [][]check{arrowChecks(), timerChecks(), rightChecks(), requestChecks(), outboxChecks(), inboxChecks(), eventChecks(), memoryChecks(), gateChecks()} {
		all = append(all, group...)
	}
	return all
}

// Names lists the checks.
func Names() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// Run checks a store, each promise on a fresh one.
func Run(t *testing.T, o Options) {
	for _, c := range checks() {
		if c.hours && o.NoHours != "" {
			t.Logf("%s is left out: %s", c.name, o.NoHours)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newEnv(t, t, o))
		})
	}
}

func newEnv(t T, tb TB, o Options) *env {
	clock := NewClock()
	return &env{T: t, Store: o.Open(tb, clock), clock: clock, pass: func(d time.Duration) { o.Pass(clock, d) }}
}

// Failures runs one check without failing the test, and gives what it complains of.
func Failures(t testing.TB, o Options, name string) []string {
	t.Helper()
	for _, c := range checks() {
		if c.name != name {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &recorder{ctx: ctx}
		e := newEnv(r, t, o)
		done := make(chan struct{})
		go func() { // a check stops by ending its goroutine
			defer close(done)
			c.run(e)
		}()
		<-done
		return r.complaints
	}
	t.Fatalf("there is no check named %q", name)
	return nil
}

// recorder is a T that remembers.
type recorder struct {
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

func (r *recorder) Helper() {}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// Clock is a clock that stands until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock gives a clock that stands 60 days ago, so that a store which also looks at the true time of its server takes
// the clock as the earlier one, wherever a check moves it to.
func NewClock() *Clock {
	return &Clock{now: time.Now().Add(-60 * 24 * time.Hour).Truncate(time.Second).UTC()}
}

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// ok ends the check where something that must succeed did not.
func (e *env) ok(err error, what string) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// want complains where two values differ.
func want[V comparable](e *env, what string, got, want V) {
	e.Helper()
	if got != want {
		e.Errorf("%s: got %v, want %v", what, got, want)
	}
}
