package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elevate/storage/redis"
	"elevate/workflows"
)

// Standing is a number of live grants whose ends are far away.
type Standing struct {
	place  *place
	people int // numbers of people that are in use
	// Bytes is what each weighs: see Drain.
	Bytes float64
}

// portion is how many grants are set up at once, so that their events never pile up.
const portion = 20_000

// Stand makes n active grants that end in a day. They stay until the bench is closed.
func (b *Bench) Stand(ctx context.Context, n int) (*Standing, error) {
	s := &Standing{place: b.newPlace()}
	before, err := b.usedMemory(ctx)
	if err != nil {
		return nil, err
	}
	far := time.Now().Add(longest)
	for s.people < n {
		m := min(portion, n-s.people)
		_, err := s.place.setUp(ctx, s.people, m, func(time.Time) func(int) time.Time {
			return func(i int) time.Time { return far.Add(time.Duration(i) * time.Millisecond) }
		})
		if err != nil {
			return nil, err
		}
		s.people += m
	}
	after, err := b.usedMemory(ctx)
	s.Bytes = float64(after-before) / float64(n)
	return s, err
}

// End makes n more grants, which end at once, and measures how quickly they are ended beside those that stand.
func (s *Standing) End(ctx context.Context, n int) (Drain, error) {
	first := s.people
	s.people += n
	return s.place.drain(ctx, first, n)
}

// EndElsewhere makes n more grants, which end at once, and waits until another process has ended them.
func (s *Standing) EndElsewhere(ctx context.Context, n int) (err error) {
	store, err := s.place.open(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	lane := workflows.DeactivateLane(connector)
	before, err := store.Stats(ctx, lane)
	if err != nil {
		return err
	}
	first := s.people
	s.people += n
	var due time.Time
	_, err = s.place.setUp(ctx, first, n, func(ready time.Time) func(int) time.Time {
		due = ready
		return func(int) time.Time { return due }
	})
	if err != nil {
		return err
	}
	for deadline := due.Add(stall + time.Duration(n)*time.Millisecond); ; {
		now, err := store.Stats(ctx, lane)
		if err != nil || now.Lanes[lane].Armed <= before.Lanes[lane].Armed {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d endings are left after %s", now.Lanes[lane].Armed-before.Lanes[lane].Armed, n, time.Since(due))
		}
		if err := until(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return err
		}
	}
}

// Store is where the grants are.
func (s *Standing) Store() redis.Config {
	c := s.place.cfg.Store
	c.Prefix = s.place.prefix
	return c
}

// claimed is a store that tells of its first claim.
type claimed struct {
	workflows.Store
	first func()
}

func (c claimed) Claim(ctx context.Context, lane workflows.Lane, limit int, lease time.Duration) ([]workflows.Claim, time.Time, error) {
	claims, next, err := c.Store.Claim(ctx, lane, limit, lease)
	if err == nil && lane == workflows.DeactivateLane(connector) {
		c.first()
	}
	return claims, next, err
}

// Serve is the product at work on a store of Standing, until ctx ends. serving is called each time that it has looked
// for endings.
func Serve(ctx context.Context, c redis.Config, serving func()) (err error) {
	store, err := redis.Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := service(claimed{store, serving}, newTarget(0), newEndings(0))
	if err != nil {
		return err
	}
	return workflows.NewRunner(s, workflows.RunnerConfig{PerConnector: DefaultWorkers}).Run(ctx)
}
