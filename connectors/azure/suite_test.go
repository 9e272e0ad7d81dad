package azure_test

import (
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"testing"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/connectors/connectortest"
	"elevate/workflows/access"
)

type connectorT = connectortest.T

func asError(err error, e **connectors.Error) bool { return errors.As(err, e) }

var simple = regexp.MustCompile(`^ana\d+$`)

// TestConnector runs the suite that every connector passes. Where Azure wants five minutes to pass, they pass for the
// scope in question.
func TestConnector(t *testing.T) {
	honest, liar := tenant(t), tenant(t)
	liar.LieAboutRemovals()
	both := []*armfake.Server{honest, liar}
	var roles atomic.Int64
	at := func(s *armfake.Server, change ...func(*azure.Config)) func(connectortest.T) connectors.Connector {
		c := connect(t, s, change...)
		return func(connectortest.T) connectors.Connector { return patient{c, both} }
	}
	connectortest.Run(t, connectortest.Harness{
		New: func(connectortest.T) connectors.Connector { return patient{connect(t, honest), both} },
		Role: func(connectortest.T) access.Role {
			scope := fmt.Sprintf("%s/resourcegroups/rg%d", subscription, roles.Add(1))
			for _, s := range both {
				s.AddScope(scope)
			}
			return role(scope, armfake.Reader)
		},
		Person: func(_ connectortest.T, account string) access.Person {
			if !simple.MatchString(account) {
				return person(account) // Entra makes ids, and no others
			}
			for _, s := range both {
				s.AddPerson(idOf(account))
			}
			return person(idOf(account))
		},
		Plant: func(_ connectortest.T, p access.Person, r access.Role) {
			honest.Plant(armfake.Assignment{Scope: r.Target["scope"].(string), Role: armfake.Reader, Account: p.Account("azure")})
		},
		Holds: func(_ connectortest.T, p access.Person, r access.Role) bool {
			scope := r.Target["scope"].(string)
			return honest.Holds(scope, armfake.Reader, p.Account("azure")) || liar.Holds(scope, armfake.Reader, p.Account("azure"))
		},
		Hang: func(st connectortest.T) connectors.Connector {
			nowhere := silent(st)
			return at(honest, func(cfg *azure.Config) { cfg.ResourceManagerURL = nowhere })(st)
		},
		Refuse:  at(honest, func(cfg *azure.Config) { cfg.ClientSecret = access.NewSecret("hunter2-canary-wrong") }),
		Lie:     at(liar),
		Secrets: []string{armfake.Secret, "hunter2-canary-wrong"},
		Cannot: map[connectortest.Ability]string{
			connectortest.EndSessions: "Azure asks who holds a role each time, and has no sessions of its own",
		},
	})
}
