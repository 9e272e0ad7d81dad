package workflows

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Offer is a role as one person sees it in the catalogue.
type Offer struct {
	Role          access.Role
	Eligible      bool
	Default, Max  time.Duration
	TicketPattern string // empty: no ticket is asked for
	MinLength     int    // of the justification, in characters
	MaxLength     int
	StepUp        access.StepUp // which acts ask for a second factor
	Stages        []access.Stage
	Capabilities  connectors.Capabilities
	// HeldBesides is when a sweep last saw that the person holds the role by nothing that Elevate gave: a request gives
	// them nothing new, and its end takes nothing away. Zero: it did not, or nobody has looked yet. Offers leaves it out.
	HeldBesides time.Time
}

// catalogue finds roles by id and by words.
type catalogue struct {
	byID map[access.RoleID]access.Role
	rows []catalogueRow // by id
}

type catalogueRow struct {
	role  access.Role
	words []string // lower case, of id, title, description and labels
}

func newCatalogue(roles []access.Role) catalogue {
	c := catalogue{byID: make(map[access.RoleID]access.Role, len(roles)), rows: make([]catalogueRow, 0, len(roles))}
	for _, r := range roles {
		text := string(r.ID) + " " + r.Title + " " + r.Description
		for _, v := range r.Labels {
			text += " " + v
		}
		words := strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return strings.ContainsRune(" -_./,:()", c) })
		c.byID[r.ID] = r
		c.rows = append(c.rows, catalogueRow{role: r, words: append(words, strings.ToLower(string(r.ID)))})
	}
	slices.SortFunc(c.rows, func(a, b catalogueRow) int { return cmp.Compare(a.role.ID, b.role.ID) })
	return c
}

// matches tells whether every word begins one of the row's words.
func (r catalogueRow) matches(words []string) bool {
	for _, w := range words {
		if !slices.ContainsFunc(r.words, func(have string) bool { return strings.HasPrefix(have, w) }) {
			return false
		}
	}
	return true
}

// Offers lists roles that match all words (prefixes, in any order and case), those that the person may request first,
// at most limit of them.
func (s *Service) Offers(ctx context.Context, person access.PersonID, words string, limit int) ([]Offer, error) {
	p, err := s.person(ctx, person)
	if err != nil {
		return nil, err
	}
	typed := strings.Fields(strings.ToLower(words))
	var eligible, others []Offer
	for _, row := range s.catalogue.rows {
		if len(eligible) == limit {
			break
		}
		if !row.matches(typed) {
			continue
		}
		pol := s.cfg.Policies.For(row.role.ID)
		if pol == nil {
			continue
		}
		if pol.Eligible(p, row.role, s.sample(pol.Default())) == nil {
			eligible = append(eligible, s.offered(row.role, pol, true))
		} else if len(others) < limit {
			others = append(others, s.offered(row.role, pol, false))
		}
	}
	all := append(eligible, others...)
	return all[:min(limit, len(all))], nil
}

// Offer is one role as the person sees it. The error is a refusal where the catalogue has no such role.
func (s *Service) Offer(ctx context.Context, person access.PersonID, id access.RoleID) (Offer, error) {
	p, err := s.person(ctx, person)
	if err != nil {
		return Offer{}, err
	}
	role, pol, refusal := s.role(id)
	if refusal != nil {
		return Offer{}, refusal
	}
	o := s.offered(role, pol, pol.Eligible(p, role, s.sample(pol.Default())) == nil)
	o.HeldBesides = s.heldBesides(ctx, p, role)
	return o, nil
}

// Holders asks the target who holds a role now. Approvers, administrators, auditors and those who may request the role
// may ask.
func (s *Service) Holders(ctx context.Context, viewer access.PersonID, id access.RoleID) ([]connectors.Holder, error) {
	p, err := s.person(ctx, viewer)
	if err != nil {
		return nil, err
	}
	role, pol, refusal := s.role(id)
	if refusal != nil {
		return nil, refusal
	}
	if !s.oversees(p) && pol.Eligible(p, role, s.sample(pol.Default())) != nil {
		return nil, &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_eligible", Field: "role",
			Text: fmt.Sprintf("You may not see who holds %s. Ask an administrator or an auditor.", id)}
	}
	holders, err := s.cfg.Connectors[role.Connector].Holders(ctx, role)
	if err != nil {
		return nil, &access.Refusal{Kind: access.ErrUnavailable, Code: "target_unavailable", Err: err,
			Text: fmt.Sprintf("The target of %s (connector %s) did not answer who holds it. Try again in a minute.", id, role.Connector)}
	}
	return holders, nil
}
