package teams

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

// way is how people type their commands.
type way struct {
	types    func(p *teamsfake.Person, words string) teamsfake.Ack
	personal bool // the answers come in the personal chat
}

func ways() map[string]way {
	return map[string]way{
		"slash command": {types: func(p *teamsfake.Person, words string) teamsfake.Ack {
			return p.TypeTargeted(teamsfake.Access, strings.TrimSpace("/elevate "+words))
		}},
		"mention": {personal: true, types: func(p *teamsfake.Person, words string) teamsfake.Ack {
			return p.Mention(teamsfake.Access, words)
		}},
		"personal chat": {personal: true, types: (*teamsfake.Person).Say},
	}
}

// TestSuite: the promise of every chat's adapter, kept whichever way people type.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bottest.Run(t, func(t bottest.T, talk *bottest.Talk) bottest.Rig {
				k := setup(t.(testing.TB), func(cfg *Config) { cfg.Bot = talk })
				k.bot = talk
				return newRig(k, w)
			}, nil)
		})
	}
}

// rig is the fake Teams as the suite sees it.
type rig struct {
	*kit
	way way

	mu    sync.Mutex
	sent  map[string]bool            // ids of the personal messages that Post sent
	forms map[string]*teamsfake.Form // the last that each person had before them
}

func newRig(k *kit, w way) *rig {
	return &rig{kit: k, way: w, sent: map[string]bool{}, forms: map[string]*teamsfake.Form{}}
}

// posting is the adapter's sending side, of which the rig knows what it sent to single people: everything else in
// personal chats is an answer.
type posting struct {
	*Teams
	r *rig
}

func (p posting) Post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	ref, err := p.Teams.Post(ctx, to, c)
	if err == nil && to.Person != "" {
		_, id, _ := readReference(ref)
		p.r.mu.Lock()
		p.r.sent[id] = true
		p.r.mu.Unlock()
	}
	return ref, err
}

func (r *rig) Chat() bot.Chat  { return posting{r.teams, r} }
func (r *rig) Channel() string { return teamsfake.Access }

func (r *rig) as(person string) *teamsfake.Person { return r.person(access.PersonID(person)) }

func (r *rig) Type(person, words string) error { return r.way.types(r.as(person), words).Err }

func (r *rig) Press(person string, on bottest.Shown, label string) error {
	return r.as(person).Press(on.Native.(teamsfake.Message), label).Err
}

func (r *rig) Redeliver() error { return r.fake.Redeliver().Err }

func (r *rig) Search(person, input, typed string) ([]string, error) {
	found, err := r.as(person).Search(inputPrefix+input, typed)
	var out []string
	for _, c := range found {
		out = append(out, c.Value)
	}
	return out, err
}

// Fill also presses the button below an input that decides what else is asked.
func (r *rig) Fill(person, input, value string) error {
	p := r.as(person)
	if err := p.Fill(inputPrefix+input, value); err != nil {
		return err
	}
	f := r.form(person)
	i := slices.IndexFunc(f.Inputs, func(in teamsfake.Input) bool { return in.ID == inputPrefix+input })
	const change = verbPrefix + string(pressChange)
	if slices.ContainsFunc(f.Inputs[i].Below, func(verb string) bool { return strings.HasPrefix(verb, change) }) {
		return p.Submit(f, change).Err
	}
	return nil
}

// form is the form that a person has before them, or had in the last moment.
func (r *rig) form(person string) *teamsfake.Form {
	f := r.as(person).Form()
	r.mu.Lock()
	defer r.mu.Unlock()
	if f != nil {
		r.forms[person] = f
	}
	return r.forms[person]
}

// Send sends off what was filled in, also where an edit of the message took the form away just now.
func (r *rig) Send(person string) error {
	return r.as(person).Submit(r.form(person), verbPrefix+string(pressSend)).Err
}

// OpenHome adds the app at first. Later the person looks at the page that they were given then, and their client asks
// for it anew.
func (r *rig) OpenHome(person string) error {
	p := r.as(person)
	if page := r.page(person); page != nil {
		return p.Refresh(*page).Err
	}
	return p.Install().Err
}

// page is the message with the person's page, as it was sent.
func (r *rig) page(person string) *teamsfake.Message {
	for _, m := range slices.Backward(r.fake.Messages(r.fake.Chat(account(access.PersonID(person))))) {
		if isPage(m) {
			return &m
		}
	}
	return nil
}

func isPage(m teamsfake.Message) bool {
	refresh, _ := m.Card["refresh"].(map[string]any)
	action, _ := refresh["action"].(map[string]any)
	return action["verb"] == press{Kind: pressHome}.verb()
}

func (r *rig) Home(person string) *bottest.Shown {
	page := r.page(person)
	if page == nil {
		return nil
	}
	for _, m := range r.as(person).Sees(page.Conversation) {
		if m.ID == page.ID {
			out := r.shown(m)
			return &out
		}
	}
	return nil
}

// Posted leaves out what people wrote.
func (r *rig) Posted() []bottest.Shown { return r.said(r.fake.Messages(teamsfake.Access)) }

func (r *rig) Personal(person string) []bottest.Shown {
	return r.said(r.fake.Messages(r.fake.Chat(account(access.PersonID(person)))))
}

func (r *rig) said(messages []teamsfake.Message) []bottest.Shown {
	var out []bottest.Shown
	for _, m := range messages {
		if m.From == teamsfake.Bot {
			out = append(out, r.shown(m))
		}
	}
	return out
}

// Told is what stands in the place of messages, sentences, targeted messages, and answers in the personal chat where
// they belong there; neither forms nor the person's page.
func (r *rig) Told(person string) []bottest.Shown {
	all := r.as(person).Told()
	for _, m := range r.fake.Messages(r.fake.Chat(account(access.PersonID(person)))) {
		r.mu.Lock()
		answer := r.way.personal && m.From == teamsfake.Bot && !r.sent[m.ID] && !isPage(m)
		r.mu.Unlock()
		if answer {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b teamsfake.Message) int { return int(a.Serial - b.Serial) })
	var out []bottest.Shown
	for _, m := range all {
		if len(teamsfake.Inputs(m.Card)) == 0 {
			s := r.shown(m)
			s.Ref, s.Thread = "", ""
			out = append(out, s)
		}
	}
	return out
}

func (r *rig) Form(person string) *bottest.Form {
	f := r.as(person).Form()
	if f == nil {
		return nil
	}
	out := &bottest.Form{Text: teamsfake.Text(f.Card), Values: map[string]string{}, Errors: map[string]string{}}
	out.Title, _, _ = strings.Cut(out.Text, "\n")
	for _, in := range f.Inputs {
		name := strings.TrimPrefix(in.ID, inputPrefix)
		out.Inputs = append(out.Inputs, name)
		out.Values[name] = f.Values[in.ID]
		if in.Error != "" {
			out.Errors[name] = in.Error
		}
	}
	return out
}

func (r *rig) Break(down bool) {
	r.fake.Behave()
	if down {
		r.fake.Misbehave("*", teamsfake.Fault{Times: -1, Status: http.StatusServiceUnavailable, Code: "ServiceError"})
	}
}

func (r *rig) Await(is func() bool) bool { return bottest.Await(bottest.Patience, is) }

// shown is a message as people see it.
func (r *rig) shown(m teamsfake.Message) bottest.Shown {
	s := bottest.Shown{Ref: r.ref(m, m.ID), Notice: m.Summary, Text: m.Text, Native: m}
	if m.Card != nil {
		s.Text, s.Buttons = m.Text+teamsfake.Text(m.Card), teamsfake.Labels(m.Card)
	}
	if m.Thread != "" {
		s.Thread = r.ref(m, m.Thread)
	}
	for _, id := range teamsfake.Mentions(m.Card) {
		s.Calls = append(s.Calls, r.fake.Who(id))
	}
	return s
}

func (r *rig) ref(m teamsfake.Message, id string) string {
	return reference(place{Service: r.fake.URL, Conversation: m.Place()}, id)
}
