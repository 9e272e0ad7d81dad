package azure

import (
	"context"
	"net/http"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Holders lists who holds the role at its scope, also by what was given above it, and who is eligible for it.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	var out []connectors.Holder
	err := c.run(ctx, "look who holds the role", func(ctx context.Context, s *session) error {
		p, err := placeOf(role.Target)
		if err != nil {
			return refuse(connectors.Invalid, "role %s: %v", role.ID, err)
		}
		list, err := s.list(ctx, p, "atScope()")
		if err != nil {
			return err
		}
		for _, h := range list {
			held, listed, err := s.holder(ctx, p, h)
			if err != nil {
				return err
			}
			if listed {
				out = append(out, held)
			}
		}
		eligible, err := s.eligibles(ctx, p, "atScope()")
		for _, h := range eligible {
			out = append(out, connectors.Holder{Account: h.account, Eligible: true, How: h.how(p)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// holder says how somebody holds the role. What Elevate gave above the place is left out: it is listed, and ends, with
// the role there. Where we may not look above, nothing of ours can be.
func (s *session) holder(ctx context.Context, p place, h holding) (held connectors.Holder, listed bool, err error) {
	err = s.trace(ctx, p, &h)
	if h.scope != p.scope && isStatus(err, http.StatusForbidden) {
		err = nil
	}
	held = connectors.Holder{Account: h.account, How: h.how(p), Grant: h.grant, Ours: h.ours}
	return held, h.scope == p.scope || !h.ours, err
}

// how says in a few words how an access comes about that is not simply a lasting assignment at the place.
func (h holding) how(p place) string {
	var out string
	switch {
	case h.ours:
		return ""
	case h.activated:
		out = "activated in PIM"
	case h.group:
		out = "a group"
	}
	add := func(text string) {
		if out != "" {
			out += ", "
		}
		out += text
	}
	if h.scope != p.scope {
		at := h.scope
		if at == "" {
			at = "the root of the tenant"
		}
		add("inherited from " + at)
	}
	if h.narrowed {
		add("narrowed by a condition")
	}
	if !h.end.IsZero() {
		add("until " + h.end.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return out
}
