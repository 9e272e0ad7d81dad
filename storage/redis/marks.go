package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Marks vouch for what the store holds: whoever can write to the server, and has no key, can make none.
type Marks interface {
	// Mark gives the mark of a text of some kind: letters, digits and : . _ - alone.
	Mark(kind string, text []byte) string
	// Vouches tells whether a mark is that of the text.
	Vouches(kind, mark string, text []byte) bool
}

const (
	// longestLease bounds the leases that anybody takes.
	longestLease = 2 * time.Minute
	// keptForged is how long a record that is not ours is kept aside.
	keptForged = 90 * 24 * time.Hour
)

// The kinds of text that are marked. What lies under a name of its own is marked together with it.
const (
	markRecord   = "record"
	markEvent    = "event"
	markDelivery = "delivery"
	markMemory   = "memory"
	markOffer    = "offer"
	markLink     = "link"
	markToken    = "token"
	markFactor   = "factor"
)

// A document carries its mark in front, {"mark":"…", and then what it is without; scripts read it as any other.
var (
	markBegin = []byte(`{"mark":"`)
	markEnd   = []byte(`",`)
)

// markDoc puts the mark in front of a JSON object.
func (s *Store) markDoc(kind string, doc []byte) []byte {
	if s.cfg.Marks == nil {
		return doc
	}
	mark := s.cfg.Marks.Mark(kind, doc)
	out := make([]byte, 0, len(markBegin)+len(mark)+len(markEnd)+len(doc))
	out = append(append(append(out, markBegin...), mark...), markEnd...)
	return append(out, doc[1:]...)
}

// readDoc gives a document without its mark; ErrForged (wrapped) where that does not vouch for it.
func (s *Store) readDoc(kind, stored string) ([]byte, error) {
	doc, mark := []byte(stored), ""
	if rest, ok := bytes.CutPrefix(doc, markBegin); ok {
		if m, tail, ok := bytes.Cut(rest, markEnd); ok {
			mark, doc = string(m), append([]byte("{"), tail...)
		}
	}
	return doc, s.believe(kind, mark, doc)
}

// believe tells why a text is not to be believed, or nil.
func (s *Store) believe(kind, mark string, text []byte) error {
	switch {
	case s.cfg.Marks == nil, mark == "" && s.cfg.Unmarked:
		return nil
	case s.cfg.Marks.Vouches(kind, mark, text):
		return nil
	}
	return fmt.Errorf("redis: a %s: %w", kind, workflows.ErrForged)
}

// markBytes puts the mark in front of bytes that lie under a name, with a blank behind it.
func (s *Store) markBytes(kind, name string, text []byte) []byte {
	if s.cfg.Marks == nil {
		return text
	}
	return append([]byte("mark:"+s.cfg.Marks.Mark(named(kind, name), text)+" "), text...)
}

// readBytes gives bytes without their mark; ErrForged (wrapped) where that does not vouch for them under the name.
func (s *Store) readBytes(kind, name, stored string) ([]byte, error) {
	text, mark := stored, ""
	if rest, ok := strings.CutPrefix(stored, "mark:"); ok {
		if m, tail, ok := strings.Cut(rest, " "); ok {
			mark, text = m, tail
		}
	}
	return []byte(text), s.believe(named(kind, name), mark, []byte(text))
}

func named(kind, name string) string { return kind + " " + name }

// decode reads a record. One that is not ours is told of.
func (s *Store) decode(id access.RequestID, stored string) (*access.Record, error) {
	r, err := s.parse(id, stored)
	if errors.Is(err, workflows.ErrForged) && !old(stored) {
		s.cfg.Forged(id)
	}
	return r, err
}

// old tells whether a document has no mark and says that it is over, as those of before there were keys. If it was live,
// whoever knows that misses it.
func old(stored string) bool {
	var r access.Record
	return !strings.HasPrefix(stored, string(markBegin)) && json.Unmarshal([]byte(stored), &r) == nil && r.State.Terminal()
}

// parse reads the record that lies under an id; ErrForged (wrapped) where it is not ours.
func (s *Store) parse(id access.RequestID, stored string) (*access.Record, error) {
	doc, err := s.readDoc(markRecord, stored)
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", id, err)
	}
	var r access.Record
	if err := json.Unmarshal(doc, &r); err != nil {
		return nil, fmt.Errorf("redis: the document of %s cannot be read: %w", id, err)
	}
	if r.Schema > access.Schema {
		return nil, fmt.Errorf("redis: request %s was written by a newer version (form %d, known up to %d)", r.ID, r.Schema, access.Schema)
	}
	if r.ID != id {
		return nil, fmt.Errorf("redis: the record of %s in the place of %s: %w", r.ID, id, workflows.ErrForged)
	}
	return &r, nil
}

// Disown removes a record that is not ours, and keeps it aside for whoever looks into it: false where what is stored is
// ours, or nothing.
func (s *Store) Disown(ctx context.Context, id access.RequestID) (bool, error) {
	doc, err := s.stored(ctx, id)
	if err != nil || doc == "" {
		return false, err
	}
	if _, err := s.parse(id, doc); !errors.Is(err, workflows.ErrForged) {
		return false, err
	}
	base := s.keys.of(string(id))
	return s.either(ctx, call{script: "disown", keys: []string{s.keys.record(id), base + "forged:" + string(id), base + "all", base + "open", base + "overdue"},
		args: []any{string(id), doc, millis(keptForged)}}, "moved")
}

// Mend puts a record's timers and what scripts know of it back to what the record itself says, where they are something
// else: a timer is not in its lane, or later there than a lease explains, or somebody holds its right for longer than
// anybody may. It tells whether anything was. A record that has moved on meanwhile is left alone.
func (s *Store) Mend(ctx context.Context, r *access.Record) (bool, error) {
	base, ends := s.keys.of(string(r.ID)), int64(0)
	if !r.EndsAt.IsZero() {
		ends = late(r.EndsAt)
	}
	ask := call{script: "mend", keys: []string{s.keys.record(r.ID), base + "claims", base + "all", base + "open", base + "right:" + r.Right()},
		args: []any{base, s.keys.nudges(), s.clocks.caller(), millis(longestLease), string(r.ID), string(r.State), r.Version, ends,
			r.Right(), r.Role.Connector, string(r.Person), string(r.Requester), string(r.Role.ID), timers(r), early(r.SubmittedAt), flag(r.State.MayHold())}}
	word, err := s.word(ctx, ask)
	switch {
	case err != nil:
		return false, fmt.Errorf("redis: %w", err)
	case word == "mended", word == "whole", word == "moved":
		return word == "mended", nil
	}
	return false, fmt.Errorf("redis: %w", unknown(ask, word))
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}
