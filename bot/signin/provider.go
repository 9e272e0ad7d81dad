package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"elevate/workflows/access"
)

const (
	// maxAnswer is the longest answer of a provider that is read, in bytes.
	maxAnswer = 1 << 20
	// oldest is how long ago an ID token may have been made: the provider makes it while we wait for it.
	oldest = 5 * time.Minute
	// ahead is how far a provider's clock may be in front of ours.
	ahead = 30 * time.Second
)

// provider is the identity provider. It is discovered when it is needed first, and again after a failure.
type provider struct {
	cfg  Config
	http *http.Client

	mu    sync.Mutex
	found *discovered
}

type discovered struct {
	oauth    oauth2.Config // not to be copied: redeeming a code writes to it, by atomics
	verifier *oidc.IDTokenVerifier
	made     *oidc.Provider
	// saysIssuer tells that the provider names itself in what it sends back (RFC 9207), and must.
	saysIssuer bool
	methods    []string
	keys       string // address
	// offers are the scopes that the provider says it knows; empty: it does not say.
	offers []string
}

func newProvider(cfg Config) *provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &provider{cfg: cfg, http: &http.Client{
		Timeout: cfg.Timeout, Transport: bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded cuts answers off that are too long.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// discover asks the provider about itself, once.
func (p *provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.http), p.cfg.Timeout)
	defer cancel()
	made, err := oidc.NewProvider(ctx, p.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the provider: %w", err)
	}
	var more struct {
		Issuer  bool     `json:"authorization_response_iss_parameter_supported"`
		Methods []string `json:"code_challenge_methods_supported"`
		Keys    string   `json:"jwks_uri"`
		Ways    []string `json:"token_endpoint_auth_methods_supported"`
		Scopes  []string `json:"scopes_supported"`
	}
	if err := made.Claims(&more); err != nil {
		return nil, fmt.Errorf("read what the provider says of itself: %w", err)
	}
	err = p.trusted(made.Endpoint().AuthURL, made.Endpoint().TokenURL, more.Keys, cmp.Or(made.UserInfoEndpoint(), more.Keys))
	if err != nil {
		return nil, err
	}
	endpoint := made.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // told once: the library would try both ways, and codes are good for one
	if p.cfg.ClientSecret.IsZero() || len(more.Ways) > 0 && !slices.Contains(more.Ways, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	p.found = &discovered{
		oauth: oauth2.Config{
			ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: endpoint,
			RedirectURL: p.cfg.PublicURL + callbackPath, Scopes: slices.DeleteFunc(slices.Clone(p.cfg.Scopes), func(s string) bool { return s == OfflineAccess }),
		},
		made: made, offers: more.Scopes,
		verifier:   made.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Now}),
		saysIssuer: more.Issuer, methods: more.Methods, keys: more.Keys,
	}
	return p.found, nil
}

// trusted refuses addresses that secrets must not travel to: those without TLS, unless the provider has none itself, as
// on loopback.
func (p *provider) trusted(addresses ...string) error {
	issuer, err := url.Parse(p.cfg.Issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != issuer.Scheme {
			return fmt.Errorf("the provider names %q, which is no address with TLS", a)
		}
	}
	return nil
}

// secrets are what the two sides of one sign-in prove themselves with.
type secrets struct{ nonce, verifier string }

// address is where a browser goes to sign in.
func (p *provider) address(ctx context.Context, state string, s secrets, e Errand) (string, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(s.nonce), oauth2.S256ChallengeOption(s.verifier)}
	if e.Fresh > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", fmt.Sprintf("%d", int(e.Fresh.Seconds()))))
	}
	if e.Offline && p.offline() {
		options = append(options, oauth2.SetAuthURLParam("scope", strings.Join(p.cfg.Scopes, " ")))
	}
	return d.oauth.AuthCodeURL(state, options...), nil
}

// redeem makes an identity of the code that a browser came back with, and gives the refresh token, where one came with it.
func (p *provider) redeem(ctx context.Context, code string, s secrets, e Errand) (access.Identity, access.Secret, error) {
	none := access.Secret{}
	d, err := p.discover(ctx)
	if err != nil {
		return access.Identity{}, none, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.http), 2*p.cfg.Timeout)
	defer cancel()
	token, err := d.oauth.Exchange(ctx, code, oauth2.VerifierOption(s.verifier))
	if err != nil {
		return access.Identity{}, none, fmt.Errorf("exchange the code: %w", unsaid(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return access.Identity{}, none, fmt.Errorf("%w: there is no ID token", errToken)
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, none, fmt.Errorf("%w: %w", errToken, err)
	}
	if id.Nonce == "" || !equal(id.Nonce, s.nonce) {
		return access.Identity{}, none, fmt.Errorf("%w: it was made for another sign-in (nonce)", errToken)
	}
	out, _, err := p.identity(id, e.Fresh)
	if err == nil && e.Offline && p.offline() && token.RefreshToken != "" {
		out.Offline = true
		return out, access.NewSecret(token.RefreshToken), nil
	}
	return out, none, err
}

// unsaid leaves the body of a provider's answer out of an error: there may be a token in it.
func unsaid(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		return fmt.Errorf("%w: the provider answered %d %s", errRefused, answer.Response.StatusCode, answer.ErrorCode)
	}
	return err
}

var (
	errToken   = errors.New("the ID token does not hold")
	errRefused = errors.New("the provider refuses")
)

// identity checks what go-oidc leaves to its callers, and reads the claims. The nonce is for the caller. said tells whether
// there is a word on groups among them.
func (p *provider) identity(id *oidc.IDToken, fresh time.Duration) (out access.Identity, said bool, err error) {
	var claims struct {
		Party    string           `json:"azp"`
		SignedIn int64            `json:"auth_time"`
		Email    string           `json:"email"`
		Verified json.RawMessage  `json:"email_verified"`
		Rest     map[string]claim `json:"-"`
	}
	err = errors.Join(id.Claims(&claims), id.Claims(&claims.Rest))
	now := p.cfg.Now()
	switch {
	case err != nil:
		return out, false, fmt.Errorf("%w: %w", errToken, err)
	case id.Issuer != p.cfg.Issuer: // go-oidc lets one provider off
		return out, false, fmt.Errorf("%w: it is of %q", errToken, id.Issuer)
	case (len(id.Audience) > 1 || claims.Party != "") && claims.Party != p.cfg.ClientID:
		return out, false, fmt.Errorf("%w: it was made for another program (azp)", errToken)
	case id.IssuedAt.After(now.Add(ahead)), id.IssuedAt.Before(now.Add(-oldest)):
		return out, false, fmt.Errorf("%w: it was made at %s, and it is %s here: compare the clocks", errToken, id.IssuedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case fresh > 0 && now.Sub(time.Unix(claims.SignedIn, 0)) > fresh+ahead:
		return out, false, fmt.Errorf("%w: the person signed in too long ago (auth_time)", errToken)
	}
	subject := claims.Rest[p.cfg.SubjectClaim].text()
	if subject == "" {
		return out, false, fmt.Errorf("%w: it does not name the person: there is no claim %q", errToken, p.cfg.SubjectClaim)
	}
	out = access.Identity{Issuer: id.Issuer, Subject: subject, At: now.UTC()}
	if v := string(claims.Verified); v == "true" || v == `"true"` { // some providers write it as a text
		out.Email = claims.Email
	}
	out.Groups, out.Overage, said = p.groups(claims.Rest)
	return out, said, nil
}

// groups reads the groups among claims. Entra does not write down more than 200 of them: then it names a place where they
// could be asked for (_claim_names), or says that there are some (hasgroups), and what is there is not all.
func (p *provider) groups(claims map[string]claim) (groups []string, overage, said bool) {
	if p.cfg.GroupsClaim == "" {
		return nil, false, true
	}
	var elsewhere map[string]json.RawMessage
	_ = json.Unmarshal(claims["_claim_names"], &elsewhere) // what is no object names nothing
	_, named := elsewhere[p.cfg.GroupsClaim]
	has := string(claims["hasgroups"])
	if named || has == "true" || has == `"true"` {
		return nil, true, true
	}
	value, said := claims[p.cfg.GroupsClaim]
	groups = value.texts()
	if len(groups) > mostGroups {
		return nil, true, true
	}
	return groups, false, said
}

// claim is the value of one claim.
type claim json.RawMessage

func (c *claim) UnmarshalJSON(b []byte) error { *c = slices.Clone(b); return nil }

// text is a claim that is one; "" for any other.
func (c claim) text() (s string) {
	_ = json.Unmarshal(c, &s) // no text is none
	return s
}

// mostGroups bounds what is kept of one person's groups. Whoever is in more is told so, not taken for a member of some.
const mostGroups = 1000

// texts are those of a claim that is a list of them, or one.
func (c claim) texts() []string {
	var all []any
	if one := c.text(); one != "" {
		return []string{one}
	}
	if json.Unmarshal(c, &all) != nil {
		return nil
	}
	var out []string
	for _, v := range all {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}
