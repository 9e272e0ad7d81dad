package slack

import (
	"errors"
	"fmt"
	"sync"

	"elevate/bot"
)

// health is what keeps the adapter from working until somebody mends it.
type health struct {
	mu     sync.Mutex
	token  error // the bot token is no longer good
	socket error // Socket Mode cannot connect, or is switched off

	forged bot.Forged
}

// Healthy tells why Slack cannot be served, in words for the operator, or nil.
func (s *Slack) Healthy() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return errors.Join(s.health.token, s.health.socket)
}

// called notes how a call with the bot token ended.
func (h *health) called(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.token = nil
		return
	}
	if advice, ok := tokenAdvice[apiCode(err)]; ok {
		h.token = fmt.Errorf("slack: %w: %s", err, advice)
	}
}

func (h *health) connection(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.socket = err
}

// tokenAdvice is what to do about errors that stay until somebody does it.
//
//nolint:gosec // words about tokens, none of them one
var tokenAdvice = map[string]string{
	"invalid_auth":           "set slack.bot_token to the app's Bot User OAuth Token",
	"not_authed":             "set slack.bot_token to the app's Bot User OAuth Token",
	"account_inactive":       "the app was removed from the workspace; install it again and set slack.bot_token",
	"token_revoked":          "the token was revoked; install the app again and set slack.bot_token",
	"token_expired":          "token rotation is on, which Elevate does not support; switch it off and set slack.bot_token",
	"not_allowed_token_type": "slack.bot_token must start with xoxb-",
	"missing_scope":          "reinstall the app with the scopes of manifests/slack/manifest.json",
	"team_access_not_granted": "the app is not installed on this workspace; " +
		"ask the organisation's administrator to add it",
}
