package factor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/factor"
)

func TestLookingAtALinkUsesNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	for range 10 { // as mail filters and chats do
		p, err := w.Look(t.Context(), token(link), factor.Visit{})
		if err != nil || p.ID != "ana" {
			t.Fatal(p, err)
		}
	}
	_, err = w.Show(t.Context(), token(link), factor.Visit{})
	w.must(err)
	for name, again := range map[string]func() error{
		"a second visit": func() error { _, err := w.Show(t.Context(), token(link), factor.Visit{}); return err },
		"a look after":   func() error { _, err := w.Look(t.Context(), token(link), factor.Visit{}); return err },
		"another link":   func() error { _, err := w.Look(t.Context(), access.NewSecret("x"), factor.Visit{}); return err },
		"no link":        func() error { _, err := w.Look(t.Context(), access.Secret{}, factor.Visit{}); return err },
	} {
		if err := again(); !errors.Is(err, factor.ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALinkIsGoodForTenMinutesAndUntilTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	second, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	if _, err := w.Show(t.Context(), token(first), factor.Visit{}); !errors.Is(err, factor.ErrLink) {
		t.Errorf("the first link after the second: %v", err)
	}
	if _, err := w.Show(t.Context(), token(second), factor.Visit{SignedIn: "ben"}); !errors.Is(err, factor.ErrLink) {
		t.Errorf("somebody else, signed in: %v", err)
	}
	delete(w.people, "ana")
	if _, err := w.Look(t.Context(), token(second), factor.Visit{}); !errors.Is(err, factor.ErrLink) {
		t.Errorf("somebody who left: %v", err)
	}
}

func TestTheCodeOnThePageNeedsThePageThatShowedTheSeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	page, err := w.Show(t.Context(), token(link), factor.Visit{})
	w.must(err)
	if _, err := w.Match(t.Context(), token(link), access.NewSecret("forged"), w.code(page.Seed), factor.Visit{}); !errors.Is(err, factor.ErrLink) {
		t.Errorf("another page: %v", err)
	}
	for i := range 5 {
		_, err := w.Match(t.Context(), token(link), page.Ticket, wrongCode(w, page.Seed), factor.Visit{})
		if i < 4 {
			w.refused("a wrong code", err, access.CodeProofWrong)
		} else if !errors.Is(err, factor.ErrLink) {
			t.Errorf("the fifth wrong code: %v", err)
		}
	}
	if _, err := w.Match(t.Context(), token(link), page.Ticket, w.code(page.Seed), factor.Visit{}); !errors.Is(err, factor.ErrLink) {
		t.Errorf("the right code after five wrong ones: %v", err)
	}
}

// Mallory sends her own link to Ana, who follows it: the word is on Ana's screen, and would have to come from Mallory.
func TestOnlyWhoSeesThePageHasTheWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Name(t.Context(), by("ben"), "ABC-DEF")
	w.refused("a word without a page", err, "no_enrolment")
	link, err := w.Begin(t.Context(), by("ben"), access.Secret{})
	w.must(err)
	_, err = w.Name(t.Context(), by("ben"), "ABC-DEF")
	w.refused("a word before the code", err, "no_enrolment")
	page, err := w.Show(t.Context(), token(link), factor.Visit{})
	w.must(err)
	word, err := w.Match(t.Context(), token(link), page.Ticket, w.code(page.Seed), factor.Visit{})
	w.must(err)
	_, err = w.Name(t.Context(), by("ana"), word)
	w.refused("the word from another account", err, "no_enrolment")
	for range 5 {
		_, err = w.Name(t.Context(), by("ben"), "ABC-DEF")
		w.refused("a guess", err, "wrong_word")
	}
	_, err = w.Name(t.Context(), by("ben"), word)
	w.refused("the word after five guesses", err, "no_enrolment")
}

func TestAnAdministratorConfirmsAndNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refused("nothing to confirm", w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}), "no_enrolment")
	seed, set := w.named("ana", access.Secret{})
	if set {
		t.Error("a factor counts that nobody vouched for")
	}
	w.refused("before it is confirmed", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorMissing)
	w.refused("by a colleague", w.Confirm(t.Context(), by("ben"), "ana", "", access.Secret{}), "not_administrator")
	w.refused("by oneself", w.Confirm(t.Context(), by("ana"), "ana", "", access.Secret{}), "not_administrator")
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed)))
	w.refused("a second time", w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}), "no_enrolment")

	roots, _ := w.named("root", access.Secret{})
	w.refused("one's own", w.Confirm(t.Context(), by("root"), "root", "", access.Secret{}), "own_factor")
	w.must(w.Confirm(t.Context(), by("toor"), "root", "", access.Secret{}))
	// Now that an administrator has a factor, none confirms without one.
	w.named("ben", access.Secret{})
	w.refused("without a factor", w.Confirm(t.Context(), by("toor"), "ben", "", access.Secret{}), access.CodeFactorMissing)
	if err := w.Confirm(t.Context(), by("root"), "ben", "", access.Secret{}); !access.AsksProof(err) {
		t.Errorf("without a code: %v", err)
	}
	w.refused("with a wrong code", w.Confirm(t.Context(), by("root"), "ben", "", wrongCode(w, roots)), access.CodeProofWrong)
	w.must(w.Confirm(t.Context(), by("root"), "ben", "", w.code(roots)))
}

// grouped is a directory that asks others who administers. Its list of people leaves that out.
type grouped struct {
	*world
	admins map[access.PersonID]bool
	fails  map[access.PersonID]error
}

func (g grouped) Person(ctx context.Context, id access.PersonID) (access.Person, error) {
	p, err := g.world.Person(ctx, id)
	if g.admins[id] {
		p.Groups = []string{"admins"}
	}
	return p, errors.Join(err, g.fails[id])
}

func (g grouped) Known(ctx context.Context, id access.PersonID) (access.Person, error) {
	return g.world.Person(ctx, id)
}

func (g grouped) AllKnown(ctx context.Context) ([]access.Person, error) { return g.People(ctx) }

func (w *world) grouped(admins ...access.PersonID) grouped {
	g := grouped{world: w, admins: map[access.PersonID]bool{}, fails: map[access.PersonID]error{}}
	for _, id := range admins {
		g.admins[id] = true
	}
	w.Factors = w.with(func(c *factor.Config) {
		c.Directory, c.Administrator = g, func(p access.Person) bool { return slices.Contains(p.Groups, "admins") }
	})
	return g
}

// A list of people may not say who administers: what it knows is too old, or their group is too large. No administrator
// goes on without a factor because of that.
func TestAnAdministratorWhomNoListNamesStillHasAFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.grouped("root", "toor")
	w.enrolled("ben", "root", access.Secret{}) // a factor of somebody else's changes nothing
	w.enrolled("root", "toor", access.Secret{})
	w.named("ana", access.Secret{})
	w.refused("confirming without a factor", w.Confirm(t.Context(), by("toor"), "ana", "", access.Secret{}), access.CodeFactorMissing)
	_, err := w.Reset(t.Context(), by("toor"), "ben", access.Secret{})
	w.refused("resetting without a factor", err, access.CodeFactorMissing)
	g.fails["root"] = errors.New("the provider is down")
	w.refused("where nobody can tell", w.Confirm(t.Context(), by("toor"), "ana", "", access.Secret{}), "factor_unavailable")
	g.fails["root"] = access.ErrNotFound // left
	delete(g.admins, "root")
	w.must(w.Confirm(t.Context(), by("toor"), "ana", "", access.Secret{}))
}

// What groups somebody is in matters to nobody who sets a factor up, confirms or resets it: a provider that does not tell
// stops nothing. An account that may do nothing sets none up.
func TestWhoseGroupsNobodyTellsCanBeConfirmedAndReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.grouped("root", "toor")
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	g.fails["ana"] = &access.Refusal{Kind: access.ErrNotAllowed, Code: "account_disabled"}
	_, err = w.Look(t.Context(), token(link), factor.Visit{})
	w.refused("a disabled account", err, "account_disabled")
	g.fails["ana"] = &access.Refusal{Kind: access.ErrUnavailable, Code: "groups_too_old"}
	w.named("ana", access.Secret{})
	g.fails["ana"] = errors.New("the provider is down")
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
	g.fails["ana"] = &access.Refusal{Kind: access.ErrUnavailable, Code: "link_suspended"}
	_, err = w.Reset(t.Context(), by("root"), "ana", access.Secret{})
	w.refused("where nobody can tell whether an administrator has a factor", err, "link_suspended")
	g.fails["ana"] = nil
	roots := w.enrolled("root", "toor", access.Secret{})
	g.fails["ana"] = errors.New("the provider is down")
	_, err = w.Reset(t.Context(), by("root"), "ana", w.code(roots))
	w.must(err)
	w.refused("a stranger", w.Confirm(t.Context(), by("root"), "zoe", "", access.Secret{}), "unknown_person")
}

func TestASignInVouchesInAnAdministratorsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	page, err := w.Show(t.Context(), token(link), factor.Visit{SignedIn: "ana"})
	w.must(err)
	word, err := w.Match(t.Context(), token(link), page.Ticket, w.code(page.Seed), factor.Visit{SignedIn: "ana"})
	w.must(err)
	if set, err := w.Name(t.Context(), by("ana"), word); err != nil || !set {
		t.Errorf("set %v, %v", set, err)
	}
}

// Ana sets her app up, and tells root so on the phone. In between, whoever has her chat session sets up another.
func TestTheAdministratorsWordIsForWhatAnaSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	hers, herWord := w.follows(link)
	_, err = w.Name(t.Context(), by("ana"), herWord)
	w.must(err)
	w.pass(30 * time.Second) // the code of the page is spent
	link, err = w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	w.refused("while another is begun", w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}), "no_enrolment")
	seed, word := w.follows(link)
	_, err = w.Name(t.Context(), by("ana"), word)
	w.must(err)
	if want := []string{"factor_named ana", "factor_named ana again"}; !slices.Equal(w.notices, want) {
		t.Errorf("told %q, want %q", w.notices, want)
	}
	w.pass(time.Minute)
	w.refused("without the word", w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}), "other_enrolment")
	w.refused("with the word of hers", w.Confirm(t.Context(), by("root"), "ana", herWord, access.Secret{}), "wrong_word")
	w.refused("the thief's app", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorMissing)
	w.refused("hers", w.Prove(t.Context(), by("ana"), approving, w.code(hers)), access.CodeFactorMissing)
	w.pass(25 * time.Hour) // to let it lapse helps nobody
	w.named("ana", access.Secret{})
	w.refused("a third one", w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}), "other_enrolment")
}

func TestWhoeverBeganAgainIsConfirmedByTheWordOfTheirPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.named("ana", access.Secret{})
	link, err := w.Begin(t.Context(), by("ana"), access.Secret{})
	w.must(err)
	seed, word := w.follows(link)
	_, err = w.Name(t.Context(), by("ana"), word)
	w.must(err)
	w.must(w.Confirm(t.Context(), by("root"), "ana", strings.ToLower(word), access.Secret{}))
	w.pass(time.Minute)
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed)))
	w.pass(time.Minute)
	w.must(w.Remove(t.Context(), by("ana"), "", w.code(seed)))
	w.named("ana", access.Secret{}) // what was confirmed is over: this is a first one
	w.must(w.Confirm(t.Context(), by("root"), "ana", "", access.Secret{}))
}

func TestReplacingTakesACodeOfTheOldFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.enrolled("ana", "root", access.Secret{})
	if _, err := w.Begin(t.Context(), by("ana"), access.Secret{}); !access.AsksProof(err) {
		t.Errorf("without a code: %v", err)
	}
	_, err := w.Begin(t.Context(), by("ana"), wrongCode(w, old))
	w.refused("with a wrong code", err, access.CodeProofWrong)
	newer, set := w.named("ana", w.code(old))
	if !set {
		t.Error("the old factor did not vouch for the new one")
	}
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(newer)))
	w.pass(time.Minute)
	w.refused("the old one after it", w.Prove(t.Context(), by("ana"), approving, w.code(old)), access.CodeProofWrong)
}

func TestRemovingTakesACode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refused("none", w.Remove(t.Context(), by("ana"), "", access.Secret{}), access.CodeFactorMissing)
	seed := w.enrolled("ana", "root", access.Secret{})
	if err := w.Remove(t.Context(), by("ana"), "", access.Secret{}); !access.AsksProof(err) {
		t.Errorf("without a code: %v", err)
	}
	w.must(w.Remove(t.Context(), by("ana"), "", w.code(seed)))
	w.refused("after it", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorMissing)
}

func TestTwoAdministratorsResetALostFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrolled("ana", "root", access.Secret{})
	reset := func(admin access.PersonID) (bool, error) {
		return w.Reset(t.Context(), by(admin), "ana", access.Secret{})
	}
	_, err := reset("ben")
	w.refused("a colleague", err, "not_administrator")
	_, err = reset("ana")
	w.refused("oneself", err, "not_administrator")
	for _, admin := range []access.PersonID{"root", "root"} { // one of them, twice
		if gone, err := reset(admin); err != nil || gone {
			t.Fatalf("by one administrator alone: %v, %v", gone, err)
		}
	}
	w.pass(time.Hour)
	if gone, err := reset("toor"); err != nil || gone {
		t.Fatalf("an hour after the first: %v, %v", gone, err)
	}
	if gone, err := reset("root"); err != nil || !gone {
		t.Fatalf("by the second: %v, %v", gone, err)
	}
	w.refused("after it", w.Prove(t.Context(), by("ana"), approving, access.NewSecret("000000")), access.CodeFactorMissing)
	_, err = reset("root")
	w.refused("none", err, access.CodeFactorMissing)
}

func TestTheWordOfSomebodyWhoIsNoLongerAnAdministratorDoesNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrolled("ana", "root", access.Secret{})
	if gone, err := w.Reset(t.Context(), by("boss"), "ana", access.Secret{}); err != nil || gone {
		t.Fatal(gone, err)
	}
	delete(w.people, "boss")
	if gone, err := w.Reset(t.Context(), by("root"), "ana", access.Secret{}); err != nil || gone {
		t.Errorf("reset by one administrator and one who has left: %v, %v", gone, err)
	}
}
