package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// What Elevate is to be better by.
const (
	drainEverysec = 3.0
	drainAlways   = 8.0
	drainRiver    = 30.0
	latePart      = 0.1
	mostLate      = 20 * time.Millisecond
	within        = 2.0 // of the prototype's figures on the reference machine
	startWithinIt = time.Second
	mostMemoryIt  = 200e6
	mostGrowth    = 1.1
)

// prototype are the figures that the timers' prototype reached on the reference machine: drain per second, and the
// p99 lateness of 100,000 timers over a minute.
var prototype = map[string]struct {
	drain float64
	late  time.Duration
}{
	"everysec": {41_579, 3100 * time.Microsecond},
	"always":   {27_988, 4300 * time.Microsecond},
}

// threshold is one thing that must hold.
type threshold struct {
	what, found, wanted string
	kept                bool
}

func atLeast(what string, found, wanted float64) threshold {
	return threshold{what, fmt.Sprintf("%.2f", found), fmt.Sprintf("at least %.2f", wanted), found >= wanted}
}

func atMost(what string, found, wanted time.Duration) threshold {
	return threshold{what, millis(found), "at most " + millis(wanted), found <= wanted}
}

// comparisons holds our rows against the others and against the prototype.
func comparisons(rows []row, o options) []threshold {
	var all []threshold
	for _, us := range rows {
		if us.System != "elevate" {
			continue
		}
		for _, them := range rows {
			if them.System != "elevate" && (them.Fsync == us.Fsync || them.System == "river") {
				all = append(all, against(us, them, o)...)
			}
		}
		all = append(all, absolute(us, o)...)
	}
	return all
}

func against(us, them row, o options) []threshold {
	pair := fmt.Sprintf("%s: elevate / %s (%s)", us.Fsync, them.System, them.Settings)
	var all []threshold
	switch {
	case them.System == "asynq":
		least := map[string]float64{"everysec": drainEverysec, "always": drainAlways}[us.Fsync]
		all = append(all, atLeast("drain, "+pair, us.Drain/them.Drain, least), atLeast("enqueue, "+pair, us.Enqueue/them.Enqueue, 1))
	case them.Default:
		all = append(all, atLeast("drain, "+pair, us.Drain/them.Drain, drainRiver))
	}
	for _, n := range o.timers {
		if !them.MayBeEarly {
			tenth := time.Duration(latePart * float64(them.Late[n].P99))
			all = append(all, atMost(fmt.Sprintf("p99 of %d timers, %s", n, pair), us.Late[n].P99, tenth))
		}
	}
	return all
}

func absolute(us row, o options) []threshold {
	var all []threshold
	for _, n := range o.timers {
		s := us.Late[n]
		what := fmt.Sprintf("%s: %d timers", us.Fsync, n)
		all = append(all, atMost("p99 of "+what, s.P99, mostLate),
			threshold{"early of " + what, fmt.Sprint(s.Early), "0", s.Early == 0})
	}
	p, ok := prototype[us.Fsync]
	if !ok {
		return all
	}
	all = append(all, atLeast(us.Fsync+": drain / prototype's on the reference machine", us.Drain/p.drain, 1/within))
	if s, ok := us.Late[100_000]; ok {
		all = append(all, atMost(us.Fsync+": p99 of 100000 timers, beside the prototype's", s.P99, time.Duration(within*float64(p.late))))
	}
	return all
}

func (m *millionResult) thresholds() []threshold {
	growth := float64(m.Many) / float64(m.Few)
	return []threshold{
		atMost("start of ours, beyond Redis' own", m.Serving, startWithinIt),
		{"memory of ours", fmt.Sprintf("%.1f MB", float64(m.Memory)/1e6), fmt.Sprintf("below %.0f MB", mostMemoryIt/1e6), float64(m.Memory) < mostMemoryIt},
		{"one ending beside many grants / beside few", fmt.Sprintf("%.2f", growth), fmt.Sprintf("at most %.2f", mostGrowth), growth <= mostGrowth},
	}
}

// printThresholds tells whether all are kept.
func printThresholds(w io.Writer, all []threshold) bool {
	good := true
	fmt.Fprintln(w)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range all {
		word := "ok"
		if !t.kept {
			word, good = "MISSED", false
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", word, t.what, t.found, t.wanted)
	}
	_ = tab.Flush() // standard output: there is nobody to tell
	return good
}
