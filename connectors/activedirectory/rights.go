package activedirectory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Check asks every controller, and lists what the account lacks for any role; CheckRole says what it lacks for one.
func (c *Connector) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var problems []error
	for _, at := range c.controllers {
		if err := c.on(ctx, at, (*session).mayReadTokens); err != nil {
			problems = append(problems, err)
		}
	}
	return failed("check", errors.Join(problems...))
}

// mayReadTokens tries to read tokenGroups of some account that nobody protects.
func (s *session) mayReadTokens() error {
	request := ldap.NewSearchRequest(s.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 1, 0, false,
		fmt.Sprintf("(&(sAMAccountType=%s)(!(adminCount=1))(!(isCriticalSystemObject=TRUE)))", ordinaryUser), []string{"objectGUID"}, nil)
	result, err := s.conn.Search(request)
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
		return fmt.Errorf("look for an account: %w", err)
	}
	if result == nil || len(result.Entries) == 0 {
		return refuse(connectors.Denied, "%s can see no account in %s; give it the rights that Authenticated Users have", s.c.bind, s.base)
	}
	_, err = s.account(result.Entries[0].DN)
	return err
}

// CheckRole proves that the account could give and take the role.
func (c *Connector) CheckRole(ctx context.Context, role access.Role) error {
	const op = "check role"
	id, err := groupID(role.Target)
	if err != nil {
		return failed(op, refuse(connectors.Invalid, "%w", err))
	}
	return c.onFirst(ctx, op, func(s *session) error {
		to, err := s.findGroup(id)
		if err != nil {
			return err
		}
		if !to.security {
			return refuse(connectors.Invalid, "%s is a distribution group, which gives no access", to.dn)
		}
		may, _, err := s.effective(to)
		if err != nil {
			return err
		}
		lacks := slices.DeleteFunc([]string{memberAttr, markAttr}, func(a string) bool { return may[strings.ToLower(a)] })
		if len(lacks) == 0 {
			return nil
		}
		return refuse(connectors.Denied, "%s may not write %s of %s; %s", s.c.bind, strings.Join(lacks, " and "), to.dn, s.rightHint(to, lacks))
	})
}

// rightHint says how to give missing rights.
func (s *session) rightHint(to group, lacks []string) string {
	hint := fmt.Sprintf(`as a domain administrator, run: dsacls "%s" /G`, to.dn)
	for _, attribute := range lacks {
		hint += fmt.Sprintf(` "%s:RPWP;%s"`, s.c.bind, attribute)
	}
	if to.protected {
		hint += "; the group is protected, so the directory takes such rights away again within the hour: see the connector's page on groups that deserve care"
	}
	return hint
}

// effective is what the account may write of a group, in small letters, and which of the group's own security it may change.
func (s *session) effective(to group) (may map[string]bool, security int, err error) {
	entry, err := s.read(to.id.dn(), "allowedAttributesEffective", "sDRightsEffective")
	if err != nil {
		return nil, 0, fmt.Errorf("ask what %s may: %w", s.c.bind, err)
	}
	may = map[string]bool{}
	for _, a := range entry.GetAttributeValues("allowedAttributesEffective") {
		may[strings.ToLower(a)] = true
	}
	security, _ = strconv.Atoi(entry.GetAttributeValue("sDRightsEffective")) // absent: none
	return may, security, nil
}

// mighty are groups by which one can take the domain over, by the last part of their identifier or as a whole.
func mighty() map[sid]string {
	return map[sid]string{
		"S-1-5-32-544": "Administrators", "S-1-5-32-548": "Account Operators", "S-1-5-32-549": "Server Operators",
		"S-1-5-32-550": "Print Operators", "S-1-5-32-551": "Backup Operators",
		"512": "Domain Admins", "516": "Domain Controllers", "518": "Schema Admins", "519": "Enterprise Admins",
		"520": "Group Policy Creator Owners", "526": "Key Admins", "527": "Enterprise Key Admins",
	}
}

// Surplus lists what the account has and does not need: membership of groups that rule the domain, more than it needs on the
// groups that it gives, and any right to fill protected groups that it does not give.
func (c *Connector) Surplus(ctx context.Context) ([]string, error) {
	var out []string
	err := c.onFirst(ctx, "look for surplus rights", func(s *session) error {
		out = s.surplusMemberships()
		for _, id := range c.groups {
			more, err := s.surplusOn(id)
			if err != nil {
				return err
			}
			out = append(out, more...)
		}
		more, err := s.surplusElsewhere()
		out = append(out, more...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *session) surplusMemberships() []string {
	var out []string
	names := mighty()
	for _, token := range s.own {
		name, ok := names[token]
		if !ok && strings.HasPrefix(string(token), "S-1-5-21-") {
			name, ok = names[sid(token.rid())]
		}
		if ok {
			out = append(out, fmt.Sprintf(`%s is in %s; take it out: Remove-ADGroupMember "%s" (Get-ADUser …)`, s.c.bind, name, name))
		}
	}
	return out
}

func (s *session) surplusOn(id guid) ([]string, error) {
	to, err := s.findGroup(id)
	if isNotFound(err) {
		return []string{fmt.Sprintf("groups lists %s, which is no group in the domain; take it out", id)}, nil
	}
	if err != nil {
		return nil, err
	}
	may, security, err := s.effective(to)
	if err != nil {
		return nil, err
	}
	delete(may, strings.ToLower(memberAttr))
	delete(may, strings.ToLower(markAttr))
	var out []string
	if len(may) > 0 {
		out = append(out, fmt.Sprintf("%s may write %d more attributes of %s than member and %s; look who gives it that: dsacls \"%s\"", s.c.bind, len(may), to.dn, markAttr, to.dn))
	}
	if security != 0 {
		out = append(out, fmt.Sprintf("%s may change owner or permissions of %s; look who gives it that: dsacls \"%s\"", s.c.bind, to.dn, to.dn))
	}
	return out, nil
}

// surplusElsewhere looks at the groups that the directory itself protects.
func (s *session) surplusElsewhere() ([]string, error) {
	entries, err := s.search("(&(objectClass=group)(adminCount=1))", nil, "objectGUID")
	if err != nil {
		return nil, fmt.Errorf("look at protected groups: %w", err)
	}
	var out []string
	for _, entry := range entries {
		id, ok := readGUID(entry.GetRawAttributeValue("objectGUID"))
		if !ok || slices.Contains(s.c.groups, id) {
			continue
		}
		may, _, err := s.effective(group{id: id})
		if err != nil {
			return nil, err
		}
		if may[strings.ToLower(memberAttr)] {
			out = append(out, fmt.Sprintf("%s may write member of %s, which is not in groups; look who gives it that: dsacls \"%s\"", s.c.bind, entry.DN, entry.DN))
		}
	}
	return out, nil
}

// Advice says where the forest does not end memberships by itself, where changes are not told of, and which groups deserve
// care.
func (c *Connector) Advice(ctx context.Context) ([]string, error) {
	var out []string
	err := c.onFirst(ctx, "look at the domain", func(s *session) error {
		out = nil
		if !s.expiring {
			out = append(out, "the forest has no Privileged Access Management Feature, so that memberships end by Elevate's own timers alone; the connector's page says how to enable it")
		}
		switch {
		case !s.tells:
			out = append(out, fmt.Sprintf("%s does not tell of changes (control %s), so that what others change in groups is found by the sweep alone, at its next turn", s.at.name, notification))
		case len(c.groups) > watchedAtMost:
			out = append(out, fmt.Sprintf("groups lists %d, and changes are listened to in those of %d roles at most; what others change in the rest is found by the sweep alone, at its next turn", len(c.groups), watchedAtMost))
		}
		for _, id := range c.groups {
			to, err := s.findGroup(id)
			if err == nil && to.protected {
				out = append(out, fmt.Sprintf("%s is a protected group: AdminSDHolder takes Elevate's rights on it away again within the hour; the connector's page says what to give instead", to.dn))
			}
			if err != nil && !isNotFound(err) { // Surplus tells of those
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
