package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"elevate/storage/redis"
	"elevate/storage/redis/measure"
)

const (
	// few is the number of live grants that the many are compared with.
	few = 10_000
	// rounds and perRound are how often, and how many grants, are ended beside the few and the many in turn.
	rounds   = 15
	perRound = 2_000
	// crowd is how many grants end at once beside the many while our process' memory is watched.
	crowd = 20_000
)

// millionResult is what many live grants cost.
type millionResult struct {
	Grants int     `json:"grants"`
	Bytes  float64 `json:"bytes_per_grant"`
	// RedisLoad is from the start of Redis until it answers, Serving from the start of our process until it has looked
	// for endings, after that.
	RedisLoad time.Duration `json:"redis_load_ns"`
	Serving   time.Duration `json:"serving_ns"`
	// Memory is the most that our process ever used, in bytes.
	Memory int64 `json:"memory_bytes"`
	// Few and Many are the median time of one ending beside few and many live grants, FewRedis and ManyRedis Redis' part.
	Few       time.Duration `json:"few_ns"`
	Many      time.Duration `json:"many_ns"`
	FewRedis  time.Duration `json:"few_redis_ns"`
	ManyRedis time.Duration `json:"many_redis_ns"`
}

// stand is a Redis with live grants in it.
type stand struct {
	server *redisServer
	bench  *measure.Bench
	grants *measure.Standing
	took   []float64 // per ending, in seconds
	redis  []float64
}

func newStand(ctx context.Context, n int) (_ *stand, err error) {
	s := &stand{}
	if s.server, err = startRedis(ctx, "everysec"); err != nil {
		return nil, err
	}
	s.bench, err = measure.Open(ctx, measure.Config{
		Store: redis.Config{URL: s.server.url(), Prefix: prefix}, Workers: workers,
		Stretch: func(name string) func() { return s.stretch(ctx, name) },
	})
	if err == nil {
		s.grants, err = s.bench.Stand(ctx, n)
	}
	if err != nil {
		return nil, errors.Join(err, s.server.stop())
	}
	return s, nil
}

// stretch takes down what Redis does for one ending.
func (s *stand) stretch(ctx context.Context, name string) func() {
	if name != "drain" {
		return func() {}
	}
	before := s.server.cpu(ctx)
	return func() { s.redis = append(s.redis, (s.server.cpu(ctx)-before)/perRound) }
}

// round ends some grants, and takes down what one cost.
func (s *stand) round(ctx context.Context) error {
	d, err := s.grants.End(ctx, perRound)
	s.took = append(s.took, d.Took.Seconds()/perRound)
	return err
}

func median(all []float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return time.Duration(sorted[len(sorted)/2] * float64(time.Second))
}

// million measures with n live grants.
func million(ctx context.Context, n int) (_ *millionResult, err error) {
	fmt.Printf("%d live grants are made; that takes some minutes …\n", n)
	small, err := newStand(ctx, few)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, small.server.stop()) }()
	large, err := newStand(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, large.server.stop()) }()
	m := &millionResult{Grants: n, Bytes: large.grants.Bytes}
	for i := range rounds {
		order := []*stand{small, large}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			if err := s.round(ctx); err != nil {
				return nil, err
			}
		}
	}
	m.Few, m.Many, m.FewRedis, m.ManyRedis = median(small.took), median(large.took), median(small.redis), median(large.redis)
	return m, m.start(ctx, large)
}

// start starts Redis and then our process as after a power failure, and watches the process.
func (m *millionResult) start(ctx context.Context, s *stand) (err error) {
	if err := s.server.compact(ctx); err != nil {
		return err
	}
	if m.RedisLoad, err = s.server.again(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := s.grants.Store()
	cmd := exec.CommandContext(ctx, self, "--runner", c.URL+" "+c.Prefix)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()         // it was killed
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return fmt.Errorf("our process did not come to serve: %w", err)
	}
	m.Serving = time.Since(began)
	if err := s.grants.EndElsewhere(ctx, crowd); err != nil {
		return err
	}
	m.Memory, err = mostMemory(cmd.Process.Pid)
	return err
}

// mostMemory is the most resident memory that a process ever had.
func mostMemory(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the system does not tell the memory of a process")
}

// compact lets the server rewrite its append-only file, as it does by itself sooner or later.
func (r *redisServer) compact(ctx context.Context) error {
	if err := r.client.BgRewriteAOF(ctx).Err(); err != nil && !strings.Contains(err.Error(), "in progress") {
		return err
	}
	for {
		info, err := r.client.InfoMap(ctx, "persistence").Result()
		if err != nil {
			return err
		}
		if p := info["Persistence"]; p["aof_rewrite_in_progress"] == "0" && p["aof_rewrite_scheduled"] == "0" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// serve is the process that million starts: the product at work on a store. It prints a line when it serves.
func serve(ctx context.Context, store string) error {
	url, prefix, _ := strings.Cut(store, " ")
	said := sync.OnceFunc(func() { fmt.Println("serving") })
	return measure.Serve(ctx, redis.Config{URL: url, Prefix: prefix, AllowUnsafe: true}, said)
}
