package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"elevate/bot/api"
	"elevate/workflows/access"
)

// op is something that somebody did, as they saw it.
type op struct {
	Who, Verb string
	Request   access.RequestID
	Called    time.Time
	Returned  time.Time // zero: no answer came, so nobody knows whether and when it was done
	Seen      *seen     // what the answer showed
	Refused   string    // the code of the refusal, where it was refused
	Words     string    // the justification of a submission, by which it is found again
}

// unknown tells that nobody knows what became of it.
func (o *op) unknown() bool { return o.Returned.IsZero() }

// seen is what a client sees of a request that the order of things decides.
type seen struct {
	State                 access.State
	Version               int64
	Decisions, Extensions int
}

// history is what everybody did.
type history struct {
	mu  sync.Mutex
	ops []op
}

func (h *history) add(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// reply is an answer of the API.
type reply struct {
	status  int
	request api.Request
	problem api.Problem
}

// call calls a replica's API. The error is of the network: nobody knows what was done.
func (s *site) call(r *replica, who, method, path, key string, body map[string]string) (reply, error) {
	if body == nil {
		body = map[string]string{}
	}
	content, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	req, err := http.NewRequest(method, "http://"+r.address+api.Prefix+path, bytes.NewReader(content))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf(who))
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	out := reply{status: res.StatusCode}
	if res.StatusCode < 300 {
		return out, json.NewDecoder(res.Body).Decode(&out.request)
	}
	return out, json.NewDecoder(res.Body).Decode(&out.problem)
}

// settle writes down how an op came back. It is false where nobody knows.
func (o *op) settle(out reply, err error) bool {
	switch {
	case err != nil, out.status >= 500, out.problem.Code == "in_progress", out.problem.Code == "outcome_unknown":
		return false
	case out.status < 300:
		d := out.request
		o.Request = d.ID
		o.Seen = &seen{State: d.State, Version: d.Version, Decisions: len(d.Decisions), Extensions: len(d.Extensions)}
	default:
		o.Refused = out.problem.Code
	}
	o.Returned = time.Now()
	return true
}

// do has somebody do something to a request at a replica, and writes it into the history.
func (s *site) do(h *history, r *replica, who, verb string, id access.RequestID, body map[string]string) (reply, bool) {
	method, path := http.MethodPost, "/requests/"+string(id)+"/"+verb
	if verb == show {
		method, path = http.MethodGet, "/requests/"+string(id)
	}
	o := op{Who: who, Verb: verb, Request: id, Called: time.Now()}
	out, err := s.call(r, who, method, path, "", body)
	known := o.settle(out, err)
	if o.Refused != "too_many_calls" {
		h.add(o)
	}
	return out, known
}

// list gives every request that is open, or all, as a replica knows them.
func (s *site) list(r *replica, filter string) (map[access.RequestID]api.Request, error) {
	all := map[access.RequestID]api.Request{}
	for cursor := ""; ; {
		req, err := http.NewRequest(http.MethodGet, "http://"+r.address+api.Prefix+"/requests?limit=500&"+filter+cursor, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+tokenOf(auditor))
		var page api.Page
		if err := s.read(req, &page); err != nil {
			return nil, err
		}
		for _, d := range page.Requests {
			all[d.ID] = d
		}
		if page.Next == nil {
			return all, nil
		}
		cursor = "&cursor=" + *page.Next
	}
}

func (s *site) read(req *http.Request, out any) error {
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(out)
}
