package directory

import (
	"context"
	"errors"
	"fmt"

	"elevate/workflows/access"
)

// byEmail finds the person whose address the chat has confirmed for an account. link is what was believed before, nil at
// first; where what it rested on has changed, it is suspended.
func (l *Live) byEmail(ctx context.Context, key account, link *access.Link) (access.PersonID, error) {
	chat := l.cfg.Emails[key.chat]
	if chat == nil {
		return "", fmt.Errorf("%s account %q is linked to nobody: %w", key.chat, key.id, access.ErrNotFound)
	}
	if link != nil && !link.Suspended.IsZero() {
		return "", l.suspended(ctx, *link)
	}
	ask := func() (access.Profile, error) {
		return l.profiles.get(ctx, key.chat+" "+key.id, func(ctx context.Context) (access.Profile, error) { return chat.Profile(ctx, key.id) })
	}
	seen, err := ask()
	if err != nil {
		return "", fmt.Errorf("%s account %q: %w", key.chat, key.id, err)
	}
	if link == nil {
		if link, err = l.believe(ctx, key, seen); err != nil {
			return "", err
		}
	}
	switch {
	case link.Kind == access.LinkOIDC: // made in this moment
		return link.Person, l.stands(*link)
	case l.writtenOtherwise(*link):
		return "", fmt.Errorf("%s account %q was taken for that of %s, whose account is another: %w", key.chat, key.id, link.Person, access.ErrNotFound)
	}
	why, err := l.changed(ctx, *link, seen)
	if err == nil && why != "" { // what was seen may be from before an administrator vouched for it
		l.profiles.forget(key.chat + " " + key.id)
		if seen, err = ask(); err == nil {
			why, err = l.changed(ctx, *link, seen)
		}
	}
	if err != nil {
		return "", err
	}
	if why == "" {
		return link.Person, nil
	}
	if err := l.cfg.Ledger.Suspend(ctx, *link, why); err != nil {
		return "", err
	}
	link.Why = why
	return "", l.suspended(ctx, *link)
}

// believe takes an account for that of the one person who has its address.
func (l *Live) believe(ctx context.Context, key account, seen access.Profile) (*access.Link, error) {
	people := l.cfg.People.byEmail[address(seen.Email)]
	switch {
	case seen.Email == "" || !seen.Confirmed:
		return nil, fmt.Errorf("%s account %q has no confirmed e-mail address: %w", key.chat, key.id, access.ErrNotFound)
	case len(people) != 1:
		return nil, fmt.Errorf("the e-mail address of %s account %q is that of %d people: %w", key.chat, key.id, len(people), access.ErrNotFound)
	case l.cfg.People.accounts[people[0]][key.chat] != "":
		return nil, fmt.Errorf("%s account %q has the e-mail address of %s, whose account is another: %w", key.chat, key.id, people[0], access.ErrNotFound)
	}
	link, err := l.cfg.Ledger.Believe(ctx, access.Link{Chat: key.chat, Account: key.id, Person: people[0], Email: address(seen.Email), Name: seen.Name})
	if err == nil && link == nil {
		err = fmt.Errorf("%s account %q is linked to nobody: %w", key.chat, key.id, access.ErrNotFound)
	}
	return link, err
}

// changed says what a link rests on no more; "" where it stands.
func (l *Live) changed(ctx context.Context, link access.Link, seen access.Profile) (string, error) {
	p, err := l.cfg.People.Person(ctx, link.Person)
	switch {
	case err != nil:
		return "", err
	case address(seen.Email) != link.Email:
		return "the account's e-mail address changed", nil
	case !seen.Confirmed:
		return "the account's e-mail address is not confirmed any more", nil
	case seen.Name != link.Name:
		return "the account's name changed", nil
	case link.Confirmed == "" && address(p.Email) != link.Email:
		return "the person's e-mail address in the directory changed", nil
	}
	return "", nil
}

// suspended refuses somebody whose link is suspended.
func (l *Live) suspended(ctx context.Context, link access.Link) error {
	p, err := l.cfg.People.Person(ctx, link.Person)
	if err != nil {
		return err
	}
	way := fmt.Sprintf("Ask an administrator to check that it is yours and to type `/elevate link confirm %s`.", p.ID)
	switch {
	case link.Kind == access.LinkOIDC:
		way = "Type `/elevate link` and sign in again."
	case l.cfg.Issuer != "":
		way = fmt.Sprintf("Type `/elevate link` and sign in to show that it is yours, or ask an administrator to type `/elevate link confirm %s`.", p.ID)
	}
	return &access.Refusal{Kind: access.ErrNotAllowed, Code: "link_suspended",
		Text: fmt.Sprintf("This account counts as %s's no more, because %s. Nothing was done. %s", p.DisplayName(), link.Why, way)}
}

// emailed finds the account that has a person's address; "" where there is none.
func (l *Live) emailed(ctx context.Context, id access.PersonID, chat string) (string, error) {
	p, err := l.cfg.People.Person(ctx, id)
	if err != nil || p.Email == "" || p.Kind != access.Human {
		return "", err
	}
	seen, err := l.emails.get(ctx, chat+" "+address(p.Email), func(ctx context.Context) (access.Profile, error) {
		seen, err := l.cfg.Emails[chat].ByEmail(ctx, p.Email)
		if errors.Is(err, access.ErrNotFound) {
			return access.Profile{}, nil
		}
		return seen, err
	})
	if err != nil {
		return "", fmt.Errorf("find %s in %s: %w", id, chat, err)
	}
	return seen.Account, nil
}

// Seen is the address and the name that a chat has for an account now, for an administrator to vouch for.
func (l *Live) Seen(ctx context.Context, chat, id string) (email, name string, err error) {
	if l.cfg.Emails[chat] == nil {
		return "", "", fmt.Errorf("e-mail addresses do not count in %s: %w", chat, access.ErrNotFound)
	}
	seen, err := l.cfg.Emails[chat].Profile(ctx, id)
	if err == nil && (seen.Email == "" || !seen.Confirmed) {
		err = &access.Refusal{Kind: access.ErrNotAllowed, Code: "unconfirmed_email", Text: "The account has no confirmed e-mail address now, so it cannot be confirmed as anybody's."}
	}
	return address(seen.Email), seen.Name, err
}
