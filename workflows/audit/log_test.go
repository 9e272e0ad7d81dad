package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEveryLineCarriesTheHashOfTheRawLineBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := writeLog(t, dir, 3, 0)
	raw, err := os.ReadFile(filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
	prev := strings.Repeat("0", 64)
	for i, l := range lines {
		want := `{"seq":` + string(rune('1'+i)) + `,"prev":"` + prev + `","id":"e-00000` + string(rune('1'+i)) + `",`
		if !bytes.HasPrefix(l, []byte(want)) {
			t.Errorf("line %d begins %.110q; want %q", i+1, l, want)
		}
		sum := sha256.Sum256(l)
		prev = hex.EncodeToString(sum[:])
	}
	if len(lines) != 3 || head.String() != "3:"+prev {
		t.Errorf("%d lines, head %s; want 3:%s", len(lines), head, prev)
	}
	if info, _ := os.Stat(filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl")); info.Mode().Perm() != 0o600 {
		t.Errorf("the file is readable by others: %v", info.Mode())
	}
}

func TestChainRunsAcrossFilesOfDaysAndSizes(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	cfg := Config{MaxBytes: 3000, Now: c.Now}
	n := 0
	for range 3 {
		l, err := Open(dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			n++
			if err := l.Append(samples(n, n)); err != nil {
				t.Fatal(err)
			}
		}
		c.Add(24 * time.Hour)
		n++
		if err := errors.Join(l.Append(samples(n, n)), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	report := requireWhole(t, n, dir)
	files, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	days := map[string]bool{}
	for _, f := range files {
		days[dayOf(f.path)] = true
		if info, err := os.Stat(f.path); err != nil || info.Size() > 3000 {
			t.Errorf("%s: %d bytes, %v; want at most 3000", f.path, info.Size(), err)
		}
	}
	if len(days) != 4 || report.Files != len(files) || len(files) < 6 {
		t.Errorf("%d files of days %v", len(files), days)
	}
	if !report.Oldest.Equal(sample(1).At) || !report.Newest.Equal(sample(n).At) {
		t.Errorf("the log is said to run from %v to %v", report.Oldest, report.Newest)
	}
}

func TestOnlyOneWriterPerFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Config{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer got %v; want ErrLocked", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, Config{})
	if err != nil {
		t.Fatalf("after the first closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Append(samples(1, 1)); err == nil {
		t.Error("a closed log took an event")
	}
}

// A kill can leave any beginning of what was being written.
func TestTornLineIsCutOffWhereverItEnds(t *testing.T) {
	t.Parallel()
	whole := t.TempDir()
	writeLog(t, whole, 3, 0)
	name := "audit-2026-11-23-000000000001.jsonl"
	raw, err := os.ReadFile(filepath.Join(whole, name))
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size <= len(raw); size++ {
		nearEnd := bytes.ContainsRune(raw[max(0, size-2):min(len(raw), size+2)], '\n')
		if size > 3 && size%37 != 0 && !nearEnd {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), raw[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		var warned bytes.Buffer
		l, err := Open(dir, Config{Now: newClock().Now, Logger: textLogger(&warned)})
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		left := bytes.Count(raw[:size], []byte("\n"))
		if got := l.Tail().Seq; got != int64(left) {
			t.Fatalf("cut at %d: the log ends at line %d; want %d", size, got, left)
		}
		torn := size > 0 && raw[size-1] != '\n'
		if strings.Contains(warned.String(), "unfinished line") != torn {
			t.Errorf("cut at %d: warning %q", size, warned.String())
		}
		if err := errors.Join(l.Append(samples(left+1, 4)), l.Close()); err != nil {
			t.Fatal(err)
		}
		requireWhole(t, 4, dir)
	}
}

func TestOpenRefusesWhatItCannotGoOnFrom(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a last line of something else": "{\"hello\":1}\n",
		"no line in all that is read":   strings.Repeat("x", recentBytes+10),
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Config{}); err == nil || !strings.Contains(err.Error(), "move the file away, keep it") {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
}

func TestWriterRefusesAnEventThatNoReaderWouldTake(t *testing.T) {
	t.Parallel()
	l, err := Open(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := sample(1)
	e.Reason = strings.Repeat("x", maxLine)
	if err := l.Append([]Event{e}); !errors.Is(err, errTooLong) {
		t.Errorf("got %v; want errTooLong", err)
	}
	if err := l.Append(nil); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}
