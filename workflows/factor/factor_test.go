package factor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

func TestOnlyTheCodesOfThisStepAndItsNeighboursAreTaken(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"usual": false, "strict": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			seed := w.enrolled("ana", "root", access.Secret{})
			f := w.with(func(c *factor.Config) { c.Strict = strict })
			w.pass(time.Hour)
			for off := -300; off <= 300; off += 10 {
				w.pass(time.Hour) // nothing was used before, and no lock is left
				at := w.clock().Add(time.Duration(off) * time.Second)
				step := at.Unix()/30 - w.clock().Unix()/30
				want := step >= -1 && step <= 1 && (!strict || step == 0)
				err := f.Prove(t.Context(), by("ana"), approving, codeAt(t, seed, at))
				if want != (err == nil) {
					t.Errorf("%+ds: %v", off, err)
				}
				if err != nil { // start anew, so that the row of wrong codes does not disable the factor
					w.must(f.Prove(t.Context(), by("ana"), approving, w.code(seed)))
				}
			}
		})
	}
}

func TestNobodyWithoutAFactorProvesAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The code of the empty seed, which the library takes for right and anybody can work out.
	empty := codeAt(t, access.NewSecret(" "), w.clock())
	for name, code := range map[string]access.Secret{"the code of an empty seed": empty, "no code": {}, "zeros": access.NewSecret("000000")} {
		err := w.Prove(t.Context(), by("ana"), approving, code)
		w.refused(name, err, access.CodeFactorMissing)
		if err == nil || !strings.Contains(err.Error(), "`/elevate mfa`") {
			t.Errorf("%s: no way out in %v", name, err)
		}
	}
}

func TestASeedThatIsNoneOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrolled("ana", "root", access.Secret{})
	box, err := seal.New(w.config.Keys, "totp")
	w.must(err)
	stored, err := w.store.Factor(t.Context(), "ana")
	w.must(err)
	for _, seed := range []string{"", " ", "AAAA"} {
		sealed := box.Seal(access.NewSecret(seed), "ana", stored.ID)
		if _, err := w.store.Reseal(t.Context(), "ana", stored.ID, stored.Sealed, sealed); err != nil {
			t.Fatal(err)
		}
		stored.Sealed = sealed
		code := codeAt(t, access.NewSecret(" "), w.clock())
		w.refused(fmt.Sprintf("seed %q", seed), w.Prove(t.Context(), by("ana"), approving, code), "factor_unreadable")
	}
}

func TestASeedMovedToSomebodyElseDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrolled("ana", "root", access.Secret{})
	mine := w.enrolled("ben", "root", access.Secret{})
	anas, err := w.store.Factor(t.Context(), "ana")
	w.must(err)
	bens, err := w.store.Factor(t.Context(), "ben")
	w.must(err)
	if ok, err := w.store.Reseal(t.Context(), "ana", anas.ID, anas.Sealed, bens.Sealed); err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.refused("ben's seed under ana's name", w.Prove(t.Context(), by("ana"), approving, w.code(mine)), "factor_unreadable")
}

func TestNoOlderCodeCountsAfterANewerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	older := w.code(seed)
	w.must(w.Prove(t.Context(), by("ana"), approving, codeAt(t, seed, w.clock().Add(30*time.Second))))
	w.refused("the older one", w.Prove(t.Context(), by("ana"), approving, older), access.CodeProofWrong)
}

func TestFiveWrongCodesLockForHalfAnHourAndTellPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	w.notices = nil
	guess := func() error { return w.Prove(t.Context(), by("ana"), approving, wrongCode(w, seed)) }
	for range 4 {
		w.refused("a wrong code", guess(), access.CodeProofWrong)
	}
	for range 3 { // typed wrongly, and no guess
		w.refused("five digits", w.Prove(t.Context(), by("ana"), approving, access.NewSecret("12345")), access.CodeProofWrong)
	}
	w.refused("the fifth", guess(), access.CodeFactorLocked)
	w.refused("the right one", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorLocked)
	if !slices.Equal(w.notices, []string{factor.EventLocked + " ana"}) {
		t.Errorf("told: %v", w.notices)
	}
	w.pass(30*time.Minute - time.Second)
	w.refused("a second before", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorLocked)
	w.pass(time.Second)
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed)))
}

// wrongCode is none of the codes that count now.
func wrongCode(w *world, seed access.Secret) access.Secret {
	for _, guess := range []string{"000000", "111111", "222222", "333333"} {
		right := false
		for _, off := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} {
			right = right || codeAt(w.T, seed, w.clock().Add(off)).Reveal() == guess
		}
		if !right {
			return access.NewSecret(guess)
		}
	}
	panic("four codes out of three")
}

func TestTwentyWrongCodesInARowSwitchAFactorOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	for range 20 {
		if err := w.Prove(t.Context(), by("ana"), approving, wrongCode(w, seed)); err == nil {
			t.Fatal("a wrong code was taken")
		}
		w.pass(31 * time.Minute)
	}
	w.pass(240 * time.Hour)
	w.refused("ten days later", w.Prove(t.Context(), by("ana"), approving, w.code(seed)), access.CodeFactorLocked)
	if last := w.notices[len(w.notices)-1]; last != factor.EventDisabled+" ana" {
		t.Errorf("told last: %s", last)
	}
}

func TestEveryUseIsOnRecordWithTheActItIsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	w.must(w.Prove(t.Context(), by("ana"), approving, w.code(seed)))
	events, err := w.store.Undrained(t.Context(), 100)
	w.must(err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
		if e.Person != "ana" || e.At.IsZero() || e.Actor.Person == "" {
			t.Errorf("not who, what and when: %+v", e)
		}
	}
	if want := "factor_link factor_shown factor_proved factor_named factor_set factor_used"; strings.Join(kinds, " ") != want {
		t.Errorf("events %v, want %s", kinds, want)
	}
	if last := events[len(events)-1]; last.Request != approving.Request || last.Detail["act"] != approving.Digest() || last.Detail["verb"] != "approve" {
		t.Errorf("the use: %+v", last)
	}
	if text := fmt.Sprintf("%+v", events) + w.log.String(); strings.Contains(text, seed.Reveal()) {
		t.Error("the seed is in the log")
	}
}

func TestANewKeySealsWhatTheOldOneDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	old := w.config.Keys
	newer := key("k2", "fedcba9876543210fedcba9876543210")
	if left, err := w.with(func(c *factor.Config) { c.Keys = []seal.Key{newer} }).Reseal(t.Context()); err != nil || left != 1 {
		t.Errorf("without the old key: %d left, %v; want 1", left, err)
	}
	both := w.with(func(c *factor.Config) { c.Keys = append([]seal.Key{newer}, old...) })
	w.must(both.Prove(t.Context(), by("ana"), approving, w.code(seed)))
	if left, err := both.Reseal(t.Context()); err != nil || left != 0 {
		t.Fatalf("%d left, %v", left, err)
	}
	w.pass(time.Minute)
	w.must(w.with(func(c *factor.Config) { c.Keys = []seal.Key{newer} }).Prove(t.Context(), by("ana"), approving, w.code(seed)))
}

// barring is a directory in which Ana may do nothing at present.
type barring struct{ *world }

func (d barring) Person(ctx context.Context, id access.PersonID) (access.Person, error) {
	if id == "ana" {
		return access.Person{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "account_disabled", Text: "ana can do nothing here."}
	}
	return d.world.Person(ctx, id)
}

func (d barring) People(context.Context) ([]access.Person, error) { return nil, nil }

func (d barring) Known(ctx context.Context, id access.PersonID) (access.Person, error) {
	return d.world.Person(ctx, id)
}

func (d barring) AllKnown(ctx context.Context) ([]access.Person, error) { return d.world.People(ctx) }

// TestWhoMayDoNothingKeepsTheirFactor, sealed anew with the others', and is told why nothing can be done with it.
func TestWhoMayDoNothingKeepsTheirFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	newer := key("k2", "fedcba9876543210fedcba9876543210")
	barred := w.with(func(c *factor.Config) { c.Keys, c.Directory = append([]seal.Key{newer}, c.Keys...), barring{w} })
	if left, err := barred.Reseal(t.Context()); err != nil || left != 0 {
		t.Fatalf("%d left, %v", left, err)
	}
	_, err := barred.Reset(t.Context(), by("root"), "ana", access.Secret{})
	w.refused("of one who may do nothing", err, "account_disabled")
	w.pass(time.Minute)
	w.must(w.with(func(c *factor.Config) { c.Keys = []seal.Key{newer} }).Prove(t.Context(), by("ana"), approving, w.code(seed)))
}

func TestWhatCannotBeCheckedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.enrolled("ana", "root", access.Secret{})
	w.must(w.store.Close())
	err := w.Prove(t.Context(), by("ana"), approving, w.code(seed))
	w.refused("without a store", err, "factor_unavailable")
	if !errors.Is(err, access.ErrUnavailable) {
		t.Error(err)
	}
}
