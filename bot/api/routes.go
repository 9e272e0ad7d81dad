package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"elevate/bot"
	"elevate/workflows/access"
)

const (
	// maxBody bounds a body; the longest justification takes a fifth of it.
	maxBody = 64 << 10
	// verbTime bounds the work of a POST. It goes on when the caller hangs up, so that its outcome is known and kept.
	verbTime = 30 * time.Second
)

// call is one authenticated call with its input.
type call struct {
	caller
	request *http.Request
	id      access.RequestID // from the path
	query   url.Values
	body    []byte // of a POST
}

// endpoint answers a call. Its error may be a *Problem, a refusal, or anything else, which is our own fault.
type endpoint func(ctx context.Context, c *call) (*response, error)

// guarded is a handler that knows who calls.
type guarded func(w http.ResponseWriter, r *http.Request, who caller)

// routes is the one table of what the API serves.
func (a *API) routes() http.Handler {
	table := map[string]map[string]guarded{
		"/requests":              {http.MethodGet: a.read("list", a.list), http.MethodPost: a.act(a.submit)},
		"/requests/{id}":         {http.MethodGet: a.read("show", a.show)},
		"/requests/{id}/approve": {http.MethodPost: a.act(a.decide(access.Approve))},
		"/requests/{id}/deny":    {http.MethodPost: a.act(a.decide(access.Deny))},
		"/requests/{id}/cancel":  {http.MethodPost: a.act(a.cancel())},
		"/requests/{id}/end":     {http.MethodPost: a.act(a.end())},
		"/requests/{id}/extend":  {http.MethodPost: a.act(a.extend())},
		"/roles":                 {http.MethodGet: a.read("roles", a.roles)},
		"/holders":               {http.MethodGet: a.read("holders", a.holders)},
		"/audit":                 {http.MethodGet: a.audit},
	}
	mux := http.NewServeMux()
	for path, methods := range table {
		mux.Handle(Prefix+path, a.guard(dispatch(methods)))
	}
	// The document tells nothing that the source does not, and tools fetch it without a token.
	mux.HandleFunc(Prefix+"/openapi.json", serveDocument)
	mux.Handle("/", a.guard(func(w http.ResponseWriter, _ *http.Request, _ caller) {
		problem(http.StatusNotFound, "no_such_path", "There is nothing at this path. "+Prefix+"/openapi.json lists what there is.").response().write(w)
	}))
	return mux
}

// guard lets a call with a good token through, at the token's rate.
func (a *API) guard(next guarded) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, ok := a.authenticate(r)
		if !ok {
			a.log.Info("api call without a valid token", "method", r.Method, "path", r.URL.Path, "address", bot.RemoteAddress(r))
			unauthenticated().write(w)
			return
		}
		now := a.cfg.Now()
		if !t.limiter.AllowN(now, 1) || r.Method == http.MethodPost && !t.acts.AllowN(now, 1) {
			problem(http.StatusTooManyRequests, "too_many_calls",
				fmt.Sprintf("The token %q is used for too many calls a second. Wait and try again.", t.name)).response().write(w)
			return
		}
		who, err := a.identify(r, t)
		if err != nil {
			a.onRecord(r.Context(), who.actor, "call", err)
			a.fault(r, err).write(w)
			return
		}
		next(w, r, who)
	})
}

// dispatch chooses by method.
func dispatch(methods map[string]guarded) guarded {
	allow := slices.Collect(maps.Keys(methods))
	if methods[http.MethodGet] != nil {
		allow = append(allow, http.MethodHead)
	}
	allow = append(allow, http.MethodOptions)
	slices.Sort(allow)
	return func(w http.ResponseWriter, r *http.Request, who caller) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // the server leaves the body out
		}
		switch h := methods[method]; {
		case h != nil:
			h(w, r, who)
		case method == http.MethodOptions:
			w.Header().Set("Allow", strings.Join(allow, ", "))
			w.WriteHeader(http.StatusNoContent)
		default:
			problem(http.StatusMethodNotAllowed, "no_such_method", fmt.Sprintf("%s is not possible here; %s is.", r.Method, strings.Join(allow, ", "))).
				response().with("Allow", strings.Join(allow, ", ")).write(w)
		}
	}
}

// read serves an endpoint that changes nothing. Workflows puts refused acts on record; refused looks are up to us.
func (a *API) read(verb string, do endpoint) guarded {
	look := func(ctx context.Context, c *call) (*response, error) {
		res, err := do(ctx, c)
		a.onRecord(ctx, c.actor, verb, err)
		return res, err
	}
	return func(w http.ResponseWriter, r *http.Request, who caller) {
		a.answer(r.Context(), &call{caller: who, request: r}, look).write(w)
	}
}

// act serves an endpoint that changes something: with a body, and an Idempotency-Key where the caller sends one.
func (a *API) act(do endpoint) guarded {
	return func(w http.ResponseWriter, r *http.Request, who caller) {
		body, err := readBody(w, r)
		if err != nil {
			a.fault(r, err).write(w)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), verbTime)
		defer cancel()
		run := func() *response { return a.answer(ctx, &call{caller: who, request: r, body: body}, do) }
		keys := r.Header.Values("Idempotency-Key")
		if len(keys) == 0 {
			run().write(w)
			return
		}
		res, err := a.once(ctx, who, r, keys, body, run)
		if err != nil {
			res = a.fault(r, err)
		}
		res.write(w)
	}
}

// answer fills a call in and has it answered.
func (a *API) answer(ctx context.Context, c *call, do endpoint) *response {
	var err error
	if c.query, err = url.ParseQuery(c.request.URL.RawQuery); err != nil {
		return problem(http.StatusBadRequest, "bad_query", "The query cannot be read: something in it is escaped wrongly.").response()
	}
	if typed := c.request.PathValue("id"); typed != "" {
		if c.id, err = access.ParseID(typed); err != nil {
			return problem(http.StatusNotFound, "no_such_request", "That is no request's id. Ids look like 07kq4-m2xp9.").response()
		}
	}
	res, err := do(ctx, c)
	if needs := access.AsksKey(err); needs != nil {
		res, err = a.lead(ctx, c, needs)
	}
	if err != nil {
		return a.fault(c.request, err)
	}
	return res
}

// readBody reads a body of JSON, or none.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, problem(http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("The body is larger than %d bytes.", maxBody))
	case err != nil:
		return nil, problem(http.StatusBadRequest, "bad_body", "The body could not be read to its end.")
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return body, nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "not_json", "Send the body as “Content-Type: application/json”.")
	}
	return body, nil
}
