package access

import (
	"errors"
	"strings"
	"time"
)

// The kinds of refusal; test with errors.Is.
var (
	ErrNotFound    = errors.New("not found")
	ErrNotAllowed  = errors.New("not allowed")
	ErrInvalid     = errors.New("invalid")
	ErrConflict    = errors.New("conflict")    // the request has moved on
	ErrUnavailable = errors.New("unavailable") // a check could not be made; the answer is no
	ErrLimited     = errors.New("limited")     // too much, or too soon
)

// ErrStore (wrapped) says of a directory's error that it is the store that could not be asked.
var ErrStore = errors.New("the store could not be asked")

// Refusal is a "no" with a sentence for the person who asked, saying what to do next. Kind is one of the errors
// above. Code is a fixed word for programs and the audit log.
type Refusal struct {
	Kind  error
	Code  string
	Text  string
	Field string // the input it speaks of, for ErrInvalid: role, duration, justification, ticket, start, for, reason, code
	Err   error  // the cause, for the log; never shown
	// Wait is, for ErrLimited, after how long it may be tried again.
	Wait time.Duration
}

func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Code + ": " + r.Err.Error()
	}
	return r.Code + ": " + r.Text
}

// Unwrap gives the kind and the cause.
func (r *Refusal) Unwrap() []error {
	if r.Err == nil {
		return []error{r.Kind}
	}
	return []error{r.Kind, r.Err}
}

// Problems are several refusals of one submission, one per input at most.
type Problems []*Refusal

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, r := range p {
		texts[i] = r.Text
	}
	return strings.Join(texts, " ")
}

// Unwrap gives each refusal.
func (p Problems) Unwrap() []error {
	out := make([]error, len(p))
	for i, r := range p {
		out[i] = r
	}
	return out
}
