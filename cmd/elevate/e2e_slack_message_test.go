package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"elevate/cmd/elevate/e2etest"
)

// message is one in a channel, with the fields that Slack gives it.
type message struct {
	TS        string           `json:"ts"`
	Channel   string           `json:"channel"`
	Thread    string           `json:"thread_ts"`
	Text      string           `json:"text"` // what notifications show and screen readers read
	Ephemeral string           `json:"ephemeral_to"`
	Blocks    []map[string]any `json:"blocks"`
}

// says is all words of a message's blocks, in order.
func (m message) says() string { return words(m.Blocks) }

func words(blocks []map[string]any) string {
	var said strings.Builder
	for _, b := range blocks {
		read(&said, b)
		said.WriteString("\n")
	}
	return said.String()
}

// read writes the words of a piece of Block Kit.
func read(out *strings.Builder, piece any) {
	switch piece := piece.(type) {
	case string:
		out.WriteString(piece)
	case []any:
		for _, each := range piece {
			read(out, each)
		}
	case map[string]any:
		switch piece["type"] {
		case "user":
			fmt.Fprintf(out, "@%v", piece["user_id"])
		case "date":
			read(out, piece["fallback"])
		}
		for _, key := range []string{"label", "text", "fields", "elements", "element", "accessory", "hint", "initial_option", "initial_value"} {
			read(out, piece[key])
		}
		if piece["type"] == "button" || piece["type"] == "mrkdwn" {
			out.WriteString(" ")
		}
	}
}

// offers tells whether a message has a button with a label.
func (m message) offers(label string) bool {
	_, found := buttonOf(m.Blocks, label)
	return found
}

// buttonOf finds the button with a label, as a click on it is told of.
func buttonOf(blocks []map[string]any, label string) (map[string]any, bool) {
	for _, block := range blocks {
		for _, each := range append(list(block["elements"]), block["accessory"]) {
			e, ok := each.(map[string]any)
			if !ok || e["type"] != "button" {
				continue
			}
			if text, ok := e["text"].(map[string]any); ok && text["text"] == label {
				return map[string]any{"type": "button", "action_id": e["action_id"], "block_id": block["block_id"], "value": e["value"], "text": text}, true
			}
		}
	}
	return nil, false
}

func list(v any) []any {
	all, _ := v.([]any)
	return all
}

// messages are those of a channel, in order.
func (w *workspace) messages(channel string) []message {
	w.Helper()
	var all struct{ Messages []message }
	w.control("messages/"+channel, nil, &all)
	return all.Messages
}

// personal are the messages that the app sent to somebody alone.
func (w *workspace) personal(person string) []message {
	w.Helper()
	var state struct {
		Channels []struct {
			ID      string
			IM      bool `json:"is_im"`
			Members []string
		}
	}
	w.control("state", nil, &state)
	for _, c := range state.Channels {
		if c.IM && slices.Contains(c.Members, slackID(person)) {
			return w.messages(c.ID)
		}
	}
	return nil
}

// expect waits for a message with all of the words, in its blocks or its notification.
func (w *workspace) expect(look func() []message, said ...string) message {
	w.Helper()
	var found message
	e2etest.Eventually(w, soon, func() error {
		all := look()
		for _, m := range all {
			if lacks := lacking(m.Text+"\n"+m.says(), said); len(lacks) == 0 {
				found = m
				return nil
			}
		}
		var texts []string
		for _, m := range all {
			texts = append(texts, m.Text+"\n"+m.says())
		}
		return fmt.Errorf("no message with %q in\n%s", said, strings.Join(texts, "\n---\n"))
	})
	return found
}

func lacking(text string, said []string) []string {
	return slices.DeleteFunc(slices.Clone(said), func(s string) bool { return strings.Contains(text, s) })
}

// inChannel are the messages that everybody sees.
func (w *workspace) inChannel() []message {
	w.Helper()
	return slices.DeleteFunc(w.messages(accessChannel), func(m message) bool { return m.Thread != "" || m.Ephemeral != "" })
}

// below gives the replies to a message.
func (w *workspace) below(m message) func() []message {
	return func() []message {
		w.Helper()
		return slices.DeleteFunc(w.messages(m.Channel), func(r message) bool { return r.Thread != m.TS })
	}
}

// only gives what somebody alone sees in the channel.
func (w *workspace) only(person string) func() []message {
	return func() []message {
		w.Helper()
		return slices.DeleteFunc(w.messages(accessChannel), func(m message) bool { return m.Ephemeral != slackID(person) })
	}
}

// told gives somebody's personal messages.
func (w *workspace) told(person string) func() []message {
	return func() []message { w.Helper(); return w.personal(person) }
}

// story is what a message's notification said over time, as the app posted and updated it.
func (w *workspace) story(m message) []string {
	w.Helper()
	var all struct {
		Log []struct {
			Summary string
			Detail  json.RawMessage
		}
	}
	w.control("log", nil, &all)
	var said []string
	for _, entry := range all.Log {
		var call struct{ Channel, TS, Text string }
		if json.Unmarshal(entry.Detail, &call) != nil {
			continue
		}
		if entry.Summary == "chat.update" && call.Channel == m.Channel && call.TS == m.TS {
			said = append(said, call.Text)
		}
	}
	return said
}
