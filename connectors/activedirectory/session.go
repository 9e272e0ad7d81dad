package activedirectory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
)

// What a controller can do, by object identifier.
const (
	extendedDN   = "1.2.840.113556.1.4.529"  // LDAP_SERVER_EXTENDED_DN_OID: <GUID=…>;<SID=…>;CN=…
	linkTTL      = "1.2.840.113556.1.4.2309" // LDAP_SERVER_LINK_TTL_OID: <TTL=…,CN=…>
	notification = "1.2.840.113556.1.4.528"  // LDAP_SERVER_NOTIFICATION_OID
	inChain      = "1.2.840.113556.1.4.1941" // LDAP_MATCHING_RULE_IN_CHAIN
	isReadOnly   = "1.2.840.113556.1.4.1920" // LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID
	pamFeature   = "CN=Privileged Access Management Feature,"
	everyObject  = "(objectClass=*)"
)

// session is the connection of one call to one controller.
type session struct {
	c       *Connector
	at      controller
	conn    *ldap.Conn
	release func() bool // stops watching the context

	base     string // the domain's distinguished name
	domain   guid
	own      []sid // what the connector's account is and is a member of
	host     string
	tells    bool // the controller tells of changes
	expiring bool // the forest ends memberships by itself
}

// open connects, encrypts, says who we are, and looks where we are.
func (c *Connector) open(ctx context.Context, at controller) (*session, error) {
	conn, release, err := c.dial(ctx, at)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, fmt.Errorf("%s %w: %w", at.name, errUnreached, err)
	}
	s := &session{c: c, at: at, conn: conn, release: release}
	if err := s.begin(); err != nil {
		s.close()
		if ldap.IsErrorWithCode(err, ldap.ErrorNetwork) {
			err = fmt.Errorf("%w: %w", errUnreached, errors.Join(ctx.Err(), err))
		}
		return nil, fmt.Errorf("%s: %w", at.name, err)
	}
	c.expiring.Store(s.expiring)
	return s, nil
}

// dial connects and encrypts within this controller's share of the time. The connection is cut when ctx ends.
func (c *Connector) dial(ctx context.Context, at controller) (*ldap.Conn, func() bool, error) {
	shaking, cancel := context.WithTimeout(ctx, c.timeout/time.Duration(len(c.controllers)))
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(shaking, "tcp", at.address)
	if err != nil {
		return nil, nil, err
	}
	cut := func() { _ = raw.Close() } // whoever waits on it learns of that
	release := context.AfterFunc(ctx, cut)
	defer context.AfterFunc(shaking, cut)()
	if at.startTLS {
		conn := ldap.NewConn(raw, false)
		conn.Start()
		if err := conn.StartTLS(at.tls); err != nil {
			release()
			return nil, nil, errors.Join(err, conn.Close())
		}
		return conn, release, nil
	}
	encrypted := tls.Client(raw, at.tls)
	if err := encrypted.HandshakeContext(shaking); err != nil {
		release()
		cut()
		return nil, nil, err
	}
	conn := ldap.NewConn(encrypted, true)
	conn.Start()
	return conn, release, nil
}

// close ends the connection.
func (s *session) close() {
	s.release()
	_ = s.conn.Close() // there is nothing to be done where that fails
}

// begin binds, and reads what the controller says of itself.
func (s *session) begin() error {
	if err := s.conn.Bind(s.c.bind, s.c.password.Reveal()); err != nil {
		return fmt.Errorf("log in as %s: %w", s.c.bind, err)
	}
	root, err := s.read("", "defaultNamingContext", "configurationNamingContext", "supportedControl", "supportedCapabilities", "dnsHostName", "tokenGroups")
	if err != nil {
		return fmt.Errorf("ask what the controller is: %w", err)
	}
	s.base, s.host = root.GetAttributeValue("defaultNamingContext"), root.GetAttributeValue("dnsHostName")
	if slices.Contains(root.GetAttributeValues("supportedCapabilities"), isReadOnly) {
		return refuse(connectors.Denied, "it is a read-only controller; name one that can be written to in controllers")
	}
	for _, raw := range root.GetRawAttributeValues("tokenGroups") {
		s.own = append(s.own, readSID(raw))
	}
	head, err := s.read(s.base, "objectGUID")
	if err != nil {
		return fmt.Errorf("ask for the domain: %w", err)
	}
	var ok bool
	if s.domain, ok = readGUID(head.GetRawAttributeValue("objectGUID")); !ok {
		return refuse(connectors.Denied, "%s may not read the domain; give it the rights that Authenticated Users have", s.c.bind)
	}
	controls := root.GetAttributeValues("supportedControl")
	s.tells = slices.Contains(controls, notification)
	if !slices.Contains(controls, linkTTL) {
		return nil // the server is too old for the feature
	}
	partitions, err := s.read("CN=Partitions,"+root.GetAttributeValue("configurationNamingContext"), "msDS-EnabledFeature")
	if err != nil {
		return fmt.Errorf("ask for the forest's features: %w", err)
	}
	s.expiring = slices.ContainsFunc(partitions.GetAttributeValues("msDS-EnabledFeature"), func(dn string) bool {
		return len(dn) >= len(pamFeature) && strings.EqualFold(dn[:len(pamFeature)], pamFeature)
	})
	return nil
}

// read gives attributes of one object.
func (s *session) read(dn string, attributes ...string) (*ldap.Entry, error) {
	return s.readWith(dn, nil, attributes...)
}

func (s *session) readWith(dn string, controls []ldap.Control, attributes ...string) (*ldap.Entry, error) {
	result, err := s.conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, everyObject, attributes, controls))
	if err != nil {
		return nil, err
	}
	if len(result.Entries) != 1 {
		return nil, ldap.NewError(ldap.LDAPResultNoSuchObject, fmt.Errorf("%d objects where there should be one", len(result.Entries)))
	}
	return result.Entries[0], nil
}

// page is how many objects a controller is asked for at once. Active Directory gives 1,000 at most.
const page = 500

// search finds objects of the domain, page by page.
func (s *session) search(filter string, controls []ldap.Control, attributes ...string) ([]*ldap.Entry, error) {
	paging := ldap.NewControlPaging(page)
	request := ldap.NewSearchRequest(s.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, attributes,
		append([]ldap.Control{paging}, controls...))
	var found []*ldap.Entry
	for {
		result, err := s.conn.Search(request)
		if err != nil {
			return nil, err
		}
		found = append(found, result.Entries...)
		next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(next.Cookie) == 0 {
			return found, nil
		}
		paging.SetCookie(next.Cookie)
	}
}
