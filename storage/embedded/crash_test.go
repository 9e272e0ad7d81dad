package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/storage/storagetest"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// The test binary runs itself as the program that is killed.
const (
	crashDir  = "ELEVATE_CRASH_DIR"
	crashKind = "ELEVATE_CRASH_KIND"
)

// crasher keeps submitting requests, and names each on standard output once it was acknowledged, until it is killed.
func crasher(dir string, inProcess bool) error {
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir, InProcess: inProcess})
	if err != nil {
		return err
	}
	s, err := redis.Open(ctx, server.Connect(redis.Config{}))
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		r, err := submit(ctx, s, access.PersonID(fmt.Sprintf("p%d", i)))
		if err != nil {
			return err
		}
		fmt.Println(r.ID)
	}
}

func submit(ctx context.Context, s *redis.Store, who access.PersonID) (*access.Record, error) {
	now := time.Now()
	r := &access.Record{Schema: access.Schema, State: access.Pending, Version: 1, DecideBy: now.Add(time.Hour),
		Request: access.Request{Requester: who, Person: who, Account: string(who), SubmittedAt: now, Role: access.Role{ID: "r", Connector: "pg"}}}
	r.ID = s.NewID(now, r.Right())
	return r, s.Take(ctx, workflows.Transition{Arrow: access.Submit, Record: r, Event: audit.Event{Kind: "submit", Request: r.ID, Version: 1}})
}

// kill starts a crasher, kills it after it acknowledged some requests, and gives those.
func kill(t *testing.T, dir, kind string) []access.RequestID {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashKind+"="+kind)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []access.RequestID
	lines := bufio.NewScanner(out)
	for len(ids) < 40 && lines.Scan() {
		ids = append(ids, access.RequestID(lines.Text()))
	}
	_ = cmd.Process.Kill() // it may have failed; then there are too few ids
	for lines.Scan() {     // what it acknowledged before it died
		ids = append(ids, access.RequestID(lines.Text()))
	}
	_ = cmd.Wait() // it was killed
	if len(ids) < 40 {
		t.Fatalf("the program acknowledged %d requests before it ended by itself", len(ids))
	}
	return ids
}

func mustHave(t *testing.T, s *redis.Store, ids []access.RequestID) {
	t.Helper()
	for _, id := range ids {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s was acknowledged: %v", id, err)
		}
	}
	events, err := s.Undrained(t.Context(), 100_000)
	if err != nil || len(events) < len(ids) {
		t.Errorf("%d events of %d requests, %v", len(events), len(ids), err)
	}
}

func TestJournalSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	var ids []access.RequestID
	for range 3 {
		ids = append(ids, kill(t, dir, "journal")...)
	}
	server, s := open(t, embedded.Config{Dir: dir}, redis.Config{}) // found again without being told
	if !strings.Contains(server.Kind(), "journal") {
		t.Errorf("kind %q", server.Kind())
	}
	mustHave(t, s, ids)
}

func TestSurvivingChildIsAdopted(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	dir := shortDir(t)
	ids := kill(t, dir, "child")
	before := pid(t, dir)
	_, s := open(t, embedded.Config{Dir: dir}, redis.Config{})
	if after := pid(t, dir); after != before {
		t.Errorf("process %s was not adopted; %s was started", before, after)
	}
	mustHave(t, s, ids)
}

func TestKilledChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	dir := shortDir(t)
	server, s := open(t, embedded.Config{Dir: dir}, redis.Config{})
	if st, err := s.Status(t.Context()); err != nil || st.Class != redis.Durable || len(st.Problems)+len(st.Warnings) > 0 {
		t.Errorf("%s: %+v, %v", server.Kind(), st, err)
	}
	var ids []access.RequestID
	for range 2 {
		for i := range 20 {
			r, err := submit(t.Context(), s, access.PersonID(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID)
		}
		old := pid(t, dir)
		if err := exec.Command("kill", "-9", old).Run(); err != nil {
			t.Fatal(err)
		}
		storagetest.Eventually(t, "it runs again", func() bool { return ping(dir) && pid(t, dir) != old })
	}
	storagetest.Eventually(t, "the store is back", func() bool {
		_, err := s.Get(t.Context(), ids[0])
		return err == nil
	})
	mustHave(t, s, ids)
}

func TestChildStopsWithTheProgram(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	dir := shortDir(t)
	var ids []access.RequestID
	for range 2 {
		server, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := redis.Open(t.Context(), server.Connect(redis.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		mustHave(t, s, ids)
		r, err := submit(t.Context(), s, "ana")
		ids = append(ids, r.ID)
		if err := errors.Join(err, s.Close(), server.Close()); err != nil {
			t.Fatal(err)
		}
		if ping(dir) {
			t.Error("the server answers after it was stopped")
		}
	}
}

func TestFolderIsLocked(t *testing.T) {
	t.Parallel()
	for _, inProcess := range []bool{true, false} {
		if !inProcess {
			requireRedis(t)
		}
		dir := shortDir(t)
		open(t, embedded.Config{Dir: dir, InProcess: inProcess}, redis.Config{})
		if s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, InProcess: inProcess}); err == nil || !strings.Contains(err.Error(), "another Elevate") {
			t.Errorf("a second server on the folder: %v, %v", s, err)
		}
	}
}

// A folder is served by the kind of server that wrote it, or by none.
func TestFolderKeepsItsKind(t *testing.T) {
	t.Parallel()
	requireRedis(t)
	dir := shortDir(t)
	child, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Binary: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), "redis-server") {
		t.Errorf("files of a redis-server without one: %v", err)
	}
	again, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, InProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(again.Kind(), "journal") {
		t.Error("the journal was begun beside the files of a redis-server")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/journal", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "move the older away") {
		t.Errorf("files of both kinds: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	file := shortDir(t) + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]embedded.Config{
		"nothing":                  {},
		"both":                     {Dir: t.TempDir(), Memory: true},
		"a file for a folder":      {Dir: file},
		"a binary that is not one": {Dir: shortDir(t), Binary: file},
		"a path too long":          {Dir: shortDir(t) + "/" + strings.Repeat("x", 100), Binary: "redis-server"},
	} {
		if _, err := embedded.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s was started", name)
		}
	}
}

func TestMemoryIsEphemeral(t *testing.T) {
	t.Parallel()
	server, s := open(t, embedded.Config{Memory: true}, redis.Config{})
	if err := s.Safe(t.Context()); err == nil {
		t.Errorf("%s is safe", server.Kind())
	}
	if st, err := s.Status(t.Context()); err != nil || st.Class != redis.Ephemeral {
		t.Errorf("status %+v, %v", st, err)
	}
	if _, s := open(t, embedded.Config{Memory: true}, redis.Config{AllowUnsafe: true}); s.Safe(t.Context()) != nil {
		t.Error("allowed to be unsafe, and still refused")
	}
}

// Time runs as fast as the clock does: the server's, the caller's, and the ends of what is remembered.
func TestClockCanBeSpedUp(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	_, s := open(t, embedded.Config{Memory: true, Clock: clock.Now}, redis.Config{Now: clock.Now})
	if held, err := s.Hold(t.Context(), "x", "one", time.Hour); err != nil || !held {
		t.Fatal(held, err)
	}
	clock.Advance(365 * 24 * time.Hour) // past the true time
	if held, err := s.Hold(t.Context(), "x", "two", time.Hour); err != nil || !held {
		t.Errorf("a lease of an hour holds after a year: %v, %v", held, err)
	}
}
