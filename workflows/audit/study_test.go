package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// class notes what it is told.
type class struct {
	events  []Event
	entries []Entry
}

func (c *class) lessons(kinds ...string) []Lesson {
	return []Lesson{
		{Kinds: kinds, Event: func(e Event) { c.events = append(c.events, e) }},
		{Since: time.Now().Add(-time.Hour), Entry: func(e Entry) { c.entries = append(c.entries, e) }},
	}
}

// A study gives whole events of the kinds that are wanted, and of every line what it says of a request, as Replay does.
func TestAStudyTellsEverybodyWhatTheyNeed(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock()
	l, err := Open(dir, Config{MaxBytes: 3000, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	wanted := []Event{
		{ID: "f", At: noon, Kind: "factor_set", Person: "ana", Detail: map[string]string{"version": "7", "text": `,"kind":"linked"`}},
		{ID: "l", At: noon, Kind: Linked, Person: "ana", Request: "07kq4-m2xp9", Version: 99},
	}
	others := []Event{{ID: "r", At: noon, Kind: Refused, Request: "07kq4-m2xp9"}, {ID: "x", At: noon, Kind: "unlinked"}, {ID: `",é`, At: noon, Kind: "deny", Request: "r"}}
	for n := 1; n <= 20; n++ {
		if err := l.Append(slices.Concat(samples(n, n), []Event{recorded(n + 20)}, wanted, others)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var c class
	s := NewStudy(dir, c.lessons("factor_", Linked))
	for range 2 { // the second finds nothing new
		if err := s.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.events) != 40 || s.Lines() != 20*7 {
		t.Fatalf("told of %d events in %d lines", len(c.events), s.Lines())
	}
	for i, e := range c.events {
		if !reflect.DeepEqual(e, wanted[i%2]) {
			t.Errorf("told %+v, want %+v", e, wanted[i%2])
		}
	}
	want, _ := replayed(t, Head{}, dir)
	for i := range want {
		want[i].Schema, want[i].Place = 0, Place{}
	}
	for i := range c.entries {
		c.entries[i].Schema = 0
	}
	if !reflect.DeepEqual(c.entries, want) {
		t.Errorf("told %d entries, want the %d of a replay", len(c.entries), len(want))
	}
}

// A file that cannot be read hides no other; when it can be, it alone is read. Who needs only what was written lately is
// told nothing of a file that is older.
func TestAFileThatCannotBeReadHidesNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{MaxBytes: 3000, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 40; n++ {
		if err := l.Append(samples(n, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := segments(dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	hidden, old := files[1].path, files[2].path
	away := filepath.Join(t.TempDir(), "away")
	before := time.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.Chtimes(old, before, before), os.Rename(hidden, away), os.Symlink(hidden, hidden)); err != nil {
		t.Fatal(err)
	}
	var c class
	s := NewStudy(dir, c.lessons("confirm"))
	if err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), hidden) {
		t.Errorf("read: %v, want an error that names the file", err)
	}
	missing := files[2].first - files[1].first
	if n := int64(len(c.events)); n != 40-missing {
		t.Errorf("told of %d events, want all but %d", n, missing)
	}
	if err := errors.Join(os.Remove(hidden), os.Rename(away, hidden), s.Read(t.Context())); err != nil {
		t.Fatal(err)
	}
	seen := map[int64]int{}
	for _, e := range c.events {
		seen[e.Version]++
	}
	if len(seen) != 40 || len(c.events) != 40 {
		t.Errorf("told of %d events %d times, want each once", len(seen), len(c.events))
	}
	for _, e := range c.entries {
		if e.Seq >= files[2].first && (len(files) == 3 || e.Seq < files[3].first) {
			t.Errorf("told of line %d, which nobody wrote lately", e.Seq)
		}
	}
	if n := int64(len(c.entries)); n >= 40 || n == 0 {
		t.Errorf("told of %d entries", n)
	}
}

// What is written after a Read is told by the next, in the file that was read and in new ones, each line once, and no piece
// of a line.
func TestAStudyReadsOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{MaxBytes: 3000, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	var c class
	s, wrote := NewStudy(dir, c.lessons("confirm")), 0
	told := func(want int) {
		t.Helper()
		if err := s.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.events) != want || len(c.entries) != want || s.Lines() != int64(want) {
			t.Fatalf("told of %d events and %d entries in %d lines, want %d", len(c.events), len(c.entries), s.Lines(), want)
		}
	}
	told(0)
	for range 40 {
		wrote++
		if err := l.Append(samples(wrote, wrote)); err != nil {
			t.Fatal(err)
		}
		told(wrote)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := segments(dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	head, err := lastLine(dir)
	if err != nil {
		t.Fatal(err)
	}
	line, _, err := encode(head, samples(wrote+1, wrote+1))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(files[len(files)-1].path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, piece := range [][]byte{line[:10], line[10 : len(line)-1], line[len(line)-1:]} {
		told(wrote)
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	told(wrote + 1)
	for i, e := range c.entries {
		if e.Seq != int64(i+1) {
			t.Errorf("told of line %d in place %d", e.Seq, i+1)
		}
	}
}

func TestAStudyOfAFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	if err := NewStudy(filepath.Join(t.TempDir(), "none"), nil).Read(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAStudyStopsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeLog(t, dir, 2*linesAtOnce, 0)
	ctx, stop := context.WithCancel(t.Context())
	s := NewStudy(dir, []Lesson{{Entry: func(Entry) { stop() }}})
	if err := s.Read(ctx); !errors.Is(err, context.Canceled) || s.Lines() != linesAtOnce {
		t.Errorf("stopped after %d lines: %v", s.Lines(), err)
	}
}
