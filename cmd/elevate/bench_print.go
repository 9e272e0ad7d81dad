package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"elevate/storage/redis/measure"
)

// benchReport is what elevate bench found.
type benchReport struct {
	Version  string           `json:"version"`
	Machine  measure.Machine  `json:"machine"`
	Store    string           `json:"store"`
	Redis    measure.Server   `json:"redis"`
	Workers  int              `json:"workers"`
	Clicks   measure.Clicks   `json:"clicks"`
	Drain    measure.Drain    `json:"drain"`
	Lateness measure.Lateness `json:"lateness"`
}

func (r benchReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := tab.Write(r.table())
	return errors.Join(err, tab.Flush())
}

// table is the report for people, its columns separated by tabs.
func (r benchReport) table() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "elevate %s on %s\n", r.Version, r.Machine)
	fmt.Fprintf(&out, "store %s\n", r.Store)
	if r.Redis.Version != "" { // the in-process server tells nothing
		fmt.Fprintf(&out, "Redis %s, %s, appendonly %s, appendfsync %s, save %q, maxmemory-policy %s\n", r.Redis.Version,
			known(r.Redis.Mode), known(r.Redis.AppendOnly), known(r.Redis.AppendFsync), r.Redis.Save, known(r.Redis.MaxmemoryPolicy))
	}
	fmt.Fprintf(&out, "%d at once; the target answers at once\n\n", r.Workers)
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&out, "%s\t%s\n", what, fmt.Sprintf(format, args...))
	}
	row("requests submitted", "%s, each within %s (p99)", rate(r.Clicks.Submits), short(r.Clicks.Submit.P99))
	row("clicks on Approve", "%s, each within %s (p99)", rate(r.Clicks.Decisions), short(r.Clicks.Decide.P99))
	row("requests stored", "%s", rate(r.Drain.Stored.Requests))
	row("endings armed", "%s", rate(r.Drain.Stored.Endings))
	row(fmt.Sprintf("%d endings due at once", r.Drain.Grants), "%s, %s in all; %d early, %d calls of the target",
		rate(r.Drain.PerSecond), short(r.Drain.Took), r.Drain.Early, r.Drain.Calls)
	l := r.Lateness.Called
	row(fmt.Sprintf("%d endings over %s", l.N, r.Lateness.Over), "late by p50 %s, p99 %s, p99.9 %s, max %s; %d early",
		short(l.P50), short(l.P99), short(l.P999), short(l.Max), l.Early)
	c := r.Lateness.Confirmed
	row("  until confirmed", "p50 %s, p99 %s, p99.9 %s, max %s", short(c.P50), short(c.P99), short(c.P999), short(c.Max))
	memory := known("")
	if r.Drain.Bytes > 0 {
		memory = fmt.Sprintf("%.0f bytes of Redis", r.Drain.Bytes)
	}
	row("memory of an active grant", "%s", memory)
	return out.Bytes()
}

// known is what a server said of itself, or that it did not.
func known(s string) string { return cmp.Or(s, "(not told)") }

func rate(perSecond float64) string { return fmt.Sprintf("%.0f per second", perSecond) }

// short writes a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d.Abs() < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d.Abs() < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
