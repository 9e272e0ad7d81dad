package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"text/tabwriter"
	"time"

	"elevate/storage/redis/measure"
)

// report is everything that was measured.
type report struct {
	Machine  measure.Machine   `json:"machine"`
	Versions map[string]string `json:"versions"`
	Rows     []row             `json:"rows,omitempty"`
	Million  *millionResult    `json:"million,omitempty"`
}

// newReport takes down what the run is made on.
func newReport(ctx context.Context) (*report, error) {
	r := &report{Machine: measure.ThisMachine(), Versions: map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/hibiken/asynq", "github.com/riverqueue/river", "github.com/redis/go-redis/v9", "github.com/jackc/pgx/v5":
				r.Versions[m.Path] = m.Version
			}
		}
	}
	server, err := startRedis(ctx, "everysec")
	if err != nil {
		return nil, err
	}
	r.Versions["redis-server"], err = server.version(ctx)
	return r, errors.Join(err, server.stop())
}

// measure fills in the rows, on a fresh server for each.
func (r *report) measure(ctx context.Context, o options) error {
	for _, fsync := range o.fsync {
		err := r.onRedis(ctx, fsync, func(s *redisServer) (row, error) { return ours(ctx, s, o) })
		if err != nil {
			return err
		}
		for _, q := range []asynqQueue{{}, {poll: 10 * time.Millisecond, roundUp: true}} {
			err := r.onRedis(ctx, fsync, func(s *redisServer) (row, error) {
				q.redis = s
				return measured(ctx, &q, o)
			})
			if err != nil {
				return err
			}
		}
	}
	if o.river {
		return r.onPostgres(ctx, o)
	}
	return nil
}

func (r *report) onRedis(ctx context.Context, fsync string, do func(*redisServer) (row, error)) (err error) {
	s, err := startRedis(ctx, fsync)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return r.add(do(s))
}

func (r *report) onPostgres(ctx context.Context, o options) (err error) {
	p, err := startPostgres(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	pool, err := openRiver(ctx, p)
	if err != nil {
		return err
	}
	defer pool.Close()
	var version string
	if err := pool.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
		return err
	}
	r.Versions["PostgreSQL"] = version
	for _, q := range []riverQueue{{}, {cooldown: 2 * time.Millisecond, poll: 50 * time.Millisecond}} {
		q.pool = pool
		if err := r.add(measured(ctx, &q, o)); err != nil {
			return err
		}
	}
	return nil
}

// add keeps a row and says at once what is in it: a whole run takes its time.
func (r *report) add(found row, err error) error {
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, found)
	fmt.Printf("%s (%s, %s): enqueue %.0f/s, drain %.0f/s", found.System, found.Settings, found.Fsync, found.Enqueue, found.Drain)
	for _, n := range counts(found.Late) {
		fmt.Printf(", %d timers p99 %s", n, found.Late[n].P99.Round(10*time.Microsecond))
	}
	fmt.Println()
	return nil
}

func counts(late map[int]measure.Spread) []int {
	var all []int
	for n := range late {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// print writes the tables and the thresholds, and tells whether all of them are kept.
func (r *report) print(w io.Writer, o options) (good bool) {
	fmt.Fprintf(w, "\n%s\n", r.Machine)
	for _, name := range []string{"redis-server", "PostgreSQL", "github.com/hibiken/asynq", "github.com/riverqueue/river", "github.com/redis/go-redis/v9", "github.com/jackc/pgx/v5"} {
		if v := r.Versions[name]; v != "" {
			fmt.Fprintf(w, "%s %s\n", name, v)
		}
	}
	fmt.Fprintf(w, "%d workers; Redis: appendonly yes, save \"\", unix socket; PostgreSQL: synchronous_commit on, loopback; handlers and target answer at once\n", workers)
	var all []threshold
	if o.compare {
		r.printRows(w, o)
		all = append(all, comparisons(r.Rows, o)...)
	}
	if m := r.Million; m != nil {
		m.print(w)
		all = append(all, m.thresholds()...)
	}
	return printThresholds(w, all)
}

func (r *report) printRows(w io.Writer, o options) {
	fmt.Fprintf(w, "\n%d due at once, with the work of Redis' main thread and of the client's process for each (µs); and %v over %s:\n\n",
		o.n, o.timers, o.over)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tab, "system\tsettings\tfsync\tenqueue/s\tdrain/s\tRedis µs\tclient µs")
	for range o.timers {
		fmt.Fprint(tab, "\ttimers\tearly\tp50\tp99\tmax")
	}
	fmt.Fprintln(tab)
	for _, row := range r.Rows {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f", row.System, row.Settings, row.Fsync, row.Enqueue, row.Drain, row.Server, row.Process)
		for _, n := range o.timers {
			s := row.Late[n]
			fmt.Fprintf(tab, "\t%d\t%d\t%s\t%s\t%s", s.N, s.Early, millis(s.P50), millis(s.P99), millis(s.Max))
		}
		fmt.Fprintln(tab)
	}
	_ = tab.Flush() // standard output: there is nobody to tell
}

func (m *millionResult) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d live grants, appendfsync everysec:\n\n", m.Grants)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tab, "memory of Redis\t%.0f bytes for each grant\n", m.Bytes)
	fmt.Fprintf(tab, "start of Redis\t%s until it answers\n", m.RedisLoad.Round(time.Millisecond))
	fmt.Fprintf(tab, "start of ours\t%s from the start of the process until it has looked for endings\n", m.Serving.Round(time.Millisecond))
	fmt.Fprintf(tab, "memory of ours\t%.1f MB at most, %d endings included\n", float64(m.Memory)/1e6, crowd)
	fmt.Fprintf(tab, "one ending\t%s beside %d grants, %s beside %d; of that Redis %s and %s (medians of %d rounds of %d, in turn)\n",
		m.Few, few, m.Many, m.Grants, m.FewRedis, m.ManyRedis, rounds, perRound)
	_ = tab.Flush() // standard output: there is nobody to tell
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
