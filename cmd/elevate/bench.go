package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/redis/measure"
)

// benchFlags are how elevate bench was called.
type benchFlags struct {
	config, url, prefix string
	grants, timers      int
	clicks, workers     int
	over                time.Duration
	json                bool
}

// The bounds of what elevate bench takes on.
const (
	mostGrants  = 1_000_000
	mostWorkers = 512
	longestOver = time.Hour
)

func newBenchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine and its Redis",
		Long: `Measure, on this machine and the Redis that it is given: how quickly requests and endings are stored, how quickly a crowd
of endings that are due at once is worked off, how late endings come, how many clicks are served, and what a grant weighs.

The Redis is the one of --store, else that of the configuration, else one of its own in a temporary folder. It may be in
use: everything is kept under a prefix that must be empty at first and is empty again at the end, and live requests are
not touched; but the load is real, so choose the hour.

What runs is the product itself, with a target that answers at once; a real target's own time comes on top.

Exit codes: 0 done, 1 failed, 2 wrong usage.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd.Flags().Changed("config")); err != nil {
				return err
			}
			return f.run(cmd)
		},
	}
	configFlag(cmd, &f.config)
	flags := cmd.Flags()
	flags.StringVar(&f.url, "store", "", "`URL` of the Redis, instead of the configuration's")
	flags.StringVar(&f.prefix, "prefix", "elevate-bench:", "what every key begins with")
	flags.IntVar(&f.grants, "grants", 10_000, "how many grants end at once, and are weighed")
	flags.IntVar(&f.timers, "timers", 5_000, "how many grants end one after the other, to see how late")
	flags.DurationVar(&f.over, "over", 15*time.Second, "the time that these endings are spread over")
	flags.IntVar(&f.clicks, "clicks", 2_000, "how many requests are submitted and approved")
	flags.IntVar(&f.workers, "workers", measure.DefaultWorkers, "how many people and endings are served at once")
	flags.BoolVar(&f.json, "json", false, "print a JSON document instead of a table")
	return cmd
}

func (f *benchFlags) check(configured bool) error {
	for _, n := range []struct {
		name        string
		value, most int
	}{{"grants", f.grants, mostGrants}, {"timers", f.timers, mostGrants}, {"clicks", f.clicks, mostGrants}, {"workers", f.workers, mostWorkers}} {
		if n.value < 1 || n.value > n.most {
			return usagef("--%s must be 1 to %d, not %d", n.name, n.most, n.value)
		}
	}
	if f.over < time.Second || f.over > longestOver {
		return usagef("--over must be 1s to %s, not %s", longestOver, f.over)
	}
	if f.prefix == "" || strings.ContainsAny(f.prefix, "{}") {
		return usagef("--prefix must not be empty, and must not contain braces")
	}
	if f.url != "" && configured {
		return usagef("--store and --config both name a Redis: use one of them")
	}
	return nil
}

func (f *benchFlags) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	where, store, leave, err := f.store(ctx, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	store.Prefix = f.prefix
	b, err := measure.Open(ctx, measure.Config{Store: store, Workers: f.workers})
	switch {
	case errors.Is(err, measure.ErrInUse):
		return fmt.Errorf("%w. Another bench may be running, or one was killed; nothing was touched. Choose another --prefix, or remove these keys", err)
	case err != nil:
		return fmt.Errorf("the store (%s) cannot be used: %w", where, err)
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	r := benchReport{Version: build().Version, Machine: measure.ThisMachine(), Store: where, Workers: f.workers}
	if err := f.measure(ctx, b, &r, func(what string) { cmd.PrintErrln(what) }); err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before the end; the keys are removed")
		}
		return err
	}
	return r.print(cmd.OutOrStdout(), f.json)
}

// measure fills in the report, and says before each part what it is about to do.
func (f *benchFlags) measure(ctx context.Context, b *measure.Bench, r *benchReport, say func(string)) (err error) {
	if r.Redis, err = b.Server(ctx); err != nil {
		return err
	}
	say(fmt.Sprintf("%d people ask, and approvers approve …", f.clicks))
	if r.Clicks, err = b.Clicks(ctx, f.clicks); err != nil {
		return fmt.Errorf("clicks: %w", err)
	}
	say(fmt.Sprintf("%d grants are made, and end at once …", f.grants))
	if r.Drain, err = b.Drain(ctx, f.grants); err != nil {
		return fmt.Errorf("endings that are due at once: %w", err)
	}
	say(fmt.Sprintf("%d grants are made, and end over %s …", f.timers, f.over))
	if r.Lateness, err = b.Lateness(ctx, f.timers, f.over); err != nil {
		return fmt.Errorf("lateness of endings: %w", err)
	}
	return nil
}

// store finds the Redis to measure. What leave gives back is for the caller to call.
func (f *benchFlags) store(ctx context.Context, cmd *cobra.Command) (where string, c redis.Config, leave func() error, err error) {
	nothing := func() error { return nil }
	if f.url != "" {
		return "of --store", redis.Config{URL: f.url}, nothing, nil
	}
	_, missing := os.Stat(f.config)
	if cmd.Flags().Changed("config") || !errors.Is(missing, os.ErrNotExist) {
		cfg, _, err := load(f.config, cmd.ErrOrStderr())
		if err != nil {
			return "", c, nil, err
		}
		live := cfg.Store.Prefix
		if live == "" {
			live = "elevate:"
		}
		if strings.HasPrefix(live, f.prefix) || strings.HasPrefix(f.prefix, live) {
			return "", c, nil, usagef("--prefix %q and store.prefix %q begin alike: choose another --prefix", f.prefix, live)
		}
		if url := cfg.Store.URL.Reveal(); url != "" {
			c = redis.Config{URL: url, Shards: cfg.Store.Shards, Wait: redis.Wait{Replicas: cfg.Store.WaitReplicas}}
			return "of " + f.config, c, nothing, nil
		}
	}
	return ownStore(ctx)
}

// ownStore starts a Redis in a temporary folder.
func ownStore(ctx context.Context) (where string, c redis.Config, leave func() error, err error) {
	dir, err := os.MkdirTemp("", "elevate-bench-")
	if err != nil {
		return "", c, nil, err
	}
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir})
	if err != nil {
		return "", c, nil, errors.Join(err, os.RemoveAll(dir))
	}
	leave = func() error { return errors.Join(server.Close(), os.RemoveAll(dir)) }
	return "embedded: " + server.Kind(), server.Connect(c), leave, nil
}
