// Package redis is the store: every arrow is taken within a Lua script, by a rule of its own, so that a request, its timers,
// its event and the notes to tell are written together or not at all. Timers are sorted sets, claimed with a lease and a fencing number. It
// decides nothing: which arrow is taken, and why, is the business of workflows; the scripts only hold the table of
// arrows and a second line of defence behind it.
//
// Requests are spread over hash tags by their id, and ids are drawn so that all requests on the same right share a
// tag. It runs on one server, behind Sentinel and on a cluster; package embedded runs a server of its own for it.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
)

// schema is the version of the layout of keys. Open brings older ones up to it.
const schema = 2

// Store keeps the state of Elevate in Redis. It is safe for concurrent use.
type Store struct {
	cfg     Config
	keys    keyspace
	scripts scripts
	rules   map[string]bool // the arrows that may be taken
	client  goredis.UniversalClient
	// claims is the client of scripts that must not be repeated.
	claims  goredis.UniversalClient
	batches batches
	clocks  *clocks
	factors *factorStates
	// backlogs are the queues that are behind, by name.
	backlogs sync.Map
	// turn is the shard at which the next claim begins.
	turn atomic.Uint64

	checkMu   sync.Mutex
	checked   time.Time // when the server was last asked how safe state is
	checkedAs Status
}

var _ workflows.Store = (*Store)(nil)

// Open connects, and lays the store out where it is used for the first time. The caller closes it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	now := cfg.Now
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	all, rules, err := loadScripts()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	Quiet()
	s := &Store{cfg: cfg, keys: keyspace{prefix: cfg.Prefix, shards: cfg.Shards}, scripts: all, rules: rules, clocks: newClocks(now), factors: newFactorStates()}
	if s.client, err = cfg.connect(true); err != nil {
		return nil, err
	}
	if s.claims, err = cfg.connect(false); err != nil {
		return nil, errors.Join(err, s.client.Close())
	}
	s.client.AddHook(strange{s})
	s.batches.send = s.sendTogether
	layout, shards, err := s.layOut(ctx, cfg.Shards)
	s.keys.shards = shards
	if err == nil && layout < schema {
		err = s.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redis: %w", err), s.Close())
	}
	return s, nil
}

// Close gives the connections back.
func (s *Store) Close() error { return errors.Join(s.client.Close(), s.claims.Close()) }

// Shards is the number of hash tags in use.
func (s *Store) Shards() int { return s.keys.shards }

// layOut records schema and number of shards at first use, and gives what is recorded.
func (s *Store) layOut(ctx context.Context, shards int) (layout, n int, err error) {
	reply, err := s.run(ctx, call{script: "meta", keys: []string{s.keys.meta()}, args: []any{schema, shards}})
	if err != nil {
		return 0, 0, err
	}
	recorded, err := texts(reply)
	if err != nil || len(recorded) != 2 {
		return 0, 0, fmt.Errorf("meta: %w", errors.Join(err, errors.New("two numbers expected")))
	}
	layout, err = strconv.Atoi(recorded[0])
	if err != nil || layout > schema {
		return 0, 0, fmt.Errorf("the store has layout %q, and this program knows up to %d: run a newer version", recorded[0], schema)
	}
	n, err = strconv.Atoi(recorded[1])
	if err != nil || n < 1 || n > maxShards {
		return 0, 0, fmt.Errorf("the store records %q shards", recorded[1])
	}
	return layout, n, nil
}

var hush sync.Once

// Quiet stops go-redis, which does not know our log, from writing to standard error: what goes wrong comes back as the
// error of a call. Open does it too.
func Quiet() { hush.Do(func() { goredis.SetLogger(silence{}) }) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
