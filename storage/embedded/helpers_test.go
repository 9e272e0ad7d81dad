package embedded_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crasher(dir, os.Getenv(crashKind) == "journal"); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n") // the parent sees too few requests
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// open starts a server and a store on it, both closed with the test.
func open(t storagetest.TB, cfg embedded.Config, store redis.Config) (*embedded.Server, *redis.Store) {
	t.Helper()
	server, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if store.Chats == nil {
		store.Chats = storagetest.Chats()
	}
	s, err := redis.Open(t.Context(), server.Connect(store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
	return server, s
}

func shortDir(t storagetest.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// requireRedis fails the test in CI where there is no redis-server, and leaves it out elsewhere.
func requireRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("redis-server is needed: %v", err)
		}
		t.Skipf("redis-server is not installed: %v", err)
	}
}

func withClient[V any](dir string, f func(*goredis.Client) V) V {
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: dir + "/redis.sock", MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true})
	defer func() { _ = c.Close() }()
	return f(c)
}

// ping tells whether a child answers in a folder.
func ping(dir string) bool {
	return withClient(dir, func(c *goredis.Client) bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return c.Ping(ctx).Err() == nil
	})
}

// pid is the process of the child in a folder.
func pid(t *testing.T, dir string) string {
	t.Helper()
	return withClient(dir, func(c *goredis.Client) string {
		return c.InfoMap(t.Context(), "server").Item("Server", "process_id")
	})
}
