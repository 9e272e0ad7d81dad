package redis

import (
	"testing"
	"time"
)

// dials are three clocks that a test moves.
type dials struct {
	true, wall, server time.Duration // how far the true time has come, and how far the others are ahead of it
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
				now.server = now.wall
				if !c.compare(0) || c.alone {
					t.Error("a clock that is right again is not believed")
				}
			}
		})
	}
}
