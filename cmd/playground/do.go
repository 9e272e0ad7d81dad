package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"elevate/bot/web"
	"elevate/connectors/demo"
	"elevate/workflows/audit"
)

// faults makes the target misbehave, by one word at a time.
type faults struct {
	target *demo.Target

	mu  sync.Mutex
	now string
}

// wellBehaved is the word of a target that answers.
const wellBehaved = "well"

func (f *faults) mode() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// set puts a fault in place of the one before; false for a word that is none.
func (f *faults) set(mode string) bool {
	var next demo.Faults
	switch mode {
	case wellBehaved:
	case "off":
		next.UnavailableUntil = time.Unix(1<<40, 0)
	case "hang":
		next.Hang = true
	case "lie":
		next.Lie = true
	default:
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target.SetFaults(next)
	f.now = mode
	return true
}

// doer is what the panel's buttons do.
type doer struct {
	panel  *panel
	digest func(ctx context.Context) error
	log    *slog.Logger
}

// done is the answer to an order, with a sentence where there is something to tell.
type done struct {
	Text string `json:"text,omitempty"`
}

func (d *doer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rate", d.rate)
	mux.HandleFunc("POST /skip", d.skip)
	mux.HandleFunc("POST /fault", d.fault)
	mux.HandleFunc("POST /digest", d.post)
	mux.HandleFunc("POST /verify", d.verify)
	return mux
}

func (d *doer) rate(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Rate int `json:"rate"`
	}
	if !web.Read(w, r, &in) {
		return
	}
	if !slices.Contains([]int{1, 10, 60}, in.Rate) {
		web.Fail(w, http.StatusUnprocessableEntity, "Time passes once, 10 or 60 times as fast here.")
		return
	}
	d.panel.clock.setRate(in.Rate)
	web.Reply(w, http.StatusOK, done{})
}

// skip moves the clock to the next timer that is still ahead.
func (d *doer) skip(w http.ResponseWriter, r *http.Request) {
	var in struct{}
	if !web.Read(w, r, &in) {
		return
	}
	doc, err := d.panel.document(r.Context())
	if err != nil {
		d.fail(w, r, err)
		return
	}
	now := d.panel.clock.Now()
	for _, t := range doc.Timers {
		if t.At.After(now) {
			d.panel.clock.leap(t.At)
			web.Reply(w, http.StatusOK, done{Text: t.What})
			return
		}
	}
	web.Fail(w, http.StatusConflict, "No timer is ahead. Ask for access, and there will be.")
}

func (d *doer) fault(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Mode string `json:"mode"`
	}
	if !web.Read(w, r, &in) {
		return
	}
	if !d.panel.faults.set(in.Mode) {
		web.Fail(w, http.StatusUnprocessableEntity, "The target answers, is down, hangs or lies; it can do nothing else.")
		return
	}
	web.Reply(w, http.StatusOK, done{})
}

func (d *doer) post(w http.ResponseWriter, r *http.Request) {
	var in struct{}
	if !web.Read(w, r, &in) {
		return
	}
	if err := d.digest(r.Context()); err != nil {
		d.fail(w, r, err)
		return
	}
	web.Reply(w, http.StatusOK, done{})
}

// verify proves the audit log as elevate audit verify does.
func (d *doer) verify(w http.ResponseWriter, r *http.Request) {
	var in struct{}
	if !web.Read(w, r, &in) {
		return
	}
	report, err := audit.Verify([]string{d.panel.trail.dir}, audit.Expect{})
	if err != nil {
		d.fail(w, r, err)
		return
	}
	text := fmt.Sprintf("%d lines read, the chain is whole: nothing was changed, added or left out.", report.Lines)
	if len(report.Problems) > 0 {
		text = report.Problems[0].Text
	}
	web.Reply(w, http.StatusOK, done{Text: text})
}

func (d *doer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, context.Canceled) {
		d.log.ErrorContext(r.Context(), "order failed", "path", r.URL.Path, "err", err)
	}
	web.Fail(w, http.StatusInternalServerError, "Something went wrong. The terminal that runs the playground says more.")
}
