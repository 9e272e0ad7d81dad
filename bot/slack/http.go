package slack

import (
	"io"
	"net/http"
	"time"

	"elevate/bot"
)

// maxBody is the longest request that is read. Slack's longest are a few hundred kilobytes.
const maxBody = 1 << 20

// Handler serves the four addresses that Slack posts to: /slack/commands, /slack/interactions, /slack/options and
// /slack/events. Each takes whatever Slack sends; what it is, the payload says.
func (s *Slack) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []string{"commands", "interactions", "options", "events"} {
		mux.HandleFunc("POST /slack/"+route, s.serve)
	}
	return mux
}

func (s *Slack) serve(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, ok := bot.Body(w, r, maxBody)
	if !ok {
		return
	}
	if err := s.verifier.verify(r.Header, body); err != nil {
		s.health.forged.Note(s.now(), s.log, Name, err)
		http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		return
	}
	p, err := parseHTTP(body)
	if err != nil {
		s.log.Warn("unreadable request from Slack", "err", err)
		http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
		return
	}
	s.write(w, s.take(r.Context(), p))
	s.cfg.Observe(p.kind(), time.Since(began))
}

func (s *Slack) write(w http.ResponseWriter, r reply) {
	if r.text != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, r.text) // Slack has hung up: there is nobody to tell
		return
	}
	if len(r.body) > 0 {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(r.body)
	}
}
