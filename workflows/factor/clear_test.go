package factor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/seal"
)

var atTheMachine = access.Actor{Person: access.System, Via: factor.CommandLine, Account: "root"}

// administered is a world with marks in which all three administrators have a factor.
func administered(t *testing.T) (*world, map[access.PersonID]access.Secret) {
	t.Helper()
	m, err := seal.NewMarker([]seal.Key{key("k1", "0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	w, seeds := worldOf(t, redis.Config{Marks: m}), map[access.PersonID]access.Secret{}
	seeds["root"] = w.enrolled("root", "toor", access.Secret{})
	for _, p := range []access.PersonID{"toor", "boss"} {
		seeds[p], _ = w.named(p, access.Secret{})
		w.must(w.Confirm(t.Context(), by("root"), p, "", w.code(seeds["root"])))
		w.pass(time.Minute)
	}
	return w, seeds
}

// locksOut has the store go back behind what the log tells of every administrator, so that their factors are switched off.
func (w *world) locksOut(seeds map[access.PersonID]access.Secret) {
	w.Helper()
	for p := range seeds {
		w.store.KnowFactor(p, redis.Known{Version: w.clock().Add(time.Hour).UnixMilli()})
	}
	for p, seed := range seeds {
		for whose := range seeds {
			if p == whose {
				continue
			}
			_, err := w.Reset(w.Context(), by(p), whose, w.code(seed))
			w.refused("a reset", err, access.CodeFactorLocked)
			w.saysTheWayOut(err)
		}
	}
}

// saysTheWayOut holds that a refusal tells what is left.
func (w *world) saysTheWayOut(err error) {
	w.Helper()
	var r *access.Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Text, "`elevate mfa reset PERSON`") {
		w.Errorf("the refusal is %+v", r)
	}
}

func TestWhoeverHoldsTheKeysResetsWhereNoAdministratorCan(t *testing.T) {
	t.Parallel()
	w, seeds := administered(t)
	w.locksOut(seeds)
	w.people["ben"] = access.Person{ID: "ben"}
	appointed := w.with(func(c *factor.Config) {
		administers := c.Administrator
		c.Administrator = func(p access.Person) bool { return p.ID == "ben" || administers(p) }
	})
	_, err := appointed.Reset(t.Context(), by("ben"), "root", access.Secret{})
	w.refused("a new administrator", err, access.CodeFactorMissing)
	w.saysTheWayOut(err)

	for p := range seeds {
		was, _, err := w.Clear(t.Context(), atTheMachine, p, false)
		w.must(err)
		if !was.Doubted || !slices.Contains(w.notices, factor.EventReset+" "+string(p)) {
			t.Errorf("%s had %+v, told: %v", p, was, w.notices)
		}
	}
	seed := w.enrolled("root", "toor", access.Secret{}) // the first one after it, without a proof
	toors, _ := w.named("toor", access.Secret{})
	w.refused("the next without one", w.Confirm(t.Context(), by("root"), "toor", "", access.Secret{}), access.CodeProofMissing)
	w.must(w.Confirm(t.Context(), by("root"), "toor", "", w.code(seed)))
	w.pass(time.Minute)
	w.must(w.Prove(t.Context(), by("toor"), approving, w.code(toors)))

	events, err := w.store.Undrained(t.Context(), 1000)
	w.must(err)
	resets := 0
	for _, e := range events {
		if e.Kind == factor.EventReset && e.Actor == atTheMachine && e.Detail["none"] == "1" && e.Detail["factor"] != "" {
			resets++
		}
	}
	if resets != len(seeds) {
		t.Errorf("%d resets are on record", resets)
	}
}

func TestAdministratorsWithoutTheirOwnFactorAreToldTheWayOut(t *testing.T) {
	t.Parallel()
	w, seeds := administered(t)
	for range 20 {
		_ = w.Prove(t.Context(), by("root"), approving, wrongCode(w, seeds["root"])) // each of them is refused
		w.pass(10 * time.Minute)
	}
	_, err := w.Reset(t.Context(), by("root"), "toor", w.code(seeds["root"]))
	w.refused("switched off", err, access.CodeFactorLocked)
	w.saysTheWayOut(err)
	other := w.with(func(c *factor.Config) { c.Keys = []seal.Key{key("k9", "another-key-of-32-bytes-in-total")} })
	_, err = other.Reset(t.Context(), by("toor"), "root", w.code(seeds["toor"]))
	w.refused("the key is lost", err, "factor_unreadable")
	w.saysTheWayOut(err)
}

func TestAClearingRefusesWhomThereIsNothingOf(t *testing.T) {
	t.Parallel()
	w, seeds := administered(t)
	_, _, err := w.Clear(t.Context(), atTheMachine, "nobody", false)
	w.refused("a stranger", err, "unknown_person")
	_, _, err = w.Clear(t.Context(), atTheMachine, "ana", false)
	w.refused("nothing", err, access.CodeFactorMissing)
	w.notices = nil
	was, _, err := w.Clear(t.Context(), atTheMachine, "boss", true)
	w.must(err)
	if was.ID == "" || len(w.notices) > 0 {
		t.Errorf("a dry run gives %+v, told: %v", was, w.notices)
	}
	w.must(w.Prove(t.Context(), by("boss"), approving, w.code(seeds["boss"])))
}
