package teamsfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// maxChoices is how many results of a search are shown.
const maxChoices = 15

var errNoForm = errors.New("there is nothing to fill in")

// Form is a card with inputs that somebody sees.
type Form struct {
	Message // with the card as the person sees it
	Inputs  []Input
	Values  map[string]string // what stands in the inputs, by their ids
}

// Form is the newest card with inputs that the person sees: in a message, or in the place of one. Nil: there is none.
func (p *Person) Form() *Form {
	var newest *Message
	for _, conversation := range p.places() {
		for _, m := range p.Sees(conversation) {
			if len(Inputs(m.Card)) > 0 && (newest == nil || m.Serial > newest.Serial) {
				newest = &m
			}
		}
	}
	if newest == nil {
		return nil
	}
	f := &Form{Message: *newest, Inputs: Inputs(newest.Card), Values: map[string]string{}}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, in := range f.Inputs {
		f.Values[in.ID] = p.value(f.ID, in)
	}
	return f
}

// places are the conversations that the person sees.
func (p *Person) places() []string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	out := []string{p.u.chat}
	for id := range p.s.channels {
		if p.u.InTeam {
			out = append(out, id)
		}
	}
	return out
}

func (f *Form) input(id string) (Input, error) {
	if f == nil {
		return Input{}, errNoForm
	}
	i := slices.IndexFunc(f.Inputs, func(in Input) bool { return in.ID == id })
	if i < 0 {
		return Input{}, fmt.Errorf("the form has no input %q", id)
	}
	return f.Inputs[i], nil
}

// Fill types or chooses something in the form that the person sees. The error is what the client does not let them do.
func (p *Person) Fill(input, value string) error {
	f := p.Form()
	in, err := f.input(input)
	if err != nil {
		return err
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	v := p.s.sight(p.u.id, f.ID)
	if n := len(utf16.Encode([]rune(value))); in.MaxLength > 0 && n > in.MaxLength {
		return fmt.Errorf("%s takes %d characters, not %d", input, in.MaxLength, n)
	}
	if in.Kind == "Text" {
		v.filled[input] = value
		return nil
	}
	offered := append(slices.Clone(in.Choices), v.found[input]...)
	if !slices.ContainsFunc(offered, func(c Choice) bool { return c.Value == value }) {
		return fmt.Errorf("%s does not offer %q but %v", input, value, offered)
	}
	v.filled[input] = value
	return nil
}

// Submit presses a button of a form, found by the beginning of its verb. The form may be one that an edit of its message
// took away in this moment.
func (p *Person) Submit(f *Form, verb string) Ack {
	if f == nil {
		return Ack{Err: errNoForm}
	}
	b, ok := f.button(verb)
	if !ok {
		return Ack{Err: fmt.Errorf("%w: %q", errNoButton, verb)}
	}
	return p.execute(f.Message, b, f.Values)
}

// Has tells whether a form has a button whose verb begins so.
func (f *Form) Has(verb string) bool {
	_, ok := f.button(verb)
	return ok
}

func (f *Form) button(verb string) (button, bool) {
	for _, a := range actions(f.Card) {
		if strings.HasPrefix(text(a, "verb"), verb) {
			return button{a, []object{f.Card}}, true
		}
	}
	return button{}, false
}

// Search types into a search of the person's form and gives what is shown to choose from.
func (p *Person) Search(input, typed string) ([]Choice, error) {
	f := p.Form()
	in, err := f.input(input)
	if err != nil {
		return nil, err
	}
	if in.Dataset == "" {
		return nil, fmt.Errorf("%s is no search", input)
	}
	value := object{"queryText": typed, "dataset": in.Dataset, "queryOptions": object{"skip": 0, "top": maxChoices}}
	p.s.mu.Lock()
	where, err := p.s.find(f.Place())
	if err != nil {
		p.s.mu.Unlock()
		return nil, err
	}
	a := p.activity("invoke", p.s.invokeID(), where)
	a["name"], a["value"] = "application/search", value
	p.s.mu.Unlock()
	var found []Choice
	ack := p.s.act(a, manner{}, func(ack Ack) Ack {
		if ack.Err == nil {
			found, ack.Err = ack.results()
		}
		return ack
	})
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if ack.Err != nil {
		if ack.Status != 0 {
			p.s.defect("%v", ack.Err)
		}
		return nil, ack.Err
	}
	v := p.s.sight(p.u.id, f.ID)
	v.found[input] = append(v.found[input], found...)
	return found, nil
}

// results are what a search found, as far as they are shown.
func (a Ack) results() ([]Choice, error) {
	said, err := a.understand()
	if err != nil {
		return nil, err
	}
	var value struct{ Results []Choice }
	if said.Status != nil && *said.Status != 200 || said.Type != "application/vnd.microsoft.search.searchResponse" {
		return nil, fmt.Errorf("a search was answered with %.200s", a.Body)
	}
	if err := json.Unmarshal(said.Value, &value); err != nil || value.Results == nil {
		return nil, fmt.Errorf("a search found %.200s", said.Value)
	}
	for _, c := range value.Results {
		if c.Title == "" || c.Value == "" {
			return nil, fmt.Errorf("a search found something without title or value: %.200s", said.Value)
		}
	}
	return value.Results[:min(len(value.Results), maxChoices)], nil
}
