package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"
)

// startWithin is how long a server may take until it answers, a million grants read from its files included.
const startWithin = 5 * time.Minute

// process is a server of our own in a temporary folder.
type process struct {
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

// folder makes the temporary folder. The caller stops the process.
func (p *process) folder() (err error) {
	p.dir, err = os.MkdirTemp("", "elevate-bench-")
	return err
}

// start starts a command and waits until it answers.
func (p *process) start(ctx context.Context, cmd *exec.Cmd, answers func(context.Context) error) error {
	p.cmd = cmd
	p.log.Reset()
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	var err error
	for {
		if err = answers(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			p.end(os.Kill)
			return fmt.Errorf("%s does not answer: %w: %s", cmd.Path, err, p.log.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// end ends the process and leaves its folder.
func (p *process) end(signal os.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended
	_ = p.cmd.Wait()                 // how it ended is no matter
	p.cmd = nil
}

// remove removes the folder after the process has ended.
func (p *process) remove() error { return os.RemoveAll(p.dir) }

// redisServer is a redis-server on a unix socket.
type redisServer struct {
	process
	fsync  string
	client *goredis.Client
}

// startRedis starts a redis-server with an append-only file. The caller stops it.
func startRedis(ctx context.Context, fsync string) (*redisServer, error) {
	r := &redisServer{fsync: fsync}
	if err := r.folder(); err != nil {
		return nil, err
	}
	r.client = goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.socket(), MaxRetries: -1, DisableIdentity: true, Protocol: 2})
	if err := r.run(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *redisServer) run(ctx context.Context) error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is needed: %w", err)
	}
	cmd := exec.Command(binary, "--port", "0", "--unixsocket", r.socket(), "--dir", r.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", r.fsync, "--maxmemory-policy", "noeviction")
	return r.start(ctx, cmd, func(ctx context.Context) error { return r.client.Ping(ctx).Err() })
}

// again stops the server as an operator does, starts it, and gives how long it took to answer.
func (r *redisServer) again(ctx context.Context) (time.Duration, error) {
	r.end(syscall.SIGTERM)
	began := time.Now()
	err := r.run(ctx)
	return time.Since(began), err
}

func (r *redisServer) socket() string { return filepath.Join(r.dir, "s") }

func (r *redisServer) url() string { return "unix://" + r.socket() }

func (r *redisServer) version(ctx context.Context) (string, error) {
	info, err := r.client.InfoMap(ctx, "server").Result()
	return info["Server"]["redis_version"], err
}

func (r *redisServer) stop() error {
	r.end(os.Kill)
	return errors.Join(r.client.Close(), r.remove())
}

// postgresServer is a PostgreSQL on a port of the loopback address, as durable as it is by default.
type postgresServer struct {
	process
	dsn string
}

// startPostgres makes a cluster and starts it. The caller stops it.
func startPostgres(ctx context.Context) (_ *postgresServer, err error) {
	p := &postgresServer{}
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	if err := p.folder(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	data := filepath.Join(p.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "--auth=trust", "--encoding=UTF8", "--no-locale")
	if err := p.unprivileged(initdb); err != nil {
		return nil, err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(port),
		"-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=512MB")
	if err := p.unprivileged(cmd); err != nil {
		return nil, err
	}
	p.dsn = fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?sslmode=disable", port)
	return p, p.start(ctx, cmd, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.dsn)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

func (p *postgresServer) stop() error {
	p.end(os.Interrupt)
	return p.remove()
}

// postgresPrograms is the folder of the newest PostgreSQL that Debian's packages installed, or of the one on PATH.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // a folder that is no number sorts first
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL is needed, or --skip-river: %w", err)
	}
	return filepath.Dir(path), nil
}

// unprivileged makes a command run in the folder as another user where we are root, as which PostgreSQL does not run.
func (p *process) unprivileged(cmd *exec.Cmd) error {
	cmd.Dir = p.dir
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(p.dir, int(uid), int(gid))); err != nil {
			return err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return nil
	}
	return errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
