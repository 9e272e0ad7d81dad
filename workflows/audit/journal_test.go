package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"elevate/workflows/access"
)

// recorded is a sample with the record that its arrow left.
func recorded(n int) Event {
	e := sample(n)
	e.Record = &access.Record{Schema: access.Schema, State: access.Active, Version: e.Version, Request: access.Request{
		ID: e.Request, Person: "ana", Justification: `","actor":{"record":{"schema":7,`,
		Role: access.Role{ID: e.Role, Target: map[string]any{"record": map[string]any{"schema": 8.0}}},
	}}
	return e
}

// replayed reads entries after a head.
func replayed(t *testing.T, after Head, paths ...string) ([]Entry, Replayed) {
	t.Helper()
	var entries []Entry
	found, err := Replay(paths, after, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, found
}

func TestEntriesAreWhatTheirLinesSay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{MaxBytes: 2000, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	refusal := Event{ID: "r", At: noon, Kind: Refused, Request: "07kq4-m2xp9", Reason: "not_eligible"}
	for n := 1; n <= 20; n++ {
		e := sample(n)
		if n%3 == 0 {
			e = recorded(n)
		}
		if err := l.Append([]Event{e, refusal}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, found := replayed(t, Head{}, dir)
	if len(entries) != 20 || found.Lines != 40 || len(found.Problems) > 0 || found.Missing > 0 {
		t.Fatalf("%d entries; %+v", len(entries), found)
	}
	for i, e := range entries {
		line, err := e.Read()
		want := sample(i + 1)
		if (i+1)%3 == 0 {
			want = recorded(i + 1)
		}
		if err != nil || line.Seq != e.Seq || !reflect.DeepEqual(line.Event, want) {
			t.Fatalf("line %d is read as %+v (%v)", e.Seq, line, err)
		}
		if e.Kind != want.Kind || e.Request != want.Request || e.Version != want.Version || e.To != want.To || !e.At.Equal(want.At) || (e.Schema > 0) != (want.Record != nil) {
			t.Errorf("entry %+v of %+v", e, want)
		}
	}
}

func TestReplayGoesOnAfterALine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := writeLog(t, dir, 7*maxBatch, 64<<10)
	var heads []Head
	x := exporter{}
	if err := x.each([]string{dir}, func(_ int64, l rawLine) error {
		heads = append(heads, after(l.seq, l.raw))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2, maxBatch, maxBatch + 1, 7*maxBatch - 1, 7 * maxBatch} {
		entries, found := replayed(t, heads[n-1], dir)
		if len(entries) != len(heads)-n || !found.Found || len(found.Problems) > 0 {
			t.Errorf("after line %d: %d entries; %+v", n, len(entries), found)
		}
		other := heads[n-1]
		other.Hash[3]++
		if _, found := replayed(t, other, dir); found.Found {
			t.Errorf("another line %d was found", n)
		}
	}
	head.Seq++
	if entries, found := replayed(t, head, dir); len(entries) > 0 || found.Found {
		t.Errorf("after a line that there is not: %d entries; %+v", len(entries), found)
	}
}

func TestReplayTellsABrokenChainAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]string) []string{
		"changed": func(l []string) []string { l[4] = strings.Replace(l[4], `"ana"`, `"bob"`, 1); return l },
		"removed": func(l []string) []string { return slices.Delete(l, 4, 5) },
		"swapped": func(l []string) []string { l[4], l[5] = l[5], l[4]; return l },
		"not one": func(l []string) []string { l[4] = "{}\n"; return l },
		"no json": func(l []string) []string { l[4] = strings.Replace(l[4], `"at":"`, `"at":x`, 1); return l },
	} {
		dir := t.TempDir()
		writeLog(t, dir, 10, 0)
		path := filepath.Join(dir, "audit-2026-11-23-000000000001.jsonl")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(damage(slices.Collect(strings.Lines(string(raw)))), "")
		if err := os.WriteFile(path, []byte(text+`{"seq":11,"torn`), 0o600); err != nil {
			t.Fatal(err)
		}
		entries, found := replayed(t, Head{}, dir)
		if len(entries) < 9 || len(found.Problems) == 0 {
			t.Errorf("%s: %d entries; %+v", name, len(entries), found)
		}
	}
}

func TestReplayOfPartsCountsWhatIsElsewhere(t *testing.T) {
	t.Parallel()
	c, a, b := newClock(), t.TempDir(), t.TempDir()
	store := newMemory(c.Now)
	for n := range 4 {
		store.add(samples(3*n+1, 3*n+3)...)
		d := replica(t, "x", []string{a, b}[n%2], store, Config{Now: c.Now})
		drainAll(t, d)
		d.release()
	}
	if entries, found := replayed(t, Head{}, a); len(entries) != 6 || found.Missing != 3 || len(found.Problems) > 0 {
		t.Errorf("one part: %d entries; %+v", len(entries), found)
	}
	if entries, found := replayed(t, Head{}, a, b); len(entries) != 12 || found.Missing != 0 || len(found.Problems) > 0 {
		t.Errorf("both parts: %d entries; %+v", len(entries), found)
	}
}

func TestReplayEndsWithItsVisitor(t *testing.T) {
	t.Parallel()
	dir, enough := t.TempDir(), errors.New("enough")
	writeLog(t, dir, 3, 0)
	if _, err := Replay([]string{dir}, Head{}, func(Entry) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	if _, err := Replay([]string{filepath.Join(dir, "none")}, Head{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// FuzzEntry reads anything as a line. What is a line of the program's own making must say the same as an entry.
func FuzzEntry(f *testing.F) {
	for _, e := range []Event{sample(1), recorded(2), {ID: "x", Kind: Restored, Request: `","actor":{`, Reason: `,"record":{"schema":2`}} {
		lines, _, err := encode(Head{}, []Event{e})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(lines[:len(lines)-1])
	}
	f.Add([]byte(`{"seq":1,"record":{"schema":`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := entryOf(raw)
		line, whole := decode(raw)
		if whole != nil {
			return
		}
		written, err2 := json.Marshal(line)
		if err2 != nil || string(written) != string(raw) || line.Record != nil && line.Record.Schema < 1 {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		schema := 0
		if line.Record != nil {
			schema = line.Record.Schema
		}
		if got.Seq != line.Seq || got.Kind != line.Kind || got.Request != line.Request || got.Version != line.Version ||
			got.From != line.From || got.To != line.To || !got.At.Equal(line.At) || got.Schema != schema {
			t.Fatalf("%q: entry %+v of line %+v", raw, got, line)
		}
	})
}
