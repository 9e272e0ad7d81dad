package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Class says in a word what a store's state survives.
type Class string

// The classes.
const (
	Durable    Class = "durable (fsync)"      // it is on disk before it is acknowledged, or within a second of it
	Replicated Class = "durable (replicated)" // and other servers have it before a grant is activated
	Ephemeral  Class = "EPHEMERAL"            // it is gone with the server
)

// Status is what a server says of itself.
type Status struct {
	Class   Class
	Version string
	// Problems are reasons why state could be lost or evicted, or why nobody knows what time it is.
	Problems []string
	// Warnings are what an operator should know and activations need not wait for.
	Warnings []string
}

const (
	// keptStatus is how long an answer about safety is believed.
	keptStatus = time.Second
	// toleratedSkew is how far apart clocks may be before an operator should know.
	toleratedSkew = 500 * time.Millisecond
	// refusedSkew is how far apart clocks may be for anything to be activated.
	refusedSkew = 30 * time.Second
)

// Ask asks a server how safe state would be with it, and changes nothing there.
func Ask(ctx context.Context, cfg Config) (Status, error) {
	if err := cfg.fill(); err != nil {
		return Status{}, err
	}
	client, err := cfg.connect(false)
	if err != nil {
		return Status{}, err
	}
	defer func() { _ = client.Close() }() // nothing was written that could be lost
	Quiet()
	status, err := (&Store{cfg: cfg, keys: keyspace{prefix: cfg.Prefix, shards: cfg.Shards}, client: client}).ask(ctx)
	if errors.Is(err, goredis.Nil) {
		err = errors.New("store.url: the Sentinels know no master of the name that master_name gives")
	}
	return status, err
}

// Safe tells why state could be lost, or nil. It asks the server at most once a second; but where Config.Wait asks for
// more, each call proves that everything written before it has reached the replicas or the disk.
func (s *Store) Safe(ctx context.Context) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if s.waits() {
		if err := s.prove(ctx); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
	}
	if len(status.Problems) > 0 && !s.cfg.AllowUnsafe {
		return fmt.Errorf("redis: the store is not safe: %s; set store.allow_unsafe to go on regardless", strings.Join(status.Problems, "; "))
	}
	return nil
}

// Status asks the servers how safe state is with them. An answer is believed for a second.
func (s *Store) Status(ctx context.Context) (Status, error) {
	s.checkMu.Lock()
	defer s.checkMu.Unlock()
	if !s.checked.IsZero() && time.Since(s.checked) < keptStatus {
		return s.checkedAs, nil
	}
	check := s.cfg.Check
	if check == nil {
		check = s.ask
	}
	status, err := check(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("redis: how safe state is cannot be told: %w", err)
	}
	if behind := s.clocks.behind(); behind > refusedSkew {
		status.Problems = append(slices.Clip(status.Problems), fmt.Sprintf("this machine's clock was set back by %s while Elevate ran, so that grants would be too short; "+
			"set it right, or restart Elevate where it is right now", behind.Round(time.Second)))
	}
	_, shards, err := s.layOut(ctx, s.keys.shards)
	if err != nil {
		return Status{}, fmt.Errorf("redis: %w", err)
	}
	if shards != s.keys.shards {
		return Status{}, fmt.Errorf("redis: the store was laid out anew with %d shards, and this program uses %d: restart it", shards, s.keys.shards)
	}
	s.checked, s.checkedAs = time.Now(), status
	return status, nil
}

// ask puts the question to every master.
func (s *Store) ask(ctx context.Context) (Status, error) {
	nodes, err := s.masters(ctx)
	if err != nil {
		return Status{}, err
	}
	var all Status
	for i, node := range nodes {
		one, err := s.askNode(ctx, node)
		if err != nil {
			return Status{}, err
		}
		where := ""
		if len(nodes) > 1 {
			where = node.Options().Addr + ": "
		}
		for _, p := range one.Problems {
			all.Problems = append(all.Problems, where+p)
		}
		for _, w := range one.Warnings {
			all.Warnings = append(all.Warnings, where+w)
		}
		if i == 0 || one.Class == Ephemeral {
			all.Class, all.Version = one.Class, one.Version
		}
	}
	return all, nil
}

// masters are the servers that hold the shards.
func (s *Store) masters(ctx context.Context) ([]*goredis.Client, error) {
	var nodes []*goredis.Client
	seen := map[string]bool{}
	for shard := range s.keys.shards {
		node, err := s.node(ctx, s.keys.base(shard))
		if err != nil {
			return nil, err
		}
		if addr := node.Options().Addr; !seen[addr] {
			seen[addr] = true
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}

func (s *Store) askNode(ctx context.Context, node *goredis.Client) (Status, error) {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return Status{}, err
	}
	info := readInfo(text)
	st := Status{Version: info["redis_version"]}
	if wrong := s.wrongKind(info["redis_mode"]); wrong != "" {
		return Status{Version: st.Version, Class: Ephemeral, Problems: []string{wrong}}, nil
	}
	problem := func(format string, args ...any) { st.Problems = append(st.Problems, fmt.Sprintf(format, args...)) }
	if !atLeast(st.Version, 7, 0) {
		problem("the server is version %q, and 7.0 is needed", st.Version)
	}
	if role := info["role"]; role != "master" {
		problem("the server's role is %q, not master", role)
	}
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		problem("maxmemory-policy is %q; set it to noeviction", policy)
	}
	aof := info["aof_enabled"] == "1"
	if !aof {
		problem("there is no append-only file; set appendonly to yes")
	} else if info["aof_last_write_status"] != "ok" {
		problem("the last write to the append-only file failed; look at the server's log and disk")
	}
	replicas, _ := strconv.Atoi(info["connected_slaves"])
	if replicas < s.cfg.Wait.Replicas {
		problem("replicas connected: %d, and store.wait_replicas asks for %d", replicas, s.cfg.Wait.Replicas)
	}
	if s.cfg.Wait.AOF && !atLeast(st.Version, 7, 2) {
		st.Warnings = append(st.Warnings, fmt.Sprintf("version %s does not know WAITAOF, so store.wait cannot ask for the disk", st.Version))
	}
	if apart, err := s.apart(ctx, node); err == nil && apart.Abs() > refusedSkew {
		problem("the server's clock and ours are %s apart, so grants could last longer than approved; have both set by NTP", apart.Abs().Round(time.Second))
	} else if err == nil && apart.Abs() > toleratedSkew {
		st.Warnings = append(st.Warnings, fmt.Sprintf("the server's clock is %s from ours; what is due waits for the later of both", apart.Round(time.Millisecond)))
	}
	st.Warnings = append(st.Warnings, settings(ctx, node, aof, replicas)...)
	switch {
	case !aof:
		st.Class = Ephemeral
	case s.cfg.Wait.Replicas > 0:
		st.Class = Replicated
	default:
		st.Class = Durable
	}
	return st, nil
}

// settings are warnings of a server's configuration. CONFIG is forbidden on many managed servers; then nothing is known.
func settings(ctx context.Context, node *goredis.Client, aof bool, replicas int) (warnings []string) {
	if got, err := node.ConfigGet(ctx, "appendfsync").Result(); err == nil && aof && got["appendfsync"] != "always" {
		warnings = append(warnings, fmt.Sprintf("appendfsync is %s: a power failure may lose the last seconds; always is safer", got["appendfsync"]))
	}
	if got, err := node.ConfigGet(ctx, "min-replicas-to-write").Result(); err == nil {
		if n, _ := strconv.Atoi(got["min-replicas-to-write"]); n > 0 && n >= replicas {
			warnings = append(warnings, fmt.Sprintf("min-replicas-to-write is %d and replicas connected are %d: with one fewer, endings wait too; "+
				"0 is safer, as store.wait_replicas holds only activations back", n, replicas))
		}
	}
	return warnings
}

// wrongKind tells where the URL speaks of another kind of server than answers; "" where it does not.
func (s *Store) wrongKind(mode string) string {
	_, cluster := s.client.(*goredis.ClusterClient)
	switch {
	case mode == "sentinel":
		return "this is a Sentinel, not the server that it watches; write store.url as redis+sentinel://host:26379/0?master_name=NAME"
	case mode == "cluster" && !cluster:
		return "this is a node of a Redis Cluster; write store.url as redis+cluster://host:6379"
	}
	return ""
}

// apart is how far the server's clock is ahead of ours, to within half the time of the question.
func (s *Store) apart(ctx context.Context, node *goredis.Client) (time.Duration, error) {
	began := s.cfg.Now()
	there, err := node.Time(ctx).Result()
	here := began.Add(s.cfg.Now().Sub(began) / 2)
	return there.Sub(here), err
}

func readInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[key] = value
		}
	}
	return info
}

func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err1 := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (a > major || (a == major && b >= minor))
}

// prove writes to every master and waits for that write, and so for all before it, to be as durable as asked.
func (s *Store) prove(ctx context.Context) error {
	seen := map[string]bool{}
	var failed []error
	for shard := range s.keys.shards {
		key := s.keys.base(shard) + "beat"
		node, err := s.node(ctx, key)
		if err != nil {
			return err
		}
		if addr := node.Options().Addr; !seen[addr] {
			seen[addr] = true
			_, err := s.wordWaited(ctx, call{script: "beat", keys: []string{key}})
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
