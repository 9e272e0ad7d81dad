package entra_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/connectortest"
	"elevate/connectors/entra"
	"elevate/connectors/entra/graphfake"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConnector(t *testing.T) {
	for name, change := range map[string]func(*entra.Config){
		"roles":                     func(*entra.Config) {},
		"roles, signing people out": func(cfg *entra.Config) { cfg.RevokeSessions = true },
		"members by PIM":            func(cfg *entra.Config) { cfg.Gives = "groups" },
		"members of plain groups":   func(cfg *entra.Config) { cfg.Gives = "plain_groups" },
	} {
		t.Run(name, func(t *testing.T) { connectortest.Run(t, harness(t, change)) })
	}
}

// site is a tenant, with connectors to it that are configured alike.
type site struct {
	*graphfake.Tenant
	change func(*entra.Config)
	gives  string
	ca     string
	roles  atomic.Int64
}

func newSite(t *testing.T, change func(*entra.Config)) *site {
	t.Helper()
	s := &site{Tenant: graphfake.New(t), change: change, ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(s.ca, s.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := entra.Config{}
	change(&cfg)
	s.gives = cfg.Gives
	return s
}

func (s *site) config() entra.Config {
	cfg := entra.Config{
		TenantID: graphfake.TenantID, ClientID: graphfake.ClientID, ClientSecret: access.NewSecret(graphfake.Secret),
		GraphURL: s.URL, LoginURL: s.URL, CAFile: s.ca, Now: s.Now,
	}
	s.change(&cfg)
	return cfg
}

type tester interface {
	Helper()
	Fatalf(string, ...any)
}

func (s *site) connect(t tester, changes ...func(*entra.Config)) *entra.Connector {
	t.Helper()
	cfg := s.config()
	for _, c := range changes {
		c(&cfg)
	}
	c, err := entra.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

// role makes a role that the tenant knows.
func (s *site) role() access.Role {
	n := s.roles.Add(1)
	id := fmt.Sprintf("dddddddd-0000-4000-8000-%012d", n)
	r := access.Role{ID: access.RoleID(fmt.Sprintf("role-%d", n)), Connector: "entra"}
	switch s.gives {
	case "groups":
		r.Target = map[string]any{"group": id, "as": []string{"member", "owner"}[n%2]}
		s.Group(id)
	case "plain_groups":
		marks := fmt.Sprintf("eeeeeeee-0000-4000-8000-%012d", n)
		r.Target = map[string]any{"group": id, "marks": marks}
		s.Group(id)
		s.Group(marks)
		return r
	default:
		scope := []string{"/", "/administrativeUnits/ffffffff-0000-4000-8000-000000000001"}[n%2]
		r.Target = map[string]any{"role": id, "scope": scope}
	}
	s.Right(rightOf(r), graphfake.Rules{})
	return r
}

func rightOf(r access.Role) graphfake.Right {
	word := func(key string) string {
		text, _ := r.Target[key].(string)
		return text
	}
	return graphfake.Right{Role: word("role"), Scope: word("scope"), Group: word("group"), As: word("as")}
}

var simple = regexp.MustCompile(`^[a-z0-9-]+$`)

// person makes a person whose object ID is that of a name. Names that could be none are handed on as they are.
func (s *site) person(name string) access.Person {
	id := name
	if simple.MatchString(name) {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(name))
		id = fmt.Sprintf("99999999-0000-4000-8000-%012x", sum.Sum64()>>16)
		s.Person(id)
	}
	return access.Person{ID: access.PersonID(name), Accounts: map[string]string{"entra": id}}
}

func (s *site) plant(p access.Person, r access.Role) {
	if s.gives == "plain_groups" {
		s.Put(p.Account("entra"), rightOf(r).Group)
		return
	}
	s.Plant(p.Account("entra"), rightOf(r), graphfake.Plant{})
}

func (s *site) holds(p access.Person, r access.Role) bool {
	if s.gives == "plain_groups" {
		return s.In(p.Account("entra"), rightOf(r).Group)
	}
	return s.Holds(p.Account("entra"), rightOf(r))
}

// patient waits out what is not yet possible, as the runner does. The tenant's clock is the suite's own, so instead of
// waiting it makes the assignment as much older as it was told to wait.
type patient struct {
	*entra.Connector
	s *site
}

func (p patient) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	removal, err := p.Connector.Deactivate(ctx, g, r)
	var e *connectors.Error
	if errors.As(err, &e) && e.Kind == connectors.TooEarly && e.RetryAfter > 10*time.Second && e.RetryAfter <= 5*time.Minute {
		p.s.Age(g.Person.Account("entra"), rightOf(g.Role), e.RetryAfter)
		return p.Connector.Deactivate(ctx, g, r)
	}
	return removal, err
}

type signIn func() bool

func (s signIn) Alive() bool { return s() }

func harness(t *testing.T, change func(*entra.Config)) connectortest.Harness {
	s := newSite(t, change)
	silent := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	liars := newSite(t, change)
	liars.Lies = true
	var lying atomic.Bool
	h := connectortest.Harness{
		New: func(tt connectortest.T) connectors.Connector { return patient{s.connect(tt), s} },
		Hang: func(tt connectortest.T) connectors.Connector {
			return s.connect(tt, func(cfg *entra.Config) { cfg.GraphURL, cfg.LoginURL = silent.URL, silent.URL })
		},
		Refuse: func(tt connectortest.T) connectors.Connector {
			return s.connect(tt, func(cfg *entra.Config) { cfg.ClientSecret = access.NewSecret("canary-wrong-secret") })
		},
		Lie: func(tt connectortest.T) connectors.Connector {
			lying.Store(true)
			return patient{s.connect(tt, func(cfg *entra.Config) { cfg.GraphURL, cfg.LoginURL, cfg.CAFile = liars.URL, liars.URL, liars.ca }), liars}
		},
		Role: func(connectortest.T) access.Role {
			r := s.role()
			if liars.gives == "plain_groups" {
				liars.Group(rightOf(r).Group)
				liars.Group(r.Target["marks"].(string))
			} else {
				liars.Group(rightOf(r).Group)
				liars.Right(rightOf(r), graphfake.Rules{})
			}
			return r
		},
		Person: func(_ connectortest.T, name string) access.Person { liars.person(name); return s.person(name) },
		Plant:  func(_ connectortest.T, p access.Person, r access.Role) { s.plant(p, r) },
		Holds: func(_ connectortest.T, p access.Person, r access.Role) bool {
			return s.holds(p, r) || lying.Load() && liars.holds(p, r)
		},
		Secrets: []string{graphfake.Secret, "canary-wrong-secret"},
		Cannot:  map[connectortest.Ability]string{},
	}
	if cfg := s.config(); cfg.RevokeSessions {
		h.Open = func(_ connectortest.T, p access.Person, _ access.Role) connectortest.Session {
			return signIn(s.SignIn(p.Account("entra")))
		}
	} else {
		h.Cannot[connectortest.EndSessions] = "without revoke_sessions, tokens that were issued go on to their end"
	}
	return h
}
