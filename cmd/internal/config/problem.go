package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of a configuration file.
type Problem struct {
	File   string
	Line   int    // from 1; 0: of no line
	Column int    // from 1
	Key    string // path of the key: policies[0].approve[1].by; empty: of the whole file
	Text   string // what is wrong, and what to write instead
	// Warning marks what is probably a slip and keeps nothing from starting.
	Warning bool
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are the faults of a file.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Fatal tells whether one of them is more than a warning.
func (p Problems) Fatal() bool {
	return slices.ContainsFunc(p, func(p Problem) bool { return !p.Warning })
}

// Sort puts them in the order of the file, as after joining those of Load with those of Connect.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// findings gathers problems, at most one kind of them per key: what could not be read is not also called missing.
type findings struct {
	doc      *document
	problems Problems
	// unread are the keys whose value could not be read; nothing more is said of them and of what is below them.
	unread map[string]bool
}

func newFindings(doc *document) *findings {
	return &findings{doc: doc, unread: map[string]bool{}}
}

// unreadable reports a value that does not even have the form that its key needs.
func (f *findings) unreadable(at path, format string, args ...any) {
	if f.silenced(at) {
		return
	}
	f.report(at, false, format, args...)
	f.unread[at.String()] = true
}

// problem reports what a value says wrong.
func (f *findings) problem(at path, format string, args ...any) {
	if !f.silenced(at) {
		f.report(at, false, format, args...)
	}
}

func (f *findings) warning(at path, format string, args ...any) {
	if !f.silenced(at) {
		f.report(at, true, format, args...)
	}
}

func (f *findings) report(at path, warning bool, format string, args ...any) {
	line, column := f.doc.position(at)
	text := f.doc.hide(fmt.Sprintf(format, args...))
	f.problems = append(f.problems, Problem{File: f.doc.file, Line: line, Column: column, Key: at.String(), Text: text, Warning: warning})
}

// silenced tells whether the key, or one that it is below, could not be read.
func (f *findings) silenced(at path) bool {
	for n := range len(at) + 1 {
		if f.unread[at[:n].String()] {
			return true
		}
	}
	return false
}

func (f *findings) sorted() Problems {
	f.problems.Sort()
	return f.problems
}

// path is the way to a key from the top of a file: keys, and indices in brackets.
type path []string

func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		if i > 0 && !strings.HasPrefix(step, "[") {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// key is the path of a key below this one.
func (p path) key(steps ...string) path { return slices.Concat(p, steps) }

// index is the path of an element of the list at this one.
func (p path) index(i int) path { return slices.Concat(p, path{fmt.Sprintf("[%d]", i)}) }

// parsePath reads what String writes. It is for keys that this program names: they have no dots or brackets in them.
func parsePath(s string) path {
	var p path
	for _, part := range strings.Split(s, ".") {
		name, rest, indexed := strings.Cut(part, "[")
		if name != "" {
			p = append(p, name)
		}
		if indexed {
			p = append(p, "["+rest)
		}
	}
	return p
}
