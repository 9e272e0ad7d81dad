package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Format is a form of an export.
type Format string

// The formats.
const (
	// JSONL is the evidence: the lines as they stand in the log, byte for byte, from the first that the filter selects
	// to the last, without gaps, so that Verify proves them.
	JSONL Format = "jsonl"
	// CSV is for people: one row for each event that the filter selects, safe to open in a spreadsheet.
	CSV Format = "csv"
)

// ParseFormat reads a format's name; "" is JSONL.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return JSONL, nil
	case JSONL, CSV:
		return f, nil
	}
	return "", fmt.Errorf("there is no format %q: use %s or %s", s, JSONL, CSV)
}

// Filter selects events by their time. Zero fields select everything.
type Filter struct {
	From time.Time // at or after
	To   time.Time // before
}

func (f Filter) selects(at time.Time) bool {
	return !at.Before(f.From) && (f.To.IsZero() || at.Before(f.To))
}

// Exported is what an export wrote.
type Exported struct {
	Events int64
	// Unreadable counts lines that are no lines of a log. JSONL has them as they stand, CSV as rows of kind unreadable.
	Unreadable int64
	// After is the line before the first one written, and Head the last one; Verify takes both (Expect).
	After, Head Head
}

// Export writes the events of folders and files of one log. It does not prove them: Verify does.
func Export(w io.Writer, paths []string, format Format, filter Filter) (Exported, error) {
	x := exporter{filter: filter, out: bufio.NewWriterSize(w, 64<<10), from: 1, to: math.MaxInt64}
	var err error
	switch format {
	case JSONL:
		err = x.lines(paths)
	case CSV:
		err = x.rows(paths)
	default:
		_, err = ParseFormat(string(format))
	}
	if err == nil {
		err = x.out.Flush()
	}
	if err != nil {
		return Exported{}, fmt.Errorf("export the audit log: %w", err)
	}
	return x.done, nil
}

type exporter struct {
	filter   Filter
	out      *bufio.Writer
	from, to int64 // which lines to write, counted from 1
	done     Exported
}

// each visits and counts the lines, once where they stand in several folders. An unfinished last line is left out.
func (x *exporter) each(paths []string, visit func(n int64, l rawLine) error) error {
	var n int64
	var last Head
	var at rawLine
	_, err := walk(paths, func(l rawLine) error {
		head := after(l.seq, l.raw)
		if l.torn || l.err == nil && n > 0 && copied(l, head, at, last) {
			return nil
		}
		n++
		last, at = head, l
		return visit(n, l)
	})
	return err
}

func (x *exporter) lines(paths []string) error {
	if x.filter != (Filter{}) {
		if err := x.span(paths); err != nil {
			return err
		}
	}
	return x.each(paths, func(n int64, l rawLine) error {
		if n < x.from || n > x.to {
			return nil
		}
		x.count(l)
		_, err := x.out.Write(l.raw)
		return errors.Join(err, x.out.WriteByte('\n'))
	})
}

// span finds the first and the last line that the filter selects. Events are nearly in the order of their times, not
// quite: requests run side by side.
func (x *exporter) span(paths []string) error {
	x.from, x.to = math.MaxInt64, 0
	return x.each(paths, func(n int64, l rawLine) error {
		if l.err == nil && x.filter.selects(timeOf(l.raw)) {
			x.from, x.to = min(x.from, n), n
		}
		return nil
	})
}

func (x *exporter) count(l rawLine) {
	if l.err != nil {
		x.done.Unreadable++
		return
	}
	if x.done.Events == 0 {
		x.done.After = l.prev
	}
	x.done.Events++
	x.done.Head = after(l.seq, l.raw)
}

// timeOf reads the time of a raw line; the zero time where there is none. It is found by its key, which no text of a
// line can contain: a quotation mark within a text is written with a backslash before it.
func timeOf(raw []byte) time.Time {
	_, rest, ok := bytes.Cut(raw, []byte(`","at":"`))
	text, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !closed {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return at
}
