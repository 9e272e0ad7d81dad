package redis_test

import (
	"testing"

	"elevate/storage/storagetest"
)

func TestSentinelKeepsThePromise(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, onServer(storagetest.StartSentinel(t), patientWait))
}
