// Package enrol is the page on which people set up their second factor. It shows a key for an app once, or registers a
// security key, for whoever follows a link that Elevate gave to one person in chat, and shows a word for them to type there:
// so no key goes through a chat, and nobody sets up a factor for somebody else's account.
package enrol

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"elevate/bot"
	"elevate/bot/page"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// Path is where the page is served; a link's token follows.
const Path = "/mfa/"

// maxBody is more than the form ever sends: what a security key says of itself is the most.
const maxBody = 64 << 10

// The fields of the forms.
const (
	fieldTicket = "ticket"
	fieldCode   = "code"
	fieldLabel  = "label"
	fieldWith   = "with" // the method that was chosen
)

// Factors is what the page does; *factor.Factors is the one implementation.
type Factors interface {
	Look(ctx context.Context, token access.Secret, v factor.Visit) (access.Person, error)
	Show(ctx context.Context, token access.Secret, v factor.Visit) (factor.Page, error)
	Match(ctx context.Context, token, ticket, code access.Secret, v factor.Visit) (word string, err error)
	ShowKey(ctx context.Context, token access.Secret, v factor.Visit) (factor.KeyPage, error)
	AgainKey(ctx context.Context, token, ticket access.Secret, v factor.Visit) (factor.KeyPage, error)
	MatchKey(ctx context.Context, token, ticket access.Secret, answer, label string, v factor.Visit) (word string, err error)
}

// Config is what a Page is made of.
type Config struct {
	Factors Factors // required
	// SignIn tells who is signed in at the browser, or sends it to sign in, answers itself and gives false. Nil: nobody
	// signs in, and an administrator confirms each factor.
	SignIn func(w http.ResponseWriter, r *http.Request) (access.PersonID, bool)
	// Methods are those to choose from, the usual one first. Empty: an app alone.
	Methods []access.Method
	// Command is what people type in chat to call Elevate. Empty: /elevate.
	Command string
	// Teams is what they type in Microsoft Teams, where that is another and people may come from there. Empty: neither.
	Teams  string
	Logger *slog.Logger // nil: discarded
}

// Page serves the page.
type Page struct {
	cfg Config
	log *slog.Logger
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
	if cfg.Command == "" {
		cfg.Command = "/elevate"
	}
	if len(cfg.Methods) == 0 {
		cfg.Methods = []access.Method{access.TOTP}
	}
	return &Page{cfg: cfg, log: cfg.Logger}, nil
}

// Handler serves everything below Path.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"{token}", p.guarded(p.look))
	mux.HandleFunc("POST "+Path+"{token}", p.guarded(p.post))
	return page.Guard(mux)
}

// guarded asks who is there.
func (p *Page) guarded(next func(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page.Seal(w.Header())
		who, ok := p.cfg.SignIn(w, r)
		if !ok {
			return
		}
		next(w, r, access.NewSecret(r.PathValue("token")), factor.Visit{Address: bot.RemoteAddress(r), SignedIn: who})
	}
}

// look shows whom the link is for, and the ways. Mail filters and chats open links too: nothing happens by it.
func (p *Page) look(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	who, err := p.cfg.Factors.Look(r.Context(), token, v)
	if err != nil {
		p.fail(w, err)
		return
	}
	shown := page.Page{
		Title: "Set up your second factor", Facts: []page.Fact{{Label: "For", Value: who.DisplayName() + " (" + string(who.ID) + ")"}},
		Lead: "It proves that it is you, also to somebody who got into your chat account.", Foot: "If that is not you, close this page.",
	}
	says := map[access.Method]string{
		access.TOTP:     "An authenticator app on your phone shows codes to type. The next page shows its key, once: have the app ready.",
		access.WebAuthn: "A security key or passkey signs what you confirm, with its PIN, your finger or your face. You may have several.",
	}
	for i, m := range p.cfg.Methods {
		shown.Text = append(shown.Text, says[m])
		form := &page.Form{Submit: ways[m], Hidden: []page.Fact{{Label: fieldWith, Value: string(m)}}}
		if i == 0 {
			shown.Form = form
		} else {
			shown.Other = form
		}
	}
	page.Write(w, http.StatusOK, shown)
}

// ways are what the buttons say.
var ways = map[access.Method]string{access.TOTP: "Use an authenticator app", access.WebAuthn: "Use a security key or passkey"}

// post goes on: to the key, or with what an app or a key answers to the word.
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
	ticket, with := access.NewSecret(form.Get(fieldTicket)), access.Method(form.Get(fieldWith))
	if with == "" {
		with = p.cfg.Methods[0]
	}
	switch {
	case !slices.Contains(p.cfg.Methods, with):
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
	case ticket.IsZero() && with == access.WebAuthn:
		p.askKey(w, r, token, v)
	case ticket.IsZero():
		p.showSeed(w, r, token, v)
	case with == access.WebAuthn:
		word, err := p.cfg.Factors.MatchKey(r.Context(), token, ticket, form.Get(page.AnswerField), form.Get(fieldLabel), v)
		p.word(w, word, err, func() (page.Page, error) {
			shown, err := p.cfg.Factors.AgainKey(r.Context(), token, ticket, v)
			return keyPage(shown), err
		})
	default:
		word, err := p.cfg.Factors.Match(r.Context(), token, ticket, access.NewSecret(form.Get(fieldCode)), v)
		p.word(w, word, err, func() (page.Page, error) { return page.Page{Title: "Once more", Form: codeForm(ticket)}, nil })
	}
}

// word shows the word, or where the answer was wrong the page that asks again.
func (p *Page) word(w http.ResponseWriter, word string, err error, again func() (page.Page, error)) {
	var wrong *access.Refusal
	var shown page.Page
	asks := errors.As(err, &wrong) && errors.Is(err, access.ErrInvalid)
	if asks {
		shown, err = again()
	}
	switch {
	case err == nil && asks:
		shown.Form.Wrong = wrong.Text
		page.Write(w, http.StatusUnprocessableEntity, shown)
	case err == nil:
		shown = page.Page{
			Title: "One step is left", Tone: page.Good, Lead: "Go back to your chat with Elevate and type:", Word: p.cfg.Command + " mfa " + word,
			Foot: "Only do so if it was you who asked for this page there. You can close it then.",
		}
		if p.cfg.Teams != "" {
			shown.Text = []string{"In Microsoft Teams, type “" + p.cfg.Teams + " mfa " + word + "”."}
		}
		page.Write(w, http.StatusOK, shown)
	default:
		p.fail(w, err)
	}
}

func codeForm(ticket access.Secret) *page.Form {
	return &page.Form{
		Submit: "Go on", Hidden: []page.Fact{{Label: fieldTicket, Value: ticket.Reveal()}, {Label: fieldWith, Value: string(access.TOTP)}},
		Input: &page.Input{Name: fieldCode, Label: "The six digits that the app shows now", Code: true},
	}
}

// showSeed shows the key for an app.
func (p *Page) showSeed(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	shown, err := p.cfg.Factors.Show(r.Context(), token, v)
	if err != nil {
		p.fail(w, err)
		return
	}
	page.Write(w, http.StatusOK, page.Page{
		Title: "Scan this with your app", Lead: "In your authenticator app, add an account and scan the picture. It is shown this once.",
		Picture: &page.Picture{
			PNG: []byte(shown.Picture.Reveal()), Alt: "QR code of the key below", Summary: "No camera? Type the key",
			Letters: grouped(shown.Seed.Reveal()), Note: "Account " + string(shown.Person.ID) + ", time based, six digits.",
		},
		Form: codeForm(shown.Ticket),
	})
}

// askKey asks for a security key.
func (p *Page) askKey(w http.ResponseWriter, r *http.Request, token access.Secret, v factor.Visit) {
	shown, err := p.cfg.Factors.ShowKey(r.Context(), token, v)
	if err != nil {
		p.fail(w, err)
		return
	}
	page.Write(w, http.StatusOK, keyPage(shown))
}

func keyPage(shown factor.KeyPage) page.Page {
	return page.Page{
		Title: "Have your key ready", Lead: "Put it in or hold it near, or use what your device offers. Your browser asks for its PIN, your finger or your face.",
		Form: &page.Form{
			Submit: "Register the key", Key: &page.Key{New: true, Options: shown.Options},
			Hidden: []page.Fact{{Label: fieldTicket, Value: shown.Ticket.Reveal()}, {Label: fieldWith, Value: string(access.WebAuthn)}},
			Input:  &page.Input{Name: fieldLabel, Label: "What you call it (optional)", Hint: "Such as Blue key, or Laptop: you tell your keys apart by it."},
		},
	}
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
	var refused *access.Refusal
	switch {
	case errors.Is(err, factor.ErrLink):
		page.Write(w, http.StatusNotFound, page.Page{
			Title: "This link leads nowhere", Tone: page.Bad, Lead: "It was used already, it is older than ten minutes, or a newer one took its place.",
			Text: []string{"Type “" + p.cfg.Command + " mfa” in your chat for a new one. If you did not open this link before, tell an administrator: somebody else may have."},
		})
	case errors.As(err, &refused) && errors.Is(err, access.ErrConflict):
		page.Write(w, http.StatusConflict, page.Page{Title: "Not done", Tone: page.Bad, Lead: bot.Unmarked(refused.Text)})
	default:
		p.log.Error("the page for second factors could not answer", "err", err)
		page.NotNow(w, "Elevate could not look this up just now")
	}
}
