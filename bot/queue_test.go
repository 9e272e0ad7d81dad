package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// queue is an outbox and an inbox in memory that keep what storagetest asks of a store: leases, fences, order per topic.
type queue struct {
	mu         sync.Mutex
	records    map[access.RequestID]*access.Record
	topics     map[string]*topic // chat + " " + topic
	used       map[string]bool
	deliveries []*delivered
	// fail is the error of every call while it is set; failTold of Told and PutOff alone.
	fail, failTold error
	asked          int // how often errands or deliveries were claimed
}

type topic struct {
	chat, name string
	notes      []workflows.Note
	refs       map[string]string
	given      int
	due, until time.Time // until: end of the lease
	fence      int64
	tries      int
	lease      time.Duration
}

type delivered struct {
	workflows.Delivery
	until time.Time
}

func newQueue(records ...*access.Record) *queue {
	q := &queue{records: map[access.RequestID]*access.Record{}, topics: map[string]*topic{}, used: map[string]bool{}}
	for _, r := range records {
		q.records[r.ID] = r
	}
	return q
}

// put stores a record as an arrow does: with the note that tells of it.
func (q *queue) put(chat string, r *access.Record, kind workflows.NoteKind) {
	q.mu.Lock()
	q.records[r.ID] = r
	q.mu.Unlock()
	n := noteOf(kind, r)
	n.At = time.Now()
	if _, err := q.Enqueue(context.Background(), []string{chat}, string(r.ID), fmt.Sprint(kind, r.Version, time.Now()), n); err != nil {
		panic(err)
	}
}

func (q *queue) Get(_ context.Context, id access.RequestID) (*access.Record, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return nil, q.fail
	}
	r, ok := q.records[id]
	if !ok {
		return nil, fmt.Errorf("request %s: %w", id, access.ErrNotFound)
	}
	return r, nil
}

func (q *queue) Nudges(ctx context.Context) <-chan workflows.Lane {
	out := make(chan workflows.Lane)
	go func() { <-ctx.Done(); close(out) }()
	return out
}

func (q *queue) Enqueue(_ context.Context, chats []string, name, key string, n workflows.Note) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return false, q.fail
	}
	if q.used[name+" "+key] {
		return false, nil
	}
	q.used[name+" "+key] = true
	for _, chat := range chats {
		t := q.topics[chat+" "+name]
		if t == nil {
			t = &topic{chat: chat, name: name, refs: map[string]string{}}
			q.topics[chat+" "+name] = t
		}
		t.notes = append(t.notes, n)
	}
	return true, nil
}

func (q *queue) ClaimErrands(_ context.Context, chat string, limit int, lease time.Duration) ([]workflows.Errand, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	if q.fail != nil {
		return nil, time.Time{}, q.fail
	}
	var out []workflows.Errand
	var next time.Time
	now := time.Now()
	for _, k := range slices.Sorted(maps.Keys(q.topics)) {
		t := q.topics[k]
		if t.chat != chat || len(t.notes) == 0 {
			continue
		}
		if due := later(t.due, t.until); due.After(now) || len(out) == limit {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		t.fence++
		t.given, t.lease, t.until = len(t.notes), lease, now.Add(lease)
		out = append(out, workflows.Errand{Chat: chat, Topic: t.name, Notes: slices.Clone(t.notes), Refs: maps.Clone(t.refs), Fence: t.fence, Tries: t.tries})
	}
	return out, next, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// mine finds the topic of an errand that is still leased to it.
func (q *queue) mine(e workflows.Errand) (*topic, error) {
	if err := errors.Join(q.fail, q.failTold); err != nil {
		return nil, err
	}
	t := q.topics[e.Chat+" "+e.Topic]
	if t == nil || t.fence != e.Fence || t.given == 0 || !time.Now().Before(t.until) {
		return nil, workflows.ErrStale
	}
	return t, nil
}

func (q *queue) Told(_ context.Context, e workflows.Errand, refs map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, err := q.mine(e)
	if err != nil {
		return err
	}
	maps.Copy(t.refs, refs)
	t.notes, t.tries, t.until = t.notes[1:], 0, time.Now().Add(t.lease)
	if t.given--; t.given == 0 {
		t.until = time.Time{}
	}
	return nil
}

func (q *queue) PutOff(_ context.Context, e workflows.Errand, until time.Time, refs map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	t, err := q.mine(e)
	if err != nil {
		return err
	}
	maps.Copy(t.refs, refs)
	t.tries, t.given, t.due, t.until = t.tries+1, 0, until, time.Time{}
	return nil
}

// looks is how often the queue was looked at.
func (q *queue) looks() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked
}

// left is how many notes and deliveries wait.
func (q *queue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.deliveries)
	for _, t := range q.topics {
		n += len(t.notes)
	}
	return n
}

func (q *queue) Deliver(_ context.Context, d workflows.Delivery) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[d.Key] {
		return false, q.fail
	}
	q.used[d.Key] = true
	q.deliveries = append(q.deliveries, &delivered{Delivery: d})
	return true, q.fail
}

func (q *queue) ClaimDeliveries(_ context.Context, chat string, limit int, lease time.Duration) ([]workflows.Delivery, time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	if q.fail != nil {
		return nil, time.Time{}, q.fail
	}
	var out []workflows.Delivery
	var next time.Time
	for _, d := range q.deliveries {
		if d.Chat != chat {
			continue
		}
		if d.until.After(time.Now()) || len(out) == limit {
			if next.IsZero() || d.until.Before(next) {
				next = d.until
			}
			continue
		}
		d.Fence++
		d.Tries = int(d.Fence) - 1
		d.until = time.Now().Add(lease)
		out = append(out, d.Delivery)
	}
	return out, next, nil
}

func (q *queue) Worked(_ context.Context, d workflows.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(q.fail, q.failTold); err != nil {
		return err
	}
	q.deliveries = slices.DeleteFunc(q.deliveries, func(have *delivered) bool { return have.Key == d.Key })
	return nil
}
