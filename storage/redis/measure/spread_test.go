package measure_test

import (
	"testing"
	"time"

	"elevate/storage/redis/measure"
)

func upTo(n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(n - i) // falling, so that order does not matter
	}
	return all
}

func TestSpreadTakesTheNearestRank(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all  []time.Duration
		want measure.Spread
	}{
		"nothing":  {nil, measure.Spread{}},
		"one":      {upTo(1), measure.Spread{N: 1, Min: 1, P50: 1, P99: 1, P999: 1, Max: 1}},
		"hundred":  {upTo(100), measure.Spread{N: 100, Min: 1, P50: 50, P99: 99, P999: 100, Max: 100}},
		"thousand": {upTo(1000), measure.Spread{N: 1000, Min: 1, P50: 500, P99: 990, P999: 999, Max: 1000}},
		"early":    {[]time.Duration{3, -2, 0, -1}, measure.Spread{N: 4, Min: -2, P50: -1, P99: 3, P999: 3, Max: 3, Early: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := measure.SpreadOf(c.all); got != c.want {
				t.Errorf("got %+v, not %+v", got, c.want)
			}
		})
	}
}
