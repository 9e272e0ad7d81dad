package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
)

// Socket Mode. slack-go has a client for it, which is not used: it reconnects without delay when Slack switches Socket
// Mode off (a thousand connections a second), never says why Slack hung up, sends an acknowledgement on whichever
// connection is open by then, and refuses payloads with elements that it does not know.

const (
	// socketQuiet is how long a connection may be silent. Slack pings every few seconds; so do we, and count the answers.
	socketQuiet = 30 * time.Second
	socketPing  = 10 * time.Second
	// socketWrite bounds one write: an acknowledgement that takes longer is of no use.
	socketWrite = 2 * time.Second
	// socketDrain is how long a connection that Slack wants to replace is still read.
	socketDrain = 10 * time.Second
	// socketMaxRead bounds one message from Slack.
	socketMaxRead = 4 << 20
	// socketMaxAck is the longest acknowledgement: Slack drops those of 20 kB silently.
	socketMaxAck = 19_500
	// socketSteady is how long a connection must last for the next one to be opened without delay.
	socketSteady = 30 * time.Second

	socketRetryFirst = 500 * time.Millisecond
	socketRetryMost  = time.Minute
)

// envelope is a message of Socket Mode.
type envelope struct {
	Type    string          `json:"type"` // hello, disconnect, slash_commands, interactive, events_api
	ID      string          `json:"envelope_id"`
	Reason  string          `json:"reason"`
	Payload json.RawMessage `json:"payload"`
}

// ack answers an envelope.
type ack struct {
	ID      string          `json:"envelope_id"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socketAdvice is what to do about errors of Socket Mode that stay until somebody does it.
//
//nolint:gosec // words about tokens, none of them one
var socketAdvice = map[string]string{
	"invalid_auth":           "set slack.app_token to an app-level token with the scope connections:write",
	"not_authed":             "set slack.app_token to an app-level token with the scope connections:write",
	"not_allowed_token_type": "slack.app_token must be an app-level token: it starts with xapp-",
	"missing_scope":          "give the app-level token the scope connections:write",
	"token_revoked":          "the app-level token was revoked; make another and set slack.app_token",
	"token_expired":          "the app-level token has expired; make another and set slack.app_token",
	"account_inactive":       "the app was removed from the workspace; install it again",
	"forbidden_team":         "the workspace may not use Socket Mode; use HTTP (slack.signing_secret) instead",
	"link_disabled":          "Socket Mode is switched off; switch it on in the app's settings, or use HTTP (slack.signing_secret)",
}

// RunSocket serves Slack through a WebSocket until ctx ends, and returns after its goroutines have. It never gives up:
// what keeps it from connecting is logged and told by Healthy.
func (s *Slack) RunSocket(ctx context.Context) error {
	if s.cfg.AppToken.IsZero() {
		return errors.New("slack: Socket Mode needs app_token")
	}
	var open sync.WaitGroup
	defer open.Wait()
	s.health.connection(errors.New("slack: Socket Mode is not connected yet"))
	delay := time.Duration(0)
	for ctx.Err() == nil {
		jitter := rand.N(delay/2 + 1) //nolint:gosec // keeps replicas from knocking together, and keeps no secret
		if err := s.wait(ctx, delay/2+jitter); err != nil {
			return nil
		}
		began := s.now()
		conn, err := s.dialSocket(ctx)
		if err != nil {
			delay = s.socketFailed(ctx, delay, err)
			continue
		}
		left := make(chan error, 1)
		open.Go(func() { s.serveSocket(ctx, conn, left) })
		select {
		case err = <-left:
		case <-ctx.Done():
			return nil
		}
		if s.now().Sub(began) >= socketSteady {
			delay = 0
			if err == nil { // Slack replaces connections every hour or so
				continue
			}
		}
		delay = s.socketFailed(ctx, delay, err)
	}
	return nil
}

// socketFailed notes why there is no connection, and gives the time until the next try.
func (s *Slack) socketFailed(ctx context.Context, delay time.Duration, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	delay = min(max(2*delay, socketRetryFirst), socketRetryMost)
	if err == nil { // asked to reconnect soon after connecting: no fault, but no hurry either
		return delay
	}
	var why disconnected
	var limited *slack.RateLimitedError
	code := apiCode(err)
	switch {
	case errors.As(err, &why):
		code = why.Reason
	case errors.As(err, &limited):
		delay = max(delay, limited.RetryAfter)
	}
	if advice, ok := socketAdvice[code]; ok {
		err = fmt.Errorf("%w: %s", err, advice)
		delay = socketRetryMost
	}
	s.health.connection(fmt.Errorf("slack: Socket Mode: %w", err))
	s.log.Warn("Socket Mode is not connected", "err", err, "retry_in", delay)
	return delay
}

// dialSocket asks for an address and connects to it.
func (s *Slack) dialSocket(ctx context.Context) (*websocket.Conn, error) {
	_, address, err := s.api.StartSocketModeContext(ctx)
	if err == nil && address == "" {
		err = errEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("apps.connections.open: %w", err)
	}
	dialer := websocket.Dialer{
		Proxy:            http.ProxyFromEnvironment,
		HandshakeTimeout: s.cfg.Timeout,
		// An acknowledgement must fit into one frame: Slack does not put fragments together.
		WriteBufferSize: 32 << 10,
	}
	conn, answer, err := dialer.DialContext(ctx, address, nil)
	if answer != nil {
		_ = answer.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn.SetReadLimit(socketMaxRead)
	return conn, nil
}

// disconnected says why Slack ended a connection.
type disconnected struct{ Reason string }

func (d disconnected) Error() string { return "Slack disconnected: " + d.Reason }

// serveSocket reads a connection until it ends. It tells left, once, when another connection is needed: nil when Slack
// is about to close this one in the usual course, in which case it is read on until then.
func (s *Slack) serveSocket(ctx context.Context, conn *websocket.Conn, left chan<- error) {
	c := &socketConn{conn: conn}
	var handling sync.WaitGroup
	pings := make(chan struct{})
	handling.Go(func() { c.ping(s.ping, pings) })
	defer func() { // what was begun is still acknowledged
		close(pings)
		handling.Wait()
		c.close()
	}()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })()

	alive := func() {
		_ = conn.SetReadDeadline(time.Now().Add(s.quiet))
		if ctx.Err() != nil { // it ended just before, and was overwritten
			_ = conn.SetReadDeadline(time.Now())
		}
	}
	alive()
	conn.SetPongHandler(func(string) error { alive(); return nil })
	conn.SetPingHandler(func(data string) error { alive(); return c.pong(data) })
	draining := false
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			if !draining {
				left <- err
			}
			return
		}
		alive()
		var e envelope
		if err := json.Unmarshal(message, &e); err != nil {
			s.log.Warn("unreadable message from Slack", "err", err)
			continue
		}
		switch {
		case e.Type == "hello":
			s.health.connection(nil)
			s.log.Info("Socket Mode is connected")
		case e.Type == "disconnect" && !draining:
			draining = true
			alive = func() {}
			_ = conn.SetReadDeadline(time.Now().Add(socketDrain))
			left <- reason(e.Reason)
		case e.ID != "":
			handling.Go(func() { s.serveEnvelope(ctx, c, e) })
		}
	}
}

// reason is nil where a disconnect is Slack's usual housekeeping.
func reason(word string) error {
	if word == "warning" || word == "refresh_requested" {
		return nil
	}
	return disconnected{word}
}

// serveEnvelope answers one envelope on the connection that it came by. When that has ended, Slack delivers it again.
func (s *Slack) serveEnvelope(ctx context.Context, c *socketConn, e envelope) {
	began := time.Now()
	p, err := parseEnvelope(e)
	if err != nil {
		s.log.Warn("unreadable message from Slack", "type", e.Type, "err", err)
		p = unknown{e.Type}
	}
	r := s.fit(p, s.take(context.WithoutCancel(ctx), p))
	if err := c.write(ack{ID: e.ID, Payload: r.body}); err != nil {
		s.log.Warn("an acknowledgement was not sent", "kind", p.kind(), "err", err)
		return
	}
	s.cfg.Observe(p.kind(), time.Since(began))
}

func parseEnvelope(e envelope) (payload, error) {
	switch e.Type {
	case "slash_commands":
		return parseCommand(e.Payload)
	case "interactive":
		return parseInteraction(e.Payload)
	case "events_api":
		return parseEvent(e.Payload)
	}
	return unknown{e.Type}, nil
}

// fit shortens an answer that an acknowledgement cannot carry, or sends it another way.
func (s *Slack) fit(p payload, r reply) reply {
	if len(r.body) <= socketMaxAck {
		return r
	}
	switch p := p.(type) {
	case suggestion:
		var all struct {
			Options []json.RawMessage `json:"options"`
		}
		if err := json.Unmarshal(r.body, &all); err != nil {
			return reply{}
		}
		for len(r.body) > socketMaxAck {
			all.Options = all.Options[:len(all.Options)*9/10]
			r = jsonReply(all)
		}
		return r
	case command:
		s.afterwards(func(ctx context.Context) error { return s.postHook(ctx, p.ResponseURL, r.body) })
	case submission:
		if r.card != nil {
			s.afterwards(func(ctx context.Context) error { return s.postDM(ctx, p.User.ID, *r.card) })
		}
	}
	return reply{}
}

// socketConn writes one message at a time.
type socketConn struct {
	mu   sync.Mutex
	conn *websocket.Conn
}

func (c *socketConn) write(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(socketWrite)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, body)
}

// pong answers a ping. Control messages may be written beside others.
func (c *socketConn) pong(data string) error {
	err := c.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(socketWrite))
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil
	}
	return err
}

func (c *socketConn) ping(every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(socketWrite)) // the reader notices
		case <-stop:
			return
		}
	}
}

// close says goodbye: Slack delivers what is not acknowledged to another connection.
func (c *socketConn) close() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(socketWrite)) // it may be gone already
	_ = c.conn.Close()
}
