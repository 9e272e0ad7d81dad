package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// Prefix is the path below which the API is served.
const Prefix = "/api/v1"

// Store is the little that the API keeps by itself: the answers to idempotency keys, and refusals of its own.
type Store interface {
	Once(ctx context.Context, key string, value []byte, ttl time.Duration) (stored []byte, first bool, err error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Append(ctx context.Context, e audit.Event) error
}

// Directory tells which person a token stands for, as of now.
type Directory interface {
	Person(ctx context.Context, id access.PersonID) (access.Person, error)
}

// Config is what an API is made of.
type Config struct {
	Service   *workflows.Service // required
	Store     Store              // required
	Directory Directory          // required
	// Keys leads people to the page on which a security key vouches for a call. Nil: there is none here.
	Keys bot.Keys
	// Tokens are who may call. Without any, every call is refused.
	Tokens []Token
	// Export writes the audit log of a span of time. Nil: there is no audit log to read, and the route says so.
	Export func(ctx context.Context, w io.Writer, from, to time.Time, format audit.Format) error
	// Rate is how many calls a second one token may make on average, and Burst how many at once. Zero: 20 and 200.
	// Of calls that change something it may make a tenth of Rate on average.
	Rate  float64
	Burst int
	// KeyWait is how long a call waits for an earlier one with the same Idempotency-Key that is still running, before
	// it is told so. Zero: 10 seconds.
	KeyWait time.Duration
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discarded
}

// API serves /api/v1/.
type API struct {
	cfg    Config
	tokens []token
	log    *slog.Logger
}

// New checks the configuration, every problem at once, and makes an API.
func New(cfg Config) (*API, error) {
	var problems []error
	if cfg.Service == nil || cfg.Store == nil || cfg.Directory == nil {
		problems = append(problems, errors.New("the Config needs Service, Store and Directory"))
	}
	if cfg.Rate == 0 {
		cfg.Rate = 20
	}
	if cfg.Burst == 0 {
		cfg.Burst = 200
	}
	if cfg.Rate < 0 || cfg.Burst < 0 {
		problems = append(problems, errors.New("a Rate or Burst must not be negative"))
	}
	if cfg.KeyWait == 0 {
		cfg.KeyWait = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tokens, err := parseTokens(cfg.Tokens, cfg.Rate, cfg.Burst)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return &API{cfg: cfg, tokens: tokens, log: cfg.Logger}, nil
}

// Handler serves everything below /api/v1/.
func (a *API) Handler() http.Handler {
	routes := a.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		seen := &watched{ResponseWriter: w}
		began := a.cfg.Now()
		defer func() {
			if p := recover(); p != nil {
				a.recovered(seen, r, p)
			}
			a.log.Debug("api call", "method", r.Method, "path", r.URL.Path, "status", seen.status, "took", a.cfg.Now().Sub(began))
		}()
		routes.ServeHTTP(seen, r)
	})
}

// secure sets the headers of every answer: nothing here is for browsers to show, guess at, embed or keep.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// recovered answers a call whose handler panicked, where nothing has been answered yet.
func (a *API) recovered(w *watched, r *http.Request, p any) {
	if p == http.ErrAbortHandler || w.status != 0 {
		panic(http.ErrAbortHandler) // the server cuts the connection, so that half an answer is not taken for a whole one
	}
	a.failed(r, fmt.Errorf("panic: %v\n%s", p, debug.Stack())).write(w)
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
