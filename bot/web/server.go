package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"

	"elevate/bot"
	"elevate/workflows"
	"elevate/workflows/access"
)

// maxText is the longest line that a person can write.
const maxText = 4000

// Talker is what people do, handed over; *bot.Bot is the one.
type Talker interface {
	Command(ctx context.Context, who bot.Who, text string) bot.Answer
	Click(ctx context.Context, who bot.Who, c bot.Click) bot.Answer
	Submit(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Refresh(ctx context.Context, who bot.Who, s bot.Submission) bot.Answer
	Suggest(ctx context.Context, who bot.Who, input, typed string) []bot.Option
	Home(ctx context.Context, who bot.Who) bot.Card
}

// Catalogue is what the composer's completion knows; *workflows.Service is the one.
type Catalogue interface {
	Offers(ctx context.Context, person access.PersonID, words string, limit int) ([]workflows.Offer, error)
	Offer(ctx context.Context, person access.PersonID, role access.RoleID) (workflows.Offer, error)
	Requests(ctx context.Context, viewer access.PersonID, q workflows.Query) ([]*access.Record, string, error)
}

// Aside is what stands beside the chat, such as the playground's target and clock.
type Aside struct {
	// Files are served below /aside/; aside.js and aside.css must be there. aside.js exports start(element, tools).
	Files fs.FS
	// Do handles POST /aside/do/… behind the same guard as the chat's own.
	Do http.Handler
	// Feed gives documents for the page, whenever they change, until ctx ends.
	Feed func(ctx context.Context) <-chan json.RawMessage
}

// Config is what a Server is made of.
type Config struct {
	Title     string // of the page; empty: "Elevate"
	Chat      *Chat
	Talker    Talker
	Catalogue Catalogue
	Aside     *Aside       // nil: the chat alone
	Logger    *slog.Logger // nil: discarded
}

// Server serves the page and what it asks for.
type Server struct {
	chat      *Chat
	talker    Talker
	catalogue Catalogue
	aside     *Aside
	log       *slog.Logger
	token     string
	deeds     deeds
	handler   http.Handler
}

// NewServer makes the handler of a chat, guarded, with a token of its own that pages from before a restart lack.
func NewServer(cfg Config) (*Server, error) {
	s := &Server{
		chat: cfg.Chat, talker: cfg.Talker, catalogue: cfg.Catalogue, aside: cfg.Aside,
		log: cfg.Logger, token: rand.Text(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	page, err := s.page(cmp.Or(cfg.Title, "Elevate"))
	if err != nil {
		return nil, err
	}
	s.handler = Guard(s.routes(page))
	return s, nil
}

func (s *Server) routes(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /page/", http.FileServerFS(embedded))
	guarded := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, withToken(s.token, h)) }
	guarded("GET /chat/start", s.start)
	guarded("GET /chat/stream", s.stream)
	guarded("GET /chat/home", s.home)
	guarded("GET /chat/suggest", s.suggest)
	guarded("GET /chat/complete", s.complete)
	guarded("POST /chat/say", s.say)
	guarded("POST /chat/click", s.click)
	guarded("POST /chat/submit", s.submit)
	guarded("POST /chat/refresh", s.refresh)
	if s.aside != nil {
		mux.Handle("GET /aside/", http.StripPrefix("/aside/", http.FileServerFS(s.aside.Files)))
		guarded("POST /aside/do/", http.StripPrefix("/aside/do", s.aside.Do).ServeHTTP)
	}
	return mux
}

// ServeHTTP serves the page and its requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// place is where somebody does something. Room is empty for what is done on the Home page.
type place struct {
	Person  access.PersonID `json:"person"`
	Room    string          `json:"room"`
	Message string          `json:"message"` // the message that was clicked, or that the form was opened from
	// Deed names this very act, for the page to send it again where it heard no answer.
	Deed string `json:"deed"`
}

// longestDeed is more than a UUID, which is what the page draws.
const longestDeed = 64

// answer is what a page is told at once. A card is also whispered into the room, unless there is none.
type answer struct {
	Card   *cardView         `json:"card,omitempty"`
	Form   *formView         `json:"form,omitempty"`
	Errors map[string]string `json:"errors,omitempty"`
}

// admit checks a place and gives who stands there, or answers itself.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, p place) (bot.Who, bool) {
	if _, ok := s.chat.person(p.Person); !ok {
		Fail(w, http.StatusNotFound, "Nobody here goes by that name. Choose a person on the left.")
		return bot.Who{}, false
	}
	if p.Room != "" && !s.chat.sees(p.Person, p.Room) {
		Fail(w, http.StatusNotFound, "There is no such channel here.")
		return bot.Who{}, false
	}
	if p.Message != "" {
		if m, ok := s.chat.find(p.Person, p.Message); !ok || m.Room != p.Room {
			Fail(w, http.StatusNotFound, "That message is no longer here.")
			return bot.Who{}, false
		}
	}
	return bot.Who{Chat: Name, Account: string(p.Person), Address: r.RemoteAddr}, true
}

// start tells a page who and what there is.
func (s *Server) start(w http.ResponseWriter, _ *http.Request) {
	Reply(w, http.StatusOK, struct {
		People   []Person  `json:"people"`
		Channels []Channel `json:"channels"`
	}{s.chat.people, s.chat.channels})
}

func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	who, ok := s.admit(w, r, place{Person: access.PersonID(r.URL.Query().Get("person"))})
	if !ok {
		return
	}
	Reply(w, http.StatusOK, viewCard(s.talker.Home(r.Context(), who)))
}

func (s *Server) suggest(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	who, ok := s.admit(w, r, place{Person: access.PersonID(q.Get("person"))})
	if !ok {
		return
	}
	Reply(w, http.StatusOK, viewOptions(s.talker.Suggest(r.Context(), who, q.Get("input"), q.Get("typed"))))
}

func (s *Server) click(w http.ResponseWriter, r *http.Request) {
	var in struct {
		place
		Action  bot.Action       `json:"action"`
		Request access.RequestID `json:"request"`
	}
	if !Read(w, r, &in) {
		return
	}
	s.act(w, r, in.place, func(ctx context.Context, who bot.Who) answer {
		c := bot.Click{Action: in.Action, Request: in.Request}
		if m, ok := s.chat.find(in.Person, in.Message); ok && m.Only == "" {
			c.Message = m.Ref
		}
		return s.answer(ctx, in.place, "", s.talker.Click(ctx, who, c))
	})
}

// filled is a form as the page sends it.
type filled struct {
	place
	Form    bot.FormName      `json:"form"`
	Request access.RequestID  `json:"request"`
	Values  map[string]string `json:"values"`
}

func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	s.fill(w, r, s.talker.Submit)
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	s.fill(w, r, s.talker.Refresh)
}

func (s *Server) fill(w http.ResponseWriter, r *http.Request, do func(context.Context, bot.Who, bot.Submission) bot.Answer) {
	var in filled
	if !Read(w, r, &in) {
		return
	}
	s.act(w, r, in.place, func(ctx context.Context, who bot.Who) answer {
		a := do(ctx, who, bot.Filled(in.Form, in.Request, in.Values))
		return s.answer(ctx, in.place, "", a)
	})
}

// act lets somebody do something, once however often the page sends it, and whether or not the page waits for the answer.
func (s *Server) act(w http.ResponseWriter, r *http.Request, at place, do func(context.Context, bot.Who) answer) {
	who, ok := s.admit(w, r, at)
	if !ok {
		return
	}
	if len(at.Deed) > longestDeed {
		Fail(w, http.StatusBadRequest, "That is not what this page sends: a deed's name of this length.")
		return
	}
	key := at.Deed
	if key != "" {
		key = r.URL.Path + " " + string(at.Person) + " " + key
	}
	ctx := context.WithoutCancel(r.Context())
	Reply(w, http.StatusOK, s.deeds.once(key, func() answer { return do(ctx, who) }))
}

// answer whispers a card where it was asked for, under a reference taken before or none, and gives what the page is told.
func (s *Server) answer(ctx context.Context, at place, ref string, a bot.Answer) answer {
	out := answer{Errors: a.Errors}
	if a.Form != nil {
		out.Form = viewForm(*a.Form)
	}
	if a.Card == nil {
		return out
	}
	out.Card = viewCard(*a.Card)
	if at.Room == "" {
		return out
	}
	thread := at.Message
	if strings.HasPrefix(at.Room, "@") {
		thread = ""
	}
	if err := s.chat.whisper(ctx, at.Person, at.Room, thread, ref, *a.Card); err != nil {
		s.log.WarnContext(ctx, "answer not shown", "person", at.Person, "room", at.Room, "err", err)
	}
	return out
}
