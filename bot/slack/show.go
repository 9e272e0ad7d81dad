package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/slack-go/slack"

	"elevate/bot"
)

// triggerFor is how long a trigger is worth trying. Slack lets it expire after 3 seconds.
const triggerFor = 2500 * time.Millisecond

// place is where a person acted: what it takes to answer there, for nobody else to see.
type place struct {
	User    string `json:"user"`
	Channel string `json:"channel,omitempty"`
	Message string `json:"message,omitempty"` // the ts of the message that was clicked
	// Ephemeral says that only the person saw that message. It may stand in a channel that the app is not in.
	Ephemeral   bool      `json:"ephemeral,omitempty"`
	View        string    `json:"view,omitempty"`
	ViewType    string    `json:"view_type,omitempty"` // modal or home
	Trigger     string    `json:"trigger,omitempty"`
	ResponseURL string    `json:"response_url,omitempty"`
	At          time.Time `json:"at"`
}

func (i interaction) place(now time.Time) place {
	p := place{
		User: i.User.ID, Channel: i.Container.Channel, Message: i.Container.Message, Ephemeral: i.Container.Ephemeral,
		View: i.View.ID, ViewType: i.View.Type, Trigger: i.Trigger, ResponseURL: i.ResponseURL, At: now,
	}
	if p.Channel == "" {
		p.Channel = i.Channel.ID
	}
	return p
}

// ref is the reference of the message that was clicked, as Post gave it; empty where only the person saw it.
func (p place) ref() string {
	if p.Ephemeral || p.Channel == "" || p.Message == "" {
		return ""
	}
	return p.Channel + ":" + p.Message
}

// show gives a person an answer.
func (s *Slack) show(ctx context.Context, at place, a bot.Answer) error {
	switch {
	case a.Form != nil:
		err := s.openView(ctx, at, s.render.form(ctx, *a.Form))
		if err != nil {
			return errors.Join(err, s.tell(ctx, at, saysNoForm))
		}
	case a.Card != nil:
		return s.showCard(ctx, at, *a.Card)
	}
	return nil
}

// tell gives a person one sentence.
func (s *Slack) tell(ctx context.Context, at place, says string) error {
	return s.showCard(ctx, at, sentence(s.render.plainly(says)))
}

// showCard tries the ways to show something to one person, the nearest to where they acted first.
func (s *Slack) showCard(ctx context.Context, at place, c bot.Card) error {
	inDialog := func() error { return s.openView(ctx, at, s.render.modal(ctx, c)) }
	beside := func() error { return s.postEphemeral(ctx, at, c) }
	byHook := func() error { return s.postHook(ctx, at.ResponseURL, s.whisper(ctx, c)) }
	byDM := func() error { return s.postDM(ctx, at.User, c) }
	var ways []func() error
	switch {
	case at.View != "":
		ways = append(ways, inDialog)
	case at.ref() != "":
		ways = append(ways, beside, byHook)
	default:
		ways = append(ways, byHook)
	}
	var errs []error
	for _, way := range append(ways, byDM) {
		err := way()
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Slack) postEphemeral(ctx context.Context, at place, c bot.Card) error {
	ts, err := s.api.PostEphemeralContext(ctx, at.Channel, at.User, s.message(ctx, c)...)
	if err == nil && ts == "" {
		err = errEmpty
	}
	s.health.called(err)
	if err != nil {
		return fmt.Errorf("chat.postEphemeral: %w", err)
	}
	return nil
}

func (s *Slack) postDM(ctx context.Context, user string, c bot.Card) error {
	channel, err := s.openDM(ctx, user)
	if err == nil {
		_, err = s.postMessage(ctx, channel, s.message(ctx, c)...)
	}
	return err
}

// errTrigger says that it is too late to open a dialog.
var errTrigger = errors.New("the trigger has expired")

// openView opens a dialog, or changes the one that the person is in.
func (s *Slack) openView(ctx context.Context, at place, v slack.ModalViewRequest) error {
	if at.ViewType == "modal" {
		return s.updateView(ctx, at.View, "", v)
	}
	if at.Trigger == "" || s.now().Sub(at.At) > triggerFor {
		return fmt.Errorf("views.open: %w", errTrigger)
	}
	answer, err := s.api.OpenViewContext(ctx, at.Trigger, v)
	return s.viewed("views.open", answer, err)
}

func (s *Slack) updateView(ctx context.Context, id, hash string, v slack.ModalViewRequest) error {
	answer, err := s.api.UpdateViewContext(ctx, v, "", hash, id)
	return s.viewed("views.update", answer, err)
}

func (s *Slack) publishView(ctx context.Context, user string, v slack.HomeTabViewRequest) error {
	answer, err := s.api.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: v})
	return s.viewed("views.publish", answer, err)
}

func (s *Slack) viewed(op string, answer *slack.ViewResponse, err error) error {
	if err == nil && answer.ID == "" {
		err = errEmpty
	}
	s.health.called(err)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// hooks knows which response URLs may be posted to.
type hooks struct{ api *url.URL }

var errHook = errors.New("not an address of Slack's for responses")

// allow refuses every address but those of the host that api_url names, and of hooks. before it: https://hooks.slack.com/….
func (h hooks) allow(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.Scheme != h.api.Scheme || (u.Host != h.api.Host && u.Host != "hooks."+h.api.Host) {
		return errHook
	}
	return nil
}

// postHook posts to a response URL: five times within half an hour, Slack lets us. No token goes with it, and no
// redirect is followed.
func (s *Slack) postHook(ctx context.Context, address string, w any) error {
	if err := s.hooks.allow(address); err != nil {
		return fmt.Errorf("response_url: %w", err)
	}
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("response_url: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("response_url: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := s.http.Do(req) //nolint:gosec // hooks.allow lets Slack's own hosts through alone
	if err != nil {
		// The error of http.Client carries the address, which lets its holder post in the app's name.
		return fmt.Errorf("response_url: %w", errors.Unwrap(err))
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("response_url: Slack answered %s", answer.Status)
	}
	return nil
}
