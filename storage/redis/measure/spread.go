package measure

import (
	"math"
	"slices"
	"time"
)

// Spread sums up how long something took. Durations are in nanoseconds in JSON.
type Spread struct {
	N    int           `json:"n"`
	Min  time.Duration `json:"min_ns"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
	// Early counts those below zero.
	Early int `json:"early"`
}

// SpreadOf sums up durations, which it sorts.
func SpreadOf(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	// The nearest rank: the smallest value that at least a share q of all do not exceed.
	at := func(q float64) time.Duration { return all[max(0, int(math.Ceil(q*float64(len(all))))-1)] }
	early, _ := slices.BinarySearch(all, 0)
	return Spread{N: len(all), Min: all[0], P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: all[len(all)-1], Early: early}
}
