// Package linking lets people show that a chat account is theirs: a link that they alone are shown leads their browser to
// sign in, the page then shows a word, and the word typed in the chat makes the link. The word is what stops somebody
// who sends their own link to another: the other signs in, and only the other sees the word.
package linking

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/bot/signin"
	"elevate/workflows"
	"elevate/workflows/access"
)

const (
	// Prefix begins the paths of the pages.
	Prefix = "/link"

	// invitedFor is how long an invitation is good, and then the word.
	invitedFor = 10 * time.Minute
	// mostTries is how many wrong words may be typed before the word is worth nothing.
	mostTries = 5
)

// Store keeps invitations and words, for all replicas.
type Store interface {
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Recall(ctx context.Context, key string) ([]byte, error)
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	Offer(ctx context.Context, name, word string, value []byte, tries int, ttl time.Duration) error
	Guess(ctx context.Context, name, word string) ([]byte, error)
	Link(ctx context.Context, chat, account string) (*access.Link, error)
}

// Directory knows people by what the identity provider says of them, and accounts by what the chat says.
type Directory interface {
	signin.Directory
	Seen(ctx context.Context, chat, account string) (email, name string, err error)
}

// Config is what an Office is made of.
type Config struct {
	Desk      *signin.Desk     // where people sign in; nil: nobody can, and links are confirmed and removed alone
	PublicURL string           // what browsers reach the pages by, without a slash at the end
	Provider  string           // what people call the identity provider, such as its host
	Links     *workflows.Links // required
	Store     Store            // required
	Directory Directory        // required
	// Name is what a chat calls an account, for its owner to know it by. Nil, or empty: its id alone is shown.
	Name func(ctx context.Context, chat, account string) string
	// Command is what people type in a chat to call Elevate; the chat is empty where it is not known. Nil: /elevate.
	Command func(chat string) string
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discarded
}

// Office makes invitations, shows the pages and takes the words. It is safe for concurrent use.
type Office struct {
	cfg Config
	log *slog.Logger
}

var _ bot.Linking = (*Office)(nil)

// New checks the configuration and makes an Office.
func New(cfg Config) (*Office, error) {
	if cfg.Links == nil || cfg.Store == nil || cfg.Directory == nil {
		return nil, errors.New("linking: Links, Store and Directory are required")
	}
	if cfg.Name == nil {
		cfg.Name = func(context.Context, string, string) string { return "" }
	}
	if cfg.Command == nil {
		cfg.Command = func(string) string { return "/elevate" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Office{cfg: cfg, log: cfg.Logger}, nil
}

// invitation is a link that one person was shown, as the store has it under the hash of its token. It says itself until when
// it is good: whoever can write to the store could keep it there, or put it back.
type invitation struct {
	Chat    string    `json:"chat"`
	Account string    `json:"account"`
	Until   time.Time `json:"until"`
}

func actor(who bot.Who) access.Actor {
	return access.Actor{Via: who.Chat, Account: who.Account, Address: who.Address}
}

// Invites tells whether there is somewhere to sign in.
func (o *Office) Invites() bool { return o.cfg.Desk != nil }

// Invite makes a link for one chat account, to be shown to nobody else.
func (o *Office) Invite(ctx context.Context, who bot.Who) (string, time.Duration, error) {
	if o.cfg.Desk == nil {
		return "", 0, &access.Refusal{Kind: access.ErrNotAllowed, Code: "no_sign_in",
			Text: "Signing in is not set up in this Elevate. Ask whoever looks after it to link your account to you in its configuration."}
	}
	if err := o.cfg.Links.Free(actor(who)); err != nil {
		return "", 0, err
	}
	token := rand.Text() + rand.Text() // 260 bits
	value, err := json.Marshal(invitation{who.Chat, who.Account, o.cfg.Now().Add(invitedFor).UTC()})
	if err == nil {
		err = o.cfg.Store.Put(ctx, invitationKey(idOf(token)), value, invitedFor)
	}
	if err != nil {
		return "", 0, fmt.Errorf("keep an invitation: %w", err)
	}
	return o.cfg.PublicURL + Prefix + "/" + token, invitedFor, nil
}

// idOf names an invitation without giving it away.
func idOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func invitationKey(id string) string { return "link:invitation:" + id }
func takenKey(id string) string      { return "link:taken:" + id }
func purpose(id string) string       { return "link:" + id }

// waiting names what waits for the word of one account.
func waiting(chat, account string) string { return "link:" + chat + ":" + account }

// Finish links an account to whoever was shown the word that is typed there.
func (o *Office) Finish(ctx context.Context, who bot.Who, word string) (access.Person, error) {
	value, err := o.cfg.Store.Guess(ctx, waiting(who.Chat, who.Account), simple(word))
	if err != nil {
		return access.Person{}, wrong(err)
	}
	var v signin.Visit
	if err := json.Unmarshal(value, &v); err != nil {
		return access.Person{}, fmt.Errorf("read who signed in: %w", err)
	}
	p, err := o.cfg.Directory.ByIdentity(ctx, v.Identity)
	if err != nil {
		return p, fmt.Errorf("find who signed in: %w", err)
	}
	return p, o.cfg.Links.Claim(ctx, actor(who), p, v.Identity, v.Sealed)
}

// wrong is what somebody is told whose word does not do.
func wrong(err error) error {
	no := &access.Refusal{Kind: access.ErrNotAllowed, Err: err}
	switch {
	case errors.Is(err, workflows.ErrWrongWord):
		no.Code, no.Text = "wrong_word", "That is not the word that the page shows for this account. Look again, and type `/elevate link WORD`."
	case errors.Is(err, workflows.ErrNoTries):
		no.Code, no.Text = "too_many_words", "Too many wrong words were typed, so the word on the page is worth nothing any more. Begin again with `/elevate link`."
	case errors.Is(err, workflows.ErrNoOffer):
		no.Code, no.Text = "no_word", "No page shows a word for this account now: it lasts ten minutes and works once. Begin again with `/elevate link`."
	default:
		return err
	}
	return no
}

// Confirm vouches for the suspended link of somebody.
func (o *Office) Confirm(ctx context.Context, by access.Actor, person access.PersonID) (access.Link, error) {
	return o.cfg.Links.Confirm(ctx, by, person, o.cfg.Directory.Seen)
}

// Remove takes the links of somebody away.
func (o *Office) Remove(ctx context.Context, by access.Actor, person access.PersonID) ([]access.Link, error) {
	return o.cfg.Links.Remove(ctx, by, person)
}

// alphabet is that of request ids: what can be read aloud and typed back.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// wordOf makes the word of a visit, such as 7kq4-m2xp: 40 bits.
func wordOf(v signin.Visit, id string) string {
	sum := sha256.Sum256([]byte(v.Derive(purpose(id))))
	var b strings.Builder
	for i, c := range sum[:8] {
		if i == 4 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[c%32])
	}
	return b.String()
}

// simple is a word as it was meant: any case, with or without the hyphen, o for 0, i and l for 1.
func simple(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 'o':
			return '0'
		case r == 'i', r == 'l':
			return '1'
		case strings.ContainsRune(alphabet, r):
			return r
		}
		return -1
	}, strings.ToLower(bot.Cut(word, 100)))
}

// Handler serves the pages.
func (o *Office) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Prefix+"/{token}", o.show)
	mux.HandleFunc("POST "+Prefix+"/{token}", o.begin)
	mux.HandleFunc("GET "+Prefix+"/as/{id}", o.signedIn)
	return page.Guard(mux)
}
