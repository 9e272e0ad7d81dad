package api

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elevate/workflows/access"
)

// Problem is an error as RFC 9457 has it. Detail is a sentence for people, Code a fixed word for programs.
type Problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Code   string       `json:"code"`
	Errors []FieldError `json:"errors,omitempty"`
	// Ref finds the cause in the server's log, where Detail does not tell it.
	Ref string `json:"ref,omitempty"`
	// Open is a page to open in a browser: the call waits for a security key there, and is done by itself then. It is for
	// the caller alone, once, for ten minutes.
	Open string `json:"open,omitempty"`

	// wait is after how long the call may be made again; zero: what is usual.
	wait time.Duration
}

// FieldError says what is wrong with one field of the body or one parameter.
type FieldError struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// problem makes a Problem. Its type is about:blank: the status says what kind it is, and the code says the rest.
func problem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// Error makes a Problem an error, so that handlers can return one.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// invalid is a problem with fields, one sentence each.
func invalid(status int, fields ...FieldError) *Problem {
	details := make([]string, len(fields))
	for i, f := range fields {
		details[i] = f.Detail
	}
	p := problem(status, fields[0].Code, strings.Join(details, " "))
	p.Errors = fields
	return p
}

// statusOf is the HTTP status of a refusal. An unknown role or person named in a field is a fault of the field, not
// of the path.
func statusOf(r *access.Refusal) int {
	switch {
	case errors.Is(r.Kind, access.ErrInvalid), errors.Is(r.Kind, access.ErrNotFound) && r.Field != "":
		return http.StatusUnprocessableEntity
	case errors.Is(r.Kind, access.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(r.Kind, access.ErrConflict):
		return http.StatusConflict
	case errors.Is(r.Kind, access.ErrUnavailable):
		return http.StatusServiceUnavailable
	case errors.Is(r.Kind, access.ErrLimited):
		return http.StatusTooManyRequests
	}
	return http.StatusForbidden
}

// problemOf turns an error for people into a Problem; nil for any other error.
func problemOf(err error) *Problem {
	var made *Problem
	if errors.As(err, &made) {
		return made
	}
	var many access.Problems
	var one *access.Refusal
	switch {
	case errors.As(err, &many) && len(many) > 0:
	case errors.As(err, &one):
		many = access.Problems{one}
	default:
		return nil
	}
	// What is refused outright weighs more than what is merely filled in wrongly.
	first := many[0]
	for _, r := range many {
		if statusOf(r) != http.StatusUnprocessableEntity {
			first = r
			break
		}
	}
	p := problem(statusOf(first), first.Code, many.Error())
	p.wait = first.Wait
	for _, r := range many {
		if r.Field != "" {
			p.Errors = append(p.Errors, FieldError{Field: r.Field, Code: r.Code, Detail: r.Text})
		}
	}
	return p
}

// failed is the answer to an error that is none of the caller's doing. The cause goes to the log under a reference.
func (a *API) failed(r *http.Request, err error) *response {
	ref := strings.ToLower(rand.Text()[:8])
	a.log.Error("api call failed", "ref", ref, "method", r.Method, "path", r.URL.Path, "err", err)
	p := problem(http.StatusInternalServerError, "internal", fmt.Sprintf("Something went wrong (ref %s). Ask an administrator to look it up in the log.", ref))
	p.Ref = ref
	return p.response()
}

// fault is the answer to any error.
func (a *API) fault(r *http.Request, err error) *response {
	p := problemOf(err)
	if p == nil {
		return a.failed(r, err)
	}
	if p.Status == http.StatusServiceUnavailable {
		a.log.Warn("api call could not be checked", "method", r.Method, "path", r.URL.Path, "code", p.Code, "err", err)
	}
	return p.response()
}

func (p *Problem) response() *response {
	res := render(p.Status, p)
	res.Header["Content-Type"] = "application/problem+json"
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		wait := cmp.Or((p.wait+time.Second-1)/time.Second, 2)
		res.Header["Retry-After"] = strconv.Itoa(int(wait))
	}
	return res
}

// response is a whole answer, ready to be sent or remembered.
type response struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   []byte            `json:"body"`
	// once: it holds what must not be kept, and nothing was done yet.
	once bool
}

// render makes a response of a document of ours.
func render(status int, doc any) *response {
	body, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Errorf("render %T: %w", doc, err)) // our own types always marshal
	}
	return &response{Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: append(body, '\n')}
}

// with adds a header.
func (res *response) with(key, value string) *response {
	out := *res
	out.Header = maps.Clone(res.Header)
	out.Header[key] = value
	return &out
}

func (res *response) write(w http.ResponseWriter) {
	for k, v := range res.Header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(res.Status)
	_, _ = w.Write(res.Body) //nolint:gosec // JSON, and said to be; a caller that hung up needs no answer
}
