package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// A file is named after the day on which it was begun and the number of its first line, so that names sort as the
// chain runs: audit-2026-11-23-000000000001.jsonl.
var fileName = regexp.MustCompile(`^audit-\d{4}-\d{2}-\d{2}-(\d{12,})\.jsonl$`)

func nameFile(day time.Time, first int64) string {
	return fmt.Sprintf("audit-%s-%012d.jsonl", day.UTC().Format(time.DateOnly), first)
}

// segment is one file of the log: a run of the chain without gaps.
type segment struct {
	path  string
	first int64 // number of its first line
}

// segments lists the files of a folder as the chain runs. The first numbers are those of the names.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []segment
	for _, e := range entries {
		if m := fileName.FindStringSubmatch(e.Name()); m != nil && e.Type().IsRegular() {
			first, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
			}
			out = append(out, segment{path: filepath.Join(dir, e.Name()), first: first})
		}
	}
	sortSegments(out)
	return out, nil
}

func sortSegments(s []segment) {
	slices.SortStableFunc(s, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.path, b.path))
	})
}

// gather lists the files below the given folders, and the given files, as the chain runs.
func gather(paths []string) ([]segment, error) {
	var out []segment
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, segment{path: filepath.Clean(p)})
			continue
		}
		found, err := segments(p)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	for i := range out {
		first, err := firstSeq(out[i].path)
		if err != nil {
			return nil, err
		}
		if first > 0 {
			out[i].first = first
		}
	}
	sortSegments(out)
	return slices.CompactFunc(out, func(a, b segment) bool { return a.path == b.path }), nil
}

// firstSeq is the number of the first line of a file; 0 where it cannot be read as one.
func firstSeq(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	raw, _, err := newLineReader(f).next()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	seq, _, err := place(raw)
	if err != nil {
		return 0, nil // an unreadable first line is for the verification to tell
	}
	return seq, nil
}

// tail is what a folder's newest file ends with.
type tail struct {
	path  string // "": the folder has no line
	size  int64
	head  Head
	marks []mark // of the newest events, oldest first
	torn  int64  // bytes of an unfinished line that were cut off
}

// recentBytes is how much of the newest file is read for the marks of its events: more than one line.
const recentBytes = 2 * maxLine

// repair cuts an unfinished last line off the newest file of a folder, removes that file where nothing else is in it,
// and gives where the log ends. What it cuts off was never acknowledged: the store still has those events.
func repair(dir string) (tail, error) {
	files, err := segments(dir)
	if err != nil {
		return tail{}, err
	}
	var torn int64
	for _, s := range slices.Backward(files) {
		t, err := repairFile(s.path)
		if err != nil {
			return tail{}, fmt.Errorf("open the audit log: %w", err)
		}
		torn += t.torn
		if t.size > 0 {
			t.torn = torn
			return t, nil
		}
		if err := os.Remove(s.path); err != nil {
			return tail{}, err
		}
	}
	return tail{torn: torn}, nil
}

func repairFile(path string) (tail, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return tail{}, err
	}
	defer f.Close()
	end, from, err := endOf(f)
	if err != nil {
		return tail{}, err
	}
	whole := bytes.LastIndexByte(end, '\n') + 1
	if whole == 0 && from > 0 {
		return tail{}, fmt.Errorf("%s ends in %d bytes without a line; move the file away, keep it, and start again", path, recentBytes)
	}
	t := tail{path: path, size: from + int64(whole), torn: int64(len(end) - whole)}
	if t.torn > 0 {
		if err := errors.Join(f.Truncate(t.size), f.Sync()); err != nil {
			return tail{}, err
		}
	}
	if whole == 0 {
		return t, nil
	}
	return t, t.read(end[:whole], from > 0)
}

// readEnd reads the end of a file as endOf does.
func readEnd(path string) (end []byte, from int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	return endOf(f)
}

// endOf is as much of a file's end as is looked at, and where in the file it begins.
func endOf(f *os.File) (end []byte, from int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	from = max(0, info.Size()-recentBytes)
	end = make([]byte, info.Size()-from)
	if _, err := f.ReadAt(end, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return end, from, nil
}

// read takes the head and the marks from the end of a file; cut tells that it begins in the middle of a line.
func (t *tail) read(end []byte, cut bool) error {
	lines := bytes.TrimSuffix(end, []byte("\n"))
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	seq, _, err := place(last)
	if err != nil {
		return fmt.Errorf("%s: the last line: %w; move the file away, keep it, and start again", t.path, err)
	}
	t.head = after(seq, last)
	for raw := range bytes.Lines(end) {
		if cut {
			cut = false
			continue
		}
		if m, err := marks(raw); err == nil { // what cannot be read is for the verification to tell
			t.marks = append(t.marks, m...)
		}
	}
	return nil
}
