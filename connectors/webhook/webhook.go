// Package webhook reaches targets that speak Elevate's own small protocol: signed HTTP requests with JSON, four of them.
// It is the way to everything that no other connector knows. What the protocol asks of the other side is in README.md.
package webhook

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"elevate/connectors"
	"elevate/workflows/access"
)

// Config sets up a Connector.
type Config struct {
	// URL is what the verbs are appended to: URL/activate, /deactivate, /holders, /check. It begins with https://, or
	// with http:// on this machine.
	URL string
	// Secret signs the requests: whsec_ and the base64 of 24 to 64 random bytes. While it is being changed it may be
	// two, separated by a space; each request is then signed with both.
	Secret access.Secret
	// Timeout bounds each call as a whole, with reading back. Zero: 10 seconds.
	Timeout time.Duration
	// CAFile is a file of PEM certificates that the target's certificate must come from. Empty: the system's.
	CAFile string
	// AllowHTTP allows http:// to other machines. Requests stay signed, but whoever is on the way can read them, and
	// can answer in the target's place.
	AllowHTTP bool

	// NativeExpiry says that the target ends access by itself a little after ends_at, and answers when.
	NativeExpiry bool
	// EndsSessions says that the target ends live sessions when it takes a role away.
	EndsSessions bool
	// Tail is the longest time for which access may survive at the target after it was taken away. Zero: none.
	Tail time.Duration
	// MinDuration is the shortest grant that the target takes. Zero: any.
	MinDuration time.Duration

	// Now tells the time, for signatures. Nil: time.Now.
	Now func() time.Time
}

const (
	defaultTimeout = 10 * time.Second
	shortestKey    = 24 // bytes; Standard Webhooks: between 24 and 64
	longestKey     = 64
)

// Connector gives and takes roles at one target by signed HTTP.
type Connector struct {
	url     *url.URL
	keys    []*standardwebhooks.Webhook
	timeout time.Duration
	tls     *tls.Config
	caps    connectors.Capabilities
	now     func() time.Time
}

var (
	_ connectors.Connector     = (*Connector)(nil)
	_ connectors.Describer     = (*Connector)(nil)
	_ connectors.TargetChecker = (*Connector)(nil)
)

// New makes a connector. It asks nobody anything.
func New(cfg Config) (*Connector, error) {
	target, urlErr := parseURL(cfg.URL, cfg.AllowHTTP)
	keys, keyErr := parseKeys(cfg.Secret.Reveal())
	roots, rootErr := connectors.Roots(cfg.CAFile)
	problems := []error{urlErr, keyErr, rootErr}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"timeout", cfg.Timeout}, {"tail", cfg.Tail}, {"min_duration", cfg.MinDuration}} {
		if d.value < 0 {
			problems = append(problems, fmt.Errorf("%s: is negative; write a time such as 10s, or leave it out", d.key))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	c := &Connector{
		url: target, keys: keys, timeout: cfg.Timeout, now: cfg.Now,
		tls: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		caps: connectors.Capabilities{NativeExpiry: cfg.NativeExpiry, EndsSessions: cfg.EndsSessions,
			Tail: cfg.Tail, MinDuration: cfg.MinDuration},
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

func parseURL(text string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("url: is missing; write the address that the verbs are appended to, such as https://internal.example.com/elevate")
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New("url: is no address; write one such as https://internal.example.com/elevate")
	case u.User != nil:
		return nil, errors.New("url: has a user or password in it, which would be seen in logs; requests are signed with secret instead")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("url: has something after ? or #; write the address up to the path alone")
	case u.Scheme == "https", u.Scheme == "http" && (allowHTTP || local(u.Hostname())):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("url: begins with http://, by which others could read requests and answer in the target's place; write https://, or allow_http: true where the way is safe")
	}
	return nil, errors.New("url: begins with neither https:// nor http://")
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// parseKeys reads the secret. Its errors quote nothing of it.
func parseKeys(secret string) ([]*standardwebhooks.Webhook, error) {
	var keys []*standardwebhooks.Webhook
	for _, text := range strings.Fields(secret) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(raw) < shortestKey || len(raw) > longestKey {
			return nil, errors.New("secret: must be whsec_ and the base64 of 24 to 64 random bytes; make one with: echo whsec_$(openssl rand -base64 32)")
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, errors.New("secret: cannot be used for signing")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("secret: is missing; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	return keys, nil
}

// Capabilities are those that the configuration declares for the target.
func (c *Connector) Capabilities() connectors.Capabilities { return c.caps }

// CheckTarget accepts whatever JSON can hold: what a target means is the other side's business.
func (c *Connector) CheckTarget(target map[string]any) error {
	if _, err := json.Marshal(target); err != nil {
		return fmt.Errorf("target: cannot be written as JSON: %w", err)
	}
	return nil
}

// client makes the client of one call. It follows no redirects, keeps no connection, and stops dialling with ctx.
func (c *Connector) client(ctx context.Context) *http.Client {
	var dialer net.Dialer
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			TLSClientConfig:        c.tls,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: smallAnswer,
		},
	}
}
