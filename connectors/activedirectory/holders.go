package activedirectory

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Holders lists who is in the group: its members, those of groups in it, and those who have one of them as their primary
// group. Somebody may be listed as ours and as standing. Members of other domains, and what is no account, are listed by
// their distinguished names.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	const op = "list holders"
	id, err := groupID(role.Target)
	if err != nil {
		return nil, failed(op, refuse(connectors.Invalid, "%w", err))
	}
	var out []connectors.Holder
	err = c.onFirst(ctx, op, func(s *session) error {
		to, err := s.findGroup(id)
		if err != nil {
			return err
		}
		out, err = s.holders(to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *session) holders(to group) ([]connectors.Holder, error) {
	seen := map[connectors.Holder]bool{}
	groups, err := s.search(fmt.Sprintf("(&(objectClass=group)(memberOf:%s:=%s))", inChain, ldap.EscapeFilter(to.dn)), nil, "objectGUID", "objectSid")
	if err != nil {
		return nil, fmt.Errorf("look for groups in the group: %w", err)
	}
	nested := map[guid]bool{}
	all := []group{to}
	for _, entry := range groups {
		if id, ok := readGUID(entry.GetRawAttributeValue("objectGUID")); ok && id != to.id {
			nested[id] = true
			all = append(all, group{id: id, sid: readSID(entry.GetRawAttributeValue("objectSid")), dn: entry.DN})
		}
	}
	for _, g := range all {
		if err := s.holdersOf(g, g.id == to.id, nested, seen); err != nil {
			return nil, err
		}
	}
	out := make([]connectors.Holder, 0, len(seen))
	for h := range seen {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b connectors.Holder) int {
		return slices.Compare([]string{a.Account, fmt.Sprint(a.Ours)}, []string{b.Account, fmt.Sprint(b.Ours)})
	})
	return out, nil
}

// holdersOf adds the members of one group. What is ours in a group within the group belongs to that one's role.
func (s *session) holdersOf(g group, itself bool, nested map[guid]bool, seen map[connectors.Holder]bool) error {
	members, err := s.links(g.id, memberAttr)
	if err != nil {
		return fmt.Errorf("read the members of %s: %w", g.dn, err)
	}
	marks, err := s.links(g.id, markAttr)
	if err != nil {
		return fmt.Errorf("read the marks of %s: %w", g.dn, err)
	}
	names := map[guid]string{}
	of := fmt.Sprintf("(&(sAMAccountType=%s)(|(memberOf=%s)(primaryGroupID=%s)))", ordinaryUser, ldap.EscapeFilter(g.dn), g.sid.rid())
	accounts, err := s.search(of, nil, "objectGUID", s.c.account, "primaryGroupID")
	if err != nil {
		return fmt.Errorf("name the members of %s: %w", g.dn, err)
	}
	for _, entry := range accounts {
		if id, ok := readGUID(entry.GetRawAttributeValue("objectGUID")); ok {
			names[id] = orElse(entry.GetAttributeValue(s.c.account), entry.DN)
		}
		if entry.GetAttributeValue("primaryGroupID") == g.sid.rid() {
			seen[connectors.Holder{Account: orElse(entry.GetAttributeValue(s.c.account), entry.DN)}] = true
		}
	}
	for _, m := range members {
		ours := slices.ContainsFunc(marks, func(l link) bool { return l.id == m.id })
		if nested[m.id] || !itself && ours {
			continue
		}
		h := connectors.Holder{Account: orElse(names[m.id], m.dn), Ours: ours}
		if ours {
			h.Ref = s.ref(g, m.id)
		}
		seen[h] = true
	}
	return nil
}
