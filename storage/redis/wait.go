package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// ErrNotDurable says that a write was made but did not reach the replicas or the disk in the time that Config.Wait gives.
var ErrNotDurable = errors.New("written, but not as durably as asked")

// redirects is how often a call follows a slot that moved to another node.
const redirects = 3

// waits tells whether Config asks for more than the master's own word.
func (s *Store) waits() bool { return s.cfg.Wait.Replicas > 0 || s.cfg.Wait.AOF }

// wordWaited sends a call and, in the same pipeline and so on the same connection, waits until its write is as durable
// as asked.
func (s *Store) wordWaited(ctx context.Context, c call) (string, error) {
	for try := 0; ; try++ {
		node, err := s.node(ctx, c.keys[0])
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.script, err)
		}
		word, err := s.onNode(ctx, node, c)
		if cluster, ok := s.client.(*goredis.ClusterClient); ok && moved(err) && try < redirects {
			cluster.ReloadState(ctx)
			continue
		}
		return word, err
	}
}

// node is the one server that writes to a key go to.
func (s *Store) node(ctx context.Context, key string) (*goredis.Client, error) {
	switch client := s.client.(type) {
	case *goredis.ClusterClient:
		return client.MasterForKey(ctx, key)
	case *goredis.Client:
		return client, nil
	}
	return nil, fmt.Errorf("a client of an unknown kind, %T", s.client)
}

func moved(err error) bool {
	return err != nil && (goredis.HasErrorPrefix(err, "MOVED") || goredis.HasErrorPrefix(err, "ASK"))
}

func (s *Store) onNode(ctx context.Context, node *goredis.Client, c call) (string, error) {
	script := s.scripts[c.script]
	word, short, err := s.pipeWaited(ctx, node, c, script.EvalSha)
	if err != nil && goredis.HasErrorPrefix(err, "NOSCRIPT") {
		word, short, err = s.pipeWaited(ctx, node, c, script.Eval)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.script, err)
	}
	if word == "ok" && short != nil {
		return "", fmt.Errorf("%s: %w: %w", c.script, ErrNotDurable, short)
	}
	return word, nil
}

type eval func(ctx context.Context, c goredis.Scripter, keys []string, args ...any) *goredis.Cmd

// pipeWaited gives the word of a call, and why its write is not as durable as asked.
func (s *Store) pipeWaited(ctx context.Context, node *goredis.Client, c call, run eval) (word string, short, err error) {
	w := s.cfg.Wait
	pipe := node.Pipeline()
	answer := run(ctx, pipe, c.keys, c.args...)
	var replicas, disks *goredis.Cmd
	if w.Replicas > 0 {
		replicas = pipe.Do(ctx, "wait", w.Replicas, w.Timeout.Milliseconds())
	}
	if w.AOF {
		disks = pipe.Do(ctx, "waitaof", 1, w.Replicas, w.Timeout.Milliseconds())
	}
	pipeCtx, cancel := context.WithTimeout(ctx, 2*w.Timeout+5*time.Second)
	defer cancel()
	_, _ = pipe.Exec(pipeCtx) // each command carries its own error
	reply, err := answer.Result()
	if err != nil {
		return "", nil, err
	}
	word, err = asWord(c, reply)
	if replicas != nil {
		n, waitErr := replicas.Int()
		if waitErr != nil || n < w.Replicas {
			short = errors.Join(waitErr, fmt.Errorf("%d of %d replicas have it", n, w.Replicas))
		}
	}
	if disks != nil {
		short = errors.Join(short, onDisk(disks, w.Replicas))
	}
	return word, short, err
}

// onDisk reads the reply of WAITAOF: the number of masters and of replicas that have the write on disk. Servers before
// 7.2 do not know it.
func onDisk(cmd *goredis.Cmd, replicas int) error {
	got, err := cmd.Int64Slice()
	if err != nil {
		if goredis.HasErrorPrefix(err, "unknown command") {
			return nil
		}
		return err
	}
	if len(got) != 2 || got[0] < 1 || got[1] < int64(replicas) {
		return fmt.Errorf("on disk at %v, want 1 master and %d replicas", got, replicas)
	}
	return nil
}
