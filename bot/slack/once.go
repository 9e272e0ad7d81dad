package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"elevate/bot"
)

// rememberedFor is how long an act is known to have been answered. A signature is good for ten minutes at most (five
// either way), and Slack delivers again for six.
const rememberedFor = time.Hour

// actKey names what a person did, however often and by whichever way Slack delivers it.
func actKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "slack:" + parts[0] + ":" + hex.EncodeToString(sum[:16])
}

// remembered is an answer as the store keeps it, so that an act which is delivered twice is answered twice and done once.
type remembered struct {
	Body json.RawMessage `json:"body,omitempty"`
	Done bool            `json:"done"`
}

var pending = []byte(`{"done":false}`)

// errPending says that an act was delivered before and has no answer yet: it is under way, or a crash cut it off.
var errPending = errors.New("delivered before, not answered yet")

// first does an act the first time, and gives that time's answer ever after.
func (s *Slack) first(ctx context.Context, key string, act func() reply) (reply, error) {
	stored, first, err := s.cfg.Store.Once(ctx, key, pending, rememberedFor)
	if err != nil {
		s.log.Error("the store did not answer", "op", "once", "err", err)
		return reply{}, err
	}
	if !first {
		var before remembered
		if err := json.Unmarshal(stored, &before); err != nil || !before.Done {
			return reply{}, errPending
		}
		return reply{body: before.Body}, nil
	}
	r := act()
	s.remember(ctx, key, r)
	return r, nil
}

func (s *Slack) remember(ctx context.Context, key string, r reply) {
	if r.once {
		r = private(bot.SaysOnce)
	}
	value, err := json.Marshal(remembered{Body: r.body, Done: true})
	if err == nil {
		err = s.cfg.Store.Put(ctx, key, value, rememberedFor)
	}
	if err != nil { // a second delivery will be told that the first is under way
		s.log.Warn("an answer could not be remembered", "err", err)
	}
}

// aside does an act that needs no answer, unless it was done before.
func (s *Slack) aside(ctx context.Context, key string, act func()) {
	_, err := s.first(ctx, key, func() reply { act(); return reply{} })
	if err != nil && !errors.Is(err, errPending) {
		s.log.Warn("an act was passed over", "err", err)
	}
}
