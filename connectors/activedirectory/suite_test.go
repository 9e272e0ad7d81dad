package activedirectory_test

import (
	"testing"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/connectortest"
	"elevate/workflows/access"
)

// TestConnector runs the suite of all connectors: against Samba as it is, and against an emulation of memberships that
// expire.
func TestConnector(t *testing.T) {
	d := setup(t)
	t.Run("Samba", func(t *testing.T) {
		connectortest.Run(t, harness(t, d, d.URL()))
	})
	t.Run("emulated memberships that expire", func(t *testing.T) {
		f := d.Front(t)
		f.ExpireMemberships()
		connectortest.Run(t, harness(t, d, f.URL))
	})
}

func harness(t *testing.T, d *domain, url string) connectortest.Harness {
	hanging, lying := d.Front(t), d.Front(t)
	hanging.Hang()
	lying.Lie()
	to := func(url string) func(connectortest.T) connectors.Connector {
		return func(tt connectortest.T) connectors.Connector { return d.at(tt, url) }
	}
	return connectortest.Harness{
		New: func(tt connectortest.T) connectors.Connector {
			c := d.at(tt, url)
			if err := c.Check(tt.Context()); err != nil { // the first sweep, as the program does it, learns what the forest can do
				tt.Fatalf("Check: %v", err)
			}
			return c
		},
		Hang: to(hanging.URL),
		Lie:  to(lying.URL),
		Refuse: func(tt connectortest.T) connectors.Connector {
			return d.connector(tt, func(cfg *activedirectory.Config) {
				cfg.Controllers, cfg.Password = []string{url}, access.NewSecret(wrongPassword)
			})
		},
		Role: func(tt connectortest.T) access.Role { r, _ := d.role(tt); return r },
		Person: func(tt connectortest.T, account string) access.Person {
			o, err := d.AddUser(tt, account)
			if known(err) { // by the other run of the suite
				return person(account)
			}
			if err == nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.users[account] = o
			}
			return person(account) // a name that the controller does not take stays without an account
		},
		Plant: func(tt connectortest.T, p access.Person, r access.Role) {
			o, _ := d.object(p.Account("ad"))
			d.Join(tt, d.byGUID(r).DN, o.DN)
		},
		Holds: func(tt connectortest.T, p access.Person, r access.Role) bool {
			o, ok := d.object(p.Account("ad"))
			return ok && d.Holds(tt, o.DN, d.byGUID(r))
		},
		Secrets:        []string{wrongPassword},
		LongestAccount: 20,
		Cannot: map[connectortest.Ability]string{
			connectortest.EndSessions: "a controller gives out tickets and forgets them; what lives on is declared as the tail",
		},
	}
}
