package audit

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"time"
)

// Problem is a place where the log is not what was written.
type Problem struct {
	File string // "": the log as a whole
	Line int    // from 1
	Text string
}

func (p Problem) String() string {
	if p.File == "" {
		return p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Report is what a verification found.
type Report struct {
	Files int
	Lines int64
	// First is the number of the first line.
	First int64
	// Head is the last line. Keep it elsewhere: that lines were cut off the end, or that the whole log was written
	// anew, is found only by comparing with a head that was noted earlier.
	Head Head
	// Oldest and Newest are the times of the first and the last line.
	Oldest, Newest time.Time
	// Copies counts lines that stand in more than one folder, byte for byte: a replica that took over wrote them again.
	Copies   int64
	Problems []Problem
	More     int // problems beyond the first hundred
}

// OK tells whether nothing is wrong.
func (r Report) OK() bool { return len(r.Problems) == 0 }

const maxProblems = 100

// Expect is what is known of a log from elsewhere.
type Expect struct {
	// After is the line before the first: the zero Head for a log that is there from its beginning, or the head of
	// what was archived or left out of an export.
	After Head
	// Heads are lines that the log must have, as earlier reports gave them.
	Heads []Head
}

// Verify reads folders and files of one log, in whatever order they are named, and tells every place where lines were
// changed, removed, added, repeated, swapped or cut, and where a request goes on although a step of it never came into the
// log. The error is of reading; what is wrong with the log is in the report.
func Verify(paths []string, known Expect) (Report, error) {
	v := verifier{last: known.After, heads: map[int64][]Head{}, steps: steps{seed: maphash.MakeSeed(), last: map[uint64]int64{}, whole: known.After == Head{}}}
	for _, h := range known.Heads {
		v.heads[h.Seq] = append(v.heads[h.Seq], h)
	}
	files, err := walk(paths, v.visit)
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	v.report.Files = files
	v.finish(known)
	return v.report, nil
}

// verifier walks the lines as the chain runs.
type verifier struct {
	report Report
	last   Head // the line before the next one
	at     rawLine
	newest []byte // the bytes of that line
	heads  map[int64][]Head
	steps  steps
}

// steps are how far requests have come, each step a version more.
type steps struct {
	seed  maphash.Seed
	last  map[uint64]int64 // versions, by the hash of an id: a log may tell of millions
	whole bool             // the log was read from its beginning, so a request begins with its first version
}

// before gives the versions of a request that should stand before a line; none where from is above to.
func (s *steps) before(e Entry) (from, to int64) {
	id := maphash.String(s.seed, string(e.Request))
	last, known := s.last[id]
	s.last[id] = max(last, e.Version)
	if e.Kind == Restored || !known && !s.whole { // what was given back goes on from where it was, or above
		return 1, 0
	}
	return last + 1, e.Version - 1
}

// lost has nothing be expected of what comes, because lines are missing.
func (s *steps) lost() {
	clear(s.last)
	s.whole = false
}

func (v *verifier) problem(l rawLine, format string, args ...any) {
	if len(v.report.Problems) == maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, Problem{File: l.file, Line: l.line, Text: fmt.Sprintf(format, args...)})
}

// visit judges one line and goes on from it, so that one fault is told once.
func (v *verifier) visit(l rawLine) error {
	switch {
	case l.torn:
		v.problem(l, "the file ends in the middle of a line (%d bytes): a crash leaves that behind and the next start mends it, or somebody cut the file", len(l.raw))
		return nil
	case l.err != nil:
		v.problem(l, "%v: it was changed or added", l.err)
		return nil
	}
	head := after(l.seq, l.raw)
	if v.report.Lines > 0 && !l.gap && copied(l, head, v.at, v.last) {
		v.report.Copies++
		return nil
	}
	if v.follow(l) {
		v.step(l)
	} else {
		v.steps.lost()
	}
	if !json.Valid(l.raw) {
		v.problem(l, "line %d of the chain is not JSON: it was changed", l.seq)
	}
	for _, known := range v.heads[l.seq] {
		if known != head {
			v.problem(l, "line %d of the chain is not the one that was noted as %s: the log was written anew, or changed", l.seq, known)
		}
	}
	delete(v.heads, l.seq)
	if v.report.Lines == 0 {
		v.report.First, v.report.Oldest = l.seq, timeOf(l.raw)
	}
	v.report.Lines++
	v.last, v.at = head, l
	v.newest = append(v.newest[:0], l.raw...)
	return nil
}

// follow judges whether a line is the one that follows the last.
func (v *verifier) follow(l rawLine) bool {
	before := "the head given"
	if v.report.Lines > 0 {
		before = fmt.Sprintf("%s:%d", v.at.file, v.at.line)
	}
	switch want := v.last.Seq + 1; {
	case l.seq == want && l.prev.Hash == v.last.Hash && l.gap:
		v.problem(l, "line %d of the chain does not belong into this file after the line before it: it was moved", l.seq)
	case l.seq == want && l.prev.Hash == v.last.Hash:
		return true
	case l.seq == want && want == 1:
		v.problem(l, "the first line does not begin a chain: it was changed")
	case l.seq == want:
		v.problem(l, "line %d of the chain does not fit to line %d before it (%s): one of the two was changed or replaced", l.seq, v.last.Seq, before)
	case l.seq > want && v.report.Lines == 0:
		v.problem(l, "the log begins at line %d of the chain; lines %d to %d are missing. Where they are kept elsewhere, name the head before the first line here: %s", l.seq, want, l.seq-1, l.prev)
	case l.seq > want:
		v.problem(l, "lines %d to %d of the chain are missing between %s and here", want, l.seq-1, before)
	case l.seq == v.last.Seq && after(l.seq, l.raw) == v.last:
		v.problem(l, "line %d of the chain stands here once more, after %s", l.seq, before)
	case l.seq == v.last.Seq:
		v.problem(l, "there are two different lines %d of the chain, here and at %s: one was added, or two folders were written to at once", l.seq, before)
	default:
		v.problem(l, "line %d of the chain stands after line %d (%s): moved, repeated or added", l.seq, v.last.Seq, before)
	}
	return false
}

// step judges whether a request's step is the one that follows its last.
func (v *verifier) step(l rawLine) {
	e, err := entryOf(l.raw)
	if err != nil || e.Version == 0 || !e.concerns() {
		return
	}
	from, to := v.steps.before(e)
	switch {
	case from == to:
		v.problem(l, "version %d of request %s is missing before this line: %s", from, e.Request, whyMissing)
	case from < to:
		v.problem(l, "versions %d to %d of request %s are missing before this line: %s", from, to, e.Request, whyMissing)
	}
}

const whyMissing = "what happened then was taken out of the store before it was in the log, or the store has lost it"

func (v *verifier) finish(known Expect) {
	v.report.Head = v.last
	if len(v.newest) > 0 {
		v.report.Newest = timeOf(v.newest)
	}
	for _, h := range known.Heads {
		if _, missing := v.heads[h.Seq]; missing && h.Seq > known.After.Seq {
			v.problem(rawLine{}, "line %d of the chain, noted as %s, is missing; the log ends at line %d: lines were cut off", h.Seq, h, v.last.Seq)
		}
	}
}
