package workflows

import (
	"context"
	"fmt"

	"elevate/workflows/access"
)

// Factor is one kind of second factor.
type Factor interface {
	// Prove accepts a person's proof of one act, once, or refuses with the way out (*access.Refusal). Without a proof it
	// says that one is asked for (access.AsksProof), or why none could help.
	// One that signs on a page says so by *access.NeedsKey instead.
	Prove(ctx context.Context, by access.Actor, act access.Act, proof access.Secret) error
}

// stepUp is what a record's acts ask for: as it was at submission or as it is now, whichever is stricter.
func (s *Service) stepUp(rec *access.Record) access.StepUp {
	asks := rec.StepUp
	if pol := s.cfg.Policies.For(rec.Role.ID); pol != nil {
		asks = asks.Stricter(pol.StepUp())
	}
	return asks
}

// proof is what somebody gave to vouch for one act. It is used once, however often the act is tried on a record that
// moves on meanwhile.
type proof struct {
	service *Service
	by      access.Actor
	secret  access.Secret
	used    *access.Act // what it vouches for; nil: not used yet
}

func (s *Service) proofBy(by access.Actor, secret access.Secret) *proof {
	return &proof{service: s, by: by, secret: secret}
}

// of has the second factor vouch for an act on a record, where one is asked for, and gives which one did. A proof vouches
// for no other act than the first. It is spent by that: of is called when nothing but the store's own last look can refuse
// any more.
func (p *proof) of(ctx context.Context, m access.Method, act access.Act, on *access.Record) (access.Method, error) {
	if m == access.NoFactor {
		return m, nil
	}
	if p.used != nil {
		if *p.used != act {
			return m, &access.Refusal{Kind: access.ErrConflict, Code: "act_changed", Field: "code",
				Text: "This changed while your code was looked at, so nothing was done. Look again, and use the next code."}
		}
		return m, nil
	}
	f := p.service.cfg.Factors[m]
	if f == nil {
		return m, &access.Refusal{Kind: access.ErrUnavailable, Code: "factor_unavailable", Field: "code", Err: fmt.Errorf("no factor %q is configured", m),
			Text: "The policy asks for a second factor that Elevate cannot check here, so nothing was done. Please tell whoever looks after Elevate."}
	}
	if err := f.Prove(ctx, p.by, act, p.secret); err != nil {
		if needs := access.AsksKey(err); needs != nil {
			needs.Record = on
		}
		return m, err
	}
	p.used = &act
	return m, nil
}
