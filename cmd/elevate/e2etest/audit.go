package e2etest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// AuditFolders are where bots keep the audit log by default; one that has not kept it yet has none.
func AuditFolders(bots ...*Bot) (folders []string) {
	for _, b := range bots {
		dir := filepath.Join(b.Dir, "audit")
		if _, err := os.Stat(dir); err == nil {
			folders = append(folders, dir)
		}
	}
	return folders
}

// Proved has the binary prove the audit log that is kept in folders, and gives what it exports of it: JSON lines.
func Proved(t testing.TB, folders []string) string {
	t.Helper()
	var flags []string
	for _, dir := range folders {
		flags = append(flags, "--dir", dir)
	}
	here := t.TempDir()
	out := Elevate(t, here, append([]string{"audit", "verify"}, flags...)...)
	if out.Code != 0 || !strings.Contains(out.Stdout, "unbroken up to this head") {
		t.Errorf("the audit log is not proved: %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	out = Elevate(t, here, append([]string{"audit", "export"}, flags...)...)
	if out.Code != 0 {
		t.Errorf("the audit log is not exported: %d\n%s", out.Code, out.Stderr)
	}
	return out.Stdout
}

// Logged gives the events in folders as they are now, by request.
func Logged(t testing.TB, folders []string) map[access.RequestID][]audit.Event {
	t.Helper()
	var text bytes.Buffer
	if _, err := audit.Export(&text, folders, audit.JSONL, audit.Filter{}); err != nil {
		t.Fatalf("export the audit log: %v", err)
	}
	return Events(t, text.String())
}

// Events reads an export, in which no event may be twice, by request.
func Events(t testing.TB, export string) map[access.RequestID][]audit.Event {
	t.Helper()
	events := map[access.RequestID][]audit.Event{}
	seen := map[string]bool{}
	for line := range strings.Lines(export) {
		var l audit.Line
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("a line of the export: %v: %s", err, line)
		}
		if seen[l.ID] {
			t.Errorf("the event %s is in the log twice", l.ID)
		}
		seen[l.ID] = true
		events[l.Request] = append(events[l.Request], l.Event)
	}
	return events
}
