package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// AlarmStore is what an Alarm needs of the store.
type AlarmStore interface {
	Enqueuer
	// Overdue gives the records whose ending is overdue, the longest overdue first.
	Overdue(ctx context.Context) ([]*access.Record, error)
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	Recall(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// AlarmConfig is what an Alarm is made of.
type AlarmConfig struct {
	Store      AlarmStore // required
	Chats      []string   // that tell people
	Connectors []string   // whose alarms may still be on from before the start
	// After is when an ending counts as overdue, and with it the first distance between two steps. Zero: one minute.
	After time.Duration
	// Poll is the sleep between looks at what is overdue. Zero: five seconds.
	Poll   time.Duration
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// Alarm tells administrators and channels what is overdue at a connector, all of it in one message, in steps of growing
// distance, and when it is over. Any number of them may run on one store: it takes each step once.
type Alarm struct {
	cfg AlarmConfig
	log *slog.Logger
	// on has the connectors whose alarm is on, with the beginning of each. What was on before the start is not known
	// until asked for.
	on    map[string]time.Time
	asked bool
}

// NewAlarm checks the configuration and makes an Alarm.
func NewAlarm(cfg AlarmConfig) (*Alarm, error) {
	if cfg.Store == nil {
		return nil, errors.New("bot: an alarm needs a Store")
	}
	cfg.After = cmp.Or(cfg.After, time.Minute)
	cfg.Poll = cmp.Or(cfg.Poll, 5*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Alarm{cfg: cfg, log: cfg.Logger, on: map[string]time.Time{}}, nil
}

// Run looks at what is overdue until ctx ends.
func (a *Alarm) Run(ctx context.Context) error {
	for {
		if err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("people could not be told of what is overdue; it is tried again", "err", err)
		}
		if !pause(ctx, ctx, a.cfg.Poll) {
			return nil
		}
	}
}

// look raises the alarm of every connector at which something is overdue, and ends that of the others.
func (a *Alarm) look(ctx context.Context) error {
	if !a.asked {
		if err := a.recall(ctx); err != nil {
			return err
		}
		a.asked = true
	}
	late, err := a.cfg.Store.Overdue(ctx)
	if err != nil {
		return err
	}
	at := map[string][]*access.Record{}
	for _, r := range late {
		at[r.Role.Connector] = append(at[r.Role.Connector], r)
	}
	var errs []error
	for connector, records := range at {
		errs = append(errs, a.raise(ctx, connector, records))
	}
	for connector, since := range a.on {
		if at[connector] == nil {
			errs = append(errs, a.end(ctx, connector, since))
		}
	}
	return errors.Join(errs...)
}

// An alarm that is on is kept in the store by the time of its beginning, so that replicas and restarts agree on its steps.
const (
	alarmOff  = "-"
	alarmKept = 90 * 24 * time.Hour
)

func alarmKey(connector string) string { return "alarm/" + connector }

// recall finds the alarms that were on before the start.
func (a *Alarm) recall(ctx context.Context) error {
	for _, connector := range a.cfg.Connectors {
		kept, err := a.cfg.Store.Recall(ctx, alarmKey(connector))
		if err != nil {
			return err
		}
		if since, err := time.Parse(time.RFC3339Nano, string(kept)); err == nil {
			a.on[connector] = since
		}
	}
	return nil
}

// raise tells of the step that has come, where nobody has yet.
func (a *Alarm) raise(ctx context.Context, connector string, records []*access.Record) error {
	first := records[0].EndingAt.UTC()
	kept, _, err := a.cfg.Store.Once(ctx, alarmKey(connector), []byte(first.Format(time.RFC3339Nano)), alarmKept)
	if err != nil {
		return err
	}
	since, err := time.Parse(time.RFC3339Nano, string(kept))
	if err != nil {
		return nil // one has just ended; this is the next, a moment later
	}
	a.on[connector] = since
	step, next := a.step(since, a.cfg.Now())
	body := alarmBody{Connector: connector, Since: since, Next: next, Count: len(records), Policies: policies(records)}
	for _, r := range records[:min(len(records), maxAlarmLines)] {
		body.Worst = append(body.Worst, alarmLine{Request: r.ID, Person: r.Person, Role: r.Role.ID, Due: r.EndingAt})
		body.Error = cmp.Or(body.Error, r.LastError)
	}
	return a.tell(ctx, body, strconv.Itoa(step))
}

// end tells that nothing is overdue any more.
func (a *Alarm) end(ctx context.Context, connector string, since time.Time) error {
	if err := a.tell(ctx, alarmBody{Connector: connector, Since: since, Over: true}, "over"); err != nil {
		return err
	}
	if err := a.cfg.Store.Put(ctx, alarmKey(connector), []byte(alarmOff), time.Second); err != nil {
		return err
	}
	delete(a.on, connector)
	return nil
}

// step is the number of the step that has come at a time, and when the next one does: after, twice that, four times, and
// so on, and every hour in the end.
func (a *Alarm) step(since, now time.Time) (n int, next time.Time) {
	next = since.Add(a.cfg.After)
	for d := a.cfg.After; ; n++ {
		d = min(2*d, max(time.Hour, a.cfg.After))
		if next = next.Add(d); next.After(now) {
			return n, next
		}
	}
}

func (a *Alarm) tell(ctx context.Context, body alarmBody, key string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode an alarm: %w", err)
	}
	// A topic for each alarm, so that those who were told of it are those who are told that it is over.
	topic := fmt.Sprintf("overdue/%s/%d", body.Connector, body.Since.UnixMilli())
	fresh, err := a.cfg.Store.Enqueue(ctx, a.cfg.Chats, topic, key, workflows.Note{Kind: workflows.NoteAlarm, At: a.cfg.Now().UTC(), Body: text})
	if err != nil {
		return fmt.Errorf("queue the alarm for %s: %w", body.Connector, err)
	}
	if fresh {
		a.log.Warn("people are told of what is overdue", "connector", body.Connector, "overdue", body.Count, "since", body.Since, "over", body.Over)
	}
	return nil
}

// policies are those of the records, whose channels are told.
func policies(records []*access.Record) []string {
	var names []string
	for _, r := range records {
		names = append(names, r.Policy)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
