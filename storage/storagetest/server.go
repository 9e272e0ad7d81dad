package storagetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Redis is a redis-server of a test's own, with an append-only file, on a unix socket.
type Redis struct {
	// Env is what the environment has beside the test's own, from the next start on.
	Env []string

	t      testing.TB
	binary string
	dir    string
	args   []string
	cmd    *exec.Cmd
}

// StartRedis starts a server, with further arguments after its own. It stops with the test. Where no redis-server is
// found the test fails in CI and is left out elsewhere.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("redis-server is needed: %v", err)
		}
		t.Skipf("redis-server is not installed: %v", err)
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatalf("folder of the server: %v", err)
	}
	r := &Redis{t: t, binary: binary, dir: dir, args: args}
	t.Cleanup(func() {
		r.Kill()
		_ = os.RemoveAll(dir) // the system clears it otherwise
	})
	r.Start()
	return r
}

// Socket is the path that the server listens at.
func (r *Redis) Socket() string { return filepath.Join(r.dir, "s") }

// URL is the address for a store.
func (r *Redis) URL() string { return "unix://" + r.Socket() }

// Start starts the server again after Kill, and waits until it answers.
func (r *Redis) Start() {
	r.t.Helper()
	args := append([]string{"--port", "0", "--unixsocket", r.Socket(), "--dir", r.dir, "--save", "", "--appendonly", "yes",
		"--logfile", filepath.Join(r.dir, "log")}, r.args...)
	r.cmd = exec.Command(r.binary, args...)
	r.cmd.Env = append(os.Environ(), r.Env...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("start redis-server: %v", err)
	}
	Eventually(r.t, "redis-server answers", r.answers)
}

// Eventually waits for something that servers do on their own, at most a minute.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// answers tells whether the server has read its files and serves.
func (r *Redis) answers() bool {
	conn, err := net.DialTimeout("unix", r.Socket(), time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // one PING was all
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer := make([]byte, 5)
	_, err = conn.Read(answer)
	return err == nil && (string(answer) == "+PONG" || string(answer) == "-NOAU") // not while it is loading
}

// Kill ends the server as kill -9 does.
func (r *Redis) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill() // it may have ended
	_ = r.cmd.Wait()         // it was killed
	r.cmd = nil
}
