package sambatest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"elevate/connectors/activedirectory/sambatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServerAndFrontAreWhatTheySay holds what tests of the connector rely on: a real controller, without memberships that
// expire, and an emulation of those before it.
func TestServerAndFrontAreWhatTheySay(t *testing.T) {
	t.Parallel()
	s := sambatest.Start(t)
	ana, err := s.AddUser(t, "ana")
	if err != nil {
		t.Fatal(err)
	}
	admins := s.AddGroup(t, "Server Admins")
	expiring := func(m *ldap.ModifyRequest) { m.Add("member", []string{"<TTL=300," + ana.DN + ">"}) }
	if err := s.TryChange(admins.DN, expiring); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidDNSyntax) {
		t.Errorf("Samba itself takes a membership that expires: %v", err)
	}

	f := s.Front(t)
	f.ExpireMemberships()
	conn, err := ldap.DialURL(f.URL, ldap.DialWithTLSConfig(s.TLSFor("127.0.0.1")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(sambatest.Administrator, sambatest.Password); err != nil {
		t.Fatal(err)
	}
	request := ldap.NewModifyRequest(admins.DN, nil)
	expiring(request)
	if err := conn.Modify(request); err != nil {
		t.Fatalf("the emulation takes no membership that expires: %v", err)
	}
	if !s.Holds(t, ana.DN, admins) {
		t.Error("a membership that expires gives nothing")
	}
	found, err := conn.Search(ldap.NewSearchRequest(admins.DN, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"member"},
		[]ldap.Control{ldap.NewControlString("1.2.840.113556.1.4.2309", false, "")}))
	if err != nil || !slices.ContainsFunc(found.Entries[0].GetAttributeValues("member"), func(v string) bool { return strings.HasPrefix(v, "<TTL=") }) {
		t.Errorf("the emulation does not tell what is left: %v, %v", found, err)
	}
	if err := f.EndIn(admins.DN, ana.DN, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	s.Eventually(t, "the membership ends", func() bool { return !s.Holds(t, ana.DN, admins) })
}
