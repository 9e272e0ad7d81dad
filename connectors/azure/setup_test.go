package azure_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/azure"
	"elevate/connectors/azure/armfake"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subscription = "/subscriptions/44444444-aaaa-4bbb-8ccc-000000000004"
	group        = subscription + "/resourcegroups/prod"
	vault        = group + "/providers/microsoft.keyvault/vaults/keys"
	ana          = "55555555-aaaa-4bbb-8ccc-000000000005"
	ben          = "66666666-aaaa-4bbb-8ccc-000000000006"
	team         = "77777777-aaaa-4bbb-8ccc-000000000007"
)

// tenant is a world of one subscription with ana and ben in it.
func tenant(t *testing.T) *armfake.Server {
	s := armfake.New(t)
	s.AddScope(vault)
	s.AddPerson(ana)
	s.AddPerson(ben)
	return s
}

func config(t *testing.T, s *armfake.Server) azure.Config {
	return azure.Config{
		TenantID: armfake.Tenant, ClientID: armfake.Client, ClientSecret: access.NewSecret(armfake.Secret),
		ResourceManagerURL: s.URL, AuthorityURL: s.URL, CAFile: s.CAFile(t), Now: s.Now,
	}
}

func connect(t *testing.T, s *armfake.Server, change ...func(*azure.Config)) *azure.Connector {
	t.Helper()
	cfg := config(t, s)
	for _, f := range change {
		f(&cfg)
	}
	c, err := azure.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func role(scope, id string) access.Role {
	return access.Role{ID: "r", Connector: "azure", Target: map[string]any{"scope": scope, "role": id}}
}

func person(account string) access.Person {
	return access.Person{ID: "ana", Accounts: map[string]string{"azure": account}}
}

var grants atomic.Int64

// grant is for ana, Reader at the resource group, for an hour of the tenant's time.
func grant(s *armfake.Server) access.Grant {
	return access.Grant{ID: access.RequestID(fmt.Sprintf("07kq4-%05d", grants.Add(1))), Person: person(ana), Role: role(group, armfake.Reader),
		End: s.Now().Add(time.Hour).Truncate(time.Second), Justification: "fix replication"}
}

// setup is a tenant, a connector to it, and a grant that can be given there.
func setup(t *testing.T) (*armfake.Server, *azure.Connector, access.Grant) {
	t.Helper()
	s := tenant(t)
	return s, connect(t, s), grant(s)
}

func give(t *testing.T, c connectors.Connector, g access.Grant) access.Receipt {
	t.Helper()
	r, err := c.Activate(t.Context(), g)
	if err != nil {
		t.Fatalf("Activate: %v", err)
	}
	return r
}

// wantKind checks an error's kind and that it holds each of some words.
func wantKind(t *testing.T, err error, kind connectors.Kind, words ...string) {
	t.Helper()
	if err == nil || connectors.KindOf(err) != kind {
		t.Fatalf("the error is %v, want one of kind %q", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

func wantHolds(t *testing.T, s *armfake.Server, g access.Grant, want bool) {
	t.Helper()
	scope, id := g.Role.Target["scope"].(string), g.Role.Target["role"].(string)
	if got := s.Holds(scope, id, g.Person.Account("azure")); got != want {
		t.Errorf("the role is held: %t, want %t", got, want)
	}
}

// patient is the runner in miniature: what is too early for Azure is tried again when that time has passed.
type patient struct {
	*azure.Connector
	servers []*armfake.Server
}

func (p patient) wait(g access.Grant, err error) bool {
	var e *connectors.Error
	if connectors.KindOf(err) != connectors.TooEarly || !asError(err, &e) {
		return false
	}
	for _, s := range p.servers {
		s.Age(g.Role.Target["scope"].(string), e.RetryAfter)
	}
	return true
}

func (p patient) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	removal, err := p.Connector.Deactivate(ctx, g, r)
	if p.wait(g, err) {
		return p.Connector.Deactivate(ctx, g, r)
	}
	return removal, err
}

// silent is an address that takes connections and never answers.
func silent(t connectorT) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "https://" + l.Addr().String()
}

func idOf(name string) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)).String() }
