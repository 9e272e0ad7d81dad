package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"elevate/workflows"
)

// claimer is a store of which only claims matter.
type claimer struct {
	workflows.Store
	due      []time.Time
	err      error
	released int
}

func (c *claimer) Claim(context.Context, workflows.Lane, int, time.Duration) ([]workflows.Claim, time.Time, error) {
	var claims []workflows.Claim
	for _, at := range c.due {
		claims = append(claims, workflows.Claim{Due: at})
	}
	return claims, time.Time{}, c.err
}

func (c *claimer) Release(context.Context, workflows.Claim) error {
	c.released++
	return nil
}

func TestTimersThatCannotBeDueAreVouchedFor(t *testing.T) {
	t.Parallel()
	c, looked, fails := &clock{now: noon}, 0, error(nil)
	store := &claimer{}
	v := workflows.Vouched(store, func(context.Context) error { looked++; return fails }, c.Now, slog.New(slog.DiscardHandler))
	claim := func(what string, limit, want, looks int, due ...time.Duration) {
		t.Helper()
		store.due = nil
		for _, d := range due {
			store.due = append(store.due, c.Now().Add(d))
		}
		before, released := looked, store.released
		claims, _, err := v.Claim(t.Context(), workflows.Clock, limit, time.Second)
		if !errors.Is(err, store.err) || len(claims) != want || looked-before != looks || store.released-released != len(due)-want {
			t.Errorf("%s: %d claims, %v; looked %d times, gave back %d", what, len(claims), err, looked-before, store.released-released)
		}
	}
	claim("late at the start", 2, 2, 0, -time.Hour, -time.Minute)
	claim("a lane that is not empty yet", 1, 1, 0, -time.Hour)
	claim("the last of it", 2, 1, 0, -time.Hour)
	c.Advance(time.Minute)
	claim("on time", 2, 1, 0, -30*time.Second)
	claim("a little early", 2, 1, 0, -time.Second)
	claim("out of the past", 2, 0, 1, -time.Hour)
	claim("out of the past, vouched for", 2, 1, 0, -time.Hour)
	store.err = errors.New("down")
	claim("no answer", 2, 0, 0)
	store.err = nil
	claim("nothing after no answer", 2, 0, 0)
	claim("on time after no answer", 2, 0, 1, 0)
	claim("vouched for", 2, 1, 0, 0)
	fails = errors.New("nobody can look")
	claim("out of the past, and nobody can look", 2, 0, 1, -time.Hour)
	claim("nobody can tell", 2, 1, 0, -time.Hour)
	claim("endings wait no more", 2, 1, 0, -time.Hour)
	fails = nil
	c.Advance(2 * time.Minute)
	claim("the lane is looked at again", 2, 0, 1, -time.Hour)
}
