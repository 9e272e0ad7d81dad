package activedirectory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/workflows/access"
)

// ending is a deactivation on its way.
type ending struct {
	was       access.Was
	tail      time.Duration // of what was found and taken away
	unreached []error
}

// Deactivate takes our membership away at every controller, and reads back. One that cannot be reached may have it
// without the others knowing: nothing is called gone then, unless the membership was found and taken away at another, by
// which the change wins, or its own end has passed.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	const op = "take the membership away"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	e := ending{was: access.Absent}
	for _, at := range c.controllers {
		err := c.on(ctx, at, func(s *session) error { return s.take(g, r, &e) })
		switch {
		case errors.Is(err, errUnreached):
			e.unreached = append(e.unreached, err)
		case err != nil:
			return access.Removal{}, failed(op, err)
		}
	}
	over := !r.NativeEnd.IsZero() && c.now().After(r.NativeEnd)
	certain := e.was == access.Removed || r.Already || over
	if len(e.unreached) == len(c.controllers) || len(e.unreached) > 0 && !certain {
		return access.Removal{}, failed(op, errors.Join(e.unreached...))
	}
	return access.Removal{Was: e.was, Tail: c.tailOf(e, r)}, nil
}

// tailOf is how long tickets may carry what is gone.
func (c *Connector) tailOf(e ending, r access.Receipt) time.Duration {
	switch {
	case e.was == access.Removed:
		return e.tail
	case e.was != access.Absent || r.Ref == "" || r.Already:
		return 0
	case !r.NativeEnd.IsZero():
		return max(0, min(c.tail, r.NativeEnd.Sub(c.now())))
	}
	return c.tail
}

// tailAfter is how long they may carry a membership that had so many seconds left: no longer, since a controller gives out
// no ticket that lasts longer. Negative: it had no end.
func (c *Connector) tailAfter(left int64) time.Duration {
	if left < 0 {
		return c.tail
	}
	return min(c.tail, time.Duration(left)*time.Second)
}

// take takes our membership and our mark away at one controller, in one operation, and reads back.
func (s *session) take(g access.Grant, r access.Receipt, e *ending) error {
	to, a, gone, err := s.findAgain(g, r)
	if err != nil || gone {
		return err
	}
	before, err := s.lookAt(to, a.id)
	if err != nil {
		return err
	}
	now := before
	var refused error
	for range 2 { // somebody else may take one of the two away between our look and our change, which then fails as a whole
		if !now.Marked {
			break
		}
		if refused = s.conn.Modify(taking(to, a, now)); refused != nil && !settledBefore(refused) {
			return fmt.Errorf("remove from %s: %w", to.dn, refused)
		}
		if now, err = s.lookAt(to, a.id); err != nil {
			return fmt.Errorf("read back: %w", err)
		}
	}
	if now.Marked {
		return refuse(connectors.Unavailable, "%s still has %s by Elevate's grant after it was removed%s", to.dn, a.dn, said(refused))
	}
	return s.conclude(to, a, before, now, e)
}

// taking makes the change.
func taking(to group, a account, h held) *ldap.ModifyRequest {
	change := ldap.NewModifyRequest(to.dn, nil)
	if h.Member {
		change.Delete(memberAttr, []string{a.dn})
	}
	change.Delete(markAttr, []string{a.dn})
	return change
}

// conclude says what was found. What a controller says weighs more the more of the access it still has.
func (s *session) conclude(to group, a account, before, after held, e *ending) error {
	if a.primary != "" { // the account itself can be read, and with it what its next logon would get
		fresh, err := s.account(a.dn)
		if err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		if after, err = s.look(to, fresh); err != nil {
			return fmt.Errorf("read back: %w", err)
		}
	}
	if before.ours() {
		e.tail = max(e.tail, s.c.tailAfter(before.Left))
	}
	switch {
	case after.Standing:
		e.was = access.Standing
	case e.was == access.Standing:
	case after.Through:
		e.was = access.Shared
	case e.was == access.Absent && before.ours():
		e.was = access.Removed
	}
	return nil
}

// findAgain looks both sides up by the receipt, and by the grant where there is none. gone: there is nobody, or nothing,
// to take anything from.
func (s *session) findAgain(g access.Grant, r access.Receipt) (to group, a account, gone bool, err error) {
	ref, known := parseRef(r.Ref)
	if known && ref.domain != s.domain && !r.Already {
		return to, a, false, refuse(connectors.Unavailable, "the membership was given in another domain than controllers lead to now; let them lead to that one until it is taken away")
	}
	if !known {
		if ref.group, err = groupID(g.Role.Target); err != nil {
			return to, a, true, nil // such a target was never given
		}
	}
	to, err = s.findGroup(ref.group)
	if isNotFound(err) {
		return to, a, true, s.reallyGone(ref, known)
	}
	if err != nil {
		return to, a, false, err
	}
	if !known {
		a, err = s.findAccountAgain(g)
	} else {
		a, err = s.account(ref.account.dn())
	}
	if !isNotFound(err) {
		return to, a, false, err
	}
	// An account that was deleted has left its groups. One that we may not see, or that went to another domain, has not:
	// Holders lists it by its distinguished name.
	a, gone, err = s.unseen(to, func(l link) bool {
		return known && l.id == ref.account || !known && strings.EqualFold(l.dn, g.Person.Account(g.Role.Connector))
	})
	return to, a, gone, err
}

// findAccountAgain looks up by name, also what would be refused now: an account may have been disabled meanwhile.
func (s *session) findAccountAgain(g access.Grant) (account, error) {
	name, err := connectors.Account(g)
	if err != nil {
		return account{}, refuse(connectors.NotFound, "%w", err) // such an account was never given anything
	}
	found, err := s.search(fmt.Sprintf("(&(sAMAccountType=%s)(%s=%s))", ordinaryUser, s.c.account, ldap.EscapeFilter(name)), nil, s.c.account)
	if err != nil {
		return account{}, fmt.Errorf("look for the account: %w", err)
	}
	for _, entry := range found {
		if entry.GetAttributeValue(s.c.account) == name {
			return s.account(entry.DN)
		}
	}
	return account{}, refuse(connectors.NotFound, "there is no account %q", name)
}

// unseen finds an account in the group's own lists.
func (s *session) unseen(to group, is func(link) bool) (a account, gone bool, err error) {
	for _, attribute := range []string{memberAttr, markAttr} {
		links, err := s.links(to.id, attribute)
		if err != nil {
			return a, false, fmt.Errorf("look for the account: %w", err)
		}
		for _, l := range links {
			if is(l) {
				return account{id: l.id, dn: l.dn}, false, nil
			}
		}
	}
	return a, true, nil
}

// reallyGone tells a group that was deleted from one that we may not see any more: the first is in nobody's tokens.
func (s *session) reallyGone(ref refs, known bool) error {
	if !known {
		return nil
	}
	a, err := s.account(ref.account.dn())
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, token := range a.tokens {
		if token == ref.groupSID {
			return refuse(connectors.Denied, "%s is still in group %s, which %s cannot see any more; let it read that group", a.dn, ref.group, s.c.bind)
		}
	}
	return nil
}

func isNotFound(err error) bool { return err != nil && kindOf(err) == connectors.NotFound }
