package workflows_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

var writeFormat = flag.String("format", "", "write the log of this version, and what is rebuilt from it, as `name` under testdata/journal")

const formats = "testdata/journal"

// rebuilt is what is rebuilt from a log, for a store that was emptied and for one that has each request as it was
// submitted.
func rebuilt(t *testing.T, dir string) map[string]map[access.RequestID]*access.Record {
	t.Helper()
	empty, older := newShelf(), newShelf()
	if _, err := audit.Replay([]string{dir}, audit.Head{}, func(e audit.Entry) error {
		if e.Version != 1 {
			return nil
		}
		line, err := e.Read()
		if err == nil {
			older.records[e.Request] = line.Record
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[access.RequestID]*access.Record{}
	for name, store := range map[string]*shelf{"emptied": empty, "older": older} {
		if done := recovered(t, recovery(t, store, dir), audit.Head{}); done.Restored == 0 || len(done.Log.Problems)+len(done.Unknown) > 0 {
			t.Errorf("%s, %s: %+v", dir, name, done)
		}
		out[name] = store.records
	}
	return out
}

// Logs of every version that was released can be recovered from for ever. Each has its own folder; a new one is written
// when Record or Event changes: go test ./workflows -run Released -format NAME.
func TestLogsOfReleasedVersionsAreRecoveredFrom(t *testing.T) {
	t.Parallel()
	if *writeFormat != "" {
		dir := filepath.Join(formats, *writeFormat)
		l := liveLives(t)
		if err := os.CopyFS(dir, os.DirFS(l.dir)); err != nil {
			t.Fatal(err)
		}
		raw, err := json.MarshalIndent(rebuilt(t, dir), "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "rebuilt.json"), append(raw, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	released, err := filepath.Glob(filepath.Join(formats, "*", "rebuilt.json"))
	if err != nil || len(released) == 0 {
		t.Fatalf("no released version in %s (%v)", formats, err)
	}
	for _, path := range released {
		raw, err := os.ReadFile(path)
		var want map[string]map[access.RequestID]*access.Record
		if err == nil {
			err = json.Unmarshal(raw, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := rebuilt(t, filepath.Dir(path))
		for name, records := range want {
			if len(got[name]) != len(records) {
				t.Errorf("%s, %s: %d records, want %d", path, name, len(got[name]), len(records))
			}
			for id, r := range records {
				if g := got[name][id]; g == nil || text(t, g) != text(t, r) {
					t.Errorf("%s, %s: %s is rebuilt as %v, want %v", path, name, id, g, r)
				}
			}
		}
	}
}
