package embedded_test

import (
	"testing"
	"time"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
)

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
