package entra

import (
	"context"
	"fmt"
	"slices"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The ways in which somebody holds a role.
const (
	forGood     = "standing"    // until somebody takes it away
	forATime    = "active"      // until a time that Entra keeps; by Elevate, or by activating it in PIM
	outsidePIM  = "outside PIM" // given past PIM
	eligibleHow = "eligible"    // does not hold it, and may activate it in PIM without Elevate
)

// Holders lists who holds the role, and who may activate it in PIM.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	var out []connectors.Holder
	err := c.run(ctx, "list holders", func(ctx context.Context, s *session) error {
		r, err := c.target(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "%v", err)
		}
		if c.cfg.Gives == givesPlain {
			out, err = s.plainHolders(ctx, r)
			return err
		}
		out, err = s.pimHolders(ctx, s.pim(r))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *session) pimHolders(ctx context.Context, p pim) ([]connectors.Holder, error) {
	holding, err := p.held(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("look who holds it: %w", err)
	}
	requests, err := p.asked(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("look what was asked for: %w", err)
	}
	grants := s.ourSchedules(requests)
	var out []connectors.Holder
	var known []string
	for _, h := range holding {
		grant, ours := grants[h.schedule]
		known = append(known, h.principal)
		if h.above && ours {
			continue // it is listed, and ends, with the role at the wider scope
		}
		ours = ours && h.direct && !h.activated
		holder := connectors.Holder{Account: h.principal, Ours: ours, How: forGood}
		if ours {
			holder.Grant = grant
		}
		if h.activated || !h.end.IsZero() {
			holder.How = forATime
		}
		out = append(out, holder)
	}
	more, err := s.beside(ctx, p, known)
	return append(out, more...), err
}

// beside lists whom PIM does not list as holders: who was given the role past it, and who may activate it. Each is told
// where the application may read it.
func (s *session) beside(ctx context.Context, p pim, known []string) ([]connectors.Holder, error) {
	var out []connectors.Holder
	past, err := p.outside(ctx)
	if err != nil {
		return nil, fmt.Errorf("look who holds it past PIM: %w", err)
	}
	for _, id := range past {
		if !slices.Contains(known, id) {
			out = append(out, connectors.Holder{Account: id, How: outsidePIM})
		}
	}
	if !s.token.may(s.readEligible()...) {
		return out, nil
	}
	may, err := p.eligible(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("look who is eligible: %w", err)
	}
	slices.Sort(may)
	for _, id := range slices.Compact(may) {
		out = append(out, connectors.Holder{Account: id, Eligible: true, How: eligibleHow})
	}
	return out, nil
}
