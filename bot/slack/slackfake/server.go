// Package slackfake is a Slack to test against: a server that keeps messages, views and people, enforces Slack's limits
// on what it is sent (the JSON schemas made of Slack's own types, and the rules that they cannot say), and misbehaves
// when asked to. Persons act through it: what they type, press and fill in is signed and sent to the program under test,
// over HTTP or through Socket Mode. It is for tests only.
package slackfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/bottest"
)

// The workspace and its secrets.
const (
	Team          = "T111"
	BotUser       = "U0BOT"
	BotToken      = "xoxb-fake-bot-token"
	AppToken      = "xapp-fake-app-token"
	SigningSecret = "fake-signing-secret-0123456789ab"
)

// Server is the fake. Its fields may be set before it is used.
type Server struct {
	URL string // with a slash at its end: the Web API
	Now func() time.Time
	// Scopes are the rights of the bot token. All calls are checked against them.
	Scopes []string

	t    testing.TB
	http *httptest.Server
	gone chan struct{} // closed at the end: what hangs is let go

	mu       sync.Mutex
	users    map[string]*User
	groups   map[string][]string // of users, by the id of the user group
	channels map[string]*Channel
	views    map[string]*View
	homes    map[string]*View
	triggers map[string]trigger
	hooks    map[string]*hook
	calls    []Call
	faults   map[string][]*Fault
	defects  []string
	serial   int64
	send     func(kind string, payload map[string]any) Ack
	sockets  *sockets
}

// User is a member of the workspace, or somebody who is not.
type User struct {
	ID, Name, Team                                      string
	Deleted, Bot, Restricted, UltraRestricted, Stranger bool

	RealName, Email string
	Unconfirmed     bool // nobody has confirmed the address
}

// Channel is a conversation.
type Channel struct {
	ID, Name                  string
	Private, Archived, Shared bool
	Out                       bool   // the app is not in it
	DM                        string // the other one's id
	Messages                  []*Message
	Whispers                  []*Message // ephemeral messages
}

// Message is a message as it stands now.
type Message struct {
	Channel, TS, Thread, Text string
	To                        string // who sees it; empty: everybody in the channel
	Blocks                    []any
	Updates                   int
}

// Call is a call to the Web API. Blocks and views are decoded.
type Call struct {
	Method string
	Token  string
	Args   map[string]any
}

type trigger struct {
	user string
	at   time.Time
	used bool
}

type hook struct {
	channel, user string
	at            time.Time
	used          int
}

// Fault is what happens to a call instead of what was asked for.
type Fault struct {
	Times      int    // how often; zero: once; negative: always
	Status     int    // an HTTP status other than 200
	RetryAfter string // with Status 429
	Location   string // with Status 307
	Body       string // sent as it is
	Error      string // Slack's word
	Hang       bool   // no answer until the caller gives up
	Reset      bool   // the connection is cut

	left int
}

// New starts a fake with three members (U0ANA, U0BEN, U0CAT), a guest (U0GUEST), people who are not members, and the
// channel C0ACCESS. At the end of the test it reports everything that Slack would have refused.
func New(t testing.TB) *Server {
	t.Helper()
	Testdata(t) // without the schemas there are no limits to enforce
	s := &Server{
		Now: time.Now, t: t, gone: make(chan struct{}),
		Scopes: []string{"channels:read", "chat:write", "commands", "groups:read", "im:write", "users:read"},
		users:  map[string]*User{}, channels: map[string]*Channel{}, views: map[string]*View{}, homes: map[string]*View{},
		triggers: map[string]trigger{}, hooks: map[string]*hook{}, faults: map[string][]*Fault{},
	}
	s.sockets = newSockets(s)
	for _, u := range []User{
		{ID: "U0ANA", Name: "ana"}, {ID: "U0BEN", Name: "ben"}, {ID: "U0CAT", Name: "cat"},
		{ID: BotUser, Name: "elevate", Bot: true},
		{ID: "U0GUEST", Name: "guest", Restricted: true}, {ID: "U0ONE", Name: "one-channel guest", UltraRestricted: true},
		{ID: "U0GONE", Name: "gone", Deleted: true}, {ID: "U0ALIEN", Name: "alien", Team: "T999", Stranger: true},
	} {
		s.AddUser(u)
	}
	s.AddChannel(Channel{ID: "C0ACCESS", Name: "access"})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{method}", s.serveMethod)
	mux.HandleFunc("POST /hooks/{hook}", s.serveHook)
	mux.HandleFunc("GET /socket/{ticket}", s.sockets.serve)
	s.http = httptest.NewServer(mux)
	s.URL = s.http.URL + "/api/"
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		for _, d := range s.Defects() {
			t.Errorf("Slack would have refused: %s", d)
		}
	})
	return s
}

// Close lets everything go that hangs, and stops the server.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.gone:
		s.mu.Unlock()
		return
	default:
		close(s.gone)
	}
	s.mu.Unlock()
	s.sockets.closeAll()
	s.http.CloseClientConnections()
	s.http.Close()
}

// AddUser adds somebody, by default a member of the workspace.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Team == "" {
		u.Team = Team
	}
	s.users[u.ID] = &u
}

// SetUsergroup says who is in a user group.
func (s *Server) SetUsergroup(id string, users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups == nil {
		s.groups = map[string][]string{}
	}
	s.groups[id] = users
}

// AddChannel adds a channel.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[c.ID] = &c
}

// Misbehave makes the next calls of a method go wrong. The method "hooks" stands for all response URLs, "*" for all.
func (s *Server) Misbehave(method string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left = max(f.Times, 1)
	if f.Times < 0 {
		f.left = f.Times // counts down, and never to zero
	}
	s.faults[method] = append(s.faults[method], &f)
}

// Behave ends all misbehaviour.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Messages are the messages of a channel, oldest first.
func (s *Server) Messages(channel string) []Message {
	return s.list(channel, func(c *Channel) []*Message { return c.Messages })
}

// Whispers are the ephemeral messages of a channel.
func (s *Server) Whispers(channel string) []Message {
	return s.list(channel, func(c *Channel) []*Message { return c.Whispers })
}

func (s *Server) list(channel string, of func(*Channel) []*Message) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[channel]
	if c == nil {
		return nil
	}
	var out []Message
	for _, m := range of(c) {
		out = append(out, *m)
	}
	return out
}

// DM is the id of the personal conversation with somebody; empty where none was opened.
func (s *Server) DM(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.channels {
		if c.DM == user {
			return id
		}
	}
	return ""
}

// Await waits until something is so that was caused and takes its time.
func (s *Server) Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !bottest.Await(bottest.Patience, is) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// Calls are the calls of a method so far; of all methods where it is empty.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c Call) bool { return method != "" && c.Method != method })
}

// Defects are the rules that were broken so far. Looking at them forgives them.
func (s *Server) Defects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.defects
	s.defects = nil
	return out
}

// defect notes a broken rule. The lock is held.
func (s *Server) defect(format string, args ...any) {
	s.defects = append(s.defects, fmt.Sprintf(format, args...))
}

// id makes an id that was not used before. The lock is held.
func (s *Server) id(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%06d", prefix, s.serial)
}

// fault takes the next fault of a method. The lock is held.
func (s *Server) fault(method string) *Fault {
	for _, name := range []string{method, "*"} {
		if len(s.faults[name]) == 0 {
			continue
		}
		f := s.faults[name][0]
		if f.left--; f.left == 0 {
			s.faults[name] = s.faults[name][1:]
		}
		return f
	}
	return nil
}

// misbehaves plays a fault; false where there is none.
func (s *Server) misbehaves(w http.ResponseWriter, r *http.Request, method string) bool {
	s.mu.Lock()
	f := s.fault(method)
	s.mu.Unlock()
	switch {
	case f == nil:
		return false
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-s.gone:
		}
		panic(http.ErrAbortHandler)
	case f.Reset:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		if f.Location != "" {
			w.Header().Set("Location", f.Location)
		}
		w.WriteHeader(f.Status)
	case f.Error != "":
		reply(w, map[string]any{"ok": false, "error": f.Error})
		return true
	}
	_, _ = w.Write([]byte(f.Body))
	return true
}

func reply(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) hookURL(channel, user string) string {
	id := s.id("hook")
	s.hooks[id] = &hook{channel: channel, user: user, at: s.Now()}
	return strings.TrimSuffix(s.URL, "api/") + "hooks/" + id
}
