package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"elevate/cmd/elevate/e2etest"
	"elevate/storage/storagetest"
)

// smallBench is elevate bench on a scale for tests.
func smallBench(more ...string) []string {
	return append([]string{"bench", "--grants", "100", "--timers", "50", "--over", "1s", "--clicks", "20", "--workers", "8"}, more...)
}

func askRedis(t *testing.T, r *storagetest.Redis) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: r.Socket()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestBenchMeasuresAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t, "--appendfsync", "always")
	c := askRedis(t, r)
	if err := c.Set(t.Context(), "elevate:live", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	got := e2etest.Elevate(t, t.TempDir(), smallBench("--store", r.URL(), "--json")...)
	if got.Code != 0 {
		t.Fatalf("exit code %d: %s", got.Code, got.Stderr)
	}
	var report benchReport
	if err := json.Unmarshal([]byte(got.Stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, got.Stdout)
	}
	if report.Redis.AppendFsync != "always" || report.Redis.AppendOnly != "yes" || report.Machine.Cores < 1 {
		t.Errorf("the surroundings are not as they are: %+v %+v", report.Redis, report.Machine)
	}
	if d := report.Drain; d.Grants != 100 || d.Calls != 100 || d.Early != 0 || d.PerSecond <= 0 || d.Bytes < 500 || d.Stored.Endings <= 0 {
		t.Errorf("endings due at once: %+v", d)
	}
	if l := report.Lateness; l.Called.N != 50 || l.Confirmed.N != 50 || l.Calls != 50 || l.Called.Early != 0 || l.Called.P50 <= 0 || l.Called.Max < l.Called.P99 {
		t.Errorf("endings one after the other: %+v", l)
	}
	if report.Clicks.Submits <= 0 || report.Clicks.Decisions <= 0 || report.Clicks.Decide.N != 20 {
		t.Errorf("clicks: %+v", report.Clicks)
	}
	if keys, err := c.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 1 || keys[0] != "elevate:live" {
		t.Errorf("afterwards there are %q (%v), not what was there before", keys, err)
	}
}

func TestBenchPrintsATable(t *testing.T) {
	t.Parallel()
	got := e2etest.Elevate(t, t.TempDir(), smallBench()...)
	if got.Code != 0 {
		t.Fatalf("exit code %d: %s", got.Code, got.Stderr)
	}
	for _, want := range []string{"embedded: ", "appendfsync always", "clicks on Approve", "100 endings due at once", "50 endings over 1s", "0 early", "bytes of Redis"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("%q is missing in\n%s", want, got.Stdout)
		}
	}
}

func TestBenchTouchesNoPrefixInUse(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	c := askRedis(t, r)
	const key = "elevate-bench:7:x"
	if err := c.Set(t.Context(), key, "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	got := e2etest.Elevate(t, t.TempDir(), smallBench("--store", r.URL())...)
	if got.Code != 1 || !strings.Contains(got.Stderr, key) || !strings.Contains(got.Stderr, "--prefix") {
		t.Errorf("exit code %d, %q", got.Code, got.Stderr)
	}
	if keys, err := c.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 1 {
		t.Errorf("afterwards there are %q (%v)", keys, err)
	}
}

// waitForKeys waits until there are keys under the bench's prefix.
func waitForKeys(t *testing.T, c *goredis.Client) {
	t.Helper()
	storagetest.Eventually(t, "the bench is at work", func() bool {
		keys, err := c.Keys(t.Context(), "elevate-bench:*").Result()
		return err == nil && len(keys) > 0
	})
}

func TestBenchThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	c := askRedis(t, r)
	var stderr bytes.Buffer
	cmd := exec.Command(e2etest.Build(t), "bench", "--store", r.URL(), "--grants", "1000000", "--clicks", "1000000")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForKeys(t, c)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "stopped before the end") {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if keys, err := c.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("afterwards there are %d keys (%v)", len(keys), err)
	}
}

func TestBenchUsesTheRedisOfTheConfiguration(t *testing.T) {
	t.Parallel()
	r := storagetest.StartRedis(t)
	dir := t.TempDir()
	text := strings.NewReplacer("{dir: data}", "{url: \""+r.URL()+"\"}", "LISTEN", "127.0.0.1:0", "SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").Replace(soundConfig)
	if err := os.WriteFile(filepath.Join(dir, "elevate.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := e2etest.Elevate(t, dir, smallBench()...); got.Code != 0 || !strings.Contains(got.Stdout, "store of elevate.yaml") {
		t.Errorf("exit code %d, %s%s", got.Code, got.Stdout, got.Stderr)
	}
	got := e2etest.Elevate(t, dir, smallBench("--prefix", "elevate:bench:")...)
	if got.Code != 2 || !strings.Contains(got.Stderr, "store.prefix") {
		t.Errorf("below the live prefix: exit code %d, %s", got.Code, got.Stderr)
	}
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no such Redis":    {[]string{"--store", "unix:///nowhere/redis.sock"}, 1, "no such file"},
		"no URL":           {[]string{"--store", "127.0.0.1"}, 1, "redis://host:6379/0"},
		"no such file":     {[]string{"--config", "nowhere.yaml"}, 1, "nowhere.yaml"},
		"two stores":       {[]string{"--store", "redis://127.0.0.1:1", "--config", "elevate.yaml"}, 2, "one of them"},
		"no grants":        {[]string{"--grants", "0"}, 2, "--grants"},
		"too many workers": {[]string{"--workers", "100000"}, 2, "--workers"},
		"too short a time": {[]string{"--over", "1ms"}, 2, "--over"},
		"braces":           {[]string{"--prefix", "{x}"}, 2, "--prefix"},
		"arguments":        {[]string{"now"}, 2, "elevate bench"},
		"no number":        {[]string{"--clicks", "many"}, 2, "--clicks"},
		"no prefix":        {[]string{"--prefix", ""}, 2, "--prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := e2etest.Elevate(t, t.TempDir(), append([]string{"bench"}, c.args...)...)
			if got.Code != c.code || !strings.Contains(got.Stderr, c.says) {
				t.Errorf("exit code %d, %q; expected %d and %q", got.Code, got.Stderr, c.code, c.says)
			}
		})
	}
}
