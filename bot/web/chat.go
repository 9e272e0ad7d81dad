package web

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"elevate/bot"
	"elevate/workflows/access"
)

// Name is the chat's word in configuration and queues.
const Name = "web"

// keep is how many messages a room holds; the oldest go first, with the thread below them.
const keep = 500

// Person is somebody who can be chosen on the page. The account in this chat is the person's id.
type Person struct {
	ID    access.PersonID `json:"id"`
	Name  string          `json:"name"`
	Title string          `json:"title"` // what they are here for: "Engineer", "Approver"
	Zone  string          `json:"zone"`  // IANA name of their time zone; empty: UTC
}

// Channel is a room that everybody sees.
type Channel struct {
	ID    string `json:"id"`
	Topic string `json:"topic"`
}

// Chat keeps the rooms and their messages. It is a bot.Chat and safe for concurrent use.
type Chat struct {
	people   []Person
	channels []Channel
	now      func() time.Time

	mu      sync.Mutex
	rooms   map[string][]*message
	byRef   map[string]*message
	calls   map[access.PersonID]map[string]int // by room: what was ever sent for the person's own attention
	refs    int64                              // counts references
	rev     int64                              // counts changes; every message carries the one that last touched it
	changed chan struct{}                      // closed and replaced at every change
}

var _ bot.Chat = (*Chat)(nil)

// message is one entry of a room. It is replaced, never altered, so that a reader may keep what it got.
type message struct {
	Ref    string          `json:"ref"`
	Rev    int64           `json:"rev"`
	Room   string          `json:"room"`
	Thread string          `json:"thread,omitempty"`
	From   access.PersonID `json:"from"` // access.System for the bot
	At     time.Time       `json:"at"`
	Only   access.PersonID `json:"only,omitempty"` // the one person who sees it
	Text   string          `json:"text,omitempty"` // what a person wrote
	Card   *cardView       `json:"card,omitempty"`
}

// NewChat makes an empty chat. Now is the time that messages are stamped with; nil is time.Now.
func NewChat(people []Person, channels []Channel, now func() time.Time) *Chat {
	if now == nil {
		now = time.Now
	}
	c := &Chat{
		people:   people,
		channels: channels,
		now:      now,
		rooms:    map[string][]*message{},
		byRef:    map[string]*message{},
		calls:    map[access.PersonID]map[string]int{},
		changed:  make(chan struct{}),
	}
	for _, ch := range channels {
		c.rooms[ch.ID] = nil
	}
	for _, p := range people {
		c.rooms[personalRoom(p.ID)] = nil
	}
	return c
}

// Name is the chat's word in configuration and queues.
func (c *Chat) Name() string { return Name }

var (
	errNoRoom    = errors.New("no such channel or person")
	errNoMessage = errors.New("no such message")
)

// Post sends a card to a channel, into a thread or to one person.
func (c *Chat) Post(ctx context.Context, to bot.Address, card bot.Card) (string, error) {
	room := to.Channel
	if to.Person != "" {
		room = personalRoom(to.Person)
	}
	m := &message{Room: room, Thread: to.Thread, From: access.System, Card: viewCard(card)}
	if err := c.send(ctx, "post", m); err != nil {
		return "", err
	}
	return m.Ref, nil
}

// Update replaces the card of an earlier message.
func (c *Chat) Update(ctx context.Context, ref string, card bot.Card) error {
	if err := ctx.Err(); err != nil {
		return &bot.ChatError{Op: "update", Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.byRef[ref]
	if !ok || old.Card == nil || old.Only != "" {
		return &bot.ChatError{Op: "update", Final: true, Err: fmt.Errorf("%w: %q", errNoMessage, ref)}
	}
	m := *old
	m.Card = viewCard(card)
	c.replace(old, &m)
	return nil
}

// whisper puts a card where one person alone sees it. Ref is a reference taken before, or empty.
func (c *Chat) whisper(ctx context.Context, to access.PersonID, room, thread, ref string, card bot.Card) error {
	return c.send(ctx, "answer", &message{Ref: ref, Room: room, Thread: thread, From: access.System, Only: to, Card: viewCard(card)})
}

// say puts a person's own words into a room.
func (c *Chat) say(ctx context.Context, from access.PersonID, room, text string) error {
	return c.send(ctx, "say", &message{Room: room, From: from, Text: text})
}

// echo shows a person alone what they typed, under a reference taken before.
func (c *Chat) echo(ctx context.Context, from access.PersonID, room, ref, text string) error {
	return c.send(ctx, "say", &message{Ref: ref, Room: room, From: from, Text: text, Only: from})
}

// take gives a reference for a message to come: it will stand where it would have stood now, before whatever the bot
// posts meanwhile.
func (c *Chat) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nextRef()
}

// nextRef numbers messages; the page shows them in this order. The caller holds the lock.
func (c *Chat) nextRef() string {
	c.refs++
	return "m" + strconv.FormatInt(c.refs, 10)
}

// send appends a message, giving it its reference and time.
func (c *Chat) send(ctx context.Context, op string, m *message) error {
	if err := ctx.Err(); err != nil {
		return &bot.ChatError{Op: op, Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Thread != "" {
		parent, ok := c.byRef[m.Thread]
		if !ok {
			return &bot.ChatError{Op: op, Final: true, Err: fmt.Errorf("%w: %q", errNoMessage, m.Thread)}
		}
		m.Room = parent.Room // the thread is where its message is, whatever the address says
		if parent.Thread != "" {
			m.Thread = parent.Thread
		}
	}
	if _, ok := c.rooms[m.Room]; !ok {
		return &bot.ChatError{Op: op, Final: true, Err: fmt.Errorf("%w: %q", errNoRoom, m.Room)}
	}
	c.rev++
	m.Rev = c.rev
	if m.Ref == "" {
		m.Ref = c.nextRef()
	}
	m.At = c.now().UTC()
	c.rooms[m.Room] = append(c.rooms[m.Room], m)
	c.byRef[m.Ref] = m
	c.call(m)
	c.trim(m.Room)
	c.broadcast()
	return nil
}

// call counts a new message for those whose attention it wants: a personal message's reader, and whoever a card
// mentions. The caller holds the lock.
func (c *Chat) call(m *message) {
	if m.Card == nil || m.Only != "" {
		return
	}
	called := m.Card.mentions()
	if p, ok := strings.CutPrefix(m.Room, "@"); ok {
		called = map[access.PersonID]bool{access.PersonID(p): true}
	}
	for p := range called {
		if c.calls[p] == nil {
			c.calls[p] = map[string]int{}
		}
		c.calls[p][m.Room]++
	}
}

// replace swaps a message for its newer self. The caller holds the lock.
func (c *Chat) replace(old, m *message) {
	c.rev++
	m.Rev = c.rev
	c.byRef[m.Ref] = m
	for i, other := range c.rooms[m.Room] {
		if other == old {
			c.rooms[m.Room][i] = m
		}
	}
	c.broadcast()
}

// trim forgets the oldest message of a room that holds too many. The caller holds the lock.
func (c *Chat) trim(room string) {
	all := c.rooms[room]
	if len(all) <= keep {
		return
	}
	gone := all[0].Ref
	rest := make([]*message, 0, keep)
	for _, m := range all {
		if m.Ref == gone || m.Thread == gone {
			delete(c.byRef, m.Ref)
			continue
		}
		rest = append(rest, m)
	}
	c.rooms[room] = rest
}

func (c *Chat) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// person finds somebody who can be chosen.
func (c *Chat) person(id access.PersonID) (Person, bool) {
	for _, p := range c.people {
		if p.ID == id {
			return p, true
		}
	}
	return Person{}, false
}

// sees tells whether a room exists and the person may read it.
func (c *Chat) sees(p access.PersonID, room string) bool {
	if strings.HasPrefix(room, "@") {
		return room == personalRoom(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.rooms[room]
	return ok
}

// find gives a message that the person may read.
func (c *Chat) find(p access.PersonID, ref string) (*message, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.byRef[ref]
	if !ok || !m.visible(p) {
		return nil, false
	}
	return m, true
}

func (m *message) visible(p access.PersonID) bool {
	if m.Only != "" && m.Only != p {
		return false
	}
	return !strings.HasPrefix(m.Room, "@") || m.Room == personalRoom(p)
}

// news is what a page is told: everything that changed after a revision, and how often everybody was called where, for
// the badges of people who are not looking.
type news struct {
	Rev      int64                              `json:"rev"`
	Messages []*message                         `json:"messages"`
	Calls    map[access.PersonID]map[string]int `json:"calls"`
}

// since collects what a person may read of the changes after rev, oldest message first, and a channel that is closed
// at the next change.
func (c *Chat) since(p access.PersonID, rev int64) (news, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := news{Rev: c.rev, Messages: []*message{}, Calls: map[access.PersonID]map[string]int{}}
	for id, rooms := range c.calls {
		n.Calls[id] = maps.Clone(rooms)
	}
	rooms := []string{personalRoom(p)}
	for _, ch := range c.channels {
		rooms = append(rooms, ch.ID)
	}
	for _, room := range rooms {
		for _, m := range c.rooms[room] {
			if m.Rev > rev && m.visible(p) {
				n.Messages = append(n.Messages, m)
			}
		}
	}
	return n, c.changed
}

func personalRoom(p access.PersonID) string { return "@" + string(p) }
