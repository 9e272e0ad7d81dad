package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// rememberedFor is how long an act is known to have been answered. A signature is good for ten minutes at most (five
// either way), and Slack delivers again for six.
const rememberedFor = time.Hour

// rememberWithin is how long the store may take to keep an answer.
const rememberWithin = 2 * time.Second

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

// remember keeps an answer. It was done, so it is kept also where the time for the acknowledgement is over.
func (s *Slack) remember(ctx context.Context, key string, r reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberWithin)
	defer cancel()
	if r.again != nil {
		r = *r.again
	}
	value, err := json.Marshal(remembered{Body: r.body, Done: true})
	if err == nil {
		err = s.cfg.Store.Put(ctx, key, value, rememberedFor)
	}
	if err != nil { // a second delivery will be told that the first is under way
		s.log.Warn("an answer could not be remembered", "err", err)
	}
}

// aside does an act that needs no answer, unless it was done before. Where the store does not say, it does sorry instead.
func (s *Slack) aside(ctx context.Context, key string, act, sorry func()) {
	_, err := s.first(ctx, key, func() reply { act(); return reply{} })
	if err != nil && !errors.Is(err, errPending) {
		sorry()
	}
}
