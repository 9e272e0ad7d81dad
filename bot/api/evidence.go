package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/audit"
)

// exportTime bounds the sending of an audit log; the server's own limit is for answers, not for downloads.
const exportTime = 15 * time.Minute

// audit is GET /audit: the log of a span of time, streamed to those who may read it.
func (a *API) audit(w http.ResponseWriter, r *http.Request, who caller) {
	in := parameters(r.URL.Query(), nil, "from", "to", "format")
	from, to := in.time("from"), in.time("to")
	format, err := audit.ParseFormat(in.values["format"])
	if err != nil {
		in.fault("format", "bad_format", "format must be %s or %s.", audit.JSONL, audit.CSV)
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		in.fault("to", "bad_span", "to must be later than from.")
	}
	if err := in.err(); err != nil {
		a.fault(r, err).write(w)
		return
	}
	if err := a.cfg.Service.Audits(r.Context(), who.person.ID); err != nil {
		a.onRecord(r.Context(), who.actor, "audit", err)
		a.fault(r, err).write(w)
		return
	}
	if a.cfg.Export == nil {
		problem(http.StatusNotFound, "no_audit_log", "This Elevate keeps no audit files. Set audit.dir in its configuration.").response().write(w)
		return
	}
	a.log.Info("audit log exported", "person", who.person.ID, "token", who.token.name, "address", who.actor.Address,
		"from", from, "to", to, "format", string(format))
	if r.Method == http.MethodHead {
		announce(w, format)
		return
	}
	a.export(w, r, from, to, format)
}

// export streams. An error before the first byte is a problem document; one after it cuts the connection.
func (a *API) export(w http.ResponseWriter, r *http.Request, from, to time.Time, format audit.Format) {
	// A server without deadlines has none to move.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportTime))
	out := &lateHeader{w: w, format: format}
	err := a.cfg.Export(r.Context(), out, from, to, format)
	switch {
	case err == nil && !out.began:
		announce(w, format) // nothing happened in that span
	case err == nil:
	case !out.began:
		a.fault(r, fmt.Errorf("export the audit log: %w", err)).write(w)
	default:
		a.log.Error("an export of the audit log broke off", "path", r.URL.Path, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// onRecord puts a refusal that the verbs of workflows do not know of on record: somebody was not allowed to look.
func (a *API) onRecord(ctx context.Context, by access.Actor, verb string, err error) {
	p := problemOf(err)
	if p == nil || p.Status != http.StatusForbidden {
		return
	}
	e := audit.Event{At: a.cfg.Now().UTC(), Kind: audit.Refused, Actor: by, Reason: p.Code, Detail: map[string]string{"verb": verb}}
	if err := a.cfg.Store.Append(ctx, e); err != nil {
		a.log.Error("a refusal could not be put on record", "verb", verb, "code", p.Code, "person", by.Person, "err", err)
	}
}

// announce sends the header of an export.
func announce(w http.ResponseWriter, format audit.Format) {
	media := map[audit.Format]string{audit.JSONL: "application/jsonl", audit.CSV: "text/csv; charset=utf-8; header=present"}
	w.Header().Set("Content-Type", media[format])
	w.Header().Set("Content-Disposition", `attachment; filename="elevate-audit.`+string(format)+`"`)
	w.WriteHeader(http.StatusOK)
}

// lateHeader sends the header with the first byte.
type lateHeader struct {
	w      http.ResponseWriter
	format audit.Format
	began  bool
}

func (l *lateHeader) Write(b []byte) (int, error) {
	if !l.began {
		l.began = true
		announce(l.w, l.format)
	}
	return l.w.Write(b)
}
