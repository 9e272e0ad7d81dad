package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"elevate/bot"
	"elevate/workflows/access"
)

// errand is a call that waits for a security key.
type errand struct {
	Request access.RequestID           `json:"request,omitempty"`
	Body    map[string]json.RawMessage `json:"body"`
}

// lead answers a call that a security key has to vouch for: with the page that does, after which the call is made by itself.
func (a *API) lead(ctx context.Context, c *call, needs *access.NeedsKey) (*response, error) {
	if a.cfg.Keys == nil {
		return nil, needs
	}
	e := errand{Request: c.id}
	if len(c.body) > 0 {
		if err := json.Unmarshal(c.body, &e.Body); err != nil {
			return nil, fmt.Errorf("read the body again: %w", err)
		}
	}
	delete(e.Body, codeField)
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("keep a call: %w", err)
	}
	link, err := a.cfg.Keys.AskKey(ctx, c.actor, needs, text)
	if err != nil {
		return nil, err
	}
	p := problem(http.StatusForbidden, access.CodeKeyMissing,
		"This needs your security key. Open the page within ten minutes and confirm it there; then it goes on by itself, and need not be sent again.")
	p.Open = link.Reveal()
	res := p.response()
	res.once = true
	return res, nil
}

// Resume makes a call that waited for a security key, as it was made first, with what the key signed. Everything about it
// is looked at again.
func (a *API) Resume(ctx context.Context, by access.Actor, kept []byte, verb string, proof access.Secret) bot.Outcome {
	do := map[string]endpoint{string(access.Submit): a.submit, string(access.Approve): a.decide(access.Approve), string(access.Extend): a.extend()}[verb]
	var e errand
	err := json.Unmarshal(kept, &e)
	if err == nil && do == nil {
		err = fmt.Errorf("no call does %q", verb)
	}
	c := &call{id: e.Request}
	if err == nil {
		c.caller, err = a.again(ctx, by)
	}
	if err == nil {
		c.body, err = e.with(proof)
	}
	var res *response
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verbTime)
		defer cancel()
		res, err = do(ctx, c)
	}
	var refused *access.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == access.CodeProofWrong:
		return bot.Outcome{Again: refused.Text}
	case err == nil && res.Status < http.StatusBadRequest:
		return bot.Outcome{Done: true, Title: "Done", Text: "The call was made, as you confirmed it."}
	}
	p := problemOf(err)
	if p == nil {
		a.log.Error("a call that waited for a security key failed", "verb", verb, "person", by.Person, "err", err)
		return bot.Outcome{Title: "Not done", Text: "Something went wrong. Look with “elevate grants” before you try again."}
	}
	return bot.Outcome{Title: "Not done", Text: bot.Unmarked(p.Detail)}
}

// again is who made the call, where they still may.
func (a *API) again(ctx context.Context, by access.Actor) (caller, error) {
	i := slices.IndexFunc(a.tokens, func(t token) bool { return t.name == by.Account && t.person == by.Person })
	if i < 0 {
		return caller{}, &access.Refusal{Kind: access.ErrNotAllowed, Code: "no_token", Text: "The token of this call is no longer valid."}
	}
	who, err := a.resolve(ctx, a.tokens[i], by)
	return who, err
}

// with is the body of the call with a proof in it.
func (e errand) with(proof access.Secret) ([]byte, error) {
	text, err := json.Marshal(proof.Reveal())
	if err != nil {
		return nil, fmt.Errorf("write a proof: %w", err)
	}
	body := map[string]json.RawMessage{codeField: text}
	for name, value := range e.Body {
		if name != codeField {
			body[name] = value
		}
	}
	return json.Marshal(body)
}
