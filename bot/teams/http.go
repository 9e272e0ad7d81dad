package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"elevate/bot"
)

// maxBody is the longest activity that is read, in bytes. A message of Teams has a hundred kilobytes at most.
const maxBody = 256 << 10

// Handler serves the address that the Bot Framework posts to: /api/messages.
func (t *Teams) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/messages", t.serve)
	return mux
}

func (t *Teams) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, ok := bot.Body(w, r, maxBody)
	if !ok {
		return
	}
	in, err := parse(body)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	turn, status := t.admit(r, in)
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	answer := t.dispatch(r.Context(), turn, in)
	if answer != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(answer) // whoever hung up needs no answer
	}
	t.cfg.Observe(in.kind(), time.Since(began))
}

// admit finds out whether an activity is the Bot Framework's, and of our tenant.
func (t *Teams) admit(r *http.Request, in incoming) (*activity.TurnContext, int) {
	if len(r.Header.Values("Authorization")) > 1 {
		return nil, http.StatusUnauthorized
	}
	// The library's parser refuses whole activities for fields that nobody reads, so it gets those that are read.
	plain, err := json.Marshal(in.essence())
	if err != nil {
		return nil, http.StatusBadRequest
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(plain))
	parsed, err := t.adapter.ParseRequest(r.Context(), again)
	switch {
	case errors.Is(err, errKeys) && r.Context().Err() != nil: // whoever asked has hung up
		return nil, http.StatusServiceUnavailable
	case errors.Is(err, errKeys):
		t.log.Error("who sent an activity could not be checked, so it was not taken", "err", err)
		t.health.keys(err)
		return nil, http.StatusServiceUnavailable
	case err != nil:
		t.health.forged.Note(t.now(), t.log, Name, err)
		return nil, http.StatusUnauthorized
	}
	t.health.keys(nil)
	if tenant := in.tenant(); !strings.EqualFold(tenant, t.cfg.TenantID) {
		t.log.Warn("an activity of another tenant was refused", "tenant", bot.Cut(tenant, 60), "account", in.account())
		t.cfg.TurnedAway(r.Context(), in.account(), "foreign_tenant")
		return nil, http.StatusForbidden
	}
	return &activity.TurnContext{Activity: parsed}, http.StatusOK
}

// dispatch answers an activity; nil is an empty acknowledgement.
func (t *Teams) dispatch(ctx context.Context, turn *activity.TurnContext, in incoming) (answer json.RawMessage) {
	handlers := activity.HandlerFuncs{
		OnMessageFunc: func(*activity.TurnContext) (schema.Activity, error) {
			t.message(ctx, in)
			return schema.Activity{}, nil
		},
		OnInvokeFunc: func(*activity.TurnContext) (schema.Activity, error) {
			answer = t.invoke(ctx, in)
			return schema.Activity{}, nil
		},
		OnConversationUpdateFunc: func(*activity.TurnContext) (schema.Activity, error) {
			t.moved(in)
			return schema.Activity{}, nil
		},
	}
	if in.Type == "installationUpdate" { // the library knows no such thing
		t.moved(in)
		return nil
	}
	if _, err := activity.PrepareActivityContext(handlers, turn); err != nil {
		t.log.Debug("left alone", "what", "activity "+bot.Cut(in.Type, 40), "err", err)
	}
	return answer
}

var errMalformed = errors.New("malformed activity")

// parse reads an activity. Parts of it that are not as they should be and that others can do without are left out.
func parse(body []byte) (incoming, error) {
	var a struct {
		incoming
		Entities json.RawMessage `json:"entities"`
		Data     json.RawMessage `json:"channelData"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return incoming{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	in := a.incoming
	if in.Type == "" {
		return incoming{}, fmt.Errorf("%w: no type", errMalformed)
	}
	var all []json.RawMessage
	if json.Unmarshal(a.Entities, &all) == nil {
		for _, raw := range all {
			var e entity
			if json.Unmarshal(raw, &e) == nil && e.Type == "mention" {
				in.Entities = append(in.Entities, e)
			}
		}
	}
	_ = json.Unmarshal(a.Data, &in.Data) // what of it is readable
	return in, nil
}

// essence is what the library needs of an activity to check who sent it and what it is.
func (in incoming) essence() object {
	return object{
		"type": in.Type, "id": in.ID, "name": in.Name, "channelId": in.ChannelID, "serviceUrl": in.ServiceURL, "text": in.Text,
		"replyToId": in.ReplyTo, "from": object{"id": in.From.ID}, "recipient": object{"id": in.Recipient.ID},
		"conversation": object{"id": in.Conversation.ID},
	}
}

// kind is a word for metrics.
func (in incoming) kind() string {
	switch in.Type {
	case "message", "conversationUpdate", "installationUpdate":
		return in.Type
	case "invoke":
		switch in.Name {
		case invokeAction, invokeSearch:
			return in.Name
		}
		return "invoke"
	}
	return "other"
}

func (in incoming) tenant() string {
	if in.Conversation.Tenant != "" {
		return in.Conversation.Tenant
	}
	return in.Data.Tenant.ID
}

// account is the person's object id in the tenant; empty for those who have none, such as guests of a meeting.
func (in incoming) account() string { return strings.ToLower(in.From.ObjectID) }

// who is the person as package bot sees them.
func (in incoming) who() bot.Who { return bot.Who{Chat: Name, Account: in.account()} }

// personal tells whether an activity belongs to the chat of one person with the bot.
func (in incoming) personal() bool { return in.Conversation.Kind == "personal" }

// words are what somebody typed, without the bot's own mention and the slash command in front. Others whom they mention
// are called by name.
func (in incoming) words() string {
	text := in.Text
	for _, e := range in.Entities {
		name := e.Mentioned.Name
		if e.Mentioned.ID == in.Recipient.ID {
			name = ""
		}
		if e.Text != "" {
			text = strings.Replace(text, e.Text, name, 1)
		}
	}
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "&nbsp;")) // Teams puts it behind a mention
	first, rest := text, ""
	if end := strings.IndexFunc(text, unicode.IsSpace); end >= 0 {
		first, rest = text[:end], text[end:]
	}
	if strings.EqualFold(first, "/elevate") {
		return strings.TrimSpace(rest)
	}
	return text
}
