package teamsfake

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dlclark/regexp2"
)

var errNoButton = errors.New("there is no such button")

// button is an action with the cards that it lies in, the outermost first: their inputs go along.
type button struct {
	action object
	cards  []object
}

// find gives the button of a label. One that opens a card stands for the button in it that confirms: the first that does
// something.
func find(card object, label string) (button, error) {
	for _, a := range actions(card) {
		if text(a, "title") == label {
			return confirmed(button{a, []object{card}})
		}
	}
	return button{}, fmt.Errorf("%w: %q is none of %q", errNoButton, label, Labels(card))
}

func confirmed(b button) (button, error) {
	if b.action["type"] != "Action.ShowCard" {
		return b, nil
	}
	opened := part(b.action, "card")
	for _, a := range actions(opened) {
		if kind := text(a, "type"); kind == "Action.Execute" || kind == "Action.Submit" {
			return button{a, append(b.cards, opened)}, nil
		}
	}
	return button{}, fmt.Errorf("%w in the card that %q opens", errNoButton, text(b.action, "title"))
}

// Press presses a button of a message, as the person saw it.
func (p *Person) Press(m Message, label string) Ack {
	b, err := p.reach(m, label)
	if err != nil {
		return Ack{Err: err}
	}
	return p.execute(m, b, p.filled(m, b))
}

// execute sends what a button says, with what was filled in beside it.
func (p *Person) execute(m Message, b button, filled map[string]string) Ack {
	if b.action["type"] != "Action.Execute" {
		return Ack{Err: fmt.Errorf("%q is an %v", text(b.action, "title"), b.action["type"])}
	}
	value, err := b.merged(filled)
	if err != nil {
		return Ack{Err: err}
	}
	return p.invoke("adaptiveCard/action", object{"action": value, "trigger": "manual"}, m, manner{tries: p.s.Retries})
}

// PressOld presses a button in a client that knows no Action.Execute: what stands there instead sends a message.
func (p *Person) PressOld(m Message, label string) Ack {
	b, err := p.reach(m, label)
	if err != nil {
		return Ack{Err: err}
	}
	if b.action["type"] == "Action.Execute" {
		fallback := part(b.action, "fallback")
		if fallback["type"] != "Action.Submit" {
			return Ack{Err: fmt.Errorf("%q has no Action.Submit to fall back to", label)}
		}
		b.action = fallback
	}
	value, err := b.merged(p.filled(m, b))
	if err != nil {
		return Ack{Err: err}
	}
	p.s.mu.Lock()
	where, err := p.s.find(m.Place())
	if err != nil {
		p.s.mu.Unlock()
		return Ack{Err: err}
	}
	a := p.activity("message", p.s.messageID(), where)
	a["value"], a["replyToId"] = value["data"], m.ID
	part(a, "channelData")["source"] = object{"name": "message"}
	p.s.mu.Unlock()
	return p.s.act(a, manner{}, plainly)
}

// reach finds a button on something that the person can see.
func (p *Person) reach(m Message, label string) (button, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	where, err := p.s.find(m.Place())
	if err != nil {
		return button{}, err
	}
	if m.To != "" && m.To != p.u.id || !slices.Contains(p.s.roster(where), p.u) {
		return button{}, fmt.Errorf("%s does not see the message", p.u.Name)
	}
	return find(m.Card, label)
}

// merged is the action of a button with its data and what was filled in. The error is what the client refuses.
func (b button) merged(filled map[string]string) (object, error) {
	out := object{}
	for _, name := range []string{"type", "id", "verb", "title"} {
		if v, ok := b.action[name]; ok {
			out[name] = v
		}
	}
	data, isObject := b.action["data"].(object)
	if b.action["data"] != nil && !isObject {
		return nil, fmt.Errorf("the data of %q is no object, so nothing can be filled in beside it", text(b.action, "title"))
	}
	data = maps.Clone(data)
	if data == nil {
		data = object{}
	}
	out["data"] = data
	if strings.EqualFold(text(b.action, "associatedInputs"), "none") {
		return out, nil
	}
	var wrong []error
	for _, card := range b.cards {
		for _, in := range Inputs(card) {
			value := filled[in.ID]
			wrong = append(wrong, in.refuses(value))
			if value != "" || in.Kind != "ChoiceSet" { // where nothing is chosen, nothing is sent
				data[in.ID] = value
			}
		}
	}
	return out, errors.Join(wrong...)
}

// filled is what stands in the inputs that go with a button, by their ids.
func (p *Person) filled(m Message, b button) map[string]string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	out := map[string]string{}
	for _, card := range b.cards {
		for _, in := range Inputs(card) {
			out[in.ID] = p.value(m.ID, in)
		}
	}
	return out
}

// value is what stands in an input. The lock is held.
func (p *Person) value(message string, in Input) string {
	if v := p.s.sights[sightKey{p.u.id, message}]; v != nil {
		if filled, ok := v.filled[in.ID]; ok {
			return filled
		}
	}
	return in.Value
}

// refuses tells what keeps a client from sending an input off.
func (in Input) refuses(value string) error {
	switch {
	case value == "" && in.Required:
		return fmt.Errorf("%s is required", in.ID)
	case value == "" || in.Regex == "":
		return nil
	}
	form, err := regexp2.Compile(in.Regex, regexp2.ECMAScript)
	if err != nil {
		return fmt.Errorf("%s: %w", in.ID, err)
	}
	ok, err := form.MatchString(value)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %q does not match %q", in.ID, value, in.Regex)
	}
	return err
}

// maxRefreshers is how many people a card is refreshed for by itself.
const maxRefreshers = 60

// Refreshes tells whether the person's client asks for a message anew by itself: the card names them, among the first
// 60, or names nobody at all where at most 60 can see it.
func (p *Person) Refreshes(m Message) bool {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	refresh := part(m.Card, "refresh")
	where, err := p.s.find(m.Place())
	if err != nil || part(refresh, "action")["type"] != "Action.Execute" {
		return false
	}
	ids := list(refresh, "userIds")
	if refresh["userIds"] == nil {
		return len(p.s.roster(where)) <= maxRefreshers
	}
	return slices.Contains(ids[:min(len(ids), maxRefreshers)], any(p.u.id))
}

// Refresh does what a client does that shows a message: it asks for the person's own view of it.
func (p *Person) Refresh(m Message) Ack { return p.refresh(m, manner{}) }

func (p *Person) refresh(m Message, how manner) Ack {
	if !p.Refreshes(m) {
		return Ack{Err: fmt.Errorf("%s's client does not ask for the message anew", p.u.Name)}
	}
	action := part(part(m.Card, "refresh"), "action")
	value := object{"type": "Action.Execute", "verb": action["verb"], "data": action["data"]}
	return p.invoke("adaptiveCard/action", object{"action": value, "trigger": "automatic"}, m, how)
}

// look makes the clients of everybody ask for a message that is new, or was edited, as they do. The lock is held.
func (s *Server) look(m *Message) {
	if !s.Lively || m.Card["refresh"] == nil {
		return
	}
	seen := *m
	for _, u := range s.users {
		s.looking.Go(func() {
			if p := (&Person{s: s, ID: u.id, u: u}); p.Refreshes(seen) {
				p.refresh(seen, manner{aside: true})
			}
		})
	}
}
