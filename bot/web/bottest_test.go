package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/workflows/access"
)

const room = "access"

// TestSuite: the promise of every chat's adapter.
func TestSuite(t *testing.T) {
	t.Parallel()
	bottest.Run(t, func(t bottest.T, talk *bottest.Talk) bottest.Rig {
		return newRig(t, talk, []Person{{ID: bottest.Ana}, {ID: bottest.Ben}}, nil)
	}, map[string]string{
		"a chat that is down is not": "the chat is memory in the server's own process: there is no service to be down",
	})
}

// TestStories: what people do, from its beginning to its end.
func TestStories(t *testing.T) {
	t.Parallel()
	bottest.Tell(t, bottest.Stage{
		Name: Name, Channel: room,
		Open: func(t bottest.T, o *bottest.Office) bottest.Rig {
			var people []Person
			for _, p := range o.People {
				people = append(people, Person{ID: p.ID, Name: p.Name})
			}
			return newRig(t, o.Bot, people, o.Now)
		},
		Cannot: map[string]string{
			"a chat that is down delays nothing and catches up": "the chat is memory in the server's own process: there is no service to be down",
		},
	})
}

// rig is a page in the hands of the suite: it talks to a server over HTTP as page/*.js do.
type rig struct {
	bottest.T
	chat   *Chat
	url    string
	token  string
	client *http.Client

	mu    sync.Mutex
	forms map[string]*openForm
	told  map[string][]bottest.Shown // answers to what was done on Home, which go to no room
	homes map[string]*bottest.Shown
	last  func() error
}

// openForm is a form and where it was opened.
type openForm struct {
	formView
	at     place
	values map[string]string
	errors map[string]string
}

// pressed is what the page knows of the buttons on something shown.
type pressed struct {
	at      place
	buttons []buttonView
}

func newRig(t bottest.T, talker Talker, people []Person, now func() time.Time) *rig {
	t.Helper()
	r := &rig{T: t, chat: NewChat(people, []Channel{{ID: room}}, now), client: &http.Client{},
		forms: map[string]*openForm{}, told: map[string][]bottest.Shown{}, homes: map[string]*bottest.Shown{}}
	server, err := NewServer(Config{Chat: r.chat, Talker: talker})
	if err != nil {
		t.Fatalf("%v", err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(func() { r.client.CloseIdleConnections(); h.Close() })
	r.url = h.URL
	r.token = tokenOf(t, r.client, h.URL)
	return r
}

var tokenMark = regexp.MustCompile(`name="elevate-token" content="([A-Z0-9]+)"`)

// tokenOf reads the page's token off the page.
func tokenOf(t bottest.T, client *http.Client, address string) string {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer res.Body.Close()
	var page bytes.Buffer
	if _, err := page.ReadFrom(res.Body); err != nil {
		t.Fatalf("%v", err)
	}
	found := tokenMark.FindSubmatch(page.Bytes())
	if found == nil {
		t.Fatalf("no token on the page: %s", page.String())
	}
	return string(found[1])
}

// call sends a request as the page does, and decodes what is answered into out.
func (r *rig) call(method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, r.url+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set(tokenHeader, r.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", r.url)
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var no problem
		_ = json.NewDecoder(res.Body).Decode(&no)
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, no.Error)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// act does something under a name of its own, remembers it, and shows what is answered. body is what is sent from a
// place.
func (r *rig) act(path string, at place, body func(place) any) error {
	at.Deed = rand.Text()
	do := func() error {
		var a answer
		if err := r.call(http.MethodPost, path, body(at), &a); err != nil {
			return err
		}
		r.answered(at, path, a)
		return nil
	}
	r.mu.Lock()
	r.last = do
	r.mu.Unlock()
	return do()
}

func (r *rig) answered(at place, path string, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	person := string(at.Person)
	switch f := r.forms[person]; {
	case a.Form != nil:
		r.open(person, at, *a.Form)
	case len(a.Errors) > 0 && f != nil:
		f.errors = a.Errors
	case path == "/chat/submit":
		delete(r.forms, person)
	}
	if a.Card != nil && at.Room == "" {
		r.told[person] = append(r.told[person], shown("", at, *a.Card))
	}
}

// open shows a form, keeping what was filled in. The lock is held.
func (r *rig) open(person string, at place, v formView) {
	f := &openForm{formView: v, at: at, values: map[string]string{}, errors: map[string]string{}}
	before := r.forms[person]
	for _, in := range v.Inputs {
		f.values[in.Name] = in.Text
		if in.Initial != nil {
			f.values[in.Name] = in.Initial.Value
		}
		if before != nil && before.Name == v.Name && before.values[in.Name] != "" {
			f.values[in.Name] = before.values[in.Name]
		}
	}
	r.forms[person] = f
}

func (r *rig) Chat() bot.Chat  { return r.chat }
func (r *rig) Channel() string { return room }

func (r *rig) Type(person, words string) error {
	at := place{Person: access.PersonID(person), Room: room}
	return r.act("/chat/say", at, func(at place) any {
		return struct {
			place
			Text string `json:"text"`
		}{at, "/elevate " + words}
	})
}

func (r *rig) Press(person string, on bottest.Shown, label string) error {
	p := on.Native.(pressed)
	i := slices.IndexFunc(p.buttons, func(b buttonView) bool { return b.Label == label })
	if i < 0 {
		return fmt.Errorf("no button %q", label)
	}
	at := p.at
	at.Person = access.PersonID(person) // anybody may press what stands in a channel
	return r.act("/chat/click", at, func(at place) any {
		return struct {
			place
			Action  bot.Action       `json:"action"`
			Request access.RequestID `json:"request"`
		}{at, p.buttons[i].Action, p.buttons[i].Request}
	})
}

func (r *rig) Redeliver() error {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	return last()
}

func (r *rig) Search(person, input, typed string) ([]string, error) {
	var options []optionView
	err := r.call(http.MethodGet, "/chat/suggest?"+url.Values{"person": {person}, "input": {input}, "typed": {typed}}.Encode(), nil, &options)
	var out []string
	for _, o := range options {
		out = append(out, o.Value)
	}
	return out, err
}

// filledIn is a person's form as the page sends it.
func (r *rig) filledIn(person string) (filled, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.forms[person]
	if f == nil {
		return filled{}, fmt.Errorf("%s has no form", person)
	}
	values := map[string]string{}
	for name, value := range f.values {
		values[name] = value
	}
	return filled{place: f.at, Form: f.Name, Request: f.Request, Values: values}, nil
}

func (r *rig) Fill(person, input, value string) error {
	r.mu.Lock()
	f := r.forms[person]
	if f == nil {
		r.mu.Unlock()
		return fmt.Errorf("%s has no form", person)
	}
	i := slices.IndexFunc(f.Inputs, func(in inputView) bool { return in.Name == input })
	if i < 0 {
		r.mu.Unlock()
		return fmt.Errorf("the form has no input %q", input)
	}
	f.values[input] = value
	refresh := f.Inputs[i].Refresh
	r.mu.Unlock()
	if !refresh {
		return nil
	}
	in, err := r.filledIn(person)
	if err != nil {
		return err
	}
	return r.act("/chat/refresh", in.place, func(at place) any {
		in.place = at
		return in
	})
}

func (r *rig) Send(person string) error {
	in, err := r.filledIn(person)
	if err != nil {
		return err
	}
	return r.act("/chat/submit", in.place, func(at place) any {
		in.place = at
		return in
	})
}

func (r *rig) OpenHome(person string) error {
	var card cardView
	if err := r.call(http.MethodGet, "/chat/home?person="+url.QueryEscape(person), nil, &card); err != nil {
		return err
	}
	page := shown("", place{Person: access.PersonID(person)}, card)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.homes[person] = &page
	return nil
}

// messages are what the server tells a person's page when it opens.
func (r *rig) messages(person string) []*message {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/chat/stream?since=0&person="+url.QueryEscape(person), http.NoBody)
	if err != nil {
		r.Errorf("stream: %v", err)
		return nil
	}
	req.Header.Set(tokenHeader, r.token)
	res, err := r.client.Do(req)
	if err != nil {
		r.Errorf("stream: %v", err)
		return nil
	}
	defer res.Body.Close()
	var n news
	if err := nextNews(bufio.NewReader(res.Body), &n); err != nil {
		r.Errorf("stream: %v", err)
	}
	return n.Messages
}

// nextNews reads the next event of news.
func nextNews(stream *bufio.Reader, n *news) error {
	name := ""
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimSuffix(line, "\n")
		if event, ok := strings.CutPrefix(line, "event: "); ok {
			name = event
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && name == "news" {
			return json.Unmarshal([]byte(data), n)
		}
	}
}

// seen are the cards that a person finds, of all that their page was told.
func (r *rig) seen(person string, is func(m *message) bool) []bottest.Shown {
	var out []bottest.Shown
	for _, m := range r.messages(person) {
		if m.Card != nil && is(m) {
			s := shown(m.Ref, place{Person: access.PersonID(person), Room: m.Room, Message: m.Ref}, *m.Card)
			s.Thread = m.Thread
			if m.Only != "" {
				s.Ref = ""
			}
			out = append(out, s)
		}
	}
	return out
}

// Posted is what Ben finds in the channel: nobody in particular.
func (r *rig) Posted() []bottest.Shown {
	return r.seen(bottest.Ben, func(m *message) bool { return m.Room == room && m.Only == "" })
}

func (r *rig) Personal(person string) []bottest.Shown {
	return r.seen(person, func(m *message) bool { return m.Room != room && m.Only == "" })
}

func (r *rig) Told(person string) []bottest.Shown {
	out := r.seen(person, func(m *message) bool { return m.Only != "" })
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(out, r.told[person]...)
}

func (r *rig) Form(person string) *bottest.Form {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.forms[person]
	if f == nil {
		return nil
	}
	out := &bottest.Form{Title: f.Title, Text: shown("", place{}, cardView{Parts: f.Intro}).Text, Values: map[string]string{}, Errors: f.errors}
	for _, in := range f.Inputs {
		out.Inputs = append(out.Inputs, in.Name)
		out.Values[in.Name] = f.values[in.Name]
	}
	return out
}

func (r *rig) Home(person string) *bottest.Shown {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.homes[person]
}

// Break is never asked for: see what the chat cannot.
func (r *rig) Break(bool) { r.Errorf("the web chat cannot be broken") }

func (r *rig) Await(is func() bool) bool { return bottest.Await(bottest.Patience, is) }

// shown is a card as page/cards.js sets it: every text as text.
func shown(ref string, at place, c cardView) bottest.Shown {
	s := bottest.Shown{Ref: ref, Notice: c.Summary}
	var text strings.Builder
	text.WriteString(c.Title + "\n")
	buttons := []buttonView{}
	for _, p := range c.Parts {
		text.WriteString(p.Text + words(p.Spans))
		for _, row := range p.Rows {
			text.WriteString(row.Label + " " + words(row.Value) + "\n")
		}
		text.WriteString("\n")
		buttons = append(buttons, p.Buttons...)
	}
	for _, b := range buttons {
		s.Buttons = append(s.Buttons, b.Label)
	}
	for p := range c.mentions() {
		s.Calls = append(s.Calls, string(p))
	}
	s.Text, s.Native = text.String(), pressed{at, buttons}
	return s
}

func words(spans []spanView) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Text)
		if !s.Time.IsZero() {
			b.WriteString(s.Time.Format("2 Jan, 15:04"))
		}
	}
	return b.String()
}
