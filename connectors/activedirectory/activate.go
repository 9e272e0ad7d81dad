package activedirectory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/workflows/access"
)

// slack is by how much a membership's remaining time may differ from what it was given: seconds are rounded, and the
// answer was on its way.
const slack = 10 * time.Second

// Activate makes the person's account a member of the group, unless it is in the group already by nothing of ours.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	const op = "give the membership"
	id, err := groupID(g.Role.Target)
	if err != nil {
		return access.Receipt{}, failed(op, refuse(connectors.Invalid, "%w", err))
	}
	if !slices.Contains(c.groups, id) {
		return access.Receipt{}, failed(op, refuse(connectors.Invalid, "group %s is not in the connector's groups; add it there if Elevate is to give it", id))
	}
	var receipt access.Receipt
	err = c.onFirst(ctx, op, func(s *session) error {
		to, err := s.findGroup(id)
		if err != nil {
			return err
		}
		if !to.security {
			return refuse(connectors.Invalid, "%s is a distribution group, which gives no access", to.dn)
		}
		a, err := s.findAccount(g)
		if err != nil {
			return err
		}
		receipt, err = s.give(to, a, g.End)
		return err
	})
	if err != nil {
		return access.Receipt{}, err
	}
	return receipt, nil
}

// give looks, writes membership and mark in one operation, and looks again.
func (s *session) give(g group, a account, end time.Time) (access.Receipt, error) {
	receipt := access.Receipt{Ref: s.ref(g, a.id)}
	h, err := s.look(g, a)
	if err != nil {
		return receipt, err
	}
	if h.Standing && !h.ours() {
		receipt.Already = true
		return receipt, nil
	}
	var refused error
	if !h.ours() || s.expiring && h.Left < seconds(s.until(end)-slack) {
		if refused = s.conn.Modify(s.giving(g, a, h, end)); refused != nil && !settledBefore(refused) {
			return receipt, fmt.Errorf("add to %s: %w", g.dn, refused)
		}
		if h, err = s.look(g, a); err != nil {
			return receipt, fmt.Errorf("read back: %w", err)
		}
	}
	if !h.ours() {
		if h.Standing { // given by somebody else between our look and ours
			receipt.Already = true
			return receipt, nil
		}
		return receipt, refuse(connectors.Unavailable, "%s is still no member of %s after it was added%s", a.dn, g.dn, said(refused))
	}
	receipt.NativeEnd, err = s.nativeEnd(h, end)
	return receipt, err
}

// until is how long from now the directory is to keep a membership.
func (s *session) until(end time.Time) time.Duration { return end.Add(grace).Sub(s.c.now()) }

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// giving makes the change. A membership of ours whose end is too early is replaced within it, so that there is no moment
// without one.
func (s *session) giving(g group, a account, h held, end time.Time) *ldap.ModifyRequest {
	change := ldap.NewModifyRequest(g.dn, nil)
	if h.Member {
		change.Delete(memberAttr, []string{a.dn})
	}
	value := a.dn
	if s.expiring {
		value = withTTL(max(1, seconds(s.until(end))), a.dn)
	}
	change.Add(memberAttr, []string{value})
	if !h.Marked {
		change.Add(markAttr, []string{a.dn})
	}
	return change
}

// nativeEnd is when the directory ends the membership by itself, as it was read back: the end that this grant asked for,
// also where another grant on the same right has asked for a later one. Zero: the directory keeps it, whatever it was told.
func (s *session) nativeEnd(h held, end time.Time) (time.Time, error) {
	if h.Left < 0 {
		return time.Time{}, nil
	}
	if short := s.until(end) - time.Duration(h.Left)*time.Second; short > slack {
		return time.Time{}, refuse(connectors.Unavailable, "the directory would end the membership %s too early", short.Round(time.Second))
	}
	return end.Add(grace), nil
}
