package slackfake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// triggerFor is how long a trigger can be exchanged for a dialog.
const triggerFor = 3 * time.Second

// View is a dialog or a Home page as it stands now.
type View struct {
	ID, Hash, User string
	Type           string // modal or home
	Content        map[string]any
	// State is what was filled in so far, by action id.
	State map[string]string
	// Errors are the last ones shown, by block id.
	Errors map[string]string
	Closed bool
}

// Title is what stands above a dialog.
func (v *View) Title() string {
	title, _ := v.Content["title"].(map[string]any)
	return text(title, "text")
}

// Blocks are what it shows.
func (v *View) Blocks() []any {
	blocks, _ := v.Content["blocks"].([]any)
	return blocks
}

// Home is somebody's Home page; nil where none was published.
func (s *Server) Home(user string) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copyOf(s.homes[user])
}

// Dialog is the dialog that somebody has open; nil where none is.
func (s *Server) Dialog(user string) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copyOf(s.dialog(user))
}

func (s *Server) copyOf(v *View) *View {
	if v == nil {
		return nil
	}
	out := *v
	return &out
}

// dialog is the newest open dialog. The lock is held.
func (s *Server) dialog(user string) *View {
	var found *View
	for _, v := range s.views {
		if v.User == user && !v.Closed && (found == nil || v.ID > found.ID) {
			found = v
		}
	}
	return found
}

// newTrigger makes a trigger for somebody's act. The lock is held.
func (s *Server) newTrigger(user string) string {
	id := s.id("13.37.")
	s.triggers[id] = trigger{user: user, at: s.Now()}
	return id
}

func (s *Server) viewsOpen(args map[string]any) (map[string]any, string) {
	id := text(args, "trigger_id")
	tr, ok := s.triggers[id]
	switch {
	case !ok:
		return nil, "invalid_trigger_id"
	case tr.used:
		return nil, "exchanged_trigger_id"
	case s.Now().Sub(tr.at) > triggerFor:
		return nil, "expired_trigger_id"
	}
	tr.used = true
	s.triggers[id] = tr
	content, word := s.modal(args["view"])
	if word != "" {
		return nil, word
	}
	v := &View{ID: s.id("V"), User: tr.user, Type: "modal", State: map[string]string{}}
	v.set(content, s.id("hash"))
	s.views[v.ID] = v
	return map[string]any{"view": v.wire()}, ""
}

func (s *Server) viewsUpdate(args map[string]any) (map[string]any, string) {
	v := s.views[text(args, "view_id")]
	if v == nil || v.Closed {
		return nil, "not_found"
	}
	if hash := text(args, "hash"); hash != "" && hash != v.Hash {
		return nil, "hash_conflict"
	}
	content, word := s.modal(args["view"])
	if word != "" {
		return nil, word
	}
	v.set(content, s.id("hash"))
	return map[string]any{"view": v.wire()}, ""
}

func (s *Server) viewsPublish(args map[string]any) (map[string]any, string) {
	user := text(args, "user_id")
	if s.users[user] == nil {
		return nil, "user_not_found"
	}
	content, _ := args["view"].(map[string]any)
	if broken := CheckHome(content); len(broken) > 0 {
		s.defect("home: %s", strings.Join(broken, "; "))
		return nil, "invalid_arguments"
	}
	v := s.homes[user]
	if v == nil {
		v = &View{ID: s.id("V"), User: user, Type: "home"}
		s.homes[user] = v
	}
	for _, id := range sharedIDs(v.Blocks(), content["blocks"]) {
		s.defect("views.publish: block_id %q was used by the version before", id)
	}
	v.Content, v.Hash = content, s.id("hash")
	return map[string]any{"view": v.wire()}, ""
}

// modal checks a dialog.
func (s *Server) modal(view any) (map[string]any, string) {
	content, _ := view.(map[string]any)
	if broken := CheckModal(content); len(broken) > 0 {
		s.defect("modal: %s", strings.Join(broken, "; "))
		return nil, "invalid_arguments"
	}
	return content, ""
}

// set shows other content. What was filled in stays where block id and action id stay, as in Slack.
func (v *View) set(content map[string]any, hash string) {
	before := v.fields()
	v.Content, v.Hash, v.Errors = content, hash, nil
	state := map[string]string{}
	for name, f := range v.fields() {
		switch old, ok := before[name]; {
		case ok && old.block == f.block && v.State[name] != "":
			state[name] = v.State[name]
		case f.initial != "":
			state[name] = f.initial
		}
	}
	v.State = state
}

// wire is the view as Slack sends it, in answers and in payloads.
func (v *View) wire() map[string]any {
	out := map[string]any{
		"id": v.ID, "hash": v.Hash, "type": v.Type, "team_id": Team, "app_installed_team_id": Team, "bot_id": "B0BOT",
		"state": map[string]any{"values": v.values()}, "private_metadata": "", "callback_id": "",
	}
	for name, value := range v.Content {
		out[name] = value
	}
	return out
}

// field is an input of a view.
type field struct {
	block, kind, initial string
	dispatch, optional   bool
	minLength, maxLength int
	element              map[string]any
}

// fields are the inputs of a view by action id.
func (v *View) fields() map[string]field {
	out := map[string]field{}
	for _, b := range v.Blocks() {
		block, _ := b.(map[string]any)
		if block["type"] != "input" {
			continue
		}
		e, _ := block["element"].(map[string]any)
		f := field{block: text(block, "block_id"), kind: text(e, "type"), element: e}
		f.dispatch, _ = block["dispatch_action"].(bool)
		f.optional, _ = block["optional"].(bool)
		f.initial = text(e, "initial_value")
		if o, ok := e["initial_option"].(map[string]any); ok {
			f.initial = text(o, "value")
		}
		if n, ok := e["min_length"].(float64); ok {
			f.minLength = int(n)
		}
		if n, ok := e["max_length"].(float64); ok {
			f.maxLength = int(n)
		}
		out[text(e, "action_id")] = f
	}
	return out
}

// values are state.values of the payloads: what was filled in by block and action id.
func (v *View) values() map[string]any {
	out := map[string]any{}
	for name, f := range v.fields() {
		value, filled := v.State[name]
		e := map[string]any{"type": f.kind}
		switch {
		case f.kind == "plain_text_input" && filled:
			e["value"] = value
		case f.kind == "plain_text_input":
			e["value"] = nil
		case filled:
			e["selected_option"] = map[string]any{"value": value, "text": map[string]any{"type": "plain_text", "text": value}}
		default:
			e["selected_option"] = nil
		}
		out[f.block] = map[string]any{name: e}
	}
	return out
}

// missing tells what keeps Slack's client from sending a form off.
func (v *View) missing() error {
	for name, f := range v.fields() {
		value := v.State[name]
		switch n := len([]rune(value)); {
		case value == "" && !f.optional:
			return fmt.Errorf("%s is required", name)
		case value != "" && n < f.minLength:
			return fmt.Errorf("%s has %d characters, at least %d are needed", name, n, f.minLength)
		case f.maxLength > 0 && n > f.maxLength:
			return fmt.Errorf("%s has %d characters, at most %d are allowed", name, n, f.maxLength)
		}
	}
	return nil
}

// submitted applies the answer to a form. The lock is held.
func (s *Server) submitted(v *View, answer map[string]any) {
	switch answer["response_action"] {
	case nil, "clear":
		v.Closed = true
	case "errors":
		errs, _ := answer["errors"].(map[string]any)
		v.Errors = map[string]string{}
		var blocks []string
		for _, f := range v.fields() {
			blocks = append(blocks, f.block)
		}
		for block := range errs {
			if !slices.Contains(blocks, block) {
				s.defect("response_action errors: %q is no input block", block)
			}
			v.Errors[block] = text(errs, block)
		}
		if len(errs) == 0 {
			s.defect("response_action errors without errors")
		}
	case "update":
		if content, word := s.modal(answer["view"]); word == "" {
			v.State = map[string]string{}
			v.set(content, s.id("hash"))
		}
	default:
		s.defect("unknown response_action %v", answer["response_action"])
	}
}
