// Package measure measures the product on the machine and the Redis that it is given: how quickly requests and endings
// are stored, how late endings come, how quickly a crowd of them is worked off, how many clicks it takes and what a
// grant weighs. What is measured is the product itself, workflows.Service and workflows.Runner on the store, with a
// target that answers at once; only the way of a grant to its end is set up by taking arrows directly, so that a
// hundred thousand of them do not take an afternoon.
//
// Everything lies under a prefix of its own, which must be empty at first and is empty again at the end.
package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"elevate/storage/redis"
)

// Config says where to measure.
type Config struct {
	// Store is the store to measure. Its Prefix is required and begins every key; its Chats are replaced by one.
	Store redis.Config
	// Workers is how many goroutines call at once, and how many endings a runner works at once. Zero: 64.
	Workers int
	// Stretch is told when a stretch that counts begins, and what it gives is called when it is over: for profiles.
	// Nil: nothing.
	Stretch func(name string) (over func())
}

// DefaultWorkers is what Config.Workers is where it is zero.
const DefaultWorkers = 64

// Chat is the chat whose outbox gets the notes.
const Chat = "bench"

// ErrInUse says that there is something under the prefix. Nothing was changed.
var ErrInUse = errors.New("the prefix is in use")

// Bench is an empty prefix on a server. Its methods may be called in any order, one at a time.
type Bench struct {
	cfg    Config
	client goredis.UniversalClient
	places int
}

// Open connects and makes sure that nothing lies under the prefix. The error is ErrInUse (wrapped) where something does.
// The caller closes it.
func Open(ctx context.Context, cfg Config) (*Bench, error) {
	if cfg.Store.Prefix == "" {
		return nil, errors.New("measure: a prefix is required")
	}
	cfg.Workers = cmp.Or(cfg.Workers, DefaultWorkers)
	cfg.Store.Chats, cfg.Store.AllowUnsafe = []string{Chat}, true
	if cfg.Stretch == nil {
		cfg.Stretch = func(string) func() { return func() {} }
	}
	client, err := redis.Connect(cfg.Store)
	if err != nil {
		return nil, err
	}
	b := &Bench{cfg: cfg, client: client}
	found, err := b.firstKey(ctx)
	if err == nil && found != "" {
		err = fmt.Errorf("%w: %q is there", ErrInUse, found)
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return b, nil
}

// Close removes every key under the prefix, also after ctx has ended, and gives the connection back.
func (b *Bench) Close(ctx context.Context) error {
	return errors.Join(b.wipe(context.WithoutCancel(ctx), b.cfg.Store.Prefix), b.client.Close())
}

// place is a store with a prefix of its own below the bench's, so that nothing that one measurement leaves is in the
// way of another.
type place struct {
	*Bench
	prefix string
}

func (b *Bench) newPlace() *place {
	b.places++
	return &place{Bench: b, prefix: fmt.Sprintf("%s%d:", b.cfg.Store.Prefix, b.places)}
}

// open opens the place's store with a clock of its own; nil is the real one.
func (p *place) open(ctx context.Context, now func() time.Time) (*redis.Store, error) {
	c := p.cfg.Store
	c.Prefix, c.Now = p.prefix, now
	return redis.Open(ctx, c)
}

// clear removes what lies in the place, also after ctx has ended.
func (p *place) clear(ctx context.Context) error {
	return p.wipe(context.WithoutCancel(ctx), p.prefix)
}

// Each calls f for 0 to n-1, by as many goroutines as there are workers, until one fails, and gives the rate per second.
func Each(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) (float64, error) {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	began := time.Now()
	for range min(workers, n) {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	err := g.Wait()
	return perSecond(n, time.Since(began)), err
}

// timed is Each as a stretch.
func (b *Bench) timed(ctx context.Context, name string, n int, f func(ctx context.Context, i int) error) (float64, error) {
	defer b.cfg.Stretch(name)()
	return Each(ctx, b.cfg.Workers, n, f)
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
