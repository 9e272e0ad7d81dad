package entra

import (
	"context"
	"fmt"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The waits until something is looked at again. Entra says that it is done within seconds.
const (
	pendingWait = 5 * time.Second
	listedWait  = 2 * time.Second
)

// assign looks, gives a time-bound active assignment, and looks again.
func (c *Connector) assign(ctx context.Context, s *session, r right, principal string, g access.Grant) (access.Receipt, error) {
	p := s.pim(r)
	seen, err := s.look(ctx, p, principal, "")
	if err != nil {
		return access.Receipt{}, err
	}
	switch {
	case seen.ours != nil && seen.ours.lasts(g.End):
		return receipt(seen.ours), nil
	case seen.ours == nil && seen.enough(g.End):
		return access.Receipt{Already: true}, nil
	case len(seen.pending) > 0:
		return access.Receipt{}, later(pendingWait, "Entra is still at work on it (%s)", seen.pending[0].status)
	case seen.refused[string(g.ID)] != "":
		return access.Receipt{}, refuse(connectors.Denied, "Entra answered with %s; its reason is in PIM's audit history", seen.refused[string(g.ID)])
	}
	o := order{action: assign, principal: principal, why: reason(g, s.cfg.ClientID), ticket: g.Ticket, start: s.cfg.Now()}
	if o.end, err = c.fits(ctx, s, p, r, principal, g); err != nil {
		return access.Receipt{}, err
	}
	if seen.ours != nil { // another grant of ours, which ends earlier
		o.action, o.schedule, o.start = update, seen.ours.schedule, seen.ours.start
	}
	return c.order(ctx, s, p, o, g)
}

// receipt says what is there.
func receipt(h *held) access.Receipt {
	return access.Receipt{Ref: h.schedule, NativeEnd: h.end}
}

// fits reads what Entra would refuse or never end, and gives the time at which Entra is to end it.
func (c *Connector) fits(ctx context.Context, s *session, p pim, r right, principal string, g access.Grant) (time.Time, error) {
	now := s.cfg.Now()
	end := g.End
	if end.Before(now.Add(shortest)) { // an activation that came late: Elevate's own end is still the earlier
		end = now.Add(shortest)
	}
	found, err := p.rules(ctx)
	if err != nil {
		return end, err
	}
	if !found.known {
		return end, refuse(connectors.NotFound, "the tenant has no %s", r)
	}
	if err := found.refuses(end.Sub(now), g.Ticket != ""); err != nil {
		return end, err
	}
	if c.cfg.RequireEligible {
		may, err := p.eligible(ctx, principal)
		if err != nil {
			return end, fmt.Errorf("look who is eligible: %w", err)
		}
		if len(may) == 0 {
			return end, refuse(connectors.Denied, "PIM does not list %s as eligible for %s; an administrator can make them eligible in PIM", g.Person.ID, r)
		}
	}
	if r.lastMatters() {
		if err := c.wouldEnd(ctx, p, principal); err != nil {
			return end, err
		}
	}
	// Whole seconds; up, so that it is not before our own end, unless the settings leave no room for that.
	end = end.Add(c.cfg.Grace).Add(time.Second - time.Nanosecond).Truncate(time.Second)
	if limit := now.Add(found.longest).Truncate(time.Second); found.longest > 0 && end.After(limit) {
		end = limit
	}
	return end, nil
}

// order sends, and reads back what came of it. Entra's "created" is no success: it may still be at work, or refuse.
func (c *Connector) order(ctx context.Context, s *session, p pim, o order, g access.Grant) (access.Receipt, error) {
	made, err := p.send(ctx, o)
	exists := says(err, "RoleAssignmentExists")
	switch {
	case err != nil && !exists:
		return access.Receipt{}, inWords(err)
	case made.pending():
		return access.Receipt{}, later(pendingWait, "Entra is still at work on it (%s)", made.status)
	case made.refused():
		return access.Receipt{}, refuse(connectors.Denied, "Entra answered with %s; its reason is in PIM's audit history", made.status)
	}
	seen, err := s.look(ctx, p, o.principal, made.schedule)
	if err != nil {
		return access.Receipt{}, err
	}
	if seen.ours != nil && seen.ours.lasts(g.End) {
		return receipt(seen.ours), nil
	}
	if exists && seen.ours == nil {
		for _, h := range seen.others {
			if h.activated {
				return access.Receipt{}, refuse(connectors.Denied, "%s has activated it in PIM until %s, and Entra keeps no second assignment beside that; deactivate it there, or ask again after that",
					g.Person.ID, h.end.Format("15:04 UTC"))
			}
		}
		return access.Receipt{}, later(pendingWait, "Entra says that it exists already, and does not list it yet")
	}
	return access.Receipt{}, later(listedWait, "Entra does not list it yet")
}

// globalAdministrator is the role whose last active assignment Entra neither ends nor removes.
const globalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

func (r right) lastMatters() bool { return r.role == globalAdministrator && r.scope == wholeTenant }

// wouldEnd refuses to make somebody the only Global Administrator: Entra would never let that end.
func (c *Connector) wouldEnd(ctx context.Context, p pim, principal string) error {
	holding, err := p.held(ctx, "")
	if err != nil {
		return fmt.Errorf("look who else is Global Administrator: %w", err)
	}
	for _, h := range holding {
		if h.principal != principal && h.end.IsZero() {
			return nil
		}
	}
	return refuse(connectors.Denied, "nobody else is Global Administrator for good, and Entra never ends the last one's assignment; give two break-glass accounts the role permanently first")
}
