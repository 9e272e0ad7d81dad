package audit

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

func FuzzLineReader(f *testing.F) {
	lines, _, err := encode(Head{}, samples(1, 3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines)
	f.Add(lines[:len(lines)-5])
	f.Add([]byte("\n\n"))
	f.Add(bytes.Repeat([]byte("x"), 70<<10))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newLineReader(iotest.OneByteReader(bytes.NewReader(raw)))
		for line := range bytes.Lines(raw) {
			got, torn, err := r.next()
			if len(line) > maxLine {
				if !errors.Is(err, errTooLong) {
					t.Fatalf("a line of %d bytes: %v", len(line), err)
				}
				continue
			}
			whole := bytes.HasSuffix(line, []byte("\n"))
			if err != nil || torn == whole || !bytes.Equal(got, bytes.TrimSuffix(line, []byte("\n"))) {
				t.Fatalf("%q: got %q, torn %v, %v", line, got, torn, err)
			}
		}
		if _, _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last line: %v", err)
		}
	})
}

// FuzzVerify reads anything as a log. What it finds to be whole must be exported unchanged, and be gone on with.
func FuzzVerify(f *testing.F) {
	lines, _, err := encode(Head{}, samples(1, 3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines)
	f.Add(lines[:len(lines)-5])
	f.Add(append(lines, lines...))
	f.Add([]byte(`{"seq":1,"prev":"` + strings.Repeat("0", 64) + `","id":1}` + "\n"))
	f.Add([]byte("\n"))
	const name = "audit-2026-11-23-000000000001.jsonl"
	dir := f.TempDir() // of all that is only read: folders cost more than what is tried here
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Verify([]string{dir}, Expect{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Export(discard{}, []string{dir}, CSV, Filter{}); err != nil {
			t.Fatal(err)
		}
		if !report.OK() {
			return
		}
		var out bytes.Buffer
		if _, err := Export(&out, []string{dir}, JSONL, Filter{}); err != nil || !bytes.Equal(out.Bytes(), raw) {
			t.Fatalf("a log that is whole was exported as %q (%v)", out.Bytes(), err)
		}
		dir := t.TempDir() // of what is written on
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir, Config{open: hasty})
		if err != nil || l.Tail() != report.Head {
			t.Fatalf("a log that is whole was opened at %v (%v)", l, err)
		}
		next := sample(900)
		next.Version = 0 // how far requests are is the log's to say
		if err := errors.Join(l.Append([]Event{next}), l.Close()); err != nil {
			t.Fatal(err)
		}
		if report, err := Verify([]string{dir}, Expect{Heads: []Head{report.Head}}); err != nil || !report.OK() {
			t.Fatalf("%v, %v", report.Problems, err)
		}
	})
}

func FuzzParseHead(f *testing.F) {
	f.Add("1:" + strings.Repeat("0", 64))
	f.Add("-1:")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHead(s)
		if err != nil {
			return
		}
		if again, err := ParseHead(h.String()); err != nil || again != h {
			t.Fatalf("%q: %v, then %v (%v)", s, h, again, err)
		}
	})
}

// FuzzCSV wants that no cell of an export begins as a formula, with whatever separator it is read, and that nothing
// but apostrophes was added.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"=1", "\t=1", "x;=1", "\ufeff＝1", "a\n@b", "\"=1", "'=1", ",=1", "x\r\n=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		safe := harmless(s)
		if strings.ReplaceAll(safe, "'", "") != strings.ReplaceAll(s, "'", "") {
			t.Fatalf("%q became %q", s, safe)
		}
		cells := strings.FieldsFunc(safe, func(c rune) bool { return strings.ContainsRune(";\t\r\n", c) })
		for _, cell := range cells {
			seen := strings.TrimLeftFunc(cell, func(c rune) bool {
				return unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) || unicode.IsControl(c)
			})
			if strings.IndexAny(seen, "=+-@＝＋－＠") == 0 {
				t.Fatalf("%q became %q, of which %q is a formula", s, safe, cell)
			}
		}
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		if err := w.Write([]string{"1", safe}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		row, err := csv.NewReader(&out).Read()
		if err != nil || len(row) != 2 || row[1] != strings.ReplaceAll(safe, "\r\n", "\n") {
			t.Fatalf("%q was read back as %q (%v)", safe, row, err)
		}
	})
}
