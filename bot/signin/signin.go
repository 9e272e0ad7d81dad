package signin

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/seal"
)

const (
	// Prefix begins the paths of a Desk.
	Prefix = "/signin"

	callbackPath = Prefix + "/callback"
	// OfflineAccess is the scope that asks the provider for a refresh token.
	OfflineAccess = "offline_access"

	// begunFor is how long somebody may take to sign in.
	begunFor = 10 * time.Minute
	// visitFor is how long a sign-in is good for.
	visitFor = 10 * time.Minute
)

// Store is what a Desk remembers by, for all replicas.
type Store interface {
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Recall(ctx context.Context, key string) ([]byte, error)
	// Redeem gives what Put stored, to the first who asks; nil to all others.
	Redeem(ctx context.Context, key string) ([]byte, error)
}

// Directory knows who has signed in. Errors: access.ErrNotFound (wrapped) where that is nobody, or more than one.
type Directory interface {
	ByIdentity(ctx context.Context, id access.Identity) (access.Person, error)
}

// Config is what a Desk is made of.
type Config struct {
	Issuer       string        // of the provider, to the letter; required
	ClientID     string        // of Elevate there; required
	ClientSecret access.Secret // empty: Elevate is a public client, with PKCE alone
	// PublicURL is what browsers reach this program by, without a slash at the end; the provider must know PublicURL with
	// /signin/callback as a redirect. Required.
	PublicURL string
	// Scopes are asked for beside openid; OfflineAccess only where an errand asks for it too, and there is a Box.
	Scopes []string
	// SubjectClaim is the claim that names people. Empty: sub.
	SubjectClaim string
	GroupsClaim  string    // empty: groups are not read
	Store        Store     // required
	Directory    Directory // required
	// Box seals refresh tokens, for the person, the issuer and the subject. Nil: none is asked for.
	Box *seal.Box
	// TurnedAway is told of an identity that is nobody here, or somebody else than was asked for. Nil: nobody is told.
	TurnedAway func(ctx context.Context, id access.Identity, code string)
	Timeout    time.Duration    // of one call to the provider; zero: 10 seconds
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: discarded
}

func (cfg *Config) complete() error {
	var errs []error
	for what, missing := range map[string]bool{
		"issuer": cfg.Issuer == "", "client_id": cfg.ClientID == "", "http.public_url": cfg.PublicURL == "",
	} {
		if missing {
			errs = append(errs, fmt.Errorf("signin: %s is required", what))
		}
	}
	cfg.SubjectClaim = cmp.Or(cfg.SubjectClaim, "sub")
	cfg.Scopes = append([]string{"openid"}, cfg.Scopes...)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	if cfg.TurnedAway == nil {
		cfg.TurnedAway = func(context.Context, access.Identity, string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}

// Desk is where browsers sign in. It is safe for concurrent use.
type Desk struct {
	cfg      Config
	log      *slog.Logger
	provider *provider
	secure   bool // the cookies travel over TLS alone
}

// New checks the configuration and makes a Desk. It calls nobody.
func New(cfg Config) (*Desk, error) {
	err := cfg.complete()
	if cfg.Store == nil || cfg.Directory == nil {
		err = errors.Join(err, errors.New("signin: Store and Directory are required"))
	}
	if err != nil {
		return nil, err
	}
	return &Desk{cfg: cfg, log: cfg.Logger, provider: newProvider(cfg), secure: strings.HasPrefix(cfg.PublicURL, "https://")}, nil
}

// Close gives the connections back.
func (d *Desk) Close() { d.provider.http.CloseIdleConnections() }

// Errand is why somebody is to sign in.
type Errand struct {
	// Purpose is what the sign-in is for, and good for nothing else: a word, and what exactly, such as link:4f2a….
	Purpose string
	// Person is who it must be; empty: anybody whom the directory knows.
	Person access.PersonID
	// Back is the path of ours that the browser comes back to, such as /link/….
	// It stays in the browser: it may hold what must not lie in the store.
	Back string `json:"-"`
	// Offline asks for a refresh token too, where the configuration does, so that the person's groups can be asked for later.
	Offline bool
	// Fresh is the longest that the person may have been signed in at the provider. Zero: as the provider likes.
	Fresh time.Duration
}

// Visit is somebody who has just signed in, for one purpose.
type Visit struct {
	Person   access.PersonID `json:"person"`
	Identity access.Identity `json:"identity"`
	// Sealed is the refresh token that came with the sign-in; empty: none did.
	Sealed string `json:"sealed,omitempty"`

	token string // the browser's
}

// Derive gives a text that is the same each time in this visit, and that nobody can know who does not have its browser.
func (v Visit) Derive(what string) string { return keyed(v.token, what) }

// ErrNobody says that nobody has signed in with this browser for the purpose, or too long ago.
var ErrNobody = errors.New("nobody has signed in")

// Begin sends a browser to the provider, as the answer to a form of ours (never to a GET, which anything may send).
func (d *Desk) Begin(w http.ResponseWriter, r *http.Request, e Errand) {
	to, err := d.begin(w, r, e)
	if err != nil {
		d.log.Error("a sign-in could not be begun", "issuer", d.cfg.Issuer, "err", err)
		page.Write(w, http.StatusServiceUnavailable, page.Page{Title: "Sign-in is out of reach", Tone: page.Bad,
			Lead: "Elevate could not begin the sign-in just now, so nothing was done. Go back and try again in a minute."})
		return
	}
	page.Write(w, http.StatusOK, page.Page{Title: "On to the sign-in", Lead: "Your browser goes on by itself.",
		Onward: &page.Onward{To: to, Label: "If it does not, go on here"}})
}

func (d *Desk) begin(w http.ResponseWriter, r *http.Request, e Errand) (string, error) {
	if !local(e.Back) || e.Purpose == "" {
		return "", fmt.Errorf("signin: an errand needs a purpose and a path of ours, not %q", e.Back)
	}
	secret, state := newToken(), newToken()
	to, err := d.provider.address(r.Context(), state, derive(secret), e)
	if err != nil {
		return "", err
	}
	b := begun{Errand: e, Browser: hash(secret)}
	if err := d.remember(r.Context(), stateKey(state), b, begunFor); err != nil {
		return "", err
	}
	http.SetCookie(w, d.cookie(begunCookie(state), secret+"."+base64.RawURLEncoding.EncodeToString([]byte(e.Back)), begunFor))
	return to, nil
}

// local tells a path on this site from everything else that browsers follow.
func local(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n")
}

// Visit tells who has signed in with the browser of a request, for a purpose, in the last ten minutes; ErrNobody otherwise.
func (d *Desk) Visit(r *http.Request, purpose string) (Visit, error) {
	c, err := r.Cookie(d.name(visitCookie(purpose)))
	if err != nil || c.Value == "" {
		return Visit{}, ErrNobody
	}
	stored, err := d.cfg.Store.Recall(r.Context(), visitKey(c.Value, purpose))
	if err != nil {
		return Visit{}, fmt.Errorf("recall a sign-in: %w", err)
	}
	v := Visit{token: c.Value}
	if !d.recall(stored, &v) {
		return Visit{}, ErrNobody
	}
	return v, nil
}

// Handler serves what the provider sends browsers back to.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, d.callback)
	return page.Guard(mux)
}
