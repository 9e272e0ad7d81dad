package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis/measure"
)

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args string
		says string // "": it is taken
	}{
		"nothing":          {"", ""},
		"quick":            {"--quick --skip-river", ""},
		"a million only":   {"--million-only", ""},
		"several timers":   {"--timers 10,20 --fsync always", ""},
		"another fsync":    {"--fsync no", "--fsync"},
		"no timers":        {"--timers 0", "--timers"},
		"words for timers": {"--timers many", "--timers"},
		"nothing to do":    {"--n 0", "--n"},
		"an argument":      {"now", "one argument too many"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(strings.Fields(c.args))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v", c.args, err)
			}
		})
	}
}

// good are rows that keep every threshold.
func good() []row {
	late := func(d time.Duration) map[int]measure.Spread {
		return map[int]measure.Spread{100_000: {N: 100_000, P99: d}}
	}
	return []row{
		{label: label{System: "elevate", Fsync: "everysec", Default: true}, Enqueue: 30_000, Drain: 30_000, Late: late(3 * time.Millisecond)},
		{label: label{System: "asynq", Fsync: "everysec", Default: true, MayBeEarly: true}, Enqueue: 30_000, Drain: 10_000, Late: late(time.Millisecond)},
		{label: label{System: "asynq", Fsync: "everysec"}, Enqueue: 20_000, Drain: 9_000, Late: late(30 * time.Millisecond)},
		{label: label{System: "asynq", Fsync: "always", Default: true}, Enqueue: 90_000, Drain: 90_000, Late: late(time.Microsecond)},
		{label: label{System: "river", Fsync: "PostgreSQL", Default: true}, Enqueue: 90_000, Drain: 1_000, Late: late(30 * time.Millisecond)},
		{label: label{System: "river", Fsync: "PostgreSQL"}, Enqueue: 90_000, Drain: 90_000, Late: late(30 * time.Millisecond)},
	}
}

func TestThresholdsAreHeld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(rows []row)
		missed string // part of what is missed; "": nothing
	}{
		"all kept":                  {func([]row) {}, ""},
		"drain beside asynq":        {func(r []row) { r[1].Drain = 10_001 }, "drain, everysec: elevate / asynq"},
		"drain beside tuned asynq":  {func(r []row) { r[2].Drain = 10_001 }, "drain, everysec: elevate / asynq"},
		"drain beside river":        {func(r []row) { r[4].Drain = 1_001 }, "drain, everysec: elevate / river"},
		"enqueue beside asynq":      {func(r []row) { r[1].Enqueue = 30_001 }, "enqueue, everysec: elevate / asynq"},
		"lateness beside asynq":     {func(r []row) { r[2].Late[100_000] = measure.Spread{P99: 29 * time.Millisecond} }, "p99 of 100000 timers, everysec: elevate / asynq"},
		"lateness beside river":     {func(r []row) { r[5].Late[100_000] = measure.Spread{P99: 29 * time.Millisecond} }, "p99 of 100000 timers, everysec: elevate / river"},
		"lateness of ours":          {func(r []row) { r[0].Late[100_000] = measure.Spread{P99: 21 * time.Millisecond} }, "p99 of everysec"},
		"one early":                 {func(r []row) { r[0].Late[100_000] = measure.Spread{P99: 3 * time.Millisecond, Early: 1} }, "early of everysec"},
		"drain beside prototype's":  {func(r []row) { r[0].Drain = 20_000 }, "prototype"},
		"half of what asynq stores": {func(r []row) { r[0].Enqueue = 15_000 }, "enqueue, everysec: elevate / asynq"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := good()
			c.change(rows)
			all := comparisons(rows, options{timers: []int{100_000}})
			missed := slices.DeleteFunc(slices.Clone(all), func(h threshold) bool { return h.kept })
			if c.missed == "" && len(missed) > 0 || c.missed != "" && !slices.ContainsFunc(missed, func(h threshold) bool { return strings.Contains(h.what, c.missed) }) {
				t.Errorf("missed: %+v", missed)
			}
			if printThresholds(io.Discard, all) != (c.missed == "") {
				t.Error("the verdict is not that of the thresholds")
			}
		})
	}
}

func TestManyGrantsAreHeldToTheirThresholds(t *testing.T) {
	t.Parallel()
	fine := millionResult{Serving: time.Second, Memory: 199e6, Few: 100, Many: 110}
	for name, change := range map[string]func(*millionResult){
		"slow start":  func(m *millionResult) { m.Serving += time.Millisecond },
		"much memory": func(m *millionResult) { m.Memory = 200e6 },
		"growth":      func(m *millionResult) { m.Many = 111 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fine
			if !printThresholds(io.Discard, m.thresholds()) {
				t.Error("what is just right is missed")
			}
			change(&m)
			if printThresholds(io.Discard, m.thresholds()) {
				t.Error("what is a little too much is not missed")
			}
		})
	}
}
