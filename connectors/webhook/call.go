package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"elevate/connectors"
)

// The longest answers that are read, in bytes.
const (
	smallAnswer = 64 << 10
	longAnswer  = 8 << 20
)

// message is one request: a verb, and what identifies it however often it is sent.
type message struct {
	verb  string
	id    string // webhook-id; it ends in the verb, which is not signed otherwise
	key   string // Idempotency-Key; empty for verbs that change nothing
	body  any
	limit int64 // of the answer
}

// forGrant is a message that changes something.
func forGrant(grant, verb string, body any) message {
	id := grant + ":" + verb
	return message{verb: verb, id: id, key: id, body: body, limit: smallAnswer}
}

// asking is a message that changes nothing.
func asking(verb string, body any, limit int64) message {
	return message{verb: verb, id: rand.Text() + ":" + verb, body: body, limit: limit}
}

// answer is what came back, whatever its status.
type answer struct {
	status int
	header http.Header
	body   []byte
	from   *url.URL
}

// send posts a message and has its answer read. A target that is still at work (202) is asked once at the
// place that it names; if it is not done, the error is TooEarly and the next try, with the same Idempotency-Key, finds out.
func (c *Connector) send(ctx context.Context, m message, read func([]byte) error) error {
	body, err := json.Marshal(m.body)
	if err != nil {
		return &connectors.Error{Kind: connectors.Invalid, Op: m.verb, Err: fmt.Errorf("write the request: %w", err)}
	}
	a, err := c.exchange(ctx, m, http.MethodPost, c.url.JoinPath(m.verb), body)
	if err != nil {
		return unknown(m.verb, err)
	}
	if a.status == http.StatusAccepted {
		if a, err = c.poll(ctx, m, a); err != nil {
			return err
		}
	}
	if err := a.problem(m.verb, c.now()); err != nil {
		return err
	}
	if err := read(a.body); err != nil {
		return unknown(m.verb, fmt.Errorf("the answer is not what the protocol says: %w", err))
	}
	return nil
}

// poll asks once how a message fares that the target accepted for later.
func (c *Connector) poll(ctx context.Context, m message, accepted answer) (answer, error) {
	location := accepted.header.Get("Location")
	if location == "" {
		return answer{}, unknown(m.verb, errors.New("the target answered 202 without saying in Location where to ask again"))
	}
	at, err := accepted.from.Parse(location)
	if err != nil || at.Scheme != c.url.Scheme || at.Host != c.url.Host || at.User != nil {
		return answer{}, unknown(m.verb, fmt.Errorf("the target's Location is not at %s://%s", c.url.Scheme, c.url.Host))
	}
	a, err := c.exchange(ctx, m, http.MethodGet, at, nil)
	if err != nil {
		return answer{}, unknown(m.verb, err)
	}
	// What stands in the way of asking says nothing about the work itself, so no answer here is final.
	if err := a.problem(m.verb, c.now()); err != nil && connectors.KindOf(err).Final() {
		return answer{}, unknown(m.verb, fmt.Errorf("ask how it fares: %w", err))
	}
	if a.status == http.StatusAccepted {
		wait := connectors.RetryAfter(a.header, c.now())
		if wait == 0 {
			wait = connectors.RetryAfter(accepted.header, c.now())
		}
		return answer{}, &connectors.Error{Kind: connectors.TooEarly, Op: m.verb, RetryAfter: wait,
			Err: errors.New("the target is still at work on it")}
	}
	return a, nil
}

// exchange signs and sends one request and reads the answer.
func (c *Connector) exchange(ctx context.Context, m message, method string, to *url.URL, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if err := c.sign(req, m, body); err != nil {
		return answer{}, err
	}
	client := c.client(ctx)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // all that was wanted of it is read by then
	text, err := io.ReadAll(io.LimitReader(resp.Body, m.limit+1))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(text)) > m.limit {
		return answer{}, fmt.Errorf("the answer is longer than %d bytes", m.limit)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: text, from: to}, nil
}

// sign sets the headers of Standard Webhooks.
func (c *Connector) sign(req *http.Request, m message, body []byte) error {
	now := c.now()
	signatures := make([]string, len(c.keys))
	for i, key := range c.keys {
		signature, err := key.Sign(m.id, now, body)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		signatures[i] = signature
	}
	req.Header.Set(standardwebhooks.HeaderWebhookID, m.id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "elevate")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if m.key != "" {
		req.Header.Set("Idempotency-Key", m.key)
	}
	return nil
}

// problem is what a status means; nil for 2xx.
func (a answer) problem(op string, now time.Time) error {
	if a.status >= 200 && a.status <= 299 {
		return nil
	}
	kind, text := meaning(a.status)
	if said := a.said(); said != "" {
		text += ": " + said
	}
	e := &connectors.Error{Kind: kind, Op: op, Err: &statusError{a.status, text}}
	if !kind.Final() {
		e.RetryAfter = connectors.RetryAfter(a.header, now)
	}
	return e
}

// statusError is an answer that is no 2xx.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the target answered %d %s", e.status, e.text)
}

func meaning(status int) (connectors.Kind, string) {
	text := http.StatusText(status)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return connectors.Denied, text
	case http.StatusNotFound, http.StatusGone:
		return connectors.NotFound, text
	case http.StatusConflict, http.StatusTooEarly:
		return connectors.TooEarly, text
	case http.StatusTooManyRequests:
		return connectors.Throttled, text
	case http.StatusRequestTimeout:
		return connectors.Unavailable, text
	}
	switch {
	case status >= 300 && status <= 399:
		return connectors.Unavailable, text + ", and redirects are not followed; let url be the final address"
	case status >= 400 && status <= 499:
		return connectors.Invalid, text
	}
	return connectors.Unavailable, text
}

// said is the beginning of what a target wrote beside a status, quoted: it is shown to people.
func (a answer) said() string {
	const enough = 200 // runes
	text := strings.ToValidUTF8(strings.TrimSpace(string(a.body[:min(len(a.body), 4*enough)])), "")
	if text == "" {
		return ""
	}
	if runes := []rune(text); len(runes) > enough {
		text = string(runes[:enough]) + "…"
	}
	return strconv.Quote(text)
}

// unknown is an error after which nobody knows what the target did.
func unknown(op string, err error) error {
	e := &connectors.Error{Kind: connectors.Unavailable, Op: op, Err: err}
	var cause *connectors.Error
	if errors.As(err, &cause) {
		e.RetryAfter = cause.RetryAfter
	}
	return e
}

// strictly decodes one JSON value with no keys but the known ones and nothing after it: a misspelt key must not pass
// for an absent one.
func strictly(out any) func([]byte) error {
	return func(text []byte) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(out); err != nil {
			return err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return errors.New("there is something after the JSON value")
		}
		return nil
	}
}
