package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Bounds of the suite. They are generous: a loaded machine must not fail it.
const (
	callTimeout = 30 * time.Second // of a call that is to succeed
	promptly    = 20 * time.Second // a call whose context has ended returns within this
	hearing     = time.Minute      // a watch has begun, or told of a change, within this
	impatience  = 300 * time.Millisecond
	crowd       = 12 // persons in the check of many at once
)

// check is one promise.
type check struct {
	name string
	run  func(*suite)
	// alone: nothing may run beside it.
	alone bool
}

func checks() []check {
	return []check{
		{name: "no call leaves a goroutine behind", run: leavesNoGoroutine, alone: true},
		{name: "the target's form is checked", run: checksTarget},
		{name: "healthy credentials pass Check", run: checkPasses},
		{name: "refused credentials are Denied and leak nothing", run: refusedIsDenied},
		{name: "capabilities are true", run: capabilitiesAreTrue},

		{name: "Activate gives", run: activateGives},
		{name: "a second Activate gives the same receipt", run: activateIsIdempotent},
		{name: "a later end is kept by the target", run: laterEndIsKept},
		{name: "another grant on the same right finds ours, not standing access", run: overlapIsNotStanding},
		{name: "standing access is reported and survives", run: standingSurvives},
		{name: "standing access survives without a receipt", run: standingSurvivesLostReceipt},
		{name: "Holders marks what is ours", run: holdersMarksOurs},

		{name: "Deactivate takes away", run: deactivateTakes},
		{name: "Deactivate after a restart takes away without a receipt", run: deactivateWithoutReceipt},
		{name: "the last of two grants takes all of ours away", run: lastGrantTakesAll},
		{name: "Deactivate of what was never given finds nothing", run: deactivateOfNothing},
		{name: "ending one leaves the others", run: endingOneLeavesOthers},
		{name: "ending ends the sessions, and no others", run: endingEndsSessions},
		{name: "a lie is found by reading back", run: lieIsFound},

		{name: "a cancelled call does nothing", run: cancelledDoesNothing},
		{name: "a target that hangs does not hold a call", run: hangIsBounded},
		{name: "an unknown person is refused for good", run: unknownPerson},
		{name: "an unknown role is refused for good", run: unknownRole},
		{name: "a hostile name is safe or refused", run: hostileNames},
		{name: "a name too long is refused, not cut", run: longNames},
		{name: "many at once all come true", run: manyAtOnce},
		{name: "a watch tells of changes until it is to end", run: watchTells},
	}
}

// Run tries a connector. It must not be called from a parallel test: the first check counts goroutines.
func Run(t *testing.T, h Harness) {
	for _, p := range h.problems() {
		t.Error(p)
	}
	if t.Failed() {
		return
	}
	names := new(atomic.Int64)
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if !c.alone {
				t.Parallel()
			}
			c.run(&suite{T: t, Harness: h, names: names})
		})
	}
}

// suite is one check at work.
type suite struct {
	T
	Harness
	names *atomic.Int64
}

// ctx bounds a call that is to succeed.
func (s *suite) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), callTimeout)
	s.Cleanup(cancel)
	return ctx
}

func (s *suite) person() access.Person {
	s.Helper()
	return s.Person(s.T, fmt.Sprintf("ana%d", s.names.Add(1)))
}

func (s *suite) grant(p access.Person, r access.Role) access.Grant {
	return access.Grant{ID: access.RequestID(fmt.Sprintf("00000-%05d", s.names.Add(1))), Person: p, Role: r,
		End: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
}

// give activates a new grant and checks that it came true.
func (s *suite) give(c connectors.Connector, p access.Person, r access.Role) (access.Grant, access.Receipt) {
	s.Helper()
	g := s.grant(p, r)
	receipt, err := c.Activate(s.ctx(), g)
	if err != nil {
		s.Fatalf("Activate: %v", err)
	}
	if receipt.Already {
		s.Errorf("Activate reports access that was there before; there was none")
	}
	s.wantHolds(p, r, true)
	return g, receipt
}

func (s *suite) wantHolds(p access.Person, r access.Role, want bool) {
	s.Helper()
	if got := s.Holds(s.T, p, r); got != want {
		s.Errorf("the target says that %q holds the role: %t, want %t", p.Account(r.Connector), got, want)
	}
}

// end deactivates and checks what was found.
func (s *suite) end(c connectors.Connector, g access.Grant, r access.Receipt, want access.Was) access.Removal {
	s.Helper()
	removal, err := c.Deactivate(s.ctx(), g, r)
	if err != nil {
		s.Fatalf("Deactivate: %v", err)
	}
	if removal.Was != want {
		s.Errorf("Deactivate found %q, want %q", removal.Was, want)
	}
	return removal
}

// wantError checks an error's form, its kind and that it tells no secret.
func (s *suite) wantError(op string, err error, kinds ...connectors.Kind) {
	s.Helper()
	if err == nil {
		s.Errorf("%s succeeded, want an error of kind %q", op, kinds)
		return
	}
	var e *connectors.Error
	if !errors.As(err, &e) {
		s.Errorf("%s: %T is no *connectors.Error: %v", op, err, err)
		return
	}
	if e.Op == "" {
		s.Errorf("%s: the error does not say what was tried: %v", op, err)
	}
	if !slices.Contains(kinds, e.Kind) {
		s.Errorf("%s: kind is %q, want one of %q: %v", op, e.Kind, kinds, err)
	}
	s.wantNoSecret(op, err)
}

// wantNoSecret looks for the configuration's secrets in everything that a log could make of an error.
func (s *suite) wantNoSecret(op string, err error) {
	s.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		asJSON, _ := json.Marshal(e) // what cannot be marshalled tells nothing
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e), string(asJSON)} {
			for _, secret := range s.Secrets {
				if strings.Contains(text, secret) {
					s.Errorf("%s: the error contains a secret: %s", op, strings.ReplaceAll(text, secret, "«secret»"))
					return
				}
			}
		}
	}
}

// verb is one of a connector's calls.
type verb struct {
	name string
	call func(context.Context, connectors.Connector) error
}

// verbs are all calls of a connector, on one grant.
func verbs(c connectors.Connector, g access.Grant) []verb {
	all := []verb{
		{"Activate", func(ctx context.Context, c connectors.Connector) error { _, err := c.Activate(ctx, g); return err }},
		{"Deactivate", func(ctx context.Context, c connectors.Connector) error {
			_, err := c.Deactivate(ctx, g, access.Receipt{})
			return err
		}},
		{"Holders", func(ctx context.Context, c connectors.Connector) error { _, err := c.Holders(ctx, g.Role); return err }},
		{"Check", func(ctx context.Context, c connectors.Connector) error { return c.Check(ctx) }},
	}
	if _, watches := c.(connectors.Watcher); watches {
		all = append(all, verb{"Watch", func(ctx context.Context, c connectors.Connector) error {
			return c.(connectors.Watcher).Watch(ctx, []access.Role{g.Role}, func(access.Role) {})
		}})
	}
	return all
}
