package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"elevate/workflows/access"
)

// Entry is what a line says of a request, without the record that it carries, and where the line stands. A log is read
// as entries when what a store lost is rebuilt from it: a record is only decoded where it turns out to be needed.
type Entry struct {
	Seq     int64            `json:"seq"`
	Kind    string           `json:"kind"`
	At      time.Time        `json:"at"`
	Request access.RequestID `json:"request"`
	Version int64            `json:"version"`
	From    access.State     `json:"from"`
	To      access.State     `json:"to"`
	// Schema is that of the record that the line carries; zero: it carries none.
	Schema int `json:"-"`
	Place  `json:"-"`
}

// concerns tells whether a line tells what became of a request.
func (e Entry) concerns() bool { return e.Request != "" && e.Kind != Refused }

// Place is where a line stands.
type Place struct {
	File   string
	Offset int64
	Length int // in bytes, without the newline
}

// Read reads and decodes the line.
func (p Place) Read() (Line, error) {
	f, err := os.Open(p.File)
	if err != nil {
		return Line{}, err
	}
	defer f.Close()
	raw := make([]byte, p.Length)
	if _, err := f.ReadAt(raw, p.Offset); err != nil {
		return Line{}, fmt.Errorf("read %s at byte %d: %w", p.File, p.Offset, err)
	}
	l, err := decode(raw)
	if err != nil {
		return Line{}, fmt.Errorf("%s at byte %d: %w", p.File, p.Offset, err)
	}
	return l, nil
}

// Replayed is what a reading of the log found.
type Replayed struct {
	Lines int64
	// Found tells whether the line that the reading was to begin after is in the log.
	Found bool
	// Missing counts lines of the chain that are not here: they were archived, or another replica has them in a folder of
	// its own.
	Missing int64
	// Problems are places where the log is not what was written.
	Problems []Problem
	More     int // problems beyond the first hundred
}

// Replay gives what the lines after a head say of requests, in the order of the chain, checking the chain on the way. A
// broken chain stops nothing: what can be read is given, and the places are in the answer. The zero Head reads from the
// beginning. The error is of reading, or visit's own.
func Replay(paths []string, after Head, visit func(Entry) error) (Replayed, error) {
	r := replayer{after: after, visit: visit}
	if _, err := walkAfter(paths, after.Seq, r.line); err != nil {
		return r.Replayed, fmt.Errorf("read the audit log: %w", err)
	}
	return r.Replayed, nil
}

type replayer struct {
	Replayed
	after Head
	visit func(Entry) error
	last  Head // the line before the next one
	at    rawLine
}

func (r *replayer) line(l rawLine) error {
	switch {
	case l.torn: // it is being written, or its event is written again
		return nil
	case l.err != nil:
		r.problem(l, "%v: it was changed or added", l.err)
		return nil
	case l.seq < r.after.Seq:
		return nil
	}
	head := after(l.seq, l.raw)
	if r.Lines > 0 && !l.gap && copied(l, head, r.at, r.last) {
		return nil
	}
	if l.seq == r.after.Seq {
		r.Found = r.Found || head == r.after
		r.last, r.at = head, l
		return nil
	}
	r.follow(l)
	r.Lines++
	r.last, r.at = head, l
	e, err := entryOf(l.raw)
	if err != nil {
		r.problem(l, "%v: it was changed", err)
		return nil
	}
	if !e.concerns() {
		return nil
	}
	e.Seq, e.Place = l.seq, Place{File: l.file, Offset: l.at, Length: len(l.raw)}
	return r.visit(e)
}

// follow judges whether a line is the one that follows the last. That lines are missing before the first of a file is
// how a log looks that several replicas keep in folders of their own.
func (r *replayer) follow(l rawLine) {
	switch want := r.last.Seq + 1; {
	case l.seq == want && l.prev.Hash == r.last.Hash && !l.gap, r.last.Seq == 0 && r.after.Seq > 0:
	case l.seq > want && l.line == 1:
		r.Missing += l.seq - want
	case l.seq == want:
		r.problem(l, "line %d of the chain does not fit to the line before it: one of the two was changed or replaced", l.seq)
	default:
		r.problem(l, "line %d of the chain stands after line %d: lines were moved, repeated, added or removed", l.seq, r.last.Seq)
	}
}

func (r *replayer) problem(l rawLine, format string, args ...any) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{File: l.file, Line: l.line, Text: fmt.Sprintf(format, args...)})
}

// What stands in a line between what an entry needs and the rest, and before the schema of its record. Neither can be
// part of a text: quotation marks within texts have a backslash before them.
const (
	beforeRest   = `,"actor":`
	beforeSchema = `,"record":{"schema":`
)

// entryOf reads an entry without decoding the whole line.
func entryOf(raw []byte) (Entry, error) {
	var e Entry
	first, rest, ok := bytes.Cut(raw, []byte(beforeRest))
	if !ok {
		return e, errNotALine
	}
	whole := make([]byte, 0, 256)
	if err := json.Unmarshal(append(append(whole, first...), '}'), &e); err != nil {
		return e, fmt.Errorf("%w: %w", errNotALine, err)
	}
	if _, record, ok := bytes.Cut(rest, []byte(beforeSchema)); ok {
		end := bytes.IndexAny(record, ",}")
		n, err := strconv.Atoi(string(record[:max(0, end)]))
		if err != nil || n < 1 {
			return e, fmt.Errorf("%w: its record has no schema", errNotALine)
		}
		e.Schema = n
	}
	return e, nil
}

// lastLine is the last whole line in a folder, read without disturbing whoever writes there; the zero Head where there
// is none.
func lastLine(dir string) (Head, error) {
	files, err := segments(dir)
	if errors.Is(err, os.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	for i := len(files) - 1; i >= 0; i-- {
		end, _, err := readEnd(files[i].path)
		if err != nil {
			return Head{}, err
		}
		whole := end[:bytes.LastIndexByte(end, '\n')+1]
		if len(whole) == 0 {
			continue
		}
		last := whole[bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1 : len(whole)-1]
		seq, _, err := place(last)
		if err != nil {
			return Head{}, fmt.Errorf("%s: the last line: %w; move the file away, keep it, and start again", filepath.Base(files[i].path), err)
		}
		return after(seq, last), nil
	}
	return Head{}, nil
}
