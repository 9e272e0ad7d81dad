package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrReading says that what the log tells is not known yet: a program that has just started is still reading it.
var ErrReading = errors.New("the audit log is still being read")

// Lesson is what somebody needs to know of what the log tells.
type Lesson struct {
	// Since is when a file was written to last, at the earliest, to tell anything. Zero: every file does.
	Since time.Time
	// Kinds are how the kinds of event begin that Event is given.
	Kinds []string
	Event func(Event)
	// Entry is given what each line says of a request, without its place and the schema of its record. Nil: nothing is.
	Entry func(Entry)
}

// wants tells whether an event of a kind is to be given whole.
func (l Lesson) wants(kind []byte) bool {
	for _, k := range l.Kinds {
		if bytes.HasPrefix(kind, []byte(k)) {
			return true
		}
	}
	return false
}

// Study reads the log in a folder for everybody who needs to know what it tells: all of it once, and then what was written
// since. It checks no chain, and decodes what nobody asked for no further than it must: it is for whoever starts, and a log
// may be gigabytes. A file that cannot be read hides no other, and is read again with the next Read. One goroutine uses it.
type Study struct {
	dir     string
	lessons []Lesson
	read    map[string]int64 // how far, bytes, by the name of a file
	lines   int64
}

// NewStudy makes a Study of a folder; Read begins it.
func NewStudy(dir string, lessons []Lesson) *Study {
	return &Study{dir: dir, lessons: lessons, read: map[string]int64{}}
}

// Lines is how many lines were read.
func (s *Study) Lines() int64 { return s.lines }

// Read gives what was not read yet, in the order of the chain, and tells of files that could not be read. A folder that has
// not been made yet has none.
func (s *Study) Read(ctx context.Context) error {
	files, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	problems := []error{err}
	for _, f := range files {
		if f.IsDir() || filepath.Ext(f.Name()) != ".jsonl" {
			continue
		}
		if err := s.file(ctx, f.Name()); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	return nil
}

// linesAtOnce is how many lines are read before the reading may be stopped: some milliseconds.
const linesAtOnce = 4096

// file reads on in a file. What it ends with without a newline is still being written, and is left for the next time.
func (s *Study) file(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		if _, gone := os.Lstat(path); errors.Is(gone, os.ErrNotExist) {
			return nil // another replica took it away, because it had no line
		}
		return err
	}
	begins, begun := s.read[name]
	if begun && (info.Size() <= begins || !info.Mode().IsRegular()) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var due []Lesson
	for _, l := range s.lessons {
		if info.ModTime().After(l.Since) {
			due = append(due, l)
		}
	}
	if len(due) == 0 {
		s.read[name] = info.Size()
		return nil
	}
	if begun {
		if _, err := f.Seek(begins, io.SeekStart); err != nil {
			return err
		}
	}
	s.read[name] = begins
	lines := newLineReader(f)
	for {
		raw, torn, err := lines.next()
		switch {
		case errors.Is(err, io.EOF), torn:
			return nil
		case err == nil:
			teach(due, raw)
		case !errors.Is(err, errTooLong): // verify tells of one that is; here it tells nothing
			return err
		}
		s.read[name] = begins + lines.end
		if s.lines++; s.lines%linesAtOnce == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// teach gives everybody of a raw line what they need of it. It is decoded once, and only as far as somebody needs it. What
// is no line tells nothing; verify tells of it.
func teach(lessons []Lesson, raw []byte) {
	kind := kindOf(raw)
	var whole, part bool
	for _, l := range lessons {
		whole = whole || l.wants(kind)
		part = part || l.Entry != nil
	}
	var line Line
	var entry Entry
	_, _, err := place(raw)
	switch {
	case err != nil:
	case whole:
		line, err = decode(raw)
		entry = Entry{Seq: line.Seq, Kind: line.Kind, At: line.At, Request: line.Request, Version: line.Version, From: line.From, To: line.To}
	case part:
		entry, err = entryOf(raw)
	}
	if err != nil {
		return
	}
	for _, l := range lessons {
		if l.wants(kind) {
			l.Event(line.Event)
		}
		if l.Entry != nil && entry.concerns() {
			l.Entry(entry)
		}
	}
}
