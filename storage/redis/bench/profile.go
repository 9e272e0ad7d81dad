package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// profiled keeps, in the folder of --profile and until over is called, a CPU profile of this process and what Redis counts.
func (o options) profiled(ctx context.Context, r *redisServer) (over func()) {
	if o.profile == "" {
		return func() {}
	}
	reset := r.client.ConfigResetStat(ctx).Err()
	profile, err := os.Create(filepath.Join(o.profile, "cpu-"+r.fsync+".pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(profile)
	}
	return func() {
		pprof.StopCPUProfile()
		text, told := r.client.Info(ctx, "commandstats").Result()
		kept := os.WriteFile(filepath.Join(o.profile, "redis-"+r.fsync+".txt"), []byte(text), 0o600)
		if err := errors.Join(err, profile.Close(), reset, told, kept); err != nil {
			fmt.Fprintln(os.Stderr, "bench: profile:", err)
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
