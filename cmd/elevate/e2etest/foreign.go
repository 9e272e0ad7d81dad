package e2etest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// missing leaves a test out for want of a program, or fails it where everything must be there.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" || Pictures(t) != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// NodeModule is the path of a file in an npm package, as make deps fetches them. Without it the test is left out; it
// fails in CI.
func NodeModule(t testing.TB, path ...string) string {
	t.Helper()
	mod, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	file := filepath.Join(append([]string{filepath.Dir(string(mod)), ".cache", "node_modules"}, path...)...)
	if _, err := os.Stat(file); err != nil {
		missing(t, filepath.Join(path...)+" is not installed: run make deps")
	}
	return file
}

// Announced starts a program that says on a line where it listens, and gives what stands there after the mark. The
// program is killed with the test.
func Announced(t testing.TB, cmd *exec.Cmd, mark string) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, where, found := strings.Cut(lines.Text(), mark); found {
			go func() { _, _ = io.Copy(io.Discard, out) }() // it must be able to go on writing
			return strings.TrimSpace(where)
		}
	}
	t.Fatalf("%s did not start: %v", filepath.Base(cmd.Path), lines.Err())
	return ""
}
