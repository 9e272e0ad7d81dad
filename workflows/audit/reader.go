package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line, in bytes with its newline. An event is some hundred.
const maxLine = 1 << 20

var errTooLong = fmt.Errorf("longer than %d MiB", maxLine>>20)

// lineReader reads raw lines from a file of the log. Memory stays at one line, whatever the file holds.
type lineReader struct {
	r     *bufio.Reader
	long  []byte // a line that did not fit into the buffer
	count int    // lines read
	start int64  // where in the file the last line read begins
	end   int64  // where the next one does
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next gives the next line without its newline; it is valid until the next call. torn tells that the file ended
// without a newline, so that the line is a piece of one. The error is io.EOF after the last line, and errTooLong
// (after which the next line follows) where a line was skipped.
func (l *lineReader) next() (raw []byte, torn bool, err error) {
	l.long = l.long[:0]
	l.start = l.end
	tooLong := false
	for {
		part, err := l.r.ReadSlice('\n')
		l.end += int64(len(part))
		switch {
		case tooLong:
		case len(l.long)+len(part) > maxLine:
			tooLong = true
			l.long = l.long[:0]
		case errors.Is(err, bufio.ErrBufferFull) || len(l.long) > 0:
			l.long = append(l.long, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		raw = part
		if len(l.long) > 0 {
			raw = l.long
		}
		return l.finish(raw, tooLong, err != nil)
	}
}

func (l *lineReader) finish(raw []byte, tooLong, ended bool) ([]byte, bool, error) {
	if ended && len(raw) == 0 && !tooLong {
		return nil, false, io.EOF
	}
	l.count++
	switch {
	case tooLong:
		return nil, false, errTooLong
	case ended:
		return raw, true, nil
	}
	return raw[:len(raw)-1], false, nil
}
