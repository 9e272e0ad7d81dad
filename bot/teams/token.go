package teams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"elevate/workflows/access"
)

const (
	// tokenEarly is how long before its end a token is replaced. Entra's are good for an hour or more.
	tokenEarly = 5 * time.Minute
	// tokenLast is how long before its end a token is not used any more: it must still be good when it arrives.
	tokenLast = 15 * time.Second
	// tokenPause lies between tries to replace a token that is still good.
	tokenPause = time.Minute
	// callTimeout is the longest that one call to Microsoft may take, where nothing else is said.
	callTimeout = 10 * time.Second
)

// tokenConfig is what it takes to ask Entra for the bot's token.
type tokenConfig struct {
	URL     string // of the tenant's token endpoint
	AppID   string
	Secret  access.Secret
	Scope   string
	HTTP    *http.Client     // nil: one of its own
	Timeout time.Duration    // zero: 10 seconds
	Now     func() time.Time // nil: time.Now
}

// newTokens gives the bot's tokens. Whoever calls Token waits at most for the time-out.
func newTokens(cfg tokenConfig) oauth2.TokenSource {
	cfg.HTTP = direct(cfg.HTTP)
	cfg.Timeout = cmp.Or(cfg.Timeout, callTimeout)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return keep(entra{cfg}, cfg.Now)
}

// direct is a client like the given one that follows no redirect, which would take the token or the secret elsewhere.
func direct(client *http.Client) *http.Client {
	out := http.Client{}
	if client != nil {
		out = *client
	}
	if out.Transport == nil {
		// The zero Transport of http.Client is shared; one of our own can be closed without harm to others.
		out.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &out
}

// entra asks for a token with the application's secret, each time.
type entra struct{ tokenConfig }

func (e entra) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), oauth2.HTTPClient, e.HTTP), e.Timeout)
	defer cancel()
	c := clientcredentials.Config{
		ClientID: e.AppID, ClientSecret: e.Secret.Reveal(), TokenURL: e.URL, Scopes: []string{e.Scope},
		AuthStyle: oauth2.AuthStyleInParams,
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, newTokenError(err, e.Now())
	}
	return token, nil
}

// tokens keeps the token of a source and asks for the next one before its end, one question at a time. A source knows no
// context, so questions run beside those who wait for them, and answer the next who come when these have left.
type tokens struct {
	source oauth2.TokenSource
	now    func() time.Time

	mu     sync.Mutex
	token  *oauth2.Token
	asking *question // that is not answered yet; nil: none is
	asked  time.Time // when the last question was
}

// question is a call of a source.
type question struct {
	answered chan struct{} // closed when the rest is set
	token    *oauth2.Token
	err      error
}

// keep keeps the token of a source, unless the source does so itself.
func keep(source oauth2.TokenSource, now func() time.Time) *tokens {
	if t, ok := source.(*tokens); ok {
		return t
	}
	return &tokens{source: source, now: now}
}

// Token implements oauth2.TokenSource. It waits for as long as the source does.
func (t *tokens) Token() (*oauth2.Token, error) { return t.get(context.Background()) }

// get gives a token that is good, and waits for one until ctx ends.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	token, q := t.look()
	if token != nil {
		return token, nil
	}
	select {
	case <-q.answered:
		return q.token, q.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the bot's token: %w", ctx.Err())
	}
}

// look gives a token that is good, or else the question to wait for.
func (t *tokens) look() (*oauth2.Token, *question) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	goodFor := func(d time.Duration) bool {
		return t.token != nil && (t.token.Expiry.IsZero() || now.Add(d).Before(t.token.Expiry))
	}
	good := goodFor(tokenLast)
	if t.asking == nil && !goodFor(tokenEarly) && (!good || now.Sub(t.asked) >= tokenPause) {
		t.asking, t.asked = &question{answered: make(chan struct{})}, now
		go t.ask(t.asking)
	}
	if good {
		return t.token, nil
	}
	return nil, t.asking
}

func (t *tokens) ask(q *question) {
	q.token, q.err = t.source.Token()
	if q.err == nil && (q.token == nil || q.token.AccessToken == "") {
		q.err = &tokenError{Err: errEmpty}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.err == nil {
		t.token = q.token
	}
	t.asking = nil
	close(q.answered)
}

// refused forgets a token that the connector did not take, so that the next call brings another.
func (t *tokens) refused(token *oauth2.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = nil
	}
}

// tokenError says why there is no token. It holds nothing that Entra wrote but codes: the rest may repeat what was sent.
type tokenError struct {
	Status     int    // zero: there was no answer
	Code       string // AADSTS and a number, or OAuth's word; may be empty
	Advice     string // what to do; may be empty
	RetryAfter time.Duration
	Err        error // instead of an answer
}

func (e *tokenError) Error() string {
	text := "no token for the bot"
	if e.Err != nil {
		return text + ": " + e.Err.Error()
	}
	text += fmt.Sprintf(": the login endpoint answered %d", e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Advice != "" {
		text += ": " + e.Advice
	}
	return text
}

func (e *tokenError) Unwrap() error { return e.Err }

// tokenAdvice is what to do about answers that stay until somebody does it.
//
//nolint:gosec // words about secrets, none of them one
var tokenAdvice = map[string]string{
	"AADSTS7000215": "set teams.client_secret to the value of a secret of the application, not to the secret's id",
	"AADSTS7000222": "the secret has expired; make another for the application and set teams.client_secret",
	"AADSTS7000112": "the application is disabled in the tenant; enable it in Entra",
	"AADSTS7000229": "the tenant has no service principal for the application; make one: az ad sp create --id (teams.app_id)",
	"AADSTS700016":  "the tenant has no such application; check teams.app_id and teams.tenant_id",
	"AADSTS90002":   "there is no such tenant; check teams.tenant_id and teams.cloud",
	"AADSTS900023":  "there is no such tenant; check teams.tenant_id and teams.cloud",
}

// oauthAdvice is for what Entra says in OAuth's words alone.
var oauthAdvice = map[string]string{
	"invalid_request":        "check teams.tenant_id",
	"invalid_client":         "check teams.app_id and teams.client_secret",
	"invalid_scope":          "check teams.cloud",
	"unauthorized_client":    "check teams.app_id and teams.tenant_id",
	"unsupported_grant_type": "check teams.token_url",
}

var codeOfEntra = regexp.MustCompile(`\bAADSTS[0-9]{2,10}\b`)

func newTokenError(err error, now time.Time) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response == nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			return &tokenError{Err: failed.Err} // less the address
		}
		return &tokenError{Err: errEmpty} // the rest are answers that hold no token; some of these errors quote them
	}
	e := &tokenError{Status: answer.Response.StatusCode, RetryAfter: retryAfter(answer.Response.Header, now)}
	if e.Code = codeOfEntra.FindString(answer.ErrorDescription); e.Code != "" {
		e.Advice = tokenAdvice[e.Code]
	}
	word := oauthAdvice[answer.ErrorCode]
	if e.Code == "" && word != "" {
		e.Code = answer.ErrorCode
	}
	e.Advice = cmp.Or(e.Advice, word)
	if e.Status < http.StatusInternalServerError {
		e.RetryAfter = max(e.RetryAfter, mendIn)
	}
	return e
}
