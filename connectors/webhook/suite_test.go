package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"elevate/connectors"
	"elevate/connectors/connectortest"
	"elevate/connectors/webhook"
	"elevate/workflows/access"
)

func TestConnector(t *testing.T) {
	healthy, hanging, liars := newTarget(t, httptest.NewServer), newTarget(t, httptest.NewServer), newTarget(t, httptest.NewServer)
	healthy.known, liars.known = map[string]bool{}, map[string]bool{}
	hanging.feel(func(w http.ResponseWriter, r *http.Request, next http.Handler) bool { hangs(w, r, next); return true })
	liars.feel(on("deactivate", lies))
	to := func(f *target, change func(*webhook.Config)) func(connectortest.T) connectors.Connector {
		return func(tt connectortest.T) connectors.Connector { return connect(tt, f, change) }
	}
	var roles atomic.Int64
	both := func(name string) { healthy.learn(name); liars.learn(name) }
	connectortest.Run(t, connectortest.Harness{
		New: to(healthy, nil), Hang: to(hanging, nil), Lie: to(liars, nil),
		Refuse: to(healthy, func(cfg *webhook.Config) { cfg.Secret = access.NewSecret(otherSecret) }),
		Role: func(connectortest.T) access.Role {
			name := fmt.Sprintf("role%d", roles.Add(1))
			both(name)
			return role(name)
		},
		Person: func(_ connectortest.T, account string) access.Person { both(account); return person(account) },
		Plant: func(_ connectortest.T, p access.Person, r access.Role) {
			healthy.plant(p.Account("hooks"), r.Target["role"].(string))
		},
		Holds: func(_ connectortest.T, p access.Person, r access.Role) bool {
			account, name := p.Account("hooks"), r.Target["role"].(string)
			return healthy.holds(account, name) || liars.holds(account, name)
		},
		Secrets: []string{secret, secret[len("whsec_"):], otherSecret, otherSecret[len("whsec_"):]},
		Cannot: map[connectortest.Ability]string{
			connectortest.EndSessions:  "the example receiver has none; TestDeactivateReportsWhatTheTargetSays counts some",
			connectortest.FixedTargets: "what a target means is the other side's business",
		},
	})
}
