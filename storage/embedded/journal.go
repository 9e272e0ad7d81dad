package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	journalName = "journal"
	journalMark = "elevate journal 1\n"
	// A record is its length, the checksum of that length, the checksum of the body, and the body.
	recordHead = 12
	// smallestCompact is the size from which a journal is worth compacting; then it must also have grown fivefold.
	smallestCompact = 4 << 20
)

// journal is a file of commands with their times, each synced before it counts. Its owner serialises the calls.
type journal struct {
	path string
	log  *slog.Logger
	file *os.File
	size int64 // of what is on disk for certain
	base int64 // size after the last compaction
	// pending are records that are not on disk for certain.
	pending []byte
	// known are the scripts whose text is in the file.
	known map[string]bool
}

func openJournal(path string, log *slog.Logger) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, log: log, file: f, known: map[string]bool{}}
	info, err := f.Stat()
	if err == nil && info.Size() < int64(len(journalMark)) {
		err = j.begin()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), f.Close())
	}
	return j, nil
}

// begin writes the mark of a new file; a shorter one was never acknowledged.
func (j *journal) begin() error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt([]byte(journalMark), 0); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(j.path))
}

// replay gives every command to apply. A last record that a crash cut off was never acknowledged and is dropped; damage
// before sound records is an error, because they would be lost.
func (j *journal) replay(apply func(at time.Time, command []string) error) error {
	content, err := os.ReadFile(j.path)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(content, []byte(journalMark))
	if !ok {
		return fmt.Errorf("%s is not a journal of this program", j.path)
	}
	for len(rest) > 0 {
		j.size = int64(len(content) - len(rest))
		body, sound := readRecord(rest)
		if !sound && soundAfter(rest) {
			return fmt.Errorf("%s is damaged at byte %d: restore it from a backup, or move it away to begin anew and end what is active at the targets by hand", j.path, j.size)
		}
		if !sound {
			j.log.Warn("the last record of the journal was cut off and is dropped; it was never acknowledged", "at", j.size)
			break
		}
		at, command, err := decodeRecord(body)
		if err == nil {
			err = apply(at, command)
		}
		if err != nil {
			return fmt.Errorf("%s at byte %d: %w", j.path, j.size, err)
		}
		if len(command) == 3 && command[0] == "SCRIPT" {
			j.known[shaOf(command[2])] = true
		}
		rest = rest[recordHead+len(body):]
		j.size = int64(len(content) - len(rest))
	}
	j.size = max(j.size, int64(len(journalMark)))
	j.base = j.size
	return j.file.Truncate(j.size)
}

// readRecord gives the body of the record that begins here, where it is whole and sound.
func readRecord(from []byte) (body []byte, sound bool) {
	if len(from) < recordHead {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(from)
	if crc32.ChecksumIEEE(from[:4]) != binary.LittleEndian.Uint32(from[4:]) || uint64(n) > uint64(len(from)-recordHead) {
		return nil, false
	}
	body = from[recordHead : recordHead+int(n)]
	return body, crc32.ChecksumIEEE(body) == binary.LittleEndian.Uint32(from[8:])
}

// soundAfter tells whether a sound record begins anywhere after an unsound one. The last record alone may be unsound
// after a crash, because each is on disk before the next is written.
func soundAfter(from []byte) bool {
	for i := 1; i < len(from); i++ {
		if _, sound := readRecord(from[i:]); sound {
			return true
		}
	}
	return false
}

// add makes a record of a command, to be written by flush.
func (j *journal) add(at time.Time, command []string) {
	j.pending = appendRecord(j.pending, at, command)
}

// flush writes what is pending and syncs it. What fails stays pending, and a later flush writes it anew.
func (j *journal) flush() error {
	if len(j.pending) == 0 {
		return nil
	}
	if _, err := j.file.WriteAt(j.pending, j.size); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(j.pending))
	j.pending = j.pending[:0]
	return nil
}

func (j *journal) grown() bool { return j.size > smallestCompact+4*j.base }

// replace puts other records in the place of all that was written, whole or not at all.
func (j *journal) replace(records []byte) error {
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(slices.Concat([]byte(journalMark), records)); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	old := j.file
	j.file, j.size, j.known, j.pending = f, int64(len(journalMark)+len(records)), map[string]bool{}, nil
	j.base = j.size
	return errors.Join(syncDir(filepath.Dir(j.path)), old.Close())
}

func (j *journal) close() error { return errors.Join(j.flush(), j.file.Close()) }

// appendRecord writes a command and its time: the time in microseconds, the number of words, each with its length.
func appendRecord(to []byte, at time.Time, command []string) []byte {
	body := binary.AppendVarint(nil, at.UnixMicro())
	body = binary.AppendUvarint(body, uint64(len(command)))
	for _, word := range command {
		body = binary.AppendUvarint(body, uint64(len(word)))
		body = append(body, word...)
	}
	to = binary.LittleEndian.AppendUint32(to, uint32(len(body)))
	to = binary.LittleEndian.AppendUint32(to, crc32.ChecksumIEEE(to[len(to)-4:]))
	to = binary.LittleEndian.AppendUint32(to, crc32.ChecksumIEEE(body))
	return append(to, body...)
}

var errRecord = errors.New("not a record")

func decodeRecord(body []byte) (time.Time, []string, error) {
	micros, n := binary.Varint(body)
	if n <= 0 {
		return time.Time{}, nil, errRecord
	}
	body = body[n:]
	count, n := binary.Uvarint(body)
	if n <= 0 || count == 0 || count > uint64(len(body)) {
		return time.Time{}, nil, errRecord
	}
	body = body[n:]
	command := make([]string, count)
	for i := range command {
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return time.Time{}, nil, errRecord
		}
		command[i] = string(body[n : n+int(length)])
		body = body[n+int(length):]
	}
	return time.UnixMicro(micros).UTC(), command, nil
}

// syncDir makes a new name in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
