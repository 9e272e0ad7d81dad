package embedded_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func inProcess(dir bool) storagetest.Options {
	return storagetest.Options{
		Open: func(t storagetest.TB, clock *storagetest.Clock) workflows.Store {
			cfg := embedded.Config{Memory: !dir, InProcess: dir, Clock: clock.Now}
			if dir {
				cfg.Dir = shortDir(t)
			}
			_, s := open(t, cfg, redis.Config{Now: clock.Now})
			return s
		},
		Pass: func(clock *storagetest.Clock, d time.Duration) { clock.Advance(d) },
	}
}

func TestMemoryStoreKeepsThePromise(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, inProcess(false))
}

func TestJournalStoreKeepsThePromise(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, inProcess(true))
}

func TestMemoryStoreFollowsTheModel(t *testing.T) {
	t.Parallel()
	storagetest.RunModel(t, inProcess(false))
}
