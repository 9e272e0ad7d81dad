// Package directory knows people from the configuration: who they are, which chat accounts are theirs, and whose an API
// token is. Whatever is linked to two people is linked to nobody here. Saying so to the operator, with the line, is
// for the configuration.
package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// Token is an API token of a person or service account.
type Token struct {
	Name   string
	Person access.PersonID
	Hash   string // as HashToken gives it
}

const hashPrefix = "sha256:"

// HashToken is what is kept of a token. Tokens are long and random, so one round of SHA-256 is enough: there is nothing
// to guess.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// CheckHash tells whether a text is what HashToken gives.
func CheckHash(hash string) error {
	digits, ok := strings.CutPrefix(hash, hashPrefix)
	if _, err := hex.DecodeString(digits); !ok || err != nil || len(digits) != 2*sha256.Size || digits != strings.ToLower(digits) {
		return fmt.Errorf("write %s and the %d lower-case hexadecimal digits that sha256sum prints for the token", hashPrefix, 2*sha256.Size)
	}
	return nil
}

type account struct{ chat, id string }

// Directory is people by everything that names them. It never changes, and is safe for concurrent use.
type Directory struct {
	people   []access.Person // by id
	byID     map[access.PersonID]access.Person
	accounts map[access.PersonID]map[string]string
	byChat   map[account][]access.PersonID
	byToken  map[string][]Token
}

// New makes a directory of entries and tokens.
func New(entries []Entry, tokens []Token) *Directory {
	d := &Directory{
		byID:     map[access.PersonID]access.Person{},
		accounts: map[access.PersonID]map[string]string{},
		byChat:   map[account][]access.PersonID{},
		byToken:  map[string][]Token{},
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
	for _, t := range tokens {
		d.byToken[t.Hash] = append(d.byToken[t.Hash], t)
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

// ByToken finds whose an API token is, and the token's name. The error is access.ErrNotFound (wrapped) for a token
// that is nobody's, and says nothing of the token.
func (d *Directory) ByToken(ctx context.Context, token string) (access.Person, string, error) {
	// Looking up the hash tells nothing by how long it takes: who can choose a token cannot choose its hash.
	found := d.byToken[HashToken(token)]
	if token == "" || len(found) != 1 {
		return access.Person{}, "", fmt.Errorf("API token: %w", access.ErrNotFound)
	}
	p, err := d.Person(ctx, found[0].Person)
	if err != nil {
		return access.Person{}, "", fmt.Errorf("API token %q: %w", found[0].Name, err)
	}
	return p, found[0].Name, nil
}

// clone keeps callers from changing what others read.
func clone(p access.Person) access.Person {
	p.Groups = slices.Clone(p.Groups)
	p.Accounts = maps.Clone(p.Accounts)
	return p
}
