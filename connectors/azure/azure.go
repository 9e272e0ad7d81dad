// Package azure gives Azure roles on management groups, subscriptions, resource groups and resources by Privileged
// Identity Management (PIM), as assignments that Azure ends by itself, and takes them away at their end. Azure itself says
// what is ours: the name of the request that made an assignment follows from our own identity and the grant. Nothing is
// kept on this side, and every call sends each request once: what to try again is the runner's business.
package azure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector. Elevate's own application signs in with exactly one of ClientSecret, CertificateFile,
// FederatedTokenFile and ManagedIdentity.
type Config struct {
	// TenantID is the Entra tenant's id. With a managed identity it is not needed.
	TenantID string
	// ClientID is the application's (client) id; with a managed identity that of a user-assigned one, or empty.
	ClientID string
	// ClientSecret is a secret of the application.
	ClientSecret access.Secret
	// CertificateFile is a PEM file with a certificate of the application and its private key.
	CertificateFile string
	// FederatedTokenFile is the file of a token that the application trusts, such as a Kubernetes service account's.
	FederatedTokenFile string
	// ManagedIdentity signs in as the identity of the machine in Azure.
	ManagedIdentity bool

	// Cloud is public, usgovernment or china. Empty: public.
	Cloud string
	// ResourceManagerURL and AuthorityURL lead to another cloud's Azure Resource Manager and sign-in service, by https.
	// Empty: those of Cloud.
	ResourceManagerURL, AuthorityURL string
	// CAFile is a file of PEM certificates that both must come from. Empty: the system's.
	CAFile string

	// RequireEligible gives a role to those alone who are eligible for it in PIM.
	RequireEligible bool
	// Grace is how long after a grant's end Azure ends the access by itself, should nobody have done it. Zero: 2 minutes.
	Grace time.Duration
	// Tail is the longest time for which access may survive its removal in Azure's caches. Zero: 10 minutes.
	Tail time.Duration
	// Timeout bounds each call as a whole, with reading back. Zero: 20 seconds.
	Timeout time.Duration

	// Now tells the time. Nil: time.Now.
	Now func() time.Time
}

const (
	defaultGrace   = 2 * time.Minute
	defaultTail    = 10 * time.Minute // Microsoft: "Troubleshoot Azure RBAC", role assignment changes
	defaultTimeout = 20 * time.Second
	// floor is how long an assignment lasts at least, and how long it cannot be removed after it was made.
	floor = 5 * time.Minute
)

// Connector gives and takes Azure roles in one tenant.
type Connector struct {
	wire      *wire
	tokens    *tokens
	rest      *arm.Client // for what the typed clients do not know
	instances *arm2.RoleAssignmentScheduleInstancesClient
	schedules *arm2.RoleAssignmentSchedulesClient
	requests  *arm2.RoleAssignmentScheduleRequestsClient
	eligible  *arm2.RoleEligibilityScheduleInstancesClient
	roles     *arm2.RoleDefinitionsClient
	permanent *arm2.RoleAssignmentsClient

	requireEligible      bool
	grace, tail, timeout time.Duration
	now                  func() time.Time
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
	_ connectors.RoleChecker   = (*Connector)(nil)
	_ connectors.RoleAdviser   = (*Connector)(nil)
	_ connectors.SurplusLister = (*Connector)(nil)
)

// New makes a connector. It reads the files that the configuration names and asks nobody anything.
func New(cfg Config) (*Connector, error) {
	roots, err := connectors.Roots(cfg.CAFile)
	problems := []error{err}
	place, err := whereabouts(cfg)
	problems = append(problems, err)
	for _, d := range []struct {
		key       string
		value     *time.Duration
		byDefault time.Duration
	}{
		{"grace", &cfg.Grace, defaultGrace}, {"tail", &cfg.Tail, defaultTail}, {"timeout", &cfg.Timeout, defaultTimeout},
	} {
		if *d.value < 0 {
			problems = append(problems, fmt.Errorf("%s: is negative; leave it out for %s", d.key, d.byDefault))
		}
		if *d.value == 0 {
			*d.value = d.byDefault
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Connector{requireEligible: cfg.RequireEligible, grace: cfg.Grace, tail: cfg.Tail, timeout: cfg.Timeout, now: cfg.Now}
	c.wire = &wire{tls: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	options := c.wire.options(place)
	credential, err := signIn(cfg, options.ClientOptions)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	c.tokens = newTokens(credential, place, cfg.Now)
	return c, c.connect(options)
}

// connect makes the clients. It asks nobody anything.
func (c *Connector) connect(options *arm.ClientOptions) error {
	factory, err := arm2.NewClientFactory("", c.tokens, options)
	if err != nil {
		return err
	}
	if c.rest, err = arm.NewClient("elevate", "v1.0.0", c.tokens, options); err != nil {
		return err
	}
	endpoint, err := url.Parse(c.rest.Endpoint())
	if err != nil {
		return err
	}
	c.wire.host = endpoint.Host
	c.instances = factory.NewRoleAssignmentScheduleInstancesClient()
	c.schedules = factory.NewRoleAssignmentSchedulesClient()
	c.requests = factory.NewRoleAssignmentScheduleRequestsClient()
	c.eligible = factory.NewRoleEligibilityScheduleInstancesClient()
	c.roles = factory.NewRoleDefinitionsClient()
	c.permanent = factory.NewRoleAssignmentsClient()
	return nil
}

// Capabilities says that Azure ends access by itself, and that what was opened with a role may outlive it for a while.
func (c *Connector) Capabilities() connectors.Capabilities {
	return connectors.Capabilities{NativeExpiry: true, Tail: c.tail, MinDuration: floor}
}

// session is one call at work.
type session struct {
	*Connector
	me  string // the object id of our own identity
	now time.Time
}

// run makes one call, bounded in time. It signs in first: without knowing who we are we cannot tell what is ours.
func (c *Connector) run(ctx context.Context, op string, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx = c.wire.begin(ctx)
	s := &session{Connector: c, now: c.now().UTC()}
	var err error
	if s.me, err = c.tokens.identity(ctx); err != nil {
		return failed(op, s.told("sign in", err))
	}
	return failed(op, f(ctx, s))
}
