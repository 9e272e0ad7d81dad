package slackfake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Ack is the answer to something that was sent to the program.
type Ack struct {
	Status int // of HTTP; 200 for an acknowledged envelope of Socket Mode
	Body   []byte
	Err    error // no acknowledgement
}

// JSON is the body, decoded; empty where it is none.
func (a Ack) JSON() map[string]any {
	var out map[string]any
	_ = json.Unmarshal(a.Body, &out)
	return out
}

// Text is what a private answer to a command says.
func (a Ack) Text() string { return text(a.JSON(), "text") }

// ackWithin is how long Slack waits.
const ackWithin = 3 * time.Second

// OverHTTP makes what people do arrive at an address, such as http://127.0.0.1:8080.
func (s *Server) OverHTTP(address string) {
	client := &http.Client{Timeout: ackWithin}
	s.t.Cleanup(client.CloseIdleConnections)
	s.setSend(func(kind string, payload map[string]any) Ack {
		route, body := Body(kind, payload)
		return Do(client, s.Signed(address+route, body))
	})
}

// OverSocket makes what people do arrive through Socket Mode.
func (s *Server) OverSocket() {
	s.setSend(func(kind string, payload map[string]any) Ack {
		return s.sockets.deliver(envelopeType(kind), payload)
	})
}

func (s *Server) setSend(f func(kind string, payload map[string]any) Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send = f
}

// Body is a payload as HTTP carries it, and the route that it goes to.
func Body(kind string, payload map[string]any) (route string, body []byte) {
	switch kind {
	case "command":
		form := url.Values{}
		for name, value := range payload {
			form.Set(name, fmt.Sprint(value))
		}
		return "/slack/commands", []byte(form.Encode())
	case "event":
		return "/slack/events", encode(payload)
	case "block_suggestion":
		return "/slack/options", []byte(url.Values{"payload": {string(encode(payload))}}.Encode())
	}
	return "/slack/interactions", []byte(url.Values{"payload": {string(encode(payload))}}.Encode())
}

func envelopeType(kind string) string {
	switch kind {
	case "command":
		return "slash_commands"
	case "event":
		return "events_api"
	}
	return "interactive"
}

// Signed is a request as Slack signs it now.
func (s *Server) Signed(address string, body []byte) *http.Request {
	return Sign(address, body, SigningSecret, s.Now())
}

// Sign makes a signed request.
func Sign(address string, body []byte, secret string, at time.Time) *http.Request {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		panic(err) // an address that a test wrote
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	req.Header.Set("X-Slack-Request-Timestamp", stamp)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(body) > 0 && body[0] == '{' {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

// Do sends a request.
func Do(client *http.Client, req *http.Request) Ack {
	answer, err := client.Do(req)
	if err != nil {
		return Ack{Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return Ack{Status: answer.StatusCode, Body: body, Err: err}
}

// Send sends any payload.
func (s *Server) Send(kind string, payload map[string]any) Ack {
	s.mu.Lock()
	send := s.send
	s.mu.Unlock()
	return send(kind, payload)
}

// Person acts in the workspace.
type Person struct {
	s  *Server
	ID string
}

// As is somebody.
func (s *Server) As(user string) *Person { return &Person{s: s, ID: user} }

// base is what interactive payloads have in common. The lock is held.
func (p *Person) base(kind string) map[string]any {
	team := Team
	if u := p.s.users[p.ID]; u != nil {
		team = u.Team
	}
	return map[string]any{
		"type": kind, "api_app_id": "A111", "token": "legacy", "trigger_id": p.s.newTrigger(p.ID),
		"team": map[string]any{"id": team, "domain": "fake"}, "is_enterprise_install": false, "enterprise": nil,
		"user": map[string]any{"id": p.ID, "username": p.ID, "name": p.ID, "team_id": team},
	}
}

// Command is the payload of a slash command.
func (p *Person) Command(channel, words string) map[string]any {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	team := Team
	if u := p.s.users[p.ID]; u != nil {
		team = u.Team
	}
	return map[string]any{
		"token": "legacy", "team_id": team, "team_domain": "fake", "channel_id": channel, "channel_name": channel,
		"user_id": p.ID, "user_name": p.ID, "command": "/elevate", "text": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(words),
		"api_app_id": "A111", "is_enterprise_install": "false",
		"response_url": p.s.hookURL(channel, p.ID), "trigger_id": p.s.newTrigger(p.ID),
	}
}

// Type types /elevate and words in a channel.
func (p *Person) Type(channel, words string) Ack {
	ack := p.s.Send("command", p.Command(channel, words))
	p.Answer(channel, ack)
	return ack
}

// Answer shows the person what a command was answered, where it was.
func (p *Person) Answer(channel string, ack Ack) {
	if ack.Text() == "" {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	m, c := &Message{Channel: channel, To: p.ID}, p.s.channels[channel]
	if word := p.s.setContent(m, ack.JSON()); word != "" || c == nil {
		return
	}
	m.TS = formatTS(p.s.Now(), p.s.tick())
	c.Whispers = append(c.Whispers, m)
}

// Button finds a button by its label or the start of its action id.
func Button(blocks []any, name string) map[string]any {
	var found map[string]any
	Walk(blocks, func(m map[string]any) {
		label, _ := m["text"].(map[string]any)
		id := strings.TrimPrefix(text(m, "action_id"), "elevate.")
		if m["type"] == "button" && found == nil && (text(label, "text") == name || id == name || strings.HasPrefix(id, name+".")) {
			found = m
		}
	})
	return found
}

// Press is the payload of a button pressed on a message.
func (p *Person) Press(m Message, name string) map[string]any {
	button := Button(m.Blocks, name)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	payload := p.pressed(button)
	payload["container"] = map[string]any{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.To != ""}
	payload["channel"] = map[string]any{"id": m.Channel, "name": m.Channel}
	payload["response_url"] = p.s.hookURL(m.Channel, p.ID)
	if m.To == "" { // Slack does not send the content of messages that only one person sees
		payload["message"] = map[string]any{"ts": m.TS, "text": m.Text, "blocks": m.Blocks, "bot_id": "B0BOT"}
	}
	return payload
}

// PressView is the payload of a button pressed on a Home page or in a dialog.
func (p *Person) PressView(v *View, name string) map[string]any {
	button := Button(v.Blocks(), name)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	payload := p.pressed(button)
	payload["container"] = map[string]any{"type": "view", "view_id": v.ID}
	payload["view"] = v.wire()
	return payload
}

// pressed is a block_actions payload of a button. The lock is held.
func (p *Person) pressed(button map[string]any) map[string]any {
	if button == nil {
		button = map[string]any{"action_id": "there.is.no.such.button"}
	}
	payload := p.base("block_actions")
	payload["actions"] = []any{map[string]any{
		"type": "button", "action_id": button["action_id"], "block_id": "b", "value": text(button, "value"),
		"text": button["text"], "action_ts": formatTS(p.s.Now(), p.s.tick()),
	}}
	return payload
}

// Fill types or chooses something in the open dialog; where the input dispatches, the program is told.
func (p *Person) Fill(input, value string) (Ack, error) {
	p.s.mu.Lock()
	v := p.s.dialog(p.ID)
	if v == nil {
		p.s.mu.Unlock()
		return Ack{}, fmt.Errorf("no dialog is open")
	}
	f, ok := v.fields()[input]
	if !ok {
		p.s.mu.Unlock()
		return Ack{}, fmt.Errorf("the dialog has no input %q", input)
	}
	v.State[input] = value
	if !f.dispatch {
		p.s.mu.Unlock()
		return Ack{Status: http.StatusOK}, nil
	}
	payload := p.base("block_actions")
	payload["container"] = map[string]any{"type": "view", "view_id": v.ID}
	payload["view"] = v.wire()
	payload["actions"] = []any{map[string]any{
		"type": f.kind, "action_id": input, "block_id": f.block, "action_ts": formatTS(p.s.Now(), p.s.tick()),
		"selected_option": map[string]any{"value": value, "text": map[string]any{"type": "plain_text", "text": value}},
	}}
	p.s.mu.Unlock()
	return p.s.Send("block_actions", payload), nil
}

// Suggest types into a search of the open dialog and gives what is found.
func (p *Person) Suggest(input, typed string) ([]string, error) {
	p.s.mu.Lock()
	v := p.s.dialog(p.ID)
	if v == nil {
		p.s.mu.Unlock()
		return nil, fmt.Errorf("no dialog is open")
	}
	payload := p.base("block_suggestion")
	delete(payload, "trigger_id")
	payload["container"] = map[string]any{"type": "view", "view_id": v.ID}
	payload["view"] = v.wire()
	payload["action_id"], payload["block_id"], payload["value"] = input, v.fields()[input].block, typed
	p.s.mu.Unlock()
	ack := p.s.Send("block_suggestion", payload)
	options, ok := ack.JSON()["options"].([]any)
	if !ok || len(options) > 100 {
		return nil, fmt.Errorf("not a list of at most 100 options: %s", ack.Body)
	}
	if len(options) > 0 { // an option is valid where it is valid in a menu
		menu := map[string]any{"type": "static_select", "action_id": "a", "options": options}
		if broken := CheckMessage([]any{map[string]any{"type": "actions", "elements": []any{menu}}}); len(broken) > 0 {
			if size := len(encode(options)); size < maxCumulative {
				return nil, fmt.Errorf("options: %v", broken)
			}
		}
	}
	var out []string
	for _, o := range options {
		option, _ := o.(map[string]any)
		out = append(out, text(option, "value"))
	}
	return out, nil
}

// Submission is the payload of the open dialog sent off.
func (p *Person) Submission() (map[string]any, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	v := p.s.dialog(p.ID)
	if v == nil {
		return nil, fmt.Errorf("no dialog is open")
	}
	if err := v.missing(); err != nil {
		return nil, err
	}
	payload := p.base("view_submission")
	payload["view"], payload["response_urls"] = v.wire(), []any{}
	return payload, nil
}

// Submit sends the open dialog off, and shows what is answered. The error is what Slack's own client refuses.
func (p *Person) Submit() (Ack, error) {
	payload, err := p.Submission()
	if err != nil {
		return Ack{}, err
	}
	ack := p.s.Send("view_submission", payload)
	if ack.Err == nil && ack.Status == http.StatusOK {
		p.Answered(payload, ack)
	}
	return ack, nil
}

// Answered applies the answer to a submission to the dialog.
func (p *Person) Answered(payload map[string]any, ack Ack) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	wire, _ := payload["view"].(map[string]any)
	if v := p.s.views[text(wire, "id")]; v != nil {
		p.s.submitted(v, ack.JSON())
	}
}

// Close closes the open dialog.
func (p *Person) Close() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if v := p.s.dialog(p.ID); v != nil {
		v.Closed = true
	}
}

// OpenHome looks at the app's Home page.
func (p *Person) OpenHome() Ack {
	p.s.mu.Lock()
	event := p.event(map[string]any{"type": "app_home_opened", "user": p.ID, "channel": "D0", "tab": "home"})
	p.s.mu.Unlock()
	return p.s.Send("event", event)
}

// Shortcut starts the global shortcut.
func (p *Person) Shortcut(callback string) Ack {
	p.s.mu.Lock()
	payload := p.base("shortcut")
	payload["callback_id"], payload["action_ts"] = callback, formatTS(p.s.Now(), p.s.tick())
	p.s.mu.Unlock()
	return p.s.Send("shortcut", payload)
}

// event is the envelope of an event. The lock is held.
func (p *Person) event(inner map[string]any) map[string]any {
	team := Team
	if u := p.s.users[p.ID]; u != nil {
		team = u.Team
	}
	return map[string]any{
		"token": "legacy", "team_id": team, "api_app_id": "A111", "type": "event_callback", "event": inner,
		"event_id": p.s.id("Ev"), "event_time": p.s.Now().Unix(),
	}
}

// tick counts on. The lock is held.
func (s *Server) tick() int64 {
	s.serial++
	return s.serial
}

func formatTS(at time.Time, serial int64) string {
	return fmt.Sprintf("%d.%06d", at.Unix(), serial%1_000_000)
}
