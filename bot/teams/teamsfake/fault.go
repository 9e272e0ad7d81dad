package teamsfake

import (
	"fmt"
	"net/http"
)

// Fault is what happens to a call instead of what was asked for.
type Fault struct {
	Times      int    // how often; zero: once; negative: always
	Status     int    // an HTTP status other than 200
	Code       string // of the error, where there is one
	Body       string // instead of an error
	RetryAfter string
	Location   string // of a redirection
	Hang       bool   // no answer until the caller gives up
	Reset      bool   // the connection is cut
	Done       bool   // what was asked for is done all the same, and its answer is lost

	left int
}

// mischief is the faults that wait, by what they happen to.
type mischief map[string][]*Fault

func (q mischief) add(what string, f Fault) {
	f.left = max(f.Times, 1)
	if f.Times < 0 {
		f.left = f.Times // counts down, and never to zero
	}
	q[what] = append(q[what], &f)
}

// take takes the next fault of the first of some names that has one; nil: there is none.
func (q mischief) take(names ...string) *Fault {
	for _, name := range names {
		if len(q[name]) == 0 {
			continue
		}
		f := q[name][0]
		if f.left--; f.left == 0 {
			q[name] = q[name][1:]
		}
		return f
	}
	return nil
}

// Misbehave makes the next calls go wrong: create, post, update, delete, members or member; "*" stands for all.
func (s *Server) Misbehave(what string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.add(what, f)
}

// Behave ends all misbehaviour.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// play does what a fault says.
func (s *Server) play(w http.ResponseWriter, r *http.Request, f *Fault) {
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.life.Done():
		}
	}
	if f.Hang || f.Reset {
		panic(http.ErrAbortHandler)
	}
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	status := f.Status
	if status == 0 {
		status = http.StatusOK
	}
	if f.Body != "" || f.Code == "" {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, f.Body)
		return
	}
	refuse(w, &refusal{status, f.Code, "As the test wanted."})
}
