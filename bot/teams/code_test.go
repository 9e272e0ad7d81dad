package teams

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/workflows"
	"elevate/workflows/access"
)

// recording is a store that remembers everything that it was given to keep.
type recording struct {
	Store
	mu   sync.Mutex
	kept []string
}

func (r *recording) keep(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, text)
}

func (r *recording) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.kept, "\n")
}

func (r *recording) Deliver(ctx context.Context, d workflows.Delivery) (bool, error) {
	r.keep(d.Key + " " + string(d.Payload))
	return r.Store.Deliver(ctx, d)
}

func (r *recording) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	r.keep(key + " " + string(value))
	return r.Store.Put(ctx, key, value, ttl)
}

// A form is recorded before it is worked, and its answer is remembered; neither holds the code that was typed.
func TestNoCodeLiesInTheStoreBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	const code = "492039"
	for name, sealed := range map[string]bool{"sealed": true, "without a key": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := bottest.NewOffice(t, bottest.Stage{Name: Name, Channel: "19:access@thread.tacv2"})
			store := &recording{Store: o.Store}
			var got bot.Submission
			heard := make(chan struct{}, 1)
			talk := &bottest.Talk{OnSubmit: func(s bot.Submission) bot.Answer {
				got = s
				heard <- struct{}{}
				return bot.Answer{Errors: map[string]string{bot.InputCode: "That code does not count."}}
			}, OnRefresh: func(bot.Submission) bot.Answer {
				return bot.Answer{Form: &bot.Form{Name: bot.FormApprove, Title: "Approve request", Submit: "Approve", Inputs: []bot.Input{{Name: bot.InputCode, Kind: bot.Code, Label: "Code"}}}}
			}}
			k := setup(t, func(cfg *Config) {
				cfg.Bot, cfg.Store = talk, store
				if sealed {
					cfg.Codes = o.Codes
				}
			})
			p, ok := readExecute("elevate.send.approve", []byte(`{"request":"`+string(bottest.Request)+`","form":"N1","in.code":"`+code+`"}`))
			if !ok || p.Code.Reveal() != code || p.Values["code"] != "" {
				t.Fatalf("read: %+v", p)
			}
			a := act{Key: "teams:act:x", Press: &p, Spot: spot{Account: "0f6e0000-0000-4000-8000-0000000000a1"}}
			o1 := k.teams.press(t.Context(), a)
			select {
			case <-heard:
			case <-t.Context().Done():
			}
			want := access.Secret{}
			if sealed {
				want = access.NewSecret(code)
			}
			if got.Code.Reveal() != want.Reveal() {
				t.Errorf("the bot got %q", got.Code.Reveal())
			}
			if o1.Card == nil {
				t.Errorf("no form again: %+v", o1)
			}
			if kept := store.all(); strings.Contains(kept, code) || !strings.Contains(kept, `"`+string(bottest.Request)+`"`) {
				t.Errorf("kept: %s", kept)
			}
		})
	}
}

func TestALinkIsNotKeptForASecondDelivery(t *testing.T) {
	t.Parallel()
	o := outcome{Card: object{"secret": "https://elevate.example.com/mfa/token"}, Once: true}
	if kept := o.kept(); kept.Card != nil || kept.Says != bot.SaysOnce {
		t.Errorf("kept: %+v", kept)
	}
}
