package teamsfake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"elevate/bot/bottest"
)

// The team that has the app, and its channel.
const (
	Team   = "19:teamteamteamteamteamteamteamteam@thread.tacv2"
	Access = "19:accessaccessaccessaccessaccessac@thread.tacv2"
)

// Bot is the bot's id in activities.
const Bot = "28:" + AppID

// maxMessage is how long a message may be, in bytes of UTF-16 (Teams: about 100 KB with everything in it).
const maxMessage = 100 * 1024

// Server is the fake. Its fields may be set before it is used.
type Server struct {
	URL      string // of the service, with a slash at its end, as activities name it
	Identity *Identity
	Now      func() time.Time
	// Patience is how long a client waits for an answer. Zero: 10 seconds.
	Patience time.Duration
	// Retries is how often a client sends an invoke again that was not answered; Teams does it up to three times.
	Retries int
	// Lively makes clients ask for cards anew by themselves, whenever one is shown that names their person.
	Lively bool
	// Paced enforces the rates of messages to one conversation, by Now.
	Paced bool

	t      testing.TB
	http   *httptest.Server
	client *http.Client
	bot    string          // the address that activities are posted to
	life   context.Context // ends with the fake: what hangs is let go
	end    context.CancelFunc

	mu       sync.Mutex
	users    map[string]*User
	channels map[string]*Channel
	messages []*Message
	sights   map[sightKey]*sight
	shown    []showing
	sent     map[string][]time.Time // of messages to one conversation
	calls    []Call
	faults   mischief
	defects  []string
	serial   int64
	looking  sync.WaitGroup
	last     func() Ack // sends the last activity again
}

// User is somebody in Teams.
type User struct {
	ObjectID, Name string
	Tenant         string // empty: the server's
	Anonymous      bool   // a guest of a meeting, who has no object id
	Installed      bool   // has the app
	InTeam         bool   // is in the team, which has the app

	id      string // 29:…, of this person for this bot
	chat    string // of this person with the bot
	removed bool   // has taken the app away
	open    bool   // the personal chat was begun
}

// Channel is a channel of the team, or of another where the app is not.
type Channel struct {
	ID   string
	Out  bool // the app is not in its team
	Gone bool // it was deleted
}

// ObjectID is the object id that stands for a name in these tests.
func ObjectID(name string) string {
	sum := sha256.Sum256([]byte(name))
	h := hex.EncodeToString(sum[:])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// MRI is the id of a person, who has an object id, for this bot: 29:….
func MRI(objectID string) string { return "29:1" + scrambled("mri", objectID) }

func scrambled(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, " ")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// New starts a fake with the people ana, ben and cat (see ObjectID), who have the app and are in the team, and with the
// team's channel Access. At the end of the test it reports everything that Teams would have refused.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		Identity: NewIdentity(t), Now: time.Now, t: t, client: &http.Client{},
		users: map[string]*User{}, channels: map[string]*Channel{}, sights: map[sightKey]*sight{},
		sent: map[string][]time.Time{}, faults: mischief{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	for _, name := range []string{"ana", "ben", "cat"} {
		s.AddUser(User{ObjectID: ObjectID(name), Name: name, Installed: true, InTeam: true})
	}
	s.AddChannel(Channel{ID: Team})
	s.AddChannel(Channel{ID: Access})
	s.http = httptest.NewServer(s.routes())
	s.URL = s.http.URL + "/teams/"
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		for _, d := range s.Defects() {
			t.Errorf("Teams would have refused: %s", d)
		}
	})
	return s
}

// Deliver makes what people do arrive at an address, such as http://127.0.0.1:8080/api/messages.
func (s *Server) Deliver(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bot = address
}

// Close lets everything go that hangs, and stops the server.
func (s *Server) Close() {
	s.end()
	s.http.CloseClientConnections()
	s.http.Close()
	s.looking.Wait()
	s.client.CloseIdleConnections()
}

// AddUser adds somebody.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Tenant = cmp.Or(u.Tenant, TenantID)
	u.id, u.chat = MRI(u.ObjectID), "a:1"+scrambled("chat", u.ObjectID)
	u.open = u.Installed
	s.users[u.ObjectID] = &u
}

// AddChannel adds a channel.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[c.ID] = &c
}

// Chat is the id of a person's chat with the bot; empty where none was begun.
func (s *Server) Chat(objectID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[objectID]; u != nil && u.open {
		return u.chat
	}
	return ""
}

// Who is the object id of somebody who is named by it or by a 29:…; empty where there is nobody.
func (s *Server) Who(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.user(id); u != nil {
		return u.ObjectID
	}
	return ""
}

// user finds somebody by either id. The lock is held.
func (s *Server) user(id string) *User {
	for _, u := range s.users {
		if u.id == id || strings.EqualFold(u.ObjectID, id) && !u.Anonymous {
			return u
		}
	}
	return nil
}

// Call is a call to the Bot Connector.
type Call struct {
	Op    string // create, post, update, delete, members, member
	Path  string // below v3/, escaped as it was sent
	Query url.Values
	Body  map[string]any
}

// Calls are the calls of one kind so far; of all kinds where it is empty.
func (s *Server) Calls(op string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c Call) bool { return op != "" && c.Op != op })
}

// Await waits until something is so that was caused and takes its time.
func (s *Server) Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !bottest.Await(bottest.Patience, is) {
		t.Fatalf("waited in vain: %s", what)
	}
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

// tick counts on. The lock is held.
func (s *Server) tick() int64 {
	s.serial++
	return s.serial
}

// messageID is the id of a message that is posted now: a number, as in Teams. The lock is held.
func (s *Server) messageID() string {
	return strconv.FormatInt(s.Now().UnixMilli()+s.tick(), 10)
}
