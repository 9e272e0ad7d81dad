package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ErrLocked says that another process writes to the folder.
var ErrLocked = errors.New("another process holds the audit folder")

var errClosed = errors.New("the audit log is closed after an error; open it again")

// DefaultMaxBytes is the size at which a file is closed and the next one begun.
const DefaultMaxBytes = 64 << 20

// Config is how a log is written.
type Config struct {
	// MaxBytes is the size in bytes that a file does not outgrow, except by a single batch. Zero: DefaultMaxBytes.
	MaxBytes int64
	Logger   *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: time.Now

	open func(path string, fresh bool) (file, error) // nil: openFile; tests give files that fail
}

func (c Config) withDefaults() Config {
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.open == nil {
		c.open = openFile
	}
	return c
}

// file is what the log needs of an *os.File.
type file interface {
	Write([]byte) (int, error)
	Sync() error
	Close() error
}

// openFile opens a file to append to; a fresh one must not exist, so that nothing is ever mixed into another's lines.
func openFile(path string, fresh bool) (file, error) {
	flags := os.O_WRONLY | os.O_APPEND
	if fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	return os.OpenFile(path, flags, 0o600)
}

// Log writes a chain of events to the files of one folder. A new file is begun each day (UTC), at MaxBytes, and where
// the chain was carried on elsewhere in between, so that every file is a run without gaps. One goroutine at a time.
type Log struct {
	dir  string
	cfg  Config
	lock *os.File

	tail tail
	day  string // of the newest file's name
	file file   // nil: the next write opens one
	err  error  // set by a failed write; everything after it fails
}

// Open locks the folder, making it where there is none, and finds where the log ends. An unfinished last line, which a
// crash leaves behind, is cut off: it was never acknowledged. The error is ErrLocked where another process writes here.
func Open(dir string, cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	lockFile, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	if err := lock(lockFile); err != nil {
		lockFile.Close()
		return nil, fmt.Errorf("open the audit log in %s: %w", dir, err)
	}
	t, err := repair(dir)
	if err != nil {
		lockFile.Close()
		return nil, err
	}
	if t.torn > 0 {
		cfg.Logger.Warn("audit log: an unfinished line was cut off; its event is written again", "dir", dir, "bytes", t.torn)
	}
	return &Log{dir: dir, cfg: cfg, lock: lockFile, tail: t, day: dayOf(t.path)}, nil
}

// dayOf is the day in the name of a file.
func dayOf(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)[len("audit-"):][:len(time.DateOnly)]
}

// Tail is the last line that is safe in the folder.
func (l *Log) Tail() Head { return l.tail.head }

// Append writes events as the next lines and returns when they are on the disk. After an error the log is closed, and
// what was written is for Open to find: whole lines stay, a torn one is cut off.
func (l *Log) Append(events []Event) error {
	lines, _, err := encode(l.tail.head, events)
	if err != nil {
		return err
	}
	return l.write(lines)
}

// write puts encoded lines on the disk. Lines that do not follow the tail begin a new file.
func (l *Log) write(lines []byte) error {
	if l.err != nil {
		return l.err
	}
	if len(lines) == 0 {
		return nil
	}
	next, err := l.measure(lines)
	if err == nil {
		err = l.put(lines, next)
	}
	if err != nil {
		l.err = errClosed
		return fmt.Errorf("write the audit log: %w", errors.Join(err, l.Close()))
	}
	return nil
}

func (l *Log) put(lines []byte, next tail) error {
	if err := l.turn(lines, int64(len(lines))); err != nil {
		return err
	}
	if _, err := l.file.Write(lines); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.tail.size += int64(len(lines))
	l.tail.head, l.tail.marks = next.head, next.marks
	return nil
}

// measure gives what the log ends with once the lines are written.
func (l *Log) measure(lines []byte) (tail, error) {
	next := tail{path: l.tail.path}
	if err := next.read(lines, false); err != nil {
		return tail{}, err
	}
	next.marks = append(l.tail.marks, next.marks...)
	if n := len(next.marks) - recentEvents; n > 0 {
		next.marks = slices.Clone(next.marks[n:])
	}
	return next, nil
}

// recentEvents is how many marks are remembered: those of several batches.
const recentEvents = 4 * maxBatch

// turn makes sure that l.file is the one that the lines belong into.
func (l *Log) turn(lines []byte, size int64) error {
	line, _, _ := bytes.Cut(lines, []byte("\n"))
	first, prev, err := place(line)
	if err != nil {
		return err
	}
	now := l.cfg.Now()
	day := now.UTC().Format(time.DateOnly)
	if prev == l.tail.head && day == l.day && l.tail.size+size <= l.cfg.MaxBytes && l.tail.path != "" {
		if l.file == nil {
			l.file, err = l.cfg.open(l.tail.path, false)
		}
		return err
	}
	if t := l.tail.head; prev.Seq == t.Seq && prev != t {
		l.cfg.Logger.Error("audit log: the last line in the folder is not the one that was written; going on in a new file. Verify the log",
			"path", l.tail.path, "found", t.String(), "written", prev.String())
	}
	if err := l.shut(); err != nil {
		return err
	}
	path := filepath.Join(l.dir, nameFile(now, first))
	if l.file, err = l.cfg.open(path, true); err != nil {
		return err
	}
	l.cfg.Logger.Info("audit log: new file", "path", path, "head_before", prev.String())
	l.tail.path, l.tail.size, l.day = path, 0, day
	return syncDir(l.dir)
}

// shut closes the file being written.
func (l *Log) shut() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Close gives the folder free.
func (l *Log) Close() error {
	if l.lock == nil {
		return nil
	}
	err := errors.Join(l.shut(), l.lock.Close())
	l.lock, l.err = nil, errClosed
	return err
}

// syncDir makes the name of a new file as durable as its content.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
