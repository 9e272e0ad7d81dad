// Package directory knows people from the configuration: who they are, and which chat accounts are theirs.
// Whatever is linked to two people is linked to nobody here. Saying so to the operator, with the line, is for the
// configuration.
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
}

type account struct{ chat, id string }

// Directory is people by everything that names them. It never changes, and is safe for concurrent use.
type Directory struct {
	people   []access.Person // by id
	byID     map[access.PersonID]access.Person
	accounts map[access.PersonID]map[string]string
	byChat   map[account][]access.PersonID
}

// New makes a directory of entries.
func New(entries []Entry) *Directory {
	d := &Directory{
		byID:     map[access.PersonID]access.Person{},
		accounts: map[access.PersonID]map[string]string{},
		byChat:   map[account][]access.PersonID{},
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
