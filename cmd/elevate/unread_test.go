package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"elevate/cmd/internal/config"
	"elevate/workflows/audit"
)

// What another replica writes to the log that both share is known soon after, and not at the next start alone.
func TestAReplicaLearnsWhatAnotherWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, err := audit.Open(dir, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	write := func(id string) {
		if err := log.Append([]audit.Event{{ID: id, At: time.Now(), Kind: "close", Request: "07kq4-m2xp9", Version: 4}}); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	a := &app{cfg: &config.Config{Audit: config.Audit{Dir: dir}}, log: slog.New(slog.DiscardHandler), unread: newUnread()}
	told := make(chan string, 2)
	a.learn(audit.Lesson{Kinds: []string{"close"}, Event: func(e audit.Event) { told <- e.ID }})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.readLog(ctx) }()
	<-a.unread.known
	if id := <-told; id != "before" || a.unread.why() != nil {
		t.Errorf("told of %s, %v", id, a.unread.why())
	}
	write("after")
	if id := <-told; id != "after" {
		t.Errorf("told of %s", id)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
