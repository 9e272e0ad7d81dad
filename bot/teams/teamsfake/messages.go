package teamsfake

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// threadMark stands between a channel and the message that began a thread, in the id of a conversation.
const threadMark = ";messageid="

// targetedFor is how long a targeted message is seen.
const targetedFor = 24 * time.Hour

// Message is a message as it stands now.
type Message struct {
	ID           string
	Conversation string // the channel, or the chat with one person
	Thread       string // id of the message that it answers in a channel; empty: it began its thread
	ReplyTo      string
	From         string // 28:… is the bot
	To           string // who alone sees it, by 29:…; empty: everybody in the conversation
	Content
	// Before are its earlier versions, oldest first.
	Before  []Content
	Deleted bool
	// Serial orders what was shown: it grows with every message, every version and every answer.
	Serial int64

	at time.Time
}

// Content is what a message shows.
type Content struct {
	Text    string
	Summary string // what a notification says
	Card    map[string]any
}

// place is where messages stand.
type place struct {
	channel *Channel // or
	user    *User    // the personal chat with somebody
	root    *Message // of a thread
}

func (p place) id() string {
	if p.user != nil {
		return p.user.chat
	}
	return p.channel.ID
}

// find gives the place of a conversation. The lock is held.
func (s *Server) find(conversation string) (place, error) {
	id, thread, threaded := strings.Cut(conversation, threadMark)
	unknown := notFound("ConversationNotFound", "Conversation not found.")
	for _, u := range s.users {
		if u.chat == conversation && u.open {
			return place{user: u}, nil
		}
	}
	c := s.channels[id]
	if c == nil || c.Gone {
		return place{}, unknown
	}
	where := place{channel: c}
	if threaded {
		if where.root = s.message(id, thread); where.root == nil || where.root.Thread != "" {
			return place{}, notFound("ActivityNotFoundInConversation", "The thread's message was not found.")
		}
	}
	return where, nil
}

// writable refuses places where the bot may not be.
func (p place) writable() error {
	switch {
	case p.user != nil && (p.user.removed || !p.user.Installed && !p.user.InTeam):
		return forbidden("MessageWritesBlocked", "The user has blocked or uninstalled the bot.")
	case p.channel != nil && p.channel.Out:
		return forbidden("BotNotInConversationRoster", "The bot is not part of the conversation roster.")
	}
	return nil
}

// message finds one by its id. The lock is held.
func (s *Server) message(conversation, id string) *Message {
	i := slices.IndexFunc(s.messages, func(m *Message) bool { return m.Conversation == conversation && m.ID == id })
	if i < 0 {
		return nil
	}
	return s.messages[i]
}

// post puts an activity into a conversation, or answers one.
func (s *Server) post(r request) (int, any, error) {
	where, err := s.find(r.PathValue("conversation"))
	if err == nil {
		err = where.writable()
	}
	if err != nil {
		return 0, nil, err
	}
	if r.body["type"] == "typing" {
		return http.StatusAccepted, nil, nil
	}
	answers := r.PathValue("activity")
	if answers != "" {
		m := s.message(where.id(), answers)
		if m == nil || m.Deleted {
			return 0, nil, notFound("ActivityNotFoundInConversation", "The activity was not found in the conversation.")
		}
		if where.channel != nil && where.root == nil {
			if where.root = m; m.Thread != "" {
				where.root = s.message(where.id(), m.Thread)
			}
		}
	}
	m, err := s.add(where, answers, r.body, r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, object{"id": m.ID}, nil
}

// add makes a message of an activity. The lock is held.
func (s *Server) add(where place, answers string, activity object, r request) (*Message, error) {
	if err := s.slow(where.id()); err != nil {
		return nil, err
	}
	m := &Message{Conversation: where.id(), From: Bot, ReplyTo: answers, at: s.Now()}
	if answers == "" {
		m.ReplyTo = text(activity, "replyToId")
	}
	if where.root != nil {
		m.Thread = where.root.ID
	}
	if err := s.target(m, where, activity, r.targeted); err != nil {
		return nil, err
	}
	content, err := s.content(activity, r.size)
	if err != nil {
		return nil, err
	}
	m.Content = content
	s.keep(m)
	return m, nil
}

// keep gives a message its id and shows it. The lock is held.
func (s *Server) keep(m *Message) {
	m.ID = s.messageID()
	m.Serial = s.tick()
	s.messages = append(s.messages, m)
	s.look(m)
}

// target finds out who alone is to see a message. The lock is held.
func (s *Server) target(m *Message, where place, activity object, targeted bool) error {
	recipient := part(activity, "recipient")
	switch {
	case !targeted && recipient["isTargeted"] == true:
		s.defect("a targeted message was posted without isTargetedActivity: everybody would see it")
		return bad("The recipient is targeted, the activity is not.")
	case !targeted && where.root != nil && where.root.To != "":
		return notFound("ActivityNotFoundInConversation", "Nobody else sees the thread's message.")
	case !targeted:
		return nil
	case where.user != nil:
		return bad("There are no targeted messages in personal chats.")
	case text(recipient, "id") == "" || recipient["isTargeted"] != true:
		return bad("The recipient is missing.")
	}
	u := s.user(text(recipient, "id"))
	if u == nil || !slices.Contains(s.roster(where), u) {
		return notFound("BotNotInConversationRoster", "The recipient is not part of the conversation roster.")
	}
	if where.root != nil && where.root.To != "" && where.root.To != u.id {
		return notFound("ActivityNotFoundInConversation", "The recipient does not see the thread's message.")
	}
	m.To = u.id
	return nil
}

// content checks and gives what an activity shows. The lock is held.
func (s *Server) content(activity object, size int) (Content, error) {
	if from := text(part(activity, "from"), "id"); from != "" && from != Bot {
		return Content{}, forbidden("NotEnoughPermissions", "The bot cannot write as "+from)
	}
	if activity["type"] != "message" {
		return Content{}, bad("Activities of the type %v are not posted.", activity["type"])
	}
	if size > maxMessage {
		return Content{}, &refusal{http.StatusRequestEntityTooLarge, "MessageSizeTooBig", "The message is too large."}
	}
	c := Content{Text: text(activity, "text"), Summary: text(activity, "summary")}
	attachments := list(activity, "attachments")
	if c.Text == "" && len(attachments) == 0 {
		return Content{}, bad("The activity is empty.")
	}
	if c.Text == "" && c.Summary == "" {
		s.defect("a message without text or summary: its notification would say nothing")
	}
	if len(attachments) > 1 {
		s.defect("a message with %d attachments: whoever reads it wants one card", len(attachments))
	}
	for _, a := range attachments {
		attached, _ := a.(object)
		if attached["contentType"] != cardType {
			return Content{}, bad("Attachments of the type %v are not taken.", attached["contentType"])
		}
		c.Card = part(attached, "content")
		if broken := CheckCard(c.Card); len(broken) > 0 {
			s.defect("card %q: %s", c.Summary, strings.Join(broken, "; "))
			return Content{}, bad("%s", strings.Join(broken, "; "))
		}
	}
	return c, nil
}

// cardType is the content type of Adaptive Cards.
const cardType = "application/vnd.microsoft.card.adaptive"

// slow refuses what comes too fast for one conversation (Teams: 7 messages a second, 8 in two, 60 in thirty). The lock
// is held.
func (s *Server) slow(conversation string) error {
	if !s.Paced {
		return nil
	}
	now := s.Now()
	for _, rate := range []struct {
		n  int
		in time.Duration
	}{{7, time.Second}, {8, 2 * time.Second}, {60, 30 * time.Second}} {
		n := 0
		for _, at := range s.sent[conversation] {
			if now.Sub(at) < rate.in {
				n++
			}
		}
		if n >= rate.n {
			return &refusal{http.StatusTooManyRequests, "Throttled", "Too many requests."}
		}
	}
	s.sent[conversation] = append(s.sent[conversation], now)
	return nil
}

// ownMessage finds a message of the bot's in a conversation, targeted or not. The lock is held.
func (s *Server) ownMessage(r request) (*Message, error) {
	where, err := s.find(r.PathValue("conversation"))
	if err == nil {
		err = where.writable()
	}
	if err != nil {
		return nil, err
	}
	m := s.message(where.id(), r.PathValue("activity"))
	switch {
	case m == nil, m.Deleted, r.targeted != (m.To != ""), s.expired(m),
		where.root != nil && m != where.root && m.Thread != where.root.ID:
		return nil, notFound("ActivityNotFoundInConversation", "The activity was not found in the conversation.")
	case m.From != Bot:
		return nil, forbidden("NotEnoughPermissions", "The message is somebody else's.")
	}
	return m, nil
}

// update replaces a message for everybody who sees it, whatever they saw in its place.
func (s *Server) update(r request) (int, any, error) {
	m, err := s.ownMessage(r)
	if err == nil && r.targeted && r.body["recipient"] != nil {
		err = bad("A targeted message keeps its recipient.")
	}
	if err == nil {
		err = s.slow(m.Conversation)
	}
	if err != nil {
		return 0, nil, err
	}
	content, err := s.content(r.body, r.size)
	if err != nil {
		return 0, nil, err
	}
	m.Before, m.Content, m.Serial = append(m.Before, m.Content), content, s.tick()
	for key := range s.sights {
		if key.message == m.ID {
			delete(s.sights, key)
		}
	}
	s.look(m)
	return http.StatusOK, object{"id": m.ID}, nil
}

func (s *Server) remove(r request) (int, any, error) {
	m, err := s.ownMessage(r)
	if err != nil {
		return 0, nil, err
	}
	m.Deleted = true
	return http.StatusOK, nil, nil
}

// Messages are the messages that everybody in a conversation sees, oldest first, without what single people see in
// their place.
func (s *Server) Messages(conversation string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pick(func(m *Message) bool { return m.Conversation == conversation && m.To == "" })
}

// pick gives copies of messages that are still to be seen. The lock is held.
func (s *Server) pick(is func(*Message) bool) []Message {
	var out []Message
	for _, m := range s.messages {
		if !m.Deleted && !s.expired(m) && is(m) {
			out = append(out, *m)
		}
	}
	return out
}

// expired tells whether a targeted message is seen no more. The lock is held.
func (s *Server) expired(m *Message) bool { return m.To != "" && s.Now().Sub(m.at) > targetedFor }

// Targeted are the messages of a conversation that one person alone sees.
func (s *Server) Targeted(conversation, objectID string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(objectID)
	return s.pick(func(m *Message) bool { return m.Conversation == conversation && u != nil && m.To == u.id })
}
