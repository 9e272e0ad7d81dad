// Package activedirectory gives memberships of groups in an Active Directory domain and takes them away again. Where the
// forest has the feature, memberships get an end that the directory enforces by itself. The directory also says what is
// ours: each membership is written together with a mark on the group, in one operation. Nothing is kept on this side, and
// every call has connections of its own, encrypted before the password is sent, that end with it; the call to listen lasts.
package activedirectory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector.
type Config struct {
	// Controllers are the domain controllers, each by its own name: ldaps://dc1.corp.example.com, or ldap:// with StartTLS.
	// Nothing is sent before the connection is encrypted and the certificate is verified. The first that answers gives a
	// role; all of them are looked at when it is taken away, because a change reaches the others with a delay.
	Controllers []string
	// Bind is Elevate's own account: svc-elevate@corp.example.com or its distinguished name.
	Bind string
	// Password is that account's.
	Password access.Secret
	// Groups are the object GUIDs of the groups that may be given, as Get-ADGroup prints them. Nothing else is given.
	Groups []string
	// Account is the attribute by which the directory of Elevate names people's accounts: sAMAccountName or
	// userPrincipalName. Empty: sAMAccountName.
	Account string
	// CAFile is a file of PEM certificates that the controllers' must come from. Empty: the system's.
	CAFile string
	// Tail is how long Kerberos tickets and logon sessions may carry a membership that was taken away: the domain's maximum
	// lifetime for user tickets. Zero: 10 hours, the domain's own default.
	Tail time.Duration
	// Timeout bounds each call as a whole. Zero: 10 seconds.
	Timeout time.Duration

	// Now tells the time, for memberships that expire. Nil: time.Now.
	Now func() time.Time
}

const (
	defaultTimeout = 10 * time.Second
	defaultTail    = 10 * time.Hour
	byName         = "sAMAccountName"
	byPrincipal    = "userPrincipalName"
	longestName    = 256 // characters; the schema's bound of sAMAccountName. Controllers hold people's accounts to 20
)

// grace is by how much the directory's own end of a membership is later than the grant's.
const grace = 2 * time.Minute

// Connector gives and takes memberships in one domain.
type Connector struct {
	controllers []controller
	bind        string
	password    access.Secret
	groups      []guid
	account     string
	tail        time.Duration
	timeout     time.Duration
	now         func() time.Time

	expiring atomic.Bool // the forest had the feature when it was last looked at
}

// controller is where a domain controller listens.
type controller struct {
	name     string // as it is configured
	address  string
	startTLS bool
	tls      *tls.Config
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
	_ connectors.RoleChecker   = (*Connector)(nil)
	_ connectors.SurplusLister = (*Connector)(nil)
	_ connectors.Adviser       = (*Connector)(nil)
	_ connectors.Watcher       = (*Connector)(nil)
)

// New makes a connector. It reads the configuration and connects to nothing.
func New(cfg Config) (*Connector, error) {
	c := &Connector{bind: cfg.Bind, password: cfg.Password, account: cfg.Account, tail: cfg.Tail, timeout: cfg.Timeout, now: cfg.Now}
	var problems []error
	problem := func(wrong bool, text string) {
		if wrong {
			problems = append(problems, errors.New(text))
		}
	}
	roots, err := connectors.Roots(cfg.CAFile)
	problems = append(problems, err, c.parseLists(cfg, roots))
	problem(len(cfg.Controllers) == 0, "controllers: is missing; name the domain controllers, such as [ldaps://dc1.corp.example.com]")
	problem(cfg.Bind == "", "bind: is missing; give Elevate's own account, such as svc-elevate@corp.example.com")
	problem(cfg.Password.IsZero(), "password: is missing; without one, a controller lets anybody in as nobody")
	problem(len(cfg.Groups) == 0, "groups: is missing; list the object GUIDs of the groups that may be given")
	problem(!slices.Contains([]string{"", byName, byPrincipal}, cfg.Account), "account: is neither sAMAccountName nor userPrincipalName")
	problem(cfg.Tail < 0, "tail: is negative; leave it out for 10h")
	problem(cfg.Timeout < 0, "timeout: is negative; leave it out for 10s")
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	c.setDefaults()
	return c, nil
}

// parseLists reads the controllers and the groups.
func (c *Connector) parseLists(cfg Config, roots *x509.CertPool) error {
	var problems []error
	for i, text := range cfg.Controllers {
		at, err := parseController(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("controllers[%d]: %w", i, err))
			continue
		}
		at.tls = &tls.Config{RootCAs: roots, ServerName: hostOf(at.address), MinVersion: tls.VersionTLS12}
		c.controllers = append(c.controllers, at)
	}
	for i, text := range cfg.Groups {
		id, err := parseGUID(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("groups[%d]: %w", i, err))
		}
		c.groups = append(c.groups, id)
	}
	return errors.Join(problems...)
}

func (c *Connector) setDefaults() {
	if c.account == "" {
		c.account = byName
	}
	if c.tail == 0 {
		c.tail = defaultTail
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
}

// parseController reads an address. The error quotes nothing: a password may have strayed into it.
func parseController(text string) (controller, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return controller{}, errors.New("is no controller's address; write ldaps://dc1.corp.example.com, or ldap://dc1.corp.example.com for StartTLS")
	}
	c := controller{name: u.Host}
	port := u.Port()
	switch u.Scheme {
	case "ldaps":
		port = orElse(port, "636")
	case "ldap":
		port, c.startTLS = orElse(port, "389"), true
	default:
		return controller{}, errors.New("begins with neither ldaps:// nor ldap://, which is used with StartTLS")
	}
	c.address = net.JoinHostPort(u.Hostname(), port)
	return c, nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address) // it was joined by parseController
	return host
}

// Capabilities says whether the forest ended memberships by itself when a controller was last asked, and how long
// tickets may carry one that was taken away.
func (c *Connector) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{NativeExpiry: c.expiring.Load(), Tail: c.tail}
}

// CheckTarget accepts {group: GUID} with a GUID of the allow-list, and nothing else. There is one way to write it: a
// second would hide that two grants share a membership.
func (c *Connector) CheckTarget(target map[string]any) error {
	id, err := groupID(target)
	if err == nil && !slices.Contains(c.groups, id) {
		err = fmt.Errorf("target.group: %s is not in the connector's groups; add it there if Elevate is to give it", id)
	}
	return err
}

func groupID(target map[string]any) (guid, error) {
	text, err := connectors.OnlyText(target, "group", "0b8a3cd1-5f0e-4c11-9d0b-2f4f5a6b7c8d")
	if err != nil {
		return guid{}, err
	}
	id, err := parseGUID(text)
	if err != nil {
		return guid{}, fmt.Errorf("target.group: %w", err)
	}
	return id, nil
}

// on makes one call at one controller, on a connection that is given up at the end.
func (c *Connector) on(ctx context.Context, at controller, f func(*session) error) error {
	s, err := c.open(ctx, at)
	if err != nil {
		return err
	}
	defer s.close()
	if err := f(s); err != nil {
		if ctx.Err() != nil { // the connection was cut by that
			err = errors.Join(ctx.Err(), err)
		}
		return fmt.Errorf("at %s: %w", at.name, err)
	}
	return nil
}

// onFirst makes one call at the first controller that can be reached.
func (c *Connector) onFirst(ctx context.Context, op string, f func(*session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var unreached []error
	for _, at := range c.controllers {
		err := c.on(ctx, at, f)
		if !errors.Is(err, errUnreached) {
			return failed(op, err)
		}
		unreached = append(unreached, err)
	}
	return failed(op, errors.Join(unreached...))
}
