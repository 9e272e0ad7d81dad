// Package bottest is the promise that every chat's adapter keeps, as a suite of tests. An adapter's own test gives it a
// Rig: the adapter with a stand-in for its chat before it. Run puts the suite's Talk in place of the bot behind it and
// looks at what passes through; Tell puts an Office there, all of Elevate, and tells stories from their beginning to their
// end. Both act as people do and look at what they see. What a chat cannot do is declared with a reason; nothing is
// skipped.
package bottest

import (
	"context"
	"strings"
	"testing"
	"time"

	"elevate/bot"
)

// T is what a check needs of a test. *testing.T is one; the suite's own tests have another that collects failures.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// The people that a rig's directory knows, and their place. Nobody is not in the directory.
const (
	Ana    = "ana"
	Ben    = "ben"
	Nobody = "nobody"
)

// Everybody is whom a message calls that calls a channel.
const Everybody = "*"

// Rig is an adapter at work. People are named by their ids in the directory; the rig knows their accounts.
type Rig interface {
	// Chat is the adapter's sending side. Channel is a channel where Ana and Ben are.
	Chat() bot.Chat
	Channel() string

	// Type sends /elevate with words from the channel.
	Type(person, words string) error
	// Press presses a button of something that the person sees.
	Press(person string, on Shown, label string) error
	// Redeliver sends the last act once more, as the chat does when it did not hear that it arrived.
	Redeliver() error
	// Search types into a search of the person's form and gives the values that are found.
	Search(person, input, typed string) ([]string, error)
	// Fill types or chooses something in the person's form; Send sends it off.
	Fill(person, input, value string) error
	Send(person string) error
	OpenHome(person string) error

	// Posted are the messages that everybody in the channel sees, oldest first; Personal those to one person.
	Posted() []Shown
	Personal(person string) []Shown
	// Told is what the person alone was shown in answer to acts, oldest first.
	Told(person string) []Shown
	// Form is the form that the person has open; nil where none is.
	Form(person string) *Form
	// Home is the person's own page; nil where none was shown.
	Home(person string) *Shown

	// Break makes the chat's service fail at every call, and mends it.
	Break(down bool)
	// Await waits until something is so that takes its time, as long as a slow machine may need; false: it never was.
	Await(is func() bool) bool
}

// Patience is how long a test waits for what comes in its own time, on a machine that is busy with many others.
const Patience = time.Minute

// Await looks every few milliseconds until something is so. It looks by the clock and not when something was heard of,
// because much of what is waited for tells nobody: what a bot keeps, remembers or logs.
func Await(patience time.Duration, is func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Shown is something as a person sees it.
type Shown struct {
	Ref    string // as Chat.Post gave it; empty on answers to one person
	Thread string // the reference of the message that it answers
	Notice string // what a notification says
	// Text is all that can be read, after the chat parsed what it parses.
	Text    string
	Buttons []string // their labels
	// Calls are the people whose attention it wants by name, and Everybody where it wants that of a whole channel. Only
	// stories look at them.
	Calls []string
	// Native is the rig's own, for Press.
	Native any
}

// Form is a form as a person sees it.
type Form struct {
	Title  string
	Text   string // of its introduction
	Inputs []string
	Values map[string]string // what is filled in
	Errors map[string]string // by input
}

// Start makes a rig around a conversation. It ends with the test.
type Start func(t T, talk *Talk) Rig

// check is one promise.
type check struct {
	name string
	run  func(*suite)
}

func checks() []check {
	return []check{
		{"a command arrives to the letter, and its answer is seen by one", commandArrives},
		{"every part of a card is shown", everyPartIsShown},
		{"words that people wrote are shown to the letter", wordsToTheLetter},
		{"a card that is too long keeps its buttons", longCardKeepsButtons},
		{"a message is posted, answered in its thread and replaced", messageIsReplaced},
		{"a personal message reaches one", personalReachesOne},
		{"a click carries its action, its request and its message", clickCarries},
		{"an act that is delivered twice is done once", twiceIsOnce},
		{"a form asks, finds, keeps, complains and is answered", formConversation},
		{"a button opens a form that knows its request", buttonOpensForm},
		{"a page of one's own", ownPage},
		{"nobody to tell is final", nobodyIsFinal},
		{"a message that is not there is final", unknownRefIsFinal},
		{"a chat that is down is not", downIsNotFinal},
	}
}

// Run tries an adapter. cannot says which checks the chat is not able to pass, and why.
func Run(t *testing.T, start Start, cannot map[string]string) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range checks() {
		known[c.name] = true
		if reason, ok := cannot[c.name]; ok {
			if strings.TrimSpace(reason) == "" {
				t.Errorf("%q: say why the chat cannot", c.name)
			}
			t.Logf("declared impossible: %s: %s", c.name, reason)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.on(t, start)
		})
	}
	for name := range cannot {
		if !known[name] {
			t.Errorf("there is no check %q", name)
		}
	}
}

func (c check) on(t T, start Start) {
	talk := &Talk{}
	c.run(&suite{T: t, Rig: start(t, talk), talk: talk})
}

// suite is one check at work.
type suite struct {
	T
	Rig
	talk *Talk
}

// await waits, and fails where it was in vain.
func (s *suite) await(what string, is func() bool) {
	s.Helper()
	if !s.Await(is) {
		s.Fatalf("in vain: %s; the bot heard %q", what, s.talk.Heard())
	}
}

// do fails where an act could not be done.
func (s *suite) do(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// post posts in the channel and gives the message as people see it.
func (s *suite) post(c bot.Card) Shown {
	s.Helper()
	ref, err := s.Chat().Post(s.Context(), bot.Address{Channel: s.Channel()}, c)
	if err != nil || ref == "" {
		s.Fatalf("post: %q, %v", ref, err)
	}
	var found Shown
	s.await("the message "+ref, func() bool {
		for _, m := range s.Posted() {
			if m.Ref == ref {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// told tells whether a person alone was shown something.
func (s *suite) told(person, text string) bool {
	for _, m := range s.Told(person) {
		if strings.Contains(m.Text, text) {
			return true
		}
	}
	return false
}

// onlyTold waits until a person was told something, and checks that nobody else was.
func (s *suite) onlyTold(person, other, text string) {
	s.Helper()
	s.await(person+" is told "+text, func() bool { return s.told(person, text) })
	if s.told(other, text) {
		s.Errorf("%s was told too: %s", other, text)
	}
	for _, m := range s.Posted() {
		if strings.Contains(m.Text, text) {
			s.Errorf("everybody was told: %s", text)
		}
	}
}

// heard waits until the bot was told something.
func (s *suite) heard(want string) {
	s.Helper()
	s.await("the bot hears "+want, func() bool { return s.talk.count(want) > 0 })
}
