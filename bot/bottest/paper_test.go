package bottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"elevate/bot"
)

// paper is the simplest chat that there can be, adapter and service in one, for the suite to be tried on. flaw makes it
// break one promise.
type paper struct {
	talk conversation
	flaw string

	mu     sync.Mutex
	posted []*note
	forms  map[string]*Form
	about  map[string]bot.Form // what the forms were made from
	told   map[string][]Shown
	homes  map[string]*Shown
	last   func()
	done   map[string]bool
	acts   int
	down   bool
}

// conversation is what is behind paper: Talk, or the bot.
type conversation interface {
	Command(ctx context.Context, who bot.Who, words string) bot.Answer
	Click(ctx context.Context, who bot.Who, c bot.Click) bot.Answer
	Submit(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Refresh(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Suggest(ctx context.Context, who bot.Who, input, typed string) []bot.Option
	Home(ctx context.Context, who bot.Who) bot.Card
}

// note is a message.
type note struct {
	shown  Shown
	person string // who reads it; empty: everybody
	card   bot.Card
}

func newPaper(talk conversation, flaw string) *paper {
	return &paper{talk: talk, flaw: flaw, forms: map[string]*Form{}, about: map[string]bot.Form{}, told: map[string][]Shown{},
		homes: map[string]*Shown{}, done: map[string]bool{}}
}

func (p *paper) Chat() bot.Chat  { return p }
func (p *paper) Channel() string { return "everybody" }
func (p *paper) Name() string    { return "paper" }

func (p *paper) Post(_ context.Context, to bot.Address, c bot.Card) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case to.Person == Nobody && p.flaw != "nobody is not final":
		return "", &bot.ChatError{Op: "post", Final: true, Err: errors.New("no account")}
	case to.Person == Nobody:
		return "", errors.New("no account")
	case p.down:
		return "", &bot.ChatError{Op: "post", Final: p.flaw == "down is final", Err: errors.New("down")}
	}
	n := &note{shown: p.show(c), person: string(to.Person), card: c}
	n.shown.Ref, n.shown.Thread = fmt.Sprintf("note-%d", len(p.posted)), to.Thread
	switch p.flaw {
	case "personal is public":
		n.person = ""
	case "threads are forgotten":
		n.shown.Thread = ""
	}
	p.posted = append(p.posted, n)
	if p.flaw == "every message is posted twice" {
		twin := *n
		twin.shown.Ref += "-again"
		p.posted = append(p.posted, &twin)
	}
	return n.shown.Ref, nil
}

func (p *paper) Update(_ context.Context, ref string, c bot.Card) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return &bot.ChatError{Op: "update", Final: p.flaw == "down is final", Err: errors.New("down")}
	}
	i := slices.IndexFunc(p.posted, func(n *note) bool { return n.shown.Ref == ref })
	if i < 0 {
		return &bot.ChatError{Op: "update", Final: p.flaw != "an unknown reference is tried again", Err: errors.New("no such note")}
	}
	before, after := p.posted[i].shown, p.show(c)
	after.Ref, after.Thread = before.Ref, before.Thread
	switch p.flaw {
	case "an update appends":
		after.Text = before.Text + after.Text
	case "an update posts":
		p.posted = append(p.posted, &note{shown: after, card: c})
		return nil
	case "an update is lost":
		return nil
	case "buttons stay":
		after.Buttons, after.Native = before.Buttons, before.Native
	}
	p.posted[i].shown, p.posted[i].card = after, c
	return nil
}

// show renders a card as text.
func (p *paper) show(c bot.Card) Shown {
	s := Shown{Notice: c.Summary, Text: c.Title + "\n", Native: c}
	button := func(all []bot.Button) {
		for _, b := range all {
			s.Buttons = append(s.Buttons, b.Label)
		}
	}
	for _, part := range c.Parts {
		switch part := part.(type) {
		case bot.Text:
			s.Text += p.words(part.Spans)
		case bot.Quote:
			s.Text += p.markup(part.Text)
		case bot.Heading:
			s.Text += part.Text
		case bot.Facts:
			for _, row := range part.Rows {
				s.Text += row.Label + p.words(row.Value)
			}
		case bot.Item:
			s.Text += p.words(part.Spans)
			button(part.Buttons)
		case bot.Buttons:
			button(part.Buttons)
		}
		s.Text += "\n"
	}
	s.Calls = p.called(c)
	switch p.flaw {
	case "parts are lost":
		s.Text = strings.Replace(s.Text, "fine print", "", 1)
	case "long words are cut":
		s.Text = string([]rune(s.Text)[:min(len([]rune(s.Text)), 900)])
	case "long cards lose their end":
		s.Buttons = s.Buttons[:min(len(s.Buttons), 4)]
		if len(s.Text) > 10_000 {
			s.Buttons = s.Buttons[:3]
		}
	}
	return s
}

// called are those whom a card mentions.
func (p *paper) called(c bot.Card) []string {
	var out []string
	look := func(spans []bot.Span) {
		for _, s := range spans {
			if s.Mention || s.Person != "" && p.flaw == "every name is called" {
				out = append(out, string(s.Person))
			}
		}
	}
	for _, part := range c.Parts {
		switch part := part.(type) {
		case bot.Text:
			look(part.Spans)
		case bot.Facts:
			for _, row := range part.Rows {
				look(row.Value)
			}
		}
	}
	return out
}

func (p *paper) words(spans []bot.Span) string {
	out := ""
	for _, s := range spans {
		out += p.markup(s.Text) + s.Name
	}
	return out
}

// markup parses what is not to be parsed.
func (p *paper) markup(text string) string {
	if p.flaw == "people's words are parsed" {
		return strings.NewReplacer("*", "", "_", "").Replace(text)
	}
	return text
}

func (p *paper) who(person string) bot.Who {
	switch {
	case p.flaw == "clicks count for another" && person == Ana && p.told[Ana] != nil, p.flaw == "strangers pass" && person == Eve:
		person = Lea
	}
	return bot.Who{Chat: "paper", Account: person}
}

// act does something unless it was done, and remembers it.
func (p *paper) act(what func()) {
	p.mu.Lock()
	p.acts++
	key := fmt.Sprint(p.acts)
	again := func() {
		p.mu.Lock()
		known := p.done[key]
		p.done[key] = true
		p.mu.Unlock()
		if !known || p.flaw == "twice is twice" {
			what()
		}
	}
	p.last = again
	p.mu.Unlock()
	again()
}

func (p *paper) Redeliver() error {
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	last()
	return nil
}

func (p *paper) Type(person, words string) error {
	if p.flaw == "commands are trimmed" {
		words = strings.Join(strings.FieldsFunc(words, func(r rune) bool { return r == '&' }), "")
	}
	p.act(func() { p.answer(person, p.talk.Command(context.Background(), p.who(person), words)) })
	return nil
}

// answer shows somebody an answer.
func (p *paper) answer(person string, a bot.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := person
	switch p.flaw {
	case "answers are public":
		if a.Card != nil {
			p.posted = append(p.posted, &note{shown: p.show(*a.Card)})
		}
	case "answers go to another":
		to = map[string]string{Ana: Ben, Ben: Ana}[person]
	}
	switch {
	case a.Form != nil:
		p.open(to, *a.Form)
	case a.Card != nil:
		if p.flaw != "the form stays open" {
			delete(p.forms, person)
		}
		if p.flaw == "answers are lost" {
			return
		}
		p.told[to] = append(p.told[to], p.show(*a.Card))
	case len(a.Errors) > 0 && p.forms[person] != nil && p.flaw != "complaints are lost":
		p.forms[person].Errors = a.Errors
	}
}

func (p *paper) open(person string, f bot.Form) {
	before := p.forms[person]
	out := &Form{Title: f.Title, Values: map[string]string{}, Text: p.show(bot.Card{Parts: f.Intro}).Text}
	for _, in := range f.Inputs {
		out.Inputs = append(out.Inputs, in.Name)
		switch {
		case before != nil && before.Values[in.Name] != "" && p.flaw != "a refresh forgets":
			out.Values[in.Name] = before.Values[in.Name]
		case in.Initial != nil:
			out.Values[in.Name] = in.Initial.Value
		case in.Text != "":
			out.Values[in.Name] = in.Text
		}
	}
	if p.flaw == "forms forget their request" {
		f.Request = ""
	}
	p.forms[person], p.about[person] = out, f
}

// find gives the button of a label.
func find(c bot.Card, label string) bot.Button {
	for _, part := range c.Parts {
		var all []bot.Button
		switch part := part.(type) {
		case bot.Buttons:
			all = part.Buttons
		case bot.Item:
			all = part.Buttons
		}
		for _, b := range all {
			if b.Label == label {
				return b
			}
		}
	}
	return bot.Button{}
}

func (p *paper) Press(person string, on Shown, label string) error {
	b := find(on.Native.(bot.Card), label)
	c := bot.Click{Action: b.Action, Request: b.Request, Message: on.Ref}
	switch p.flaw {
	case "clicks forget their message":
		c.Message = ""
	case "clicks forget their request":
		c.Request = ""
	}
	p.act(func() { p.answer(person, p.talk.Click(context.Background(), p.who(person), c)) })
	return nil
}

func (p *paper) Search(person, input, typed string) ([]string, error) {
	var out []string
	for _, o := range p.talk.Suggest(context.Background(), p.who(person), input, typed) {
		out = append(out, o.Value)
	}
	if p.flaw == "searches find nothing" {
		return nil, nil
	}
	return out, nil
}

func (p *paper) Fill(person, input, value string) error {
	p.mu.Lock()
	p.forms[person].Values[input] = value
	sub := p.submission(person)
	refresh := slices.ContainsFunc(p.about[person].Inputs, func(in bot.Input) bool { return in.Name == input && in.Refresh })
	p.mu.Unlock()
	if refresh && p.flaw != "forms are never asked for again" {
		p.answer(person, p.talk.Refresh(context.Background(), p.who(person), sub))
	}
	return nil
}

// submission is what the person filled in. The lock is held.
func (p *paper) submission(person string) bot.Submission {
	values := map[string]string{}
	for name, value := range p.forms[person].Values {
		if values[name] = p.markup(value); p.flaw == "forms send what stood in them" {
			values[name] = ""
			for _, in := range p.about[person].Inputs {
				if in.Name == name && in.Initial != nil {
					values[name] = in.Initial.Value
				}
			}
		}
	}
	return bot.Filled(p.about[person].Name, p.about[person].Request, values)
}

func (p *paper) Send(person string) error {
	p.mu.Lock()
	sub := p.submission(person)
	p.mu.Unlock()
	p.act(func() { p.answer(person, p.talk.Submit(context.Background(), p.who(person), sub)) })
	return nil
}

func (p *paper) OpenHome(person string) error {
	card := p.talk.Home(context.Background(), p.who(person))
	p.mu.Lock()
	defer p.mu.Unlock()
	page := p.show(card)
	if p.flaw == "pages are never brought up to date" && p.homes[person] != nil {
		return nil
	}
	p.homes[person] = &page
	if p.flaw == "pages are everybody's" {
		p.homes[Ben] = &page
	}
	return nil
}

func (p *paper) notes(person string) []Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Shown
	for _, n := range p.posted {
		if n.person == person {
			out = append(out, n.shown)
		}
	}
	return out
}

func (p *paper) Posted() []Shown                { return p.notes("") }
func (p *paper) Personal(person string) []Shown { return p.notes(person) }

func (p *paper) Told(person string) []Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told[person])
}

func (p *paper) Form(person string) *Form {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forms[person]
}

func (p *paper) Home(person string) *Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.homes[person]
}

func (p *paper) Break(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// Await looks once: on paper nothing takes time.
func (p *paper) Await(is func() bool) bool { return is() }
