package factor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"elevate/workflows/access"
)

// resetLife is how long the first administrator's word for a reset counts.
const resetLife = time.Hour

// App is what Remove takes for the authenticator app.
const App = "app"

// Remove takes one of somebody's own factors away, for a proof: App, or a key by its name. Without a name it is the only
// one that there is.
func (f *Factors) Remove(ctx context.Context, by access.Actor, which string, proof access.Secret) error {
	stored, err := f.stored(ctx, by.Person)
	if err != nil {
		return err
	}
	n := Notice{Event: EventRemoved, Person: by.Person, By: by}
	if n.ID, n.Key, err = pick(stored, which); err != nil {
		return err
	}
	if _, err := f.self(ctx, by, stored, access.Act{Verb: "remove", Subject: n.ID}, proof); err != nil {
		return err
	}
	ev := f.event(EventRemoved, by, by.Person)
	ev.Detail = map[string]string{"factor": n.ID}
	gone, err := f.cfg.Store.Remove(ctx, by.Person, n.ID, "", ev)
	switch {
	case err != nil:
		return unavailable(err)
	case !gone:
		return moving()
	}
	f.tell(ctx, n)
	return nil
}

// pick finds what is to be removed. key is the name of a key.
func pick(s Stored, which string) (id, key string, err error) {
	if which == "" && len(s.Keys) == 0 || which == App && s.ID != "" {
		return s.ID, "", nil
	}
	for _, k := range s.Keys {
		if which == k.name() || which == "" && s.ID == "" && len(s.Keys) == 1 {
			return k.ID, k.name(), nil
		}
	}
	if which == "" {
		return "", "", &access.Refusal{Kind: access.ErrConflict, Code: "which_factor", Text: "You have several. Say which one to remove, as `/elevate mfa` lists them."}
	}
	return "", "", &access.Refusal{Kind: access.ErrConflict, Code: "which_factor", Text: "You have nothing of that name. `/elevate mfa` lists what you have."}
}

// mark tells what somebody has from what they had.
func (s Stored) mark() string {
	marks := make([]string, 0, 1+len(s.Keys))
	if s.ID != "" {
		marks = append(marks, s.ID)
	}
	for _, k := range s.Keys {
		marks = append(marks, k.ID)
	}
	return strings.Join(marks, ",")
}

// self has somebody prove an act by the strongest that they have, and gives what vouches for it: whoever has a key needs
// it, so that a code is no way round it. Keys for another host sign nothing any more: then the app's code has to do.
func (f *Factors) self(ctx context.Context, by access.Actor, stored Stored, act access.Act, proof access.Secret) (vouched string, err error) {
	if len(stored.Keys) == 0 || stored.ID != "" && f.elsewhere(ctx, by.Person, stored) != "" {
		return byFactor, f.Prove(ctx, by, act, proof)
	}
	keys := f.Keys()
	if keys == nil {
		return "", unavailable(errors.New("there are no security keys here any more"))
	}
	return byKey, keys.Prove(ctx, by, act, proof)
}

// Confirm is an administrator's word that an enrolment is the person's own: they know each other's voice. A proof of the
// administrator's own factor goes with it, unless no administrator has one yet. word is that of the person's page, which only
// they can tell: it may be empty, but not where the enrolment took the place of another that administrators were told of.
func (f *Factors) Confirm(ctx context.Context, by access.Actor, whose access.PersonID, word string, proof access.Secret) error {
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
	if err := f.meant(whose, e, word); err != nil {
		return err
	}
	if err := f.vouch(ctx, by, access.Act{Verb: "confirm", Subject: string(whose) + " " + e.ID}, proof); err != nil {
		return err
	}
	return f.set(ctx, whose, e, Named, by)
}

// meant refuses an enrolment that may not be the one which the administrator and the person spoke about.
func (f *Factors) meant(whose access.PersonID, e Enrolment, word string) error {
	if word == "" {
		if !e.Again {
			return nil
		}
		return &access.Refusal{Kind: access.ErrConflict, Code: "other_enrolment", Text: fmt.Sprintf(
			"This is not the second factor of %s that you were told of first: another took its place, so nothing was done. Whoever got into their chat account could have done that. "+
				"Speak to them again, face to face or on a call, and ask for the word that their page showed; then type `/elevate mfa confirm %s WORD`. If they do not know it, it is not theirs: let it lapse.", whose, whose)}
	}
	hidden, err := f.open(whose, e)
	if err != nil {
		return err
	}
	if typed, ok := Word(word); !ok || !same(hidden.Word, typed) {
		return &access.Refusal{Kind: access.ErrConflict, Code: "wrong_word", Text: fmt.Sprintf(
			"That is not the word of the second factor of %s that waits, so nothing was done. Did they read it from their page just now? Then somebody else has set up this one, with their chat account.", whose)}
	}
	return nil
}

// Reset takes away all that somebody proves things by, because they have lost it, when two administrators ask for it within
// an hour. It gives whether it is gone now.
func (f *Factors) Reset(ctx context.Context, by access.Actor, whose access.PersonID, proof access.Secret) (gone bool, err error) {
	if err := f.administers(ctx, by, whose, "reset"); err != nil {
		return false, err
	}
	stored, err := f.stored(ctx, whose)
	if err != nil {
		return false, err
	}
	if stored.none() {
		return false, &access.Refusal{Kind: access.ErrConflict, Code: access.CodeFactorMissing,
			Text: fmt.Sprintf("%s has no second factor. They set one up with `/elevate mfa`.", whose)}
	}
	if err := f.vouch(ctx, by, access.Act{Verb: "reset", Subject: string(whose) + " " + stored.mark()}, proof); err != nil {
		return false, err
	}
	second := stored.ResetBy != "" && stored.ResetBy != by.Person && f.now().Sub(stored.ResetAt) < resetLife
	if second && f.stillAdministers(ctx, stored.ResetBy) {
		ev := f.event(EventReset, by, whose)
		ev.Detail = map[string]string{"first": string(stored.ResetBy), "factor": stored.mark()}
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

// CommandLine is the way in of whoever holds the configuration and its keys, on record.
const CommandLine = "command line"

// Clear takes away all that somebody proves things by, in whatever state it is, on the word of whoever holds the
// configuration and its keys. It is the way out where no administrators are left who could reset it. It gives what there
// was, and how it was not believed; a dry run changes nothing.
func (f *Factors) Clear(ctx context.Context, by access.Actor, whose access.PersonID, dry bool) (was Stored, how string, err error) {
	if _, err := f.target(ctx, whose); err != nil {
		return was, "", err
	}
	if was, how, err = f.cfg.Store.Glance(ctx, whose); err != nil {
		return was, how, unavailable(err)
	}
	missing := &access.Refusal{Kind: access.ErrConflict, Code: access.CodeFactorMissing,
		Text: fmt.Sprintf("%s has no second factor to take away. They set one up with `/elevate mfa`; an administrator confirms it.", whose)}
	switch {
	case how == Gone, how == "" && was.none():
		return was, how, missing
	case dry:
		return was, how, nil
	}
	ev := f.event(EventReset, by, whose)
	ev.Detail = map[string]string{"factor": was.mark()}
	gone, err := f.cfg.Store.Clear(ctx, whose, ev)
	switch {
	case err != nil:
		return was, how, unavailable(err)
	case !gone:
		return was, how, missing
	}
	f.tell(ctx, Notice{Event: EventReset, ID: was.ID, Person: whose, By: by})
	return was, how, nil
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
	_, err = f.target(ctx, whose)
	return err
}

// target finds whose factor it is. Nothing depends on their groups, so that nobody can tell them now is no matter.
func (f *Factors) target(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := f.person(ctx, id)
	if r, ok := f.cfg.Directory.(roll); ok && errors.Is(err, access.ErrUnavailable) {
		p, err = r.Known(ctx, id)
		return p, strange(id, err)
	}
	return p, err
}

func (f *Factors) person(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := f.cfg.Directory.Person(ctx, id)
	return p, strange(id, err)
}

// strange refuses whom the directory did not find.
func strange(id access.PersonID, err error) error {
	switch {
	case errors.Is(err, access.ErrNotFound):
		return &access.Refusal{Kind: access.ErrNotFound, Code: "unknown_person",
			Text: fmt.Sprintf("The directory knows nobody called %q. Write the person's id, as cards show it.", id)}
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// vouch has an administrator prove their own factor. The first ones of all have none to prove, and the first ones after
// Elevate has moved to another host have none that could.
func (f *Factors) vouch(ctx context.Context, by access.Actor, act access.Act, proof access.Secret) error {
	stored, err := f.stored(ctx, by.Person)
	if err != nil {
		return err
	}
	host := f.stranded(ctx, by.Person, stored)
	if host == "" && !stored.none() {
		_, err := f.self(ctx, by, stored, act, proof)
		return wayOut(err)
	}
	proven, err := f.proven(ctx)
	switch {
	case err != nil || !proven:
		return err
	case host != "":
		return moved(host)
	}
	return wayOut(f.usable(stored))
}

// wayOut says to an administrator whose own factor is in the way what is left when those of too many are.
func wayOut(err error) error {
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != access.CodeFactorLocked && r.Code != access.CodeFactorMissing && r.Code != codeUnreadable {
		return err
	}
	told := *r
	told.Text += " Are too few administrators left whose factors work? Then whoever is root where Elevate runs resets them there: `elevate mfa reset PERSON`."
	return &told
}

// stranded gives the host of somebody's keys where those are all they have, and none is of this one.
func (f *Factors) stranded(ctx context.Context, p access.PersonID, stored Stored) (host string) {
	if stored.ID != "" {
		return ""
	}
	return f.elsewhere(ctx, p, stored)
}

// proven tells whether an administrator has a factor. Whoever has one is asked for by name: lists may leave groups out.
func (f *Factors) proven(ctx context.Context) (bool, error) {
	people, err := f.everybody(ctx)
	if err != nil {
		return false, unavailable(err)
	}
	var unsure error
	for _, p := range people {
		theirs, err := f.stored(ctx, p.ID)
		if err != nil {
			return false, err
		}
		if theirs.none() || f.stranded(ctx, p.ID, theirs) != "" {
			continue
		}
		q, err := f.cfg.Directory.Person(ctx, p.ID)
		switch {
		case f.cfg.Administrator(p), err == nil && f.cfg.Administrator(q):
			return true, nil
		case err != nil && !errors.Is(err, access.ErrNotFound) && !errors.Is(err, access.ErrNotAllowed): // those may do nothing now
			unsure = unavailable(err)
		}
	}
	return false, unsure
}
