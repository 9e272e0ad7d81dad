// Package vouch is the page on which a security key vouches for what somebody began in a chat or by the API. It shows what
// that is, to the letter, has the key sign it, and says what became of it. Looking at it changes nothing.
package vouch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// Path is where the page is served; a link's token follows.
const Path = "/key/"

// maxBody is more than a signature with all that goes with it.
const maxBody = 64 << 10

// Config is what a Page is made of.
type Config struct {
	// Act tells what a link is about. Required.
	Act func(ctx context.Context, token access.Secret) (factor.Waiting, error)
	// Do does what waited, with what the key signed. Required.
	Do func(ctx context.Context, w factor.Waiting, proof access.Secret) bot.Outcome
	// Person tells what somebody is called. Nil: their ids are shown.
	Person func(ctx context.Context, id access.PersonID) (access.Person, error)
	Logger *slog.Logger // nil: discarded
}

// Page serves the page.
type Page struct {
	cfg Config
	log *slog.Logger
}

// New makes a Page.
func New(cfg Config) (*Page, error) {
	if cfg.Act == nil || cfg.Do == nil {
		return nil, errors.New("vouch: Act and Do are required")
	}
	if cfg.Person == nil {
		cfg.Person = func(_ context.Context, id access.PersonID) (access.Person, error) { return access.Person{ID: id}, nil }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Page{cfg: cfg, log: cfg.Logger}, nil
}

// Handler serves everything below Path.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+page.ScriptPath, page.Script)
	mux.HandleFunc("GET "+Path+"{token}", p.look)
	mux.HandleFunc("POST "+Path+"{token}", p.post)
	return page.Guard(mux)
}

func token(r *http.Request) access.Secret { return access.NewSecret(r.PathValue("token")) }

// look shows what waits. Mail filters and chats open links too: nothing happens by it.
func (p *Page) look(w http.ResponseWriter, r *http.Request) {
	waiting, err := p.cfg.Act(r.Context(), token(r))
	if err != nil {
		p.fail(w, err)
		return
	}
	page.Write(w, http.StatusOK, p.shown(r.Context(), waiting))
}

// post takes what the key signed, and does what waited for it.
func (p *Page) post(w http.ResponseWriter, r *http.Request) {
	body, ok := bot.Body(w, r, maxBody)
	if !ok {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get(page.AnswerField) == "" {
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	waiting, err := p.cfg.Act(r.Context(), token(r))
	if err != nil {
		p.fail(w, err)
		return
	}
	out := p.cfg.Do(r.Context(), waiting, factor.Signed(token(r), form.Get(page.AnswerField)))
	switch {
	case out.Again != "":
		shown := p.shown(r.Context(), waiting)
		shown.Form.Wrong = out.Again
		page.Write(w, http.StatusUnprocessableEntity, shown)
	case !out.Link.IsZero():
		page.Redirect(w, out.Link.Reveal())
	case out.Done:
		page.Write(w, http.StatusOK, page.Page{Title: out.Title, Tone: page.Good, Lead: out.Text, Facts: p.facts(r.Context(), waiting), Foot: "You can close this page."})
	default:
		page.Write(w, http.StatusConflict, page.Page{Title: out.Title, Tone: page.Bad, Lead: out.Text, Foot: "You can close this page."})
	}
}

func (p *Page) fail(w http.ResponseWriter, err error) {
	var refused *access.Refusal
	switch {
	case errors.Is(err, factor.ErrLink):
		page.Write(w, http.StatusNotFound, page.Page{
			Title: "This link is over", Tone: page.Bad, Lead: "It was used already, or it is older than ten minutes.",
			Text: []string{"Begin anew where it came from, with the button or the command. If you did not use this link yourself, tell an administrator: somebody else may have."},
		})
	case errors.As(err, &refused) && errors.Is(err, access.ErrNotAllowed):
		page.Write(w, http.StatusForbidden, page.Page{Title: "Not done", Tone: page.Bad, Lead: bot.Unmarked(refused.Text)})
	default:
		p.log.Error("the page for security keys could not answer", "err", err)
		page.NotNow(w, "Elevate could not look this up just now")
	}
}
