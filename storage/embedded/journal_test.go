package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/storage/redis"
)

func startJournal(t testing.TB, dir string) (*Server, *redis.Store) {
	t.Helper()
	server, err := Start(t.Context(), Config{Dir: dir, InProcess: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := redis.Open(t.Context(), server.Connect(redis.Config{}))
	if err != nil {
		t.Fatal(errors.Join(err, server.Close()))
	}
	return server, s
}

func stop(t testing.TB, server *Server, s *redis.Store) {
	t.Helper()
	if err := errors.Join(s.Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
}

// crashed gives a copy of the journal as it is in the middle of the work, as a kill would leave it.
func crashed(t testing.TB, dir string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func inDir(t testing.TB, content []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t testing.TB, s *redis.Store, key, value string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(value), time.Hour); err != nil {
		t.Fatal(err)
	}
}

func has(t testing.TB, s *redis.Store, key string) string {
	t.Helper()
	stored, first, err := s.Once(t.Context(), key, nil, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if first {
		return ""
	}
	return string(stored)
}

// Wherever a crash cuts the last record off, everything before it is there, and the store goes on.
func TestJournalCutOffAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startJournal(t, dir)
	put(t, s, "a", "first")
	before := len(crashed(t, dir))
	put(t, s, "b", "second")
	whole := crashed(t, dir)
	stop(t, server, s)
	for cut := before; cut <= len(whole); cut += 7 {
		for name, content := range map[string][]byte{
			"cut off":      whole[:cut],
			"never synced": slices.Concat(whole[:cut], make([]byte, len(whole)-cut)),
		} {
			copied := inDir(t, content)
			server, s := startJournal(t, copied)
			if got := has(t, s, "a"); got != "first" {
				t.Errorf("%s at %d of %d: the record before it is %q", name, cut, len(whole), got)
			}
			if got := has(t, s, "b"); got != "" && got != "second" {
				t.Errorf("%s at %d of %d: the last record is %q", name, cut, len(whole), got)
			}
			put(t, s, "c", "third")
			stop(t, server, s)
			server, s = startJournal(t, copied)
			if got := has(t, s, "c"); got != "third" {
				t.Errorf("%s at %d of %d: what came after the restart is %q", name, cut, len(whole), got)
			}
			stop(t, server, s)
		}
	}
}

// Damage before the end is told, and nothing that came after it is dropped in silence.
func TestDamagedJournalIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startJournal(t, dir)
	for i := range 5 {
		put(t, s, fmt.Sprint(i), "value")
	}
	last := len(crashed(t, dir)) // within the last record a flipped bit is a cut
	put(t, s, "last", "value")
	whole := crashed(t, dir)
	stop(t, server, s)
	for at := 0; at < last; at += 101 {
		damaged := slices.Clone(whole)
		damaged[at] ^= 0x10
		server, err := Start(t.Context(), Config{Dir: inDir(t, damaged), InProcess: true})
		if err == nil {
			t.Errorf("a journal with byte %d of %d flipped was taken", at, len(whole))
			_ = server.Close() // the test has failed
		}
	}
}

func TestIdleWorkIsNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startJournal(t, dir)
	defer stop(t, server, s)
	if _, _, err := s.Claim(t.Context(), "clock", 10, time.Minute); err != nil {
		t.Fatal(err)
	}
	size := len(crashed(t, dir))
	for range 10 {
		_, _, err1 := s.Claim(t.Context(), "clock", 10, time.Minute)
		_, _, err2 := s.ClaimErrands(t.Context(), "slack", 10, time.Minute)
		_, _, err3 := s.ClaimDeliveries(t.Context(), "slack", 10, time.Minute)
		_, err4 := s.Undrained(t.Context(), 10)
		if err := errors.Join(err1, err2, err3, err4, s.Safe(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if grown := len(crashed(t, dir)) - size; grown > 200 { // Safe looks at the layout once
		t.Errorf("looking for work wrote %d bytes", grown)
	}
}

// While the journal cannot be written nothing is acknowledged; when it can again, the work goes on and nothing is lost.
func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startJournal(t, dir)
	put(t, s, "a", "before")
	p := server.backend.(*inProcess)
	p.mu.Lock()
	sound := p.journal.file
	readOnly, err := os.Open(p.journal.path)
	if err != nil {
		t.Fatal(err)
	}
	p.journal.file = readOnly
	p.mu.Unlock()
	for range 3 {
		if err := s.Put(t.Context(), "b", []byte("x"), time.Hour); err == nil {
			t.Error("a write was acknowledged without a journal")
		}
		if st, err := s.Status(t.Context()); err == nil && len(st.Problems) == 0 {
			t.Error("nothing is said of a journal that cannot be written")
		}
	}
	p.mu.Lock()
	p.journal.file = sound
	p.mu.Unlock()
	put(t, s, "c", "after")
	content := crashed(t, dir)
	stop(t, server, s)
	if err := readOnly.Close(); err != nil {
		t.Fatal(err)
	}
	server, s = startJournal(t, inDir(t, content))
	defer stop(t, server, s)
	if has(t, s, "a") != "before" || has(t, s, "c") != "after" {
		t.Errorf("after the restart: a is %q, c is %q", has(t, s, "a"), has(t, s, "c"))
	}
}

// A journal that has grown is compacted, and what was written before and after is the same.
func TestJournalIsCompacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, s := startJournal(t, dir)
	value := strings.Repeat("x", 100_000)
	largest := 0
	for i := range 120 {
		put(t, s, fmt.Sprint(i%7), fmt.Sprint(i)+value)
		largest = max(largest, len(crashed(t, dir)))
	}
	content := crashed(t, dir)
	if len(content) > 9_000_000 || largest < smallestCompact {
		t.Errorf("after 12 MB of writes the journal has %d bytes, at most %d", len(content), largest)
	}
	stop(t, server, s)
	if after := len(crashed(t, dir)); after > 800_000 {
		t.Errorf("after a clean stop the journal has %d bytes for 700 kB of state", after)
	}
	for name, content := range map[string][]byte{"crash": content, "clean stop": crashed(t, dir)} {
		server, s := startJournal(t, inDir(t, content))
		for i := 113; i < 120; i++ {
			if got := has(t, s, fmt.Sprint(i%7)); got != fmt.Sprint(i)+value {
				t.Errorf("after a %s, %d is %.10q", name, i%7, got)
			}
		}
		stop(t, server, s)
	}
}

// A snapshot holds every kind of key, with its end.
func TestSnapshotHoldsEverything(t *testing.T) {
	t.Parallel()
	p, err := startInProcess(Config{Clock: time.Now, Log: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.mini.Close()
	commands := [][]string{
		{"SET", "string", "a\x00\xff b"},
		{"HSET", "hash", "f", "v", "g", ""},
		{"RPUSH", "list", "a", "b", "a"},
		{"SADD", "set", "x", "y"},
		{"ZADD", "zset", "1795464000123", "x", "-1.5", "y"},
		{"XADD", "stream", "5-0", "e", "1"},
		{"XADD", "stream", "5-1", "e", "2"},
		{"SET", "ends", "v"},
		{"PEXPIRE", "ends", "60000"},
	}
	for i := range 700 { // more than one batch
		commands = append(commands, []string{"ZADD", "many", fmt.Sprint(i), fmt.Sprint("m", i)})
	}
	for _, c := range commands {
		if err := p.apply(time.Now(), c); err != nil {
			t.Fatal(err)
		}
	}
	other, err := startInProcess(Config{Clock: time.Now, Log: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.mini.Close()
	for _, key := range p.mini.Keys() {
		err := p.dump(key, func(command ...string) {
			if err := other.apply(time.Now(), command); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	if got, want := other.mini.Dump(), p.mini.Dump(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if ttl := other.mini.TTL("ends"); ttl < 50*time.Second || ttl > time.Minute {
		t.Errorf("the end is in %s", ttl)
	}
}

// A client that writes a long pipeline before it reads must not wait for ever for a server that replies meanwhile.
func TestLongPipelinesPass(t *testing.T) {
	t.Parallel()
	server, err := Start(t.Context(), Config{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := redis.Open(t.Context(), server.Connect(redis.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, server, s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ids := make([]string, 50_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("1795464000123-%06d.0", i)
	}
	if err := s.Drained(ctx, ids); err != nil {
		t.Fatal(err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(int64(0), "EVALSHA", "a\x00\xff")
	f.Add(int64(-1), "", "")
	f.Fuzz(func(t *testing.T, micros int64, a, b string) {
		command := []string{a, b}
		record := appendRecord(nil, time.UnixMicro(micros), command)
		at, got, err := decodeRecord(record[recordHead:])
		if err != nil || !slices.Equal(got, command) || at.UnixMicro() != micros {
			t.Errorf("%d %q came back as %d %q, %v", micros, command, at.UnixMicro(), got, err)
		}
		// What is no record is an error, not a panic.
		for i := range len(record) - recordHead {
			if _, got, err := decodeRecord(record[recordHead : recordHead+i]); err == nil && slices.Equal(got, command) {
				t.Errorf("%d of %d bytes were enough", i, len(record))
			}
		}
		_, _, _ = decodeRecord([]byte(a))
	})
}
