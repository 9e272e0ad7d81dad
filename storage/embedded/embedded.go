// Package embedded runs the server of a store whose configuration names none. Where a redis-server or valkey-server is
// found it runs that as a child, with an append-only file that is synced at every write; else an in-process server
// with a journal of its own, good to about 10,000 live grants; and for the playground and for tests the in-process
// server alone. What the store keeps there, and how, is the business of package redis.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"elevate/storage/redis"
)

// Config says which server to run. Either Dir or Memory is required.
type Config struct {
	// Dir is the data folder. It is made where it is missing, with no rights for others, and locked while the server
	// runs. It must be on a local disk.
	Dir string
	// Memory keeps everything in memory and nothing in files: state is gone with the program.
	Memory bool
	// InProcess runs the in-process server with its journal also where a redis-server is found. A folder that holds
	// a journal, or the files of a redis-server, is served by the kind of server that wrote them whatever is asked.
	InProcess bool
	// Binary is the redis-server or valkey-server to run, version 7.0 or newer. Empty: the first of both on PATH.
	Binary string
	// Clock is the clock of the in-process server, for a playground that speeds time up. Nil: time.Now.
	Clock func() time.Time
	// Log gets what the server does. Nil: nothing is logged.
	Log *slog.Logger
}

// backend is what each kind of server answers.
type backend interface {
	kind() string
	connect(c *redis.Config)
	close() error
}

// Server is a running server. It is safe for concurrent use.
type Server struct {
	backend
	unlock func() error
}

// Start runs a server and returns when it answers. The caller closes it; ctx bounds the start alone.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Memory == (cfg.Dir != "") {
		return nil, errors.New("the embedded store needs a data folder, or to be told to keep everything in memory")
	}
	if cfg.Memory {
		p, err := startInProcess(cfg, nil)
		if err != nil {
			return nil, fmt.Errorf("embedded store: %w", err)
		}
		return &Server{backend: p, unlock: func() error { return nil }}, nil
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	s, err := startDurable(ctx, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded store in %s: %w", dir, err), unlock())
	}
	return &Server{backend: s, unlock: unlock}, nil
}

// startDurable chooses by what the folder holds, then by what is asked, then by what is found.
func startDurable(ctx context.Context, cfg Config) (backend, error) {
	journal := filepath.Join(cfg.Dir, journalName)
	hasJournal, err := exists(journal)
	if err != nil {
		return nil, err
	}
	hasChild, err := exists(filepath.Join(cfg.Dir, appendDir))
	if err != nil {
		return nil, err
	}
	if hasJournal && hasChild {
		return nil, fmt.Errorf("both %s and %s are there, and only one can be the state: move the older away", journalName, appendDir)
	}
	binary, findErr := find(ctx, cfg.Binary)
	switch {
	case hasChild && findErr != nil:
		return nil, fmt.Errorf("the folder was written by a redis-server, and %w", findErr)
	case hasChild:
		return startChild(ctx, cfg, binary)
	case hasJournal || cfg.InProcess:
		return openInProcess(cfg, journal)
	case findErr != nil && cfg.Binary != "":
		return nil, findErr
	case findErr != nil:
		cfg.Log.Info("no redis-server to run; state is kept in process with a journal", "err", findErr)
		return openInProcess(cfg, journal)
	}
	return startChild(ctx, cfg, binary)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// find gives the server to run as a child.
func find(ctx context.Context, binary string) (string, error) {
	names := []string{"redis-server", "valkey-server"}
	if binary != "" {
		names = []string{binary}
	}
	problem := errors.New("it was not found")
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if problem = newEnough(ctx, path); problem == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s 7.0 or newer to run (%w): install one, or set store.url", strings.Join(names, " or "), problem)
}

var versionLine = regexp.MustCompile(`\bv=(\d+)\.`)

// newEnough tells why a binary cannot be used, or nil.
func newEnough(ctx context.Context, path string) error {
	line, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", path, err)
	}
	found := versionLine.FindSubmatch(line)
	if found == nil {
		return fmt.Errorf("%s does not tell its version", path)
	}
	if major, err := strconv.Atoi(string(found[1])); err != nil || major < 7 {
		return fmt.Errorf("%s is version %s", path, found[1])
	}
	return nil
}

// Kind says in words what runs.
func (s *Server) Kind() string { return s.kind() }

// Connect completes a store's configuration so that the store uses this server.
func (s *Server) Connect(c redis.Config) redis.Config {
	s.connect(&c)
	return c
}

// Close stops the server, after its stores were closed.
func (s *Server) Close() error { return errors.Join(s.close(), s.unlock()) }
