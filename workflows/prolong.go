package workflows

import (
	"context"
	"fmt"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// prolong moves the end that the target keeps of a running grant, before the grant's own is moved: left where it is, the
// target would take the access away in the middle of the extension. Should the extension then not be stored, the target's
// end is late and Elevate's is not. It gives the receipt to keep; nil where the target keeps no end. An error is a refusal.
func (s *Service) prolong(ctx context.Context, rec *access.Record, end time.Time) (*access.Receipt, error) {
	if rec.Receipt == nil || rec.Receipt.Already || rec.Receipt.NativeEnd.IsZero() {
		return nil, nil
	}
	again := fmt.Sprintf("Make a new request with `/elevate %s` when this one has ended.", rec.Role.ID)
	target, ok := s.cfg.Connectors[rec.Role.Connector].(connectors.Extender)
	if !ok {
		return nil, &access.Refusal{Kind: access.ErrConflict, Code: "fixed_end",
			Text: fmt.Sprintf("The target of %s ends access by itself, at an end that cannot be moved. %s", rec.Role.ID, again)}
	}
	g := rec.Grant()
	g.End = end
	receipt, err := target.Extend(ctx, g)
	switch {
	case err == nil:
		return &receipt, nil
	case connectors.KindOf(err) == connectors.NotFound:
		return nil, &access.Refusal{Kind: access.ErrConflict, Code: "gone_at_target", Err: err,
			Text: fmt.Sprintf("The target of %s has nothing of request %s any more, so there is nothing to extend. %s", rec.Role.ID, rec.ID, again)}
	case connectors.KindOf(err).Final():
		return nil, &access.Refusal{Kind: access.ErrConflict, Code: "target_refused", Err: err,
			Text: fmt.Sprintf("The target of %s refused a later end (%v). %s", rec.Role.ID, err, again)}
	}
	return nil, &access.Refusal{Kind: access.ErrUnavailable, Code: "target_unavailable", Err: err,
		Text: fmt.Sprintf("The target of %s (connector %s) did not move the end of the access. Try again in a minute.", rec.Role.ID, rec.Role.Connector)}
}
