package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// ward is a store as an alarm sees it: what is overdue, what is remembered, and the notes that were taken.
type ward struct {
	mu    sync.Mutex
	late  []*access.Record
	fail  error
	kept  map[string]string
	ends  map[string]time.Time
	notes map[string]workflows.Note // by topic and key
	order []string
}

func newWard() *ward {
	return &ward{kept: map[string]string{}, ends: map[string]time.Time{}, notes: map[string]workflows.Note{}}
}

func (w *ward) Overdue(context.Context) ([]*access.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late, w.fail
}

func (w *ward) Once(_ context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.ends[key]; ok && time.Now().Before(at) {
		return []byte(w.kept[key]), false, nil
	}
	w.kept[key], w.ends[key] = string(value), time.Now().Add(ttl)
	return value, true, nil
}

func (w *ward) Recall(_ context.Context, key string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.ends[key]; ok && time.Now().Before(at) {
		return []byte(w.kept[key]), nil
	}
	return nil, nil
}

func (w *ward) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[key], w.ends[key] = string(value), time.Now().Add(ttl)
	return nil
}

func (w *ward) Enqueue(_ context.Context, _ []string, topic, key string, n workflows.Note) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := topic + " " + key
	if _, told := w.notes[name]; told {
		return false, nil
	}
	w.notes[name] = n
	w.order = append(w.order, fmt.Sprintf("%s %s", key, time.Since(w.began()).Truncate(time.Minute)))
	return true, nil
}

// began is when the bubble's clock began.
func (w *ward) began() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

func (w *ward) set(late ...*access.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = late
}

func (w *ward) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.order, ", ")
}

// run starts an alarm in a bubble, as a replica does.
func (w *ward) run(t *testing.T) (stop func()) {
	t.Helper()
	a, err := NewAlarm(AlarmConfig{Store: w, Chats: []string{"web"}, Connectors: []string{"pg-prod"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestAnAlarmIsToldInGrowingStepsOnceAndThenThatItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWard()
		stop, stopOther := w.run(t), w.run(t)
		time.Sleep(time.Minute)
		late := func(r *access.Record) { r.Overdue, r.EndingAt = true, w.began() }
		w.set(in(access.Deactivating, late))
		time.Sleep(20 * time.Minute)
		stop()
		stopOther()
		stop = w.run(t) // a restart changes nothing
		w.set(in(access.Deactivating, late), in(access.Deactivating, late))
		time.Sleep(4 * time.Hour)
		stop()
		w.set()
		stop = w.run(t) // what ended while nobody ran is told too
		time.Sleep(time.Minute)
		stop()
		want := "0 1m0s, 1 3m0s, 2 7m0s, 3 15m0s, 4 31m0s, 5 1h3m0s, 6 2h3m0s, 7 3h3m0s, 8 4h3m0s, over 4h21m0s"
		if got := w.told(); got != want {
			t.Errorf("told were\n%s\nwant\n%s", got, want)
		}
	})
}

func TestAnAlarmGoesOnWhereTheStoreWasAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWard()
		w.fail = errors.New("connection refused")
		stop := w.run(t)
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		w.set(in(access.Deactivating, func(r *access.Record) { r.Overdue, r.EndingAt = true, w.began() }))
		time.Sleep(30 * time.Second)
		stop()
		if got := w.told(); got != "0 1m0s" {
			t.Errorf("told were %s", got)
		}
	})
}

// alarmOf is the alarm of n grants as a bot with two administrators plans it.
func alarmOf(t *testing.T, n int, refs map[string]string, over bool) ([]Message, workflows.Note) {
	t.Helper()
	w := newWard()
	a, err := NewAlarm(AlarmConfig{Store: w, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	var late []*access.Record
	for i := range n {
		late = append(late, in(access.Deactivating, func(r *access.Record) {
			r.ID, r.Overdue, r.LastError = access.RequestID(fmt.Sprintf("07kq4-m2x%02d", i)), true, "revoke role: unavailable: connection refused"
			r.EndingAt = noon.Add(time.Duration(i-2*n) * time.Minute)
		}))
	}
	if err := a.raise(t.Context(), "pg-prod", late); err != nil {
		t.Fatal(err)
	}
	if over {
		w.notes = map[string]workflows.Note{}
		if err := a.end(t.Context(), "pg-prod", late[0].EndingAt); err != nil {
			t.Fatal(err)
		}
	}
	d := newDesk()
	b := d.bot(t)
	b.cfg.Administrators = func(context.Context) ([]access.Person, error) {
		return []access.Person{{ID: "bob", Name: "Bob Stone"}, {ID: "nobody-here", Name: "Without Account"}, {ID: "carol", Name: "Carol Díaz"}}, nil
	}
	for _, note := range w.notes {
		messages, err := b.planAlarm(t.Context(), "web", note, refs)
		if err != nil {
			t.Fatal(err)
		}
		return messages, note
	}
	t.Fatal("there is no note")
	return nil, workflows.Note{}
}

// to lists whom messages are for.
func to(messages []Message) string {
	var out []string
	for _, m := range messages {
		out = append(out, string(m.To.Person)+m.To.Channel)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestAnAlarmReachesAdministratorsAndWhereManyAreOverdueTheChannel(t *testing.T) {
	t.Parallel()
	one, _ := alarmOf(t, 1, nil, false)
	if got := to(one); got != "bob carol" {
		t.Errorf("of one are told %s", got)
	}
	many, _ := alarmOf(t, 312, nil, false)
	if got := to(many); got != "C-production bob carol" {
		t.Errorf("of many are told %s", got)
	}
	golden(t, "alarm_one", asText(one[0].Card))
	golden(t, "alarm_many", asText(many[len(many)-1].Card))
	refs := map[string]string{}
	for i, m := range many {
		refs[m.Name] = fmt.Sprint("m", i)
	}
	over, _ := alarmOf(t, 1, refs, true)
	if got := to(over); got != "C-production bob carol" {
		t.Errorf("that it is over is told to %s", got)
	}
	golden(t, "alarm_over", asText(over[0].Card))
}

// Each request's message stays true; nobody is told of hundreds one by one.
func TestOfACrowdOverdueTheRequestsMessagesAloneAreUpdated(t *testing.T) {
	t.Parallel()
	r := in(access.Deactivating, func(r *access.Record) { r.Overdue = true })
	note := workflows.Note{Kind: workflows.NoteOverdue, At: noon, Version: 4}
	for n, want := range map[int]string{0: "request thread-overdue told-overdue", few: "request thread-overdue told-overdue", few + 1: "request"} {
		b := newDesk().bot(t)
		b.cfg.Overdue = func(context.Context) ([]*access.Record, error) { return slices.Repeat([]*access.Record{r}, n), nil }
		var got []string
		for _, m := range messagesOf(t, b, note, r, map[string]string{refRequest: "m1"}) {
			got = append(got, m.Card.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("with %d overdue the messages are %v, want %s", n, got, want)
		}
	}
}
