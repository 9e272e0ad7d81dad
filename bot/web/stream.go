package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"elevate/workflows/access"
)

// heartbeat keeps a quiet stream from looking dead.
const heartbeat = 15 * time.Second

// stream sends what changes, as Server-Sent Events: "news" for the chat, "aside" for what stands beside it. A page that
// comes back says with ?since= what it has.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	person := access.PersonID(q.Get("person"))
	if _, ok := s.admit(w, r, place{Person: person}); !ok {
		return
	}
	since, err := strconv.ParseInt(q.Get("since"), 10, 64)
	if err != nil {
		since = 0
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := events{w: w, control: http.NewResponseController(w)}
	var feed <-chan json.RawMessage
	if s.aside != nil {
		feed = s.aside.Feed(r.Context())
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	latest, changed := s.chat.since(person, since)
	if out.send("news", latest) != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-changed:
			latest, changed = s.chat.since(person, latest.Rev)
			err = out.send("news", latest)
		case document, ok := <-feed:
			if !ok {
				return
			}
			err = out.send("aside", document)
		case <-beat.C:
			err = out.send("beat", struct{}{})
		}
		if err != nil {
			return // the page is gone
		}
	}
}

// events writes Server-Sent Events and pushes each out at once.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e events) send(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	if _, err := fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", name, data); err != nil {
		return err
	}
	return e.control.Flush()
}
