package factor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elevate/workflows/access"
)

// resetLife is how long the first administrator's word for a reset counts.
const resetLife = time.Hour

// Remove takes somebody's own factor away, for a code of it.
func (f *Factors) Remove(ctx context.Context, by access.Actor, code access.Secret) error {
	stored, err := f.stored(ctx, by.Person)
	if err != nil {
		return err
	}
	if err := f.Prove(ctx, by, access.Act{Verb: "remove", Subject: stored.ID}, code); err != nil {
		return err
	}
	gone, err := f.cfg.Store.Remove(ctx, by.Person, stored.ID, "", f.event(EventRemoved, by, by.Person))
	switch {
	case err != nil:
		return unavailable(err)
	case !gone:
		return moving()
	}
	f.tell(ctx, Notice{Event: EventRemoved, ID: stored.ID, Person: by.Person, By: by})
	return nil
}

// Confirm is an administrator's word that an enrolment is the person's own: they know each other's voice. A code of the
// administrator's goes with it, unless no administrator has a factor yet.
func (f *Factors) Confirm(ctx context.Context, by access.Actor, whose access.PersonID, code access.Secret) error {
	if err := f.administers(ctx, by, whose, "confirm"); err != nil {
		return err
	}
	e, err := f.enrolment(ctx, whose)
	if err != nil {
		return err
	}
	if e.Step != Named {
		return &access.Refusal{Kind: access.ErrConflict, Code: "no_enrolment",
			Text: fmt.Sprintf("No second factor of %s waits for a word of yours. They begin with `/elevate mfa`, and type the word of the page before you confirm.", whose)}
	}
	if err := f.vouch(ctx, by, access.Act{Verb: "confirm", Subject: string(whose) + " " + e.ID}, code); err != nil {
		return err
	}
	return f.set(ctx, whose, e, Named, by)
}

// Reset takes away a factor that its owner has lost, when two administrators ask for it within an hour. It gives whether
// it is gone now.
func (f *Factors) Reset(ctx context.Context, by access.Actor, whose access.PersonID, code access.Secret) (gone bool, err error) {
	if err := f.administers(ctx, by, whose, "reset"); err != nil {
		return false, err
	}
	stored, err := f.stored(ctx, whose)
	if err != nil {
		return false, err
	}
	if stored.ID == "" {
		return false, &access.Refusal{Kind: access.ErrConflict, Code: access.CodeFactorMissing,
			Text: fmt.Sprintf("%s has no second factor. They set one up with `/elevate mfa`.", whose)}
	}
	if err := f.vouch(ctx, by, access.Act{Verb: "reset", Subject: string(whose) + " " + stored.ID}, code); err != nil {
		return false, err
	}
	second := stored.ResetBy != "" && stored.ResetBy != by.Person && f.now().Sub(stored.ResetAt) < resetLife
	if second && f.stillAdministers(ctx, stored.ResetBy) {
		ev := f.event(EventReset, by, whose)
		ev.Detail = map[string]string{"first": string(stored.ResetBy), "factor": stored.ID}
		gone, err = f.cfg.Store.Remove(ctx, whose, stored.ID, stored.ResetBy, ev)
	} else {
		second = false
		gone, err = f.cfg.Store.AskReset(ctx, whose, stored.ID, by.Person, f.now().UTC(), f.event(EventAsked, by, whose))
	}
	switch {
	case err != nil:
		return false, unavailable(err)
	case !gone:
		return false, moving()
	case second:
		f.tell(ctx, Notice{Event: EventReset, ID: stored.ID, Person: whose, By: by})
	default:
		f.tell(ctx, Notice{Event: EventAsked, ID: stored.ID, Person: whose, By: by, Waits: true})
	}
	return second, nil
}

// stillAdministers asks again about somebody whose word was given earlier.
func (f *Factors) stillAdministers(ctx context.Context, id access.PersonID) bool {
	p, err := f.cfg.Directory.Person(ctx, id)
	return err == nil && f.cfg.Administrator(p)
}

// administers refuses whoever is no administrator, and everybody in their own matter.
func (f *Factors) administers(ctx context.Context, by access.Actor, whose access.PersonID, verb string) error {
	me, err := f.person(ctx, by.Person)
	if err != nil {
		return err
	}
	if !f.cfg.Administrator(me) {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "not_administrator",
			Text: fmt.Sprintf("Only administrators %s other people's second factors.", verb)}
	}
	if by.Person == whose {
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: "own_factor", Text: "This is your own second factor, so another administrator has to do it."}
	}
	_, err = f.person(ctx, whose)
	return err
}

func (f *Factors) person(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := f.cfg.Directory.Person(ctx, id)
	switch {
	case errors.Is(err, access.ErrNotFound):
		return p, &access.Refusal{Kind: access.ErrNotFound, Code: "unknown_person",
			Text: fmt.Sprintf("The directory knows nobody called %q. Write the person's id, as cards show it.", id)}
	case err != nil:
		return p, unavailable(err)
	}
	return p, nil
}

// vouch has an administrator prove their own factor. The first ones of all have none to prove.
func (f *Factors) vouch(ctx context.Context, by access.Actor, act access.Act, code access.Secret) error {
	err := f.Prove(ctx, by, act, code)
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != access.CodeFactorMissing {
		return err
	}
	people, listErr := f.cfg.Directory.People(ctx)
	if listErr != nil {
		return unavailable(listErr)
	}
	for _, p := range people {
		if !f.cfg.Administrator(p) {
			continue
		}
		stored, storeErr := f.stored(ctx, p.ID)
		if storeErr != nil {
			return storeErr
		}
		if stored.ID != "" {
			return err
		}
	}
	return nil
}
