package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// CourierStore is what a Courier needs of the store.
type CourierStore interface {
	workflows.Outbox
	Get(ctx context.Context, id access.RequestID) (*access.Record, error)
	Nudges(ctx context.Context) <-chan workflows.Lane
}

// CourierConfig is what a Courier is made of.
type CourierConfig struct {
	Bot   *Bot         // required
	Store CourierStore // required
	Chat  Chat         // required
	// Workers is how many topics are told of at the same time. Zero: 4.
	Workers int
	// Poll is the longest sleep between looks at the queue. Zero: one second.
	Poll time.Duration
	// Send is the longest that one message may take. Zero: 15 seconds. A crash delays a message by this and leaseMargin.
	Send   time.Duration
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// leaseMargin is how much longer a claim lasts than a send, for the store to be told of it.
const leaseMargin = 15 * time.Second

// Courier tells one chat what happened: it claims the notes of a topic, sends what they ask for one message after the
// other, and writes down the reference of each before the next, so that no crash sends a message twice. The one
// exception is a crash between the chat's answer and that write: chats have no key by which they would know the second
// one, and telling twice is better than not at all. Any number of couriers may serve one chat.
type Courier struct {
	cfg  CourierConfig
	log  *slog.Logger
	pump *pump
}

// NewCourier checks the configuration and makes a Courier.
func NewCourier(cfg CourierConfig) (*Courier, error) {
	if cfg.Bot == nil || cfg.Store == nil || cfg.Chat == nil {
		return nil, errors.New("bot: a courier needs Bot, Store and Chat")
	}
	cfg.Workers = cmp.Or(cfg.Workers, 4)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	cfg.Send = cmp.Or(cfg.Send, 15*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	log := cfg.Logger.With("chat", cfg.Chat.Name())
	return &Courier{cfg: cfg, log: log, pump: newPump(cfg.Workers, cfg.Poll, cfg.Now, log)}, nil
}

// Nudge makes the courier look at the queue now.
func (c *Courier) Nudge() { c.pump.nudge() }

// Run tells notes until ctx ends, and returns after its goroutines have. A message that is on its way then is waited
// for.
func (c *Courier) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		for lane := range c.cfg.Store.Nudges(ctx) {
			if lane == workflows.AnyLane || lane == workflows.Lane("out:"+c.cfg.Chat.Name()) {
				c.pump.nudge()
			}
		}
	})
	c.pump.run(ctx, func(ctx context.Context, limit int) ([]func(), time.Time, error) {
		errands, next, err := c.cfg.Store.ClaimErrands(ctx, c.cfg.Chat.Name(), limit, c.cfg.Send+leaseMargin)
		jobs := make([]func(), len(errands))
		for i, e := range errands {
			jobs[i] = func() { c.run(ctx, e) }
		}
		return jobs, next, err
	})
	return nil
}

// run tells the notes of an errand until they are told, one has to wait, or stop ends.
func (c *Courier) run(stop context.Context, e workflows.Errand) {
	ctx := context.WithoutCancel(stop)
	for len(e.Notes) > 0 {
		if stop.Err() != nil {
			c.putOff(ctx, e, 0, nil)
			return
		}
		if !c.step(ctx, &e) {
			return
		}
	}
}

// step sends at most one message of the errand's first note; it tells whether the errand is still ours.
func (c *Courier) step(ctx context.Context, e *workflows.Errand) bool {
	messages, err := c.plan(ctx, *e)
	if err != nil {
		c.log.Error("a note could not be made into messages; it is tried again", "topic", e.Topic, "kind", e.Notes[0].Kind, "err", err)
		c.putOff(ctx, *e, backoff(e.Tries), nil)
		return false
	}
	var todo []Message
	for _, m := range messages {
		if !settled(m, e.Refs) {
			todo = append(todo, m)
		}
	}
	if len(todo) == 0 {
		return c.told(ctx, e, nil)
	}
	refs, err := c.send(ctx, e.Topic, todo[0], e.Refs)
	if err != nil {
		// Putting off after each message sent is no failure.
		wait := c.wait(err, e.Tries-(len(messages)-len(todo)))
		c.log.Warn("a message could not be sent; it is tried again", "topic", e.Topic, "message", todo[0].Name, "attempt", e.Tries+1, "wait", wait, "err", err)
		c.putOff(ctx, *e, wait, nil)
		return false
	}
	if len(todo) == 1 && !passedOver(refs[todo[0].Name]) {
		return c.told(ctx, e, refs)
	}
	// There is more to send, or something to send instead of what the chat refused.
	c.putOff(ctx, *e, 0, refs)
	return false
}

// plan lists the messages of the errand's first note.
func (c *Courier) plan(ctx context.Context, e workflows.Errand) ([]Message, error) {
	n := e.Notes[0]
	if n.Kind == workflows.NoteDigest {
		return c.cfg.Bot.planDigest(ctx, n)
	}
	if n.Kind == workflows.NoteAlarm {
		return c.cfg.Bot.planAlarm(ctx, c.cfg.Chat.Name(), n, e.Refs)
	}
	if n.Kind == workflows.NoteFactor {
		return c.cfg.Bot.planFactor(ctx, c.cfg.Chat.Name(), n)
	}
	if n.Kind == workflows.NoteLink {
		return c.cfg.Bot.planLink(ctx, c.cfg.Chat.Name(), n)
	}
	r, err := c.cfg.Store.Get(ctx, access.RequestID(e.Topic))
	if notFound(err) {
		c.log.Error("there is no record of a request that a note speaks of; the note is dropped", "request_id", e.Topic, "kind", n.Kind)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load request %s: %w", e.Topic, err)
	}
	return c.cfg.Bot.Plan(ctx, c.cfg.Chat.Name(), n, r, e.Refs)
}

// settled tells whether nothing is left to send of a message.
func settled(m Message, refs map[string]string) bool {
	ref := refs[m.Name]
	if ref == "" || passedOver(ref) || !m.Update {
		return ref != ""
	}
	shown, err := strconv.ParseInt(refs[versionOf(m.Name)], 10, 64)
	return err == nil && shown >= m.Version
}

// send posts or updates one message, and gives the refs to remember. An error means that it is to be tried again.
func (c *Courier) send(ctx context.Context, topic string, m Message, refs map[string]string) (map[string]string, error) {
	if m.To.Person != "" {
		_, err := c.cfg.Bot.cfg.Directory.AccountOf(ctx, m.To.Person, c.cfg.Chat.Name())
		if notFound(err) {
			c.log.Debug("somebody without an account here is not told", "topic", topic, "message", m.Name, "person", m.To.Person)
			return map[string]string{m.Name: unsent}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("find the account of %s: %w", m.To.Person, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Send)
	defer cancel()
	ref, err := refs[m.Name], error(nil)
	if ref == "" {
		ref, err = c.cfg.Chat.Post(ctx, m.To, m.Card)
	} else {
		err = c.cfg.Chat.Update(ctx, ref, m.Card)
	}
	var refusal *ChatError
	switch {
	case errors.As(err, &refusal) && refusal.Final:
		c.log.Error("the chat refuses a message for good; it is passed over", "topic", topic, "message", m.Name, "channel", m.To.Channel, "person", m.To.Person, "err", err)
		ref = cmp.Or(refs[m.Name], refused)
	case err != nil:
		return nil, err
	case ref == "":
		return nil, errors.New("the chat gave no reference to what it took")
	}
	sent := map[string]string{m.Name: ref}
	if m.Update {
		sent[versionOf(m.Name)] = strconv.FormatInt(m.Version, 10)
	}
	return sent, nil
}

// wait is how long to wait after a failure that follows n others.
func (c *Courier) wait(err error, n int) time.Duration {
	var refusal *ChatError
	if errors.As(err, &refusal) && refusal.RetryAfter > 0 {
		return jittered(refusal.RetryAfter)
	}
	return backoff(n)
}

// told takes the errand's first note off; false where the errand is no longer ours.
func (c *Courier) told(ctx context.Context, e *workflows.Errand, refs map[string]string) bool {
	ctx, cancel := context.WithTimeout(ctx, leaseMargin/2)
	defer cancel()
	if err := c.cfg.Store.Told(ctx, *e, refs); err != nil {
		c.lost(e.Topic, refs, err)
		return false
	}
	maps.Copy(e.Refs, refs)
	e.Notes, e.Tries = e.Notes[1:], 0
	return true
}

// putOff gives the errand back, to be tried again after a while.
func (c *Courier) putOff(ctx context.Context, e workflows.Errand, wait time.Duration, refs map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, leaseMargin/2)
	defer cancel()
	// A millisecond less: stores round up, and what is due at once should be.
	if err := c.cfg.Store.PutOff(ctx, e, c.cfg.Now().Add(wait-time.Millisecond), refs); err != nil {
		c.lost(e.Topic, refs, err)
	}
}

// lost tells the operators that a reference could not be written down.
func (c *Courier) lost(topic string, refs map[string]string, err error) {
	if len(refs) == 0 {
		c.log.Warn("an errand could not be given back; it comes due when its lease ends", "topic", topic, "err", err)
		return
	}
	c.log.Error("what was sent could not be written down; it may be sent once more", "topic", topic, "refs", refs, "err", err)
}
