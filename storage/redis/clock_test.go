package redis

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// dials are three clocks that a test moves.
type dials struct {
	true, wall, server time.Duration // how far the true time has come, and how far the others are ahead of it
}

// A clock that somebody moved ahead and back again has not made up for it: what was given in between would last longer.
func TestClocksThatAgreeAreNotBelievedToGoBack(t *testing.T) {
	t.Parallel()
	wall, passed := time.UnixMilli(1_800_000_000_000), time.Duration(0)
	c := &clocks{start: wall, wall: func() time.Time { return wall }, steady: func() time.Duration { return passed }}
	c.compare(0)
	for range 3600 { // set back by a second each hour, as by a program that knows no better
		passed += time.Hour
		wall = wall.Add(time.Hour - time.Second)
		if alone, _ := c.compare(0); alone || !c.ours().Equal(wall) {
			t.Fatalf("a clock that is set right often is not followed: %s, alone %v", c.ours().Sub(wall), alone)
		}
	}
	wall = wall.Add(time.Hour)
	c.compare(0)
	wall = wall.Add(-time.Hour)
	if alone, _ := c.compare(0); !alone || c.behind() != time.Hour {
		t.Errorf("alone %v, %s behind", alone, c.behind())
	}
}

func TestNoClockThatIsMovedMakesEndingsLateOrEarly(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for name, test := range map[string]struct {
		before, after dials
		late          time.Duration // what is due at the true time is handed out so much later
		alone         bool
	}{
		"all agree":                        {dials{}, dials{true: minute}, 0, false},
		"a little apart":                   {dials{}, dials{true: minute, server: 400 * time.Millisecond}, 0, false},
		"the server's is moved back":       {dials{}, dials{true: minute, server: -time.Hour}, 0, true},
		"the server's is moved ahead":      {dials{}, dials{true: minute, server: time.Hour}, 0, true},
		"ours is moved back":               {dials{}, dials{true: minute, wall: -time.Hour}, 0, false},
		"ours is moved ahead":              {dials{}, dials{true: minute, wall: time.Hour}, 0, false},
		"both are moved back":              {dials{}, dials{true: minute, wall: -time.Hour, server: -time.Hour}, 0, true},
		"both are moved back a little":     {dials{}, dials{true: minute, wall: -4 * time.Second, server: -4 * time.Second}, 4 * time.Second, false},
		"both are moved, ours further":     {dials{}, dials{true: minute, wall: -2 * time.Hour, server: -time.Hour}, 0, true},
		"both are moved ahead":             {dials{}, dials{true: minute, wall: time.Hour, server: time.Hour}, -time.Hour, false}, // as after a sleep
		"both are set right":               {dials{wall: -time.Hour, server: -time.Hour}, dials{true: minute}, 0, false},
		"ours was wrong from the start":    {dials{wall: time.Hour}, dials{true: minute, wall: time.Hour}, 0, false},
		"ours was behind from the start":   {dials{wall: -time.Hour}, dials{true: minute, wall: -time.Hour}, time.Hour, false},
		"ours was wrong and was set right": {dials{wall: time.Hour}, dials{true: minute}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			epoch := time.UnixMilli(1_800_000_000_000)
			now := test.before
			c := &clocks{start: epoch.Add(now.true + now.wall)}
			c.wall = func() time.Time { return epoch.Add(now.true + now.wall) }
			c.steady = func() time.Duration { return now.true - test.before.true }
			c.compare(now.server - now.wall)
			now = test.after
			c.compare(now.server - now.wall)
			seen := c.ours()
			if server := epoch.Add(now.true + now.server); !c.alone && server.Before(seen) {
				seen = server
			}
			if got := epoch.Add(now.true).Sub(seen); (got-test.late).Abs() > time.Second || c.alone != test.alone {
				t.Errorf("timers are %s late, alone %v; want %s, %v", got, c.alone, test.late, test.alone)
			}
			if c.alone {
				now.server, now.wall = 0, 0
				if _, changed := c.compare(0); !changed || c.alone {
					t.Error("a clock that is right again is not believed")
				}
			}
		})
	}
}

func TestNothingIsActivatedByAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	fine := func(context.Context) (Status, error) { return Status{Class: Durable}, nil }
	s, err := Open(t.Context(), Config{URL: "redis://" + server.Addr(), Check: fine})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	back := time.Duration(0)
	s.clocks.wall = func() time.Time { return time.Now().Add(-back) }
	for _, step := range []struct {
		back time.Duration
		safe bool
	}{{0, true}, {time.Hour, false}, {time.Second, true}} {
		back, s.checked = step.back, time.Time{}
		s.clocks.compare(0) // the server's clock goes with ours
		if err := s.Safe(t.Context()); (err == nil) != step.safe || err != nil && !strings.Contains(err.Error(), "set back by 1h0m0s") {
			t.Errorf("set back by %s: %v", step.back, err)
		}
	}
}
