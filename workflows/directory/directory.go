// Package directory knows people: who they are, which chat accounts are theirs, and which groups they are in now. A
// Directory is what the configuration says; a Live one asks beside it for links that people made themselves, for what a
// chat has confirmed, and for groups that are kept elsewhere. Whatever is linked to two people is linked to nobody here.
// Saying so to the operator, with the line, is for the configuration.
package directory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"elevate/workflows/access"
)

// Entry is a person with the chat accounts linked to them.
type Entry struct {
	Person access.Person
	Chats  map[string]string // chat (slack, teams, web) → the account's id there
	// Subject is what the identity provider calls the person; empty where nobody has written it down.
	Subject string
	// Object is the id of the person's account in the tenant; empty: none is looked up.
	Object string
}

type account struct{ chat, id string }

// Directory is people by everything that names them. It never changes, and is safe for concurrent use.
type Directory struct {
	people   []access.Person // by id
	byID     map[access.PersonID]access.Person
	accounts map[access.PersonID]map[string]string
	byChat   map[account][]access.PersonID
	// subjects has what the identity provider calls people; bySubject and byEmail the people of one subject or address.
	subjects  map[access.PersonID]string
	bySubject map[string][]access.PersonID
	byEmail   map[string][]access.PersonID
	// objects has people's accounts in the tenant, in small letters; byObject the people of one.
	objects  map[access.PersonID]string
	byObject map[string][]access.PersonID
}

// New makes a directory of entries.
func New(entries []Entry) *Directory {
	d := &Directory{
		byID:     map[access.PersonID]access.Person{},
		accounts: map[access.PersonID]map[string]string{},
		byChat:   map[account][]access.PersonID{},
		subjects: map[access.PersonID]string{}, bySubject: map[string][]access.PersonID{}, byEmail: map[string][]access.PersonID{},
		objects: map[access.PersonID]string{}, byObject: map[string][]access.PersonID{},
	}
	count := map[access.PersonID]int{}
	for _, e := range entries {
		count[e.Person.ID]++
	}
	for _, e := range entries {
		id := e.Person.ID
		if id == "" || count[id] > 1 {
			continue // nobody can say which of them it is
		}
		p := clone(e.Person)
		if p.Kind == "" {
			p.Kind = access.Human
		}
		d.people = append(d.people, p)
		d.byID[id] = p
		d.accounts[id] = map[string]string{}
		d.identify(p, e.Subject)
		if object := strings.ToLower(e.Object); object != "" {
			d.objects[id] = object
			d.byObject[object] = append(d.byObject[object], id)
		}
		for chat, a := range e.Chats {
			if a != "" {
				d.accounts[id][chat] = a
				key := chatAccount(chat, a)
				d.byChat[key] = append(d.byChat[key], id)
			}
		}
	}
	slices.SortFunc(d.people, func(a, b access.Person) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return d
}

// identify notes what else than chat accounts names somebody. Programs sign in nowhere, and share mailboxes.
func (d *Directory) identify(p access.Person, subject string) {
	if subject != "" {
		d.subjects[p.ID] = subject
		d.bySubject[subject] = append(d.bySubject[subject], p.ID)
	}
	if p.Email != "" && p.Kind == access.Human {
		d.byEmail[address(p.Email)] = append(d.byEmail[address(p.Email)], p.ID)
	}
}

// address is an e-mail address as it is compared: in small letters, of which only ASCII has any. What folds to the same
// letters otherwise, such as the Kelvin sign, is another address.
func address(email string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}

// OwnerOf is the one person that an account is written down for; "" where there is none.
func (d *Directory) OwnerOf(chat, id string) access.PersonID {
	if owners := d.byChat[chatAccount(chat, id)]; len(owners) > 0 {
		return owners[0]
	}
	return ""
}

// WrittenAccount is the account that is written down for a person in a chat; "" where there is none.
func (d *Directory) WrittenAccount(id access.PersonID, chat string) string {
	return d.accounts[id][chat]
}

// chatAccount is how an account is looked up. Teams' ids are GUIDs, which are written in either case.
func chatAccount(chat, id string) account {
	if chat == "teams" {
		id = strings.ToLower(id)
	}
	return account{chat, id}
}

// Person finds somebody by id.
func (d *Directory) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	p, ok := d.byID[id]
	if !ok {
		return access.Person{}, fmt.Errorf("person %q: %w", id, access.ErrNotFound)
	}
	return clone(p), nil
}

// ByAccount finds the one person that a chat account is linked to.
func (d *Directory) ByAccount(ctx context.Context, chat, id string) (access.Person, error) {
	switch owners := d.byChat[chatAccount(chat, id)]; len(owners) {
	case 0:
		return access.Person{}, fmt.Errorf("%s account %q is linked to nobody: %w", chat, id, access.ErrNotFound)
	case 1:
		return d.Person(ctx, owners[0])
	default:
		return access.Person{}, fmt.Errorf("%s account %q is linked to %d people: %w", chat, id, len(owners), access.ErrNotFound)
	}
}

// AccountOf is the person's account in a chat.
func (d *Directory) AccountOf(_ context.Context, id access.PersonID, chat string) (string, error) {
	if a := d.accounts[id][chat]; a != "" && len(d.byChat[chatAccount(chat, a)]) == 1 {
		return a, nil
	}
	return "", fmt.Errorf("person %q has no %s account: %w", id, chat, access.ErrNotFound)
}

// People lists everybody, by id.
func (d *Directory) People(context.Context) ([]access.Person, error) {
	out := make([]access.Person, len(d.people))
	for i, p := range d.people {
		out[i] = clone(p)
	}
	return out, nil
}

// clone keeps callers from changing what others read.
func clone(p access.Person) access.Person {
	p.Groups = slices.Clone(p.Groups)
	p.Accounts = maps.Clone(p.Accounts)
	return p
}
