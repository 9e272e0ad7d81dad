package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"elevate/bot/api"
)

// usageError is wrong usage of a command: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// clientEnv is what the commands that call a server take from around them.
type clientEnv struct {
	getenv func(string) string
	now    func() time.Time
	zone   *time.Location // in which times are shown
	// poll is how often --wait looks; retry is the first wait before a failed call is sent again.
	poll, retry time.Duration
}

// surroundings are those of the program itself.
func surroundings() clientEnv {
	return clientEnv{getenv: os.Getenv, now: time.Now, zone: time.Local, poll: 2 * time.Second, retry: time.Second}
}

const (
	callTime  = 40 * time.Second // a little more than the server takes at most
	callTries = 4
	// longestWait bounds what a server's Retry-After can make us wait.
	longestWait = 15 * time.Second
	maxAnswer   = 16 << 20
)

// client calls the API of one server.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
	retry time.Duration
}

// newClient checks where to call, and with what.
func newClient(server, token string, plain bool, env clientEnv) (*client, error) {
	base, err := url.Parse(server)
	switch {
	case server == "":
		return nil, usagef("say where Elevate is: --server https://… or the environment variable ELEVATE_SERVER")
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, usagef("%q is not the address of a server; it should look like https://elevate.example.com", server)
	case base.User != nil:
		return nil, usagef("the server's address must not hold a name or password; the token comes from ELEVATE_TOKEN or --token-file")
	case base.Scheme == "http" && !plain && !loopback(base.Hostname()):
		return nil, usagef("http:// would show the token to everybody on the way to %s. Use https://, or --plain-http where the network is trusted", base.Hostname())
	case token == "":
		return nil, usagef("there is no token: set the environment variable ELEVATE_TOKEN, or name a file with --token-file. An administrator can give you one")
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return nil, usagef("the token has spaces or other characters that no token has")
	}
	return &client{base: base, token: token, retry: env.retry, http: &http.Client{
		Timeout: callTime,
		// A redirect would carry the call, and perhaps the token, where nobody meant to send it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// get reads a document.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// post does something. Its key makes it safe to send again when the answer is lost.
func (c *client) post(ctx context.Context, path string, in map[string]string, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("write the call: %w", err)
	}
	return c.call(ctx, http.MethodPost, path, nil, body, out)
}

// call sends a call, again where that may help.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body []byte, out any) error {
	target := c.base.JoinPath(api.Prefix, path)
	target.RawQuery = query.Encode()
	key := rand.Text()
	wait := c.retry
	for try := 1; ; try++ {
		req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("write the call: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		req.Header.Set("Accept", "application/json")
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", key)
		}
		again, err := c.send(req, out)
		if err == nil || again < 0 || try == callTries {
			return err
		}
		select {
		case <-time.After(min(max(wait, again), longestWait)):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait *= 2
	}
}

// final says that sending a call again cannot help.
const final = time.Duration(-1)

// send sends a call once. again is how long to wait before sending it again, at least; final where that cannot help.
func (c *client) send(req *http.Request, out any) (again time.Duration, err error) {
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(req, err)
	}
	defer func() { _ = res.Body.Close() }() // everything wanted of it has been read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("the answer of %s broke off: %w", c.base.Host, err)
	}
	if res.StatusCode < 300 {
		if err := json.Unmarshal(body, out); err != nil {
			return final, fmt.Errorf("%s does not answer as Elevate does. Check --server: %w", c.base.Host, err)
		}
		return 0, nil
	}
	return refused(c.base.Host, res, body)
}

// unreachable says why there is no answer, without the wrapping of net/http, which repeats the address.
func (c *client) unreachable(req *http.Request, err error) (time.Duration, error) {
	if ctxErr := req.Context().Err(); ctxErr != nil {
		return final, ctxErr
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	err = fmt.Errorf("cannot reach %s: %w. Check --server and the network", c.base.Host, err)
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return final, err
	}
	return 0, err
}

// problemError is what a server said no with.
type problemError struct{ api.Problem }

func (e *problemError) Error() string {
	text := asTyped(printable(e.Detail))
	if e.Status == http.StatusUnauthorized {
		return "the server does not know this token. Set ELEVATE_TOKEN or --token-file to a valid one"
	}
	if e.Open != "" {
		text += "\n\n  " + printable(e.Open) + "\n"
	}
	return text
}

// refused reads an answer that is no success.
func refused(host string, res *http.Response, body []byte) (time.Duration, error) {
	again := final
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusBadGateway ||
		res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusGatewayTimeout {
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // absent, or a date: our own wait will do
		again = time.Duration(max(0, seconds)) * time.Second
	}
	var p api.Problem
	if json.Unmarshal(body, &p) == nil && p.Code != "" && p.Detail != "" {
		if p.Code == "in_progress" {
			again = 0
		}
		return again, &problemError{p}
	}
	if to := res.Header.Get("Location"); res.StatusCode < 400 {
		return final, fmt.Errorf("%s sends callers on to %q. Check --server", host, printable(to))
	}
	return again, fmt.Errorf("%s answered “%s”, and not as Elevate does. Check --server", host, printable(res.Status))
}
