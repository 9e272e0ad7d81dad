package bottest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"elevate/bot"
	"elevate/connectors"
	"elevate/connectors/demo"
	"elevate/storage/embedded"
	"elevate/storage/redis"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/policy"
	"elevate/workflows/seal"
)

// The people of an office beside Ana and Ben, who may ask. Lea and Leo approve; Eve has an account in the chat, and the
// directory does not know whose it is.
const (
	Lea = "lea"
	Leo = "leo"
	Eve = "eve"
	// Root is an administrator.
	Root = "root"
)

// crowd is how many people may approve vault-admin.
const crowd = 50

// Office is a whole Elevate without a chat: the real verbs, runner, policy and store, a demo target, and a clock that
// stands still until a story moves it.
//
// Its roles are db-admin (one of Lea and Leo approves; a ticket INC-… is asked for), vault-admin (one of fifty) and
// safe-admin, which is db-admin again, for a code of whoever asks and of whoever approves.
type Office struct {
	Bot       *bot.Bot
	Store     *redis.Store
	Service   *workflows.Service
	Directory *directory.Directory
	Factors   *Enrolments
	// Codes seals what a chat must not keep in the clear.
	Codes *seal.Box
	// People have accounts in the chat. Eve is among them.
	People []access.Person

	target *demo.Target
	checks map[access.Method]workflows.Factor // that the verbs know
	unsent atomic.Int64                       // messages that the chat did not take
	away   atomic.Bool                        // whether nobody says who an account is
	mu     sync.Mutex
	now    time.Time
}

// watched is a chat of which the office knows how often it fails.
type watched struct {
	bot.Chat
	office *Office
}

func (w watched) Post(ctx context.Context, to bot.Address, c bot.Card) (string, error) {
	ref, err := w.Chat.Post(ctx, to, c)
	return ref, w.noticed(err)
}

func (w watched) Update(ctx context.Context, ref string, c bot.Card) error {
	return w.noticed(w.Chat.Update(ctx, ref, c))
}

func (w watched) noticed(err error) error {
	if err != nil {
		w.office.unsent.Add(1)
	}
	return err
}

// awaited is a directory that may be away.
type awaited struct {
	*directory.Directory
	away *atomic.Bool
}

func (a awaited) ByAccount(ctx context.Context, chat, account string) (access.Person, error) {
	if a.away.Load() {
		return access.Person{}, errors.New("the directory is away")
	}
	return a.Directory.ByAccount(ctx, chat, account)
}

// Now is the office's time.
func (o *Office) Now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *Office) advance(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

// NewOffice makes an office whose requests are shown in the stage's channel.
func NewOffice(t T, s Stage) *Office {
	t.Helper()
	o := &Office{People: staff(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	o.openStore(t, s.Name)
	var entries []directory.Entry
	for _, p := range o.People {
		if p.ID != Eve {
			entries = append(entries, directory.Entry{Person: p, Chats: map[string]string{s.Name: s.account(string(p.ID))}})
		}
	}
	o.Directory = directory.New(entries)
	o.target = demo.NewTarget(demo.TargetConfig{Now: o.Now})
	connector, err := demo.New(demo.Config{Target: o.target})
	must(t, err)
	roles, rules := catalogue()
	set, problems := policy.Compile(rules, roles)
	for _, p := range problems {
		t.Fatalf("policy %d, %s: %s", p.Rule, p.Key, p.Text)
	}
	o.openFactors(t, s.Name)
	o.checks = map[access.Method]workflows.Factor{access.TOTP: o.Factors}
	o.Service, err = workflows.New(workflows.Config{
		Factors: o.checks,
		Store:   o.Store, Directory: o.Directory, Policies: set, Roles: roles, Now: o.Now, NoticeBefore: 10 * time.Minute,
		Connectors: map[string]connectors.Connector{"demo": connector},
	})
	must(t, err)
	o.Bot, err = bot.New(bot.Config{
		Service: o.Service, Directory: awaited{o.Directory, &o.away}, Now: o.Now, Channel: func(string, string) string { return s.Channel },
		Factors: o.Factors, Administrators: o.administrators,
	})
	must(t, err)
	return o
}

func (o *Office) openStore(t T, chat string) {
	server, err := embedded.Start(t.Context(), embedded.Config{Memory: true, Clock: o.Now})
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	o.Store, err = redis.Open(t.Context(), server.Connect(redis.Config{Chats: []string{chat}, Now: o.Now, AllowUnsafe: true}))
	must(t, err)
	t.Cleanup(func() { must(t, o.Store.Close()) })
}

// Work sets runner and courier going until the end of the test.
func (o *Office) Work(t T, chat bot.Chat) {
	const nap = 10 * time.Millisecond
	courier, err := bot.NewCourier(bot.CourierConfig{Bot: o.Bot, Store: o.Store, Chat: watched{chat, o}, Now: o.Now, Poll: nap})
	must(t, err)
	runner := workflows.NewRunner(o.Service, workflows.RunnerConfig{MaxSleep: nap, Lease: time.Minute, Grace: time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{courier.Run, runner.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(func() { stop(); running.Wait() })
}

// Hang makes the target answer nobody until the end of the test.
func (o *Office) Hang(t T) {
	o.target.SetFaults(demo.Faults{Hang: true})
	t.Cleanup(func() { o.target.SetFaults(demo.Faults{}) })
}

// holds tells whether the target gives a person db-admin.
func (o *Office) holds(person string) bool { return o.target.Holds(person, "db-admin") }

func staff() []access.Person {
	people := []access.Person{
		{ID: Ana, Name: "Ana Lima", Groups: []string{"sre"}},
		{ID: Ben, Name: "Ben Stone", Groups: []string{"sre"}},
		{ID: Lea, Name: "Lea Berg", Groups: []string{"leads"}},
		{ID: Leo, Name: "Leo Diaz", Groups: []string{"leads"}},
		{ID: Eve, Name: "Eve Stranger"},
		{ID: Root, Name: "Root Keeper", Groups: []string{"admins"}},
	}
	for n := range crowd {
		people = append(people, access.Person{ID: access.PersonID(one(n)), Name: fmt.Sprintf("One of Very Many Keepers %02d", n), Groups: []string{"keepers"}})
	}
	return people
}

// one is one of the crowd.
func one(n int) string { return fmt.Sprintf("keeper%02d", n) }

func catalogue() ([]access.Role, []policy.Rule) {
	role := func(id access.RoleID, title, kind string) access.Role {
		return access.Role{ID: id, Title: title, Connector: "demo", Target: map[string]any{"role": string(id)}, Labels: map[string]string{"kind": kind}}
	}
	rule := func(kind, approvers string) policy.Rule {
		return policy.Rule{
			Name: kind, Match: fmt.Sprintf("role.labels.kind == %q", kind), Eligible: `"sre" in person.groups`,
			Duration:      policy.Duration{Default: time.Hour, Max: 4 * time.Hour, MaxTotal: 6 * time.Hour},
			Justification: policy.Justification{MinLength: 10},
			Approve:       []policy.Approval{{By: fmt.Sprintf("%q in person.groups", approvers), Within: 30 * time.Minute}},
		}
	}
	db, vault := rule("db", "leads"), rule("vault", "keepers")
	db.Justification.Ticket = "INC-[0-9]+"
	safe := rule("safe", "leads")
	safe.StepUp = policy.StepUp{Request: access.TOTP, Approve: access.TOTP}
	safest := role("safe-admin", "Safe admin", "safe")
	safest.Target["role"] = "db-admin"
	return []access.Role{role("db-admin", "Database admin", "db"), role("vault-admin", "Vault admin", "vault"), safest}, []policy.Rule{db, vault, safe}
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// Stage is a chat for stories to be told in.
type Stage struct {
	Name    string // the chat's word
	Channel string // where requests are shown
	// Account is a person's account in the chat. Nil: their id.
	Account func(person string) string
	// Open makes a rig with the office's bot behind the adapter. It ends with the test.
	Open func(t T, o *Office) Rig
	// Cannot says which stories cannot be told in the chat, and why.
	Cannot map[string]string
}

func (s Stage) account(person string) string {
	if s.Account == nil {
		return person
	}
	return s.Account(person)
}

// scene is one story being told.
type scene struct {
	T
	Rig
	*Office
}

func (s Stage) play(t T, tell func(*scene)) {
	o := NewOffice(t, s)
	rig := s.Open(t, o)
	o.Work(t, rig.Chat())
	tell(&scene{T: t, Rig: rig, Office: o})
}

// until waits, and fails where it was in vain, with what can be seen then.
func (s *scene) until(what string, is func() bool, seen func() []Shown) {
	s.Helper()
	if s.Await(is) {
		return
	}
	var all strings.Builder
	for _, m := range seen() {
		fmt.Fprintf(&all, "\n--- %s below %q %q calls %q\n%s", cmp.Or(m.Ref, "(private)"), m.Thread, m.Buttons, m.Calls, m.Text)
	}
	s.Fatalf("in vain: %s; seen: %s", what, all.String())
}

// shows waits for something that says all the words.
func (s *scene) shows(where string, look func() []Shown, words ...string) Shown {
	s.Helper()
	var found Shown
	s.until(fmt.Sprintf("%s says %q", where, words), func() bool {
		all := look()
		i := slices.IndexFunc(all, func(m Shown) bool { return m.says(words...) })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	}, look)
	return found
}

// says tells whether all the words can be read on it.
func (m Shown) says(words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(m.Text, w) })
}

// channel waits for a message of the channel that answers no other.
func (s *scene) channel(words ...string) Shown {
	s.Helper()
	return s.shows("the channel", func() []Shown { return s.below("") }, words...)
}

func (s *scene) below(thread string) []Shown {
	return slices.DeleteFunc(s.Posted(), func(m Shown) bool { return m.Thread != thread })
}

// answered waits for an answer in the thread of a message.
func (s *scene) answered(on Shown, words ...string) Shown {
	s.Helper()
	return s.shows("the thread", func() []Shown { return s.below(on.Ref) }, words...)
}

// becomes waits until a message says something else, and gives it as it is then.
func (s *scene) becomes(m Shown, words ...string) Shown {
	s.Helper()
	same := func() []Shown { return slices.DeleteFunc(s.Posted(), func(o Shown) bool { return o.Ref != m.Ref }) }
	return s.shows("the message", same, words...)
}

// mail waits for a personal message.
func (s *scene) mail(person string, words ...string) Shown {
	s.Helper()
	return s.shows("mail to "+person, func() []Shown { return s.Personal(person) }, words...)
}

// alone waits until a person was told something, and fails where anybody else was.
func (s *scene) alone(person string, words ...string) Shown {
	s.Helper()
	found := s.shows("the answer to "+person, func() []Shown { return s.Told(person) }, words...)
	said := func(m Shown) bool { return m.says(words...) }
	for _, other := range []string{Ana, Ben, Lea, Leo, Eve} {
		if other != person && slices.ContainsFunc(s.Told(other), said) {
			s.Errorf("%s was told too what is for %s: %q", other, person, words)
		}
	}
	if slices.ContainsFunc(s.Posted(), func(m Shown) bool { return m.Text == found.Text }) {
		s.Errorf("everybody was told what is for %s: %q", person, words)
	}
	return found
}

func (s *scene) types(person, words string) {
	s.Helper()
	if err := s.Type(person, words); err != nil {
		s.Fatalf("%s types %q: %v", person, words, err)
	}
}

func (s *scene) clicks(person string, on Shown, label string) {
	s.Helper()
	if !slices.Contains(on.Buttons, label) {
		s.Fatalf("there is no button %q on: %q %s", label, on.Buttons, on.Text)
	}
	if err := s.Press(person, on, label); err != nil {
		s.Fatalf("%s clicks %q: %v", person, label, err)
	}
}

// form waits for a person's form with an input.
func (s *scene) form(person, title, input string) *Form {
	s.Helper()
	is := func() bool {
		f := s.Form(person)
		return f != nil && f.Title == title && slices.Contains(f.Inputs, input)
	}
	s.until(fmt.Sprintf("%s has the form %q that asks for %s", person, title, input), is, func() []Shown { return s.Told(person) })
	return s.Form(person)
}

// fills fills in an input of an open form.
func (s *scene) fills(person, input, value string) {
	s.Helper()
	if err := s.Fill(person, input, value); err != nil {
		s.Fatalf("%s fills in %s: %v", person, input, err)
	}
}

func (s *scene) sends(person string) {
	s.Helper()
	if err := s.Send(person); err != nil {
		s.Fatalf("%s sends the form: %v", person, err)
	}
}

// page opens somebody's Home page and waits until it says something.
func (s *scene) page(person string, words ...string) Shown {
	s.Helper()
	if err := s.OpenHome(person); err != nil {
		s.Fatalf("%s opens Home: %v", person, err)
	}
	return s.shows("the page of "+person, func() []Shown {
		if p := s.Home(person); p != nil {
			return []Shown{*p}
		}
		return nil
	}, words...)
}

// has waits until a person holds db-admin at the target, or does not.
func (s *scene) has(person string, want bool) {
	s.Helper()
	s.until(fmt.Sprintf("%s holds the role: %t", person, want), func() bool { return s.holds(person) == want }, s.Posted)
}

// nothingGranted fails where a person holds db-admin already.
func (s *scene) nothingGranted(person string) {
	s.Helper()
	if s.holds(person) {
		s.Errorf("%s holds the role, and nobody gave it", person)
	}
}

// offers fails unless a message has exactly these buttons.
func (s *scene) offers(m Shown, labels ...string) {
	s.Helper()
	if !slices.Equal(m.Buttons, labels) {
		s.Errorf("the buttons are %q, want %q", m.Buttons, labels)
	}
}

// calls fails unless a message notifies exactly these people.
func (s *scene) calls(m Shown, people ...string) {
	s.Helper()
	if got := slices.Compact(slices.Sorted(slices.Values(m.Calls))); !slices.Equal(got, people) {
		s.Errorf("called are %q, want %q", got, people)
	}
}
