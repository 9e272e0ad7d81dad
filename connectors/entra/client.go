package entra

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/microsoft/kiota-abstractions-go/authentication"
	khttp "github.com/microsoft/kiota-http-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/identitygovernance"
	"github.com/microsoftgraph/msgraph-sdk-go/policies"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"elevate/connectors"
)

// session is one call at work: a client of its own, whose connections end with it.
type session struct {
	roles      *rolemanagement.RoleManagementRequestBuilder
	governance *identitygovernance.IdentityGovernanceRequestBuilder
	policies   *policies.PoliciesRequestBuilder
	users      *users.UsersRequestBuilder
	groups     *groups.GroupsRequestBuilder
	adapter    *khttp.NetHttpRequestAdapter
	cfg        Config
	token      token
	graph      string // its address, with the version
}

// run makes one call, bounded in time.
func (c *Connector) run(ctx context.Context, op string, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	token, err := c.tokens.get(ctx)
	if err != nil {
		return failed(op, err)
	}
	transport := newTransport(ctx, c.roots)
	defer transport.CloseIdleConnections()
	s, err := c.open(token, transport)
	if err != nil {
		return failed(op, err)
	}
	return failed(op, f(ctx, s))
}

// open makes the SDK's request builders over a chain of our own. The SDK's chain is built in random order, and where its
// retrying comes outside its compressing, what it sends again after a 429, 503 or 504 is not compressed and says that it
// is. It also repeats after 503 what was done already. Nothing here compresses or retries: the runner does that.
func (c *Connector) open(t token, transport http.RoundTripper) (*session, error) {
	client := &http.Client{
		Transport:     &door{next: transport, host: c.cloud.graph.Host, scheme: c.cloud.graph.Scheme, token: t, now: c.cfg.Now},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	adapter, err := khttp.NewNetHttpRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, // the door does that, and to its own host alone
		kjson.NewJsonParseNodeFactory(), kjson.NewJsonSerializationWriterFactory(), client)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	adapter.SetBaseUrl(c.cloud.graph.String())
	return session{adapter: adapter, cfg: c.cfg, token: t, graph: c.cloud.graph.String()}.fork(), nil
}

// fork gives a session over the same connections to another goroutine. Request builders share the map they are made with,
// and each request writes to it.
func (s session) fork() *session {
	at := map[string]string{"baseurl": s.graph}
	s.roles = rolemanagement.NewRoleManagementRequestBuilderInternal(at, s.adapter)
	s.governance = identitygovernance.NewIdentityGovernanceRequestBuilderInternal(at, s.adapter)
	s.policies = policies.NewPoliciesRequestBuilderInternal(at, s.adapter)
	s.users = users.NewUsersRequestBuilderInternal(at, s.adapter)
	s.groups = groups.NewGroupsRequestBuilderInternal(at, s.adapter)
	return &s
}

// The longest body that is sent, and the longest that is read.
const (
	longestRequest = 1 << 20
	longestAnswer  = 32 << 20
)

// door is the way out to Graph, and the only place where the token is put on a request.
type door struct {
	next         http.RoundTripper
	scheme, host string
	token        token
	now          func() time.Time
}

// RoundTrip sends a request, and makes an error of every answer that is none of 2xx.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != d.scheme || r.URL.Host != d.host {
		return nil, refuse(connectors.Unavailable, "Graph named %q as the place to go on at, which is not Graph's: nothing was sent there", r.URL.Host)
	}
	r = r.Clone(r.Context())
	if err := whole(r); err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+d.token.text.Reveal())
	response, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, longestRequest))
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		return nil, readAnswer(response.StatusCode, response.Header, body, d.now())
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, longestAnswer), response.Body}
	return response, nil
}

// whole reads a request's body, so that it is sent with its length and not in chunks.
func whole(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, longestRequest))
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	if err := r.Body.Close(); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// cloud is where a cloud's servers are.
type cloud struct {
	graph *url.URL
	login string
}

// findCloud picks the servers. Graph's version belongs to its address.
func findCloud(cfg Config) (cloud, error) {
	clouds := map[string][2]string{
		"":          {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
		"public":    {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
		"usgov":     {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
		"usgov-dod": {"https://dod-graph.microsoft.us", "https://login.microsoftonline.us"},
		"china":     {"https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"},
	}
	hosts, ok := clouds[cfg.Cloud]
	if !ok {
		return cloud{}, errors.New("cloud: write public, usgov, usgov-dod or china")
	}
	if cfg.GraphURL != "" {
		hosts[0] = cfg.GraphURL
	}
	if cfg.LoginURL != "" {
		hosts[1] = cfg.LoginURL
	}
	graph, graphErr := parseServer("graph_url", hosts[0])
	_, loginErr := parseServer("login_url", hosts[1])
	if err := errors.Join(graphErr, loginErr); err != nil {
		return cloud{}, err
	}
	return cloud{graph: graph.JoinPath("v1.0"), login: hosts[1]}, nil
}

// parseServer reads the address of a server. It begins with https://: a token or a secret goes there.
func parseServer(key, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("%s: must be an address that begins with https://, without user name, ? and #", key)
	}
	return u, nil
}

// newTransport makes the connections of one call. It stops dialling with ctx, and not when a single request is given up.
func newTransport(ctx context.Context, roots *x509.CertPool) *http.Transport {
	var dialer net.Dialer
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
