package factor_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/passkey"
	"elevate/workflows/seal"
)

const pageURL = "https://elevate.example.com/mfa/"

// world is a whole set of factors on the real store's scripts, with a clock that tests move.
type world struct {
	*testing.T
	*factor.Factors
	store   *redis.Store
	server  *embedded.Server
	config  factor.Config
	log     bytes.Buffer
	mu      sync.Mutex
	now     time.Time
	notices []string
	people  map[access.PersonID]access.Person
	down    error
}

func key(id, text string) seal.Key {
	return seal.Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte(text)))}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOf(t, redis.Config{})
}

// worldOf is one on a store of its own that is configured so.
func worldOf(t *testing.T, cfg redis.Config) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 3, 2, 12, 0, 10, 0, time.UTC), people: map[access.PersonID]access.Person{}}
	for _, id := range []access.PersonID{"ana", "ben", "root", "toor", "boss"} {
		w.people[id] = access.Person{ID: id, Name: strings.ToUpper(string(id))}
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	w.server = server
	cfg.Now, cfg.AllowUnsafe = w.clock, true
	w.store, err = redis.Open(t.Context(), server.Connect(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	party, err := passkey.New("https://elevate.example.com", "Elevate")
	w.must(err)
	w.config = factor.Config{
		Party: party, KeyURL: keyURL,
		Store: w.store, Directory: w, Keys: []seal.Key{key("k1", "0123456789abcdef0123456789abcdef")}, PageURL: pageURL, Now: w.clock,
		Administrator: func(p access.Person) bool { return slices.Contains([]access.PersonID{"root", "toor", "boss"}, p.ID) },
		Tell: func(_ context.Context, n factor.Notice) error {
			told := n.Event + " " + string(n.Person)
			if n.Again {
				told += " again"
			}
			w.notices = append(w.notices, told)
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	w.Factors = w.with(func(*factor.Config) {})
	return w
}

// with are the same factors under another configuration.
func (w *world) with(change func(*factor.Config)) *factor.Factors {
	w.Helper()
	c := w.config
	change(&c)
	f, err := factor.New(c)
	w.must(err)
	return f
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Person(_ context.Context, id access.PersonID) (access.Person, error) {
	p, ok := w.people[id]
	if !ok && w.down == nil {
		return p, access.ErrNotFound
	}
	return p, w.down
}

func (w *world) People(context.Context) ([]access.Person, error) {
	var all []access.Person
	for _, p := range w.people {
		all = append(all, p)
	}
	return all, w.down
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// refused holds that an error is a refusal of that code.
func (w *world) refused(what string, err error, code string) {
	w.Helper()
	var r *access.Refusal
	if !errors.As(err, &r) || r.Code != code {
		w.Errorf("%s: %v, want %s", what, err, code)
	}
}

func by(p access.PersonID) access.Actor { return access.Actor{Person: p, Via: "test"} }

func codeAt(t testing.TB, seed access.Secret, at time.Time) access.Secret {
	t.Helper()
	code, err := totp.GenerateCode(seed.Reveal(), at)
	if err != nil {
		t.Fatal(err)
	}
	return access.NewSecret(code)
}

// code is what an app shows now.
func (w *world) code(seed access.Secret) access.Secret {
	w.Helper()
	return codeAt(w.T, seed, w.clock())
}

func token(link access.Secret) access.Secret {
	return access.NewSecret(strings.TrimPrefix(link.Reveal(), pageURL))
}

// named is a person's new seed, up to the word that was typed in chat.
func (w *world) named(p access.PersonID, proof access.Secret) (seed access.Secret, set bool) {
	w.Helper()
	link, err := w.Begin(w.Context(), by(p), proof)
	w.must(err)
	seed, word := w.follows(link)
	set, err = w.Name(w.Context(), by(p), word)
	w.must(err)
	w.pass(30 * time.Second) // the code of the page is spent
	return seed, set
}

// follows goes through the page of a link, and gives the seed that it showed, and its word.
func (w *world) follows(link access.Secret) (seed access.Secret, word string) {
	w.Helper()
	page, err := w.Show(w.Context(), token(link), factor.Visit{})
	w.must(err)
	word, err = w.Match(w.Context(), token(link), page.Ticket, w.code(page.Seed), factor.Visit{})
	w.must(err)
	return page.Seed, word
}

// enrolled is a person with a factor, confirmed by an administrator who may need a code for it.
func (w *world) enrolled(p, admin access.PersonID, proof access.Secret) (seed access.Secret) {
	w.Helper()
	seed, _ = w.named(p, access.Secret{})
	w.must(w.Confirm(w.Context(), by(admin), p, "", proof))
	return seed
}

// approving is an act.
var approving = access.Act{Verb: "approve", Request: "07kq4-m2xp9", Subject: "digest"}
