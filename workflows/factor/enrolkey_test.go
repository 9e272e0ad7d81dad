package factor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/passkey"
	"elevate/workflows/passkey/passkeytest"
)

var signedIn = factor.Visit{SignedIn: "ana"}

func TestAKeyIsRegisteredOnAPageAndCountsWhenSomebodyVouches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := passkeytest.New(t, origin)
	word := w.registers("ana", d, access.Secret{}, factor.Visit{})
	if set, err := w.Name(t.Context(), by("ana"), word); err != nil || set {
		t.Fatalf("after the word: %t, %v; want an administrator to be waited for", set, err)
	}
	w.refused("before an administrator", w.proves("ana", approving, access.Secret{}), access.CodeFactorMissing)
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
	token, options := w.waiting("ana", approving)
	w.must(w.proves("ana", approving, factor.Signed(token, d.Signs(t, options))))
	s, err := w.Status(t.Context(), "ana")
	w.must(err)
	if len(s.Keys) != 1 || s.Keys[0].Name != "key-1" || s.Keys[0].Label != "Blue key" || !s.Since.IsZero() {
		t.Errorf("status: %+v", s)
	}
}

func TestThePageTakesNoKeyThatIsUnverifiedElsewhereOrThereAlready(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.keyed("ana")
	unverified := passkeytest.New(t, origin)
	unverified.Options.UserNotVerified = true
	other, err := w.Begin(t.Context(), by("ben"), access.Secret{})
	w.must(err)
	others, err := w.ShowKey(t.Context(), token(other), factor.Visit{})
	w.must(err)
	link, err := w.Begin(t.Context(), by("ana"), w.signedFor("ana", mine))
	w.must(err)
	shown, err := w.ShowKey(t.Context(), token(link), signedIn)
	w.must(err)
	for name, answer := range map[string]string{
		"without PIN, finger or face": unverified.Makes(t, shown.Options), "for another page": passkeytest.New(t, origin).Makes(t, others.Options),
		"the one that is there": mine.Makes(t, shown.Options), "nothing": "",
	} {
		_, err := w.MatchKey(t.Context(), token(link), shown.Ticket, answer, "", signedIn)
		w.refused(name, err, access.CodeProofWrong)
		if _, err := w.AgainKey(t.Context(), token(link), shown.Ticket, signedIn); err != nil {
			t.Errorf("%s: the page does not ask again: %v", name, err)
		}
	}
	if _, err := w.MatchKey(t.Context(), token(link), access.NewSecret("forged"), passkeytest.New(t, origin).Makes(t, shown.Options), "", signedIn); !errors.Is(err, factor.ErrLink) {
		t.Errorf("a forged page: %v", err)
	}
	if _, err := w.ShowKey(t.Context(), token(link), signedIn); !errors.Is(err, factor.ErrLink) {
		t.Errorf("a second visit: %v", err)
	}
	word, err := w.MatchKey(t.Context(), token(link), shown.Ticket, passkeytest.New(t, origin).Makes(t, shown.Options), "", signedIn)
	w.must(err)
	if set, err := w.Name(t.Context(), by("ana"), word); err != nil || !set {
		t.Errorf("a second key: %t, %v", set, err)
	}
}

// signedFor has a person's key sign what is asked for to begin an enrolment, and gives the proof.
func (w *world) signedFor(p access.PersonID, d *passkeytest.Device) access.Secret {
	w.Helper()
	_, err := w.Begin(w.Context(), by(p), access.Secret{})
	return w.signed(p, d, err)
}

// signed has a person's key sign what an error asks for.
func (w *world) signed(p access.PersonID, d *passkeytest.Device, err error) access.Secret {
	w.Helper()
	needs := access.AsksKey(err)
	if needs == nil {
		w.Fatalf("no key is asked for: %v", err)
	}
	token, options := w.waiting(p, needs.Act)
	return factor.Signed(token, d.Signs(w.T, options))
}

// What is stronger is not made by what is weaker: a code begins an enrolment, and does not vouch for a key, nor does a code
// with a sign-in, which is for a first factor. Where there is a key, a code changes nothing.
func TestACodeNeitherVouchesForAKeyNorStandsInForOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	d := passkeytest.New(t, origin)
	var word string
	for name, v := range map[string]factor.Visit{"a code": {}, "a code and a sign-in": signedIn} {
		word = w.registers("ana", d, w.code(seed), v)
		if set, err := w.Name(t.Context(), by("ana"), word); err != nil || set {
			t.Fatalf("%s vouched for a key: %t, %v", name, set, err)
		}
		w.pass(30e9) // the code is spent
	}
	if set, err := w.Status(t.Context(), "ana"); err != nil || len(set.Keys) > 0 {
		t.Fatalf("before an administrator's word: %+v, %v", set, err)
	}
	w.must(w.Confirm(t.Context(), by("root"), "ana", word, access.Secret{}))
	w.pass(60e9)
	_, err := w.Begin(t.Context(), by("ana"), w.code(seed))
	proof := w.signed("ana", d, err)
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed))) // the app is there still
	if access.AsksKey(w.Remove(t.Context(), by("ana"), factor.App, w.code(seed))) == nil {
		t.Error("a code took the app away from somebody with a key")
	}
	link, err := w.Begin(t.Context(), by("ana"), proof)
	w.must(err)
	_, word = w.follows(link)
	if set, err := w.Name(t.Context(), by("ana"), word); err != nil || !set {
		t.Errorf("a key vouches for a new app: %t, %v", set, err)
	}
}

func TestAKeyIsRemovedByItsNameWithAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.keyed("ana")
	w.refused("what is not there", w.Remove(t.Context(), by("ana"), "key-2", access.Secret{}), "which_factor")
	w.refused("an app that is not there", w.Remove(t.Context(), by("ana"), factor.App, access.Secret{}), "which_factor")
	needs := access.AsksKey(w.Remove(t.Context(), by("ana"), "key-1", access.Secret{}))
	for what, act := range map[string]access.Act{
		"Security key key-1 (Blue key)": needs.Act, "All of their factors": {Verb: "reset", Subject: "ben f1"}, "": approving, "One that is gone already": {Verb: "remove", Subject: "f1"},
	} {
		token, _ := w.waiting("ana", act)
		if page, err := w.Act(t.Context(), token); err != nil || page.What != what {
			t.Errorf("the page says %q of %v, %v", page.What, act, err)
		}
	}
	proof := w.signed("ana", d, w.Remove(t.Context(), by("ana"), "key-1", access.Secret{}))
	_, err := w.Begin(t.Context(), by("ana"), proof)
	w.refused("a signature under another act", err, "act_changed")
	w.must(w.Remove(t.Context(), by("ana"), "key-1", proof))
	if s, err := w.Status(t.Context(), "ana"); err != nil || len(s.Keys) > 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
}

// Keys are for one host. Nobody is locked out for ever by another name of it, and nobody gets round a factor by it.
func TestKeysForAnotherHostLockNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ben", "root", access.Secret{})
	word := w.registers("ben", passkeytest.New(t, origin), w.code(seed), factor.Visit{})
	_, err := w.Name(t.Context(), by("ben"), word)
	w.must(err)
	w.must(w.Confirm(t.Context(), by("root"), "ben", "", access.Secret{}))
	for _, p := range []access.PersonID{"root", "toor", "ana"} {
		w.keyed(p)
	}
	party, err := passkey.New("https://new.example.org", "Elevate")
	w.must(err)
	w.config.Party = party
	w.Factors = w.with(func(*factor.Config) {})
	w.pass(time.Minute)

	_, err = w.Begin(t.Context(), by("ana"), access.Secret{})
	w.refused("keys alone", err, access.CodeFactorMissing)
	if err == nil || !strings.Contains(err.Error(), "elevate.example.com") || !strings.Contains(err.Error(), "mfa reset") {
		t.Errorf("told %v", err)
	}
	w.refused("an act", w.proves("ana", approving, access.Secret{}), access.CodeFactorMissing)
	if _, err := w.Begin(t.Context(), by("ben"), access.Secret{}); !access.AsksProof(err) {
		t.Errorf("an app beside keys, without its code: %v", err)
	}
	_, set := w.named("ben", w.code(seed))
	if !set {
		t.Error("the app's code did not vouch for another app")
	}
	for _, admin := range []access.PersonID{"root", "toor"} { // none of them has one that could prove anything
		_, err := w.Reset(t.Context(), by(admin), "ana", access.Secret{})
		w.must(err)
	}
	d := passkeytest.New(t, "https://new.example.org")
	_, err = w.Name(t.Context(), by("ana"), w.registers("ana", d, access.Secret{}, signedIn))
	w.must(err)
	token, options := w.waiting("ana", approving)
	w.must(w.proves("ana", approving, factor.Signed(token, d.Signs(t, options))))

	w.enrolled("boss", "root", access.Secret{})
	_, err = w.Reset(t.Context(), by("root"), "ana", access.Secret{}) // now that one administrator has a factor here
	w.refused("an administrator whose keys are for the old host", err, access.CodeFactorMissing)
}

// Administrators with a key prove with it, and two of them take all of somebody's factors away.
func TestTwoAdministratorsResetLostKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	roots, toors := w.keyed("root"), w.keyed("toor")
	w.keyed("ana")
	reset := func(by0 access.PersonID, d *passkeytest.Device) (bool, error) {
		_, err := w.Reset(t.Context(), by(by0), "ana", access.Secret{})
		return w.Reset(t.Context(), by(by0), "ana", w.signed(by0, d, err))
	}
	for range 2 { // one of them is never enough
		gone, err := reset("root", roots)
		if w.must(err); gone {
			t.Fatal("one administrator reset a factor")
		}
	}
	if _, err := w.Reset(t.Context(), by("boss"), "ana", access.Secret{}); err == nil {
		t.Error("an administrator without a factor reset one, though others have theirs")
	}
	gone, err := reset("toor", toors)
	if w.must(err); !gone {
		t.Error("two administrators did not reset it")
	}
	w.refused("ana's key", w.proves("ana", approving, access.Secret{}), access.CodeFactorMissing)
}

// Somebody with Ana's chat, her session at the provider and one code of hers takes the app away, to have had none.
func TestACodeAndASignInMakeNoKeyByWayOfARemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	w.must(w.Remove(t.Context(), by("ana"), factor.App, w.code(seed)))
	d := passkeytest.New(t, origin)
	set, err := w.Name(t.Context(), by("ana"), w.registers("ana", d, access.Secret{}, signedIn))
	if w.must(err); set {
		t.Error("a key counts, and no administrator was asked")
	}
	w.refused("before an administrator", w.proves("ana", approving, access.Secret{}), access.CodeFactorMissing)
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
	tok, options := w.waiting("ana", approving)
	w.must(w.proves("ana", approving, factor.Signed(tok, d.Signs(t, options))))
}

// Two administrators, who have spoken to the person, leave what there was at first: nothing.
func TestASignInVouchesAfterAReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrolled("ana", "root", access.Secret{})
	for _, admin := range []access.PersonID{"root", "toor"} {
		_, err := w.Reset(t.Context(), by(admin), "ana", access.Secret{})
		w.must(err)
	}
	w.keyed("ana")
}
