package audit

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExportedLinesProveThemselves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeLog(t, dir, 50, 4000)
	for _, f := range []Filter{
		{},
		{From: noon.Add(10 * time.Second)},
		{To: noon.Add(20 * time.Second)},
		{From: noon.Add(10 * time.Second), To: noon.Add(20 * time.Second)},
		{From: noon.Add(time.Hour)},
	} {
		want := 0
		for _, e := range samples(1, 50) {
			if f.selects(e.At) {
				want++
			}
		}
		var out bytes.Buffer
		x, err := Export(&out, []string{dir}, JSONL, f)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "export.jsonl")
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := Verify([]string{file}, Expect{After: x.After, Heads: []Head{x.Head}})
		if err != nil || !report.OK() || report.Lines != int64(want) || x.Events != int64(want) || report.Head != x.Head {
			t.Errorf("%v: exported %+v; verified %+v, %v; want %d lines", f, x, report, err, want)
		}
	}
}

// Requests run side by side, so a line may be older than the one before it; leaving it out would break the chain.
func TestExportedLinesHaveNoGap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append([]Event{sample(1), sample(5), sample(2), sample(6), sample(9)}), l.Close()); err != nil {
		t.Fatal(err)
	}
	filter := Filter{From: sample(5).At, To: sample(7).At}
	var lines, rows bytes.Buffer
	x, err := Export(&lines, []string{dir}, JSONL, filter)
	if err != nil || x.Events != 3 {
		t.Errorf("JSONL: %d events, %v; want 3", x.Events, err)
	}
	x, err = Export(&rows, []string{dir}, CSV, filter)
	if err != nil || x.Events != 2 {
		t.Errorf("CSV: %d events, %v; want 2", x.Events, err)
	}
}

func TestLinesOfSeveralFoldersAreExportedOnce(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	writeLog(t, a, 20, 0)
	storeLog(t, b, readLog(t, a))
	for _, format := range []Format{JSONL, CSV} {
		x, err := Export(discard{}, []string{a, b}, format, Filter{})
		if err != nil || x.Events != 20 {
			t.Errorf("%s: %d events, %v", format, x.Events, err)
		}
	}
	report, err := Verify([]string{a, b}, Expect{})
	if err != nil || !report.OK() || report.Lines != 20 || report.Copies != 20 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestDamagedLinesAreExportedAsTheyStand(t *testing.T) {
	t.Parallel()
	dir, path, lines, _ := oneFile(t)
	lines[2] = []byte("=HYPERLINK(\"x\")\n")
	lines[4] = lines[4][:30]
	storeLog(t, dir, map[string][][]byte{filepath.Base(path): lines})
	var out bytes.Buffer
	x, err := Export(&out, []string{dir}, JSONL, Filter{})
	if want := bytes.Join(lines[:4], nil); err != nil || x.Events != 3 || x.Unreadable != 1 || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%+v, %v\n%s", x, err, out.Bytes())
	}
	out.Reset()
	x, err = Export(&out, []string{dir}, CSV, Filter{From: noon.Add(time.Hour)})
	if err != nil || x.Events != 0 || x.Unreadable != 1 {
		t.Fatalf("%+v, %v", x, err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q, %v", rows, err)
	}
	kind, reason := rows[1][slices.Index(columns(), "kind")], rows[1][slices.Index(columns(), "reason")]
	if kind != "unreadable" || reason != `'=HYPERLINK("x")` {
		t.Errorf("kind %q, reason %q", kind, reason)
	}
}

func TestCSVHasEveryFieldOfAnEvent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := sample(7)
	e.At = e.At.In(time.FixedZone("elsewhere", 3600))
	e.Actor.Address = "192.0.2.7"
	refused := Event{ID: "r-1", At: noon, Kind: Refused, Reason: "not_eligible"}
	if err := errors.Join(l.Append([]Event{e, refused}), l.Close()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := Export(&out, []string{dir}, CSV, Filter{}); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(out.Bytes(), []byte("\r\n")) != bytes.Count(out.Bytes(), []byte("\n")) {
		t.Error("lines do not end as RFC 4180 says")
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%q, %v", rows, err)
	}
	zeros := strings.Repeat("0", 64)
	want := []string{"1", "2026-11-23T12:00:07Z", "confirm", "07kq4-m2xp9", "7", "activating", "active", "ana", "slack", "U0ANA",
		"192.0.2.7", "ana", "prod-db-admin", "pg-prod", "INC-4711 fix \"replication\"\nnow",
		`{"ends_at":"2026-11-23T13:00:00Z"}`, "e-000007", zeros}
	if !slices.Equal(rows[0], columns()) || !slices.Equal(rows[1], want) {
		t.Errorf("got  %q\nwant %q", rows[:2], want)
	}
	if rows[2][0] != "2" || rows[2][4] != "" || rows[2][15] != "" {
		t.Errorf("fields that an event does not have are not empty: %q", rows[2])
	}
}

func TestNoFieldIsAFormula(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                         "",
		"fix replication - see 12": "fix replication - see 12",
		"a=b, c+d, e-f, g@h":       "a=b, c+d, e-f, g@h",
		"{\"a\":\"=1\"}":           "{\"a\":\"=1\"}",
		"=1+1":                     "'=1+1",
		"+1":                       "'+1",
		"-1":                       "'-1",
		"@SUM(A1)":                 "'@SUM(A1)",
		"\t=1":                     "'\t'=1",
		"\r=1":                     "'\r'=1",
		"\n=1":                     "\n'=1",
		"  =1":                     "  '=1",
		"\u00a0=1":                 "\u00a0'=1",
		"\ufeff=1":                 "\ufeff'=1",
		"\u200b=1":                 "\u200b'=1",
		"\x00=1":                   "\x00'=1",
		"＝1":                       "'＝1",
		"＋1":                       "'＋1",
		"－1":                       "'－1",
		"＠SUM(A1)":                 "'＠SUM(A1)",
		"x;=1":                     "x;'=1",
		"x\t=1":                    "x\t'=1",
		"x\r\n  @1":                "x\r\n  '@1",
		"=1;=2":                    "'=1;'=2",
		"\xff=1":                   "\xff=1", // U+FFFD is a character like any other: the cell is a text
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q became %q; want %q", in, got, want)
		}
	}
}

func TestFormatsAreNamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Format{"": JSONL, "jsonl": JSONL, "csv": CSV} {
		if got, err := ParseFormat(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := Export(discard{}, []string{t.TempDir()}, "xlsx", Filter{}); err == nil || !strings.Contains(err.Error(), "use jsonl or csv") {
		t.Errorf("got %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestExportTellsThatItsReaderWentAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeLog(t, dir, 2*maxBatch, 0)
	for _, format := range []Format{JSONL, CSV} {
		if _, err := Export(brokenPipe{}, []string{dir}, format, Filter{}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// Not parallel: it measures memory.
func TestExportAndVerifyKeepMemoryFlat(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, 20_000, 0)
	peak := func(work func()) uint64 {
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		work()
		runtime.ReadMemStats(&during)
		return max(during.HeapSys, before.HeapSys) - before.HeapSys
	}
	for _, format := range []Format{JSONL, CSV} {
		grown := peak(func() {
			if _, err := Export(discard{}, []string{dir}, format, Filter{From: noon}); err != nil {
				t.Error(err)
			}
		})
		if grown > 8<<20 {
			t.Errorf("%s: the heap grew by %d bytes", format, grown)
		}
	}
	grown := peak(func() {
		if _, err := Verify([]string{dir}, Expect{}); err != nil {
			t.Error(err)
		}
	})
	if grown > 8<<20 {
		t.Errorf("Verify: the heap grew by %d bytes", grown)
	}
}
