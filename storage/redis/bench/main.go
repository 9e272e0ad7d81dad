// Command bench compares Elevate's endings with two job queues that keep timers: hibiken/asynq on Redis and
// riverqueue/river on PostgreSQL. All of them do the same work in the same run, on servers that it starts itself: they
// store timers, work off a crowd that is due at once, and call handlers for timers that come due one after the other.
//
// It is a module of its own, so that Elevate does not depend on what it is compared with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// options are how the command was called.
type options struct {
	fsync   []string
	n       int
	timers  []int
	over    time.Duration
	settle  time.Duration
	river   bool
	compare bool
	million int
	json    string
	profile string
	judge   bool
	runner  string
}

func parse(args []string) (options, error) {
	o := options{settle: settle}
	var fsync, timers string
	var skipRiver, quick, only, printOnly bool
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&fsync, "fsync", "everysec,always", "appendfsync of Redis, one after the other")
	f.IntVar(&o.n, "n", 100_000, "how many endings are due at once")
	f.StringVar(&timers, "timers", "10000,100000", "how many endings come due one after the other; several numbers are tried in turn")
	f.DurationVar(&o.over, "over", time.Minute, "the time that these are spread over")
	f.BoolVar(&skipRiver, "skip-river", false, "leave out river and PostgreSQL")
	f.IntVar(&o.million, "million", 0, "also measure with this many live grants (1000000)")
	f.BoolVar(&only, "million-only", false, "leave out the comparison")
	f.StringVar(&o.json, "json", "", "also write what was measured to this `file`")
	f.StringVar(&o.profile, "profile", "", "keep profiles of our drain in this `folder`")
	f.BoolVar(&printOnly, "print-only", false, "exit 0 also where a threshold is missed")
	f.BoolVar(&quick, "quick", false, "only try that everything runs: small numbers, and no thresholds")
	f.StringVar(&o.runner, "runner", "", "used by the command itself: serve the store at this URL and prefix")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is one argument too many", f.Arg(0))
	}
	o.river, o.compare, o.judge = !skipRiver, !only, !printOnly
	if quick {
		o.n, timers, o.over, o.judge, fsync, o.settle = 1000, "300", 2*time.Second, false, "everysec", time.Second
	}
	o.fsync = strings.Split(fsync, ",")
	for text := range strings.SplitSeq(timers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("--timers: %q is no number of timers", text)
		}
		o.timers = append(o.timers, n)
	}
	for _, f := range o.fsync {
		if f != "everysec" && f != "always" {
			return o, fmt.Errorf("--fsync: everysec or always, not %q", f)
		}
	}
	if o.n < 1 || o.million < 0 || o.over <= 0 {
		return o, errors.New("--n, --over and --million must be positive")
	}
	if only && o.million == 0 {
		o.million = 1_000_000
	}
	return o, nil
}

// run gives the exit code: 0 done, 1 failed or a threshold missed, 2 wrong usage.
func run(ctx context.Context, args []string) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	case o.runner != "":
		err = serve(ctx, o.runner)
	default:
		err = compare(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

var errMissed = errors.New("a threshold was missed")

// compare measures everything and prints it.
func compare(ctx context.Context, o options) error {
	r, err := newReport(ctx)
	if err != nil {
		return err
	}
	if o.compare {
		if err := r.measure(ctx, o); err != nil {
			return err
		}
	}
	if o.million > 0 {
		if r.Million, err = million(ctx, o.million); err != nil {
			return fmt.Errorf("%d live grants: %w", o.million, err)
		}
	}
	good := r.print(os.Stdout, o)
	if o.json != "" {
		if err := r.write(o.json); err != nil {
			return err
		}
	}
	if o.judge && !good {
		return errMissed
	}
	return nil
}
