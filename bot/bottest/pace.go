package bottest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Pace sends b.N requests at a rate a second, not waiting for answers, and reports how long those took: p50, p99 and the
// longest, in milliseconds.
func Pace(b *testing.B, perSecond int, send func(i int)) {
	b.Helper()
	took := make([]time.Duration, b.N)
	var answered sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	b.ResetTimer()
	for i := range took {
		<-tick.C
		answered.Go(func() {
			began := time.Now()
			send(i)
			took[i] = time.Since(began)
		})
	}
	answered.Wait()
	b.StopTimer()
	slices.Sort(took)
	at := func(percent int) float64 { return float64(took[(len(took)-1)*percent/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
	b.ReportMetric(at(100), "max-ms")
	b.ReportMetric(0, "ns/op")
}
