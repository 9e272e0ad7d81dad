package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/storage/redis"
)

const (
	appendDir  = "appendonlydir" // Redis' own default
	socketName = "redis.sock"
	logName    = "redis.log"
	// longestSocket is what every Unix takes for the path of a socket (macOS: 104 bytes with the end).
	longestSocket = 100
	pollEvery     = 10 * time.Millisecond
	// watchEvery is how often an adopted child, which is nobody's to wait for, is looked at.
	watchEvery = 200 * time.Millisecond
	// stopWithin is how long a child has to stop before it is killed. Nothing is lost by that: every write is synced.
	stopWithin   = 10 * time.Second
	restartFirst = 100 * time.Millisecond
	restartCap   = 5 * time.Second
)

// child is a redis-server of our own, restarted when it dies.
type child struct {
	dir, binary, socket string
	log                 *slog.Logger
	client              *goredis.Client
	version             string
	pid                 int

	// life ends with close. The watcher ends first, so that nobody starts what is being stopped.
	life     context.Context
	end      context.CancelFunc
	watcher  sync.WaitGroup
	children sync.WaitGroup
}

func startChild(ctx context.Context, cfg Config, binary string) (*child, error) {
	c := &child{dir: cfg.Dir, binary: binary, socket: filepath.Join(cfg.Dir, socketName), log: cfg.Log}
	if len(c.socket) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for a socket (%d bytes at most): choose a folder with a shorter path", c.socket, longestSocket)
	}
	redis.Quiet()
	c.client = goredis.NewClient(&goredis.Options{
		Network: "unix", Addr: c.socket, MaxRetries: -1, DialerRetries: 1, PoolSize: 2, DisableIdentity: true, Protocol: 2,
	})
	c.life, c.end = context.WithCancel(context.Background())
	gone, err := c.adopt(ctx)
	if gone == nil && err == nil {
		gone, err = c.spawn(ctx)
	}
	if err != nil {
		c.end()
		return nil, errors.Join(err, c.client.Close())
	}
	c.watcher.Go(func() { c.watch(gone) })
	return c, nil
}

func (c *child) kind() string {
	return fmt.Sprintf("%s %s as a child", filepath.Base(c.binary), c.version)
}

func (c *child) connect(cfg *redis.Config) { cfg.URL = "unix://" + c.socket }

// adopt takes over a child that survived the program that started it. Neither a channel nor an error: there is none.
func (c *child) adopt(ctx context.Context) (gone <-chan struct{}, err error) {
	if err := c.client.Ping(ctx).Err(); err != nil && !goredis.HasErrorPrefix(err, "LOADING") {
		return nil, nil
	}
	if err := c.ready(ctx, nil); err != nil {
		return nil, err
	}
	settings, err := c.client.ConfigGet(ctx, "*").Result()
	if err != nil {
		return nil, fmt.Errorf("ask the server that runs there: %w", err)
	}
	dir, err := filepath.EvalSymlinks(c.dir)
	if err != nil {
		return nil, err
	}
	if settings["dir"] != dir && settings["dir"] != c.dir || settings["appendonly"] != "yes" || settings["appendfsync"] != "always" {
		return nil, fmt.Errorf("another server answers at %s: stop it", c.socket)
	}
	process, err := os.FindProcess(c.pid)
	if err != nil {
		return nil, err
	}
	c.log.Info("a surviving server is adopted", "pid", c.pid)
	ended := make(chan struct{})
	c.children.Go(func() {
		defer close(ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for alive(process) {
			<-tick.C
		}
	})
	return ended, nil
}

// spawn starts the server and waits until it answers, however long it reads its files.
func (c *child) spawn(ctx context.Context) (<-chan struct{}, error) {
	// It outlives the context of its start, and close stops it cleanly.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.binary,
		"--port", "0", "--unixsocket", c.socket, "--unixsocketperm", "700", "--dir", c.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--appenddirname", appendDir, "--save", "",
		"--maxmemory-policy", "noeviction", "--logfile", filepath.Join(c.dir, logName), "--daemonize", "no")
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.binary, err)
	}
	ended := make(chan struct{})
	c.children.Go(func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil {
			c.log.Info("the server ended", "err", err)
		}
	})
	if err := c.ready(ctx, ended); err != nil {
		_ = cmd.Process.Kill() // it may have ended already
		<-ended
		return nil, fmt.Errorf("%s did not start: %w; see %s", c.binary, err, filepath.Join(c.dir, logName))
	}
	return ended, nil
}

// ready waits until the server answers, and learns its version and process.
func (c *child) ready(ctx context.Context, ended <-chan struct{}) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		text, err := c.client.Info(ctx, "server").Result()
		if err == nil && c.client.Ping(ctx).Err() == nil {
			return c.learn(text)
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *child) learn(info string) error {
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "redis_version":
			c.version = value
		case "process_id":
			pid, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("process of the server: %w", err)
			}
			c.pid = pid
		}
	}
	if c.pid == 0 {
		return errors.New("the server does not tell its process")
	}
	return nil
}

// watch starts the child again whenever it ends, until close.
func (c *child) watch(gone <-chan struct{}) {
	for {
		select {
		case <-c.life.Done():
			return
		case <-gone:
			gone = c.again()
		}
	}
}

// again starts the child until it runs or close ends it.
func (c *child) again() <-chan struct{} {
	for wait := restartFirst; ; wait = min(2*wait, restartCap) {
		c.log.Error("the server of the embedded store ended; it is started again", "wait", wait)
		select {
		case <-c.life.Done():
			return nil
		case <-time.After(wait):
		}
		gone, err := c.spawn(c.life)
		if err == nil {
			return gone
		}
		c.log.Error("the server of the embedded store does not start", "err", err)
	}
}

// close stops the child cleanly.
func (c *child) close() error {
	c.end()
	c.watcher.Wait()
	process, err := os.FindProcess(c.pid)
	if err != nil {
		return errors.Join(err, c.client.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	_ = c.client.ShutdownNoSave(ctx).Err() // it ends without an answer
	for alive(process) {
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			c.log.Warn("the server of the embedded store did not stop in time and is killed", "pid", c.pid)
			_ = process.Kill() // it may have ended since
		}
	}
	c.children.Wait()
	return c.client.Close()
}
