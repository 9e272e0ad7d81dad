// Package teamsfake is a Microsoft Teams for tests: the identity side, which signs what comes in and gives the bot its
// tokens, and the Bot Connector behind them. Both check what they are sent as Microsoft does, and misbehave when asked to.
package teamsfake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The bot as it is registered with Microsoft.
const (
	AppID        = "5f3a1c52-7d0e-4b6b-9a55-0c1d2e3f4a5b"
	TenantID     = "9b1d7e40-3c2f-4e8a-8f61-6a7b8c9d0e1f"
	ClientSecret = "fake-client-secret"
	Issuer       = "https://api.botframework.com"
	Scope        = "https://api.botframework.com/.default"
)

// Identity is Microsoft's identity side: the OpenID metadata and the keys of the Bot Framework, the tokens that it signs
// for the bot, and the token endpoint of Entra. It is safe for concurrent use; its fields may be set before it is used.
type Identity struct {
	URL string // without a slash at its end
	Now func() time.Time
	// Life is how long tokens are good, those that the bot gets and those that activities carry.
	Life time.Duration

	t    testing.TB
	http *httptest.Server
	gone chan struct{} // closed at the end: what hangs is let go

	mu        sync.Mutex
	keys      []*identityKey // those that Sign has, the published ones among them
	current   *identityKey
	faults    mischief
	asked     map[string]int       // how often, by kind
	given     map[string]time.Time // tokens of the bot, and until when they are good
	published int                  // how many keys there were so far
}

type identityKey struct {
	kid     string
	private *rsa.PrivateKey
	jwk     map[string]any // nil: withdrawn
}

// NewIdentity starts a fake with one key, which is endorsed for Teams.
func NewIdentity(t testing.TB) *Identity {
	t.Helper()
	i := &Identity{
		Now: time.Now, Life: 3599 * time.Second, t: t, gone: make(chan struct{}),
		faults: mischief{}, asked: map[string]int{}, given: map[string]time.Time{},
	}
	i.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/.well-known/openidconfiguration", i.serve("metadata", i.serveMetadata))
	mux.HandleFunc("GET /v1/.well-known/keys", i.serve("keys", i.serveKeys))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", i.serve("token", i.serveToken))
	i.http = httptest.NewServer(mux)
	i.URL = i.http.URL
	t.Cleanup(i.Close)
	return i
}

// Close lets everything go that hangs, and stops the server.
func (i *Identity) Close() {
	i.mu.Lock()
	select {
	case <-i.gone:
		i.mu.Unlock()
		return
	default:
		close(i.gone)
	}
	i.mu.Unlock()
	i.http.CloseClientConnections()
	i.http.Close()
}

// MetadataURL is the address of the OpenID metadata.
func (i *Identity) MetadataURL() string { return i.URL + "/v1/.well-known/openidconfiguration" }

// KeysURL is the address of the keys, which the metadata names.
func (i *Identity) KeysURL() string { return i.URL + "/v1/.well-known/keys" }

// TokenURL is the address that gives the bot of the tenant its tokens.
func (i *Identity) TokenURL() string { return i.URL + "/" + TenantID + "/oauth2/v2.0/token" }

// Fetches is how often the metadata was asked for, with which every fetch of keys begins.
func (i *Identity) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked["metadata"]
}

// Rotate publishes a new key and signs with it from now on. The older ones stay published.
func (i *Identity) Rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published++
	i.current = i.publish(fmt.Sprintf("fake-key-%d", i.published), minted(i.published), nil)
}

// Withdraw takes back every key but the one that signs now. Sign goes on to use them where it is told to.
func (i *Identity) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, key := range i.keys {
		if key != i.current {
			key.jwk = nil
		}
	}
}

// Publish adds a key beside the one that signs; Sign uses it for its kid. Of its JSON Web Key edits replaces members,
// and takes away those that are nil there.
func (i *Identity) Publish(kid string, private *rsa.PrivateKey, edits map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.publish(kid, private, edits)
}

func (i *Identity) publish(kid string, private *rsa.PrivateKey, edits map[string]any) *identityKey {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{
		"kty": "RSA", "use": "sig", "kid": kid, "x5t": kid,
		"n": encode(private.N.Bytes()), "e": encode(big.NewInt(int64(private.E)).Bytes()),
		"endorsements": []string{"webchat", "msteams", "skype"},
	}
	for name, value := range edits {
		if jwk[name] = value; value == nil {
			delete(jwk, name)
		}
	}
	key := &identityKey{kid, private, jwk}
	i.keys = append(i.keys, key)
	return key
}

// mint is the keys that all fakes share: making one takes long, above all where the race detector watches.
var mint struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

// minted gives the nth key, from 1.
func minted(n int) *rsa.PrivateKey {
	mint.Lock()
	defer mint.Unlock()
	for len(mint.keys) < n {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // there is no randomness: nothing can be tested
		}
		mint.keys = append(mint.keys, key)
	}
	return mint.keys[n-1]
}

// Header is the header of a good token, to be changed.
func (i *Identity) Header() map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	return map[string]any{"typ": "JWT", "alg": "RS256", "kid": i.current.kid, "x5t": i.current.kid}
}

// Claims are those of a good token, to be changed.
func (i *Identity) Claims(serviceURL string) map[string]any {
	now := i.Now()
	return map[string]any{
		"iss": Issuer, "aud": AppID, "serviceurl": serviceURL, "nbf": now.Unix(), "exp": now.Add(i.Life).Unix(),
	}
}

// Token is a good token for an activity with this service URL.
func (i *Identity) Token(serviceURL string) string { return i.Sign(i.Header(), i.Claims(serviceURL)) }

// Sign makes a token of a header and claims, good or bad, with the key that the header names or else the current one.
// What the header says of the algorithm is done: HS256 is made with the public key as its secret, as forgers do, and none
// leaves the token unsigned. Where it says nothing that can be done, RS256 is.
func (i *Identity) Sign(header, claims map[string]any) string {
	i.mu.Lock()
	key := i.current
	for _, k := range i.keys {
		if k.kid == header["kid"] {
			key = k
		}
	}
	i.mu.Unlock()
	alg, _ := header["alg"].(string)
	token := &jwt.Token{Header: header, Claims: jwt.MapClaims(claims), Method: jwt.SigningMethodRS256}
	var secret any = key.private
	switch method := jwt.GetSigningMethod(alg).(type) {
	case *jwt.SigningMethodHMAC:
		token.Method = method
		secret = pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.private.PublicKey)})
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
		token.Method = method
	default:
		if method == jwt.SigningMethodNone {
			token.Method, secret = method, jwt.UnsafeAllowNoneSignatureType
		}
	}
	signed, err := token.SignedString(secret)
	if err != nil {
		i.t.Errorf("sign a token of %v: %v", header, err)
	}
	return signed
}

// GoodBearer tells whether a token is one that the bot got here, and still good.
func (i *Identity) GoodBearer(token string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	until, ok := i.given[token]
	return ok && i.Now().Before(until)
}

// TokensAsked is how often the bot asked for a token.
func (i *Identity) TokensAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked["token"]
}

// Revoke makes every token bad that the bot got so far.
func (i *Identity) Revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.given)
}

// Misbehave makes the next requests go wrong: metadata, keys or token. The code of a token's fault is one of Entra's, such
// as AADSTS7000215 for a wrong secret. What hangs sends its body before, if it has one.
func (i *Identity) Misbehave(what string, f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults.add(what, f)
}

// Behave ends all misbehaviour.
func (i *Identity) Behave() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.faults)
}

// serve counts a request, and plays a fault if there is one.
func (i *Identity) serve(what string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch f := i.note(what); {
		case f == nil:
			next(w, r)
		case f.Code != "":
			i.refuse(w, f.Code, "")
		default:
			i.misbehave(w, r, f)
		}
	}
}

// note counts a request, and takes the next fault of its kind.
func (i *Identity) note(what string) *Fault {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked[what]++
	return i.faults.take(what)
}

func (i *Identity) misbehave(w http.ResponseWriter, r *http.Request, f *Fault) {
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = w.Write([]byte(f.Body))
	if !f.Hang {
		return
	}
	if f.Body != "" {
		_ = http.NewResponseController(w).Flush()
	}
	select {
	case <-r.Context().Done():
	case <-i.gone:
	}
	panic(http.ErrAbortHandler)
}

func (i *Identity) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, object{
		"issuer": Issuer, "jwks_uri": i.KeysURL(), "authorization_endpoint": "https://invalid.botframework.com",
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
	})
}

func (i *Identity) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	set := []map[string]any{}
	for _, key := range i.keys {
		if key.jwk != nil {
			set = append(set, maps.Clone(key.jwk))
		}
	}
	i.mu.Unlock()
	reply(w, http.StatusOK, object{"keys": set})
}

// serveToken is the client credentials flow with a secret.
func (i *Identity) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	field := r.PostFormValue
	switch {
	case r.PathValue("tenant") != TenantID:
		i.refuse(w, "AADSTS90002", r.PathValue("tenant"))
	case field("grant_type") == "":
		i.refuse(w, "AADSTS900144", "grant_type")
	case field("grant_type") != "client_credentials":
		i.refuse(w, "AADSTS70003", field("grant_type"))
	case field("client_id") != AppID:
		i.refuse(w, "AADSTS700016", field("client_id"))
	case field("client_secret") == "":
		i.refuse(w, "AADSTS7000218", "")
	case field("client_secret") != ClientSecret:
		i.refuse(w, "AADSTS7000215", "")
	case field("scope") != Scope:
		i.refuse(w, "AADSTS70011", field("scope"))
	default:
		token := "fake-bot-token-" + rand.Text()
		i.mu.Lock()
		i.given[token] = i.Now().Add(i.Life)
		i.mu.Unlock()
		life := int(i.Life / time.Second)
		reply(w, http.StatusOK, object{
			"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token,
		})
	}
}

// entra are errors of the token endpoint by their code. %s is what was wrong.
var entra = map[string]struct {
	status     int
	word, text string
}{
	"AADSTS70003":   {http.StatusBadRequest, "unsupported_grant_type", "The app requested an unsupported grant type '%s'."},
	"AADSTS70011":   {http.StatusBadRequest, "invalid_scope", "The provided value for the input parameter 'scope' is not valid. The scope %s is not valid."},
	"AADSTS90002":   {http.StatusBadRequest, "invalid_request", "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."},
	"AADSTS90033":   {http.StatusServiceUnavailable, "temporarily_unavailable", "A transient error has occurred. Please try again."},
	"AADSTS700016":  {http.StatusBadRequest, "unauthorized_client", "Application with identifier '%s' was not found in the directory '" + TenantID + "'."},
	"AADSTS900144":  {http.StatusBadRequest, "invalid_request", "The request body must contain the following parameter: '%s'."},
	"AADSTS7000215": {http.StatusUnauthorized, "invalid_client", "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '" + AppID + "'."},
	"AADSTS7000218": {http.StatusUnauthorized, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
	"AADSTS7000222": {http.StatusUnauthorized, "invalid_client", "The provided client secret keys for app '" + AppID + "' are expired."},
}

// refuse answers as Entra does.
func (i *Identity) refuse(w http.ResponseWriter, code, wrong string) {
	e, ok := entra[code]
	number, err := strconv.Atoi(strings.TrimPrefix(code, "AADSTS"))
	if !ok || err != nil {
		i.t.Errorf("the fake knows no %s", code)
		e.status = http.StatusInternalServerError
	}
	trace, at := "00000000-0000-4000-8000-000000000001", i.Now().UTC().Format("2006-01-02 15:04:05Z")
	reply(w, e.status, object{
		"error": e.word, "error_codes": []int{number}, "timestamp": at, "trace_id": trace, "correlation_id": trace,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", number),
		"error_description": fmt.Sprintf("%s: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			code, strings.ReplaceAll(e.text, "%s", wrong), trace, trace, at),
	})
}
