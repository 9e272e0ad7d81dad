package teams

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// maxMessage is the longest body that is sent, in bytes. Teams takes messages of about a hundred kilobytes.
	maxMessage = 80 << 10
	// maxAnswer is the longest answer that is read. A page of members has a few hundred kilobytes at most.
	maxAnswer = 1 << 20
)

// connectorConfig is what a connector is made of.
type connectorConfig struct {
	Hosts   hosts
	Tokens  oauth2.TokenSource
	HTTP    *http.Client     // nil: one of its own
	Timeout time.Duration    // the longest that one call may take, the token with it; zero: 10 seconds
	Now     func() time.Time // nil: time.Now
}

// connector calls the Bot Connector, by which all that does not answer a request gets into Teams. It tries everything
// once: what is worth trying again, bot's outbox knows.
type connector struct {
	hosts   hosts
	tokens  *tokens
	http    *http.Client
	timeout time.Duration
	now     func() time.Time
}

func newConnector(cfg connectorConfig) *connector {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &connector{
		hosts: cfg.Hosts, tokens: keep(cfg.Tokens, cfg.Now), http: direct(cfg.HTTP),
		timeout: cmp.Or(cfg.Timeout, callTimeout), now: cfg.Now,
	}
}

// call is one call of the Bot Connector.
type call struct {
	op      string // for errors
	method  string
	service string     // URL
	path    []string   // below v3/conversations, ids as they are
	query   url.Values // nil: none
	body    any        // nil: none
}

// do makes a call and reads its answer into out; nil where nothing of it is needed.
func (c *connector) do(ctx context.Context, q call, out any) error {
	err := c.try(ctx, q, out)
	var answer *connectorError
	if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized { // nothing was done, and the next token is another
		err = c.try(ctx, q, out)
	}
	if err == nil || errors.As(err, &answer) {
		return err
	}
	return fmt.Errorf("%s: %w", q.op, err)
}

func (c *connector) try(ctx context.Context, q call, out any) error {
	service, err := c.hosts.allow(q.service)
	if err != nil {
		return err
	}
	address, err := q.address(service)
	if err != nil {
		return err
	}
	body, err := q.encode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.tokens.get(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, q.method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	a, err := c.exchange(req)
	if err != nil {
		return err
	}
	if a.status < 200 || a.status > 299 {
		if a.status == http.StatusUnauthorized {
			c.tokens.refused(token)
		}
		said := bytes.ReplaceAll(a.body, []byte(token.AccessToken), []byte("[token]"))
		return newConnectorError(q.op, a.status, a.header, said, c.now())
	}
	return a.read(out)
}

// address is where a call goes: the service URL with its own path, and every id as one segment.
func (q call) address(service *url.URL) (string, error) {
	parts := []string{strings.TrimSuffix(service.String(), "/"), "v3", "conversations"}
	for _, id := range q.path {
		if id == "" || id == "." || id == ".." { // no escaping makes a segment of these
			return "", fmt.Errorf("%w: there is an id %q in it", errReference, id)
		}
		parts = append(parts, url.PathEscape(id))
	}
	address := strings.Join(parts, "/")
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	return address, nil
}

func (q call) encode() ([]byte, error) {
	if q.body == nil {
		return nil, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it makes a message longer, and Teams' clients do not need it
	if err := e.Encode(q.body); err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	if b.Len() > maxMessage {
		return nil, fmt.Errorf("%w: it has %d bytes", errTooLarge, b.Len())
	}
	return b.Bytes(), nil
}

// received is an answer that has been read.
type received struct {
	status int
	header http.Header
	body   []byte
}

func (c *connector) exchange(req *http.Request) (received, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "elevate")
	if req.ContentLength > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // less the address, which names the conversation
		}
		return received{}, err
	}
	defer func() { _ = resp.Body.Close() }() // all that was wanted of it is read by then
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return received{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return received{}, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return received{resp.StatusCode, resp.Header, body}, nil
}

// read takes what is needed out of an answer of success. One of which nothing is needed may be empty, but not a page.
func (a received) read(out any) error {
	if out == nil {
		if len(bytes.TrimSpace(a.body)) > 0 && !json.Valid(a.body) {
			return errEmpty
		}
		return nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return errEmpty
	}
	return nil
}
