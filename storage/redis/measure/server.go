package measure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// Server is what a Redis says of itself; empty where it does not say.
type Server struct {
	Version         string `json:"version"`
	Mode            string `json:"mode"` // standalone, sentinel or cluster
	Masters         int    `json:"masters"`
	AppendOnly      string `json:"appendonly"`
	AppendFsync     string `json:"appendfsync"`
	Save            string `json:"save"`
	MaxmemoryPolicy string `json:"maxmemory_policy"`
}

// Server asks the first master how it keeps its data.
func (b *Bench) Server(ctx context.Context) (Server, error) {
	var s Server
	var mu sync.Mutex
	err := b.masters(ctx, func(ctx context.Context, node goredis.Cmdable) error {
		mu.Lock()
		defer mu.Unlock()
		s.Masters++
		if s.Masters > 1 {
			return nil
		}
		text, err := node.Info(ctx).Result()
		if err != nil {
			return err
		}
		info := fields(text)
		s.Version, s.Mode, s.MaxmemoryPolicy = info["redis_version"], info["redis_mode"], info["maxmemory_policy"]
		s.AppendOnly = map[string]string{"1": "yes", "0": "no"}[info["aof_enabled"]]
		for name, to := range map[string]*string{"appendfsync": &s.AppendFsync, "save": &s.Save} {
			if got, err := node.ConfigGet(ctx, name).Result(); err == nil { // forbidden on many managed servers
				*to = got[name]
			}
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("ask the server what it is: %w", err)
	}
	return s, nil
}

func fields(info string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[key] = value
		}
	}
	return m
}

// usedMemory is what the masters say they use, without the buffers of clients and of the append-only file; 0 where they
// do not say.
func (b *Bench) usedMemory(ctx context.Context) (int64, error) {
	var sum int64
	var mu sync.Mutex
	err := b.masters(ctx, func(ctx context.Context, node goredis.Cmdable) error {
		text, err := node.Info(ctx, "memory").Result()
		var refused goredis.Error
		if errors.As(err, &refused) {
			return nil // the in-process server does not tell
		}
		if err != nil {
			return err
		}
		info := fields(text)
		used, err := strconv.ParseInt(info["used_memory"], 10, 64)
		if err != nil {
			return nil
		}
		for _, buffer := range []string{"mem_clients_normal", "mem_clients_slaves", "mem_aof_buffer", "mem_replication_backlog"} {
			n, _ := strconv.ParseInt(info[buffer], 10, 64) // older servers do not tell all
			used -= n
		}
		mu.Lock()
		defer mu.Unlock()
		sum += used
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("ask the server for its memory: %w", err)
	}
	return sum, nil
}

// masters asks every server that holds keys, on a cluster several at once.
func (b *Bench) masters(ctx context.Context, ask func(ctx context.Context, node goredis.Cmdable) error) error {
	if cluster, ok := b.client.(*goredis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error { return ask(ctx, node) })
	}
	return ask(ctx, b.client)
}

// escaped makes a prefix match as it is written.
var escaped = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// firstKey is a key under the prefix, or "".
func (b *Bench) firstKey(ctx context.Context) (string, error) {
	found := map[string]bool{}
	var mu sync.Mutex
	errFound := errors.New("found")
	err := b.scan(ctx, b.cfg.Store.Prefix, "", func(_ context.Context, _ goredis.Cmdable, keys []string) error {
		mu.Lock()
		defer mu.Unlock()
		found[keys[0]] = true
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", fmt.Errorf("look for keys under %q: %w", b.cfg.Store.Prefix, err)
	}
	for key := range maps.Keys(found) {
		return key, nil
	}
	return "", nil
}

// wipe removes every key under a prefix.
func (b *Bench) wipe(ctx context.Context, prefix string) error {
	err := b.scan(ctx, prefix, "", func(ctx context.Context, node goredis.Cmdable, keys []string) error {
		_, err := node.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for _, key := range keys { // one by one: the keys of a cluster lie in many slots
				pipe.Unlink(ctx, key)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("remove the keys under %q: %w", prefix, err)
	}
	return nil
}

// forgetEvents empties the audit streams, as the audit log does when its files have what is in them, only quicker.
func (p *place) forgetEvents(ctx context.Context) error {
	err := p.scan(ctx, p.prefix, "stream", func(ctx context.Context, node goredis.Cmdable, keys []string) error {
		_, err := node.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for _, key := range keys {
				pipe.XTrimMaxLen(ctx, key, 0)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("empty the audit streams: %w", err)
	}
	return nil
}

// scan gives the keys under a prefix, of one kind or ("") of any, in portions, none of them empty.
func (b *Bench) scan(ctx context.Context, prefix, kind string, f func(ctx context.Context, node goredis.Cmdable, keys []string) error) error {
	return b.masters(ctx, func(ctx context.Context, node goredis.Cmdable) error {
		var cursor uint64
		for {
			keys, next, err := b.page(ctx, node, cursor, escaped.Replace(prefix)+"*", kind)
			if err != nil {
				return err
			}
			if len(keys) > 0 {
				if err := f(ctx, node, keys); err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

func (b *Bench) page(ctx context.Context, node goredis.Cmdable, cursor uint64, pattern, kind string) ([]string, uint64, error) {
	const portion = 1000
	if kind != "" {
		return node.ScanType(ctx, cursor, pattern, portion, kind).Result()
	}
	return node.Scan(ctx, cursor, pattern, portion).Result()
}
