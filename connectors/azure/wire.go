package azure

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"elevate/connectors"
)

// longestAnswer is how many bytes of an answer are read.
const longestAnswer = 16 << 20

// wire sends each request once: nothing is repeated below the runner, which looks before it writes again, and no
// redirect takes our token to another machine.
type wire struct {
	tls  *tls.Config
	host string // of Azure Resource Manager
}

// options are those of every client: the SDK's own retries are off, and no resource provider is registered on the side.
func (w *wire) options(p whereabout) *arm.ClientOptions {
	return &arm.ClientOptions{
		DisableRPRegistration: true,
		ClientOptions: policy.ClientOptions{
			Cloud:     p.cloud,
			Retry:     policy.RetryOptions{MaxRetries: -1},
			Telemetry: policy.TelemetryOptions{Disabled: true},
			Transport: w,
		},
	}
}

// callKey is where the context of a call has its transport.
type callKey struct{}

// begin gives a call connections of its own, which end with it.
func (w *wire) begin(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, connectors.OneCall(ctx, w.tls))
}

// Do implements the SDK's transport.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") && r.URL.Host != w.host {
		return nil, fmt.Errorf("%s is not %s, and Elevate's token is for that alone", r.URL.Host, w.host)
	}
	transport, ok := r.Context().Value(callKey{}).(*http.Transport)
	if !ok { // a way to sign in that does not pass the context on
		transport = connectors.OneCall(r.Context(), w.tls)
		transport.DisableKeepAlives = true
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: longestAnswer}
	return resp, nil
}

// bounded is an answer that is not read without end.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", longestAnswer)
	}
	return n, err
}

// earlier is how long before its end a token is replaced.
const earlier = 5 * time.Minute

// tokens keeps one token for all calls. Waiting for one ends with the call that waits.
type tokens struct {
	credential azcore.TokenCredential
	ask        policy.TokenRequestOptions
	now        func() time.Time
	asking     chan struct{} // holds one: who asks

	mu   sync.Mutex
	kept azcore.AccessToken
}

func newTokens(credential azcore.TokenCredential, p whereabout, now func() time.Time) *tokens {
	return &tokens{credential: credential, now: now, asking: make(chan struct{}, 1),
		ask: policy.TokenRequestOptions{Scopes: []string{p.audience + "/.default"}, EnableCAE: true}}
}

// GetToken implements the SDK's credential. A challenge of the target is passed on, and its token is the one that is kept.
func (t *tokens) GetToken(ctx context.Context, ask policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if ask.Claims == "" {
		if token, ok := t.good(); ok {
			return token, nil
		}
	}
	select {
	case t.asking <- struct{}{}:
		defer func() { <-t.asking }()
	case <-ctx.Done():
		return azcore.AccessToken{}, ctx.Err()
	}
	if ask.Claims == "" {
		if token, ok := t.good(); ok {
			return token, nil // somebody got it while we waited
		}
	}
	token, err := t.credential.GetToken(ctx, ask)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = token
	return token, nil
}

func (t *tokens) good() (azcore.AccessToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept, t.kept.Token != "" && t.now().Add(earlier).Before(t.kept.ExpiresOn)
}

// identity is the object id that our token names.
func (t *tokens) identity(ctx context.Context) (string, error) {
	token, err := t.GetToken(ctx, t.ask)
	if err != nil {
		return "", err
	}
	return objectID(token.Token)
}

// objectID reads who a token is for. It comes from the sign-in service itself, so its signature is not ours to check.
func objectID(token string) (string, error) {
	var claims struct {
		ObjectID string `json:"oid"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the token is no JSON Web Token, so it does not say who Elevate is")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("the token cannot be read, so it does not say who Elevate is")
	}
	if err := json.Unmarshal(raw, &claims); err != nil || !isGUID(claims.ObjectID) {
		return "", errors.New("the token has no object id (oid), so it does not say who Elevate is")
	}
	return claims.ObjectID, nil
}
