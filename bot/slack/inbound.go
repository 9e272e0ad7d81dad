package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The structures below hold what this package reads of Slack's payloads, and no more. slack-go's own refuse a whole
// payload for one element that they do not know, and Slack adds elements as it likes.

// payload is one thing that Slack sent.
type payload interface {
	// kind is a word for logs and metrics.
	kind() string
}

type (
	// command is a slash command.
	command struct {
		Team, Enterprise, User, Command, Text, ResponseURL, Trigger string
	}
	// action is a block_actions payload with exactly one action: a button, or an input that dispatches.
	action struct{ interaction }
	// submission is a view_submission: a form sent off.
	submission struct{ interaction }
	// suggestion is a block_suggestion: someone types into a search.
	suggestion struct{ interaction }
	// shortcut is a global shortcut.
	shortcut struct{ interaction }
	// homeOpened is the event app_home_opened on the Home tab.
	homeOpened struct{ Team, Enterprise, User, ID string }
	// challenge is Slack's check that a URL is ours.
	challenge struct{ Text string }
	// unknown is anything else: acknowledged, and that is all.
	unknown struct{ What string }
)

func (command) kind() string    { return "command" }
func (action) kind() string     { return "action" }
func (submission) kind() string { return "submission" }
func (suggestion) kind() string { return "suggestion" }
func (shortcut) kind() string   { return "shortcut" }
func (homeOpened) kind() string { return "home" }
func (challenge) kind() string  { return "challenge" }
func (unknown) kind() string    { return "unknown" }

// interaction is what the interactive payloads have in common.
type interaction struct {
	Type string `json:"type"`
	Team *struct {
		ID string `json:"id"`
	} `json:"team"`
	Enterprise *struct {
		ID string `json:"id"`
	} `json:"enterprise"`
	User struct {
		ID   string `json:"id"`
		Team string `json:"team_id"`
	} `json:"user"`
	Trigger     string `json:"trigger_id"`
	ResponseURL string `json:"response_url"`
	Callback    string `json:"callback_id"`
	ActionTS    string `json:"action_ts"`
	Container   struct {
		Type      string `json:"type"` // message or view
		Message   string `json:"message_ts"`
		Channel   string `json:"channel_id"`
		Ephemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Actions []struct {
		Action   string  `json:"action_id"`
		Block    string  `json:"block_id"`
		Type     string  `json:"type"`
		Value    string  `json:"value"`
		TS       string  `json:"action_ts"`
		Selected *option `json:"selected_option"`
	} `json:"actions"`
	// Action and Value are a suggestion's: the input, and what was typed so far.
	Action string `json:"action_id"`
	Value  string `json:"value"`
	View   view   `json:"view"`
}

type option struct {
	Value string `json:"value"`
}

// view is a modal or a Home page as Slack shows it.
type view struct {
	ID       string `json:"id"`
	Type     string `json:"type"` // modal or home
	Hash     string `json:"hash"`
	Callback string `json:"callback_id"`
	Metadata string `json:"private_metadata"`
	State    struct {
		// Values by block and action id.
		Values map[string]map[string]struct {
			Value    *string `json:"value"`
			Selected *option `json:"selected_option"`
		} `json:"values"`
	} `json:"state"`
}

func (i interaction) team() string {
	if i.Team == nil {
		return ""
	}
	return i.Team.ID
}

func (i interaction) enterprise() string {
	if i.Enterprise == nil {
		return ""
	}
	return i.Enterprise.ID
}

var errMalformed = errors.New("malformed payload")

// parseHTTP reads the body of a request, whichever route it came by: JSON is an event, a form is a command or carries
// an interaction.
func parseHTTP(body []byte) (payload, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseEvent(body)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch {
	case form.Get("payload") != "":
		return parseInteraction([]byte(form.Get("payload")))
	case form.Get("command") != "":
		return command{
			Team: form.Get("team_id"), Enterprise: form.Get("enterprise_id"), User: form.Get("user_id"),
			Command: form.Get("command"), Text: unescape(form.Get("text")),
			ResponseURL: form.Get("response_url"), Trigger: form.Get("trigger_id"),
		}, nil
	case form.Get("ssl_check") != "":
		return unknown{"ssl_check"}, nil
	}
	return nil, fmt.Errorf("%w: neither an event nor a command nor an interaction", errMalformed)
}

// parseCommand reads a slash command as Socket Mode sends it.
func parseCommand(raw []byte) (payload, error) {
	var c struct {
		Team        string `json:"team_id"`
		Enterprise  string `json:"enterprise_id"`
		User        string `json:"user_id"`
		Command     string `json:"command"`
		Text        string `json:"text"`
		ResponseURL string `json:"response_url"`
		Trigger     string `json:"trigger_id"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if c.Command == "" {
		return nil, fmt.Errorf("%w: a command without a name", errMalformed)
	}
	return command{
		Team: c.Team, Enterprise: c.Enterprise, User: c.User, Command: c.Command, Text: unescape(c.Text),
		ResponseURL: c.ResponseURL, Trigger: c.Trigger,
	}, nil
}

// unescape undoes the three entities that Slack makes of what people type.
func unescape(text string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// parseInteraction reads an interactive payload. Only the types that are handled are looked into.
func parseInteraction(raw []byte) (payload, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch head.Type {
	case "block_actions", "view_submission", "block_suggestion", "shortcut":
	default:
		return unknown{head.Type}, nil
	}
	var i interaction
	if err := json.Unmarshal(raw, &i); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch head.Type {
	case "block_actions":
		if len(i.Actions) != 1 {
			return unknown{"block_actions without exactly one action"}, nil
		}
		return action{i}, nil
	case "view_submission":
		return submission{i}, nil
	case "block_suggestion":
		return suggestion{i}, nil
	}
	return shortcut{i}, nil
}

// parseEvent reads the outer envelope of the Events API and the one inner event that matters.
func parseEvent(raw []byte) (payload, error) {
	var e struct {
		Type       string `json:"type"`
		Challenge  string `json:"challenge"`
		Team       string `json:"team_id"`
		Enterprise string `json:"enterprise_id"`
		ID         string `json:"event_id"`
		Event      struct {
			Type string `json:"type"`
			Tab  string `json:"tab"`
			// User is an object in some events: it is read where it is known to be an id.
			User json.RawMessage `json:"user"`
		} `json:"event"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	switch {
	case e.Type == "url_verification":
		return challenge{e.Challenge}, nil
	case e.Type != "event_callback":
		return unknown{e.Type}, nil
	case e.Event.Type != "app_home_opened" || e.Event.Tab != "home":
		return unknown{e.Event.Type}, nil
	}
	var user string
	if err := json.Unmarshal(e.Event.User, &user); err != nil {
		return nil, fmt.Errorf("%w: app_home_opened without a user", errMalformed)
	}
	return homeOpened{Team: e.Team, Enterprise: e.Enterprise, User: user, ID: e.ID}, nil
}
