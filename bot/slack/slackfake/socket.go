package slackfake

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// maxAck is the longest acknowledgement; longer ones are dropped without a word.
const maxAck = 20 * 1024

// sockets is the Socket Mode side.
type sockets struct {
	s  *Server
	up websocket.Upgrader

	mu      sync.Mutex
	open    []*socket
	opened  chan struct{} // closed and replaced at each connection
	waiting map[string]chan Ack
	oldest  bool
	storm   int
	reason  string
	total   int
	closed  bool
}

type socket struct {
	mu   sync.Mutex
	conn *websocket.Conn
	gone chan struct{}
}

func newSockets(s *Server) *sockets {
	return &sockets{s: s, opened: make(chan struct{}), waiting: map[string]chan Ack{}}
}

// ticket is the address of the next connection.
func (k *sockets) ticket() string {
	return strings.Replace(strings.TrimSuffix(k.s.URL, "api/"), "http", "ws", 1) + "socket/ticket"
}

// DisconnectNext hangs up on the next connections right after hello, with a reason such as link_disabled.
func (s *Server) DisconnectNext(times int, reason string) {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	s.sockets.storm, s.sockets.reason = times, reason
}

// Connections is how many connections were made so far.
func (s *Server) Connections() int {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return s.sockets.total
}

// Connected tells whether a connection is open.
func (s *Server) Connected() bool { return len(s.sockets.list()) > 0 }

// UseOldest makes the server deliver on the oldest connection instead of the newest: Slack picks any.
func (s *Server) UseOldest(oldest bool) {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	s.sockets.oldest = oldest
}

// SendEnvelope delivers a payload in an envelope of any type.
func (s *Server) SendEnvelope(kind string, payload map[string]any) Ack {
	return s.sockets.deliver(kind, payload)
}

// Refresh asks all connections to make way for new ones, as Slack does now and then. They stay open.
func (s *Server) Refresh() {
	for _, c := range s.sockets.list() {
		_ = c.write(map[string]any{"type": "disconnect", "reason": "refresh_requested"})
	}
}

// Cut breaks all connections without a word.
func (s *Server) Cut() {
	for _, c := range s.sockets.list() {
		_ = c.conn.UnderlyingConn().Close()
	}
}

// Raw sends text on the newest connection as it is.
func (s *Server) Raw(text string) error {
	c, err := s.sockets.connection(ackWithin)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

func (k *sockets) list() []*socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*socket(nil), k.open...)
}

func (k *sockets) closeAll() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	for _, c := range k.list() {
		_ = c.conn.Close()
	}
}

func (k *sockets) serve(w http.ResponseWriter, r *http.Request) {
	if k.s.misbehaves(w, r, "socket") {
		return
	}
	conn, err := k.up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &socket{conn: conn, gone: make(chan struct{})}
	defer func() { close(c.gone); _ = conn.Close() }()
	_ = c.write(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A111"}})
	k.mu.Lock()
	k.total++
	if k.closed {
		k.mu.Unlock()
		return
	}
	if k.storm != 0 {
		k.storm--
		reason := k.reason
		k.mu.Unlock()
		_ = c.write(map[string]any{"type": "disconnect", "reason": reason})
		return
	}
	k.open = append(k.open, c)
	close(k.opened)
	k.opened = make(chan struct{})
	k.mu.Unlock()
	k.read(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, each := range k.open {
		if each == c {
			k.open = append(k.open[:i], k.open[i+1:]...)
			break
		}
	}
}

// read takes acknowledgements until the connection ends.
func (k *sockets) read(c *socket) {
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		var ack struct {
			ID      string          `json:"envelope_id"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal(message, &ack); err != nil || len(message) >= maxAck {
			continue
		}
		k.mu.Lock()
		if answer, ok := k.waiting[ack.ID]; ok {
			answer <- Ack{Status: http.StatusOK, Body: ack.Payload}
			delete(k.waiting, ack.ID)
		}
		k.mu.Unlock()
	}
}

// connection is the newest open connection; it waits for one.
func (k *sockets) connection(patience time.Duration) (*socket, error) {
	deadline := time.After(patience)
	for {
		k.mu.Lock()
		opened := k.opened
		if n := len(k.open); n > 0 {
			c := k.open[n-1]
			if k.oldest {
				c = k.open[0]
			}
			k.mu.Unlock()
			return c, nil
		}
		k.mu.Unlock()
		select {
		case <-opened:
		case <-deadline:
			return nil, errors.New("the program has no connection open")
		}
	}
}

// deliver sends an envelope and waits for the acknowledgement. When the connection ends before it, the envelope is
// delivered again on another, as Slack does.
func (k *sockets) deliver(kind string, payload map[string]any) Ack {
	for attempt := 0; ; attempt++ {
		c, err := k.connection(ackWithin)
		if err != nil {
			return Ack{Err: err}
		}
		k.s.mu.Lock()
		id := k.s.id("envelope-")
		k.s.mu.Unlock()
		answer := make(chan Ack, 1)
		k.mu.Lock()
		k.waiting[id] = answer
		k.mu.Unlock()
		envelope := map[string]any{
			"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api",
			"retry_attempt": attempt,
		}
		_ = c.write(envelope)
		select {
		case ack := <-answer:
			return ack
		case <-c.gone:
		case <-time.After(ackWithin):
			return Ack{Err: errors.New("not acknowledged within 3 seconds")}
		}
	}
}

func (c *socket) write(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.WriteJSON(v)
}
