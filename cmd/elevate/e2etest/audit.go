package e2etest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if out.Code != 0 || !strings.Contains(out.Stdout, "proved: whole and unchanged") {
		t.Errorf("the audit log is not proved: %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	out = Elevate(t, here, append([]string{"audit", "export"}, flags...)...)
	if out.Code != 0 {
		t.Errorf("the audit log is not exported: %d\n%s", out.Code, out.Stderr)
	}
	return out.Stdout
}
