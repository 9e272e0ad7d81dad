package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
)

// readLog reads the files of a folder by name, as lines with their newlines.
func readLog(t testing.TB, dir string) map[string][][]byte {
	t.Helper()
	files, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(f.path)] = slices.Collect(bytes.Lines(raw))
	}
	return out
}

func storeLog(t testing.TB, dir string, log map[string][][]byte) {
	t.Helper()
	for name, lines := range log {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Join(lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func copyLog(log map[string][][]byte) map[string][][]byte {
	out := map[string][][]byte{}
	for name, lines := range log {
		for _, l := range lines {
			out[name] = append(out[name], bytes.Clone(l))
		}
	}
	return out
}

// mutation damages a log as somebody would who wants to hide what happened. It returns false where it changed nothing.
type mutation struct {
	name   string
	damage func(r *rand.Rand, log map[string][][]byte) bool
}

// pick draws a line.
func pick(r *rand.Rand, log map[string][][]byte) (string, int) {
	names := slices.Sorted(maps.Keys(log))
	name := names[r.IntN(len(names))]
	return name, r.IntN(len(log[name]))
}

func mutations() []mutation {
	return []mutation{
		{"change a byte", func(r *rand.Rand, log map[string][][]byte) bool {
			name, i := pick(r, log)
			at, to := r.IntN(len(log[name][i])), byte(r.IntN(256))
			changed := log[name][i][at] != to
			log[name][i][at] = to
			return changed
		}},
		{"change a value", func(r *rand.Rand, log map[string][][]byte) bool {
			name, i := pick(r, log)
			log[name][i] = bytes.Replace(log[name][i], []byte(`"ana"`), []byte(`"bob"`), 1+r.IntN(2))
			return true
		}},
		{"delete lines", func(r *rand.Rand, log map[string][][]byte) bool {
			name, i := pick(r, log)
			log[name] = slices.Delete(log[name], i, min(len(log[name]), i+1+r.IntN(3)))
			return true
		}},
		{"swap two lines", func(r *rand.Rand, log map[string][][]byte) bool {
			a, i := pick(r, log)
			b, j := pick(r, log)
			log[a][i], log[b][j] = log[b][j], log[a][i]
			return a != b || i != j
		}},
		{"repeat a line", func(r *rand.Rand, log map[string][][]byte) bool {
			a, i := pick(r, log)
			b, j := pick(r, log)
			log[b] = slices.Insert(log[b], j, log[a][i])
			return true
		}},
		{"add a line that fits", func(r *rand.Rand, log map[string][][]byte) bool {
			name, i := pick(r, log)
			if i == len(log[name])-1 && name == slices.Max(slices.Collect(maps.Keys(log))) {
				return false // a log may have grown since its head was noted
			}
			raw := bytes.TrimSuffix(log[name][i], []byte("\n"))
			seq, _, _ := place(raw)
			forged, _, _ := encode(after(seq, raw), samples(900, 900))
			log[name] = slices.Insert(log[name], i+1, forged)
			return true
		}},
		{"cut the end off", func(r *rand.Rand, log map[string][][]byte) bool {
			name := slices.Max(slices.Collect(maps.Keys(log)))
			log[name] = log[name][:r.IntN(len(log[name]))]
			return true
		}},
		{"cut a file in the middle of a line", func(r *rand.Rand, log map[string][][]byte) bool {
			name, i := pick(r, log)
			log[name] = log[name][:i+1]
			log[name][i] = log[name][i][:r.IntN(len(log[name][i]))]
			return true
		}},
		{"remove a file", func(r *rand.Rand, log map[string][][]byte) bool {
			name, _ := pick(r, log)
			delete(log, name)
			return true
		}},
		{"write everything anew from a line on", func(r *rand.Rand, log map[string][][]byte) bool {
			from := 1 + r.IntN(40)
			var head Head
			for _, name := range slices.Sorted(maps.Keys(log)) {
				for i, raw := range log[name] {
					l, err := decode(raw)
					if err != nil {
						return false
					}
					if l.Seq >= int64(from) {
						l.Reason = "nothing to see"
					}
					log[name][i], head, _ = encode(head, []Event{l.Event})
				}
			}
			return true
		}},
	}
}

func TestVerifyFindsTenThousandRandomMutations(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	var head Head
	l, err := Open(whole, Config{MaxBytes: 8000, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 40; n++ {
		if err := l.Append(samples(n, n)); err != nil {
			t.Fatal(err)
		}
	}
	head = l.Tail()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	log := readLog(t, whole)
	if len(log) < 2 {
		t.Fatalf("%d files; want several", len(log))
	}
	for i, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r, dir := rand.New(rand.NewPCG(1, uint64(i))), t.TempDir()
			for done := 0; done < 1000; {
				damaged := copyLog(log)
				if !m.damage(r, damaged) {
					continue
				}
				done++
				for name := range log {
					if err := os.Remove(filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
						t.Fatal(err)
					}
				}
				storeLog(t, dir, damaged)
				report, err := Verify([]string{dir}, Expect{Heads: []Head{head}})
				if err != nil {
					t.Fatal(err)
				}
				if report.OK() {
					t.Fatalf("mutation %d was not found", done)
				}
			}
		})
	}
}

// oneFile writes a log of five lines into one file and gives its folder, its path and its lines.
func oneFile(t *testing.T) (dir, path string, lines [][]byte, head Head) {
	t.Helper()
	dir = t.TempDir()
	head = writeLog(t, dir, 5, 0)
	name := "audit-2026-11-23-000000000001.jsonl"
	return dir, filepath.Join(dir, name), readLog(t, dir)[name], head
}

func TestVerifySaysWhereAndWhat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		damage func(lines [][]byte) [][]byte
		want   []string // problems, as LINE: TEXT
	}{
		{"nothing", func(l [][]byte) [][]byte { return l }, nil},
		{"changed", func(l [][]byte) [][]byte { l[1] = bytes.Replace(l[1], []byte("ana"), []byte("bob"), 1); return l },
			[]string{"3: line 3 of the chain does not fit to line 2 before it (FILE:2): one of the two was changed or replaced"}},
		{"deleted", func(l [][]byte) [][]byte { return slices.Delete(l, 1, 3) },
			[]string{"2: lines 2 to 3 of the chain are missing between FILE:1 and here"}},
		{"swapped", func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l },
			[]string{"2: lines 2 to 2 of the chain are missing", "3: line 2 of the chain stands after line 3", "4: lines 3 to 3 of the chain are missing"}},
		{"repeated", func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[1]) },
			[]string{"3: line 2 of the chain stands here once more, after FILE:2"}},
		{"second with the same number", func(l [][]byte) [][]byte {
			return slices.Insert(l, 2, bytes.Replace(l[1], []byte("ana"), []byte("bob"), 1))
		}, []string{"3: there are two different lines 2", "4: line 3 of the chain does not fit"}},
		{"something else", func(l [][]byte) [][]byte { return slices.Insert(l, 2, []byte("hello\n")) },
			[]string{"3: this is no line of an audit log: it was changed or added"}},
		{"an endless line", func(l [][]byte) [][]byte {
			return slices.Insert(l, 2, append(bytes.Repeat([]byte("x"), maxLine), '\n'))
		}, []string{"3: longer than 1 MiB: it was changed or added"}},
		{"not JSON at the end", func(l [][]byte) [][]byte { l[4] = append(l[4][:len(l[4])-2], '\n'); return l },
			[]string{"5: line 5 of the chain is not JSON"}},
		{"torn", func(l [][]byte) [][]byte { l[4] = l[4][:100]; return l },
			[]string{"5: the file ends in the middle of a line (100 bytes)"}},
		{"no beginning", func(l [][]byte) [][]byte { return l[2:] },
			[]string{"1: the log begins at line 3 of the chain; lines 1 to 2 are missing"}},
		{"another beginning", func(l [][]byte) [][]byte {
			l[0] = bytes.Replace(l[0], []byte(`"prev":"0`), []byte(`"prev":"1`), 1)
			return l
		},
			[]string{"1: the first line does not begin a chain", "2: line 2 of the chain does not fit"}},
		{"cut off, which only a head tells", func(l [][]byte) [][]byte { return l[:3] }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, path, lines, _ := oneFile(t)
			storeLog(t, dir, map[string][][]byte{filepath.Base(path): tt.damage(lines)})
			report, err := Verify([]string{dir}, Expect{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range report.Problems {
				got = append(got, strings.ReplaceAll(p.String(), path, "FILE"))
			}
			ok := len(got) == len(tt.want) && report.OK() == (len(tt.want) == 0)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.HasPrefix(got[i], "FILE:"+tt.want[i])
			}
			if !ok {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// A chain is whole also where an event was taken out of the store before it was written. The versions of its request tell.
func TestVerifyTellsOfStepsThatNeverCameIntoTheLog(t *testing.T) {
	t.Parallel()
	step := func(request access.RequestID, version int64, kind string) Event {
		e := sample(int(version))
		e.ID, e.Request, e.Version, e.Kind = fmt.Sprintf("%s-%d-%s", request, version, kind), request, version, kind
		return e
	}
	a := func(version int64) Event { return step("a", version, "confirm") }
	b := func(version int64) Event { return step("b", version, "confirm") }
	for name, tt := range map[string]struct {
		events []Event
		want   string // in the one problem; empty: there is none
	}{
		"nothing":                            {[]Event{a(1), b(1), a(2), b(2), a(3)}, ""},
		"what is no step":                    {[]Event{a(1), step("a", 0, Forged), step("a", 9, Refused), step("", 9, "digest"), a(2)}, ""},
		"what was given back":                {[]Event{a(1), step("a", 1, Restored), a(2), step("a", 7, Restored), a(8)}, ""},
		"what happened once more":            {[]Event{a(1), a(2), a(1), a(2), a(3)}, ""},
		"a step":                             {[]Event{a(1), b(1), a(3), b(2), a(4)}, ":3: version 2 of request a is missing before this line"},
		"several":                            {[]Event{a(1), b(1), b(2), a(5), b(3)}, ":4: versions 2 to 4 of request a are missing before this line"},
		"the first":                          {[]Event{a(1), b(3), b(4)}, ":2: versions 1 to 2 of request b are missing before this line"},
		"a step after one that was repeated": {[]Event{a(1), a(2), a(1), a(4)}, ":4: version 3 of request a is missing before this line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := Open(dir, Config{Now: newClock().Now})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(l.Append(tt.events), l.Close()); err != nil {
				t.Fatal(err)
			}
			report, err := Verify([]string{dir}, Expect{})
			switch {
			case err != nil:
				t.Fatal(err)
			case tt.want == "" && !report.OK(), tt.want != "" && (len(report.Problems) != 1 || !strings.Contains(report.Problems[0].String(), tt.want)):
				t.Errorf("got %v, want %q", report.Problems, tt.want)
			}
		})
	}
}

// Nor where they are kept elsewhere: what comes after is judged by itself.
func TestNoStepIsExpectedWhereLinesAreMissing(t *testing.T) {
	t.Parallel()
	dir, path, lines, _ := oneFile(t)
	second := after(2, bytes.TrimSuffix(lines[1], []byte("\n")))
	storeLog(t, dir, map[string][][]byte{filepath.Base(path): lines[2:]})
	for name, tt := range map[string]struct {
		known Expect
		want  int
	}{"archived": {Expect{After: second}, 0}, "gone": {Expect{}, 1}} {
		report, err := Verify([]string{dir}, tt.known)
		if err != nil || len(report.Problems) != tt.want {
			t.Errorf("%s: %v, %v", name, report.Problems, err)
		}
	}
}

func TestHeadsFindWhatAChainCannot(t *testing.T) {
	t.Parallel()
	dir, path, lines, head := oneFile(t)
	third := after(3, bytes.TrimSuffix(lines[2], []byte("\n")))
	other := third
	other.Hash[0]++
	verify := func(known Expect) []Problem {
		report, err := Verify([]string{dir}, known)
		if err != nil {
			t.Fatal(err)
		}
		return report.Problems
	}
	if p := verify(Expect{Heads: []Head{third, head, {}}}); p != nil {
		t.Errorf("true heads: %v", p)
	}
	if p := verify(Expect{Heads: []Head{other}}); len(p) != 1 || !strings.Contains(p[0].String(), ":3: line 3 of the chain is not the one that was noted") {
		t.Errorf("a head of another log: %v", p)
	}
	storeLog(t, dir, map[string][][]byte{filepath.Base(path): lines[:4]})
	if p := verify(Expect{Heads: []Head{third, head}}); len(p) != 1 || !strings.Contains(p[0].String(), "the log ends at line 4: lines were cut off") {
		t.Errorf("cut off: %v", p)
	}
	storeLog(t, dir, map[string][][]byte{filepath.Base(path): lines[3:]})
	if p := verify(Expect{After: third, Heads: []Head{head}}); p != nil {
		t.Errorf("an archived beginning: %v", p)
	}
	if p := verify(Expect{After: other}); len(p) != 1 || !strings.Contains(p[0].String(), "does not fit to line 3 before it (the head given)") {
		t.Errorf("another beginning: %v", p)
	}
}

func TestReportsDoNotGrowWithTheDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	junk := bytes.Repeat([]byte("junk\n"), 250)
	if err := os.WriteFile(filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl"), junk, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Verify([]string{dir}, Expect{})
	if err != nil || len(report.Problems) != maxProblems || report.More != 150 {
		t.Errorf("%d problems and %d more, %v", len(report.Problems), report.More, err)
	}
}

func TestVerifyNeedsSomethingToRead(t *testing.T) {
	t.Parallel()
	if _, err := Verify([]string{filepath.Join(t.TempDir(), "nowhere")}, Expect{}); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("got %v", err)
	}
	report, err := Verify([]string{t.TempDir()}, Expect{})
	if err != nil || !report.OK() || report.Lines != 0 || report.Head != (Head{}) {
		t.Errorf("an empty folder: %+v, %v", report, err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if err = u.Unwrap(); err == nil {
			return nil
		}
	}
}

func TestHeadIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	h := Head{Seq: 41, Hash: sha256.Sum256([]byte("x"))}
	for _, head := range []Head{h, {}} {
		if got, err := ParseHead(" " + head.String() + "\n"); err != nil || got != head {
			t.Errorf("%s: got %s, %v", head, got, err)
		}
	}
	for _, s := range []string{"", "41", "41:", "41:abc", "-1:" + strings.Repeat("0", 64), h.String() + "0", strings.ToUpper(h.String()), "x" + h.String()} {
		if _, err := ParseHead(s); err == nil {
			t.Errorf("%q was taken for a head", s)
		}
	}
}

// bigLog writes a million lines and gives the folder and their size in bytes.
func bigLog(b *testing.B) (string, int64) {
	b.Helper()
	dir := b.TempDir()
	writeLog(b, dir, 1_000_000, 1<<40)
	files, err := segments(dir)
	if err != nil || len(files) != 1 {
		b.Fatalf("%v, %v", files, err)
	}
	info, err := os.Stat(files[0].path)
	if err != nil {
		b.Fatal(err)
	}
	return dir, info.Size()
}

// BenchmarkVerify verifies a million lines, beside the bare SHA-256 of the same bytes.
func BenchmarkVerify(b *testing.B) {
	dir, size := bigLog(b)
	b.Run("Verify", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if report, err := Verify([]string{dir}, Expect{}); err != nil || !report.OK() || report.Lines != 1_000_000 {
				b.Fatal(report, err)
			}
		}
	})
	b.Run("SHA256", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			files, err := segments(dir)
			if err != nil {
				b.Fatal(err)
			}
			raw, err := os.ReadFile(files[0].path)
			if err != nil {
				b.Fatal(err)
			}
			sink = sha256.Sum256(raw)
		}
	})
	b.Run("ExportCSV", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := Export(discard{}, []string{dir}, CSV, Filter{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ExportJSONLOfAnHour", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			x, err := Export(discard{}, []string{dir}, JSONL, Filter{From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)})
			if err != nil || x.Events != 3600 {
				b.Fatal(x, err)
			}
		}
	})
}

var sink [sha256.Size]byte

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkAppend appends single events, each safe on the disk before the next.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			l, err := Open(b.TempDir(), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			batch := samples(1, n)
			for b.Loop() {
				if err := l.Append(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
