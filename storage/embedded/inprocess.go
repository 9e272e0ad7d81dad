package embedded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
)

// inProcess is miniredis made durable: every call of a script that wrote something is in the journal, and synced,
// before its reply is given. It is reached through a pipe in memory, so nobody else can.
type inProcess struct {
	mini  *miniredis.Miniredis
	srv   *server.Server
	clock func() time.Time
	log   *slog.Logger

	// mu makes script calls one after the other, with their time and their place in the journal.
	mu      sync.Mutex
	journal *journal // nil: in memory alone
	bodies  map[string]string
	// inner is the peer whose call is running under mu, and wrote tells whether that call wrote.
	inner atomic.Pointer[server.Peer]
	wrote atomic.Bool
}

// startInProcess starts a server, replaying a journal where there is one.
func startInProcess(cfg Config, j *journal) (*inProcess, error) {
	p := &inProcess{mini: miniredis.NewMiniRedis(), clock: cfg.Clock, log: cfg.Log, journal: j, bodies: map[string]string{}}
	p.mini.SetTime(p.clock())
	first, err := p.mini.Dial() // a server without a listener begins with its first connection
	if err != nil {
		return nil, err
	}
	p.srv = p.mini.Server()
	err = first.Close()
	if err == nil && j != nil {
		err = j.replay(p.apply)
	}
	p.mini.SetTime(p.clock())
	p.mini.ClockTTL(true)
	p.srv.SetPreHook(p.hook)
	if err != nil {
		p.mini.Close()
		return nil, err
	}
	return p, nil
}

// openInProcess starts a server with the journal at a path.
func openInProcess(cfg Config, path string) (*inProcess, error) {
	j, err := openJournal(path, cfg.Log)
	if err != nil {
		return nil, err
	}
	p, err := startInProcess(cfg, j)
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return p, nil
}

func (p *inProcess) kind() string {
	if p.journal == nil {
		return "in process, in memory alone"
	}
	return "in process, with a journal"
}

func (p *inProcess) connect(c *redis.Config) {
	c.URL = "redis://in-process"
	c.Shards = 1 // one server, one thread: more would only be more calls
	c.Check = p.check
	c.Dial = func(context.Context, string, string) (net.Conn, error) {
		conn, err := p.mini.Dial()
		if err != nil {
			return nil, err
		}
		return newUnblocked(conn), nil
	}
}

func (p *inProcess) check(context.Context) (redis.Status, error) {
	st := redis.Status{Class: redis.Durable, Version: p.kind()}
	if p.journal == nil {
		st.Class = redis.Ephemeral
		st.Problems = []string{"everything is in memory, and gone when the program ends"}
		return st, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.journal.flush(); err != nil {
		st.Problems = []string{err.Error()}
	}
	return st, nil
}

func (p *inProcess) close() error {
	p.mini.Close()
	if p.journal == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.compact(), p.journal.close())
}

// readOnly are commands that miniredis does not call read-only and that change no state.
var readOnly = map[string]bool{"TIME": true, "PUBLISH": true, "HELLO": true, "CLIENT": true, "PING": true, "INFO": true, "SUBSCRIBE": true, "UNSUBSCRIBE": true}

// hook sees every command before the server does, those inside scripts too, and takes over the calls of scripts.
func (p *inProcess) hook(c *server.Peer, cmd string, args ...string) bool {
	if cmd != "EVAL" && cmd != "EVALSHA" {
		if !readOnly[cmd] && !p.srv.IsReadOnlyCommand(cmd) {
			p.wrote.Store(true)
		}
		return false
	}
	if c == p.inner.Load() {
		return false
	}
	reply, err := p.call(c, cmd, args)
	if err != nil {
		p.log.Error("the journal cannot be written; nothing is changed until it can", "err", err)
		c.WriteError("MISCONF " + err.Error())
		return true
	}
	c.WriteRaw(reply)
	return true
}

// call runs a script and gives its reply when what it wrote is on disk.
func (p *inProcess) call(c *server.Peer, cmd string, args []string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.journal != nil {
		if err := p.journal.flush(); err != nil {
			return "", err
		}
	}
	now := p.clock()
	p.mini.SetTime(now)
	p.wrote.Store(false)
	reply := p.dispatch(c.Resp3, append([]string{cmd}, args...))
	if p.journal == nil || len(args) == 0 {
		return reply, nil
	}
	if cmd == "EVAL" {
		sha := shaOf(args[0])
		p.bodies[sha], args[0] = args[0], sha
	}
	if !p.wrote.Load() {
		return reply, nil
	}
	if err := p.record(now, args); err != nil {
		return "", err
	}
	return reply, nil
}

// record writes a call down, the script's text before its first call, and compacts a journal that has grown.
func (p *inProcess) record(now time.Time, args []string) error {
	if sha := args[0]; !p.journal.known[sha] {
		p.journal.add(now, []string{"SCRIPT", "LOAD", p.bodies[sha]})
		if err := p.journal.flush(); err != nil {
			p.journal.add(now, append([]string{"EVALSHA"}, args...)) // it was run, so it must follow
			return err
		}
		p.journal.known[sha] = true
	}
	p.journal.add(now, append([]string{"EVALSHA"}, args...))
	if err := p.journal.flush(); err != nil {
		return err
	}
	if !p.journal.grown() {
		return nil
	}
	if err := p.compact(); err != nil {
		p.log.Error("the journal could not be compacted; it goes on growing", "err", err)
	}
	return nil
}

// dispatch runs one command and gives what the server answers, as on the wire.
func (p *inProcess) dispatch(resp3 bool, command []string) string {
	var out bytes.Buffer
	inner := server.NewPeer(bufio.NewWriter(&out))
	inner.Resp3 = resp3
	p.inner.Store(inner)
	p.srv.Dispatch(inner, command)
	p.inner.Store(nil)
	inner.Flush()
	return out.String()
}

// apply replays one command of the journal.
func (p *inProcess) apply(at time.Time, command []string) error {
	if len(command) == 3 && command[0] == "SCRIPT" {
		p.bodies[shaOf(command[2])] = command[2]
	}
	p.mini.SetTime(at)
	reply := p.dispatch(false, command)
	// A script may have answered with an error the first time; the commands of a snapshot never do.
	if strings.HasPrefix(reply, "-") && (command[0] != "EVALSHA" || strings.HasPrefix(reply, "-NOSCRIPT")) {
		return fmt.Errorf("%s: %s", command[0], strings.TrimSpace(reply[1:]))
	}
	return nil
}

// shaOf is what EVALSHA calls a script.
func shaOf(body string) string { return goredis.NewScript(body).Hash() }
