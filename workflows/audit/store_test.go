package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

var _ audit.Store = (*redis.Store)(nil)

// The drainer works with the store that there is, not only with the one that its other tests make up.
func TestEventsOfTheStoreComeIntoTheFilesInOrder(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{"test"}, AllowUnsafe: true}))
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{t.TempDir(), t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	for i, dir := range dirs {
		d, err := audit.NewDrainer(audit.DrainConfig{Dir: dir, Holder: fmt.Sprint("replica-", i), Interval: 5 * time.Millisecond}, store)
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- d.Run(ctx) }()
	}
	const requests, each = 5, 300
	for n := range each {
		for r := range requests {
			e := audit.Event{At: time.Now(), Kind: "vote", Request: access.RequestID(fmt.Sprint("07kq4-m2xp", r)), Version: int64(n + 1)}
			if err := store.Append(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range time.Tick(5 * time.Millisecond) {
		left, err := store.Undrained(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
	}
	stop()
	for range dirs {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	requireVersions(t, dirs, requests, each)
}

// requireVersions wants the versions of each request in order, without gaps.
func requireVersions(t *testing.T, dirs []string, requests, each int) {
	t.Helper()
	report, err := audit.Verify(dirs, audit.Expect{})
	if err != nil || !report.OK() || report.Lines != int64(requests*each) {
		t.Fatalf("%+v, %v", report, err)
	}
	var out bytes.Buffer
	if _, err := audit.Export(&out, dirs, audit.CSV, audit.Filter{}); err != nil {
		t.Fatal(err)
	}
	next := map[string]int{}
	for i, row := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\r\n")) {
		if i == 0 {
			continue
		}
		fields := bytes.Split(row, []byte(","))
		id := string(fields[3])
		next[id]++
		if string(fields[4]) != fmt.Sprint(next[id]) {
			t.Fatalf("row %d: version %s of %s; want %d", i, fields[4], id, next[id])
		}
	}
	if len(next) != requests {
		t.Errorf("requests in the log: %v", next)
	}
}
