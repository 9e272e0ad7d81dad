// Package connectortest is the promise that every connector keeps, as a suite of tests. A connector's own test gives it
// a Harness: how to make people and roles at the target, and how to look at the target past the connector. What a target
// cannot do is declared there with a reason; nothing is skipped.
package connectortest

import (
	"context"
	"fmt"

	"elevate/connectors"
	"elevate/workflows/access"
)

// T is what a check needs of a test. *testing.T is one; the suite's own tests have another that collects failures.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Session is somebody at work at the target in a role.
type Session interface {
	// Alive tells whether the session can still use the role.
	Alive() bool
}

// Harness gives the suite a target. Functions are called from several goroutines at once.
type Harness struct {
	// New makes a connector to the target. All that it makes speak to the same target: a second one is the same
	// program after a restart.
	New func(T) connectors.Connector
	// Role makes a role that exists at the target, another one each time.
	Role func(T) access.Role
	// Person makes a person whose account at the target has the given name. The suite gives each name once.
	Person func(t T, account string) access.Person
	// Plant gives standing access, past the connector.
	Plant func(T, access.Person, access.Role)
	// Holds looks at the target, past the connector.
	Holds func(T, access.Person, access.Role) bool
	// Hang makes a connector to a target that accepts and never answers.
	Hang func(T) connectors.Connector
	// Refuse makes a connector whose credentials the target refuses.
	Refuse func(T) connectors.Connector
	// Lie makes a connector to a target that, from now on, confirms removals and does not do them; what Role, Person
	// and Holds say goes for it too. Nil where declared in Cannot.
	Lie func(T) connectors.Connector
	// Open starts a session of the person in the role. Nil where declared in Cannot.
	Open func(T, access.Person, access.Role) Session
	// Secrets are texts from the connector's configuration that no error may contain.
	Secrets []string
	// LongestAccount is the length in bytes of the longest account name that the target keeps; zero: any.
	LongestAccount int
	// Cannot declares what the target cannot do, each with the reason.
	Cannot map[Ability]string
}

// Ability is something that not every target can do.
type Ability string

// The abilities that a Harness may declare as missing.
const (
	FixedTargets   Ability = "fix a target's form"   // a role's target is whatever the target makes of it
	EndSessions    Ability = "end sessions"          // there are none, or none that can be ended
	Lie            Ability = "lie"                   // the target cannot be made to confirm what it did not do
	UnknownPersons Ability = "know unknown persons"  // the target accepts any account
	UnknownRoles   Ability = "know unknown roles"    // the target accepts any role
	RefuseUs       Ability = "refuse our credential" // there is no credential
)

// problems lists what is wrong with a harness itself.
func (h Harness) problems() []string {
	var out []string
	need := func(missing bool, field string) {
		if missing {
			out = append(out, "Harness."+field+" is missing")
		}
	}
	need(h.New == nil, "New")
	need(h.Role == nil, "Role")
	need(h.Person == nil, "Person")
	need(h.Plant == nil, "Plant")
	need(h.Holds == nil, "Holds")
	need(h.Hang == nil, "Hang")
	either := func(missing bool, field string, a Ability) {
		if _, declared := h.Cannot[a]; declared != missing {
			out = append(out, fmt.Sprintf("give either Harness.%s or a reason in Harness.Cannot[%q]", field, a))
		}
	}
	either(h.Refuse == nil, "Refuse", RefuseUs)
	either(h.Lie == nil, "Lie", Lie)
	either(h.Open == nil, "Open", EndSessions)
	for a, reason := range h.Cannot {
		if reason == "" {
			out = append(out, fmt.Sprintf("Harness.Cannot[%q] has no reason", a))
		}
	}
	return out
}

func (h Harness) can(a Ability) bool {
	_, cannot := h.Cannot[a]
	return !cannot
}
