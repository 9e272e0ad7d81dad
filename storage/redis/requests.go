package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Get loads a record.
func (s *Store) Get(ctx context.Context, id access.RequestID) (*access.Record, error) {
	doc, err := s.stored(ctx, id)
	if err != nil {
		return nil, err
	}
	if doc == "" {
		return nil, fmt.Errorf("redis: request %s: %w", id, access.ErrNotFound)
	}
	return s.decode(id, doc)
}

// stored gives a record as it is stored; "" where there is none.
func (s *Store) stored(ctx context.Context, id access.RequestID) (string, error) {
	doc, err := s.client.HGet(ctx, s.keys.record(id), "doc").Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("redis: get %s: %w", id, err)
	}
	return doc, nil
}

// Sharing gives the records that may hold a right. What a record says of its own right counts, and not who put it into the set.
func (s *Store) Sharing(ctx context.Context, right string) ([]*access.Record, error) {
	base := s.keys.of(right)
	reply, err := s.run(ctx, call{script: "sharing", keys: []string{base + "right:" + right}, args: []any{base}})
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	docs, err := texts(reply)
	if err != nil {
		return nil, fmt.Errorf("redis: sharing: %w", err)
	}
	var records []*access.Record
	for i := 0; i+1 < len(docs); i += 2 {
		r, err := s.decode(access.RequestID(docs[i]), docs[i+1])
		if errors.Is(err, workflows.ErrForged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Right() == right {
			records = append(records, r)
		}
	}
	return records, nil
}

const (
	defaultPage = 100
	largestPage = 1000
)

// List merges the pages of all shards, newest submission first; within a millisecond, by id from the end.
func (s *Store) List(ctx context.Context, q workflows.Query) ([]*access.Record, string, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, largestPage)
	from, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	l := s.listing(q, from, limit)
	var records []*access.Record
	for len(records) < limit {
		next, err := l.next(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("redis: list: %w", err)
		}
		if next == nil {
			return records, "", nil
		}
		from = next.place
		r, err := s.decode(access.RequestID(next.id), next.doc)
		if errors.Is(err, workflows.ErrForged) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if !r.SubmittedAt.Before(q.Since) {
			records = append(records, r)
		}
	}
	if more, err := l.peek(ctx); err != nil || more == nil {
		return records, "", err
	}
	return records, from.cursor(), nil
}

// place is where a record stands in the order of a list. The zero place is before the first.
type place struct {
	submitted string // Unix ms
	id        string
}

func (p place) cursor() string { return p.submitted + "_" + p.id }

func parseCursor(cursor string) (place, error) {
	if cursor == "" {
		return place{}, nil
	}
	submitted, id, ok := strings.Cut(cursor, "_")
	_, err := strconv.ParseInt(submitted, 10, 64)
	if !ok || err != nil {
		return place{}, fmt.Errorf("redis: cursor: %w", access.ErrInvalid)
	}
	return place{submitted: submitted, id: id}, nil
}

// row is a document and its place.
type row struct {
	place
	doc string
}

// before tells whether a row stands before another in the list.
func (r row) before(o row) bool {
	if r.submitted != o.submitted {
		a, _ := strconv.ParseInt(r.submitted, 10, 64)
		b, _ := strconv.ParseInt(o.submitted, 10, 64)
		return a > b
	}
	return r.id > o.id
}

// stream is what was read of one shard and not listed yet.
type stream struct {
	rows []row
	from place
	done bool
}

// listing reads the shards side by side, so many rows of each at a time.
type listing struct {
	store   *Store
	index   string // below a shard's base
	states  string
	role    string
	since   string
	size    int
	streams []stream
}

func (s *Store) listing(q workflows.Query, from place, limit int) *listing {
	l := &listing{store: s, index: "all", role: string(q.Role), since: "-inf", streams: make([]stream, s.keys.shards)}
	l.size = min(limit, 2*limit/s.keys.shards+8) + 1
	for i := range l.streams {
		l.streams[i].from = from
	}
	if !q.Since.IsZero() {
		l.since = strconv.FormatInt(early(q.Since), 10)
	}
	states := q.States
	if q.Open {
		if len(states) == 0 {
			states = access.States()
		}
		states = slices.DeleteFunc(slices.Clone(states), access.State.Terminal)
		l.index = "open"
		l.done(len(states) == 0)
	}
	if q.Person != "" {
		l.index = "p:" + string(q.Person)
	}
	for _, state := range states {
		l.states += "," + string(state)
	}
	if l.states != "" {
		l.states += ","
	}
	return l
}

// done ends all streams where nothing can pass.
func (l *listing) done(nothing bool) {
	for i := range l.streams {
		l.streams[i].done = nothing
	}
}

// peek gives the next row and leaves it; nil at the end.
func (l *listing) peek(ctx context.Context) (*row, error) {
	if err := l.fill(ctx); err != nil {
		return nil, err
	}
	if i := l.first(); i >= 0 {
		return &l.streams[i].rows[0], nil
	}
	return nil, nil
}

// next gives the next row; nil at the end.
func (l *listing) next(ctx context.Context) (*row, error) {
	found, err := l.peek(ctx)
	if found == nil || err != nil {
		return nil, err
	}
	taken := *found
	i := l.first()
	l.streams[i].rows = l.streams[i].rows[1:]
	return &taken, nil
}

func (l *listing) first() int {
	best := -1
	for i := range l.streams {
		if len(l.streams[i].rows) == 0 {
			continue
		}
		if best < 0 || l.streams[i].rows[0].before(l.streams[best].rows[0]) {
			best = i
		}
	}
	return best
}

// fill reads on in every shard that has nothing to offer and is not at its end.
func (l *listing) fill(ctx context.Context) error {
	for {
		var calls []call
		var shards []int
		for i := range l.streams {
			if st := &l.streams[i]; len(st.rows) == 0 && !st.done {
				base := l.store.keys.base(i)
				calls = append(calls, call{script: "page", keys: []string{base + l.index}, args: []any{
					base, st.from.submitted, st.from.id, l.since, l.size, l.role, l.states,
				}})
				shards = append(shards, i)
			}
		}
		if len(calls) == 0 {
			return nil
		}
		replies, err := l.store.runAll(ctx, l.store.client, calls)
		if err != nil {
			return err
		}
		for i, reply := range replies {
			if err := l.streams[shards[i]].read(reply); err != nil {
				return err
			}
		}
	}
}

func (st *stream) read(reply any) error {
	parts, err := list(reply)
	if err != nil || len(parts) < 3 {
		return errors.Join(err, errors.New("page: too short an answer"))
	}
	head, err := texts(parts[:3])
	if err != nil {
		return err
	}
	switch head[0] {
	case "done":
		st.done = true
	case "more":
	default:
		return fmt.Errorf("page: unknown answer %q", head[0])
	}
	st.from = place{submitted: head[1], id: head[2]}
	for _, part := range parts[3:] {
		f, err := texts(part)
		if err != nil || len(f) != 3 {
			return errors.Join(err, errors.New("page: not a row"))
		}
		st.rows = append(st.rows, row{place: place{submitted: f[0], id: f[1]}, doc: f[2]})
	}
	return nil
}

// atMillis reads a score.
func atMillis(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms > math.MaxInt64/int64(time.Millisecond) {
		return time.Time{}, fmt.Errorf("not a time: %q", text)
	}
	return time.UnixMilli(ms).UTC(), nil
}
