// Package oidcfake is an identity provider for tests: OpenID Connect over real HTTP, with keys of its own. It refuses what
// a strict provider refuses, and misbehaves where it is told to.
package oidcfake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What the provider knows of its one client.
const (
	ClientID     = "elevate"
	ClientSecret = "oidc-canary-secret"
)

// User is somebody with an account at the provider.
type User struct {
	Subject, Email, Name string
	Unverified           bool // the address was never confirmed
	Groups               []string
}

// Faults are what the provider does wrong.
type Faults struct {
	Claims    func(claims map[string]any) // changes an ID token before it is signed
	Algorithm string                      // none, or HS256 with the public key as its secret
	Forged    bool                        // signs with a key that it does not publish, under the id of one that it does
	NoToken   bool                        // gives no ID token
	Down      bool                        // answers 503 at token, keys and discovery
	Issuer    string                      // in the discovery document
	ReuseCode bool                        // takes a code again and again
	Response  func(q url.Values)          // changes what the browser is sent back with
	Detour    bool                        // shows its page on another origin, as those do that have several
	Refreshes
}

// Server is the provider.
type Server struct {
	*httptest.Server
	Redirect string // the one address that browsers may be sent back to
	other    *httptest.Server

	mu     sync.Mutex
	now    func() time.Time
	users  []User
	faults Faults
	key    *rsa.PrivateKey
	kid    string
	codes  map[string]code
	asks   map[string]url.Values
	calls  map[string]int
	grants map[string]*grant // by refresh token
	bearer map[string]User   // by access token
}

type code struct {
	user    User
	ask     url.Values
	made    time.Time
	at      time.Time // when the person signed in
	redeems int
}

// Start starts a provider, which ends with the test.
func Start(t testing.TB, redirect string, users ...User) *Server {
	t.Helper()
	s := &Server{Redirect: redirect, users: users, now: time.Now, codes: map[string]code{}, asks: map[string]url.Values{}, calls: map[string]int{},
		grants: map[string]*grant{}, bearer: map[string]User{}}
	s.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /keys", s.keys)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /userinfo", s.userinfo)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.other = httptest.NewServer(mux)
	t.Cleanup(s.other.Close)
	return s
}

// Rotate replaces the key that signs.
func (s *Server) Rotate() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.kid = key, rand.Text()[:8]
}

// Misbehave sets what the provider does wrong from now on.
func (s *Server) Misbehave(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// SetClock replaces the provider's clock.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Calls is how often a path was asked for.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// called counts a call, and gives what is to go wrong with it.
func (s *Server) called(r *http.Request) Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.URL.Path]++
	return s.faults
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	f := s.called(r)
	if f.Down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	issuer := s.URL
	if f.Issuer != "" {
		issuer = f.Issuer
	}
	write(w, http.StatusOK, map[string]any{
		"issuer": issuer, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true, "userinfo_endpoint": s.URL + "/userinfo",
		"scopes_supported": f.scopes(),
	})
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	if s.called(r).Down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := base64.RawURLEncoding.EncodeToString(s.key.N.Bytes())
	e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.key.E)).Bytes())
	write(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": s.kid, "n": n, "e": e}}})
}

var loginPage = template.Must(template.New("login").Parse(`<!doctype html><title>Example Login</title><h1>Example Login</h1>
{{range .Users}}<form method="post" action="/login"><input type="hidden" name="ask" value="{{$.Ask}}"><button name="user" value="{{.Subject}}">{{.Name}}</button></form>{{end}}
<form method="post" action="/login"><input type="hidden" name="ask" value="{{.Ask}}"><button name="user" value="">Cancel</button></form>`))

// authorize is the page on which people choose who they are. It refuses what lacks anything that a careful client sends.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	f := s.called(r)
	q := r.URL.Query()
	if f.Detour && "http://"+r.Host != s.other.URL {
		http.Redirect(w, r, s.other.URL+"/authorize?"+r.URL.RawQuery, http.StatusFound)
		return
	}
	switch {
	case q.Get("client_id") != ClientID, q.Get("redirect_uri") != s.Redirect, q.Get("response_type") != "code":
		http.Error(w, "unknown client, redirect or response type", http.StatusBadRequest)
		return
	case !slices.Contains(strings.Fields(q.Get("scope")), "openid"), len(q.Get("state")) < 32, len(q.Get("nonce")) < 32,
		q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		http.Error(w, "scope, state, nonce or PKCE is missing", http.StatusBadRequest)
		return
	}
	ask := rand.Text()
	s.mu.Lock()
	s.asks[ask] = q
	users := slices.Clone(s.users)
	s.mu.Unlock()
	_ = loginPage.Execute(w, map[string]any{"Ask": ask, "Users": users})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	f := s.called(r)
	s.mu.Lock()
	q, asked := s.asks[r.FormValue("ask")]
	i := slices.IndexFunc(s.users, func(u User) bool { return u.Subject == r.FormValue("user") })
	back := url.Values{"state": {q.Get("state")}, "iss": {s.URL}}
	if i >= 0 {
		c := rand.Text()
		s.codes[c] = code{user: s.users[i], ask: q, made: s.now(), at: s.now()}
		back.Set("code", c)
	} else {
		back.Set("error", "access_denied")
	}
	s.mu.Unlock()
	if !asked {
		http.Error(w, "nobody asked", http.StatusBadRequest)
		return
	}
	if f.Response != nil {
		f.Response(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	f := s.called(r)
	if f.Down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	id, secret, _ := r.BasicAuth()
	if id != ClientID || secret != ClientSecret {
		write(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	if r.FormValue("grant_type") == "refresh_token" {
		s.refresh(w, r, f)
		return
	}
	s.mu.Lock()
	c, known := s.codes[r.FormValue("code")]
	c.redeems++
	s.codes[r.FormValue("code")] = c
	now := s.now()
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || c.redeems > 1 && !f.ReuseCode || now.Sub(c.made) > time.Minute || r.FormValue("redirect_uri") != s.Redirect ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != c.ask.Get("code_challenge") {
		write(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	answer := map[string]any{"access_token": s.let(c.user), "token_type": "Bearer", "expires_in": 300}
	if !f.NoToken {
		answer["id_token"] = s.sign(c, f)
	}
	if slices.Contains(strings.Fields(c.ask.Get("scope")), "offline_access") && !f.NoRefresh {
		answer["refresh_token"] = s.grant(c)
	}
	write(w, http.StatusOK, answer)
}

// sign makes the ID token of a code.
func (s *Server) sign(c code, f Faults) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	claims := jwt.MapClaims{
		"iss": s.URL, "sub": c.user.Subject, "aud": ClientID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "auth_time": c.at.Unix(),
		"nonce": c.ask.Get("nonce"), "email": c.user.Email, "email_verified": !c.user.Unverified, "name": c.user.Name, "groups": c.user.Groups,
	}
	if f.GroupsElsewhere {
		delete(claims, "groups")
	}
	if f.Claims != nil {
		f.Claims(claims)
	}
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	var key any = s.key
	switch {
	case f.Algorithm == "none":
		method, key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	case f.Algorithm == "HS256":
		method, key = jwt.SigningMethodHS256, s.key.N.Bytes()
	case f.Forged:
		other, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		key = other
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = s.kid
	signed, err := token.SignedString(key)
	if err != nil {
		panic(fmt.Sprintf("sign an ID token: %v", err))
	}
	return signed
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever hung up needs no answer
}
