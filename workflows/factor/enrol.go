package factor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"elevate/workflows/access"
)

const (
	// linkLife is how long an enrolment may take, from the link to the word.
	linkLife = 10 * time.Minute
	// confirmLife is how long an administrator may take.
	confirmLife = 24 * time.Hour
	// namedLife is how long it is known what the administrators were told of: longer than they may still have it in mind.
	namedLife = 7 * 24 * time.Hour
	// strays is how many wrong tries end an enrolment.
	strays = 5
	// wordLength is that of the word which the page shows: 30 bits, for one person, ten minutes and five tries.
	wordLength = 6
	// What vouches for an enrolment beside an administrator.
	byFactor = "factor" // a code of their app
	byKey    = "key"
	bySignIn = "sign-in"
)

// alphabet is that of request ids, in capitals: nothing in it is mistaken for anything else.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// secrets are what an enrolment keeps sealed.
type secrets struct {
	Seed      string `json:"seed"`
	Word      string `json:"word"`
	Challenge []byte `json:"challenge,omitempty"` // for a key
	Key       *held  `json:"key,omitempty"`       // from Proved on, where it is one
}

// Begin gives somebody the link to a page that sets up a factor: an app in the place of any other, or one more key. Whoever
// has a factor proves it first.
func (f *Factors) Begin(ctx context.Context, by access.Actor, proof access.Secret) (link access.Secret, err error) {
	stored, err := f.stored(ctx, by.Person)
	if err != nil {
		return link, err
	}
	e := Enrolment{ID: rand.Text(), Step: Opened}
	if !stored.none() {
		if e.Vouched, err = f.self(ctx, by, stored, access.Act{Verb: "replace", Subject: stored.mark()}, proof); err != nil {
			return link, err
		}
	}
	token := rand.Text() + rand.Text() // 260 bits
	e.Link = hash(token)
	challenge := make([]byte, 32)
	_, _ = rand.Read(challenge) // never fails: crypto/rand ends the program instead
	if err := f.hide(by.Person, &e, secrets{Seed: newSeed().Reveal(), Word: newWord(), Challenge: challenge}); err != nil {
		return link, err
	}
	if err := f.cfg.Store.Enrol(ctx, by.Person, e, linkLife, f.event(EventLink, by, by.Person)); err != nil {
		return link, unavailable(err)
	}
	if err := f.cfg.Store.Put(ctx, linkKey(e.Link), []byte(by.Person), linkLife); err != nil {
		return link, unavailable(err)
	}
	return access.NewSecret(f.cfg.PageURL + token), nil
}

// hide seals an enrolment's secrets into it.
func (f *Factors) hide(p access.PersonID, e *Enrolment, s secrets) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write an enrolment: %w", err)
	}
	e.Sealed = f.box.Seal(access.NewSecret(string(text)), string(p), "enrolment", e.ID)
	return nil
}

func newWord() string {
	raw := make([]byte, wordLength)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	for i := range raw {
		raw[i] = alphabet[raw[i]%32]
	}
	return string(raw)
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func linkKey(link string) string { return "factor:link:" + link }

// same compares what must not be guessed letter by letter.
func same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// ErrLink says that a link leads nowhere: it is none of ours, too old, or was followed to its end.
var ErrLink = errors.New("no such link, or no longer")

// Visit is who follows a link, as far as the page can tell.
type Visit struct {
	Address string
	// SignedIn is whom a sign-in in front of the page found; empty: there is none in front of it.
	SignedIn access.PersonID
}

// Look tells whom a link is for. It changes nothing: programs look at links too.
func (f *Factors) Look(ctx context.Context, token access.Secret, v Visit) (access.Person, error) {
	p, _, err := f.follow(ctx, token, v, Opened)
	return p, err
}

// follow finds the enrolment of a link, where it stands at a step.
func (f *Factors) follow(ctx context.Context, token access.Secret, v Visit, at Step) (access.Person, Enrolment, error) {
	link := hash(token.Reveal())
	id, err := f.cfg.Store.Recall(ctx, linkKey(link))
	if err != nil {
		return access.Person{}, Enrolment{}, unavailable(err)
	}
	if id == nil {
		return access.Person{}, Enrolment{}, ErrLink
	}
	e, err := f.enrolment(ctx, access.PersonID(id))
	if err != nil {
		return access.Person{}, e, err
	}
	if !same(e.Link, link) || e.Step != at || v.SignedIn != "" && v.SignedIn != access.PersonID(id) {
		return access.Person{}, e, ErrLink
	}
	p, err := f.target(ctx, access.PersonID(id))
	switch {
	case errors.Is(err, access.ErrNotFound):
		return p, e, ErrLink
	case err != nil:
		return p, e, unavailable(err)
	}
	return p, e, nil
}

// Page is what is shown once.
type Page struct {
	Person  access.Person
	Seed    access.Secret // to type into an app, in base32
	Picture access.Secret // the same as a QR code, PNG
	Ticket  access.Secret // comes back with the code
}

// Show gives the seed to whoever follows the link first, and to nobody after.
func (f *Factors) Show(ctx context.Context, token access.Secret, v Visit) (Page, error) {
	p, e, err := f.follow(ctx, token, v, Opened)
	if err != nil {
		return Page{}, err
	}
	hidden, err := f.open(p.ID, e)
	if err != nil {
		return Page{}, err
	}
	image, err := picture(f.cfg.Issuer, p.ID, access.NewSecret(hidden.Seed))
	if err != nil {
		return Page{}, err
	}
	ticket, err := f.shown(ctx, p, e, v)
	if err != nil {
		return Page{}, err
	}
	return Page{Person: p, Seed: access.NewSecret(hidden.Seed), Picture: image, Ticket: ticket}, nil
}

// shown moves an enrolment on, and gives the ticket that goes on from there.
func (f *Factors) shown(ctx context.Context, p access.Person, e Enrolment, v Visit) (access.Secret, error) {
	ticket := rand.Text()
	e.Step, e.Ticket = Shown, hash(ticket)
	if v.SignedIn != "" && e.Vouched == "" { // whoever has proved a factor has more than a first one to gain: a sign-in adds nothing to that
		e.Vouched = bySignIn
	}
	moved, err := f.cfg.Store.Advance(ctx, p.ID, Opened, e, 0, f.event(EventShown, visitor(p, v), p.ID))
	switch {
	case err != nil:
		return access.Secret{}, unavailable(err)
	case !moved:
		return access.Secret{}, ErrLink
	}
	return access.NewSecret(ticket), nil
}

// visitor is whoever is at the page: the link says who that should be, and no more.
func visitor(p access.Person, v Visit) access.Actor {
	return access.Actor{Person: p.ID, Via: "page", Address: v.Address}
}

func (f *Factors) open(p access.PersonID, e Enrolment) (secrets, error) {
	var hidden secrets
	text, err := f.box.Open(e.Sealed, string(p), "enrolment", e.ID)
	if err == nil {
		err = json.Unmarshal([]byte(text.Reveal()), &hidden)
	}
	if err != nil {
		return hidden, unavailable(errors.New("an enrolment does not open: " + seedless(err)))
	}
	return hidden, nil
}

// seedless is an error without what a reader of JSON may quote.
func seedless(err error) string {
	if errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		return "it is no JSON"
	}
	return err.Error()
}

// resume finds an enrolment that a page goes on with.
func (f *Factors) resume(ctx context.Context, token, ticket access.Secret, v Visit) (access.Person, Enrolment, secrets, error) {
	p, e, err := f.follow(ctx, token, v, Shown)
	if err != nil {
		return p, e, secrets{}, err
	}
	if !same(e.Ticket, hash(ticket.Reveal())) {
		return p, e, secrets{}, ErrLink
	}
	hidden, err := f.open(p.ID, e)
	return p, e, hidden, err
}

// Match takes a code of the new app on the page, and gives the word to type in chat. ErrLink where the page is too old
// or was tried too often; a refusal where the code is wrong and may be tried again.
func (f *Factors) Match(ctx context.Context, token, ticket, code access.Secret, v Visit) (word string, err error) {
	p, e, hidden, err := f.resume(ctx, token, ticket, v)
	if err != nil {
		return "", err
	}
	digits, ok := sixDigits(code)
	if !ok {
		return "", refusal(access.ErrInvalid, access.CodeProofWrong, "A code has six digits. Write what your app shows now.")
	}
	step, ok, err := match(access.NewSecret(hidden.Seed), digits, f.now(), f.skew)
	if err != nil {
		return "", unavailable(err)
	}
	if !ok {
		return "", f.stray(ctx, p.ID, e, visitor(p, v), refusal(access.ErrInvalid, access.CodeProofWrong,
			"That is not the code of this key. Wait until your app shows the next one, and look that the clock of your phone is right."), ErrLink)
	}
	e.Kind, e.Counter = access.TOTP, step
	return f.proved(ctx, p, e, hidden, v)
}

// proved moves an enrolment on to the word.
func (f *Factors) proved(ctx context.Context, p access.Person, e Enrolment, hidden secrets, v Visit) (word string, err error) {
	e.Step = Proved
	ev := f.event(EventProved, visitor(p, v), p.ID)
	ev.Detail = map[string]string{"method": string(e.Kind)}
	moved, err := f.cfg.Store.Advance(ctx, p.ID, Shown, e, 0, ev)
	switch {
	case err != nil:
		return "", unavailable(err)
	case !moved:
		return "", ErrLink
	}
	return hidden.Word[:wordLength/2] + "-" + hidden.Word[wordLength/2:], nil
}

// stray counts a wrong try: again while there are some left, over after the last.
func (f *Factors) stray(ctx context.Context, p access.PersonID, e Enrolment, by access.Actor, again, over error) error {
	left, err := f.cfg.Store.Stray(ctx, p, e.ID, strays, f.event(EventStray, by, p))
	switch {
	case err != nil:
		return unavailable(err)
	case !left:
		return over
	}
	return again
}

// Word tells whether a text could be a page's word, and gives it without what people put into it.
func Word(text string) (string, bool) {
	w := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.TrimSpace(text)))
	if len(w) != wordLength || strings.Trim(w, alphabet) != "" {
		return "", false
	}
	return w, true
}

// Name takes the word that the page showed, typed in chat: whoever sees the page has the chat account too. It gives
// whether the factor counts now; otherwise an administrator is asked to confirm it.
func (f *Factors) Name(ctx context.Context, by access.Actor, typed string) (set bool, err error) {
	e, err := f.enrolment(ctx, by.Person)
	if err != nil {
		return false, err
	}
	if e.Step != Proved {
		return false, &access.Refusal{Kind: access.ErrConflict, Code: "no_enrolment",
			Text: "There is nothing that this word would confirm: links are good for ten minutes. Use `/elevate mfa` for a new one."}
	}
	hidden, err := f.open(by.Person, e)
	if err != nil {
		return false, err
	}
	word, ok := Word(typed)
	if !ok || !same(hidden.Word, word) {
		wrong := &access.Refusal{Kind: access.ErrInvalid, Code: "wrong_word", Text: "That is not the word on your page. Look again, and type `/elevate mfa WORD`."}
		over := &access.Refusal{Kind: access.ErrConflict, Code: "wrong_word",
			Text: "That is not the word on your page, and it was tried too often. Use `/elevate mfa` for a new link. If the page was not yours, tell an administrator."}
		return false, f.stray(ctx, by.Person, e, by, wrong, over)
	}
	if e.Vouched == bySignIn { // it stands for the administrator's word where there was no factor, and not where one went: a code alone takes it away
		stored, err := f.stored(ctx, by.Person)
		if err != nil {
			return false, err
		}
		if stored.Lost || stored.Removed {
			e.Vouched = ""
		}
	}
	if e.Vouched != "" {
		return true, f.set(ctx, by.Person, e, Proved, by)
	}
	e.Step = Named
	if e.Again, err = f.again(ctx, by.Person, e.ID); err != nil {
		return false, err
	}
	moved, err := f.cfg.Store.Advance(ctx, by.Person, Proved, e, confirmLife, f.event(EventNamed, by, by.Person))
	switch {
	case err != nil:
		return false, unavailable(err)
	case !moved:
		return false, moving()
	}
	f.tell(ctx, Notice{Event: EventNamed, ID: e.ID, Person: by.Person, By: by, Waits: true, Again: e.Again})
	return false, nil
}

func namedKey(p access.PersonID) string { return "factor:named:" + string(p) }

// again remembers the first enrolment that the administrators are told of, and tells whether this is another: they may have
// spoken to the person about the first, and somebody with the person's chat has put this one in its place.
func (f *Factors) again(ctx context.Context, p access.PersonID, id string) (bool, error) {
	first, err := f.cfg.Store.Recall(ctx, namedKey(p))
	if err != nil {
		return false, unavailable(err)
	}
	if len(first) == 0 {
		first = []byte(id)
	}
	if err := f.cfg.Store.Put(ctx, namedKey(p), first, namedLife); err != nil {
		return false, unavailable(err)
	}
	return string(first) != id, nil
}

// set makes the factor of an enrolment.
func (f *Factors) set(ctx context.Context, p access.PersonID, e Enrolment, from Step, by access.Actor) error {
	hidden, err := f.open(p, e)
	if err != nil {
		return err
	}
	stored, err := f.stored(ctx, p)
	if err != nil {
		return err
	}
	if stored.Doubted { // the store makes none either
		return &access.Refusal{Kind: access.ErrNotAllowed, Code: access.CodeFactorLocked, Text: fmt.Sprintf(
			"The second factor of %s was changed in Elevate's store, and not by Elevate, so no other is taken yet. Two administrators reset it first with `/elevate mfa reset %s`; then %s begins anew.", p, p, p)}
	}
	n := Notice{Event: EventSet, ID: e.ID, Person: p, By: by}
	ev := f.event(EventSet, by, p)
	ev.Detail = map[string]string{"factor": e.ID, "vouched": e.Vouched, "method": string(access.TOTP)}
	if e.Vouched == "" {
		ev.Detail["vouched"] = "administrator"
	}
	if e.Kind == access.WebAuthn {
		ev.Detail["method"], n.Key = string(access.WebAuthn), "security key"
		e.Sealed, err = f.sealKey(p, e.ID, hidden.Key)
	} else if err = checkSeed(access.NewSecret(hidden.Seed)); err == nil {
		e.Sealed = f.box.Seal(access.NewSecret(hidden.Seed), string(p), e.ID)
	}
	if err != nil {
		return unavailable(err)
	}
	made, err := f.cfg.Store.Confirm(ctx, p, e, from, f.now().UTC(), ev)
	switch {
	case err != nil:
		return unavailable(err)
	case !made:
		return moving()
	}
	if from == Named {
		if err := f.cfg.Store.Put(ctx, namedKey(p), nil, linkLife); err != nil { // the next one asks for its word then
			f.log.WarnContext(ctx, "it could not be forgotten that a second factor waited to be confirmed", "person", p, "err", err)
		}
	}
	f.tell(ctx, n)
	return nil
}

func moving() error {
	return &access.Refusal{Kind: access.ErrConflict, Code: "enrolment_moved", Text: "This was done already, or a newer link took its place. See `/elevate mfa`."}
}
