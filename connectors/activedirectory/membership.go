package activedirectory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/workflows/access"
)

// group is what is given.
type group struct {
	id        guid
	sid       sid
	dn        string
	security  bool // a distribution group gives no access
	protected bool // AdminSDHolder resets who may change it
}

// account is a person's account.
type account struct {
	id      guid
	dn      string
	primary sid // its primary group, which has it as a member without listing it; empty: we may not see the account
	tokens  []sid
}

const (
	securityEnabled = 0x80000000  // groupType: GROUP_TYPE_SECURITY_ENABLED
	disabled        = 0x2         // userAccountControl: ADS_UF_ACCOUNTDISABLE
	ordinaryUser    = "805306368" // sAMAccountType: SAM_USER_OBJECT
)

func (s *session) findGroup(id guid) (group, error) {
	entry, err := s.read(id.dn(), "objectClass", "objectSid", "groupType", "adminCount", "distinguishedName")
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return group{}, refuse(connectors.NotFound, "there is no group %s in the domain, or %s may not see it; correct target.group", id, s.c.bind)
	}
	if err != nil {
		return group{}, fmt.Errorf("look for the group: %w", err)
	}
	g := group{id: id, sid: readSID(entry.GetRawAttributeValue("objectSid")), dn: entry.DN, protected: entry.GetAttributeValue("adminCount") == "1"}
	if g.sid == "" || !slices.Contains(entry.GetAttributeValues("objectClass"), "group") {
		return group{}, refuse(connectors.NotFound, "%s is no group, or %s may not read it; correct target.group", id, s.c.bind)
	}
	kind, err := strconv.ParseInt(entry.GetAttributeValue("groupType"), 10, 64)
	g.security = err == nil && uint32(kind)&securityEnabled != 0
	return g, nil
}

// findAccount looks a person's account up by the name that the directory of Elevate has for it.
func (s *session) findAccount(g access.Grant) (account, error) {
	name, err := connectors.Account(g)
	if err != nil {
		return account{}, refuse(connectors.KindOf(err), "%w", errors.Unwrap(err))
	}
	if len([]rune(name)) > longestName {
		return account{}, refuse(connectors.NotFound, "%q is longer than any account's name", name)
	}
	found, err := s.search(fmt.Sprintf("(&(sAMAccountType=%s)(%s=%s))", ordinaryUser, s.c.account, ldap.EscapeFilter(name)), nil, s.c.account, "userAccountControl")
	if err != nil {
		return account{}, fmt.Errorf("look for the account: %w", err)
	}
	where := fmt.Sprintf("correct accounts.%s of %s in the directory", g.Role.Connector, g.Person.ID)
	if len(found) == 0 {
		return account{}, refuse(connectors.NotFound, "there is no account with %s %q in the domain; create it, or %s", s.c.account, name, where)
	}
	if len(found) > 1 {
		return account{}, refuse(connectors.Invalid, "%d accounts have %s %q; make it one account's alone", len(found), s.c.account, name)
	}
	// The server takes names for equal that differ in case or accents; Elevate compares them letter by letter.
	if is := found[0].GetAttributeValue(s.c.account); is != name {
		return account{}, refuse(connectors.Invalid, "the account's %s is %q; %s", s.c.account, is, where)
	}
	control, err := strconv.Atoi(found[0].GetAttributeValue("userAccountControl"))
	if err != nil {
		return account{}, refuse(connectors.Denied, "%s may not read userAccountControl of %q, and so not whether it is disabled; give it the rights that Authenticated Users have", s.c.bind, name)
	}
	if control&disabled != 0 {
		return account{}, refuse(connectors.Invalid, "the account %q is disabled", name)
	}
	return s.account(found[0].DN)
}

// account reads what an account is and what it is a member of. tokenGroups is what a logon would get: every security group
// it is in by any way, through other groups, through other domains of the forest, as its primary group.
func (s *session) account(dn string) (account, error) {
	entry, err := s.read(dn, "objectGUID", "objectSid", "primaryGroupID", "tokenGroups")
	if err != nil {
		return account{}, fmt.Errorf("read the account: %w", err)
	}
	id, ok := readGUID(entry.GetRawAttributeValue("objectGUID"))
	if !ok || len(entry.GetRawAttributeValues("tokenGroups")) == 0 {
		return account{}, refuse(connectors.Denied, "%s may not read tokenGroups of %s, and so not whether it is in the group by other ways; as a domain administrator, run: %s", s.c.bind, entry.DN, s.tokenHint())
	}
	a := account{id: id, dn: entry.DN}
	a.primary = readSID(entry.GetRawAttributeValue("objectSid")).inDomain(entry.GetAttributeValue("primaryGroupID"))
	if a.primary == "" {
		return account{}, refuse(connectors.Denied, "%s may not read primaryGroupID of %s; give it the rights that Authenticated Users have", s.c.bind, entry.DN)
	}
	for _, raw := range entry.GetRawAttributeValues("tokenGroups") {
		a.tokens = append(a.tokens, readSID(raw))
	}
	return a, nil
}

func (s *session) tokenHint() string {
	return fmt.Sprintf(`dsacls "%s" /I:S /G "%s:RP;tokenGroups;user"`, s.base, s.c.bind)
}

// held is how an account is in a group now.
type held struct {
	Member   bool  // listed as one
	Marked   bool  // with our mark
	Left     int64 // seconds that the membership has left; negative: it has no end
	Standing bool  // in it by something that is none of ours
	Through  bool  // through another group that it is in by one of ours
}

// ours tells whether the account is in the group by our grant.
func (h held) ours() bool { return h.Member && h.Marked }

// look reads how the account is in the group. Its tokens must have been read after whatever was changed.
func (s *session) look(g group, a account) (held, error) {
	h, err := s.lookAt(g, a.id)
	if err != nil {
		return h, err
	}
	h.Standing = h.Standing || a.primary == g.sid
	nested, err := s.search(fmt.Sprintf("(&(objectClass=group)(memberOf:%s:=%s)(|(member=%s)(objectSid=%s)))",
		inChain, ldap.EscapeFilter(g.dn), ldap.EscapeFilter(a.dn), a.primary), nil, "objectGUID", "objectSid")
	if err != nil {
		return h, fmt.Errorf("look for memberships through other groups: %w", err)
	}
	for _, entry := range nested {
		id, ok := readGUID(entry.GetRawAttributeValue("objectGUID"))
		if !ok {
			continue // tokens will tell
		}
		other, err := s.lookAt(group{id: id, dn: entry.DN}, a.id)
		if err != nil {
			return h, err
		}
		byPrimary := a.primary != "" && readSID(entry.GetRawAttributeValue("objectSid")) == a.primary
		ours := other.ours() && slices.Contains(s.c.groups, id)
		h.Standing = h.Standing || byPrimary || !ours
		h.Through = h.Through || ours
	}
	if slices.Contains(a.tokens, g.sid) && !h.Member && !h.Through {
		h.Standing = true // by a way that this domain does not show
	}
	return h, nil
}

// lookAt reads what a group itself says of an account.
func (s *session) lookAt(g group, a guid) (held, error) {
	h := held{Left: -1}
	is := func(l link) bool { return l.id == a }
	members, err := s.links(g.id, memberAttr)
	if err != nil {
		return h, fmt.Errorf("read the members: %w", err)
	}
	if h.Member = slices.ContainsFunc(members, is); h.Member && s.expiring {
		left, err := s.ttls(g.id)
		if err != nil {
			return h, fmt.Errorf("read when memberships end: %w", err)
		}
		dn := members[slices.IndexFunc(members, is)].dn
		if seconds, ok := left[strings.ToLower(dn)]; ok {
			h.Left = seconds
		}
	}
	marks, err := s.links(g.id, markAttr)
	if err != nil {
		return h, fmt.Errorf("read the marks: %w", err)
	}
	h.Marked = slices.ContainsFunc(marks, is)
	h.Standing = h.Member && !h.Marked
	return h, nil
}

// refs are what a receipt keeps: what was given stays findable when somebody renames the account or the group.
type refs struct {
	domain, group, account guid
	groupSID               sid
}

func (s *session) ref(g group, account guid) string {
	return refs{domain: s.domain, group: g.id, account: account, groupSID: g.sid}.String()
}

func (r refs) String() string {
	return fmt.Sprintf("%s/%s/%s/%s", r.domain, r.group, r.account, r.groupSID)
}

func parseRef(text string) (refs, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return refs{}, false
	}
	var r refs
	var errs [3]error
	r.domain, errs[0] = parseGUID(parts[0])
	r.group, errs[1] = parseGUID(parts[1])
	r.account, errs[2] = parseGUID(parts[2])
	r.groupSID = sid(parts[3])
	return r, errors.Join(errs[:]...) == nil
}
