package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// sighting is a holder at a target, with what the store says about the same right.
type sighting struct {
	connectors.Holder
	right  string
	shares []*access.Record // that may hold the right
}

// explained tells whether a live grant accounts for what is ours.
func (s sighting) explained() bool { return len(s.shares) > 0 }

// ask asks a target who holds a role, within the time that one call may take.
func (w *Sweeper) ask(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.CallTimeout)
	defer cancel()
	began := time.Now()
	holders, err := w.s.cfg.Connectors[role.Connector].Holders(ctx, role)
	result := "ok"
	if err != nil {
		result = string(connectors.KindOf(err))
	}
	w.s.cfg.Metrics.ObserveConnectorCall(role.Connector, "holders", result, time.Since(began))
	holders = slices.DeleteFunc(holders, func(h connectors.Holder) bool { return h.Eligible }) // they hold nothing
	return holders, err
}

// look compares one target with the grants.
func (w *Sweeper) look(ctx context.Context, r *round, t sweepTarget) error {
	asked := w.s.now()
	holders, err := w.ask(ctx, t.role)
	if err != nil {
		return err
	}
	seen, err := w.sight(ctx, t.role, holders)
	if err != nil {
		return err
	}
	strays := map[string]bool{}
	for _, s := range seen {
		r.holds(s)
		if s.Ours && !s.explained() {
			strays[s.right] = true
		}
	}
	r.asked[t.key] = asked
	if len(strays) > 0 {
		r.unexplained = append(r.unexplained, stray{t, strays, time.Now()})
	}
	return w.picture(ctx, t, standing(seen), asked)
}

// sight finds what the store knows about each holder. What is ours and has no grant by its right may be called otherwise
// than when it was given, and is looked for among all that is live.
func (w *Sweeper) sight(ctx context.Context, role access.Role, holders []connectors.Holder) ([]sighting, error) {
	seen := make([]sighting, len(holders))
	var strange []*sighting
	for i, h := range holders {
		var err error
		if seen[i], err = w.sightOne(ctx, role, h); err != nil {
			return nil, err
		}
		if s := &seen[i]; s.Ours && !s.explained() {
			strange = append(strange, s)
		}
	}
	return seen, w.lookForRenamed(ctx, role, strange)
}

// sightOne finds grants by the holder's right: not every target keeps which grant gave it.
func (w *Sweeper) sightOne(ctx context.Context, role access.Role, h connectors.Holder) (sighting, error) {
	s := sighting{Holder: h}
	if h.Account == "" { // a target that knows people, and not their accounts
		p, err := Known(ctx, w.s.cfg.Directory, h.Person)
		switch {
		case err == nil:
			s.Account = p.Account(role.Connector)
		case errors.Is(err, access.ErrNotFound):
			s.Account = string(h.Person)
		default:
			return s, fmt.Errorf("find the account of %s: %w", h.Person, err)
		}
	}
	s.right = access.Request{Role: role, Account: s.Account}.Right()
	var err error
	if s.shares, err = w.s.cfg.Store.Sharing(ctx, s.right); err != nil {
		return s, fmt.Errorf("look for grants of %s: %w", s.Account, err)
	}
	return s, nil
}

// standing picks the holders whom nothing of ours gives the role. Where a target keeps no marks, a live grant explains a
// holder who is not marked as ours, unless the access was there before it.
func standing(seen []sighting) []string {
	marked := map[string]bool{}
	for _, s := range seen {
		marked[s.right] = marked[s.right] || s.Ours
	}
	var accounts []string
	for _, s := range seen {
		if !s.Ours && (marked[s.right] || !given(s.shares)) {
			accounts = append(accounts, s.Account)
		}
	}
	return accounts
}

// given tells whether one of the grants may have made true what it gives.
func given(shares []*access.Record) bool {
	for _, r := range shares {
		if r.Receipt == nil || !r.Receipt.Already {
			return true
		}
	}
	return false
}
