package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"elevate/bot"
	"elevate/workflows"
)

// clickPatience is how long what was acknowledged already waits for Slack's word on who did it.
const clickPatience = 5 * time.Second

// clicked is a click as it is recorded before it is acknowledged.
type clicked struct {
	Click bot.Click `json:"click"`
	Place place     `json:"place"`
}

// record puts a click into the inbox. What cannot be recorded was not done, and the person is told.
func (s *Slack) record(ctx context.Context, c clicked, key string) {
	body, err := json.Marshal(c)
	if err == nil {
		_, err = s.cfg.Store.Deliver(ctx, workflows.Delivery{Key: key, Chat: Name, Payload: body})
	}
	if err == nil {
		s.worker.Nudge()
		return
	}
	s.log.Error("a click could not be recorded", "action", string(c.Click.Action),
		"request_id", string(c.Click.Request), "account", c.Place.User, "err", err)
	says := bot.SaysStore
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		says = saysUnsure // the store may have it all the same
	}
	s.afterwards(func(ctx context.Context) error { return s.tell(ctx, c.Place, says) })
}

// handleClick works off a recorded click. An error means that it is to be tried again.
func (s *Slack) handleClick(ctx context.Context, payload []byte) error {
	var c clicked
	if err := json.Unmarshal(payload, &c); err != nil {
		s.log.Error("a recorded click is unreadable", "err", err)
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on the click counts. What is left is its answer, which is not worth another click.
	if err := s.click(ctx, c); err != nil {
		s.log.Warn("the answer to a click did not reach the person", "action", string(c.Click.Action),
			"request_id", string(c.Click.Request), "account", c.Place.User, "err", err)
	}
	if c.Place.View != "" {
		s.publish(c.Place.User)
	}
	return nil
}

// click does what a button says, and shows the person what came of it.
func (s *Slack) click(ctx context.Context, c clicked) error {
	if says := s.refusalLater(ctx, c.Place.User); says != "" {
		return s.tell(ctx, c.Place, says)
	}
	return s.show(ctx, c.Place, s.cfg.Bot.Click(ctx, who(c.Place.User), c.Click))
}

// refusalLater is refusal for what was acknowledged already.
func (s *Slack) refusalLater(ctx context.Context, user string) string {
	ctx, cancel := context.WithTimeout(ctx, clickPatience)
	defer cancel()
	return s.refusal(ctx, user)
}

// afterwards runs what is done after the acknowledgement; false where there is no room for it.
func (s *Slack) afterwards(f func(ctx context.Context) error) (started bool) {
	started = s.tasks.After(func(ctx context.Context) {
		if err := f(ctx); err != nil {
			s.log.Warn("something was not shown to a person", "err", err)
		}
	})
	if !started {
		s.log.Warn("something was not shown to a person", "err", errors.New("too much is under way, or Elevate is stopping"))
	}
	return started
}

// publish brings somebody's Home page up to date.
func (s *Slack) publish(user string) {
	s.afterwards(func(ctx context.Context) error {
		if says := s.refusal(ctx, user); says != "" {
			return s.publishView(ctx, user, s.render.home(ctx, sentence(says)))
		}
		return s.publishView(ctx, user, s.render.home(ctx, s.cfg.Bot.Home(ctx, who(user))))
	})
}
