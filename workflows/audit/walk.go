package audit

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// rawLine is a line as it stands in a file.
type rawLine struct {
	file string
	line int    // from 1
	at   int64  // where in the file it begins
	raw  []byte // valid until the next line is read
	seq  int64
	prev Head
	gap  bool  // it does not have the number after that of the line before it in the file
	torn bool  // the file ends without a newline
	err  error // why the bytes are no line; seq is then that of the line before
}

// copied tells whether a line is the last one again, byte for byte, in another folder: a replica that takes over
// writes again what the one before it may have written.
func copied(l rawLine, head Head, at rawLine, last Head) bool {
	return head == last && filepath.Dir(l.file) != filepath.Dir(at.file)
}

// walk reads folders and files and gives their lines in the order of the chain, however many folders it was written
// to: of the files that cover the same numbers, the line with the lowest number comes first. Within a file the order is
// that of the file. A file is open only while its numbers are due.
func walk(paths []string, visit func(rawLine) error) (files int, err error) {
	return walkAfter(paths, 0, visit)
}

// walkAfter is walk without the files of which every line comes before a number.
func walkAfter(paths []string, seq int64, visit func(rawLine) error) (files int, err error) {
	pending, err := gather(paths)
	if err != nil {
		return 0, err
	}
	pending = since(pending, seq)
	files = len(pending)
	var active []*cursor
	defer func() {
		for _, c := range active {
			c.f.Close()
		}
	}()
	for len(pending) > 0 || len(active) > 0 {
		at := lowest(active)
		if at < 0 || (len(pending) > 0 && pending[0].first <= active[at].seq) {
			c, err := openCursor(pending[0].path)
			if err != nil {
				return files, err
			}
			pending = pending[1:]
			active = append(active, c)
		} else if err := visit(active[at].rawLine); err != nil {
			return files, err
		} else if err := active[at].advance(); err != nil {
			return files, err
		}
		if active, err = dropEnded(active); err != nil {
			return files, err
		}
	}
	return files, nil
}

// since drops the files that end before a line: those in whose folder another one begins before it.
func since(files []segment, seq int64) []segment {
	newest := map[string]int64{} // by folder, the first number of the last file that begins at or before the line
	for _, s := range files {
		if s.first <= seq {
			newest[filepath.Dir(s.path)] = s.first
		}
	}
	return slices.DeleteFunc(files, func(s segment) bool { return s.first < newest[filepath.Dir(s.path)] })
}

// lowest is the index of the cursor whose line comes next; -1 where there is none.
func lowest(active []*cursor) int {
	at := -1
	for i, c := range active {
		if at < 0 || c.seq < active[at].seq {
			at = i
		}
	}
	return at
}

func dropEnded(active []*cursor) ([]*cursor, error) {
	kept := active[:0]
	var errs []error
	for _, c := range active {
		if c.ended {
			errs = append(errs, c.f.Close())
			continue
		}
		kept = append(kept, c)
	}
	return kept, errors.Join(errs...)
}

// cursor stands on a line of a file.
type cursor struct {
	rawLine
	f     *os.File
	lines *lineReader
	ended bool
}

func openCursor(path string) (*cursor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c := &cursor{rawLine: rawLine{file: path}, f: f, lines: newLineReader(f)}
	if err := c.advance(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// advance goes to the next line.
func (c *cursor) advance() error {
	c.raw, c.torn, c.err = c.lines.next()
	c.line, c.at, c.gap = c.lines.count, c.lines.start, false
	switch {
	case errors.Is(c.err, io.EOF):
		c.ended = true
		return nil
	case errors.Is(c.err, errTooLong):
		return nil
	case c.err != nil:
		return c.err
	}
	seq, prev, err := place(c.raw)
	if c.err = err; err == nil {
		c.gap = c.seq > 0 && seq != c.seq+1
		c.seq, c.prev = seq, prev
	}
	return nil
}
