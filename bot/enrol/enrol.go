// Package enrol is the page on which people set up their second factor. It shows a key once, to whoever follows a link
// that Elevate gave to one person in chat, and a word for them to type there: so no key goes through a chat, and nobody
// sets up a factor for somebody else's account.
package enrol

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// Path is where the page is served; a link's token follows.
const Path = "/mfa/"

// maxBody is more than the form ever sends.
const maxBody = 4 << 10

//go:embed page.html
var document string

//go:embed page.css
var style string

// Factors is what the page does; *factor.Factors is the one implementation.
type Factors interface {
	Look(ctx context.Context, token access.Secret, v factor.Visit) (access.Person, error)
	Show(ctx context.Context, token access.Secret, v factor.Visit) (factor.Page, error)
	Match(ctx context.Context, token, ticket, code access.Secret, v factor.Visit) (word string, err error)
}

// Config is what a Page is made of.
type Config struct {
	Factors Factors // required
	// SignIn tells who is signed in at the browser, or sends it to sign in, answers itself and gives false. Nil: nobody
	// signs in, and an administrator confirms each factor.
	SignIn func(w http.ResponseWriter, r *http.Request) (access.PersonID, bool)
	Logger *slog.Logger // nil: discarded
}

// Page serves the page.
type Page struct {
	cfg    Config
	log    *slog.Logger
	page   *template.Template
	policy string
}

// New makes a Page.
func New(cfg Config) (*Page, error) {
	if cfg.Factors == nil {
		return nil, errors.New("enrol: Factors is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SignIn == nil {
		cfg.SignIn = func(http.ResponseWriter, *http.Request) (access.PersonID, bool) { return "", true }
	}
	parsed, err := template.New("page").Parse(document)
	if err != nil {
		return nil, err
	}
	// Whitespace counts: the browser hashes what stands between the tags.
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return &Page{cfg: cfg, log: cfg.Logger, page: parsed, policy: policy}, nil
}

// Handler serves everything below Path.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"{token}", p.guarded(p.look))
	mux.HandleFunc("POST "+Path+"{token}", p.guarded(p.post))
	return mux
}

// guarded sets the headers that keep the page to itself, and asks who is there.
func (p *Page) guarded(next func(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page.Seal(w.Header())
		w.Header().Set("Content-Security-Policy", p.policy)
		if site := r.Header.Get("Sec-Fetch-Site"); r.Method == http.MethodPost && site != "" && site != "same-origin" {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		who, ok := p.cfg.SignIn(w, r)
		if !ok {
			return
		}
		next(w, r, access.NewSecret(r.PathValue("token")), factor.Visit{Address: address(r), SignedIn: who})
	}
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// content is what the page shows: the first of its parts that is there.
type content struct {
	Style  template.CSS
	Gone   bool   // the link leads nowhere
	Broken string // something went wrong on our side
	Word   string // the last step
	Name   string // of the person
	ID     access.PersonID
	// The second step: the key, as a picture and to type; both are empty after a wrong code, and Wrong says so.
	Ticket, Seed string
	Picture      template.URL
	Wrong        string
}

// look shows whom the link is for, and a button. Mail filters and chats open links too: nothing happens by it.
func (p *Page) look(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	who, err := p.cfg.Factors.Look(r.Context(), token, v)
	if err != nil {
		p.fail(w, err)
		return
	}
	p.show(w, http.StatusOK, content{Name: who.DisplayName(), ID: who.ID})
}

// post goes on: to the key, or with a code of the app to the word.
func (p *Page) post(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	body, ok := bot.Body(w, r, maxBody)
	if !ok {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	ticket := access.NewSecret(form.Get("ticket"))
	if ticket.IsZero() {
		p.key(w, r, token, v)
		return
	}
	word, err := p.cfg.Factors.Match(r.Context(), token, ticket, access.NewSecret(form.Get("code")), v)
	var wrong *access.Refusal
	switch {
	case err == nil:
		p.show(w, http.StatusOK, content{Word: word})
	case errors.As(err, &wrong) && errors.Is(err, access.ErrInvalid):
		p.show(w, http.StatusUnprocessableEntity, content{Ticket: ticket.Reveal(), Wrong: wrong.Text})
	default:
		p.fail(w, err)
	}
}

// key shows the key.
func (p *Page) key(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	page, err := p.cfg.Factors.Show(r.Context(), token, v)
	if err != nil {
		p.fail(w, err)
		return
	}
	p.show(w, http.StatusOK, content{
		Name: page.Person.DisplayName(), ID: page.Person.ID, Ticket: page.Ticket.Reveal(), Seed: grouped(page.Seed.Reveal()),
		Picture: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte(page.Picture.Reveal()))), //nolint:gosec // our own picture
	})
}

// grouped sets a key in groups of four, for the eye. Apps take it so.
func grouped(seed string) string {
	var out []string
	for len(seed) > 4 {
		out, seed = append(out, seed[:4]), seed[4:]
	}
	return strings.Join(append(out, seed), " ")
}

func (p *Page) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, factor.ErrLink) {
		p.show(w, http.StatusNotFound, content{Gone: true})
		return
	}
	p.log.Error("the page for second factors could not answer", "err", err)
	p.show(w, http.StatusServiceUnavailable, content{Broken: "Elevate could not look this up just now. Try again in a minute."})
}

func (p *Page) show(w http.ResponseWriter, status int, c content) {
	c.Style = template.CSS(style) //nolint:gosec // our own file
	var out bytes.Buffer
	if err := p.page.Execute(&out, c); err != nil {
		p.log.Error("the page for second factors could not be written", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // whoever hung up needs no answer
}
