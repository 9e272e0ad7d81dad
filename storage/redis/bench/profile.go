package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// profiler gives what measure tells of its stretches: it keeps, of our drain, a CPU profile of this process and what
// Redis counted, in the folder of --profile. Nil without one.
func (o options) profiler(ctx context.Context, r *redisServer) func(string) func() {
	if o.profile == "" {
		return nil
	}
	return func(stretch string) func() {
		if stretch != "drain" {
			return func() {}
		}
		before := r.cpu(ctx)
		_ = r.client.ConfigResetStat(ctx).Err() // the profile is a help, no result
		profile, err := os.Create(filepath.Join(o.profile, "cpu-"+r.fsync+".pprof"))
		if err == nil {
			err = pprof.StartCPUProfile(profile)
		}
		return func() {
			pprof.StopCPUProfile()
			used := r.cpu(ctx) - before
			text, infoErr := r.client.Info(ctx, "commandstats").Result()
			if err == nil {
				err = profile.Close()
			}
			for _, e := range []error{err, infoErr, os.WriteFile(filepath.Join(o.profile, "redis-"+r.fsync+".txt"),
				fmt.Appendf(nil, "main thread: %.3f s\n%s", used, text), 0o600)} {
				if e != nil {
					fmt.Fprintln(os.Stderr, "profile:", e)
				}
			}
		}
	}
}

// cpu is the time, in seconds, that the server's main thread has used.
func (r *redisServer) cpu(ctx context.Context) float64 {
	info, err := r.client.InfoMap(ctx, "cpu").Result()
	if err != nil {
		return 0
	}
	sum := 0.0
	for _, key := range []string{"used_cpu_user_main_thread", "used_cpu_sys_main_thread"} {
		seconds, _ := strconv.ParseFloat(info["CPU"][key], 64) // 0 where it is not told
		sum += seconds
	}
	return sum
}
