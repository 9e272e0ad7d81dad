// Package entra gives directory roles, memberships and ownerships of groups in Microsoft Entra ID, and takes them away
// again. Roles and PIM's groups are given as time-bound active assignments, which Entra ends by itself a little after
// Elevate's own end. What is ours is written down at Entra: in the justification of the request that made an assignment,
// or, for groups outside PIM, as a membership of a second group. It is the one package that uses Microsoft's Graph SDK,
// and it takes models and addresses from it and nothing else: client.go says why.
package entra

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector.
type Config struct {
	// TenantID is the directory's id, a GUID.
	TenantID string
	// ClientID is the application's id, or the user-assigned managed identity's: a GUID. It is also the mark by which
	// Elevate knows its own assignments, so each installation has an application of its own.
	ClientID string
	// Credential is how the application proves itself: secret, certificate, workload (a token that Kubernetes or
	// another provider puts into AZURE_FEDERATED_TOKEN_FILE) or managed (an identity that Azure gives the machine).
	// Empty: secret or certificate, whichever is given.
	Credential string
	// ClientSecret is a client secret of the application.
	ClientSecret access.Secret
	// CertificateFile is a PEM file with the application's certificate and its private key.
	CertificateFile string

	// Gives is what the roles of this connector are: roles (directory roles), groups (memberships and ownerships by
	// PIM for Groups) or plain_groups (memberships outside PIM, which Entra does not end by itself). Empty: roles.
	Gives string
	// RequireEligible gives a role to people alone whom PIM lists as eligible for it. Not for plain_groups.
	RequireEligible bool
	// RevokeSessions ends all sign-ins of the person when a role was taken away, in every application.
	RevokeSessions bool
	// Grace is how long after Elevate's own end Entra ends an assignment by itself. Zero: 2 minutes.
	Grace time.Duration
	// Tail is how long access may survive its removal in tokens that were issued before. Zero: 90 minutes, the longest
	// that Microsoft gives them by default.
	Tail time.Duration

	// Cloud is Microsoft's cloud: public, usgov, usgov-dod or china. Empty: public.
	Cloud string
	// GraphURL and LoginURL are others in the place of the cloud's own: for proxies and tests.
	GraphURL string
	LoginURL string
	// CAFile is a file of PEM certificates that the servers' must come from. Empty: the system's.
	CAFile string
	// Timeout bounds each call as a whole. Zero: 25 seconds.
	Timeout time.Duration

	// Now tells the time. Nil: time.Now.
	Now func() time.Time
}

const (
	defaultTimeout = 25 * time.Second
	defaultGrace   = 2 * time.Minute
	defaultTail    = 90 * time.Minute
	// shortest is how long an assignment lasts at least, and how old it is at least when it is taken away. Entra refuses
	// anything else.
	shortest = 5 * time.Minute
	// longestGrace keeps a mistyped grace from making a dead man's switch of no use.
	longestGrace = time.Hour
)

// What a connector gives.
const (
	givesRoles  = "roles"
	givesGroups = "groups"
	givesPlain  = "plain_groups"
)

// Connector gives and takes roles in one tenant.
type Connector struct {
	cfg    Config
	cloud  cloud
	roots  *x509.CertPool
	tokens tokens
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
	_ connectors.RoleChecker   = (*Connector)(nil)
	_ connectors.RoleAdviser   = (*Connector)(nil)
	_ connectors.SurplusLister = (*Connector)(nil)
	_ connectors.Adviser       = (*Connector)(nil)
)

// New makes a connector. It reads the configuration and the files it names, and asks nobody anything.
func New(cfg Config) (*Connector, error) {
	problems := cfg.complete()
	where, err := findCloud(cfg)
	problems = append(problems, err)
	roots, err := connectors.Roots(cfg.CAFile)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	c := &Connector{cfg: cfg, cloud: where, roots: roots}
	if c.tokens, err = newTokens(cfg, where, roots); err != nil {
		return nil, err
	}
	return c, nil
}

// guid is the one spelling of an object's id that is accepted: two spellings of one right would hide that they are one.
var guid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// complete fills in defaults and lists everything that is wrong.
func (cfg *Config) complete() []error {
	var problems []error
	for _, id := range []struct{ key, value, what string }{
		{"tenant_id", cfg.TenantID, "the directory (tenant) ID"}, {"client_id", cfg.ClientID, "the application (client) ID"},
	} {
		if !guid.MatchString(id.value) {
			problems = append(problems, fmt.Errorf("%s: must be %s, such as 0f6e2d4c-8a1b-4c3d-9e5f-a1b2c3d4e5f6, in small letters", id.key, id.what))
		}
	}
	for _, d := range []struct {
		key       string
		value     *time.Duration
		byDefault time.Duration
	}{{"timeout", &cfg.Timeout, defaultTimeout}, {"grace", &cfg.Grace, defaultGrace}, {"tail", &cfg.Tail, defaultTail}} {
		if *d.value < 0 {
			problems = append(problems, fmt.Errorf("%s: is negative; leave it out for %v", d.key, d.byDefault))
		}
		if *d.value == 0 {
			*d.value = d.byDefault
		}
	}
	if cfg.Grace > longestGrace {
		problems = append(problems, fmt.Errorf("grace: is longer than %v: by so much could access outlive its end if Elevate were not running", longestGrace))
	}
	switch cfg.Gives {
	case "":
		cfg.Gives = givesRoles
	case givesRoles, givesGroups:
	case givesPlain:
		if cfg.RequireEligible {
			problems = append(problems, errors.New("require_eligible: PIM knows nothing of plain groups; leave it out, or give groups"))
		}
	default:
		problems = append(problems, errors.New("gives: write roles, groups or plain_groups"))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return append(problems, cfg.checkCredential())
}

// checkCredential settles which way the application proves itself.
func (cfg *Config) checkCredential() error {
	secret, certificate := !cfg.ClientSecret.IsZero(), cfg.CertificateFile != ""
	switch {
	case secret && certificate:
		return errors.New("client_secret: there is a certificate_file, too; give one of them")
	case cfg.Credential == "" && secret:
		cfg.Credential = "secret"
	case cfg.Credential == "" && certificate:
		cfg.Credential = "certificate"
	case cfg.Credential == "":
		return errors.New("client_secret: is missing; give it, or certificate_file, or credential: workload or managed")
	}
	switch cfg.Credential {
	case "secret":
		if !secret {
			return errors.New("client_secret: is missing, and credential says secret")
		}
	case "certificate":
		if !certificate {
			return errors.New("certificate_file: is missing, and credential says certificate")
		}
	case "workload", "managed":
		if secret || certificate {
			return fmt.Errorf("credential: says %s, so leave client_secret and certificate_file out", cfg.Credential)
		}
	default:
		return errors.New("credential: write secret, certificate, workload or managed, or leave it out")
	}
	return nil
}

// Capabilities says what Entra does by itself. Plain groups have neither an end nor a shortest time.
func (c *Connector) Capabilities() connectors.Capabilities {
	caps := connectors.Capabilities{EndsSessions: c.cfg.RevokeSessions, Tail: c.cfg.Tail}
	if c.cfg.Gives != givesPlain {
		caps.NativeExpiry, caps.MinDuration = true, shortest
	}
	return caps
}

// Activate gives the person the role.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	var receipt access.Receipt
	err := c.run(ctx, "give the role", func(ctx context.Context, s *session) error {
		right, principal, err := c.find(g)
		if err != nil {
			return err
		}
		if err := s.person(ctx, principal); err != nil {
			return err
		}
		if c.cfg.Gives == givesPlain {
			receipt, err = s.join(ctx, right, principal)
			return err
		}
		receipt, err = c.assign(ctx, s, right, principal, g)
		return err
	})
	if err != nil {
		return access.Receipt{}, err
	}
	return receipt, nil
}

// Deactivate takes away what is ours, and reads back.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	removal := access.Removal{Was: access.Absent}
	err := c.run(ctx, "take the role away", func(ctx context.Context, s *session) error {
		right, principal, err := c.find(g)
		if err != nil {
			return err
		}
		var e ending
		if c.cfg.Gives == givesPlain {
			e, err = s.leave(ctx, right, principal, r)
		} else {
			e, err = c.remove(ctx, s, right, principal, g, r)
		}
		if err != nil {
			return err
		}
		removal.Was = e.was()
		if e.was() == access.Removed {
			removal.Tail = c.cfg.Tail
		}
		if c.cfg.RevokeSessions && e.given && !e.stays && !e.shared {
			removal.SessionsEnded, err = s.signOut(ctx, principal)
		}
		return err
	})
	if err != nil {
		return access.Removal{}, err
	}
	return removal, nil
}

// given tells whether a receipt says that the role was given by us.
func given(r access.Receipt) bool { return r.Ref != "" && !r.Already }

// ending is what a deactivation found.
type ending struct {
	given   bool // by us, once, for all that is known
	removed bool // it was there, and is gone
	stays   bool // the person holds the role by something that is none of ours
	shared  bool // the person holds the role by what another grant gave at a wider scope
}

func (e ending) was() access.Was {
	switch {
	case e.stays:
		return access.Standing
	case e.shared:
		return access.Shared
	case e.removed:
		return access.Removed
	}
	return access.Absent
}

// find reads what a grant names.
func (c *Connector) find(g access.Grant) (right, string, error) {
	account, err := connectors.Account(g)
	if err != nil {
		return right{}, "", refuse(connectors.KindOf(err), "%v", errors.Unwrap(err))
	}
	if !guid.MatchString(account) {
		return right{}, "", refuse(connectors.Invalid, "%q is no object ID; write the one that Entra shows on the user's page, in small letters, as accounts.%s of %s in the directory",
			account, g.Role.Connector, g.Person.ID)
	}
	r, err := c.target(g.Role.Target)
	if err != nil {
		return right{}, "", refuse(connectors.Invalid, "%v", err)
	}
	return r, account, nil
}
