package activedirectory_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/activedirectory/sambatest"
	"elevate/connectors/connectortest"
	"elevate/workflows/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	botAccount    = "svc-elevate@" + sambatest.Realm
	wrongPassword = "not-it-canary"
)

// domain is one in which Elevate was given an account, and rights on some groups as the page says.
type domain struct {
	*sambatest.Server
	bot    sambatest.Object
	groups []sambatest.Object // that Elevate may give
	next   atomic.Int64       // of groups
	n      atomic.Int64
	mu     sync.Mutex
	users  map[string]sambatest.Object // by account
}

// enough groups for every promise.
const enough = 130

func setup(t *testing.T) *domain {
	t.Helper()
	d := &domain{Server: sambatest.Start(t), users: map[string]sambatest.Object{}}
	d.bot = d.user(t, "svc-elevate")
	attributes := delegated(t)
	for i := range enough {
		g := d.AddGroup(t, fmt.Sprintf("Elevated %d", i))
		d.Delegate(t, d.bot, g.DN, attributes...)
		d.groups = append(d.groups, g)
	}
	return d
}

// delegated are the attributes that the page's script lets Elevate's account write.
func delegated(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(page), "```powershell")
	script, _, _ = strings.Cut(script, "```")
	var out []string
	for _, m := range regexp.MustCompile(`:RPWP;([A-Za-z]+)`).FindAllStringSubmatch(script, -1) {
		out = append(out, m[1])
	}
	if len(out) == 0 {
		t.Fatal("the page's script gives no rights")
	}
	return out
}

// connector makes one to the domain, with changed settings.
func (d *domain) connector(t connectortest.T, change func(*activedirectory.Config)) *activedirectory.Connector {
	t.Helper()
	cfg := activedirectory.Config{Controllers: []string{d.URL()}, Bind: botAccount, Password: access.NewSecret(sambatest.Password),
		CAFile: d.CAFile, Timeout: time.Minute}
	for _, g := range d.groups {
		cfg.Groups = append(cfg.Groups, g.GUID)
	}
	change(&cfg)
	c, err := activedirectory.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func (d *domain) plain(t connectortest.T) *activedirectory.Connector {
	return d.connector(t, func(*activedirectory.Config) {})
}

// at makes a connector that reaches the domain by other controllers.
func (d *domain) at(t connectortest.T, controllers ...string) *activedirectory.Connector {
	return d.connector(t, func(cfg *activedirectory.Config) { cfg.Controllers = controllers })
}

// user makes an account that can log in.
func (d *domain) user(t connectortest.T, name string) sambatest.Object {
	t.Helper()
	o, err := d.AddUser(t, name)
	if err != nil {
		t.Fatalf("add account %s: %v", name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users[name] = o
	return o
}

func (d *domain) object(account string) (sambatest.Object, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.users[account]
	return o, ok
}

func person(account string) access.Person {
	return access.Person{ID: access.PersonID(account), Accounts: map[string]string{"ad": account}}
}

// person makes somebody with an account.
func (d *domain) person(t connectortest.T) (access.Person, sambatest.Object) {
	t.Helper()
	name := fmt.Sprintf("bo%d", d.n.Add(1))
	return person(name), d.user(t, name)
}

func roleOf(g sambatest.Object) access.Role {
	return access.Role{ID: "server-admin", Connector: "ad", Target: map[string]any{"group": g.GUID}}
}

// role gives a group that Elevate may give and nobody else was given.
func (d *domain) role(t connectortest.T) (access.Role, sambatest.Object) {
	t.Helper()
	i := int(d.next.Add(1)) - 1
	if i >= len(d.groups) {
		t.Fatalf("the test's domain has no more than %d groups", len(d.groups))
	}
	return roleOf(d.groups[i]), d.groups[i]
}

// byGUID is a role's group.
func (d *domain) byGUID(r access.Role) sambatest.Object {
	for _, g := range d.groups {
		if g.GUID == r.Target["group"] {
			return g
		}
	}
	return sambatest.Object{}
}

// group makes one that Elevate has no rights on.
func (d *domain) group(t connectortest.T) sambatest.Object {
	t.Helper()
	return d.AddGroup(t, fmt.Sprintf("Group %d", d.n.Add(1)))
}

func (d *domain) grant(p access.Person, r access.Role) access.Grant {
	return access.Grant{ID: access.RequestID(fmt.Sprintf("00000-%05d", d.n.Add(1))), Person: p, Role: r, End: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
}

func (d *domain) wantHolds(t *testing.T, who, group sambatest.Object, want bool) {
	t.Helper()
	if got := d.Holds(t, who.DN, group); got != want {
		t.Errorf("%s has %s: %t, want %t", who.DN, group.DN, got, want)
	}
}

func activate(t *testing.T, c connectors.Connector, g access.Grant) access.Receipt {
	t.Helper()
	receipt, err := c.Activate(t.Context(), g)
	if err != nil {
		t.Fatalf("Activate: %v", err)
	}
	return receipt
}

func deactivate(t *testing.T, c connectors.Connector, g access.Grant, r access.Receipt, want access.Was) access.Removal {
	t.Helper()
	removal, err := c.Deactivate(t.Context(), g, r)
	if err != nil {
		t.Fatalf("Deactivate: %v", err)
	}
	if removal.Was != want {
		t.Errorf("Deactivate found %q, want %q", removal.Was, want)
	}
	return removal
}

func wantError(t *testing.T, what string, err error, kind connectors.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded, want an error of kind %q", what, kind)
		return
	}
	if got := connectors.KindOf(err); got != kind {
		t.Errorf("%s: kind is %q, want %q: %v", what, got, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the error does not speak of %q: %v", what, w, err)
		}
	}
}

// known tells an account that is there already from other refusals.
func known(err error) bool {
	return ldap.IsErrorWithCode(err, ldap.LDAPResultEntryAlreadyExists)
}
