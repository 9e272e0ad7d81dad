package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Head names a line of the chain by its number and the SHA-256 of its bytes without the newline. Kept somewhere else,
// it proves later that the log up to that line is whole and unchanged. The zero Head comes before the first line.
type Head struct {
	Seq  int64
	Hash [sha256.Size]byte
}

// String writes SEQ:HASH.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.Hash) }

// ParseHead reads what String writes.
func ParseHead(s string) (Head, error) {
	seq, hash, ok := strings.Cut(strings.TrimSpace(s), ":")
	var h Head
	var err error
	if h.Seq, err = strconv.ParseInt(seq, 10, 64); !ok || err != nil || h.Seq < 0 || !h.setHash([]byte(hash)) {
		return Head{}, fmt.Errorf("%q is no head of a log: write the line's number, a colon and the 64 digits of its hash", s)
	}
	return h, nil
}

// MarshalText and UnmarshalText use the form SEQ:HASH.
func (h Head) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads SEQ:HASH.
func (h *Head) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHead(string(text))
	return err
}

func (h *Head) setHash(digits []byte) bool {
	if len(digits) != hex.EncodedLen(len(h.Hash)) || bytes.ContainsAny(digits, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(h.Hash[:], digits)
	return err == nil
}

// after is the head of a chain whose last line is raw.
func after(seq int64, raw []byte) Head { return Head{Seq: seq, Hash: sha256.Sum256(raw)} }

// Line is an event with its place in the chain, as it stands in a file.
type Line struct {
	Seq  int64  `json:"seq"`
	Prev string `json:"prev"`
	Event
}

// The bytes that every line begins with. Nothing but the program writes lines, so they are compared, not parsed as
// JSON: a line that is written otherwise was not written by the program.
const (
	beforeSeq  = `{"seq":`
	beforePrev = `,"prev":"`
	afterPrev  = `",`
)

var errNotALine = errors.New("this is no line of an audit log")

// mark recognises an event that was written: its id, and the beginning of the hash of what the line says of it. An id
// alone would take a new event for an old one, should a store that lost its newest state give the same id twice.
type mark struct {
	ID  string `json:"id"`
	Sum string `json:"sum"`
}

// marks gives the marks of whole lines.
func marks(lines []byte) ([]mark, error) {
	var out []mark
	for raw := range bytes.Lines(lines) {
		l, err := decode(raw)
		if err != nil {
			return nil, err
		}
		_, event, _ := bytes.Cut(raw, []byte(l.Prev+afterPrev))
		sum := sha256.Sum256(bytes.TrimSuffix(event, []byte("\n")))
		out = append(out, mark{ID: l.ID, Sum: hex.EncodeToString(sum[:8])})
	}
	return out, nil
}

// place reads the number of a raw line and the hash that it gives for the line before.
func place(raw []byte) (seq int64, prev Head, err error) {
	rest, ok := bytes.CutPrefix(raw, []byte(beforeSeq))
	end := bytes.IndexByte(rest, ',')
	if !ok || end < 1 || end > 19 || rest[0] < '1' || rest[0] > '9' {
		return 0, Head{}, errNotALine
	}
	if seq, err = strconv.ParseInt(string(rest[:end]), 10, 64); err != nil {
		return 0, Head{}, errNotALine
	}
	rest, ok = bytes.CutPrefix(rest[end:], []byte(beforePrev))
	const digits = 2 * sha256.Size
	if !ok || len(rest) < digits || !bytes.HasPrefix(rest[digits:], []byte(afterPrev)) || !prev.setHash(rest[:digits]) {
		return 0, Head{}, errNotALine
	}
	prev.Seq = seq - 1
	return seq, prev, nil
}

// idOf reads the id of a raw line's event, which follows the hash; empty where there is none.
func idOf(raw []byte) string { return string(textAfter(raw, `","id":"`)) }

// kindOf reads the kind of a raw line's event; empty where there is none.
func kindOf(raw []byte) []byte { return textAfter(raw, `,"kind":"`) }

// textAfter reads the text behind a key of a raw line. The key can be part of no text: quotation marks within texts have a
// backslash before them.
func textAfter(raw []byte, key string) []byte {
	_, rest, _ := bytes.Cut(raw, []byte(key))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	return text
}

// encode writes events as the lines that follow a head, each with its newline, and gives the new head.
func encode(from Head, events []Event) (lines []byte, to Head, err error) {
	to = from
	for _, e := range events {
		e.At = e.At.UTC()
		raw, err := json.Marshal(Line{Seq: to.Seq + 1, Prev: hex.EncodeToString(to.Hash[:]), Event: e})
		if err != nil {
			return nil, from, fmt.Errorf("write event %s: %w", e.ID, err)
		}
		if len(raw) >= maxLine {
			return nil, from, fmt.Errorf("write event %s: %w", e.ID, errTooLong)
		}
		to = after(to.Seq+1, raw)
		lines = append(append(lines, raw...), '\n')
	}
	return lines, to, nil
}

// decode reads the event of a raw line.
func decode(raw []byte) (Line, error) {
	var l Line
	if err := json.Unmarshal(raw, &l); err != nil {
		return Line{}, fmt.Errorf("%w: %w", errNotALine, err)
	}
	return l, nil
}
