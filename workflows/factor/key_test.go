package factor_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/passkey/passkeytest"
)

const keyURL = "https://elevate.example.com/key/"

const origin = "https://elevate.example.com"

// registers is the page of a fresh link, up to the word.
func (w *world) registers(p access.PersonID, d *passkeytest.Device, proof access.Secret, v factor.Visit) (word string) {
	w.Helper()
	link, err := w.Begin(w.Context(), by(p), proof)
	w.must(err)
	shown, err := w.ShowKey(w.Context(), token(link), v)
	w.must(err)
	word, err = w.MatchKey(w.Context(), token(link), shown.Ticket, d.Makes(w.T, shown.Options), "Blue\u202e <key>", v)
	w.must(err)
	return word
}

// keyed is a person with a security key, for whom a sign-in vouched.
func (w *world) keyed(p access.PersonID) *passkeytest.Device {
	w.Helper()
	d := passkeytest.New(w.T, origin)
	set, err := w.Name(w.Context(), by(p), w.registers(p, d, access.Secret{}, factor.Visit{SignedIn: p}))
	w.must(err)
	if !set {
		w.Fatal("the key does not count after a sign-in")
	}
	return d
}

// waiting asks for an act, and gives the page's token and what it asks a key.
func (w *world) waiting(p access.PersonID, act access.Act) (access.Secret, []byte) {
	w.Helper()
	needs := access.AsksKey(w.Keys().Prove(w.Context(), by(p), act, access.Secret{}))
	if needs == nil || needs.Act != act {
		w.Fatal("no key is asked for")
	}
	link, err := w.AskKey(w.Context(), by(p), needs, []byte(`{"what":"the errand"}`))
	w.must(err)
	token := access.NewSecret(strings.TrimPrefix(link.Reveal(), keyURL))
	page, err := w.Act(w.Context(), token)
	w.must(err)
	return token, page.Options
}

func (w *world) proves(p access.PersonID, act access.Act, proof access.Secret) error {
	return w.Keys().Prove(w.Context(), by(p), act, proof)
}

func TestAKeyVouchesForOneActOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refused("nobody's key", w.proves("ana", approving, access.Secret{}), access.CodeFactorMissing)
	d := w.keyed("ana")
	token, options := w.waiting("ana", approving)
	for range 3 { // programs look at links too
		page, err := w.Act(t.Context(), token)
		if err != nil || page.Act != approving || page.Person.ID != "ana" || string(page.Errand) != `{"what":"the errand"}` {
			t.Fatal(page, err)
		}
	}
	proof := factor.Signed(token, d.Signs(t, options))
	w.must(w.proves("ana", approving, proof))
	w.refused("the same again", w.proves("ana", approving, proof), "key_over")
	if _, err := w.Act(t.Context(), token); !errors.Is(err, factor.ErrLink) {
		t.Errorf("the link after it: %v", err)
	}
	kinds := w.kinds()
	if !slices.Contains(kinds, factor.EventKeyLink) || !slices.Contains(kinds, factor.EventKeyUsed) {
		t.Errorf("events: %v", kinds)
	}
}

// kinds are the events so far.
func (w *world) kinds() (kinds []string) {
	w.Helper()
	events, err := w.store.Undrained(w.Context(), 1000)
	w.must(err)
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestWhatAKeyDidNotSignHereForThisActVouchesForNothing(t *testing.T) {
	t.Parallel()
	other := access.Act{Verb: "approve", Request: "07kq4-m2xp9", Subject: "altered"}
	for name, c := range map[string]struct {
		act  access.Act // which is done
		make func(w *world, d *passkeytest.Device, options []byte) string
		code string
	}{
		"another origin": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			return d.SignsAt(w.T, o, virtualwebauthn.RelyingParty{ID: "elevate.example.com", Origin: "https://elevate.example.com.evil.example"})
		}, access.CodeProofWrong},
		"a page without TLS": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			return d.SignsAt(w.T, o, virtualwebauthn.RelyingParty{ID: "elevate.example.com", Origin: "http://elevate.example.com"})
		}, access.CodeProofWrong},
		"another relying party": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			return d.SignsAt(w.T, o, virtualwebauthn.RelyingParty{ID: "evil.example", Origin: origin})
		}, access.CodeProofWrong},
		"no PIN, finger or face": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			d.Options.UserNotVerified = true
			return d.Signs(w.T, o)
		}, access.CodeProofWrong},
		"no touch": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			d.Options.UserNotPresent = true
			return d.Signs(w.T, o)
		}, access.CodeProofWrong},
		"the key of another person": {approving, func(w *world, _ *passkeytest.Device, o []byte) string {
			return w.keyed("ben").Signs(w.T, o)
		}, access.CodeProofWrong},
		"a key by its id alone": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			forged := passkeytest.New(w.T, origin)
			forged.ID = d.ID
			return forged.Signs(w.T, o)
		}, access.CodeProofWrong},
		"the handle of another person": {approving, func(w *world, d *passkeytest.Device, o []byte) string {
			d.Options.UserHandle = []byte("somebody else")
			return d.Signs(w.T, o)
		}, access.CodeProofWrong},
		"the challenge of another act": {approving, func(w *world, d *passkeytest.Device, _ []byte) string {
			_, others := w.waiting("ana", access.Act{Verb: "extend", Request: approving.Request, Subject: approving.Subject})
			return d.Signs(w.T, others)
		}, access.CodeProofWrong},
		"a registration":     {approving, func(w *world, d *passkeytest.Device, o []byte) string { return d.Makes(w.T, o) }, access.CodeProofWrong},
		"nothing readable":   {approving, func(*world, *passkeytest.Device, []byte) string { return `{"id":"` + strings.Repeat("A", 4000) }, access.CodeProofWrong},
		"an altered request": {other, func(w *world, d *passkeytest.Device, o []byte) string { return d.Signs(w.T, o) }, "act_changed"},
		"another verb": {access.Act{Verb: "extend", Request: approving.Request, Subject: approving.Subject},
			func(w *world, d *passkeytest.Device, o []byte) string { return d.Signs(w.T, o) }, "act_changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.keyed("ana")
			token, options := w.waiting("ana", approving)
			w.refused(name, w.proves("ana", c.act, factor.Signed(token, c.make(w, d, options))), c.code)
			if !slices.Contains(w.kinds(), factor.EventKeyFailed) {
				t.Errorf("it is not on record: %v", w.kinds())
			}
			d.Options = virtualwebauthn.AuthenticatorOptions{}
			if err := w.proves("ana", approving, factor.Signed(token, d.Signs(t, options))); err != nil {
				t.Errorf("the key itself after that: %v", err)
			}
		})
	}
}

func TestALinkToAKeysPageIsForOnePersonForTenMinutesAndFiveTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	anas, bens := w.keyed("ana"), w.keyed("ben")
	token, options := w.waiting("ana", approving)
	w.refused("another person's act", w.proves("ben", approving, factor.Signed(token, bens.Signs(t, options))), "key_over")
	for i := range 5 {
		want := access.CodeProofWrong
		if i == 4 {
			want = "key_over"
		}
		w.refused("a wrong try", w.proves("ana", approving, factor.Signed(token, "{}")), want)
	}
	w.refused("the right one after them", w.proves("ana", approving, factor.Signed(token, anas.Signs(t, options))), "key_over")

	token, options = w.waiting("ana", approving)
	proof := factor.Signed(token, anas.Signs(t, options))
	w.pass(10*time.Minute + time.Second)
	if _, err := w.Act(t.Context(), token); !errors.Is(err, factor.ErrLink) {
		t.Errorf("the page after ten minutes: %v", err)
	}
	w.refused("after ten minutes", w.proves("ana", approving, proof), "key_over")
}

// A key whose count goes back has a copy. Neither of the two is taken from then on, and people hear of it.
func TestACopyOfAKeyIsRefusedAndToldOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.keyed("ana")
	copied := *d
	for range 3 {
		token, options := w.waiting("ana", approving)
		w.must(w.proves("ana", approving, factor.Signed(token, d.Signs(t, options))))
	}
	token, options := w.waiting("ana", approving)
	w.refused("the copy", w.proves("ana", approving, factor.Signed(token, copied.Signs(t, options))), access.CodeFactorLocked)
	w.refused("the key after it", w.proves("ana", approving, access.Secret{}), access.CodeFactorLocked)
	if last := w.notices[len(w.notices)-1]; last != factor.EventKeyCloned+" ana" {
		t.Errorf("told: %v", w.notices)
	}
	if s, err := w.Status(t.Context(), "ana"); err != nil || !s.Keys[0].Suspended {
		t.Errorf("status: %+v, %v", s, err)
	}
	if !slices.Contains(w.kinds(), factor.EventKeyCloned) {
		t.Errorf("events: %v", w.kinds())
	}
}

// One signature, sent a thousand times at once over two replicas, counts once.
func TestOneSignatureCountsOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	replica := w.replica()
	d := w.keyed("ana")
	token, options := w.waiting("ana", approving)
	proof := factor.Signed(token, d.Signs(t, options))
	var accepted, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			err := []*factor.Factors{w.Factors, replica}[i%2].Keys().Prove(t.Context(), by("ana"), approving, proof)
			var r *access.Refusal
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.As(err, &r) && r.Code == "key_over":
				refused.Add(1)
			default:
				t.Errorf("neither: %v", err)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 || refused.Load() != 999 {
		t.Errorf("accepted %d times, refused %d times", accepted.Load(), refused.Load())
	}
}

// Whoever writes to Redis makes no key of their own, and moves none to another person.
func TestAKeyOpensForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keyed("ana")
	w.keyed("ben")
	anas, err := w.store.Factor(t.Context(), "ana")
	w.must(err)
	bens, err := w.store.Factor(t.Context(), "ben")
	w.must(err)
	if _, err := w.store.Reseal(t.Context(), "ana", anas.Keys[0].ID, anas.Keys[0].Sealed, bens.Keys[0].Sealed); err != nil {
		t.Fatal(err)
	}
	needs := access.AsksKey(w.proves("ana", approving, access.Secret{}))
	link, err := w.AskKey(t.Context(), by("ana"), needs, []byte(`{}`))
	w.must(err)
	_, err = w.Act(t.Context(), access.NewSecret(strings.TrimPrefix(link.Reveal(), keyURL)))
	w.refused("ben's key under ana's name", err, "factor_unreadable")
	if left, err := w.Reseal(t.Context()); err != nil || left != 0 {
		t.Errorf("resealed: %d left, %v", left, err)
	}
}

// replica is another process on the same server.
func (w *world) replica() *factor.Factors {
	w.Helper()
	store, err := redis.Open(w.Context(), w.server.Connect(redis.Config{Now: w.clock, AllowUnsafe: true}))
	w.must(err)
	w.Cleanup(func() { _ = store.Close() })
	return w.with(func(c *factor.Config) { c.Store = store })
}
