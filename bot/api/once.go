package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"elevate/workflows/access"
)

// An Idempotency-Key makes a POST happen at most once, however often it is sent. The first call with a key leaves a
// mark in the store before anything is done, and its answer in the mark's place afterwards; later calls of the same
// token with the same key get that answer. A call that finds the bare mark waits for the answer. When none comes, the
// process of the first call has died and nobody knows what it did: the caller is told so, and nothing is done twice.

const (
	keyLife    = 24 * time.Hour
	longestKey = 255
	// replayed marks an answer that was given before.
	replayed = "Idempotent-Replayed"
)

// attempt is what the store keeps under a key.
type attempt struct {
	// Call is the hash of method, path and body, but for a code in it: what the key was used for. Six digits are soon
	// found from their hash.
	Call  string    `json:"call"`
	Since time.Time `json:"since"`
	// Answer is null while the first call is running.
	Answer *response `json:"answer,omitempty"`
	// Void: the first call changed nothing and may be made again.
	Void bool `json:"void,omitempty"`
}

// mostTries bounds how often a key may be used again after calls that changed nothing.
const mostTries = 100

// once runs a call, or finds the answer that the same call got before.
func (a *API) once(ctx context.Context, who caller, r *http.Request, keys []string, body []byte, run func() *response) (*response, error) {
	if len(keys) != 1 || keys[0] == "" || len(keys[0]) > longestKey {
		return nil, problem(http.StatusBadRequest, "bad_key", fmt.Sprintf("Send one Idempotency-Key of 1 to %d characters.", longestKey))
	}
	key := "api:once:" + digest(who.token.name, keys[0])
	mine := attempt{Call: digest(r.Method, r.URL.RequestURI(), string(codeless(body))), Since: a.cfg.Now().UTC()}
	for deadline := time.Now().Add(a.cfg.KeyWait); ; {
		found, slot, err := a.begin(ctx, key, mine)
		switch {
		case err != nil:
			return nil, err
		case found == nil:
			return a.finish(ctx, slot, mine, run()), nil
		case found.Call != mine.Call:
			return nil, problem(http.StatusUnprocessableEntity, "key_reused", "This Idempotency-Key was used for another call. Use a new key for each.")
		case found.Answer != nil:
			return found.Answer.with(replayed, "true"), nil
		case mine.Since.Sub(found.Since) > verbTime+time.Minute:
			return nil, problem(http.StatusConflict, "outcome_unknown",
				"The first call with this Idempotency-Key broke off, and whether it did anything is not known. Look at "+Prefix+"/requests, then use a new key.")
		case time.Now().After(deadline):
			return nil, problem(http.StatusConflict, "in_progress", "The first call with this Idempotency-Key is still running. Send it again in a moment.")
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the first call: %w", ctx.Err())
		}
	}
}

// begin leaves a mark under a key. found is nil where the mark is ours, to be answered at slot.
//
// A call that changed nothing leaves a void attempt, after which the next slot counts: a slot is written at most twice
// and never emptied, so that of many callers exactly one owns each.
func (a *API) begin(ctx context.Context, key string, mine attempt) (found *attempt, slot string, err error) {
	mark, err := json.Marshal(mine)
	if err != nil {
		return nil, "", fmt.Errorf("mark an idempotency key: %w", err)
	}
	for try := range mostTries {
		slot = fmt.Sprintf("%s:%d", key, try)
		stored, first, err := a.cfg.Store.Once(ctx, slot, mark, keyLife)
		if err != nil {
			return nil, "", &access.Refusal{Kind: access.ErrUnavailable, Code: "store_unavailable", Err: err,
				Text: "The store could not be reached, so nothing was done. Try again with the same key."}
		}
		if first {
			return nil, slot, nil
		}
		found = &attempt{}
		if err := json.Unmarshal(stored, found); err != nil {
			return nil, "", fmt.Errorf("read an idempotency key: %w", err)
		}
		if !found.Void || found.Call != mine.Call {
			return found, "", nil
		}
	}
	return nil, "", problem(http.StatusConflict, "too_many_tries", "This Idempotency-Key was tried too often. Use a new one.")
}

// finish puts an answer in its mark's place. An answer that says that nothing was done is not kept, so that the same
// call may be tried again.
func (a *API) finish(ctx context.Context, slot string, mine attempt, res *response) *response {
	if res.once || res.Status == http.StatusServiceUnavailable || res.Status == http.StatusTooManyRequests {
		mine.Void = true
	} else {
		mine.Answer = res
	}
	value, err := json.Marshal(mine)
	if err == nil {
		err = a.cfg.Store.Put(ctx, slot, value, keyLife)
	}
	if err != nil {
		a.log.Error("the answer to an idempotency key could not be kept; a repeat will be told that the outcome is unknown", "err", err)
	}
	return res
}

// pollEvery is how often a call looks whether the first one with its key has its answer.
const pollEvery = 20 * time.Millisecond

// codeless is a body without the code in it.
func codeless(body []byte) []byte {
	var doc map[string]json.RawMessage
	if json.Unmarshal(body, &doc) != nil || doc[codeField] == nil {
		return body
	}
	delete(doc, codeField)
	out, err := json.Marshal(doc)
	if err != nil { // it was JSON
		return nil
	}
	return out
}

// digest hashes texts so that no two lists of them collide.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil))
}
