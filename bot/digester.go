package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"elevate/workflows"
)

// DigestSource sums up a span of time; *workflows.Service does.
type DigestSource interface {
	Digest(ctx context.Context, from, to time.Time) (*workflows.Digest, error)
}

// Enqueuer takes notes for chats; a store does.
type Enqueuer interface {
	Enqueue(ctx context.Context, chats []string, topic, key string, n workflows.Note) (bool, error)
}

// DigestConfig is what a Digester is made of.
type DigestConfig struct {
	At       string            // local time of day, such as 09:00; required
	Location *time.Location    // whose local time; nil: UTC
	Channels map[string]string // chat → channel that gets it
	Service  DigestSource      // required
	Store    Enqueuer          // required
	// Poll is the longest sleep, so that a clock that is set is noticed. Zero: 30 seconds.
	Poll   time.Duration
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// catchUp is how long after its hour a digest is still sent, where nobody was running then.
const catchUp = 6 * time.Hour

// Digester puts the daily digest into the outbox: once a day and channel, however many of them run and however often
// they start, because a store takes a note once per topic.
type Digester struct {
	cfg          DigestConfig
	log          *slog.Logger
	hour, minute int
}

// NewDigester checks the configuration and makes a Digester.
func NewDigester(cfg DigestConfig) (*Digester, error) {
	if cfg.Service == nil || cfg.Store == nil {
		return nil, errors.New("bot: a digester needs Service and Store")
	}
	at, err := time.Parse("15:04", cfg.At)
	if err != nil {
		return nil, fmt.Errorf("digest.at: %q is no time of day; write it like 09:00", cfg.At)
	}
	if cfg.Location == nil {
		cfg.Location = time.UTC
	}
	cfg.Poll = cmp.Or(cfg.Poll, 30*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Digester{cfg: cfg, log: cfg.Logger, hour: at.Hour(), minute: at.Minute()}, nil
}

// Run sends the digest every day until ctx ends.
func (d *Digester) Run(ctx context.Context) error {
	var done time.Time // the last digest that needs no more work from us
	for {
		now := d.cfg.Now()
		if due := d.last(now); due.After(done) && now.Sub(due) < catchUp {
			err := d.send(ctx, d.before(due), due, due.Format(time.DateOnly))
			switch {
			case err == nil:
				done = due
			case ctx.Err() == nil:
				d.log.Error("the digest could not be made; it is tried again", "due", due, "err", err)
			}
		}
		if !pause(ctx, ctx, min(d.cfg.Poll, max(d.next(now).Sub(now), time.Millisecond))) {
			return nil
		}
	}
}

// Now sends a digest of the day up to now, beside the daily one.
func (d *Digester) Now(ctx context.Context) error {
	now := d.cfg.Now()
	return d.send(ctx, now.AddDate(0, 0, -1), now, "now/"+now.UTC().Format(time.RFC3339Nano))
}

// on is the digest's hour on a day. Where the clocks skip it, Go gives the hour after.
func (d *Digester) on(day time.Time, days int) time.Time {
	y, m, dd := day.In(d.cfg.Location).Date()
	return time.Date(y, m, dd+days, d.hour, d.minute, 0, 0, d.cfg.Location)
}

// last is the latest hour of a digest that is not after now.
func (d *Digester) last(now time.Time) time.Time {
	if today := d.on(now, 0); !today.After(now) {
		return today
	}
	return d.on(now, -1)
}

// next is the earliest one after now.
func (d *Digester) next(now time.Time) time.Time {
	if today := d.on(now, 0); today.After(now) {
		return today
	}
	return d.on(now, 1)
}

// before is the digest's hour the day before: days are not all 24 hours long.
func (d *Digester) before(due time.Time) time.Time { return d.on(due, -1) }

// send puts the digest of a span into the outbox of every channel, where it is not there already.
func (d *Digester) send(ctx context.Context, from, to time.Time, name string) error {
	var sum *workflows.Digest
	for _, chat := range slices.Sorted(maps.Keys(d.cfg.Channels)) {
		channel := d.cfg.Channels[chat]
		if sum == nil {
			var err error
			if sum, err = d.cfg.Service.Digest(ctx, from, to); err != nil {
				return fmt.Errorf("sum up: %w", err)
			}
		}
		body, err := json.Marshal(digestBody{Channel: channel, Digest: sum})
		if err != nil {
			return fmt.Errorf("encode the digest: %w", err)
		}
		topic := "digest/" + name + "/" + channel
		fresh, err := d.cfg.Store.Enqueue(ctx, []string{chat}, topic, chat, workflows.Note{Kind: workflows.NoteDigest, At: d.cfg.Now().UTC(), Body: body})
		if err != nil {
			return fmt.Errorf("queue the digest for %s: %w", chat, err)
		}
		if fresh {
			d.log.Info("the digest is on its way", "chat", chat, "channel", channel, "day", name)
		}
	}
	return nil
}
