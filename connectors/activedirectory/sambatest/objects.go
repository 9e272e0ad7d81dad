package sambatest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors/connectortest"
)

// Object is something in the directory.
type Object struct {
	DN   string
	GUID string // as Get-ADGroup prints it
	SID  []byte
}

// AddUser makes an account that can log in with Password as NAME@CORP.TEST. The error is the controller's, such as for
// a name that it does not take.
func (s *Server) AddUser(t connectortest.T, name string) (Object, error) {
	t.Helper()
	// The common name is escaped, and cut to its 64 characters; tests give each name once.
	common := []rune(name)
	request := ldap.NewAddRequest("CN="+ldap.EscapeDN(string(common[:min(64, len(common))]))+",CN=Users,"+Base, nil)
	request.Attribute("objectClass", []string{"user"})
	request.Attribute("sAMAccountName", []string{name})
	request.Attribute("userPrincipalName", []string{name + "@" + Realm})
	request.Attribute("unicodePwd", []string{quoted(Password)})
	request.Attribute("userAccountControl", []string{"512"})
	if err := s.admin.Add(request); err != nil {
		return Object{}, err
	}
	return s.Find(t, request.DN), nil
}

// quoted is a password as unicodePwd takes it.
func quoted(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// AddGroup makes a global security group.
func (s *Server) AddGroup(t connectortest.T, name string) Object {
	t.Helper()
	request := ldap.NewAddRequest("CN="+ldap.EscapeDN(name)+",CN=Users,"+Base, nil)
	request.Attribute("objectClass", []string{"group"})
	request.Attribute("sAMAccountName", []string{name})
	if err := s.admin.Add(request); err != nil {
		t.Fatalf("add group %s: %v", name, err)
	}
	return s.Find(t, request.DN)
}

// Find reads an object by its name.
func (s *Server) Find(t connectortest.T, dn string) Object {
	t.Helper()
	entry := s.read(t, dn, nil, "objectGUID", "objectSid")
	b := slices.Clone(entry.GetRawAttributeValue("objectGUID"))
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return Object{DN: entry.DN, GUID: fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), SID: entry.GetRawAttributeValue("objectSid")}
}

func (s *Server) read(t connectortest.T, dn string, controls []ldap.Control, attributes ...string) *ldap.Entry {
	t.Helper()
	result, err := s.admin.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", attributes, controls))
	if err != nil || len(result.Entries) != 1 {
		t.Fatalf("read %s: %v", dn, err)
	}
	return result.Entries[0]
}

// TryChange modifies an object as the administrator.
func (s *Server) TryChange(dn string, change func(*ldap.ModifyRequest)) error {
	request := ldap.NewModifyRequest(dn, nil)
	change(request)
	return s.admin.Modify(request)
}

// Change modifies an object as the administrator, who may.
func (s *Server) Change(t connectortest.T, dn string, change func(*ldap.ModifyRequest)) {
	t.Helper()
	if err := s.TryChange(dn, change); err != nil {
		t.Fatalf("change %s: %v", dn, err)
	}
}

// Move gives an object another name in the place where it is.
func (s *Server) Move(t connectortest.T, dn, name string) {
	t.Helper()
	if err := s.admin.ModifyDN(ldap.NewModifyDNRequest(dn, "CN="+ldap.EscapeDN(name), true, "")); err != nil {
		t.Fatalf("rename %s: %v", dn, err)
	}
}

// Delete removes an object.
func (s *Server) Delete(t connectortest.T, dn string) {
	t.Helper()
	if err := s.admin.Del(ldap.NewDelRequest(dn, nil)); err != nil {
		t.Fatalf("delete %s: %v", dn, err)
	}
}

// Join makes somebody, or a group, a member of a group.
func (s *Server) Join(t connectortest.T, group, member string) {
	t.Helper()
	s.Change(t, group, func(m *ldap.ModifyRequest) { m.Add("member", []string{member}) })
}

// Leave takes a member out of a group.
func (s *Server) Leave(t connectortest.T, group, member string) {
	t.Helper()
	s.Change(t, group, func(m *ldap.ModifyRequest) { m.Delete("member", []string{member}) })
}

// Values reads an attribute.
func (s *Server) Values(t connectortest.T, dn, attribute string) []string {
	t.Helper()
	return s.read(t, dn, nil, attribute).GetAttributeValues(attribute)
}

// Holds tells whether a logon of the account would have the group, by whatever way.
func (s *Server) Holds(t connectortest.T, account string, group Object) bool {
	t.Helper()
	tokens := s.read(t, account, nil, "tokenGroups").GetRawAttributeValues("tokenGroups")
	return slices.ContainsFunc(tokens, func(sid []byte) bool { return slices.Equal(sid, group.SID) })
}

const (
	onlyDACL    = 0x4 // DACL_SECURITY_INFORMATION
	sdFlags     = "1.2.840.113556.1.4.801"
	objectAllow = 0x05 // ACCESS_ALLOWED_OBJECT_ACE_TYPE
	readWrite   = 0x10 | 0x20
)

// Delegate lets an account read and write attributes of an object, as dsacls does with /G ACCOUNT:RPWP;ATTRIBUTE.
func (s *Server) Delegate(t connectortest.T, to Object, object string, attributes ...string) {
	t.Helper()
	// SDFlagsRequestValue ::= SEQUENCE { Flags INTEGER }
	control := ldap.NewControlString(sdFlags, true, string([]byte{0x30, 3, 2, 1, onlyDACL}))
	sd := s.read(t, object, []ldap.Control{control}, "nTSecurityDescriptor").GetRawAttributeValue("nTSecurityDescriptor")
	for _, attribute := range attributes {
		sd = withACE(sd, s.schemaGUID(t, attribute), to.SID)
	}
	request := ldap.NewModifyRequest(object, []ldap.Control{control})
	request.Replace("nTSecurityDescriptor", []string{string(sd)})
	if err := s.admin.Modify(request); err != nil {
		t.Fatalf("delegate %s of %s: %v", strings.Join(attributes, ", "), object, err)
	}
}

func (s *Server) schemaGUID(t connectortest.T, attribute string) []byte {
	t.Helper()
	result, err := s.admin.Search(ldap.NewSearchRequest("CN=Schema,CN=Configuration,"+Base, ldap.ScopeSingleLevel, ldap.NeverDerefAliases, 0, 0, false,
		"(lDAPDisplayName="+ldap.EscapeFilter(attribute)+")", []string{"schemaIDGUID"}, nil))
	if err != nil || len(result.Entries) != 1 {
		t.Fatalf("the schema has no attribute %s: %v", attribute, err)
	}
	return result.Entries[0].GetRawAttributeValue("schemaIDGUID")
}

// withACE puts an entry in front of a security descriptor's list of access, which is its last part where it has no other.
func withACE(sd, attribute, account []byte) []byte {
	at := binary.LittleEndian.Uint32(sd[16:20])
	ace := []byte{objectAllow, 0}
	ace = binary.LittleEndian.AppendUint16(ace, uint16(12+len(attribute)+len(account)))
	ace = binary.LittleEndian.AppendUint32(ace, readWrite)
	ace = binary.LittleEndian.AppendUint32(ace, 1) // ACE_OBJECT_TYPE_PRESENT
	ace = append(append(ace, attribute...), account...)
	acl := slices.Clone(sd[at:])
	acl[0] = 4 // ACL_REVISION_DS: the list has entries for attributes
	binary.LittleEndian.PutUint16(acl[2:], binary.LittleEndian.Uint16(acl[2:])+uint16(len(ace)))
	binary.LittleEndian.PutUint16(acl[4:], binary.LittleEndian.Uint16(acl[4:])+1)
	return slices.Concat(sd[:at], acl[:8], ace, acl[8:])
}
