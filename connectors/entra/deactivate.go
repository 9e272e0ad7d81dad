package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// remove takes our assignment away and reads back. It never touches what others gave: Entra removes whatever direct
// assignment there is, so where that is somebody else's, nothing is sent.
func (c *Connector) remove(ctx context.Context, s *session, r right, principal string, g access.Grant, told access.Receipt) (ending, error) {
	p := s.pim(r)
	known := ""
	if given(told) {
		known = told.Ref
	}
	seen, err := s.look(ctx, p, principal, known)
	if err != nil {
		return ending{}, err
	}
	if len(seen.pending) > 0 {
		called := c.callBack(ctx, p, seen.pending)
		if seen.ours == nil {
			return ending{}, called
		}
		// What is there is taken away whatever became of that: Entra may be at work on a later end for long.
	}
	e := ending{given: given(told) || seen.ours != nil || seen.gave[string(g.ID)]}
	lost := told == access.Receipt{}
	if (e.given || lost) && (seen.ours != nil || !seen.direct()) {
		// Also where it is not listed: the lists may be older than the assignment. Without a receipt that goes for whatever
		// they say: Entra answers a removal by what there is, and takes away nothing that is younger than any list.
		if e.removed, err = c.take(ctx, s, p, principal, g, seen, e.given); err != nil {
			return e, err
		}
		e.given = e.given || e.removed
		if seen, err = s.look(ctx, p, principal, known); err != nil {
			return e, err
		}
		switch {
		case seen.ours != nil:
			return e, c.stillThere(ctx, p, r, principal)
		case len(seen.pending) > 0:
			return e, later(listedWait, "Entra took it away and is at work still on what it was asked for before (%s)", seen.pending[0].status)
		}
	}
	e.stays, e.shared = seen.stands(), seen.shared
	return e, nil
}

// direct tells whether others gave what a removal would hit.
func (seen sight) direct() bool {
	for _, h := range seen.others {
		if h.direct && !h.activated {
			return true
		}
	}
	return false
}

// callBack cancels what Entra has not fulfilled yet, where it lets us: Microsoft promises that for what is Granted alone.
// Whichever it is, nothing is known to be gone before the next look.
func (c *Connector) callBack(ctx context.Context, p pim, pending []asked) error {
	said := "that was cancelled, and is looked at again"
	for _, a := range pending {
		switch err := p.cancel(ctx, a.id); {
		case uncancelable(err):
			said = "it does not cancel that, and what comes of it is taken away"
		case err != nil:
			return fmt.Errorf("cancel what Entra is still at work on: %w", err)
		}
	}
	return later(listedWait, "Entra was still at work on giving it (%s); %s", pending[0].status, said)
}

// uncancelable tells whether Entra says that a request is in no state to be cancelled, for which it has a status and no
// code that is documented; or that there is no such request any more.
func uncancelable(err error) bool {
	var a *answer
	return errors.As(err, &a) && (a.status == http.StatusBadRequest || a.status == http.StatusNotFound)
}

// take sends the removal. "Does not exist" is no error: Entra has been seen to say so of removals that it carried out,
// and reading back tells. Nor is it one that Entra does not understand the removal of something that was perhaps never given.
func (c *Connector) take(ctx context.Context, s *session, p pim, principal string, g access.Grant, seen sight, given bool) (bool, error) {
	made, err := p.send(ctx, order{action: remove, principal: principal, why: mark(g.ID, s.cfg.ClientID) + ": its time is up"})
	kind, _ := kindOf(err)
	switch {
	case says(err, "ActiveDurationTooShort"):
		return false, c.tooYoung(s, seen)
	case says(err, "RoleAssignmentDoesNotExist"), kind == connectors.NotFound, kind == connectors.Invalid && !given: // or the user is no more
		return seen.ours != nil, nil
	case err != nil:
		if seen.ours != nil {
			if last := c.isLast(ctx, p, principal); last != nil {
				return false, last
			}
		}
		return false, inWords(err)
	case made.pending():
		return false, later(pendingWait, "Entra is still at work on taking it away (%s)", made.status)
	case made.refused():
		return false, later(time.Minute, "Entra answered the removal with %s; its reason is in PIM's audit history", made.status)
	}
	return true, nil
}

// tooYoung says when an assignment is old enough to be taken away.
func (c *Connector) tooYoung(s *session, seen sight) error {
	wait := time.Minute
	if seen.ours != nil && !seen.ours.start.IsZero() {
		wait = min(max(seen.ours.start.Add(shortest).Sub(s.cfg.Now()), time.Second), shortest)
	}
	return later(wait, "Entra takes no assignment away in its first %v; it is tried again in %v", shortest, wait.Round(time.Second))
}

// stillThere says why what was removed is listed still.
func (c *Connector) stillThere(ctx context.Context, p pim, r right, principal string) error {
	if r.lastMatters() {
		if last := c.isLast(ctx, p, principal); last != nil {
			return last
		}
	}
	return later(pendingWait, "Entra confirmed the removal and lists the assignment still")
}

// isLast gives an error if the person is the only one left who holds the role; nil if not, or if it cannot be told.
func (c *Connector) isLast(ctx context.Context, p pim, principal string) error {
	if roles, ok := p.(*rolePIM); !ok || !roles.r.lastMatters() {
		return nil
	}
	holding, err := p.held(ctx, "")
	if err != nil {
		return nil // what is known is told already
	}
	for _, h := range holding {
		if h.principal != principal {
			return nil
		}
	}
	return later(time.Minute, "this is the last active Global Administrator, whom Entra neither removes nor ends; make another account Global Administrator, and it is taken away")
}
