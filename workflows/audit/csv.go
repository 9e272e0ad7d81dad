package audit

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// columns are the header of a CSV export.
func columns() []string {
	return []string{"seq", "at", "kind", "request", "version", "from", "to", "actor", "via", "account", "address",
		"person", "role", "connector", "reason", "detail", "id", "prev"}
}

func (x *exporter) rows(paths []string) error {
	w := csv.NewWriter(x.out)
	w.UseCRLF = true // RFC 4180
	if err := w.Write(columns()); err != nil {
		return err
	}
	err := x.each(paths, func(_ int64, l rawLine) error {
		line, err := decode(l.raw)
		if err != nil || l.err != nil {
			l.err = errNotALine
			line = Line{Event: Event{Kind: "unreadable", Reason: string(l.raw), ID: fmt.Sprintf("%s:%d", l.file, l.line)}}
		} else if !x.filter.selects(line.At) {
			return nil
		}
		x.count(l)
		fields, err := row(line)
		if err != nil {
			return err
		}
		return w.Write(fields)
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

func row(l Line) ([]string, error) {
	detail := ""
	if len(l.Detail) > 0 {
		raw, err := json.Marshal(l.Detail)
		if err != nil {
			return nil, err
		}
		detail = string(raw)
	}
	at := ""
	if !l.At.IsZero() {
		at = l.At.UTC().Format(time.RFC3339Nano)
	}
	fields := []string{
		number(l.Seq), at, l.Kind, string(l.Request), number(l.Version),
		string(l.From), string(l.To), string(l.Actor.Person), l.Actor.Via, l.Actor.Account, l.Actor.Address,
		string(l.Person), string(l.Role), l.Connector, l.Reason, detail, l.ID, l.Prev,
	}
	for i, f := range fields {
		fields[i] = harmless(f)
	}
	return fields, nil
}

// number writes a number, and nothing for zero, which is the number of no line and no version.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// harmless puts an apostrophe before everything that a spreadsheet would take for a formula, at the beginning of a
// field and wherever a spreadsheet that was told another separator would begin a new one.
func harmless(s string) string {
	var b strings.Builder
	start, from := true, 0
	for i, c := range s {
		switch {
		case start && strings.ContainsRune("=+-@\t\r＝＋－＠", c):
			b.WriteString(s[from:i])
			b.WriteByte('\'')
			from, start = i, c == '\t' || c == '\r'
		case strings.ContainsRune(";\t\r\n", c):
			start = true
		case start && !unicode.IsSpace(c) && !unicode.Is(unicode.Cf, c) && !unicode.IsControl(c):
			start = false
		}
	}
	if from == 0 && b.Len() == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}
