package factor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/passkey"
)

// actLife is how long an act waits for its key.
const actLife = 10 * time.Minute

// Keys proves acts by security keys and passkeys. A key signs a challenge that was made for one act of one person, so what
// it signed vouches for nothing else; and each challenge counts once.
type Keys struct{ f *Factors }

// Keys are everybody's security keys, as a factor that policies ask for. Nil where there are none here.
func (f *Factors) Keys() *Keys {
	if f.cfg.Party == nil {
		return nil
	}
	return &Keys{f}
}

// held is a key as it was registered, with the name that its owner gave it.
type held struct {
	passkey.Key
	Label string `json:"label,omitempty"`
	Host  string `json:"host,omitempty"` // that it signs for; empty: from before that was kept
}

// elsewhere gives the host of somebody's keys where all of those are of another one than this; empty where one may be of
// this, or they have none.
func (f *Factors) elsewhere(ctx context.Context, p access.PersonID, stored Stored) (host string) {
	for _, s := range stored.Keys {
		h, err := f.openKey(ctx, p, s)
		if err != nil || f.cfg.Party == nil || h.Host == "" || h.Host == f.cfg.Party.Host() {
			return ""
		}
		host = h.Host
	}
	return host
}

// moved refuses whoever has keys for another host alone.
func moved(host string) error {
	return refusal(access.ErrNotAllowed, access.CodeFactorMissing,
		"Your security keys are for %s, and Elevate has another address now, so none of them can sign here and nothing was done. Two administrators can reset them with `/elevate mfa reset`; then set up new ones.", host)
}

// waiting is what is kept, sealed, of an act that waits for a key.
type waiting struct {
	Act    access.Act      `json:"act"`
	By     access.Actor    `json:"by"`
	Record *access.Record  `json:"record,omitempty"`
	Errand json.RawMessage `json:"errand"`
	Nonce  string          `json:"nonce"`
	Until  time.Time       `json:"until"`
}

// challenge commits to the act: whoever has the signature, the nonce and the act can show that they belong together.
func (w waiting) challenge() []byte {
	h := sha256.New()
	for _, part := range []string{"elevate act", w.Nonce, string(w.By.Person), w.Act.Digest()} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// Signed is the proof that Keys take: a link's token, and what the browser says that a key signed.
func Signed(token access.Secret, answer string) access.Secret {
	return access.NewSecret(token.Reveal() + " " + answer)
}

// Prove accepts the signature of a person's key under one act, once, or refuses with the way out. Without a proof it says
// that one is asked for (*access.NeedsKey), or why none could help.
func (k *Keys) Prove(ctx context.Context, by access.Actor, act access.Act, proof access.Secret) error {
	stored, err := k.f.stored(ctx, by.Person)
	if err != nil {
		return err
	}
	if err := keyless(stored); err != nil {
		return err
	}
	if host := k.f.elsewhere(ctx, by.Person, stored); host != "" {
		return moved(host)
	}
	token, answer, _ := strings.Cut(proof.Reveal(), " ")
	if answer == "" { // a code, at most
		return &access.NeedsKey{Act: act, Refusal: refusal(access.ErrNotAllowed, access.CodeKeyMissing,
			"This needs your security key. Open the page that Elevate leads you to, and confirm it there.")}
	}
	id := hash(token)
	w, err := k.f.waits(ctx, by.Person, id)
	if err != nil {
		return err
	}
	switch {
	case w.By.Person != by.Person:
		return k.stray(ctx, by, id, "another person", over())
	case w.Act != act:
		return k.stray(ctx, by, id, "act_changed", &access.Refusal{Kind: access.ErrConflict, Code: "act_changed",
			Text: "What you confirmed is not what would be done now, so nothing was done. Look at it again, and begin anew."})
	}
	return k.sign(ctx, by, id, w, stored, []byte(answer))
}

// keyless refuses what no key of somebody's could help.
func keyless(s Stored) error {
	if err := doubted(s); err != nil {
		return err
	}
	switch {
	case len(s.Keys) == 0:
		return refusal(access.ErrNotAllowed, access.CodeFactorMissing,
			"This needs a security key or passkey, and you have none yet, so nothing was done. Set one up with `/elevate mfa new`, then try again.")
	case !slices.ContainsFunc(s.Keys, StoredKey.usable):
		return refusal(access.ErrNotAllowed, access.CodeFactorLocked,
			"Your security key is switched off, because a copy of it may exist, so nothing was done. Two administrators can reset it with `/elevate mfa reset`; then set up a new one.")
	}
	return nil
}

// sign checks a signature, and spends the challenge.
func (k *Keys) sign(ctx context.Context, by access.Actor, id string, w waiting, stored Stored, answer []byte) error {
	person, err := k.f.person(ctx, by.Person)
	if err != nil {
		return err
	}
	usable, keys, err := k.f.keysOf(ctx, by.Person, stored, StoredKey.usable)
	if err != nil {
		return err
	}
	which, count, err := k.f.cfg.Party.Signed(w.challenge(), person, keys, answer)
	if err != nil {
		return k.stray(ctx, by, id, err.Error(), refusal(access.ErrInvalid, access.CodeProofWrong,
			"That did not count: it was not signed by a key of yours, on this page, with its PIN, your finger or your face. Try again."))
	}
	key := usable[which]
	used, cloned, failed := k.f.event(EventKeyUsed, by, by.Person), k.f.event(EventKeyCloned, by, by.Person), k.f.event(EventKeyFailed, by, by.Person)
	used.Request, failed.Request, cloned.Request = w.Act.Request, w.Act.Request, w.Act.Request
	used.Detail = map[string]string{"verb": w.Act.Verb, "act": w.Act.Digest(), "factor": key.ID, "nonce": w.Nonce}
	cloned.Detail = map[string]string{"factor": key.ID, "count": fmt.Sprint(count), "expected": fmt.Sprintf("more than %d", key.Count)}
	failed.Detail = map[string]string{"why": "used already", "factor": key.ID}
	verdict, err := k.f.cfg.Store.Sign(ctx, by.Person, id, key.ID, int64(count), Signatures{Used: used, Cloned: cloned, Failed: failed})
	if err != nil {
		return unavailable(err)
	}
	switch verdict {
	case Accepted:
		return nil
	case Used:
		return over()
	case Cloned:
		k.f.tell(ctx, Notice{Event: EventKeyCloned, ID: key.ID, Person: by.Person, By: by})
		return refusal(access.ErrNotAllowed, access.CodeFactorLocked,
			"Your security key counts backwards, as a copy of it would, so nothing was done and it is switched off. Tell an administrator now.")
	}
	return refusal(access.ErrNotAllowed, access.CodeFactorMissing, "That key was taken away meanwhile, so nothing was done. See `/elevate mfa`.")
}

// over refuses what came too late.
func over() error {
	return &access.Refusal{Kind: access.ErrConflict, Code: "key_over", Err: ErrLink,
		Text: "This link is over: it was used, or ten minutes have passed. Begin anew where it came from."}
}

// stray puts a try that does not count on record. After the last one the link is over.
func (k *Keys) stray(ctx context.Context, by access.Actor, id, why string, again error) error {
	ev := k.f.event(EventKeyFailed, by, by.Person)
	ev.Detail = map[string]string{"why": why}
	left, err := k.f.cfg.Store.StrayAct(ctx, by.Person, id, strays, ev)
	switch {
	case err != nil:
		return unavailable(err)
	case !left && errors.Is(again, access.ErrInvalid):
		return over()
	}
	return again
}

// AskKey gives somebody the link to the page on which a key vouches for an act. errand is what is to be done then, in the
// words of whoever does it.
func (f *Factors) AskKey(ctx context.Context, by access.Actor, needs *access.NeedsKey, errand []byte) (link access.Secret, err error) {
	if f.cfg.Party == nil {
		return link, unavailable(errors.New("there are no security keys here"))
	}
	token := rand.Text() + rand.Text() // 260 bits
	id := hash(token)
	text, err := json.Marshal(waiting{Act: needs.Act, By: by, Record: needs.Record, Errand: errand, Nonce: rand.Text(), Until: f.now().Add(actLife).UTC()})
	if err != nil {
		return link, fmt.Errorf("write down an act: %w", err)
	}
	ev := f.event(EventKeyLink, by, by.Person)
	ev.Request, ev.Detail = needs.Act.Request, map[string]string{"verb": needs.Act.Verb, "act": needs.Act.Digest()}
	sealed := f.keyBox.Seal(access.NewSecret(string(text)), string(by.Person), "act", id)
	if err := f.cfg.Store.AwaitKey(ctx, by.Person, id, sealed, actLife, ev); err != nil {
		return link, unavailable(err)
	}
	if err := f.cfg.Store.Put(ctx, actKey(id), []byte(by.Person), actLife); err != nil {
		return link, unavailable(err)
	}
	return access.NewSecret(f.cfg.KeyURL + token), nil
}

func actKey(id string) string { return "factor:act:" + id }

// waits loads an act that waits for a person's key.
func (f *Factors) waits(ctx context.Context, p access.PersonID, id string) (waiting, error) {
	var w waiting
	sealed, err := f.cfg.Store.Awaiting(ctx, p, id)
	if err != nil {
		return w, unavailable(err)
	}
	if sealed == "" {
		return w, over()
	}
	text, err := f.keyBox.Open(sealed, string(p), "act", id)
	if err == nil {
		err = json.Unmarshal([]byte(text.Reveal()), &w)
	}
	if err != nil {
		return w, unavailable(fmt.Errorf("an act that waits for a key does not open: %w", err))
	}
	if !f.now().Before(w.Until) {
		return w, over()
	}
	return w, nil
}

// Waiting is an act that waits for a key, for the page that asks for it.
type Waiting struct {
	Act    access.Act
	By     access.Actor
	Record *access.Record // what it is done to; nil where it is of no request
	Errand []byte
	// What is taken away, in the words of its owner; empty where nothing is.
	What    string
	Person  access.Person // whose key is asked for
	Options []byte        // for the browser: PublicKeyCredentialRequestOptionsJSON
}

// Act tells what a link is about. It changes nothing: programs look at links too. ErrLink where it leads nowhere.
func (f *Factors) Act(ctx context.Context, token access.Secret) (Waiting, error) {
	id := hash(token.Reveal())
	p, err := f.cfg.Store.Recall(ctx, actKey(id))
	switch {
	case err != nil:
		return Waiting{}, unavailable(err)
	case p == nil || f.cfg.Party == nil:
		return Waiting{}, ErrLink
	}
	w, err := f.waits(ctx, access.PersonID(p), id)
	if err != nil {
		return Waiting{}, err
	}
	person, err := f.person(ctx, w.By.Person)
	switch {
	case errors.Is(err, access.ErrNotFound): // they have left
		return Waiting{}, ErrLink
	case err != nil:
		return Waiting{}, err
	}
	stored, err := f.stored(ctx, w.By.Person)
	if err != nil {
		return Waiting{}, err
	}
	if err := keyless(stored); err != nil {
		return Waiting{}, err
	}
	_, keys, err := f.keysOf(ctx, w.By.Person, stored, StoredKey.usable)
	if err != nil {
		return Waiting{}, err
	}
	options, err := f.cfg.Party.Sign(w.challenge(), person, keys)
	if err != nil {
		return Waiting{}, unavailable(err)
	}
	return Waiting{Act: w.Act, By: w.By, Record: w.Record, Errand: w.Errand, What: f.taken(ctx, w, stored), Person: person, Options: options}, nil
}

// taken says what an act takes away, as people know it.
func (f *Factors) taken(ctx context.Context, w waiting, stored Stored) string {
	switch {
	case w.Act.Verb == "reset":
		return "All of their factors"
	case w.Act.Verb != "remove":
		return ""
	case w.Act.Subject == stored.ID:
		return "Authenticator app"
	}
	for _, k := range stored.Keys {
		if k.ID != w.Act.Subject {
			continue
		}
		h, err := f.openKey(ctx, w.By.Person, k)
		if err != nil || h.Label == "" {
			return "Security key " + k.name()
		}
		return "Security key " + k.name() + " (" + h.Label + ")"
	}
	return "One that is gone already"
}

// keysOf opens those of a person's keys that are wanted.
func (f *Factors) keysOf(ctx context.Context, p access.PersonID, stored Stored, wanted func(StoredKey) bool) ([]StoredKey, []passkey.Key, error) {
	var from []StoredKey
	var keys []passkey.Key
	for _, s := range stored.Keys {
		if !wanted(s) {
			continue
		}
		h, err := f.openKey(ctx, p, s)
		if err != nil {
			return nil, nil, err
		}
		from, keys = append(from, s), append(keys, h.Key)
	}
	return from, keys, nil
}

func (f *Factors) openKey(ctx context.Context, p access.PersonID, s StoredKey) (held, error) {
	var h held
	text, err := f.keyBox.Open(s.Sealed, string(p), s.ID)
	if err == nil {
		err = json.Unmarshal([]byte(text.Reveal()), &h)
	}
	if err != nil {
		return h, f.unreadable(ctx, p, "a security key", "security key", err)
	}
	return h, nil
}

// sealKey seals what a registration gave.
func (f *Factors) sealKey(p access.PersonID, id string, h *held) (string, error) {
	if h == nil || len(h.Public) == 0 {
		return "", errors.New("the key is missing")
	}
	text, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("write a key: %w", err)
	}
	return f.keyBox.Seal(access.NewSecret(string(text)), string(p), id), nil
}
