package slack

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/slack/slackfake"
)

// TestSuite: the promise of every chat's adapter, kept over HTTP and through Socket Mode.
func TestSuite(t *testing.T) {
	t.Parallel()
	t.Run("http", func(t *testing.T) {
		t.Parallel()
		bottest.Run(t, func(t bottest.T, talk *bottest.Talk) bottest.Rig { return newRig(t.(testing.TB), talk) }, nil)
	})
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		bottest.Run(t, func(t bottest.T, talk *bottest.Talk) bottest.Rig {
			r := newRig(t.(testing.TB), talk)
			r.socket(t.(testing.TB))
			return r
		}, nil)
	})
}

// rig is the fake Slack as the suite sees it.
type rig struct {
	*kit
	mu   sync.Mutex
	last func() slackfake.Ack // delivers the last act again
}

func newRig(t testing.TB, talk *bottest.Talk) *rig {
	k := setup(t, func(cfg *Config) { cfg.Bot = talk })
	k.bot = talk
	return &rig{kit: k}
}

func (r *rig) Chat() bot.Chat  { return r.slack }
func (r *rig) Channel() string { return "C0ACCESS" }

func account(person string) string { return "U0" + strings.ToUpper(person) }

// act delivers a payload, and remembers it.
func (r *rig) act(kind string, payload map[string]any) (slackfake.Ack, error) {
	r.mu.Lock()
	r.last = func() slackfake.Ack { return r.fake.Send(kind, payload) }
	r.mu.Unlock()
	ack := r.fake.Send(kind, payload)
	if ack.Err != nil || ack.Status != http.StatusOK {
		return ack, fmt.Errorf("acknowledged with %d, %w", ack.Status, ack.Err)
	}
	return ack, nil
}

func (r *rig) Redeliver() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last().Err
}

func (r *rig) Type(person, words string) error {
	p := r.fake.As(account(person))
	ack, err := r.act("command", p.Command("C0ACCESS", words))
	if err == nil {
		p.Answer("C0ACCESS", ack)
	}
	return err
}

func (r *rig) Press(person string, on bottest.Shown, label string) error {
	p := r.fake.As(account(person))
	var payload map[string]any
	switch native := on.Native.(type) {
	case slackfake.Message:
		payload = p.Press(native, label)
	case *slackfake.View:
		payload = p.PressView(native, label)
	}
	_, err := r.act("block_actions", payload)
	return err
}

func (r *rig) Search(person, input, typed string) ([]string, error) {
	return r.fake.As(account(person)).Suggest(input, typed)
}

func (r *rig) Fill(person, input, value string) error {
	ack, err := r.fake.As(account(person)).Fill(input, value)
	if err == nil {
		err = ack.Err
	}
	return err
}

func (r *rig) Send(person string) error {
	p := r.fake.As(account(person))
	payload, err := p.Submission()
	if err != nil {
		return err
	}
	ack, err := r.act("view_submission", payload)
	if err == nil {
		p.Answered(payload, ack)
	}
	return err
}

func (r *rig) OpenHome(person string) error { return r.fake.As(account(person)).OpenHome().Err }

func (r *rig) Posted() []bottest.Shown { return shown(r.fake.Messages("C0ACCESS")) }

func (r *rig) Personal(person string) []bottest.Shown {
	return shown(r.fake.Messages(r.fake.DM(account(person))))
}

// Told are ephemeral messages, and a dialog that is no form.
func (r *rig) Told(person string) []bottest.Shown {
	var out []bottest.Shown
	for _, m := range r.fake.Whispers("C0ACCESS") {
		if m.To == account(person) {
			out = append(out, shown([]slackfake.Message{m})...)
		}
	}
	if d := r.fake.Dialog(account(person)); d != nil && d.Content["submit"] == nil {
		out = append(out, seen(d))
	}
	return out
}

func (r *rig) Form(person string) *bottest.Form {
	d := r.fake.Dialog(account(person))
	if d == nil || d.Content["submit"] == nil {
		return nil
	}
	f := &bottest.Form{Title: d.Title(), Text: read(d.Blocks()), Values: d.State, Errors: map[string]string{}}
	for _, b := range d.Blocks() {
		block := b.(map[string]any)
		if e, ok := block["element"].(map[string]any); ok {
			name := e["action_id"].(string)
			f.Inputs = append(f.Inputs, name)
			if text := d.Errors[block["block_id"].(string)]; text != "" {
				f.Errors[name] = text
			}
		}
	}
	return f
}

func (r *rig) Home(person string) *bottest.Shown {
	v := r.fake.Home(account(person))
	if v == nil {
		return nil
	}
	out := seen(v)
	return &out
}

func (r *rig) Break(down bool) {
	r.fake.Behave()
	if down {
		r.fake.Misbehave("*", slackfake.Fault{Times: -1, Status: http.StatusServiceUnavailable})
	}
}

func (r *rig) Await(is func() bool) bool { return bottest.Await(bottest.Patience, is) }

func seen(v *slackfake.View) bottest.Shown {
	return bottest.Shown{Text: read(v.Blocks()), Buttons: labels(v.Blocks()), Native: v}
}

func shown(messages []slackfake.Message) []bottest.Shown {
	out := make([]bottest.Shown, len(messages))
	for i, m := range messages {
		out[i] = bottest.Shown{Notice: html.UnescapeString(m.Text), Text: read(m.Blocks), Buttons: labels(m.Blocks), Native: m}
		if len(m.Blocks) == 0 {
			out[i].Text = m.Text
		}
		if m.To == "" {
			out[i].Ref = m.Channel + ":" + m.TS
		}
		if m.Thread != "" {
			out[i].Thread = m.Channel + ":" + m.Thread
		}
	}
	return out
}

// labels are those of the buttons, in order.
func labels(blocks []any) []string {
	var out []string
	each(blocks, func(m map[string]any) {
		if m["type"] == "button" {
			out = append(out, m["text"].(map[string]any)["text"].(string))
		}
	})
	return out
}

// markup is what Slack makes something else of in mrkdwn.
var markup = regexp.MustCompile("[*_~`]|:[^\\s:]+:|<[^>]*>")

// read is what a person reads: mrkdwn as Slack parses it, everything else as it is.
func read(blocks []any) string {
	var b strings.Builder
	each(blocks, func(m map[string]any) {
		text, _ := m["text"].(string)
		switch m["type"] {
		case "mrkdwn":
			b.WriteString(html.UnescapeString(markup.ReplaceAllString(text, "")) + "\n")
		case "plain_text":
			b.WriteString(text + "\n")
		case "text", "link":
			b.WriteString(text)
		}
	})
	return b.String()
}

// each visits the objects of decoded JSON in the order in which they are shown.
func each(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			each(item, visit)
		}
	case map[string]any:
		visit(v)
		for _, name := range []string{"label", "text", "fields", "accessory", "elements", "element"} {
			each(v[name], visit)
		}
	}
}
