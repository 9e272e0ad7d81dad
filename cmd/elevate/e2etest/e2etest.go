// Package e2etest runs the whole product for tests, as its operators would: the built binary, a redis-server with an
// append-only file, a PostgreSQL set up by the connector's README. What people see in a chat is for the tests to say.
package e2etest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"elevate/storage/storagetest"
)

// program is the binary, built once for a test run. Flags for the build come from GOFLAGS: with -race there, the binary
// has the race detector too.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "elevate-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "elevate")
	if out, err := exec.Command("go", "build", "-o", path, "elevate/cmd/elevate").CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("go build: %w: %s", err, out), os.RemoveAll(dir))
	}
	built = dir
	return path, nil
})

// built is the folder of the binary; empty if no test needed one.
var built string

// Run runs a package's tests and removes the binary after them. Call it in TestMain.
func Run(m *testing.M) int {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built) // the system clears it otherwise
	}
	return code
}

// Build gives the path of the binary.
func Build(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Output is what a command printed, and its exit code.
type Output struct {
	Stdout, Stderr string
	Code           int
}

// Program is a binary, and what its environment has beside the test's own.
type Program struct {
	Path string
	Env  []string
}

// Elevate runs a command of the binary in a folder until it ends.
func Elevate(t testing.TB, dir string, args ...string) Output {
	t.Helper()
	return Program{Path: Build(t)}.Run(t, dir, args...)
}

// Run is Elevate with this binary.
func (p Program) Run(t testing.TB, dir string, args ...string) Output {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.Path, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), p.Env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("elevate %v: %v", args, err)
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// Redis is a redis-server on a port of the loopback address, with an append-only file that is synced at each write.
type Redis struct {
	*storagetest.Redis
	port int
}

// StartRedis starts a server that stops with the test; Kill and Start end and start it in between. Where there is no
// redis-server the test fails in CI and is left out elsewhere.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	port := FreePort(t)
	return &Redis{port: port, Redis: storagetest.StartRedis(t, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--appendfsync", "always")}
}

// URL is the address for store.url.
func (r *Redis) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

// FreePort gives a port of the loopback address that nobody listens at and that is the test's until it ends: also what is
// stopped and started there finds it free.
func FreePort(t testing.TB) int {
	t.Helper()
	return storagetest.ReservePorts(t).Next()
}

// Eventually tries until it succeeds; when it has not after so long, the test ends with the last error.
func Eventually(t testing.TB, within time.Duration, try func() error) {
	t.Helper()
	late := time.After(within)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-late:
			t.Fatalf("not within %s: %v", within, err)
		case <-t.Context().Done():
			t.Fatalf("the test ended first: %v", err)
		case <-again.C:
		}
	}
}
