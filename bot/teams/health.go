package teams

import (
	"errors"
	"fmt"
	"sync"

	"elevate/bot"
)

// health is what keeps the adapter from working until somebody mends it.
type health struct {
	mu      sync.Mutex
	token   error // there is no token for the Bot Connector
	signing error // nobody can be checked: the keys of the Bot Framework cannot be had

	forged bot.Forged
}

// Healthy tells why Teams cannot be served, in words for the operator, or nil.
func (t *Teams) Healthy() error {
	t.health.mu.Lock()
	defer t.health.mu.Unlock()
	return errors.Join(t.health.token, t.health.signing)
}

// called notes how a call with the bot's token ended.
func (h *health) called(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed *tokenError
	switch {
	case errors.As(err, &failed):
		h.token = fmt.Errorf("teams: %w", failed)
	case err == nil:
		h.token = nil
	}
}

// keys notes whether it could be checked who calls.
func (h *health) keys(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signing = nil
	if err != nil {
		h.signing = fmt.Errorf("teams: %w", err)
	}
}
