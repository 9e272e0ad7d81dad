package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// keptAttempts is how long an attempt to append is known, longer than a client repeats it.
const keptAttempts = 10 * time.Minute

// mostForged is how much of an event that is not ours is kept, in bytes.
const mostForged = 2000

// Append records an event that belongs to no arrow.
func (s *Store) Append(ctx context.Context, e audit.Event) error {
	doc, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("redis: encode an event: %w", err)
	}
	base := s.keys.of(string(e.Request))
	err = s.done(ctx, call{script: "append", keys: []string{base + "events", base + "try:" + rand.Text()},
		args: []any{s.markDoc(markEvent, doc), millis(keptAttempts)}})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// entry is an event and where it lies.
type entry struct {
	event audit.Event
	at    eventID
}

// eventID is an event's place: the stream of a shard, and the millisecond and number that Redis gave it there.
type eventID struct {
	ms, seq uint64
	shard   int
}

// String writes the id so that ids of one request rise also as text.
func (id eventID) String() string { return fmt.Sprintf("%013d-%06d.%d", id.ms, id.seq, id.shard) }

// inStream is the id as the stream knows it.
func (id eventID) inStream() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func parseEventID(text string) (eventID, error) {
	place, shard, ok := strings.Cut(text, ".")
	ms, seq, ok2 := strings.Cut(place, "-")
	if !ok || !ok2 {
		return eventID{}, fmt.Errorf("not the id of an event: %q", text)
	}
	m, err1 := strconv.ParseUint(ms, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	sh, err3 := strconv.Atoi(shard)
	if err := errors.Join(err1, err2, err3); err != nil {
		return eventID{}, fmt.Errorf("not the id of an event: %q: %w", text, err)
	}
	return eventID{ms: m, seq: n, shard: sh}, nil
}

// Undrained gives the oldest events of all shards.
func (s *Store) Undrained(ctx context.Context, limit int) ([]audit.Event, error) {
	pipe := s.client.Pipeline()
	reads := make([]*goredis.XMessageSliceCmd, s.keys.shards)
	each := min(limit, 4*limit/s.keys.shards+8) // shards have about as many; what a full one keeps comes next time
	for i := range reads {
		reads[i] = pipe.XRangeN(ctx, s.keys.base(i)+"events", "-", "+", int64(each))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redis: events: %w", err)
	}
	var entries []entry
	for shard, read := range reads {
		for _, m := range read.Val() {
			e, err := s.readEvent(m, shard)
			if err != nil {
				return nil, fmt.Errorf("redis: event %s of shard %d: %w", m.ID, shard, err)
			}
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at.ms, b.at.ms), cmp.Compare(a.at.seq, b.at.seq), cmp.Compare(a.at.shard, b.at.shard))
	})
	entries = entries[:min(limit, len(entries))]
	events := make([]audit.Event, len(entries))
	for i, e := range entries {
		events[i] = e.event
	}
	return events, nil
}

func (s *Store) readEvent(m goredis.XMessage, shard int) (entry, error) {
	at, err := parseEventID(m.ID + "." + strconv.Itoa(shard))
	if err != nil {
		return entry{}, err
	}
	stored, ok := m.Values["e"].(string)
	if !ok && s.cfg.Marks == nil {
		return entry{}, errors.New("no document")
	}
	e := entry{at: at}
	doc, err := s.readDoc(markEvent, stored)
	if err != nil {
		e.event = forgedEvent(at, fmt.Sprint(m.Values))
	} else if err := json.Unmarshal(doc, &e.event); err != nil {
		return entry{}, err
	}
	e.event.ID = at.String()
	return e, nil
}

// forgedEvent stands in the log for an event that somebody else put into the stream.
func forgedEvent(at eventID, text string) audit.Event {
	return audit.Event{At: time.UnixMilli(int64(at.ms)).UTC(), Kind: audit.Forged, Actor: access.BySystem(),
		Reason: "somebody else wrote an event into the store; it is kept here as text and counts for nothing",
		Detail: map[string]string{"text": strings.ToValidUTF8(text[:min(len(text), mostForged)], "")}}
}

// Drained forgets events; one that is forgotten already is no error.
func (s *Store) Drained(ctx context.Context, ids []string) error {
	byShard := map[int][]any{}
	for _, text := range ids {
		id, err := parseEventID(text)
		if err != nil || id.shard < 0 || id.shard >= s.keys.shards {
			return fmt.Errorf("redis: %w", errors.Join(err, fmt.Errorf("no shard of %q", text)))
		}
		byShard[id.shard] = append(byShard[id.shard], id.inStream())
	}
	var calls []call
	for shard, inStream := range byShard {
		for batch := range slices.Chunk(inStream, largestBatch) {
			calls = append(calls, call{script: "forget", keys: []string{s.keys.base(shard) + "events"}, args: batch})
		}
	}
	if len(calls) == 0 {
		return nil
	}
	if _, err := s.runAll(ctx, s.client, calls); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}
