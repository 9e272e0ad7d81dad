package demo_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/connectortest"
	"elevate/connectors/demo"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T, cfg demo.TargetConfig) (*demo.Connector, *demo.Target) {
	t.Helper()
	target := demo.NewTarget(cfg)
	c, err := demo.New(demo.Config{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	return c, target
}

func TestConnector(t *testing.T) {
	healthy, liars := demo.NewTarget(demo.TargetConfig{}), demo.NewTarget(demo.TargetConfig{})
	liars.SetFaults(demo.Faults{Lie: true})
	to := func(target *demo.Target) func(tt connectortest.T) connectors.Connector {
		return func(tt connectortest.T) connectors.Connector {
			c, err := demo.New(demo.Config{Target: target})
			if err != nil {
				tt.Fatalf("New: %v", err)
			}
			return c
		}
	}
	moody := func(f demo.Faults) *demo.Target {
		target := demo.NewTarget(demo.TargetConfig{})
		target.SetFaults(f)
		return target
	}
	var roles atomic.Int64
	connectortest.Run(t, connectortest.Harness{
		New: to(healthy), Lie: to(liars), Hang: to(moody(demo.Faults{Hang: true})), Refuse: to(moody(demo.Faults{Refuse: true})),
		Role: func(connectortest.T) access.Role { return role(fmt.Sprintf("role%d", roles.Add(1))) },
		Person: func(_ connectortest.T, account string) access.Person {
			return access.Person{ID: access.PersonID("id-" + account), Accounts: map[string]string{"demo": account}}
		},
		Plant: func(_ connectortest.T, p access.Person, r access.Role) { healthy.Plant(p.Account("demo"), name(r)) },
		Holds: func(_ connectortest.T, p access.Person, r access.Role) bool {
			return healthy.Holds(p.Account("demo"), name(r)) || liars.Holds(p.Account("demo"), name(r))
		},
		Open: func(_ connectortest.T, p access.Person, r access.Role) connectortest.Session {
			return healthy.Open(p.Account("demo"), name(r))
		},
		Cannot: map[connectortest.Ability]string{
			connectortest.UnknownPersons: "without a list of accounts the table takes any; TestListsAreKept tries one with a list",
			connectortest.UnknownRoles:   "without a list of roles the table takes any; TestListsAreKept tries one with a list",
		},
	})
}

func role(name string) access.Role {
	return access.Role{ID: "r", Connector: "demo", Target: map[string]any{"role": name}}
}

func name(r access.Role) string { return r.Target["role"].(string) }

func grant(account, roleName string) access.Grant {
	return access.Grant{ID: "00000-00001", Person: access.Person{ID: access.PersonID(account)}, Role: role(roleName)}
}

func TestListsAreKept(t *testing.T) {
	t.Parallel()
	c, target := setup(t, demo.TargetConfig{Accounts: []string{"ana"}, Roles: []string{"admin"}})
	for _, g := range []access.Grant{grant("bo", "admin"), grant("ana", "root")} {
		if _, err := c.Activate(t.Context(), g); connectors.KindOf(err) != connectors.NotFound {
			t.Errorf("Activate of %s for %s: %v, want kind %q", name(g.Role), g.Person.ID, err, connectors.NotFound)
		}
	}
	if err := c.CheckRole(t.Context(), role("root")); connectors.KindOf(err) != connectors.NotFound {
		t.Errorf("CheckRole of a role that is not there: %v", err)
	}
	if got := target.Entries(); len(got) != 0 {
		t.Errorf("somebody holds something: %v", got)
	}
}

func TestUnavailableUntil(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c, target := setup(t, demo.TargetConfig{Now: func() time.Time { return now }})
	target.SetFaults(demo.Faults{UnavailableUntil: now.Add(time.Minute)})
	if _, err := c.Activate(t.Context(), grant("ana", "admin")); connectors.KindOf(err) != connectors.Unavailable {
		t.Errorf("Activate while the target is down: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := c.Activate(t.Context(), grant("ana", "admin")); err != nil {
		t.Errorf("Activate once the target is back: %v", err)
	}
}

func TestLatencyHonoursContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, target := setup(t, demo.TargetConfig{Latency: time.Minute})
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Activate(ctx, grant("ana", "admin"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Activate with a second's patience: %v after %v", err, time.Since(began))
		}
		if _, err := c.Activate(t.Context(), grant("ana", "admin")); err != nil || time.Since(began) != time.Minute+time.Second {
			t.Errorf("Activate with patience: %v after %v", err, time.Since(began))
		}
		if !target.Holds("ana", "admin") {
			t.Error("the target does not have it")
		}
	})
}

func TestObserverSeesTheWholeStory(t *testing.T) {
	t.Parallel()
	var story []string
	c, target := setup(t, demo.TargetConfig{Observe: func(e demo.Event) {
		story = append(story, fmt.Sprintf("%s %s %s %s", e.What, e.Entry.Account, e.Entry.Role, e.Entry.Grant))
	}})
	g := grant("ana", "admin")
	target.Plant("bo", "admin")
	receipt, err := c.Activate(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	target.Open("ana", "admin")
	target.SetFaults(demo.Faults{Refuse: true})
	if err := c.Check(t.Context()); err == nil {
		t.Error("Check passes although the target refuses")
	}
	target.SetFaults(demo.Faults{})
	if _, err := c.Deactivate(t.Context(), g, receipt); err != nil {
		t.Fatal(err)
	}
	want := []string{"given bo admin ", "given ana admin 00000-00001", "refused   ", "taken ana admin 00000-00001", "session ended ana admin "}
	if fmt.Sprint(story) != fmt.Sprint(want) {
		t.Errorf("the observer saw %q, want %q", story, want)
	}
}
