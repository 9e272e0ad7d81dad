package teamsfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// sightKey names a message as one person sees it. Ids of messages are never used twice.
type sightKey struct{ person, message string }

// sight is what one person sees of a message, and what they filled in there.
type sight struct {
	card   map[string]any // instead of the message's, until that is edited; nil: the message's
	serial int64
	filled map[string]string
	found  map[string][]Choice // by input: what searches found so far
}

// showing is something that one person alone was shown in answer to what they did.
type showing struct {
	person string
	Message
}

// sight gives what somebody sees of a message, to be changed. The lock is held.
func (s *Server) sight(person, message string) *sight {
	key := sightKey{person, message}
	if s.sights[key] == nil {
		s.sights[key] = &sight{filled: map[string]string{}, found: map[string][]Choice{}}
	}
	return s.sights[key]
}

// invoke sends an invoke, and shows the person what is answered.
func (p *Person) invoke(name string, value object, on Message, how manner) Ack {
	p.s.mu.Lock()
	where, err := p.s.find(on.Place())
	if err != nil {
		p.s.mu.Unlock()
		return Ack{Err: err}
	}
	a := p.activity("invoke", p.s.invokeID(), where)
	a["name"], a["value"], a["replyToId"] = name, value, on.ID
	part(a, "channelData")["source"] = object{"name": "message"}
	asked := p.s.tick()
	p.s.mu.Unlock()
	automatic := value["trigger"] == "automatic"
	return p.s.act(a, how, func(ack Ack) Ack { return p.s.understood(p, on, asked, automatic, ack) })
}

// Place is the id of the conversation that a message belongs to: in a channel, its thread's.
func (m Message) Place() string {
	switch {
	case !strings.HasPrefix(m.Conversation, "19:"):
		return m.Conversation
	case m.Thread != "":
		return m.Conversation + threadMark + m.Thread
	}
	return m.Conversation + threadMark + m.ID
}

// answer is what the bot makes of an invoke.
type answer struct {
	Status *int            `json:"statusCode"`
	Type   string          `json:"type"`
	Value  json.RawMessage `json:"value"`
}

// understand reads the answer to an invoke; an error where Teams' clients would say that something went wrong.
func (a Ack) understand() (answer, error) {
	var out answer
	if a.Status != http.StatusOK {
		return out, fmt.Errorf("an invoke was answered with HTTP %d %.200q", a.Status, a.Body)
	}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		return out, fmt.Errorf("an invoke was answered with %.200q: %w", a.Body, err)
	}
	return out, nil
}

// understood does with the answer to a button what Teams' clients do. What they do not understand is a defect of the bot.
func (s *Server) understood(p *Person, on Message, asked int64, automatic bool, ack Ack) Ack {
	if ack.Err != nil {
		return ack
	}
	a, err := ack.understand()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = s.show(p, on, asked, automatic, a)
	}
	if err != nil {
		s.defect("%v", err)
		ack.Err = err
	}
	return ack
}

// show shows somebody the answer to what was asked at a tick. The lock is held.
func (s *Server) show(p *Person, on Message, asked int64, automatic bool, a answer) error {
	status := http.StatusOK
	if a.Status != nil {
		status = *a.Status
	}
	said := on
	said.Serial, said.To = s.tick(), p.u.id
	switch {
	case status == http.StatusOK && a.Type == cardType:
		var card object
		err := json.Unmarshal(a.Value, &card)
		if err == nil {
			err = errors.Join(faults(card)...)
		}
		if n := utf16Bytes(a.Value); err == nil && n > maxMessage {
			err = fmt.Errorf("a card of %d bytes", n)
		}
		if err != nil {
			return fmt.Errorf("the card in an answer: %w", err)
		}
		if m := s.message(on.Conversation, on.ID); automatic && (m == nil || len(m.Before) != len(on.Before)) {
			return nil // the message was edited since, and is asked for once more
		}
		v := s.sight(p.u.id, on.ID)
		if automatic && v.serial > asked {
			return nil // what they pressed since has been answered
		}
		*v = sight{card: card, serial: said.Serial, filled: map[string]string{}, found: map[string][]Choice{}}
		said.Content = Content{Card: card}
	case status == http.StatusOK && a.Type == "application/vnd.microsoft.activity.message":
		var words string
		if err := json.Unmarshal(a.Value, &words); err != nil || words == "" {
			return fmt.Errorf("the message in an answer is %s", a.Value)
		}
		said.Content = Content{Text: words}
	case status >= 400 && status < 600 && a.Type == "application/vnd.microsoft.error":
		var problem struct{ Code, Message string }
		if err := json.Unmarshal(a.Value, &problem); err != nil || problem.Code == "" || problem.Message == "" {
			return fmt.Errorf("the error in an answer is %s", a.Value)
		}
		said.Content = Content{Text: problem.Message}
	default:
		return fmt.Errorf("Teams knows no answer %d %q", status, a.Type)
	}
	if !automatic { // of what clients ask by themselves, only the card changes
		s.shown = append(s.shown, showing{p.u.id, said})
	}
	return nil
}

func faults(card object) []error {
	var out []error
	for _, f := range CheckCard(card) {
		out = append(out, errors.New(f))
	}
	return out
}

// Told is what the person alone was shown in answer to what they did, oldest first: cards in the place of messages,
// sentences, and targeted messages of the bot as they stand.
func (p *Person) Told() []Message {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	out := p.s.pick(func(m *Message) bool { return m.To == p.u.id && m.From == Bot })
	for _, each := range p.s.shown {
		if each.person == p.u.id {
			out = append(out, each.Message)
		}
	}
	slices.SortStableFunc(out, func(a, b Message) int { return int(a.Serial - b.Serial) })
	return out
}
