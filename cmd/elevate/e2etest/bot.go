package e2etest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process may take to start or stop on a busy machine.
const patience = 30 * time.Second

// Bot is a running "elevate serve" with a configuration of its own.
type Bot struct {
	// Dir is the folder of the process: its elevate.yaml, and the audit log where the configuration does not say other.
	Dir string

	t       testing.TB
	program Program
	log     journal
	cmd     *exec.Cmd
	// ended is closed when the process has ended.
	ended chan struct{}
	err   error // of the end; read after ended
}

// StartBot starts the bot with a configuration and does not wait until it serves. It is stopped with the test, if it
// still runs, and its log is shown where the test failed. "http: {listen: 127.0.0.1:0}" is fine: see Address.
func StartBot(t testing.TB, config string, env ...string) *Bot {
	t.Helper()
	return Program{Path: Build(t)}.StartBot(t, config, env...)
}

// StartBot is StartBot with this binary.
func (p Program) StartBot(t testing.TB, config string, env ...string) *Bot {
	t.Helper()
	b := &Bot{t: t, program: p, Dir: t.TempDir()}
	if err := os.WriteFile(b.Config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.Running() {
			b.Kill9()
		}
		if t.Failed() {
			t.Logf("the log of the bot in %s:\n%s", b.Dir, b.Log())
		}
	})
	b.Start(env...)
	return b
}

// Config is the path of the configuration.
func (b *Bot) Config() string { return filepath.Join(b.Dir, "elevate.yaml") }

// Start starts the process again after Kill9 or Stop, with the same configuration and folder.
func (b *Bot) Start(env ...string) {
	b.t.Helper()
	if b.Running() {
		b.t.Fatal("the bot runs already")
	}
	b.log.mark()
	cmd := exec.Command(b.program.Path, "serve", "--config", b.Config())
	cmd.Dir = b.Dir
	cmd.Env = slices.Concat(os.Environ(), b.program.Env, env)
	cmd.Stderr, cmd.Stdout = &b.log, &b.log
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("start the bot: %v", err)
	}
	b.cmd, b.ended = cmd, make(chan struct{})
	go func() {
		b.err = cmd.Wait()
		close(b.ended)
	}()
}

// Running tells whether the process has not ended. A paused one runs.
func (b *Bot) Running() bool {
	if b.cmd == nil {
		return false
	}
	select {
	case <-b.ended:
		return false
	default:
		return true
	}
}

// WaitReady waits until /readyz says that the bot does all of its work, evidence included: nothing is activated before.
func (b *Bot) WaitReady() {
	b.t.Helper()
	Eventually(b.t, patience, func() error {
		if !b.Running() {
			b.t.Fatalf("the bot ended: %v\n%s", b.err, b.Log())
		}
		address := b.Address()
		if address == "" {
			return fmt.Errorf("the bot does not serve")
		}
		answer, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		var is struct{ Status string }
		if err := json.NewDecoder(answer.Body).Decode(&is); err != nil || is.Status != "ready" {
			return fmt.Errorf("/readyz answers %s, %q, %w", answer.Status, is.Status, err)
		}
		return nil
	})
}

// Kill9 ends the process with no chance to clean up.
func (b *Bot) Kill9() {
	b.t.Helper()
	if !b.Running() {
		b.t.Fatalf("the bot has ended already: %v", b.err)
	}
	if err := b.cmd.Process.Kill(); err != nil {
		b.t.Fatalf("kill the bot: %v", err)
	}
	<-b.ended
}

// Pid is the process.
func (b *Bot) Pid() int { return b.cmd.Process.Pid }

// Memory is how much of the machine's memory the process has now (its resident set), in bytes.
func (b *Bot) Memory() int64 {
	b.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	b.t.Fatalf("the system does not say how much memory the bot has:\n%s", status)
	return 0
}

// Signal sends the process a signal, such as SIGSTOP, which pauses it, and SIGCONT.
func (b *Bot) Signal(sig os.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(sig); err != nil {
		b.t.Fatalf("send %s to the bot: %v", sig, err)
	}
}

// Stop asks the process to end, as a service manager does, and fails the test when it does not do so cleanly.
func (b *Bot) Stop() {
	b.t.Helper()
	if !b.Running() {
		b.t.Fatalf("the bot has ended already: %v", b.err)
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatalf("stop the bot: %v", err)
	}
	select {
	case <-b.ended:
		if b.err != nil {
			b.t.Fatalf("the bot did not stop cleanly: %v", b.err)
		}
	case <-time.After(patience):
		b.t.Fatalf("the bot did not stop within %s", patience)
	}
}

// Log is everything that the process wrote, over all its starts.
func (b *Bot) Log() string { return b.log.String() }

// Address is where the running process listens, as its log tells; empty before it does.
func (b *Bot) Address() string {
	for line := range bytes.Lines([]byte(b.log.sinceMark())) {
		var entry struct{ Msg, Listen string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "elevate is running" {
			return entry.Listen
		}
	}
	return ""
}

// Metrics is what the running process tells of itself; empty where it does not answer.
func (b *Bot) Metrics() string {
	res, err := http.Get("http://" + b.Address() + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// journal collects what a process writes.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	start int
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// mark begins a new part.
func (j *journal) mark() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.start = j.text.Len()
}

func (j *journal) sinceMark() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()[j.start:]
}
