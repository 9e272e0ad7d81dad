package factor

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"elevate/workflows/access"
)

// longestLabel bounds what people call a key, in characters.
const longestLabel = 40

// mostKeys is how many keys one person may have.
const mostKeys = 10

// KeyPage is what the page that registers a key needs, once.
type KeyPage struct {
	Person  access.Person
	Options []byte        // for the browser: PublicKeyCredentialCreationOptionsJSON
	Ticket  access.Secret // comes back with the key
}

// HasKeys tells whether there are security keys here.
func (f *Factors) HasKeys() bool { return f.cfg.Party != nil }

// ShowKey asks whoever follows the link first for a key, and nobody after.
func (f *Factors) ShowKey(ctx context.Context, token access.Secret, v Visit) (KeyPage, error) {
	p, e, err := f.follow(ctx, token, v, Opened)
	if err != nil {
		return KeyPage{}, err
	}
	if f.cfg.Party == nil {
		return KeyPage{}, ErrLink
	}
	hidden, err := f.open(p.ID, e)
	if err != nil {
		return KeyPage{}, err
	}
	options, err := f.askNew(ctx, p, hidden)
	if err != nil {
		return KeyPage{}, err
	}
	ticket, err := f.shown(ctx, p, e, v)
	if err != nil {
		return KeyPage{}, err
	}
	return KeyPage{Person: p, Options: options, Ticket: ticket}, nil
}

// AgainKey asks for a key once more, after one that did not count.
func (f *Factors) AgainKey(ctx context.Context, token, ticket access.Secret, v Visit) (KeyPage, error) {
	p, _, hidden, err := f.resume(ctx, token, ticket, v)
	if err != nil {
		return KeyPage{}, err
	}
	options, err := f.askNew(ctx, p, hidden)
	return KeyPage{Person: p, Options: options, Ticket: ticket}, err
}

// askNew is what a browser needs to make one more key for a person.
func (f *Factors) askNew(ctx context.Context, p access.Person, hidden secrets) ([]byte, error) {
	stored, err := f.stored(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if len(stored.Keys) >= mostKeys {
		return nil, &access.Refusal{Kind: access.ErrConflict, Code: "many_keys",
			Text: fmt.Sprintf("You have %d security keys, and more than that nobody keeps track of. Remove one with `/elevate mfa` first.", mostKeys)}
	}
	_, has, err := f.keysOf(ctx, p.ID, stored, all)
	if err != nil {
		return nil, err
	}
	options, err := f.cfg.Party.Register(hidden.Challenge, p, has)
	if err != nil {
		return nil, unavailable(err)
	}
	return options, nil
}

func all(StoredKey) bool { return true }

// MatchKey takes the key that the browser made, and what its owner calls it, and gives the word to type in chat. ErrLink
// where the page is too old or was tried too often; a refusal where the key does not count and may be tried again.
func (f *Factors) MatchKey(ctx context.Context, token, ticket access.Secret, answer, label string, v Visit) (word string, err error) {
	p, e, hidden, err := f.resume(ctx, token, ticket, v)
	if err != nil {
		return "", err
	}
	if f.cfg.Party == nil {
		return "", ErrLink
	}
	stored, err := f.stored(ctx, p.ID)
	if err != nil {
		return "", err
	}
	_, has, err := f.keysOf(ctx, p.ID, stored, all)
	if err != nil {
		return "", err
	}
	key, count, err := f.cfg.Party.Registered(hidden.Challenge, p, has, []byte(answer))
	if err != nil {
		f.log.WarnContext(ctx, "a security key was not taken", "person", p.ID, "err", err)
		return "", f.stray(ctx, p.ID, e, visitor(p, v), refusal(access.ErrInvalid, access.CodeProofWrong,
			"That is no new key that Elevate could take: it has to check its PIN, your finger or your face, and must not be one that you have here already."), ErrLink)
	}
	if e.Vouched == byFactor { // a code does not make what is stronger than a code
		e.Vouched = ""
	}
	hidden.Key, e.Kind, e.Counter = &held{Key: key, Label: labelled(label), Host: f.cfg.Party.Host()}, access.WebAuthn, int64(count)
	if err := f.hide(p.ID, &e, hidden); err != nil {
		return "", err
	}
	return f.proved(ctx, p, e, hidden, v)
}

// labelled is what somebody calls a key, as far as it is letters and digits: others read it too.
func labelled(text string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._'()+& ", r) {
			return r
		}
		return -1
	}, text)
	clean := []rune(strings.Join(strings.Fields(plain), " "))
	return strings.TrimSpace(string(clean[:min(len(clean), longestLabel)]))
}
